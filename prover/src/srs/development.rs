//! The insecure development string: everybody can recompute its secret, so everybody can forge
//! proofs under it.
//!
//! The secret is `s = SHA-512-wide reduction` of a fixed public sentence (below), so that every
//! machine has the same string, keys and proofs without a download. The powers and the Lagrange
//! scalars `L_i(s) = w^i (s^n - 1) / (n (s - w^i))` are computed in the field, with one batch
//! inversion per run, and only then multiplied onto the generator with [`FixedBase`]; no transform
//! over points is needed.

use ff::{BatchInvert, Field, FromUniformBytes, PrimeField};
use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2curves::group::Curve;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;
use sha2::{Digest, Sha512};

use super::fixed_base::FixedBase;

/// The public seed. Changing it changes every development key and proof.
const SEED: &[u8] = b"QUORATE/prover/insecure-development-string/v1";
/// Scalars computed from one starting power at a time.
const RUN: usize = 1 << 12;

/// The points of a string in both bases, and [s]_2.
pub(super) struct Points {
    /// `s^i G`.
    pub(super) g: Vec<G1Affine>,
    /// `L_i(s) G`.
    pub(super) g_lagrange: Vec<G1Affine>,
    /// `[s]_2`.
    pub(super) s_g2: G2Affine,
}

/// The secret that is none.
fn secret() -> Fr {
    let wide: [u8; 64] = Sha512::digest(SEED).into();
    Fr::from_uniform_bytes(&wide)
}

/// `[s]_2` of the development string, which gives any copy of it away.
pub(super) fn s_g2() -> G2Affine {
    (G2Affine::generator() * secret()).to_affine()
}

/// Generates the string for `2^k` rows.
pub(super) fn generate(k: u32) -> Points {
    let s = secret();
    let table = FixedBase::new(G1Affine::generator());
    Points {
        g: table.multiply_all(&powers(s, 1 << k)),
        g_lagrange: table.multiply_all(&lagrange_scalars(s, k)),
        s_g2: s_g2(),
    }
}

/// `1, s, s^2, ..`
fn powers(s: Fr, count: usize) -> Vec<Fr> {
    let mut powers = vec![Fr::ZERO; count];
    powers
        .par_chunks_mut(RUN)
        .enumerate()
        .for_each(|(run, slots)| {
            let mut current = s.pow_vartime([(run * RUN) as u64]);
            for slot in slots {
                *slot = current;
                current *= s;
            }
        });
    powers
}

/// `L_i(s)` over the roots of unity of order `2^k`.
fn lagrange_scalars(s: Fr, k: u32) -> Vec<Fr> {
    let n = 1u64 << k;
    let omega = (k..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square());
    let vanishing = s.pow_vartime([n]) - Fr::ONE;
    assert_ne!(vanishing, Fr::ZERO, "the fixed secret is no root of unity");
    let scale = vanishing * Fr::TWO_INV.pow_vartime([u64::from(k)]);
    let mut scalars = vec![Fr::ZERO; 1 << k];
    scalars
        .par_chunks_mut(RUN)
        .enumerate()
        .for_each(|(run, slots)| {
            let first = omega.pow_vartime([(run * RUN) as u64]);
            let mut root = first;
            for slot in slots.iter_mut() {
                *slot = s - root;
                root *= omega;
            }
            slots.iter_mut().batch_invert();
            let mut numerator = first * scale;
            for slot in slots {
                *slot *= numerator;
                numerator *= omega;
            }
        });
    scalars
}

#[cfg(test)]
mod tests {
    use ff::Field;
    use halo2_proofs::poly::EvaluationDomain;
    use halo2curves::bn256::Fr;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::{lagrange_scalars, powers, secret};

    #[test]
    fn lagrange_scalars_evaluate_a_polynomial_at_the_secret() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        for k in [1, 4, 13] {
            let domain = EvaluationDomain::<Fr>::new(1, k);
            let values: Vec<Fr> = (0..1 << k).map(|_| Fr::random(&mut rng)).collect();
            let coefficients = domain.lagrange_to_coeff(domain.lagrange_from_vec(values.clone()));
            let dot = |a: &[Fr], b: &[Fr]| a.iter().zip(b).map(|(a, b)| a * b).sum::<Fr>();
            assert_eq!(
                dot(&values, &lagrange_scalars(secret(), k)),
                dot(&coefficients, &powers(secret(), 1 << k)),
            );
        }
    }
}
