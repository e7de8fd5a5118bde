//! Aggregation: circuits that verify proofs of other circuits (`proving.md`, "Aggregation and the base layer"; ADR 0017).
//!
//! ```text
//!   chunk   chunk   chunk   chunk   chunk             data
//!     |       |       |       |       |                |
//!   lone    lone    lone    lone    lone               |
//!      \     /         \     /         |               |
//!      node 1          node 1       node 1             |
//!           \          /              |                |
//!              node 2              node 2              |
//!                    \            /                    |
//!                        node 3                        |
//!                              \                      /
//!                                        top
//!                                         |
//!                                       final     what the base layer verifies
//! ```
//!
//! Every circuit here has one instance column: the accumulator in twelve limbs ([`limbs_of`]), then its statement
//! ([`crate::instance`]). **The accumulator is a claim that is not yet proven**: whoever verifies such a proof must fold
//! it into a pairing of its own, or the inner proofs mean nothing (review finding C4).
//!
//! Inner verifying keys are constants: one circuit per level. The top takes a root of any level, so that a batch pays
//! for the levels it has; the key of that root is proven to be one of the list that is a constant of the top.
//! No circuit verifies a proof of its own key.
//!
//! The verification itself is snark-verifier's, over halo2-base. What is ours: which proofs are joined, what their
//! statements must have to do with each other, and the ends of a batch. What this module does not do: hold keys, or
//! decide what a batch is.

mod accumulator;
mod circuit;
mod dummy;
mod hash;
mod lone;
mod node;
mod outer;
mod recursion;
mod top;

use std::rc::Rc;

use halo2_base::AssignedValue;
use halo2_base::gates::GateChip;
use halo2_base::gates::flex_gate::threads::SinglePhaseCoreManager;
use halo2curves::bn256::{Fr, G1Affine};
use snark_verifier::loader::halo2::{EccInstructions, Halo2Loader};
use snark_verifier::pcs::kzg::LimbsEncodingInstructions;
use snark_verifier::system::halo2::transcript::halo2::NativeEncoding;
use snark_verifier::verifier::plonk::PlonkProtocol;
use thiserror::Error as ThisError;

pub use accumulator::{ACCUMULATOR_LIMBS, LIMB_BITS, LIMBS, limbs_of};
pub use circuit::{Aggregation, AggregationShape, Built, Statement, ThinCircuit, WideCircuit};
pub use dummy::dummy_proof;
pub use lone::Lone;
pub use node::Node;
pub use outer::Final;
pub use recursion::inner_protocol;
pub use top::{BatchEnds, Top};

/// How an inner circuit is verified: columns, gates, queries and the commitments of its key.
pub type Protocol = PlonkProtocol<G1Affine>;

/// Group arithmetic inside a circuit, whichever way it is laid out.
pub trait CurveChip:
    NativeEncoding<G1Affine>
    + LimbsEncodingInstructions<G1Affine, LIMBS, LIMB_BITS>
    + EccInstructions<
        G1Affine,
        Context = SinglePhaseCoreManager<Fr>,
        ScalarChip = GateChip<Fr>,
        AssignedCell = AssignedValue<Fr>,
        AssignedScalar = AssignedValue<Fr>,
    >
{
}

impl<T> CurveChip for T where
    T: NativeEncoding<G1Affine>
        + LimbsEncodingInstructions<G1Affine, LIMBS, LIMB_BITS>
        + EccInstructions<
            G1Affine,
            Context = SinglePhaseCoreManager<Fr>,
            ScalarChip = GateChip<Fr>,
            AssignedCell = AssignedValue<Fr>,
            AssignedScalar = AssignedValue<Fr>,
        >
{
}

/// What snark-verifier computes with.
pub(crate) type Loader<E> = Rc<Halo2Loader<G1Affine, E>>;

/// A proof of an inner circuit, with what it states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InnerProof {
    /// Its one instance column.
    pub instance: Vec<Fr>,
    /// SHPLONK proof under the Poseidon transcript.
    pub proof: Vec<u8>,
}

impl InnerProof {
    /// What it states under its key: the instance, without the limbs if it begins with an accumulator.
    #[must_use]
    pub fn statement(&self, key: &Protocol) -> &[Fr] {
        let skipped = statement_row(key.accumulator_indices.is_empty());
        self.instance.get(skipped..).unwrap_or(&[])
    }
}

/// Row of the instance at which the statement begins.
fn statement_row(is_plain: bool) -> usize {
    match is_plain {
        true => 0,
        false => ACCUMULATOR_LIMBS,
    }
}

/// Why proofs cannot be aggregated.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum AggregationError {
    /// The bytes are no proof of this circuit's shape.
    #[error(
        "the {which} proof cannot be read: {reason}; verify it with its own key before aggregating"
    )]
    InvalidProof {
        /// Which of the inner proofs.
        which: &'static str,
        /// What snark-verifier says.
        reason: String,
    },
    /// The instance has another length than its circuit's.
    #[error("the {which} proof has {found} public inputs, its circuit has {expected}")]
    InvalidInstance {
        /// Which of the inner proofs.
        which: &'static str,
        /// Public inputs of the circuit.
        expected: usize,
        /// Public inputs given.
        found: usize,
    },
    /// Two statements that must meet do not.
    #[error("{0}; give the proofs in their order, all of one batch")]
    Unconnected(&'static str),
    /// The root is of a kind the top circuit does not take.
    #[error("the root has kind {found}, and the top takes {kinds} kinds")]
    UnknownRoot {
        /// Kind given.
        found: usize,
        /// Kinds taken.
        kinds: usize,
    },
    /// A key that cannot be a witness, since the identity has no coordinates: a mistake of ours.
    #[error("key {kind} of the roots has an empty column: its commitment is the identity")]
    EmptyColumn {
        /// Which of the list.
        kind: usize,
    },
    /// More cells than the rows and columns of the shape hold: a mistake of ours.
    #[error("the circuit needs {needed} {what}, its shape has {available}; report it")]
    TooSmall {
        /// What there is too little of.
        what: &'static str,
        /// How many it takes.
        needed: usize,
        /// How many there are.
        available: usize,
    },
}
