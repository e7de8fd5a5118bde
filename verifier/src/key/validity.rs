//! Every rule a key has to satisfy beyond being readable.

use std::collections::BTreeSet;

use ark_bn254::G1Affine;
use ark_ec::AffineRepr;

use super::expression::degrees;
use super::{ColumnKind, KeyError, KeyParts, Lookup, Node, Query, index, limits};
use crate::field::EncodingError;
use crate::points::check_g2;

/// halo2's permutation argument has constraints of this degree whatever its columns.
const PERMUTATION_DEGREE: u32 = 3;

/// halo2's lookup argument has constraints of at least this degree.
const LOOKUP_DEGREE: u32 = 4;

pub(super) fn check(parts: &KeyParts) -> Result<(), KeyError> {
    check_domain(parts)?;
    check_columns(parts)?;
    check_queries(parts)?;
    check_blinding(parts)?;
    check_nodes(parts)?;
    check_permutation(parts)?;
    check_degrees(parts)?;
    check_points(parts)
}

fn check_limits(what: &'static str, found: usize, max: u32) -> Result<(), KeyError> {
    check_range(what, wide(found), 0, u64::from(max))
}

fn check_range(what: &'static str, found: u64, min: u64, max: u64) -> Result<(), KeyError> {
    if found < min || found > max {
        return Err(KeyError::OutOfLimits {
            what,
            found,
            min,
            max,
        });
    }
    Ok(())
}

fn check_reference(what: &'static str, index: u32, count: usize) -> Result<(), KeyError> {
    if super::index(index) < count {
        Ok(())
    } else {
        Err(KeyError::DanglingReference { what, index, count })
    }
}

