//! A snark-verifier loader over the gadget: a small proof is verified inside a circuit of k = 18, for
//! which the mock prover and a real proof speak.

use std::rc::Rc;

use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::dev::MockProver;
use halo2_proofs::plonk::{
    Advice, Circuit, Column, ConstraintSystem, Error, Fixed, Instance, ProvingKey, create_proof,
    keygen_pk, keygen_vk, verify_proof,
};
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::poly::{Rotation, VerificationStrategy};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use snark_verifier::loader::halo2::Halo2Loader;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::pcs::kzg::{
    Bdfg21, KzgAccumulator, KzgAs, KzgSuccinctVerifyingKey, LimbsEncoding,
};
use snark_verifier::system::halo2::transcript::halo2::{ChallengeScalar, PoseidonTranscript};
use snark_verifier::system::halo2::{Config, compile};
use snark_verifier::verifier::SnarkVerifier;
use snark_verifier::verifier::plonk::{PlonkProtocol, PlonkSuccinctVerifier};

use super::super::chip::ForeignChip;
use super::super::host::HostCircuit;
use super::super::integer::CHUNK_BITS;
use super::super::layout::DEGREE;
use super::super::limbs::point_of_limbs;
use super::{host, rng};

type Loader = Rc<Halo2Loader<G1Affine, ForeignChip>>;
type Transcript<L, S> = PoseidonTranscript<G1Affine, L, S, 3, 2, 8, 57>;
type Verifier = PlonkSuccinctVerifier<KzgAs<Bn256, Bdfg21>, LimbsEncoding<3, 88>>;

/// Squares its public input: `b = a^2`, both public.
#[derive(Clone, Copy)]
struct Square(Fr);

impl Circuit<Fr> for Square {
    type Config = (Column<Advice>, Column<Fixed>, Column<Instance>);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        Square(Fr::zero())
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> Self::Config {
        meta.set_minimum_degree(4);
        let columns = (
            meta.advice_column(),
            meta.fixed_column(),
            meta.instance_column(),
        );
        meta.enable_equality(columns.0);
        meta.enable_equality(columns.2);
        meta.create_gate("square", |meta| {
            let q = meta.query_fixed(columns.1, Rotation::cur());
            let a = meta.query_advice(columns.0, Rotation::cur());
            let b = meta.query_advice(columns.0, Rotation::next());
            vec![q * (a.clone() * a - b)]
        });
        columns
    }

    fn synthesize(
        &self,
        columns: Self::Config,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let cells = layouter.assign_region(
            || "square",
            |mut region| {
                region.assign_fixed(columns.1, 0, Fr::one());
                let values = [self.0, self.0.square()];
                Ok([0, 1].map(|row| {
                    region
                        .assign_advice(columns.0, row, Value::known(values[row]))
                        .cell()
                }))
            },
        )?;
        for (row, cell) in cells.into_iter().enumerate() {
            layouter.constrain_instance(cell, columns.2, row);
        }
        Ok(())
    }
}

/// A small proof and what a verifier needs.
struct Inner {
    svk: KzgSuccinctVerifyingKey<G1Affine>,
    protocol: PlonkProtocol<G1Affine>,
    public: Vec<Fr>,
    proof: Vec<u8>,
}

fn prove<C: Circuit<Fr>>(
    params: &ParamsKZG<Bn256>,
    key: &ProvingKey<G1Affine>,
    circuit: C,
    public: &[Fr],
) -> Vec<u8> {
    let mut transcript = Transcript::<NativeLoader, _>::new::<0>(Vec::new());
    create_proof::<KZGCommitmentScheme<_>, ProverSHPLONK<'_, _>, ChallengeScalar<_>, _, _, _>(
        params,
        key,
        &[circuit],
        &[&[public]],
        rng(7),
        &mut transcript,
    )
    .expect("a proof");
    transcript.finalize()
}

impl Inner {
    fn new(value: u64) -> Self {
        let params = ParamsKZG::<Bn256>::setup(5, rng(6));
        let circuit = Square(Fr::from(value));
        let public = vec![circuit.0, circuit.0.square()];
        let vk = keygen_vk(&params, &circuit).expect("a verifying key");
        let protocol = compile(&params, &vk, Config::kzg().with_num_instance(vec![2]));
        let key = keygen_pk(&params, vk, &circuit).expect("a proving key");
        let proof = prove(&params, &key, circuit, &public);
        Inner {
            svk: params.get_g()[0].into(),
            protocol,
            public,
            proof,
        }
    }

