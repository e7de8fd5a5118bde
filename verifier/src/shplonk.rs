//! SHPLONK: many polynomials opened at many points, with two commitments and one pairing check.
//!
//! Source: "Efficient polynomial commitment schemes for multiple points and polynomials" (Boneh,
//! Drake, Fisch, Gabizon; eprint 2020/081), section 4, in the form of halo2-axiom 0.5.3
//! `poly/kzg/multiopen/shplonk`. In the paper's words, with f_j the polynomials, S_j the points f_j
//! is opened at, r_j the polynomial of least degree with the claimed values on S_j, T the union of
//! all S_j, and Z_S the polynomial that vanishes on S:
//!
//! 1. the prover commits to W = sum_j c_j Z_(T\S_j) (f_j - r_j) / Z_T;
//! 2. the verifier draws u; the prover commits to W' = L / (X - u) for
//!    L = sum_j c_j Z_(T\S_j)(u) (f_j - r_j(u)) - Z_T(u) W;
//! 3. the verifier checks e(W', `[s]_2`) = e(F + u W', `[1]_2`) for the commitment F to L.
//!
//! # Deviations
//!
//! * The paper's one challenge is two: polynomials opened at the same set of points are folded with
//!   powers of y, the sets with powers of v (c_j = v^set y^position).
//! * The claim of an accumulator joins step 3, times a challenge drawn after W' (see
//!   [`crate::plonk::verify_accumulating`]).
//! * L is divided by Z_(T\S_0)(u), with S_0 the first set, which makes the factor of W the small
//!   Z_(S_0)(u).

use std::collections::{BTreeMap, BTreeSet};

use ark_bn254::{Bn254, Fq, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, One, Zero};

use crate::accumulator::Accumulator;
use crate::key::KeyParts;
use crate::plonk::{Openings, PlonkError, powers};
use crate::transcript::Transcript;

const INTERNAL: PlonkError = PlonkError::Internal {
    what: "the multi-opening",
};

/// Reads the two commitments of the opening argument and decides it, with the accumulator's claim if
/// there is one.
pub(crate) fn verify(
    transcript: &mut Transcript<'_>,
    openings: &Openings,
    parts: &KeyParts,
    accumulator: Option<&Accumulator>,
) -> Result<(), PlonkError> {
    check_conflicts(openings)?;
    let sets = group(openings)?;
    let all_points: BTreeSet<Fr> = openings.claims.iter().map(|claim| claim.point).collect();

    let y = transcript.challenge();
    let v = transcript.challenge();
    let w = transcript.read_point()?;
    let u = transcript.challenge();
    let w_prime = transcript.read_point()?;
    transcript.finish()?;

    let mut terms = Terms::default();
    let mut constant = Fr::ZERO;
    let mut scale = Fr::one();
    let mut first_vanishing = Fr::ZERO;
    for (position, (set, v_power)) in sets.iter().zip(powers(v)).enumerate() {
        let others = all_points.difference(&set.points).copied();
        let complement = vanishing(others, u);
        if position == 0 {
            scale = complement
                .inverse()
                .ok_or(PlonkError::DegenerateChallenge)?;
            first_vanishing = vanishing(set.points.iter().copied(), u);
        }
        let set_factor = v_power * complement * scale;
        let basis = lagrange_basis(&set.points, u)?;
        for (member, y_power) in set.members.iter().zip(powers(y)) {
            let factor = set_factor * y_power;
            let polynomial = openings
                .polynomials
                .get(member.polynomial)
                .ok_or(INTERNAL)?;
            for (coefficient, commitment) in polynomial {
                terms.add(factor * coefficient, *commitment);
            }
            // r_j(u), by the values on the set in the order of its points.
            let value: Fr = member
                .values
                .values()
                .zip(&basis)
                .map(|(r, l)| *r * l)
                .sum();
            constant += factor * value;
        }
    }
    terms.add(-constant, parts.g1);
    terms.add(-first_vanishing, w);
    terms.add(u, w_prime);

    let mut left = w_prime.into_group();
    if let Some(Accumulator { lhs, rhs }) = accumulator {
        let fold = transcript.challenge();
        left += *rhs * fold;
        terms.add(fold, *lhs);
    }

    // e(W' + f rhs, [s]_2) e(-(F + u W' + f lhs), [1]_2) = 1
    let right = -terms.sum()?;
    let check = Bn254::multi_pairing(
        [left.into_affine(), right.into_affine()],
        [parts.s_g2, G2Affine::generator()],
    );
    if check.is_zero() {
        Ok(())
    } else {
        Err(PlonkError::Refused)
    }
}

/// Refuses two claims on one polynomial at one point, and two claims on equal commitments at one
/// point with different values. The first would let an implementation that keeps one claim of each
/// pair drop the other; a key's checks exclude it, so it is a second line. The second is false by
/// the binding of commitments, whatever the opening argument says.
fn check_conflicts(openings: &Openings) -> Result<(), PlonkError> {
    let mut places = BTreeSet::new();
    let mut values: BTreeMap<(Option<(Fq, Fq)>, Fr), Fr> = BTreeMap::new();
    for claim in &openings.claims {
        if !places.insert((claim.polynomial, claim.point)) {
            return Err(PlonkError::ConflictingOpenings);
        }
        let polynomial = openings.polynomials.get(claim.polynomial).ok_or(INTERNAL)?;
        // The quotient is a combination and has no commitment of its own to compare.
        if let [(_, commitment)] = polynomial.as_slice() {
            let previous = values.insert((commitment.xy(), claim.point), claim.value);
            if previous.is_some_and(|value| value != claim.value) {
                return Err(PlonkError::ConflictingOpenings);
            }
        }
    }
    Ok(())
}

