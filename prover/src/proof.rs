//! Creating SHPLONK proofs under the transcripts of `crate::transcript`, and checking those under the
//! Poseidon transcript.
//!
//! Invariants: one circuit per proof; a proof has no trailing bytes; public inputs are absorbed as
//! scalars.
//!
//! What it does not do: [`verify`] is halo2's verifier, kept as the oracle for tests and for a
//! prover's look at its own work. It is not hardened against hostile bytes (halo2 may panic) and
//! must not decide about proofs of others: that is `verifier::verify_plonk`. And [`prove`] is not
//! reproducible from its `rng`: halo2 blinds its random polynomial from the thread's own generator.

use halo2_proofs::circuit::Layouter;
use halo2_proofs::plonk::{
    self, Circuit, ConstraintSystem, ProvingKey, VerifyingKey, create_proof, verify_proof,
};
use halo2_proofs::poly::VerificationStrategy;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand::{CryptoRng, RngCore};
use verifier::TranscriptKind;

use crate::progress::{Phase, Progress, ProgressSink};
use crate::transcript::{self, Challenge, Keccak, KeccakChallenge, ReportingWriter};

/// Why a proof was not made or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The public inputs do not have the key's shape.
    #[error("the circuit has {expected} instance columns, {found} were given")]
    InvalidInstances {
        /// Columns of the circuit.
        expected: usize,
        /// Columns given.
        found: usize,
    },
    /// Bytes follow the proof.
    #[error("{count} bytes follow the proof; cut it to its length or fetch it again")]
    InvalidTrailing {
        /// How many.
        count: usize,
    },
    /// The verifier says no.
    #[error("the proof is not valid for this key and these public inputs: {source}")]
    InvalidProof {
        /// halo2's word for it.
        source: plonk::Error,
    },
    /// halo2 could not make a proof: a witness that breaks a constraint, or a circuit that does not
    /// fit.
    #[error("the proof could not be made: {source}; check the witness with the mock prover")]
    Internal {
        /// halo2's word for it.
        source: plonk::Error,
    },
}

/// Proves that `circuit` holds for the public inputs `instances`, one slice per instance column, with
/// the Poseidon transcript of inner proofs.
///
/// # Errors
/// As [`prove_with`].
///
/// # Panics
/// As [`prove_with`].
pub fn prove<C: Circuit<Fr>>(
    params: &ParamsKZG<Bn256>,
    pk: &ProvingKey<G1Affine>,
    circuit: &C,
    instances: &[&[Fr]],
    rng: impl RngCore + CryptoRng,
    progress: ProgressSink<'_>,
) -> Result<Vec<u8>, ProofError> {
    let kind = TranscriptKind::Poseidon;
    prove_with(kind, params, pk, circuit, instances, rng, progress)
}

/// Proves that `circuit` holds for the public inputs `instances`, one slice per instance column.
///
/// The witness is not checked: a circuit that does not hold yields a proof that verifiers refuse.
///
/// # Errors
/// `InvalidInstances` for a wrong number of columns, `Internal` if halo2 fails, which with the Keccak
/// transcript it does for a circuit that declares more degree than it has.
///
/// # Panics
/// If `synthesize` fails or assigns an unknown value, since halo2 unwraps both.
pub fn prove_with<C: Circuit<Fr>>(
    transcript: TranscriptKind,
    params: &ParamsKZG<Bn256>,
    pk: &ProvingKey<G1Affine>,
    circuit: &C,
    instances: &[&[Fr]],
    rng: impl RngCore + CryptoRng,
    progress: ProgressSink<'_>,
) -> Result<Vec<u8>, ProofError> {
    check_shape(pk.get_vk(), instances)?;
    progress(Progress {
        phase: Phase::Witness,
        percent: 0,
    });
    let observed = Observed {
        circuit: Held::Borrowed(circuit),
        progress: Some(progress),
    };
    let work = Work {
        params,
        pk,
        observed,
        instances,
        progress,
    };
    let proof = match transcript {
        TranscriptKind::Poseidon => {
            let written = work.write::<Challenge, _>(transcript::poseidon(), rng)?;
            written.finalize()
        }
        TranscriptKind::Keccak => {
            let written = work.write::<KeccakChallenge, _>(Keccak::default(), rng)?;
            written.finalize()
        }
    };
    progress(Progress {
        phase: Phase::Opening,
        percent: Phase::Verifying.percent_at_start(),
    });
    Ok(proof)
}

