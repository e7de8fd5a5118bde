//! Many multiples of one G1 point: a table of windows, then one mixed addition per window and
//! scalar.
//!
//! Window `j` of the table holds `d 2^(wj) P` for `d = 1 .. 2^w - 1`; a scalar is cut into digits
//! of `w` bits and one entry per nonzero digit is added. With w = 10 that is at most 26 additions
//! and a table of 1.7 MB, which stays in cache. The scalars here are public, so nothing is done in
//! constant time.

use ff::PrimeField;
use halo2curves::bn256::{Fr, G1, G1Affine};
use halo2curves::group::prime::PrimeCurveAffine;
use halo2curves::group::{Curve, Group};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

/// Bits of one window.
const WINDOW_BITS: usize = 10;
/// Windows that cover a scalar.
const WINDOW_COUNT: usize = (Fr::NUM_BITS as usize).div_ceil(WINDOW_BITS);
/// Scalars turned into affine points at a time: one field inversion for all of them.
const BATCH: usize = 1 << 10;

/// Table of one base point.
pub(super) struct FixedBase {
    /// `windows[j][d - 1] = d 2^(w j) P`.
    windows: Vec<Vec<G1Affine>>,
}

impl FixedBase {
    /// Builds the table: about 26,000 additions.
    pub(super) fn new(base: G1Affine) -> Self {
        let mut window_bases = Vec::with_capacity(WINDOW_COUNT);
        let mut current = base.to_curve();
        for _ in 0..WINDOW_COUNT {
            window_bases.push(current);
            for _ in 0..WINDOW_BITS {
                current = current.double();
            }
        }
        let windows = window_bases
            .par_iter()
            .map(|base| multiples(*base))
            .collect();
        Self { windows }
    }

    /// `scalar P` for each scalar, in order, in affine form, in parallel.
    pub(super) fn multiply_all(&self, scalars: &[Fr]) -> Vec<G1Affine> {
        let mut points = vec![G1Affine::identity(); scalars.len()];
        points
            .par_chunks_mut(BATCH)
            .zip(scalars.par_chunks(BATCH))
            .for_each(|(points, scalars)| {
                let projective: Vec<G1> =
                    scalars.iter().map(|scalar| self.multiply(scalar)).collect();
                G1::batch_normalize(&projective, points);
            });
        points
    }

    fn multiply(&self, scalar: &Fr) -> G1 {
        let repr = scalar.to_repr();
        let mut sum = G1::identity();
        for (index, window) in self.windows.iter().enumerate() {
            let digit = digit(repr.as_ref(), index);
            if let Some(entry) = digit.checked_sub(1).and_then(|entry| window.get(entry)) {
                sum += entry;
            }
        }
        sum
    }
}

/// `P, 2P, .., (2^w - 1) P` in affine form.
fn multiples(base: G1) -> Vec<G1Affine> {
    let affine = base.to_affine();
    let mut projective = Vec::with_capacity((1 << WINDOW_BITS) - 1);
    let mut current = base;
    for _ in 1..1 << WINDOW_BITS {
        projective.push(current);
        current += affine;
    }
    let mut points = vec![G1Affine::identity(); projective.len()];
    G1::batch_normalize(&projective, &mut points);
    points
}

/// Digit `index` of a little-endian number in base `2^w`.
fn digit(bytes: &[u8], index: usize) -> usize {
    let first_bit = index * WINDOW_BITS;
    let mut value = 0usize;
    // A window of 10 bits touches at most three bytes.
    for (position, byte) in bytes.iter().skip(first_bit / 8).take(3).enumerate() {
        value |= usize::from(*byte) << (8 * position);
    }
    (value >> (first_bit % 8)) & ((1 << WINDOW_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use ff::Field;
    use halo2curves::bn256::{Fr, G1Affine};
    use halo2curves::group::Curve;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::{BATCH, FixedBase};

    #[test]
    fn multiples_equal_ordinary_multiplication() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let base = (G1Affine::generator() * Fr::from(7)).to_affine();
        let table = FixedBase::new(base);
        let mut scalars = vec![
            Fr::ZERO,
            Fr::ONE,
            -Fr::ONE,
            Fr::from(1023),
            Fr::from(1024),
            Fr::from(1025),
            Fr::from(u64::MAX),
        ];
        scalars.resize_with(BATCH + 5, || Fr::random(&mut rng));
        let expected: Vec<_> = scalars.iter().map(|s| (base * s).to_affine()).collect();
        assert_eq!(table.multiply_all(&scalars), expected);
    }
}