/// A polynomial in a set, with its claimed values in the order of the set's points.
struct Member {
    polynomial: usize,
    values: BTreeMap<Fr, Fr>,
}

/// The polynomials that are opened at exactly these points.
struct PointSet {
    points: BTreeSet<Fr>,
    members: Vec<Member>,
}

/// Groups polynomials by the set of points they are opened at. Polynomials stand in the order of
/// their first claim, sets in the order of their first polynomial.
fn group(openings: &Openings) -> Result<Vec<PointSet>, PlonkError> {
    let mut members: Vec<Member> = Vec::new();
    let mut positions = BTreeMap::new();
    for claim in &openings.claims {
        let position = *positions.entry(claim.polynomial).or_insert_with(|| {
            members.push(Member {
                polynomial: claim.polynomial,
                values: BTreeMap::new(),
            });
            members.len().saturating_sub(1)
        });
        members
            .get_mut(position)
            .ok_or(INTERNAL)?
            .values
            .insert(claim.point, claim.value);
    }
    let mut sets: Vec<PointSet> = Vec::new();
    for member in members {
        let points: BTreeSet<Fr> = member.values.keys().copied().collect();
        match sets.iter_mut().find(|set| set.points == points) {
            Some(set) => set.members.push(member),
            None => sets.push(PointSet {
                points,
                members: vec![member],
            }),
        }
    }
    Ok(sets)
}

/// Z_S(u) for the points S.
fn vanishing(points: impl Iterator<Item = Fr>, u: Fr) -> Fr {
    points.map(|point| u - point).product()
}

/// The Lagrange polynomials of a set of points, in their order, at u.
fn lagrange_basis(points: &BTreeSet<Fr>, u: Fr) -> Result<Vec<Fr>, PlonkError> {
    let mut basis = Vec::with_capacity(points.len());
    for point in points {
        let others = || points.iter().filter(|other| *other != point);
        let numerator: Fr = others().map(|other| u - other).product();
        let denominator: Fr = others().map(|other| *point - other).product();
        basis.push(numerator * denominator.inverse().ok_or(INTERNAL)?);
    }
    Ok(basis)
}

/// A sum of commitments with coefficients.
#[derive(Default)]
struct Terms {
    scalars: Vec<Fr>,
    points: Vec<G1Affine>,
}

impl Terms {
    fn add(&mut self, scalar: Fr, point: G1Affine) {
        self.scalars.push(scalar);
        self.points.push(point);
    }

    fn sum(&self) -> Result<G1Projective, PlonkError> {
        G1Projective::msm(&self.points, &self.scalars).map_err(|_| INTERNAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plonk::Claim;

    fn openings(claims: &[(usize, u64, u64)]) -> Openings {
        let generator = G1Affine::generator();
        let point = |i: u64| vec![(Fr::one(), (generator * Fr::from(i)).into_affine())];
        Openings {
            // Polynomials 0 and 1 have equal commitments.
            polynomials: vec![point(5), point(5), point(6)],
            claims: claims
                .iter()
                .map(|(polynomial, at, value)| Claim {
                    polynomial: *polynomial,
                    point: Fr::from(*at),
                    value: Fr::from(*value),
                })
                .collect(),
        }
    }

    #[test]
    fn one_polynomial_opened_twice_at_one_point_is_refused() {
        let conflict = Err(PlonkError::ConflictingOpenings);
        assert_eq!(
            check_conflicts(&openings(&[(0, 1, 9), (0, 1, 8)])),
            conflict
        );
        assert_eq!(
            check_conflicts(&openings(&[(0, 1, 9), (2, 1, 9), (0, 1, 9)])),
            conflict
        );
        assert_eq!(
            check_conflicts(&openings(&[(0, 1, 9), (0, 2, 8), (2, 1, 7)])),
            Ok(())
        );
    }

    #[test]
    fn equal_commitments_opened_to_two_values_are_refused() {
        let conflict = Err(PlonkError::ConflictingOpenings);
        assert_eq!(
            check_conflicts(&openings(&[(0, 1, 9), (1, 1, 8)])),
            conflict
        );
        assert_eq!(check_conflicts(&openings(&[(0, 1, 9), (1, 1, 9)])), Ok(()));
        assert_eq!(check_conflicts(&openings(&[(0, 1, 9), (1, 2, 8)])), Ok(()));
    }

    #[test]
    fn sets_are_ordered_by_first_appearance_and_ignore_the_order_of_claims() {
        let sets = group(&openings(&[
            (2, 4, 0),
            (0, 2, 0),
            (1, 1, 0),
            (0, 1, 0),
            (1, 2, 0),
        ]))
        .unwrap();
        let members: Vec<Vec<usize>> = sets
            .iter()
            .map(|s| s.members.iter().map(|m| m.polynomial).collect())
            .collect();
        assert_eq!(members, [vec![2], vec![0, 1]]);
    }

    #[test]
    fn the_basis_interpolates() {
        let points: BTreeSet<Fr> = [3_u64, 5, 8].map(Fr::from).into();
        let u = Fr::from(100_u64);
        let basis = lagrange_basis(&points, u).unwrap();
        let square: Fr = points.iter().zip(&basis).map(|(p, l)| p.square() * l).sum();
        assert_eq!(square, u.square());
    }
}
