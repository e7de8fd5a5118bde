//! Sums against the library's, what the chains refuse, and what they cost.
//!
//! Most use [`trace::Trace`], which evaluates the column that a builder holds: gates, copies, constants and lookups; the mock prover
//! agrees with it.

mod cost;
mod dishonest;
mod mutation;
mod sums;
mod trace;

use ff::Field;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2curves::bn256::{Fr, G1, G1Affine};
use halo2curves::group::{Curve, Group};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use snark_verifier::loader::halo2::EccInstructions;

use super::points::VerticalPoints;
use crate::gadgets::foreign::chip::{ForeignChip, ForeignPoint};
use crate::gadgets::foreign::integer::CHUNK_BITS;

type Chip = ForeignChip<VerticalPoints>;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn random_point(rng: &mut ChaCha20Rng) -> G1Affine {
    G1::random(rng).to_affine()
}

fn random_scalar(rng: &mut ChaCha20Rng) -> Fr {
    Fr::random(rng)
}

/// An empty builder of k = 18 and a chip over it.
fn host() -> (BaseCircuitBuilder<Fr>, Chip) {
    let builder = BaseCircuitBuilder::new(false)
        .use_k(18)
        .use_lookup_bits(CHUNK_BITS)
        .use_instance_columns(1);
    let range = builder.range_chip();
    let chip = ForeignChip::over(VerticalPoints::new(range.clone()), range);
    (builder, chip)
}

/// `sum scalar point`, of constants if `fixed`.
fn sum(
    (builder, chip): (&mut BaseCircuitBuilder<Fr>, &mut Chip),
    pairs: &[(Fr, G1Affine)],
    fixed: bool,
) -> ForeignPoint {
    let manager = builder.pool(0);
    let scalars: Vec<_> = pairs
        .iter()
        .map(|(scalar, _)| manager.main().load_witness(*scalar))
        .collect();
    let points = pairs.iter().map(|(_, point)| *point);
    if fixed {
        let pairs: Vec<_> = scalars.iter().zip(points).collect();
        chip.fixed_base_msm(manager, &pairs)
    } else {
        let points: Vec<ForeignPoint> = points
            .map(|point| chip.assign_point(manager, point))
            .collect();
        let pairs: Vec<_> = scalars.iter().zip(&points).collect();
        chip.variable_base_msm(manager, &pairs)
    }
}
