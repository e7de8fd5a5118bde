//! Key descriptions: a halo2 verifying key as data.
//!
//! A [`KeyDescription`] holds what is needed to decide proofs of one circuit and nothing else: the
//! shape of the constraint system, its polynomials as a graph with shared nodes, the commitments to
//! its fixed and permutation columns, the transcript in use, and the reference string's `[s]_2`.
//! Selectors have already become fixed columns when a key is described.
//!
//! Invariants of a [`KeyDescription`], checked by [`KeyDescription::new`] and relied on everywhere:
//! every index is in range; every query is unique on the evaluation domain; every node is used and
//! none occurs twice; the declared degree covers every polynomial (halo2-axiom silently caps the
//! degree at 5 unless `set_minimum_degree` is called, and honest proofs then fail); every point is
//! on its curve. So two different byte strings are never the same key, and [`KeyDescription::digest`]
//! identifies it.
//!
//! What it does not do: it does not say that a circuit means anything, nor that `[s]_2` comes from a
//! ceremony. Whoever holds a list of accepted digests or `[s]_2` decides that.
//!
//! Source: halo2-axiom 0.5.3 (`plonk::VerifyingKey`, `plonk::ConstraintSystem`).

mod codec;
mod expression;
mod validity;

use ark_bn254::{Fr, G1Affine, G2Affine};
use sha3::{Digest, Keccak256};
use thiserror::Error;

pub use expression::{ExpressionBuilder, Node, NodeIndex};
pub(crate) use expression::{Leaves, evaluate};

use crate::field::EncodingError;
use crate::transcript::TranscriptKind;

/// Limits on the size of a key, so that a hostile description costs bounded time and memory. Each
/// is several times what the largest circuit of the project needs.
pub mod limits {
    /// Largest k: the domain has 2^k rows. BN254 has roots of unity up to 2^28.
    pub const K_MAX: u32 = 24;
    /// Largest 2-adic domain the scalar field offers, as an exponent.
    pub const EXTENDED_K_MAX: u32 = 28;
    /// Largest degree of a constraint.
    pub const DEGREE_MAX: u32 = 33;
    /// Most columns of one kind, and most challenges.
    pub const COLUMNS_MAX: u32 = 1_024;
    /// Most queries of one kind.
    pub const QUERIES_MAX: u32 = 8_192;
    /// Most nodes of the expression graph.
    pub const NODES_MAX: u32 = 1 << 18;
    /// Most constraint polynomials.
    pub const GATES_MAX: u32 = 1 << 16;
    /// Most lookup arguments.
    pub const LOOKUPS_MAX: u32 = 256;
    /// Most expressions on one side of a lookup.
    pub const LOOKUP_WIDTH_MAX: u32 = 64;
    /// Most public inputs in one instance column.
    pub const INSTANCES_MAX: u32 = 4_096;
    /// Highest phase of a column or challenge; halo2 has three phases, from 0.
    pub const PHASE_MAX: u8 = 2;
}

/// A column read at a distance of `rotation` rows from the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// Index of the column among those of its kind.
    pub column: u32,
    /// Distance in rows; negative looks back. The domain is a circle.
    pub rotation: i32,
}

/// The three kinds of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnKind {
    /// Witness, committed to in each proof.
    Advice,
    /// Part of the circuit, committed to in the key.
    Fixed,
    /// Public inputs, evaluated by the verifier itself.
    Instance,
}

/// One column that takes part in copy constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PermutationColumn {
    /// Its kind.
    pub kind: ColumnKind,
    /// Its index among the columns of that kind.
    pub column: u32,
}

/// One lookup argument: each row's tuple of inputs is some row's tuple of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Input expressions, first the one with the highest power of theta.
    pub inputs: Vec<NodeIndex>,
    /// Table expressions, as many as inputs.
    pub tables: Vec<NodeIndex>,
}

