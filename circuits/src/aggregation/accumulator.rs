//! An accumulator in an instance: two points as limbs, and the folding of several into one.
//!
//! `lhs.x, lhs.y, rhs.x, rhs.y`, each coordinate three limbs of 88 bits, least significant first. It claims
//! `e(lhs, [1]_2) = e(rhs, [s]_2)`. Folding takes a random combination whose challenge is drawn from the accumulators
//! themselves (Poseidon transcript), so that the sum holds only if each does, but for a chance of `n / p`.

use halo2_base::AssignedValue;
use halo2curves::bn256::{Bn256, Fq, Fr, G1Affine};
use halo2curves::ff::PrimeField;
use snark_verifier::pcs::AccumulationScheme;
use snark_verifier::pcs::kzg::{Bdfg21, KzgAccumulator, KzgAs, LimbsEncoding};

use super::recursion::transcript;
use super::{AggregationError, CurveChip, Loader};

/// Limbs of a coordinate.
pub const LIMBS: usize = 3;
/// Bits of a limb.
pub const LIMB_BITS: usize = 88;
/// Public inputs that an accumulator takes.
pub const ACCUMULATOR_LIMBS: usize = 4 * LIMBS;

/// SHPLONK (BDFG21) over KZG on BN254: what halo2 proves with.
pub(super) type Scheme = KzgAs<Bn256, Bdfg21>;
/// How accumulators stand in instances.
pub(super) type Encoding = LimbsEncoding<LIMBS, LIMB_BITS>;
/// An accumulator inside a circuit.
pub(super) type Accumulator<E> = KzgAccumulator<G1Affine, Loader<E>>;

/// The limbs of an accumulator's two points.
#[must_use]
pub fn limbs_of(lhs: &G1Affine, rhs: &G1Affine) -> [Fr; ACCUMULATOR_LIMBS] {
    let mut all = [Fr::zero(); ACCUMULATOR_LIMBS];
    let coordinates = [lhs.x, lhs.y, rhs.x, rhs.y];
    for (limbs, coordinate) in all.chunks_exact_mut(LIMBS).zip(coordinates) {
        limbs.copy_from_slice(&coordinate_limbs(&coordinate));
    }
    all
}

fn coordinate_limbs(coordinate: &Fq) -> [Fr; LIMBS] {
    let bytes = coordinate.to_repr(); // little-endian
    let mut limbs = [Fr::zero(); LIMBS];
    for (limb, bytes) in limbs.iter_mut().zip(bytes.as_ref().chunks(LIMB_BITS / 8)) {
        *limb = bytes.iter().rev().fold(Fr::zero(), |sum, byte| {
            sum * Fr::from(256) + Fr::from(u64::from(*byte))
        });
    }
    limbs
}

/// One accumulator that holds only if all do.
pub(super) fn fold<E: CurveChip>(
    loader: &Loader<E>,
    all: Vec<Accumulator<E>>,
) -> Result<Accumulator<E>, AggregationError> {
    let unreadable = |error: snark_verifier::Error| AggregationError::InvalidProof {
        which: "accumulation",
        reason: format!("{error:?}"),
    };
    if all.len() == 1 {
        // nothing to combine: the one there is stands for itself
        return all
            .into_iter()
            .next()
            .ok_or(AggregationError::Unconnected("no accumulator"));
    }
    let mut transcript = transcript(loader, &[]);
    let key = Default::default();
    let proof = Scheme::read_proof(&key, &all, &mut transcript).map_err(unreadable)?;
    Scheme::verify(&key, &all, &proof).map_err(unreadable)
}

/// The cells of an accumulator's limbs, for the instance.
pub(super) fn limb_cells<E: CurveChip>(
    loader: &Loader<E>,
    accumulator: &Accumulator<E>,
) -> Vec<AssignedValue<Fr>> {
    let points = [&accumulator.lhs, &accumulator.rhs];
    let limbs = points.map(|point| {
        let assigned = point.assigned();
        loader
            .ecc_chip()
            .assign_ec_point_to_limbs(&mut loader.ctx_mut(), assigned)
    });
    limbs.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use halo2curves::ff::Field;

    #[test]
    fn limbs_recompose_to_the_coordinates() {
        let point = G1Affine::generator();
        let limbs = limbs_of(&point, &-point);
        let radix = Fq::from(2).pow([88]);
        for (limbs, coordinate) in limbs
            .chunks_exact(LIMBS)
            .zip([point.x, point.y, point.x, -point.y])
        {
            let mut sum = Fq::zero();
            for limb in limbs.iter().rev() {
                let mut bytes = [0; 32];
                bytes.copy_from_slice(limb.to_repr().as_ref());
                assert!(bytes[11..].iter().all(|byte| *byte == 0));
                sum = sum * radix + Fq::from_bytes(&bytes).unwrap();
            }
            assert_eq!(sum, coordinate);
        }
    }
}
