//! The evaluation domain: 2^k rows, the powers of a root of unity w.
//!
//! Roots of unity are halo2curves', derived from the generator 7 of the scalar field's group (arkworks
//! uses 5, which gives other roots).

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, One, PrimeField, batch_inversion};

use super::{PlonkError, entry};
use crate::key::{KeyParts, index};

/// The generator of the multiplicative group halo2curves uses.
const GENERATOR: u64 = 7;

/// The largest k for which the field has a primitive 2^k-th root of unity.
const TWO_ADICITY: u32 = 28;

pub(super) struct Domain {
    rows: u64,
    omega: Fr,
    omega_inverse: Fr,
}

impl Domain {
    pub(super) fn new(parts: &KeyParts) -> Self {
        // w = (7^t)^(2^(28 - k)) where r - 1 = t 2^28, t odd.
        let mut omega = Fr::from(GENERATOR).pow(Fr::TRACE);
        for _ in parts.k..TWO_ADICITY {
            omega.square_in_place();
        }
        let rows = parts.rows();
        // w^(n - 1) = 1/w.
        let omega_inverse = omega.pow([rows.saturating_sub(1)]);
        Self {
            rows,
            omega,
            omega_inverse,
        }
    }

    /// `value` times w^rotation.
    fn rotate(&self, value: Fr, rotation: i64) -> Fr {
        let base = if rotation < 0 {
            &self.omega_inverse
        } else {
            &self.omega
        };
        value * base.pow([rotation.unsigned_abs()])
    }

    /// The domain seen from the evaluation point x; `None` if x is one of the rows.
    pub(super) fn at(self, x: Fr) -> Option<EvaluationPoint> {
        let power = x.pow([self.rows]);
        let vanishing = power - Fr::one();
        // Both are invertible unless x is a row.
        let vanishing_inverse = vanishing.inverse()?;
        let lagrange_factor = vanishing * Fr::from(self.rows).inverse()?;
        Some(EvaluationPoint {
            domain: self,
            x,
            power,
            vanishing_inverse,
            lagrange_factor,
        })
    }
}

/// A point outside the domain at which the polynomials are evaluated.
pub(super) struct EvaluationPoint {
    domain: Domain,
    /// x.
    pub(super) x: Fr,
    /// x^n.
    pub(super) power: Fr,
    /// 1/(x^n - 1).
    pub(super) vanishing_inverse: Fr,
    lagrange_factor: Fr,
}

/// The Lagrange polynomials the arguments need, at x.
pub(super) struct Boundaries {
    /// l_0, one in the first row.
    pub(super) first: Fr,
    /// l_last, one in the last row that is not blinded.
    pub(super) last: Fr,
    /// One in all rows before the last: 1 - (l_last + l_blind).
    pub(super) active: Fr,
}

impl EvaluationPoint {
    /// x w^rotation: where a query with this rotation is opened.
    pub(super) fn rotated(&self, rotation: i32) -> Fr {
        self.domain.rotate(self.x, rotation.into())
    }

    /// l_i(x) for consecutive rows i from `start`:
    /// l_i(x) = w^i (x^n - 1) / (n (x - w^i)).
    fn lagrange(&self, start: i64, count: usize) -> Vec<Fr> {
        let mut row = self.domain.rotate(Fr::one(), start);
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            rows.push(row);
            row *= self.domain.omega;
        }
        let mut values: Vec<Fr> = rows.iter().map(|row| self.x - row).collect();
        batch_inversion(&mut values);
        for (value, row) in values.iter_mut().zip(rows) {
            *value *= row * self.lagrange_factor;
        }
        values
    }

    /// The boundary polynomials of a key with these blinded rows.
    pub(super) fn boundaries(&self, parts: &KeyParts) -> Result<Boundaries, PlonkError> {
        // Rows -(b + 1) .. 0: the last row, then the b blinded ones, then the first row.
        let count = index(parts.blinding_factors).saturating_add(2);
        let values = self.lagrange(parts.last_rotation().into(), count);
        let [last, blind @ .., first] = values.as_slice() else {
            return Err(PlonkError::Internal {
                what: "the boundary polynomials",
            });
        };
        let blind: Fr = blind.iter().sum();
        Ok(Boundaries {
            first: *first,
            last: *last,
            active: Fr::one() - (*last + blind),
        })
    }

    /// Evaluates the instance columns at every instance query. The column with values v_j in its
    /// first rows, read at rotation r, is sum_j v_j l_j(x w^r) = sum_j v_j l_(j - r)(x).
    pub(super) fn instance_evaluations(
        &self,
        parts: &KeyParts,
        instances: &[Vec<Fr>],
    ) -> Result<Vec<Fr>, PlonkError> {
        let mut evaluations = Vec::with_capacity(parts.instance_queries.len());
        for query in &parts.instance_queries {
            let column = index(query.column);
            let values = instances.get(column).ok_or(PlonkError::Internal {
                what: "an instance query",
            })?;
            let lagrange = self.lagrange(-i64::from(query.rotation), values.len());
            let terms = values
                .iter()
                .zip(lagrange)
                .map(|(value, basis)| *value * basis);
            evaluations.push(terms.sum());
        }
        Ok(evaluations)
    }
}

