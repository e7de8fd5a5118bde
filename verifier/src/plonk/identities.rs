//! The constraints at x: custom gates, permutation argument, lookup argument.
//!
//! Each function appends values that are zero in every row of a correct trace; folded with y they
//! equal h(x) (x^n - 1). The order of the terms is halo2-axiom's and matters.

use ark_bn254::Fr;
use ark_ff::{Field, One};

use super::domain::{Boundaries, EvaluationPoint, coset_generator, fold, powers, queried};
use super::messages::{Commitments, Evaluations, LookupEvaluations, ProductEvaluations};
use super::{PlonkError, entry};
use crate::key::{ColumnKind, KeyParts, Lookup, PermutationColumn, Query, index};
use crate::key::{Leaves, evaluate};

/// The value h(x) has to have.
pub(super) fn quotient_evaluation(
    parts: &KeyParts,
    point: &EvaluationPoint,
    commitments: &Commitments,
    evaluations: &Evaluations,
    instances: &[Fr],
) -> Result<Fr, PlonkError> {
    let leaves = Leaves {
        fixed: &evaluations.fixed,
        advice: &evaluations.advice,
        instance: instances,
        challenges: &commitments.challenges,
    };
    let what = "the expression graph";
    let nodes = evaluate(&parts.nodes, &leaves).ok_or(PlonkError::Internal { what })?;
    let boundaries = point.boundaries(parts)?;

    let mut terms = Vec::with_capacity(parts.gates.len());
    for gate in &parts.gates {
        terms.push(entry(&nodes, index(*gate), what)?);
    }
    let argument = Permutation {
        parts,
        point,
        commitments,
        evaluations,
        leaves: &leaves,
    };
    argument.append(&boundaries, &mut terms)?;
    for (lookup, values) in parts.lookups.iter().zip(&evaluations.lookups) {
        append_lookup(lookup, values, &nodes, commitments, &boundaries, &mut terms)?;
    }
    Ok(fold(terms, commitments.y) * point.vanishing_inverse)
}

/// Book, "Permutation argument" with "Spanning a large number of columns": the columns are cut into
/// chunks of degree - 2, each with a running product z_i that starts where the one before ended.
struct Permutation<'a> {
    parts: &'a KeyParts,
    point: &'a EvaluationPoint,
    commitments: &'a Commitments,
    evaluations: &'a Evaluations,
    leaves: &'a Leaves<'a>,
}

impl Permutation<'_> {
    fn append(&self, boundaries: &Boundaries, terms: &mut Vec<Fr>) -> Result<(), PlonkError> {
        let products = &self.evaluations.products;
        // l_0 (1 - z_0): the first product starts at one.
        if let Some(product) = products.first() {
            terms.push(boundaries.first * (Fr::one() - product.here));
        }
        // l_last (z^2 - z): the last product ends at one, or at zero (if a factor was zero).
        if let Some(product) = products.last() {
            terms.push(boundaries.last * (product.here.square() - product.here));
        }
        // l_0 (z_i - z_(i-1)(w^last X)): each other product starts where the one before ended.
        for (before, product) in products.iter().zip(products.iter().skip(1)) {
            terms.push(boundaries.first * (product.here - before.at_last()?));
        }
        // (1 - (l_last + l_blind)) (z_i(wX) prod (p + beta s + gamma)
        //                           - z_i prod (p + beta delta^j X + gamma)),
        // j the position of the column in the whole argument.
        let chunk_len = self.parts.permutation_chunk_len();
        let mut labels = powers(coset_generator());
        let chunks = self.parts.permutation.chunks(chunk_len);
        let sigmas = self.evaluations.permutation.chunks(chunk_len);
        for ((product, columns), sigmas) in products.iter().zip(chunks).zip(sigmas) {
            let value = self.product_rule(product, columns, sigmas, &mut labels)?;
            terms.push(boundaries.active * value);
        }
        Ok(())
    }

    fn product_rule(
        &self,
        product: &ProductEvaluations,
        columns: &[PermutationColumn],
        sigmas: &[Fr],
        labels: &mut impl Iterator<Item = Fr>,
    ) -> Result<Fr, PlonkError> {
        let Commitments { beta, gamma, .. } = self.commitments;
        let mut left = product.next;
        let mut right = product.here;
        // `labels` last: zip must not take a label when the columns are at their end.
        for ((column, sigma), label) in columns.iter().zip(sigmas).zip(labels) {
            let value = self.column_value(column)?;
            left *= value + *beta * sigma + gamma;
            right *= value + *beta * label * self.point.x + gamma;
        }
        Ok(left - right)
    }

    fn column_value(&self, column: &PermutationColumn) -> Result<Fr, PlonkError> {
        let here = Query {
            column: column.column,
            rotation: 0,
        };
        let position = self
            .parts
            .queries(column.kind)
            .iter()
            .position(|query| *query == here);
        let values = match column.kind {
            ColumnKind::Advice => self.leaves.advice,
            ColumnKind::Fixed => self.leaves.fixed,
            ColumnKind::Instance => self.leaves.instance,
        };
        queried(values, position)
    }
}

/// Book, "Lookup argument": A' and S' are permutations of the compressed inputs A and table S, and
/// in each row A' equals S' or its own value in the row before.
fn append_lookup(
    lookup: &Lookup,
    values: &LookupEvaluations,
    nodes: &[Fr],
    commitments: &Commitments,
    boundaries: &Boundaries,
    terms: &mut Vec<Fr>,
) -> Result<(), PlonkError> {
    let Commitments {
        theta, beta, gamma, ..
    } = *commitments;
    let compress = |positions: &[u32]| -> Result<Fr, PlonkError> {
        let values: Result<Vec<Fr>, PlonkError> = positions
            .iter()
            .map(|node| entry(nodes, index(*node), "a lookup"))
            .collect();
        Ok(fold(values?, theta))
    };
    // l_0 (1 - z)
    terms.push(boundaries.first * (Fr::one() - values.product));
    // l_last (z^2 - z)
    terms.push(boundaries.last * (values.product.square() - values.product));
    // (1 - (l_last + l_blind)) (z(wX) (A' + beta) (S' + gamma) - z (A + beta) (S + gamma))
    let left = values.product_next * (values.input + beta) * (values.table + gamma);
    let right =
        values.product * (compress(&lookup.inputs)? + beta) * (compress(&lookup.tables)? + gamma);
    terms.push(boundaries.active * (left - right));
    // l_0 (A' - S')
    let difference = values.input - values.table;
    terms.push(boundaries.first * difference);
    // (1 - (l_last + l_blind)) (A' - S') (A' - A'(w^-1 X))
    terms.push(boundaries.active * difference * (values.input - values.input_previous));
    Ok(())
}