fn wide(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn check_domain(parts: &KeyParts) -> Result<(), KeyError> {
    check_range("k", parts.k.into(), 1, limits::K_MAX.into())?;
    let min = u64::from(PERMUTATION_DEGREE);
    check_range(
        "degree",
        parts.degree.into(),
        min,
        limits::DEGREE_MAX.into(),
    )?;
    // The quotient is computed on the least power of two that holds degree - 1 domains.
    let pieces = parts.degree.saturating_sub(1).next_power_of_two();
    let extended_k = parts.k.saturating_add(pieces.trailing_zeros());
    check_range(
        "k of the extended domain",
        extended_k.into(),
        1,
        limits::EXTENDED_K_MAX.into(),
    )
}

fn check_columns(parts: &KeyParts) -> Result<(), KeyError> {
    check_limits(
        "number of advice columns",
        parts.advice_phases.len(),
        limits::COLUMNS_MAX,
    )?;
    check_limits(
        "number of challenges",
        parts.challenge_phases.len(),
        limits::COLUMNS_MAX,
    )?;
    check_limits(
        "number of instance columns",
        parts.instance_lens.len(),
        limits::COLUMNS_MAX,
    )?;
    check_limits(
        "number of fixed columns",
        parts.fixed_commitments.len(),
        limits::COLUMNS_MAX,
    )?;
    for phase in &parts.advice_phases {
        check_range(
            "phase of an advice column",
            (*phase).into(),
            0,
            limits::PHASE_MAX.into(),
        )?;
    }
    // A challenge after a phase without columns would never be drawn.
    let last_phase = parts.advice_phases.iter().max().copied().unwrap_or(0);
    for phase in &parts.challenge_phases {
        check_range(
            "phase of a challenge",
            (*phase).into(),
            0,
            last_phase.into(),
        )?;
    }
    Ok(())
}

fn check_queries(parts: &KeyParts) -> Result<(), KeyError> {
    let rows = parts.rows();
    let check = |what, queries: &[Query], columns: usize| {
        check_limits(what, queries.len(), limits::QUERIES_MAX)?;
        let mut seen = BTreeSet::new();
        for (position, query) in queries.iter().enumerate() {
            check_reference(what, query.column, columns)?;
            check_range(
                what,
                query.rotation.unsigned_abs().into(),
                0,
                rows.saturating_sub(1),
            )?;
            // Two rotations that meet on the circle would open one column twice at one point.
            let row = i64::from(query.rotation).rem_euclid(i64::try_from(rows).unwrap_or(i64::MAX));
            if !seen.insert((query.column, row)) {
                return Err(KeyError::Duplicate {
                    what,
                    index: position,
                });
            }
        }
        Ok(())
    };
    check(
        "advice queries",
        &parts.advice_queries,
        parts.advice_phases.len(),
    )?;
    check(
        "instance queries",
        &parts.instance_queries,
        parts.instance_lens.len(),
    )?;
    check(
        "fixed queries",
        &parts.fixed_queries,
        parts.fixed_commitments.len(),
    )
}

/// halo2's rule: as many blinded rows as an advice column has openings, at least 3, and one each for
/// the multi-opening and for safety. Before them come the last row and at least two others.
fn check_blinding(parts: &KeyParts) -> Result<(), KeyError> {
    let mut openings = vec![0_u64; parts.advice_phases.len()];
    for query in &parts.advice_queries {
        if let Some(count) = openings.get_mut(index(query.column)) {
            *count = count.saturating_add(1);
        }
    }
    let implied = openings
        .into_iter()
        .max()
        .unwrap_or(1)
        .max(3)
        .saturating_add(2);
    let stated = u64::from(parts.blinding_factors);
    if stated != implied {
        return Err(KeyError::Inconsistent {
            what: "number of blinded rows",
            stated,
            implied,
        });
    }
    let rows = parts.rows();
    check_range("number of rows", rows, implied.saturating_add(3), u64::MAX)?;
    let usable = rows.saturating_sub(implied.saturating_add(1));
    for len in &parts.instance_lens {
        check_range(
            "number of public inputs",
            (*len).into(),
            0,
            limits::INSTANCES_MAX.into(),
        )?;
        check_range("number of public inputs", (*len).into(), 0, usable)?;
    }
    Ok(())
}

fn check_nodes(parts: &KeyParts) -> Result<(), KeyError> {
    let count = parts.nodes.len();
    check_limits("number of expression nodes", count, limits::NODES_MAX)?;
    check_limits(
        "number of constraints",
        parts.gates.len(),
        limits::GATES_MAX,
    )?;
    check_limits(
        "number of lookups",
        parts.lookups.len(),
        limits::LOOKUPS_MAX,
    )?;

    let mut seen = BTreeSet::new();
    let mut used = vec![false; count];
    for (position, node) in parts.nodes.iter().enumerate() {
        match *node {
            Node::Fixed(query) => {
                check_reference("fixed node", query, parts.fixed_queries.len())?;
            }
            Node::Advice(query) => {
                check_reference("advice node", query, parts.advice_queries.len())?;
            }
            Node::Instance(query) => {
                check_reference("instance node", query, parts.instance_queries.len())?;
            }
            Node::Challenge(challenge) => {
                check_reference("challenge node", challenge, parts.challenge_phases.len())?;
            }
            Node::Sum(a, b) | Node::Product(a, b) if a > b => {
                let (stated, implied) = (a.into(), b.into());
                let what = "first operand of a node";
                return Err(KeyError::Inconsistent {
                    what,
                    stated,
                    implied,
                });
            }
            Node::Constant(_) | Node::Negated(_) | Node::Sum(..) | Node::Product(..) => {}
        }
        for operand in node.operands() {
            check_reference("operand of an expression node", operand, position)?;
            mark(&mut used, operand);
        }
        if !seen.insert(*node) {
            return Err(KeyError::Duplicate {
                what: "list of nodes",
                index: position,
            });
        }
    }
    for gate in &parts.gates {
        check_reference("constraint", *gate, count)?;
        mark(&mut used, *gate);
    }
    for lookup in &parts.lookups {
        check_lookup(lookup, count)?;
        for node in lookup.inputs.iter().chain(&lookup.tables) {
            mark(&mut used, *node);
        }
    }
    match used.iter().position(|used| !used) {
        Some(index) => Err(KeyError::UnusedNode { index }),
        None => Ok(()),
    }
}

fn check_lookup(lookup: &Lookup, count: usize) -> Result<(), KeyError> {
    let (inputs, tables) = (wide(lookup.inputs.len()), wide(lookup.tables.len()));
    check_range(
        "width of a lookup",
        inputs,
        1,
        limits::LOOKUP_WIDTH_MAX.into(),
    )?;
    if inputs != tables {
        let what = "width of a lookup table";
        return Err(KeyError::Inconsistent {
            what,
            stated: tables,
            implied: inputs,
        });
    }
    for node in lookup.inputs.iter().chain(&lookup.tables) {
        check_reference("lookup", *node, count)?;
    }
    Ok(())
}

fn mark(used: &mut [bool], position: u32) {
    if let Some(slot) = used.get_mut(index(position)) {
        *slot = true;
    }
}

fn check_permutation(parts: &KeyParts) -> Result<(), KeyError> {
    let what = "permutation columns";
    check_limits(
        what,
        parts.permutation.len(),
        limits::COLUMNS_MAX.saturating_mul(3),
    )?;
    let mut seen = BTreeSet::new();
    for (position, column) in parts.permutation.iter().enumerate() {
        // The argument reads each column in the current row.
        let here = Query {
            column: column.column,
            rotation: 0,
        };
        if !parts.queries(column.kind).contains(&here) {
            let count = parts.queries(column.kind).len();
            return Err(KeyError::DanglingReference {
                what,
                index: column.column,
                count,
            });
        }
        if !seen.insert(*column) {
            return Err(KeyError::Duplicate {
                what,
                index: position,
            });
        }
    }
    let stated = wide(parts.permutation_commitments.len());
    let implied = wide(parts.permutation.len());
    if stated != implied {
        let what = "number of permutation commitments";
        return Err(KeyError::Inconsistent {
            what,
            stated,
            implied,
        });
    }
    Ok(())
}

fn check_degrees(parts: &KeyParts) -> Result<(), KeyError> {
    let declared = parts.degree;
    let need = |what, needed: u32| {
        if needed > declared {
            return Err(KeyError::DegreeTooLow {
                what,
                needed,
                declared,
            });
        }
        Ok(())
    };
    let degrees = degrees(&parts.nodes).unwrap_or_default();
    let of = |node: &u32| degrees.get(index(*node)).copied().unwrap_or(u32::MAX);
    for gate in &parts.gates {
        need("a constraint", of(gate))?;
    }
    for lookup in &parts.lookups {
        let inputs = lookup.inputs.iter().map(of).max().unwrap_or(0).max(1);
        let tables = lookup.tables.iter().map(of).max().unwrap_or(0).max(1);
        let product = inputs.saturating_add(tables).saturating_add(2);
        need("a lookup", product.max(LOOKUP_DEGREE))?;
    }
    Ok(())
}

fn check_points(parts: &KeyParts) -> Result<(), KeyError> {
    for (what, points) in [
        ("commitment to a fixed column", &parts.fixed_commitments),
        (
            "commitment to a permutation column",
            &parts.permutation_commitments,
        ),
    ] {
        // Cofactor one: on the curve is in the group. The identity counts as on the curve.
        if points.iter().any(|point| !point.is_on_curve()) {
            return Err(KeyError::InvalidEncoding {
                what,
                source: EncodingError::NotOnCurve,
            });
        }
    }
    if parts.g1 != G1Affine::generator() {
        return Err(KeyError::ForeignGenerator);
    }
    check_g2(&parts.s_g2).map_err(|source| KeyError::InvalidEncoding {
        what: "[s]_2",
        source,
    })
}

impl KeyParts {
    /// The queries of one kind of column.
    pub(crate) fn queries(&self, kind: ColumnKind) -> &[Query] {
        match kind {
            ColumnKind::Advice => &self.advice_queries,
            ColumnKind::Fixed => &self.fixed_queries,
            ColumnKind::Instance => &self.instance_queries,
        }
    }
}
