//! Verification of one inner proof inside a circuit, up to the accumulator it leaves.
//!
//! snark-verifier reads the proof through the Poseidon transcript, evaluates gates, permutation, lookups and quotient at
//! the challenge, and folds all openings into one accumulator. The commitments of the inner key are either constants of
//! the outer circuit ([`verify`]) or witnesses of which the outer circuit proves that they are one of a constant list
//! ([`verify_one_of`]).

use std::io::Cursor;
use std::sync::LazyLock;

use halo2_base::AssignedValue;
use halo2_base::gates::{GateInstructions, RangeChip, RangeInstructions};
use halo2_base::poseidon::hasher::spec::OptimizedPoseidonSpec;
use halo2_proofs::plonk::VerifyingKey;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2curves::group::prime::PrimeCurveAffine;
use snark_verifier::loader::halo2::Scalar;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::pcs::AccumulatorEncoding;
use snark_verifier::pcs::kzg::KzgSuccinctVerifyingKey;
use snark_verifier::system::halo2::transcript::halo2::PoseidonTranscript;
use snark_verifier::system::halo2::{Config, compile};
use snark_verifier::util::hash::Poseidon;
use snark_verifier::verifier::SnarkVerifier;
use snark_verifier::verifier::plonk::{PlonkProtocol, PlonkSuccinctVerifier};

use super::accumulator::{ACCUMULATOR_LIMBS, Accumulator, Encoding, LIMBS, Scheme, limbs_of};
use super::{AggregationError, CurveChip, InnerProof, Loader, Protocol, statement_row};

/// Parameters of the transcript's permutation, as in `prover::transcript`.
const WIDTH: usize = 3;
const RATE: usize = 2;
const FULL_ROUNDS: usize = 8;
const PARTIAL_ROUNDS: usize = 57;
const SECURE_MDS: usize = 0;

/// Constants of the permutation: found by a search that takes longer than a small proof.
static SPEC: LazyLock<OptimizedPoseidonSpec<Fr, WIDTH, RATE>> =
    LazyLock::new(OptimizedPoseidonSpec::new::<FULL_ROUNDS, PARTIAL_ROUNDS, SECURE_MDS>);

pub(super) type Transcript<E> = PoseidonTranscript<
    G1Affine,
    Loader<E>,
    Cursor<Vec<u8>>,
    WIDTH,
    RATE,
    FULL_ROUNDS,
    PARTIAL_ROUNDS,
>;

type Verifier = PlonkSuccinctVerifier<Scheme, Encoding>;

/// A transcript over proof bytes.
pub(super) fn transcript<E: CurveChip>(loader: &Loader<E>, proof: &[u8]) -> Transcript<E> {
    Transcript::<E>::from_spec(loader, Cursor::new(proof.to_vec()), SPEC.clone())
}

/// How proofs under a key are verified inside circuits. `public_inputs` is the length of the instance;
/// `is_aggregated` says that it begins with an accumulator.
#[must_use]
pub fn inner_protocol(
    params: &ParamsKZG<Bn256>,
    key: &VerifyingKey<G1Affine>,
    public_inputs: usize,
    is_aggregated: bool,
) -> Protocol {
    let limbs: Vec<(usize, usize)> = (0..ACCUMULATOR_LIMBS).map(|row| (0, row)).collect();
    let config = Config::kzg()
        .with_num_instance(vec![public_inputs])
        .with_accumulator_indices(is_aggregated.then_some(limbs));
    compile(params, key, config)
}

/// An inner proof inside a circuit: its statement without limbs, and the accumulators it leaves (its own opening and,
/// of an aggregation, the one in its instance).
pub(super) struct Verified<E: CurveChip> {
    pub(super) statement: Vec<AssignedValue<Fr>>,
    pub(super) accumulators: Vec<Accumulator<E>>,
}

/// Verifies a proof whose key is a constant of the circuit.
pub(super) fn verify<E: CurveChip>(
    loader: &Loader<E>,
    which: &'static str,
    key: &Protocol,
    proof: &InnerProof,
) -> Result<Verified<E>, AggregationError> {
    let loaded = key.loaded(loader);
    verify_loaded(loader, which, &loaded, proof)
}