/// The content of a key before it is checked. Counts of columns are the lengths of the lists that
/// have one entry a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyParts {
    /// The transcript proofs of this circuit use.
    pub transcript: TranscriptKind,
    /// The domain has 2^k rows.
    pub k: u32,
    /// Declared maximum degree of all constraints; it fixes the number of pieces of the quotient
    /// (`degree - 1`) and of columns in one permutation product (`degree - 2`).
    pub degree: u32,
    /// Rows at the end of the domain that hold random values; the row before them is the last one.
    pub blinding_factors: u32,
    /// What halo2 absorbs first, a digest of its own form of the key.
    pub transcript_repr: Fr,
    /// Phase of each advice column.
    pub advice_phases: Vec<u8>,
    /// Phase after which each challenge is drawn.
    pub challenge_phases: Vec<u8>,
    /// Number of public inputs in each instance column. halo2 leaves this open; it is pinned here,
    /// since the transcript absorbs values without their counts.
    pub instance_lens: Vec<u32>,
    /// Openings of advice columns, in the order of the proof.
    pub advice_queries: Vec<Query>,
    /// Evaluations of instance columns, which expressions refer to.
    pub instance_queries: Vec<Query>,
    /// Openings of fixed columns, in the order of the proof.
    pub fixed_queries: Vec<Query>,
    /// All expressions; operands come before the nodes that use them.
    pub nodes: Vec<Node>,
    /// The constraint polynomials, in halo2's order.
    pub gates: Vec<NodeIndex>,
    /// The lookup arguments, in halo2's order.
    pub lookups: Vec<Lookup>,
    /// The columns of the permutation argument, in halo2's order.
    pub permutation: Vec<PermutationColumn>,
    /// Commitment to each fixed column; the identity for a column of zeros.
    pub fixed_commitments: Vec<G1Affine>,
    /// Commitment to the permutation polynomial of each permutation column.
    pub permutation_commitments: Vec<G1Affine>,
    /// The first power of the reference string, which has to be the generator.
    pub g1: G1Affine,
    /// The secret of the reference string in the second group, `[s]_2`.
    pub s_g2: G2Affine,
}

/// What one slot of a proof holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofField {
    /// A commitment.
    Point,
    /// An evaluation.
    Scalar,
}

/// A key that has passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    parts: KeyParts,
}

impl KeyDescription {
    /// Checks the parts of a key.
    ///
    /// # Errors
    /// Every variant of [`KeyError`] but those about bytes.
    pub fn new(parts: KeyParts) -> Result<Self, KeyError> {
        validity::check(&parts)?;
        Ok(Self { parts })
    }

    /// The content.
    #[must_use]
    pub fn parts(&self) -> &KeyParts {
        &self.parts
    }

    /// The canonical bytes of this key; the layout is in `key/codec.rs`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&self.parts)
    }

    /// Reads a key. Exactly the strings that [`KeyDescription::encode`] writes are accepted.
    ///
    /// # Errors
    /// Any variant of [`KeyError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::new(codec::decode(bytes)?)
    }

    /// Keccak-256 of the encoding. It covers everything, `[s]_2` and the transcript included.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Keccak256::digest(self.encode()).into()
    }

    /// What a proof of this circuit consists of, in order.
    #[must_use]
    pub fn proof_layout(&self) -> Vec<ProofField> {
        let parts = &self.parts;
        let products = parts.permutation_product_count();
        let points = parts
            .advice_phases
            .len()
            .saturating_add(parts.lookups.len().saturating_mul(3))
            .saturating_add(products)
            // The random polynomial.
            .saturating_add(1)
            .saturating_add(parts.quotient_piece_count());
        let scalars = parts
            .advice_queries
            .len()
            .saturating_add(parts.fixed_queries.len())
            // The random polynomial.
            .saturating_add(1)
            .saturating_add(parts.permutation.len())
            // Each product at two points, and all but the last at a third.
            .saturating_add(
                products
                    .saturating_mul(3)
                    .saturating_sub(usize::from(products > 0)),
            )
            .saturating_add(parts.lookups.len().saturating_mul(5));
        let mut layout = vec![ProofField::Point; points];
        layout.extend(vec![ProofField::Scalar; scalars]);
        // The two commitments of the multi-opening.
        layout.extend([ProofField::Point; 2]);
        layout
    }

    /// The length every proof of this circuit has.
    #[must_use]
    pub fn proof_bytes(&self) -> usize {
        let kind = self.parts.transcript;
        self.proof_layout()
            .iter()
            .map(|field| match field {
                ProofField::Point => kind.point_bytes(),
                ProofField::Scalar => kind.scalar_bytes(),
            })
            .fold(0, usize::saturating_add)
    }
}