    /// What the native verifier accumulates.
    fn native(&self) -> KzgAccumulator<G1Affine, NativeLoader> {
        let mut transcript = Transcript::<NativeLoader, _>::new::<0>(self.proof.as_slice());
        let public = vec![self.public.clone()];
        let proof = Verifier::read_proof(&self.svk, &self.protocol, &public, &mut transcript)
            .expect("a proof of the right length");
        Verifier::verify(&self.svk, &self.protocol, &public, &proof)
            .expect("an accumulator")
            .remove(0)
    }

    /// Verifies the proof in a circuit; the instance is the accumulator's limbs.
    fn verify_in(&self, circuit: &mut HostCircuit) {
        let chip = circuit.chip.clone();
        let manager = std::mem::take(circuit.builder.pool(0));
        let loader: Loader = Halo2Loader::new(chip.clone(), manager);
        let protocol = self.protocol.loaded(&loader);
        let public = self.public.iter().map(|value| loader.assign_scalar(*value));
        let public = vec![public.collect::<Vec<_>>()];
        let mut transcript = Transcript::<Loader, _>::new::<0>(&loader, self.proof.as_slice());
        let proof = Verifier::read_proof(&self.svk, &protocol, &public, &mut transcript)
            .expect("a proof of the right length");
        let accumulator = Verifier::verify(&self.svk, &protocol, &public, &proof)
            .expect("an accumulator")
            .remove(0);
        let sides = [accumulator.lhs, accumulator.rhs].map(|side| side.into_assigned());
        let mut manager = loader.take_ctx();
        let limbs = sides.map(|side| chip.to_instance_limbs(&mut manager, &side));
        *circuit.builder.pool(0) = manager;
        circuit.builder.assigned_instances[0] = limbs.concat();
    }
}

fn instance(circuit: &HostCircuit) -> Vec<Fr> {
    let cells = circuit.builder.assigned_instances[0].iter();
    cells.map(|cell| *cell.value()).collect()
}

#[test]
fn mock_prover_accepts_a_verified_proof_and_nothing_else() {
    let inner = Inner::new(5);
    let mut circuit = host(false);
    inner.verify_in(&mut circuit);
    circuit.calculate_params();
    let native = inner.native();
    let public = instance(&circuit);
    for (limbs, point) in public.chunks_exact(6).zip([native.lhs, native.rhs]) {
        assert_eq!(point_of_limbs(&std::array::from_fn(|i| limbs[i])), point);
    }
    let host_rows = circuit.builder.statistics().gate.total_advice_per_phase[0];
    let rows = 0..host_rows.max(circuit.chip.tape().rows());
    let verdict = |public: &[Fr], rows: std::ops::Range<usize>| {
        let prover = MockProver::run(18, &circuit, vec![public.to_vec()]).expect("it fits");
        // not the parallel check: it asks which cells were assigned, which halo2-axiom does not record
        let verdict = prover.verify_at_rows(rows.clone(), rows);
        verdict.map_err(|failures| format!("{:?}", failures.first()))
    };
    assert_eq!(verdict(&public, rows), Ok(()));

    let mut other = public;
    other[3] += Fr::one();
    // copies are checked whatever the rows
    assert!(verdict(&other, 0..0).is_err());
}

#[test]
fn real_proof_of_a_verified_proof_is_accepted_and_bound_to_its_instance() {
    let inner = Inner::new(5);
    let mut circuit = host(false);
    inner.verify_in(&mut circuit);
    let base = circuit.calculate_params();
    let public = instance(&circuit);
    let params = ParamsKZG::<Bn256>::setup(18, rng(8));
    let vk = keygen_vk(&params, &circuit).expect("a verifying key");
    assert_eq!(vk.cs().degree(), DEGREE);
    let key = keygen_pk(&params, vk, &circuit).expect("a proving key");
    let break_points = circuit.builder.break_points();
    drop(circuit);

    // another witness under the same key, without links
    let inner = Inner::new(6);
    let builder = BaseCircuitBuilder::prover(base, break_points).use_lookup_bits(CHUNK_BITS);
    let mut circuit = HostCircuit::new(builder);
    inner.verify_in(&mut circuit);
    let other = instance(&circuit);
    assert_ne!(public, other);
    let proof = prove(&params, &key, circuit, &other);
    let verdict = |public: &[Fr]| {
        let mut transcript = Transcript::<NativeLoader, _>::new::<0>(proof.as_slice());
        let strategy = <SingleStrategy<'_, Bn256> as VerificationStrategy<
            '_,
            KZGCommitmentScheme<Bn256>,
            VerifierSHPLONK<'_, Bn256>,
        >>::new(params.verifier_params());
        verify_proof::<KZGCommitmentScheme<_>, VerifierSHPLONK<'_, _>, ChallengeScalar<_>, _, _>(
            params.verifier_params(),
            key.get_vk(),
            strategy,
            &[&[public]],
            &mut transcript,
        )
        .is_ok()
    };
    assert!(verdict(&other));
    assert!(!verdict(&public));
}