/// Verifies a proof under `keys[chosen]`, and proves that its key is one of `keys`.
///
/// The commitments and the transcript's initial state are witnesses; their Poseidon digest (over canonical limbs) must
/// be among the digests of the list, which are constants: the product of the differences is 0. No commitment of the list may
/// be the identity ([`AggregationError::EmptyColumn`]).
pub(super) fn verify_one_of<E: CurveChip>(
    loader: &Loader<E>,
    range: &RangeChip<Fr>,
    which: &'static str,
    (keys, chosen): (&[Protocol], usize),
    proof: &InnerProof,
) -> Result<Verified<E>, AggregationError> {
    let key = keys.get(chosen).ok_or(AggregationError::UnknownRoot {
        found: chosen,
        kinds: keys.len(),
    })?;
    let has_identity = |key: &Protocol| key.preprocessed.iter().any(|one| one.is_identity().into());
    if let Some(kind) = keys.iter().position(has_identity) {
        return Err(AggregationError::EmptyColumn { kind });
    }
    let loaded = key.loaded_preprocessed_as_witness(loader, false);
    let mut inputs: Vec<Scalar<G1Affine, E>> = Vec::new();
    for commitment in &loaded.preprocessed {
        let limbs = {
            let point = commitment.assigned();
            loader
                .ecc_chip()
                .assign_ec_point_to_limbs(&mut loader.ctx_mut(), point)
        };
        inputs.extend(
            limbs
                .into_iter()
                .map(|limb| loader.scalar_from_assigned(limb)),
        );
    }
    inputs.extend(loaded.transcript_initial_state.clone());
    let mut hasher = Poseidon::from_spec(loader, SPEC.clone());
    hasher.update(&inputs);
    let digest = hasher.squeeze().into_assigned();
    {
        let mut context = loader.ctx_mut(); // given back before the proof is read
        let (context, gate) = (context.main(), range.gate());
        let mut product = context.load_constant(Fr::one());
        for key in keys {
            let constant = context.load_constant(key_digest(key));
            let difference = gate.sub(context, digest, constant);
            product = gate.mul(context, product, difference);
        }
        gate.assert_is_const(context, &product, &Fr::zero());
    }
    verify_loaded(loader, which, &loaded, proof)
}

/// The digest of a key's commitments, as [`verify_one_of`] computes it inside.
fn key_digest(key: &Protocol) -> Fr {
    let points = key.preprocessed.iter();
    let mut inputs: Vec<Fr> = points
        .flat_map(|point| {
            let limbs = limbs_of(point, point);
            limbs.into_iter().take(2 * LIMBS)
        })
        .collect();
    inputs.extend(key.transcript_initial_state);
    let mut hasher = Poseidon::from_spec(&NativeLoader, SPEC.clone());
    hasher.update(&inputs);
    hasher.squeeze()
}

fn verify_loaded<E: CurveChip>(
    loader: &Loader<E>,
    which: &'static str,
    key: &PlonkProtocol<G1Affine, Loader<E>>,
    proof: &InnerProof,
) -> Result<Verified<E>, AggregationError> {
    let expected: usize = key.num_instance.iter().sum();
    if proof.instance.len() != expected {
        return Err(AggregationError::InvalidInstance {
            which,
            expected,
            found: proof.instance.len(),
        });
    }
    let unreadable = |error: snark_verifier::Error| AggregationError::InvalidProof {
        which,
        reason: format!("{error:?}"),
    };
    for _ in &key.accumulator_indices {
        // read natively first: snark-verifier panics inside a circuit over limbs that are no points
        let limbs: Vec<&Fr> = proof.instance.iter().take(ACCUMULATOR_LIMBS).collect();
        <Encoding as AccumulatorEncoding<G1Affine, NativeLoader>>::from_repr(&limbs)
            .map_err(unreadable)?;
    }
    let instance: Vec<_> = proof
        .instance
        .iter()
        .map(|value| loader.assign_scalar(*value))
        .collect();
    let instances = [instance];
    let mut transcript = transcript(loader, &proof.proof);
    // every reference string starts at the generator
    let opening_key: KzgSuccinctVerifyingKey<G1Affine> = G1Affine::generator().into();
    let read = Verifier::read_proof(&opening_key, key, &instances, &mut transcript);
    let read = read.map_err(unreadable)?;
    let accumulators = Verifier::verify(&opening_key, key, &instances, &read);
    let accumulators = accumulators.map_err(unreadable)?;
    let skipped = statement_row(key.accumulator_indices.is_empty());
    let [instance] = instances;
    let statement = instance.into_iter().skip(skipped);
    Ok(Verified {
        statement: statement.map(Scalar::into_assigned).collect(),
        accumulators,
    })
}
