//! Leaves, blocks and batches in JSON: what the node has on disk.

use protocol::{
    account::Leaf,
    number::{LeafIndex, Nonce, TokenId},
    params::TREE_LEVELS,
    tree::{Siblings, root_of_path},
    validator::Validator,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ApiError, ErrorCode},
    operation::{PointJson, TransactionJson},
    status::PlaceJson,
    text::{AddressText, AmountText, BytesText, FieldText, HashText},
};

/// Entries a page holds at most.
pub const PAGE_LIMIT_MAX: u32 = 1_000;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page<T> {
    /// Entries in order.
    pub entries: Vec<T>,
    /// Where the next page starts; absent at the end.
    pub next: Option<String>,
}

/// A leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafJson {
    /// Place in the tree.
    pub index: u32,
    /// Who signs.
    pub key: PointJson,
    /// Who is paid by withdrawals.
    pub l1_owner: AddressText,
    /// What is held.
    pub token: u32,
    /// Nonce of the next signed operation that is not yet pending here.
    pub pending_nonce: u64,
    /// Nonce of the next signed operation in the certified state.
    pub nonce: u64,
    /// Base units held.
    pub balance: AmountText,
    /// Locked while the height is at most this.
    pub lock_until: u64,
}

impl LeafJson {
    /// JSON of a leaf.
    #[must_use]
    pub fn new(index: LeafIndex, leaf: &Leaf, pending_nonce: Nonce) -> Self {
        Self {
            index: index.0,
            key: leaf.key.into(),
            l1_owner: leaf.l1_owner.into(),
            token: leaf.token.0,
            pending_nonce: pending_nonce.0,
            nonce: leaf.nonce.0,
            balance: leaf.balance.into(),
            lock_until: leaf.lock_until.0,
        }
    }

    /// The protocol's form.
    ///
    /// # Errors
    /// The first field that is not canonical.
    pub fn parse(&self) -> Result<Leaf, ApiError> {
        Ok(Leaf {
            key: self.key.parse_leaf_key()?,
            l1_owner: self.l1_owner.parse()?,
            token: TokenId(self.token),
            nonce: Nonce(self.nonce),
            balance: self.balance.parse()?,
            lock_until: protocol::number::Height(self.lock_until),
        })
    }
}

/// A leaf with the path that proves it under a certified root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafProofJson {
    /// The leaf.
    pub leaf: LeafJson,
    /// Height of the block after which this holds.
    pub height: u64,
    /// State root after that block.
    pub root: FieldText,
    /// Three siblings a level, leaves first, ascending.
    pub siblings: Vec<[FieldText; 3]>,
}

impl LeafProofJson {
    /// Checks the path; returns the leaf.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidOperation`] if the path does not lead to the root, or a field that is not canonical.
    pub fn verify(&self) -> Result<Leaf, ApiError> {
        let leaf = self.leaf.parse()?;
        let levels = self
            .siblings
            .iter()
            .map(|[a, b, c]| Ok([a.parse()?, b.parse()?, c.parse()?]))
            .collect::<Result<Vec<_>, ApiError>>()?;
        let siblings: Siblings = levels.try_into().map_err(|levels: Vec<_>| {
            let reason = format!("a path has {TREE_LEVELS} levels, not {}", levels.len());
            ApiError::new(ErrorCode::MalformedText, reason)
        })?;
        if root_of_path(LeafIndex(self.leaf.index), leaf.hash(), &siblings) == self.root.parse()? {
            Ok(leaf)
        } else {
            let reason = "the leaf's path does not lead to the state root";
            Err(ApiError::new(ErrorCode::InvalidOperation, reason))
        }
    }
}

/// One signed entry of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum EntryJson {
    /// One operation, or the members of an atomic group.
    Submission {
        /// Whether the operations form an atomic group.
        is_group: bool,
        /// Ids and operations, in order.
        operations: Vec<OrderedOperation>,
    },
    /// Burn of a withheld bid.
    BidBurn {
        /// The bid.
        bid: BidJson,
    },
}

/// A builder's offer for a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BidJson {
    /// Collateral leaf.
    pub leaf: u32,
    /// Height the bid is for.
    pub height: u64,
    /// Base units.
    pub value: AmountText,
    /// Address of the builder's key.
    pub builder: AddressText,
}

/// One validator's signature of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureJson {
    /// Its address.
    pub validator: AddressText,
    /// r, s, recovery id, over its precommit of the block.
    pub signature: BytesText,
}

/// What decides a block: precommits of more than two thirds of the weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateJson {
    /// Round in which the block was decided.
    pub round: u32,
    /// Signatures by address.
    pub signatures: Vec<SignatureJson>,
}

/// An operation inside a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderedOperation {
    /// Its id.
    pub id: HashText,
    /// What was signed.
    pub transaction: TransactionJson,
    /// Which of the block's fee leaves collected the fee.
    pub fee_leaf: u8,
}

/// One seat of a validator set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorJson {
    /// Address of its secp256k1 key.
    pub address: AddressText,
    /// Stake.
    pub weight: u64,
}

impl From<&Validator> for ValidatorJson {
    fn from(validator: &Validator) -> Self {
        Self {
            address: validator.address.into(),
            weight: validator.weight,
        }
    }
}

