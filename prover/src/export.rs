//! From a halo2 verifying key to the verifier's key description.
//!
//! This is the only file that knows both forms. Points and scalars pass between halo2curves and
//! arkworks as canonical bytes and are decoded again by the verifier's own strict decoders.
//!
//! What it does not do: it does not decide whether the reference string may be used
//! ([`crate::srs`] does), and it supports nothing halo2-axiom 0.5.3 does not hold in a
//! `ConstraintSystem` (the shuffle argument, for one, is not compiled into that version).

use std::collections::BTreeMap;

use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine, G2Affine};
use halo2_proofs::plonk::{Any, Expression, VerifyingKey};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::ff::PrimeField;
use thiserror::Error;
use verifier::field::{Scalar, scalar_from_le};
use verifier::key::{
    ColumnKind, ExpressionBuilder, Lookup, Node, NodeIndex, PermutationColumn, Query,
};
use verifier::points::{FirstGroupPoint, SecondGroupPoint, g1_from_pair, g2_from_pair};
use verifier::{EncodingError, KeyDescription, KeyError, KeyParts, TranscriptKind};

/// Why a halo2 key cannot be described.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ExportError {
    /// The reference string and the key are for different domains.
    #[error("the key is for k = {key}, the reference string for k = {params}; downsize the string")]
    InvalidStringSize {
        /// k of the key.
        key: u32,
        /// k of the reference string.
        params: u32,
    },
    /// The reference string's second group does not start with the generator.
    #[error("the reference string's second group does not start with the standard generator")]
    ForeignGenerator,
    /// The number of lists of public inputs differs from the circuit's.
    #[error("the circuit has {expected} instance columns, lengths of {found} were given")]
    InvalidInstanceColumns {
        /// Columns of the circuit.
        expected: usize,
        /// Lengths given.
        found: usize,
    },
    /// A count or index does not fit the description.
    #[error("{what} does not fit 32 bits")]
    TooLarge {
        /// What was counted.
        what: &'static str,
    },
    /// The constraint system is not what halo2 leaves after key generation.
    #[error("the constraint system holds {what}, which halo2 removes or registers in keygen")]
    Unsupported {
        /// What was found.
        what: &'static str,
    },
    /// halo2 computed the key's domain from another degree than the constraint system has now. The
    /// environment variable `MAX_DEGREE` changes it; `set_minimum_degree` makes it independent.
    #[error("the key's domain is for degree {domain}, its constraint system has degree {system}")]
    InconsistentDegree {
        /// Degree the domain was made for.
        domain: u64,
        /// Degree the constraint system reports.
        system: u64,
    },
    /// A point or scalar of the key is not valid.
    #[error("the key holds an invalid point or scalar: {0}")]
    InvalidEncoding(#[from] EncodingError),
    /// The finished description breaks a rule.
    #[error(transparent)]
    InvalidKey(#[from] KeyError),
}

/// Describes a verifying key for the verifier.
///
/// `instance_lens` is the number of public inputs of each instance column. halo2's key leaves it
/// open; the description pins it.
///
/// # Errors
/// Says what cannot be described. In particular a circuit whose constraints have a higher degree
/// than halo2 computed (see `set_minimum_degree`) is [`KeyError::DegreeTooLow`].
pub fn key_description(
    key: &VerifyingKey<G1Affine>,
    params: &ParamsKZG<Bn256>,
    transcript: TranscriptKind,
    instance_lens: &[usize],
) -> Result<KeyDescription, ExportError> {
    let system = key.cs();
    let domain = key.get_domain();
    let params_k = halo2_proofs::poly::commitment::Params::k(params);
    if params_k != domain.k {
        return Err(ExportError::InvalidStringSize {
            key: domain.k,
            params: params_k,
        });
    }
    if params.g2() != G2Affine::generator() {
        return Err(ExportError::ForeignGenerator);
    }
    if instance_lens.len() != system.num_instance_columns() {
        let (expected, found) = (system.num_instance_columns(), instance_lens.len());
        return Err(ExportError::InvalidInstanceColumns { expected, found });
    }
    let degree = domain.quotient_poly_degree + 1;
    let system_degree =
        u64::try_from(system.degree()).map_err(|_| ExportError::TooLarge { what: "the degree" })?;
    if degree != system_degree {
        return Err(ExportError::InconsistentDegree {
            domain: degree,
            system: system_degree,
        });
    }

    let mut graph = Graph::new(key)?;
    let mut gates = Vec::new();
    for polynomial in system.gates().iter().flat_map(|gate| gate.polynomials()) {
        gates.push(graph.add(polynomial)?);
    }
    let mut lookups = Vec::new();
    for lookup in system.lookups() {
        lookups.push(Lookup {
            inputs: graph.add_all(lookup.input_expressions())?,
            tables: graph.add_all(lookup.table_expressions())?,
        });
    }
    let parts = KeyParts {
        transcript,
        k: domain.k,
        degree: narrow("the degree", degree)?,
        blinding_factors: narrow("the number of blinded rows", system.blinding_factors())?,
        transcript_repr: scalar(&key.transcript_repr())?,
        advice_phases: system.advice_column_phase(),
        challenge_phases: system.challenge_phase(),
        instance_lens: instance_lens
            .iter()
            .map(|len| narrow("a number of public inputs", *len))
            .collect::<Result<_, _>>()?,
        advice_queries: graph.advice.list,
        instance_queries: graph.instance.list,
        fixed_queries: graph.fixed.list,
        nodes: graph.builder.finish(),
        gates,
        lookups,
        permutation: permutation(key)?,
        fixed_commitments: points(key.fixed_commitments())?,
        permutation_commitments: points(key.permutation().commitments())?,
        g1: point(
            params
                .get_g()
                .first()
                .ok_or(ExportError::ForeignGenerator)?,
        )?,
        s_g2: second_group_point(&params.s_g2())?,
    };
    Ok(KeyDescription::new(parts)?)
}

fn narrow<T: TryInto<u32>>(what: &'static str, value: T) -> Result<u32, ExportError> {
    value.try_into().map_err(|_| ExportError::TooLarge { what })
}

fn permutation(key: &VerifyingKey<G1Affine>) -> Result<Vec<PermutationColumn>, ExportError> {
    let columns = key.cs().permutation().get_columns();
    let describe = |column: &halo2_proofs::plonk::Column<Any>| {
        let kind = match column.column_type() {
            Any::Advice(_) => ColumnKind::Advice,
            Any::Fixed => ColumnKind::Fixed,
            Any::Instance => ColumnKind::Instance,
        };
        Ok(PermutationColumn {
            kind,
            column: narrow("a column", column.index())?,
        })
    };
    columns.iter().map(describe).collect()
}

/// The queries of one kind of column, and where each stands.
#[derive(Default)]
struct Queries {
    list: Vec<Query>,
    positions: BTreeMap<Query, u32>,
}

impl Queries {
    fn new(queries: impl Iterator<Item = (usize, Rotation)>) -> Result<Self, ExportError> {
        let mut all = Self::default();
        for (position, (column, rotation)) in queries.enumerate() {
            let query = describe_query(column, rotation)?;
            all.list.push(query);
            all.positions.insert(query, narrow("a query", position)?);
        }
        Ok(all)
    }

    fn position(&self, column: usize, rotation: Rotation) -> Result<u32, ExportError> {
        let query = describe_query(column, rotation)?;
        let what = "a query that is not registered";
        self.positions
            .get(&query)
            .copied()
            .ok_or(ExportError::Unsupported { what })
    }
}

fn describe_query(column: usize, rotation: Rotation) -> Result<Query, ExportError> {
    Ok(Query {
        column: narrow("a column", column)?,
        rotation: rotation.0,
    })
}

/// The expression graph while halo2's trees are merged into it.
struct Graph {
    builder: ExpressionBuilder,
    advice: Queries,
    instance: Queries,
    fixed: Queries,
}

impl Graph {
    fn new(key: &VerifyingKey<G1Affine>) -> Result<Self, ExportError> {
        let system = key.cs();
        Ok(Self {
            builder: ExpressionBuilder::new(),
            advice: Queries::new(
                system
                    .advice_queries()
                    .iter()
                    .map(|(c, at)| (c.index(), *at)),
            )?,
            instance: Queries::new(
                system
                    .instance_queries()
                    .iter()
                    .map(|(c, at)| (c.index(), *at)),
            )?,
            fixed: Queries::new(
                system
                    .fixed_queries()
                    .iter()
                    .map(|(c, at)| (c.index(), *at)),
            )?,
        })
    }

    fn add_all(&mut self, trees: &[Expression<Fr>]) -> Result<Vec<NodeIndex>, ExportError> {
        trees.iter().map(|tree| self.add(tree)).collect()
    }

    /// Recursion is as deep as the tree, as it is in halo2's own use of the same tree.
    fn add(&mut self, tree: &Expression<Fr>) -> Result<NodeIndex, ExportError> {
        let node = match tree {
            Expression::Constant(value) => Node::Constant(scalar(value)?),
            Expression::Selector(_) => {
                return Err(ExportError::Unsupported {
                    what: "a virtual selector",
                });
            }
            Expression::Fixed(query) => Node::Fixed(
                self.fixed
                    .position(query.column_index(), query.rotation())?,
            ),
            Expression::Advice(query) => Node::Advice(
                self.advice
                    .position(query.column_index(), query.rotation())?,
            ),
            Expression::Instance(query) => Node::Instance(
                self.instance
                    .position(query.column_index(), query.rotation())?,
            ),
            Expression::Challenge(challenge) => {
                Node::Challenge(narrow("a challenge", challenge.index())?)
            }
            Expression::Negated(a) => Node::Negated(self.add(a)?),
            Expression::Sum(a, b) => Node::Sum(self.add(a)?, self.add(b)?),
            Expression::Product(a, b) => Node::Product(self.add(a)?, self.add(b)?),
            Expression::Scaled(a, factor) => {
                let factor = scalar(factor)?;
                Node::Product(self.add(a)?, self.builder.add(Node::Constant(factor)))
            }
        };
        Ok(self.builder.add(node))
    }
}

/// A scalar, through its canonical bytes.
fn scalar(value: &Fr) -> Result<Scalar, EncodingError> {
    scalar_from_le(&value.to_repr())
}

fn points(points: &[G1Affine]) -> Result<Vec<FirstGroupPoint>, EncodingError> {
    points.iter().map(point).collect()
}

/// A point, through a pair of canonical coordinates; halo2curves' identity is the pair of zeros.
fn point(point: &G1Affine) -> Result<FirstGroupPoint, EncodingError> {
    let mut bytes = [0; 64];
    let (parts, _) = bytes.as_chunks_mut::<32>();
    for (part, coordinate) in parts.iter_mut().zip([point.x, point.y]) {
        *part = coordinate.to_repr();
    }
    g1_from_pair(&bytes)
}

fn second_group_point(point: &G2Affine) -> Result<SecondGroupPoint, EncodingError> {
    let mut bytes = [0; 128];
    let (parts, _) = bytes.as_chunks_mut::<32>();
    let coordinates = [point.x.c0, point.x.c1, point.y.c0, point.y.c1];
    for (part, coordinate) in parts.iter_mut().zip(coordinates) {
        *part = coordinate.to_repr();
    }
    g2_from_pair(&bytes)
}