/// A proof that is to be made.
struct Work<'a, C> {
    params: &'a ParamsKZG<Bn256>,
    pk: &'a ProvingKey<G1Affine>,
    observed: Observed<'a, C>,
    instances: &'a [&'a [Fr]],
    progress: ProgressSink<'a>,
}

impl<C: Circuit<Fr>> Work<'_, C> {
    /// Writes it to a transcript.
    fn write<E, T>(self, inner: T, rng: impl RngCore + CryptoRng) -> Result<T, ProofError>
    where
        E: EncodedChallenge<G1Affine>,
        T: TranscriptWrite<G1Affine, E>,
    {
        let mut transcript = ReportingWriter::new(inner, self.pk.get_vk().cs(), self.progress);
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, E, _, _, _>(
            self.params,
            self.pk,
            &[self.observed],
            &[self.instances],
            rng,
            &mut transcript,
        )
        .map_err(|source| ProofError::Internal { source })?;
        Ok(transcript.into_inner())
    }
}

/// Checks a proof with halo2's verifier. For our own proofs and for tests, see the module.
///
/// # Errors
/// `InvalidInstances`, `InvalidProof`, `InvalidTrailing`.
pub fn verify(
    params: &ParamsKZG<Bn256>,
    vk: &VerifyingKey<G1Affine>,
    instances: &[&[Fr]],
    proof: &[u8],
) -> Result<(), ProofError> {
    check_shape(vk, instances)?;
    let mut rest = proof;
    let mut reader = transcript::reader(&mut rest);
    let strategy = <SingleStrategy<'_, Bn256> as VerificationStrategy<
        '_,
        KZGCommitmentScheme<Bn256>,
        VerifierSHPLONK<'_, Bn256>,
    >>::new(params);
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, Challenge, _, _>(
        params,
        vk,
        strategy,
        &[instances],
        &mut reader,
    )
    .map_err(|source| ProofError::InvalidProof { source })?;
    drop(reader);
    if rest.is_empty() {
        Ok(())
    } else {
        Err(ProofError::InvalidTrailing { count: rest.len() })
    }
}

fn check_shape(vk: &VerifyingKey<G1Affine>, instances: &[&[Fr]]) -> Result<(), ProofError> {
    let expected = vk.cs().num_instance_columns();
    if instances.len() == expected {
        Ok(())
    } else {
        Err(ProofError::InvalidInstances {
            expected,
            found: instances.len(),
        })
    }
}

/// A circuit that says when its witness is complete. It changes neither columns nor cells.
struct Observed<'a, C> {
    circuit: Held<'a, C>,
    progress: Option<ProgressSink<'a>>,
}

/// halo2 wants circuits by value and makes copies without a witness; the caller's one is borrowed.
enum Held<'a, C> {
    Borrowed(&'a C),
    Owned(C),
}

impl<C> Held<'_, C> {
    fn get(&self) -> &C {
        match self {
            Self::Borrowed(circuit) => circuit,
            Self::Owned(circuit) => circuit,
        }
    }
}

impl<C: Circuit<Fr>> Circuit<Fr> for Observed<'_, C> {
    type Config = C::Config;
    type FloorPlanner = C::FloorPlanner;
    type Params = C::Params;

    fn without_witnesses(&self) -> Self {
        Self {
            circuit: Held::Owned(self.circuit.get().without_witnesses()),
            progress: None,
        }
    }

    fn params(&self) -> Self::Params {
        self.circuit.get().params()
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, params: Self::Params) -> C::Config {
        C::configure_with_params(meta, params)
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> C::Config {
        C::configure(meta)
    }

    fn synthesize(
        &self,
        config: C::Config,
        layouter: impl Layouter<Fr>,
    ) -> Result<(), plonk::Error> {
        self.circuit.get().synthesize(config, layouter)?;
        if let Some(progress) = self.progress {
            let percent = Phase::Commit.percent_at_start();
            progress(Progress {
                phase: Phase::Commit,
                percent,
            });
        }
        Ok(())
    }
}