impl KeyParts {
    /// Number of pieces the quotient polynomial is committed in.
    pub(crate) fn quotient_piece_count(&self) -> usize {
        index(self.degree.saturating_sub(1))
    }

    /// Number of columns one permutation product polynomial covers, at least one.
    pub(crate) fn permutation_chunk_len(&self) -> usize {
        index(self.degree.saturating_sub(2)).max(1)
    }

    /// Number of permutation product polynomials.
    pub(crate) fn permutation_product_count(&self) -> usize {
        self.permutation
            .len()
            .div_ceil(self.permutation_chunk_len())
    }

    /// Number of rows, 2^k.
    pub(crate) fn rows(&self) -> u64 {
        1_u64.checked_shl(self.k).unwrap_or(u64::MAX)
    }

    /// Distance from the first row back to the last one that is not blinded.
    pub(crate) fn last_rotation(&self) -> i32 {
        i32::try_from(self.blinding_factors).map_or(i32::MIN, |count| -1 - count)
    }
}

/// A count or index of the description as a memory index. On a machine that cannot hold it, the
/// result is out of range of everything, so that lookups fail instead of wrapping.
pub(crate) fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Why a key description is refused. All variants are the fault of whoever made the description:
/// export it again from the circuit, or fetch it from a trusted source.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// The bytes do not start as a key description.
    #[error("not a key description: it starts with other bytes")]
    InvalidMagic,
    /// The version is not one this build reads.
    #[error("key description version {found} is not supported (this build reads {supported})")]
    UnsupportedVersion {
        /// Version in the bytes.
        found: u32,
        /// Version this build reads.
        supported: u32,
    },
    /// The bytes end early.
    #[error("key description ends inside {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// Bytes follow the end.
    #[error("{count} bytes follow the end of the key description")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A tag has no meaning.
    #[error("{what} has unknown tag {tag}")]
    InvalidTag {
        /// What was being read.
        what: &'static str,
        /// The tag.
        tag: u8,
    },
    /// A scalar or point is not canonical or not on its curve.
    #[error("{what}: {source}")]
    InvalidEncoding {
        /// What was being read.
        what: &'static str,
        /// Why it is refused.
        source: EncodingError,
    },
    /// A number is outside its limits.
    #[error("{what} is {found}, outside {min}..={max}")]
    OutOfLimits {
        /// What the number counts.
        what: &'static str,
        /// Its value.
        found: u64,
        /// Least permitted value.
        min: u64,
        /// Greatest permitted value.
        max: u64,
    },
    /// Something refers to an entry that does not exist.
    #[error("{what} refers to entry {index} of {count}")]
    DanglingReference {
        /// What refers.
        what: &'static str,
        /// To which entry.
        index: u32,
        /// How many entries there are.
        count: usize,
    },
    /// A list has an entry twice.
    #[error("{what} has entry {index} twice")]
    Duplicate {
        /// Which list.
        what: &'static str,
        /// Position of the second occurrence.
        index: usize,
    },
    /// A node is in the graph but in no constraint.
    #[error("expression node {index} is used by nothing")]
    UnusedNode {
        /// Its position.
        index: usize,
    },
    /// A stated number differs from what the rest of the key implies.
    #[error("{what} is stated as {stated}, but the key implies {implied}")]
    Inconsistent {
        /// Which number.
        what: &'static str,
        /// As stated.
        stated: u64,
        /// As implied.
        implied: u64,
    },
    /// A constraint has a higher degree than declared: honest proofs would not verify.
    #[error(
        "{what} needs degree {needed}, but the circuit declares {declared}; call \
         set_minimum_degree({needed}) first in its configure"
    )]
    DegreeTooLow {
        /// Which constraint.
        what: &'static str,
        /// The degree it needs.
        needed: u32,
        /// The degree declared.
        declared: u32,
    },
    /// The first power of the reference string is not the generator.
    #[error("the reference string does not start with the generator (1, 2)")]
    ForeignGenerator,
}
