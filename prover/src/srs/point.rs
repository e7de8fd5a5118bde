//! Points of BN254 as other programs write them, decoded strictly.
//!
//! snarkjs and halo2's raw form agree on the layout: affine coordinates, each of 32 little-endian
//! bytes in Montgomery form (R = 2^256), a coordinate of the quadratic extension as `c0` then `c1`.
//! A decoded point has canonical coordinates (below the modulus), lies on the curve and is not the
//! identity.
//!
//! What it does not do: it makes no subgroup check. G1 has none to make (its cofactor is 1); for G2
//! that is `srs::ratio`'s work.
//!
//! Why not `SerdeFormat::RawBytes`: in halo2curves-axiom 0.7.3 its reader checks the coordinates
//! but, for affine points, not the curve equation.

use ff::PrimeField;
use halo2curves::bn256::{G1Affine, G2Affine};
use halo2curves::group::GroupEncoding;
use halo2curves::group::prime::PrimeCurveAffine;
use halo2curves::serde::SerdeObject;
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

/// Bytes of an uncompressed G1 point.
pub(super) const G1_BYTES: usize = 64;
/// Bytes of an uncompressed G2 point.
pub(super) const G2_BYTES: usize = 128;
/// Bytes of a compressed G1 point in halo2's processed form.
pub(super) const G1_COMPRESSED_BYTES: usize = 32;
/// Bytes of a compressed G2 point in halo2's processed form.
pub(super) const G2_COMPRESSED_BYTES: usize = 64;

/// A point type that this module can decode.
pub(super) trait Point: PrimeCurveAffine + SerdeObject + Send + Sync {
    /// Bytes of the raw form.
    const BYTES: usize;
}

impl Point for G1Affine {
    const BYTES: usize = G1_BYTES;
}

impl Point for G2Affine {
    const BYTES: usize = G2_BYTES;
}

/// Decodes one raw point; `None` for a non-canonical coordinate, a point off the curve, the
/// identity or a wrong length.
pub(super) fn decode<P: Point>(bytes: &[u8]) -> Option<P> {
    P::from_raw_bytes(bytes).filter(|point| !bool::from(point.is_identity()))
}

/// Decodes a run of raw points, in parallel.
///
/// # Errors
/// The index of the first byte group that is not a point.
pub(super) fn decode_all<P: Point>(bytes: &[u8]) -> Result<Vec<P>, usize> {
    collect(bytes.par_chunks(P::BYTES).map(decode::<P>).collect())
}

/// Decodes one point of halo2's processed (compressed) form; refuses what [`decode`] refuses.
pub(super) fn decompress<P: GroupEncoding + PrimeCurveAffine>(bytes: &[u8]) -> Option<P> {
    let mut repr = <P as GroupEncoding>::Repr::default();
    if repr.as_ref().len() != bytes.len() {
        return None;
    }
    repr.as_mut().copy_from_slice(bytes);
    let point: P = Option::from(P::from_bytes(&repr))?;
    // One encoding per point: a decoder that ignores a bit would let two files mean one string.
    let canonical = point.to_bytes().as_ref() == bytes;
    (canonical && !bool::from(point.is_identity())).then_some(point)
}

/// Decodes a run of compressed G1 points, in parallel.
///
/// # Errors
/// The index of the first byte group that is not a point.
pub(super) fn decompress_all(bytes: &[u8]) -> Result<Vec<G1Affine>, usize> {
    collect(
        bytes
            .par_chunks(G1_COMPRESSED_BYTES)
            .map(decompress::<G1Affine>)
            .collect(),
    )
}

/// Canonical bytes of a G2 point: `x.c0, x.c1, y.c0, y.c1`, each 32 bytes little-endian, **not** in
/// Montgomery form.
pub(super) fn canonical_g2(point: &G2Affine) -> [u8; G2_BYTES] {
    let mut bytes = [0u8; G2_BYTES];
    let coordinates = [point.x.c0, point.x.c1, point.y.c0, point.y.c1];
    for (slot, coordinate) in bytes.chunks_exact_mut(32).zip(coordinates) {
        slot.copy_from_slice(coordinate.to_repr().as_ref());
    }
    bytes
}

fn collect<P>(points: Vec<Option<P>>) -> Result<Vec<P>, usize> {
    match points.iter().position(Option::is_none) {
        Some(index) => Err(index),
        None => Ok(points.into_iter().flatten().collect()),
    }
}

#[cfg(test)]
mod tests {
    use ff::Field;
    use halo2curves::bn256::{Fq, Fr, G1, G1Affine, G2, G2Affine};
    use halo2curves::group::{Curve, Group, GroupEncoding, prime::PrimeCurveAffine};
    use halo2curves::serde::SerdeObject;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::{decode, decode_all, decompress};

    #[test]
    fn honest_points_survive_both_forms() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for _ in 0..20 {
            let g1 = G1::random(&mut rng).to_affine();
            let g2 = (G2::generator() * Fr::random(&mut rng)).to_affine();
            assert_eq!(decode(&g1.to_raw_bytes()), Some(g1));
            assert_eq!(decode(&g2.to_raw_bytes()), Some(g2));
            assert_eq!(decompress(g1.to_bytes().as_ref()), Some(g1));
            assert_eq!(decompress(g2.to_bytes().as_ref()), Some(g2));
        }
    }

    #[test]
    fn coordinate_above_the_modulus_is_refused() {
        // q in little-endian limbs; x + q still fits 256 bits for small x and names the same
        // residue.
        let modulus = [
            0x3c20_8c16_d87c_fd47_u64,
            0x9781_6a91_6871_ca8d,
            0xb850_45b6_8181_585d,
            0x3064_4e72_e131_a029,
        ];
        let honest = G1Affine::generator().to_raw_bytes();
        assert!(decode::<G1Affine>(&honest).is_some());
        for coordinate in 0..2 {
            let mut bytes = honest.clone();
            let mut carry = 0u128;
            for (limb, added) in bytes[coordinate * 32..][..32]
                .chunks_exact_mut(8)
                .zip(modulus)
            {
                let value = u64::from_le_bytes(limb.try_into().expect("eight bytes"));
                let sum = u128::from(value) + u128::from(added) + carry;
                limb.copy_from_slice(&(sum as u64).to_le_bytes());
                carry = sum >> 64;
            }
            assert_eq!(carry, 0, "the sum still fits");
            assert!(decode::<G1Affine>(&bytes).is_none());
        }
    }

    #[test]
    fn off_curve_identity_and_wrong_length_are_refused() {
        let mut off = G1Affine::generator();
        off.y += Fq::ONE;
        assert!(decode::<G1Affine>(&off.to_raw_bytes()).is_none());
        assert!(decode::<G1Affine>(&[0; 64]).is_none());
        assert!(decode::<G2Affine>(&[0; 128]).is_none());
        assert!(decode::<G1Affine>(&[0; 63]).is_none());
        let mut bytes = G1Affine::generator().to_raw_bytes();
        bytes.extend_from_slice(&off.to_raw_bytes());
        assert_eq!(decode_all::<G1Affine>(&bytes), Err(1));
        assert!(decompress::<G1Affine>(G1Affine::identity().to_bytes().as_ref()).is_none());
        assert!(decompress::<G1Affine>(&[0xff; 32]).is_none());
    }
}
