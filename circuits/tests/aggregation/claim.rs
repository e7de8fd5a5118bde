//! The inner circuit of these tests: it claims the numbers in its instance, all of them, and squares the first.

use circuits::aggregation::{ACCUMULATOR_LIMBS, InnerProof, Protocol, inner_protocol, limbs_of};
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Circuit, Column, ConstraintSystem, Error, Fixed, Instance, ProvingKey, create_proof,
    keygen_pk, keygen_vk,
};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2curves::bn256::{Bn256, Fq, Fr, G1Affine};
use halo2curves::ff::{Field, PrimeField};
use halo2curves::pairing::Engine;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::halo2::{ChallengeScalar, PoseidonTranscript};

const K: u32 = 6;

#[derive(Clone, Debug)]
struct Claim {
    values: Vec<Fr>,
    /// A constant of the circuit: two kinds have the same shape and other keys.
    kind: u64,
}

#[derive(Clone, Debug)]
struct Columns {
    value: Column<Advice>,
    square: Column<Advice>,
    selector: Column<Fixed>,
    instance: Column<Instance>,
}

impl Circuit<Fr> for Claim {
    type Config = Columns;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn params(&self) {}

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> Columns {
        meta.set_minimum_degree(3);
        let columns = Columns {
            value: meta.advice_column(),
            square: meta.advice_column(),
            selector: meta.fixed_column(),
            instance: meta.instance_column(),
        };
        meta.enable_equality(columns.value);
        meta.enable_equality(columns.instance);
        meta.create_gate("square", |meta| {
            let value = meta.query_advice(columns.value, Rotation::cur());
            let square = meta.query_advice(columns.square, Rotation::cur());
            let selector = meta.query_fixed(columns.selector, Rotation::cur());
            [selector * (value.clone() * value - square)]
        });
        columns
    }

    fn synthesize(&self, columns: Columns, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let cells = layouter.assign_region(
            || "claim",
            |mut region| {
                region.assign_fixed(columns.selector, 0, Fr::from(self.kind));
                let mut cells = Vec::new();
                for (row, value) in self.values.iter().enumerate() {
                    let square = value.square();
                    region.assign_advice(columns.square, row, Value::known(square));
                    let cell = region.assign_advice(columns.value, row, Value::known(*value));
                    cells.push(cell.cell());
                }
                Ok(cells)
            },
        )?;
        for (row, cell) in cells.into_iter().enumerate() {
            layouter.constrain_instance(cell, columns.instance, row);
        }
        Ok(())
    }
}

/// Keys of a claim of some length, and how aggregation verifies it.
pub(crate) struct Claims {
    pub(crate) protocol: Protocol,
    params: ParamsKZG<Bn256>,
    key: ProvingKey<G1Affine>,
    kind: u64,
}

impl Claims {
    pub(crate) fn new(length: usize, is_aggregated: bool) -> Self {
        Self::of(length, is_aggregated, 1)
    }

    /// Another key of the same shape, of aggregations.
    pub(crate) fn other(length: usize) -> Self {
        Self::of(length, true, 2)
    }

    fn of(length: usize, is_aggregated: bool, kind: u64) -> Self {
        let params = ParamsKZG::<Bn256>::setup(K, ChaCha20Rng::seed_from_u64(5));
        let values = vec![Fr::zero(); length];
        let empty = Claim { values, kind };
        let key = keygen_vk(&params, &empty).expect("keys");
        let protocol = inner_protocol(&params, &key, length, is_aggregated);
        let key = keygen_pk(&params, key, &empty).expect("keys");
        Self {
            protocol,
            params,
            key,
            kind,
        }
    }

    pub(crate) fn prove(&self, values: &[Fr]) -> InnerProof {
        let claim = Claim {
            values: values.to_vec(),
            kind: self.kind,
        };
        prove(&self.params, &self.key, claim, values)
    }

    /// A claim that plays an aggregation: an accumulator that holds, then the statement.
    pub(crate) fn prove_aggregated(&self, statement: &[Fr]) -> InnerProof {
        let powers = self.params.get_g();
        let limbs = limbs_of(&powers[1], &powers[0]);
        self.prove(&[&limbs[..], statement].concat())
    }
}

/// A proof of any circuit with one instance column, as aggregation takes it.
pub(crate) fn prove(
    params: &ParamsKZG<Bn256>,
    key: &ProvingKey<G1Affine>,
    circuit: impl Circuit<Fr>,
    instance: &[Fr],
) -> InnerProof {
    let mut transcript =
        PoseidonTranscript::<G1Affine, NativeLoader, _, 3, 2, 8, 57>::new::<0>(Vec::new());
    create_proof::<
        KZGCommitmentScheme<Bn256>,
        ProverSHPLONK<'_, Bn256>,
        ChallengeScalar<G1Affine>,
        _,
        _,
        _,
    >(
        params,
        key,
        &[circuit],
        &[&[instance]],
        ChaCha20Rng::seed_from_u64(6),
        &mut transcript,
    )
    .expect("a proof");
    InnerProof {
        instance: instance.to_vec(),
        proof: transcript.finalize(),
    }
}

/// [`holds_under`] the claims' reference string.
pub(crate) fn holds(claims: &Claims, instance: &[Fr]) -> bool {
    holds_under(&claims.params, instance)
}

/// Whether the accumulator of an instance holds: `e(lhs, [1]_2) = e(rhs, [s]_2)`.
pub(crate) fn holds_under(params: &ParamsKZG<Bn256>, instance: &[Fr]) -> bool {
    let coordinates: Vec<Fq> = instance[..ACCUMULATOR_LIMBS]
        .chunks_exact(3)
        .map(|limbs| {
            let radix = Fq::from(2).pow([88]);
            limbs.iter().rev().fold(Fq::zero(), |sum, limb| {
                let bytes: [u8; 32] = limb.to_repr();
                sum * radix + Fq::from_bytes(&bytes).expect("a limb is small")
            })
        })
        .collect();
    let point = |x: Fq, y: Fq| G1Affine { x, y };
    let lhs = point(coordinates[0], coordinates[1]);
    let rhs = point(coordinates[2], coordinates[3]);
    let second = halo2curves::bn256::G2Affine::generator();
    Bn256::pairing(&lhs, &second) == Bn256::pairing(&rhs, &params.s_g2())
}
