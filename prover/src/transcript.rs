//! The transcripts proofs are written with, and the reports they give of the work.
//!
//! That of inner proofs is here: Poseidon over BN254's scalar field, as snark-verifier's
//! aggregation circuits read it.
//!
//! Width 3, rate 2, 8 full and 57 partial rounds, plain (not "secure") MDS generation; a point is
//! absorbed as its two coordinates reduced into the scalar field and written compressed. The
//! prover's side of either is wrapped so that each value that enters it is reported ([`Phase`]); the
//! wrapper changes no byte. That of the final proof is in `keccak`.

mod keccak;

use std::io;

use halo2_proofs::plonk::ConstraintSystem;
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::halo2::{ChallengeScalar, PoseidonTranscript};

use crate::progress::{Phase, Progress, ProgressSink};
pub(crate) use keccak::{Keccak, KeccakChallenge};

/// Parameters of the permutation.
const WIDTH: usize = 3;
const RATE: usize = 2;
const FULL_ROUNDS: usize = 8;
const PARTIAL_ROUNDS: usize = 57;
/// How many candidate MDS matrices are skipped: none, as in snark-verifier's defaults.
const SECURE_MDS: usize = 0;

/// The transcript over a stream of proof bytes.
pub(crate) type Poseidon<S> =
    PoseidonTranscript<G1Affine, NativeLoader, S, WIDTH, RATE, FULL_ROUNDS, PARTIAL_ROUNDS>;

/// A challenge of this transcript.
pub(crate) type Challenge = ChallengeScalar<G1Affine>;

/// A writer of proof bytes.
pub(crate) fn poseidon() -> Poseidon<Vec<u8>> {
    Poseidon::new::<SECURE_MDS>(Vec::new())
}

/// A reader over proof bytes; what it leaves in `proof` was not part of the proof.
pub(crate) fn reader<'a, 'b>(proof: &'a mut &'b [u8]) -> Poseidon<&'a mut &'b [u8]> {
    Poseidon::new::<SECURE_MDS>(proof)
}

/// Commitments a proof writes before its evaluations, which tell the phases apart.
#[derive(Clone, Copy, Debug)]
struct Milestones {
    /// Points written once the advice columns are committed.
    advice: usize,
    /// Points written once the lookup and permutation arguments are.
    arguments: usize,
    /// Points written once the quotient is.
    quotient: usize,
}

impl Milestones {
    fn new(cs: &ConstraintSystem<Fr>) -> Self {
        let degree = cs.degree();
        let permuted_columns = cs.permutation().get_columns().len();
        // One product polynomial per `degree - 2` columns; three points per lookup; one random
        // polynomial.
        let products = permuted_columns.div_ceil(degree.saturating_sub(2).max(1));
        let advice = cs.num_advice_columns();
        let arguments = advice + 3 * cs.lookups().len() + products + 1;
        Self {
            advice,
            arguments,
            quotient: arguments + degree.saturating_sub(1),
        }
    }
}

/// The writing side, which reports what passes.
pub(crate) struct ReportingWriter<'a, T> {
    inner: T,
    points: usize,
    milestones: Milestones,
    sink: ProgressSink<'a>,
}

impl<'a, T> ReportingWriter<'a, T> {
    /// Around an empty transcript, for a circuit with this constraint system.
    pub(crate) fn new(inner: T, cs: &ConstraintSystem<Fr>, sink: ProgressSink<'a>) -> Self {
        Self {
            inner,
            points: 0,
            milestones: Milestones::new(cs),
            sink,
        }
    }

    /// The transcript.
    pub(crate) fn into_inner(self) -> T {
        self.inner
    }

    fn report(&self, phase: Phase) {
        (self.sink)(Progress {
            phase,
            percent: phase.percent_at_start(),
        });
    }
}

impl<E, T> Transcript<G1Affine, E> for ReportingWriter<'_, T>
where
    E: EncodedChallenge<G1Affine>,
    T: TranscriptWrite<G1Affine, E>,
{
    fn squeeze_challenge(&mut self) -> E {
        self.inner.squeeze_challenge()
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.inner.common_point(point)
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.inner.common_scalar(scalar)
    }
}

impl<E, T> TranscriptWrite<G1Affine, E> for ReportingWriter<'_, T>
where
    E: EncodedChallenge<G1Affine>,
    T: TranscriptWrite<G1Affine, E>,
{
    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.inner.write_point(point)?;
        self.points += 1;
        let Milestones {
            advice,
            arguments,
            quotient,
        } = self.milestones;
        if self.points == advice {
            self.report(Phase::Arguments);
        }
        if self.points == arguments {
            self.report(Phase::Quotient);
        }
        if self.points == quotient {
            self.report(Phase::Opening);
        }
        Ok(())
    }

    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.inner.write_scalar(scalar)
    }
}
