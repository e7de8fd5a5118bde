//! Which polynomial is opened where, to what.
//!
//! The order is halo2-axiom's: advice queries, permutation products, lookups, fixed queries,
//! permutation polynomials, quotient, random polynomial. It decides the order of the commitments
//! in the multi-opening.

use ark_bn254::{Fr, G1Affine};
use ark_ff::One;

use super::domain::{EvaluationPoint, powers};
use super::messages::{Commitments, Evaluations};
use super::{PlonkError, entry};
use crate::key::{KeyParts, Query, index};

/// A polynomial, as a linear combination of commitments.
pub(crate) type Combination = Vec<(Fr, G1Affine)>;

/// The claim that a polynomial has a value at a point.
pub(crate) struct Claim {
    /// Position in [`Openings::polynomials`].
    pub(crate) polynomial: usize,
    /// Where it is opened.
    pub(crate) point: Fr,
    /// To what.
    pub(crate) value: Fr,
}

/// All claims of one proof. Polynomials are told apart by their position, never by the value of
/// their commitment: two columns may well have equal commitments.
#[derive(Default)]
pub(crate) struct Openings {
    pub(crate) polynomials: Vec<Combination>,
    pub(crate) claims: Vec<Claim>,
}

impl Openings {
    fn add(&mut self, commitment: Combination) -> usize {
        self.polynomials.push(commitment);
        self.polynomials.len().saturating_sub(1)
    }

    fn add_all(&mut self, commitments: &[G1Affine]) -> Vec<usize> {
        commitments
            .iter()
            .map(|point| self.add(vec![(Fr::one(), *point)]))
            .collect()
    }

    fn claim(&mut self, polynomial: usize, point: Fr, value: Fr) {
        self.claims.push(Claim {
            polynomial,
            point,
            value,
        });
    }

    fn claim_queries(
        &mut self,
        point: &EvaluationPoint,
        columns: &[usize],
        queries: &[Query],
        values: &[Fr],
    ) -> Result<(), PlonkError> {
        for (query, value) in queries.iter().zip(values) {
            let polynomial = entry(columns, index(query.column), "an opening of a column")?;
            self.claim(polynomial, point.rotated(query.rotation), *value);
        }
        Ok(())
    }
}

/// Lists every claim of a proof; `quotient` is the value the constraints give for h(x).
pub(super) fn list(
    parts: &KeyParts,
    point: &EvaluationPoint,
    commitments: &Commitments,
    evaluations: &Evaluations,
    quotient: Fr,
) -> Result<Openings, PlonkError> {
    let mut openings = Openings::default();
    let (x, next, previous) = (point.x, point.rotated(1), point.rotated(-1));
    let last = point.rotated(parts.last_rotation());

    let advice = openings.add_all(&commitments.advice);
    openings.claim_queries(point, &advice, &parts.advice_queries, &evaluations.advice)?;

    let products = openings.add_all(&commitments.products);
    for (product, values) in products.iter().zip(&evaluations.products) {
        openings.claim(*product, x, values.here);
        openings.claim(*product, next, values.next);
    }
    for (product, values) in products.iter().zip(&evaluations.products).rev().skip(1) {
        openings.claim(*product, last, values.at_last()?);
    }

    for (lookup, values) in commitments.lookups.iter().zip(&evaluations.lookups) {
        let product = openings.add(vec![(Fr::one(), lookup.product)]);
        let input = openings.add(vec![(Fr::one(), lookup.input)]);
        let table = openings.add(vec![(Fr::one(), lookup.table)]);
        openings.claim(product, x, values.product);
        openings.claim(input, x, values.input);
        openings.claim(table, x, values.table);
        openings.claim(input, previous, values.input_previous);
        openings.claim(product, next, values.product_next);
    }

    let fixed = openings.add_all(&parts.fixed_commitments);
    openings.claim_queries(point, &fixed, &parts.fixed_queries, &evaluations.fixed)?;

    let permutation = openings.add_all(&parts.permutation_commitments);
    for (polynomial, value) in permutation.iter().zip(&evaluations.permutation) {
        openings.claim(*polynomial, x, *value);
    }

    // h(X) = sum_i x^(n i) h_i(X) at x.
    let pieces = powers(point.power)
        .zip(commitments.quotient.iter().copied())
        .collect();
    let pieces = openings.add(pieces);
    openings.claim(pieces, x, quotient);

    let random = openings.add(vec![(Fr::one(), commitments.random)]);
    openings.claim(random, x, evaluations.random);
    Ok(openings)
}