/// The generator of halo2curves' cosets, 7^(2^28): column i of the permutation argument is
/// identified by the coset of its i-th power.
pub(super) fn coset_generator() -> Fr {
    let mut delta = Fr::from(GENERATOR);
    for _ in 0..TWO_ADICITY {
        delta.square_in_place();
    }
    delta
}

/// Powers of `base`, from its zeroth.
pub(crate) fn powers(base: Fr) -> impl Iterator<Item = Fr> {
    core::iter::successors(Some(Fr::one()), move |power| Some(*power * base))
}

/// Folds values with a challenge, the first getting its highest power.
pub(super) fn fold(values: impl IntoIterator<Item = Fr>, challenge: Fr) -> Fr {
    values
        .into_iter()
        .fold(Fr::ZERO, |sum, value| sum * challenge + value)
}

/// The value of a column at a query, by the position of the query.
pub(super) fn queried(values: &[Fr], position: Option<usize>) -> Result<Fr, PlonkError> {
    let what = "a query of a permutation column";
    position.map_or(Err(PlonkError::Internal { what }), |position| {
        entry(values, position, what)
    })
}

#[cfg(test)]
mod tests {
    use ark_ff::Zero;

    use super::*;

    /// halo2curves' constants for BN254: ROOT_OF_UNITY and DELTA.
    #[test]
    fn the_roots_are_halo2curves() {
        let hex = |limbs: [u64; 4]| Fr::from_bigint(ark_ff::BigInt::new(limbs)).unwrap();
        let root = hex([
            0xd34f_1ed9_60c3_7c9c,
            0x3215_cf6d_d393_29c8,
            0x9886_5ea9_3dd3_1f74,
            0x03dd_b9f5_166d_18b7,
        ]);
        assert_eq!(Fr::from(GENERATOR).pow(Fr::TRACE), root);
        let delta = hex([
            0x870e_56bb_e533_e9a2,
            0x5b5f_898e_5e96_3f25,
            0x64ec_26aa_d4c8_6e71,
            0x0922_6b6e_22c6_f0ca,
        ]);
        assert_eq!(coset_generator(), delta);
    }

    fn small_domain() -> Domain {
        let mut omega = Fr::from(GENERATOR).pow(Fr::TRACE);
        for _ in 3..TWO_ADICITY {
            omega.square_in_place();
        }
        Domain {
            rows: 8,
            omega,
            omega_inverse: omega.inverse().unwrap(),
        }
    }

    #[test]
    fn lagrange_values_interpolate_and_wrap_around() {
        let point = small_domain().at(Fr::from(1234_u64)).unwrap();
        let all = point.lagrange(0, 8);
        assert!(all.iter().sum::<Fr>().is_one());
        assert_eq!(point.lagrange(-2, 2), all[6..]);
        // sum_i w^i l_i(x) = x.
        let rows = powers(point.domain.omega);
        let sum: Fr = all.iter().zip(rows).map(|(value, row)| *value * row).sum();
        assert_eq!(sum, point.x);
    }

    #[test]
    fn a_row_is_no_evaluation_point() {
        assert!(small_domain().at(Fr::one()).is_none());
        let row = small_domain().rotate(Fr::one(), 3);
        assert!(small_domain().at(row).is_none());
        assert!(small_domain().at(Fr::zero()).is_some());
    }
}
