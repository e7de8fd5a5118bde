//! Are these points the powers of one secret? One pairing equation per list, over a random linear
//! combination.
//!
//! For a list `P_0 .. P_m` the check draws random `r_0 .. r_(m-1)` and compares `e(sum r_i P_(i+1),
//! [1]_2) = e(sum r_i P_i, [s]_2)`. If any `P_(i+1) != s P_i`, the two sides differ but for
//! probability 1/r, since G1 and the checked part of G2 have prime order r (Schwartz-Zippel). Lists
//! longer than memory arrive in chunks that overlap by one point.
//!
//! What it does not do: it cannot tell who knows s. That is what `srs::ceremony` is for.

use ff::Field;
use halo2_proofs::arithmetic::best_multiexp;
use halo2curves::CurveAffine;
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine, G2, G2Affine};
use halo2curves::group::cofactor::CofactorGroup;

use halo2curves::group::{Curve, Group};
use halo2curves::pairing::{MillerLoopResult, MultiMillerLoop};
use rand::{CryptoRng, RngCore};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

/// Both sides of the equation for one list, built up chunk by chunk.
#[derive(Debug)]
pub(super) struct PowerSums<C: CurveAffine> {
    /// Sum of `r_i P_i`.
    lower: C::CurveExt,
    /// Sum of `r_i P_(i+1)`.
    upper: C::CurveExt,
    /// Last point of the previous chunk: its successor is the next chunk's first.
    last: Option<C>,
}

impl<C: CurveAffine<ScalarExt = Fr>> PowerSums<C> {
    /// No points yet.
    pub(super) fn new() -> Self {
        Self {
            lower: C::CurveExt::identity(),
            upper: C::CurveExt::identity(),
            last: None,
        }
    }

    /// Adds the next points of the list. None of them may be the identity (`srs::point` refuses
    /// it).
    pub(super) fn add(&mut self, points: &[C], rng: &mut (impl RngCore + CryptoRng)) {
        let Some(last_new) = points.last() else {
            return;
        };
        if let (Some(last), Some(first)) = (self.last, points.first()) {
            let weight = Fr::random(&mut *rng);
            self.lower += last * weight;
            self.upper += *first * weight;
        }
        let pairs = points.len() - 1;
        if pairs > 0 {
            let weights: Vec<Fr> = (0..pairs).map(|_| Fr::random(&mut *rng)).collect();
            self.lower += best_multiexp(&weights, &points[..pairs]);
            self.upper += best_multiexp(&weights, &points[1..]);
        }
        self.last = Some(*last_new);
    }
}

impl PowerSums<G1Affine> {
    /// Whether every point was s times its predecessor, with s given by `s_g2`.
    pub(super) fn hold_for(&self, s_g2: &G2Affine) -> bool {
        pairs_equal(
            (&self.upper.to_affine(), &G2Affine::generator()),
            (&self.lower.to_affine(), s_g2),
        )
    }
}

impl PowerSums<G2Affine> {
    /// Whether every point was s times its predecessor, with s given by `s_g1`, and the list lies
    /// in the subgroup.
    ///
    /// The pairing cannot see a component outside the subgroup, so the combination itself is
    /// checked: a stray component of order d is missed with probability 1/d, and the smallest
    /// factor of the cofactor is 10,069. Only `[s]_2` is ever used from such a list, and that point
    /// is checked exactly.
    pub(super) fn hold_for(&self, s_g1: &G1Affine) -> bool {
        is_in_subgroup(&self.lower)
            && is_in_subgroup(&self.upper)
            && pairs_equal(
                (&G1Affine::generator(), &self.upper.to_affine()),
                (s_g1, &self.lower.to_affine()),
            )
    }
}

/// Whether the order of a G2 point divides the group order r (an exact check: one multiplication by
/// r).
pub(super) fn is_in_subgroup(point: &G2) -> bool {
    point.is_torsion_free().into()
}

/// Whether `e(a.0, a.1) = e(b.0, b.1)`.
pub(super) fn pairs_equal(a: (&G1Affine, &G2Affine), b: (&G1Affine, &G2Affine)) -> bool {
    let negated = -*a.0;
    let terms = [(&negated, &(*a.1).into()), (b.0, &(*b.1).into())];
    bool::from(
        Bn256::multi_miller_loop(&terms)
            .final_exponentiation()
            .is_identity(),
    )
}

/// Whether `lagrange` is the Lagrange form of the powers `g`, by one random polynomial committed in
/// both forms.
///
/// `evaluations` are the polynomial's values at the roots of unity, `coefficients` the same
/// polynomial.
pub(super) fn is_lagrange_form(
    (evaluations, lagrange): (&[Fr], &[G1Affine]),
    (coefficients, powers): (&[Fr], &[G1Affine]),
) -> bool {
    best_multiexp(evaluations, lagrange) == best_multiexp(coefficients, powers)
}

/// The sum of all points, in parallel.
pub(super) fn sum(points: &[G1Affine]) -> G1 {
    points
        .into_par_iter()
        .with_min_len(1 << 10)
        .fold(G1::identity, |sum, point| sum + point)
        .sum()
}