impl ValidatorJson {
    /// The protocol's form.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`].
    pub fn parse(&self) -> Result<Validator, ApiError> {
        Ok(Validator {
            address: self.address.parse()?,
            weight: self.weight,
        })
    }
}

/// A certified block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockJson {
    /// Position in the chain.
    pub height: u64,
    /// Id: covers core and bid.
    pub id: HashText,
    /// Id of the block before.
    pub parent: HashText,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Who proposed it.
    pub author: AddressText,
    /// Leaves that collect fees.
    pub fee_leaves: Vec<u32>,
    /// keccak256 of the encoded payload.
    pub payload_root: HashText,
    /// State root after the parent.
    pub state_root_before: FieldText,
    /// The encoded header, for checking the id.
    pub header: BytesText,
    /// The bid that the block pays.
    pub bid: Option<BidJson>,
    /// What decided it.
    pub certificate: CertificateJson,
    /// Words of inbox items, 155 bytes each.
    pub inbox: Vec<BytesText>,
    /// Signed entries, in order.
    pub entries: Vec<EntryJson>,
    /// Batch the block belongs to, once it is known.
    pub batch: Option<u64>,
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStage {
    /// It still takes blocks.
    Open,
    /// It takes no more blocks; proofs are missing.
    Sealed,
    /// Every proof was verified here and the bundle can be fetched.
    Proven,
}

/// One proof job of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchJob {
    /// Job id.
    pub id: HashText,
    /// `chunk`, `data`, `join`, `close` or `finish`.
    pub kind: crate::jobs::JobKind,
    /// Position of the chunk, or of the join among all of its batch; else 0.
    pub index: u32,
    /// When the job was made.
    pub created_ms: u64,
    /// When a worker took it last.
    pub leased_ms: Option<u64>,
    /// When its proof was accepted.
    pub proven_ms: Option<u64>,
    /// How often a worker has taken the job.
    pub attempts: u32,
    /// Who works on it or has proven it.
    pub worker: Option<String>,
    /// Phase the worker reported last.
    pub phase: Option<String>,
    /// Percent the worker reported last.
    pub percent: Option<u8>,
}

/// A batch with its timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchJson {
    /// Position; the first is 1.
    pub number: u64,
    /// Where it stands.
    pub stage: BatchStage,
    /// First height it covers.
    pub first_height: u64,
    /// Last height it covers; absent while it is open.
    pub last_height: Option<u64>,
    /// State root before.
    pub root_before: FieldText,
    /// State root after; absent while it is open.
    pub root_after: Option<FieldText>,
    /// Signed operations so far.
    pub signed_operations: u64,
    /// Bytes it publishes so far.
    pub published_bytes: u64,
    /// Its proof jobs so far.
    pub jobs: Vec<BatchJob>,
    /// When its first operation was certified.
    pub opened_ms: Option<u64>,
    /// When it was sealed.
    pub sealed_ms: Option<u64>,
    /// When its last proof was accepted.
    pub proven_ms: Option<u64>,
    /// Size of its bundle.
    pub bundle_bytes: Option<u64>,
    /// keccak256 of its bundle.
    pub bundle_hash: Option<HashText>,
    /// Where it stands on the base layer, as this node sees it; absent if it is not committed, or no base layer is followed.
    pub base_layer: Option<BatchOnBaseLayer>,
    /// When this node had the one proof of the batch that the base layer verifies.
    pub final_proof_ms: Option<u64>,
}

/// A batch on the base layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchOnBaseLayer {
    /// Where it was committed.
    pub committed: PlaceJson,
    /// Where it was proven.
    pub proven: Option<PlaceJson>,
    /// Whether the block that proved it is final.
    pub is_final: bool,
}

/// The bundle of a proven batch: write the bytes to a file and `quorate verify` it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleJson {
    /// Batch.
    pub number: u64,
    /// The file's bytes.
    pub bytes: BytesText,
}

/// The validators' certificate over a sealed batch: write the bytes to a file and `quorate verify checkpoint` it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointJson {
    /// Batch.
    pub number: u64,
    /// The file's bytes.
    pub bytes: BytesText,
}

#[cfg(test)]
mod tests {
    use protocol::{
        account::{L1Address, LeafKey},
        number::Amount,
        state::State,
    };

    use super::*;

    #[test]
    fn leaf_proofs_verify_and_refuse_another_balance() {
        let leaf = |balance| {
            let balance = Amount::new(balance).unwrap();
            Leaf::new(LeafKey::NULL, L1Address([1; 20]), TokenId(0), balance)
        };
        let state = State::new((1..8).map(leaf).collect());
        let index = LeafIndex(5);
        let siblings = state.siblings(index);
        let mut proof = LeafProofJson {
            leaf: LeafJson::new(index, &leaf(6), Nonce(0)),
            height: 1,
            root: state.root().into(),
            siblings: siblings
                .iter()
                .map(|level| level.map(FieldText::from))
                .collect(),
        };
        assert_eq!(proof.verify(), Ok(leaf(6)));
        proof.leaf.balance = AmountText("7".into());
        assert!(proof.verify().is_err());
        proof.leaf.balance = AmountText("6".into());
        proof.siblings.pop();
        assert!(proof.verify().is_err());
    }
}
