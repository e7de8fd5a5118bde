//! Blocks: header and payload, and their execution (`protocol.md`, "Blocks, batches, chunks"; `sequencing.md`, rule 3).
//!
//! A block with an invalid signed operation is invalid as a whole. What this module does not do: judge who may propose
//! what and when; that is the vote rule of [`crate::validity`].

mod execution;

use std::collections::BTreeMap;

use ark_bn254::Fr;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::{L1Address, Leaf, LeafKey},
    batch::Usage,
    certificate::{CertificateError, ExtendedCertificate},
    codec::{borsh_field, field_from_be_bytes_mod_order, to_bytes},
    hash::keccak256,
    inbox::InboxItem,
    number::{Epoch, Height, LeafIndex, Round},
    params::{BID_FLOOR, EPOCH_HEIGHTS},
    restart::RestartCertificate,
    signature::{Claim, verify_batch},
    state::{LeafView, State},
    threaded::FeeLeaves,
    transaction::{Domain, ListHash, SignedBid, Submission},
    transition::{Executed, InvalidOperation, Membership, Operation},
};

pub use execution::BlockExecution;

/// Operations a payload may hold: bounds memory of a decoded block.
pub const BLOCK_OPERATIONS_MAX: usize = 16_384;

/// Name of a block, and what agreement decides on: covers core and bid.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct BlockId(pub [u8; 32]);

impl std::fmt::Display for BlockId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::codec::display_hex(&self.0, f)
    }
}

/// A block of the base layer that this block refers to; number 0 and a zero hash before there is one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
)]
pub struct L1Origin {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// What a block is, but for its bid: the part that a builder's bid signs.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockCore {
    /// Chain id of genesis.
    pub chain_id: u64,
    /// One above the parent's.
    pub height: Height,
    /// Epoch of that height.
    pub epoch: Epoch,
    /// Hash of the validator set of the next epoch.
    pub next_set_hash: [u8; 32],
    /// Round in which the author proposed this block first.
    pub birth_round: Round,
    /// Proposer of the birth round: address of its secp256k1 key.
    pub author: L1Address,
    /// Id of the block before; the genesis hash for the first.
    pub parent: BlockId,
    /// keccak256 of the encoded payload.
    pub payload_root: [u8; 32],
    /// Leaves that collect fees; at least one.
    pub fee_leaves: FeeLeaves,
    /// Hash of the parent's certificate, or of the restart certificate, that the header carries; zero without one.
    pub certificate_hash: [u8; 32],
    /// Newest base-layer block whose inbox items may stand in the payload.
    pub l1_origin: L1Origin,
    /// Milliseconds since 1970: the certificate's median, at least parent + 1.
    pub timestamp_ms: u64,
    /// State root after the parent.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub state_root_before: Fr,
    /// Resources that the payload and the bid use.
    pub usage: Usage,
}

impl BlockCore {
    /// keccak256("QUORATE/protocol/core/v1" and the encoding).
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut bytes = b"QUORATE/protocol/core/v1".to_vec();
        bytes.extend_from_slice(&to_bytes(self));
        keccak256(&bytes)
    }

    /// What a bid for this block signs: the hash mod p.
    #[must_use]
    pub fn bid_hash(&self) -> Fr {
        field_from_be_bytes_mod_order(&self.hash())
    }

    /// v = H(core, bid or none): keccak256("QUORATE/protocol/block/v1", core hash, encoded bid). What a certificate
    /// names, without the certificate of the parent that a header carries.
    #[must_use]
    pub fn block_id(&self, bid: Option<&SignedBid>) -> BlockId {
        let mut bytes = b"QUORATE/protocol/block/v1".to_vec();
        bytes.extend_from_slice(&self.hash());
        bytes.extend_from_slice(&to_bytes(&bid));
        BlockId(keccak256(&bytes))
    }
}

/// A block without its payload: what a proposer sends first, and what is judged before the payload is seen.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockHeader {
    /// What the block is.
    pub core: BlockCore,
    /// The builder's offer that the proposer took, if any.
    pub bid: Option<SignedBid>,
    /// Certificate of the parent; none on the first block, and on the first after a restart.
    pub certificate: Option<ExtendedCertificate>,
    /// On the first block after a restart, what stands in the place of the parent's certificate.
    pub restart: Option<RestartCertificate>,
}

impl BlockHeader {
    /// Name of the block: [`BlockCore::block_id`] with its bid.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.core.block_id(self.bid.as_ref())
    }
}

/// One entry of a payload's signed part.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Entry {
    /// A submission, with the fee leaf selector of each member.
    Submission {
        /// One operation, or the members of a group.
        submission: Submission,
        /// One selector per member; 0 where the fee is 0.
        fee_leaves: Vec<u8>,
    },
    /// Burn of a withheld bid.
    BidBurn(SignedBid),
}

impl Entry {
    /// The slots of this entry, in order.
    #[must_use]
    pub fn operations(&self, domain: &Domain) -> Vec<Operation> {
        match self {
            Self::BidBurn(signed) => vec![Operation::BidBurn(signed.bid)],
            Self::Submission {
                submission,
                fee_leaves,
            } => {
                let hash = submission
                    .is_group()
                    .then(|| crate::transaction::group_hash(&submission.messages(domain)));
                let members = submission.members();
                members
                    .iter()
                    .enumerate()
                    .map(|(place, transaction)| Operation::Signed {
                        transaction: *transaction,
                        fee_leaf: fee_leaves.get(place).copied().unwrap_or(0),
                        group: hash.map(|hash| Membership {
                            hash,
                            last: place + 1 == members.len(),
                        }),
                    })
                    .collect()
            }
        }
    }

    /// The signatures to check.
    #[must_use]
    pub fn claims(&self, domain: &Domain) -> Vec<Claim> {
        match self {
            Self::BidBurn(signed) => vec![signed.bid.claim(domain)],
            Self::Submission { submission, .. } => submission.claims(domain),
        }
    }

    fn is_well_formed(&self) -> bool {
        match self {
            Self::BidBurn(_) => true,
            Self::Submission {
                submission,
                fee_leaves,
            } => submission.has_valid_size() && fee_leaves.len() == submission.members().len(),
        }
    }
}

/// Ordered operations of one block: inbox items first.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Payload {
    /// Items of the base layer's inbox, in its order.
    pub inbox: Vec<InboxItem>,
    /// Signed operations.
    pub entries: Vec<Entry>,
    /// Listed submissions that do not stand in the block, with the bytes that show why; ascending by name.
    pub excuses: Vec<Submission>,
}

impl Payload {
    /// keccak256 of the encoding.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        keccak256(&to_bytes(self))
    }

    fn signed_operations(&self) -> usize {
        let counts = self.entries.iter().map(|entry| match entry {
            Entry::BidBurn(_) => 1,
            Entry::Submission { submission, .. } => submission.members().len(),
        });
        counts.sum()
    }
}

/// A block: header and payload. The certificate that decides it travels beside it, and in the next block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// What its id covers.
    pub header: BlockHeader,
    /// What it orders.
    pub payload: Payload,
}

impl Block {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// Whether nothing is published for this block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operation_count() == 0
    }

    /// The slots, in order: inbox items, payment of the bid, the rest.
    #[must_use]
    pub fn operations(&self, domain: &Domain) -> Vec<Operation> {
        let inbox = self.payload.inbox.iter();
        let bid = self.header.bid.iter();
        let entries = self.payload.entries.iter();
        inbox
            .map(|item| Operation::Inbox(*item))
            .chain(bid.map(|signed| Operation::BidPay(signed.bid)))
            .chain(entries.flat_map(|entry| entry.operations(domain)))
            .collect()
    }

    /// Number of slots it takes, without building them.
    #[must_use]
    pub fn operation_count(&self) -> usize {
        let inbox = self.payload.inbox.len();
        let bid = usize::from(self.header.bid.is_some());
        inbox
            .saturating_add(bid)
            .saturating_add(self.payload.signed_operations())
    }
}

/// Where execution stands before a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tip {
    /// Height of the last block; genesis is 0.
    pub height: Height,
    /// Id of the last block, or the genesis hash.
    pub id: BlockId,
    /// Its timestamp.
    pub timestamp_ms: u64,
    /// Inbox items consumed so far.
    pub inbox_count: u64,
    /// Newest base-layer block that a block has named.
    pub l1_origin: L1Origin,
}

/// Why a block is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlock {
    /// A core field does not follow from the parent.
    #[error("block core is invalid: {0}")]
    Core(&'static str),
    /// The payload's hash is not the core's payload root.
    #[error("payload does not match its root")]
    PayloadRoot,
    /// The payload holds more than one batch can, or an entry is malformed.
    #[error("payload is malformed: {0}")]
    Payload(&'static str),
    /// The bid is not for this core, or its collateral does not cover it.
    #[error("bid is invalid: {0}")]
    Bid(&'static str),
    /// The parent's certificate is not one, or not the one the core names.
    #[error("parent certificate is invalid: {0}")]
    Certificate(#[from] CertificateError),
    /// A signature does not match.
    #[error("a signature of the payload is invalid")]
    Signature,
    /// An operation is invalid.
    #[error("operation {place} is invalid: {reason}")]
    Operation {
        /// Place among the block's slots.
        place: usize,
        /// The rule.
        reason: InvalidOperation,
    },
    /// Inbox items that are not the next ones, or overdue ones left out.
    #[error("inbox items are wrong: {0}")]
    Inbox(&'static str),
    /// The burns are not exactly those that are due.
    #[error("burns of withheld bids are wrong: {0}")]
    Burn(&'static str),
    /// A listed transaction is neither in the block nor excused.
    #[error("listed transaction {0} is neither in the block nor excused")]
    ListedMissing(ListHash),
    /// An excuse that does not hold.
    #[error("excuse {place} does not hold: {reason}")]
    Excuse {
        /// Place among the excuses.
        place: usize,
        /// Why.
        reason: &'static str,
    },
}

/// What a valid block does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEffects {
    /// Leaves to write, for [`State::commit`].
    pub changes: BTreeMap<LeafIndex, Leaf>,
    /// Where execution stands afterwards.
    pub tip: Tip,
    /// Effects of each slot, in order.
    pub executed: Vec<Executed>,
}

/// Executes a block on the state after its parent, signatures of operations included.
///
/// This is what a certified block is replayed by. It does not look at who proposed the block, which certificate it
/// embeds or whether it holds what it must: [`crate::validity::verdict`] does, before a block is voted for.
///
/// # Errors
/// Why the block is invalid; nothing has changed.
pub fn apply_block(
    state: &State,
    tip: &Tip,
    domain: &Domain,
    chain_id: u64,
    block: &Block,
) -> Result<BlockEffects, InvalidBlock> {
    execute_block(state, tip, domain, chain_id, (block, &[])).map(|(_, effects)| effects)
}

/// [`apply_block`], with the execution for questions about what would have applied after it; entries whose signatures
/// were checked before are not checked again.
pub(crate) fn execute_block<'a>(
    state: &'a State,
    tip: &Tip,
    domain: &Domain,
    chain_id: u64,
    (block, checked): (&Block, &[bool]),
) -> Result<(BlockExecution<'a>, BlockEffects), InvalidBlock> {
    check_core(state, tip, chain_id, &block.header.core)?;
    if let Some(bid) = &block.header.bid {
        check_bid(state, &block.header.core, bid, domain)?;
    }
    let payload = &block.payload;
    if block.header.core.payload_root != payload.root() {
        return Err(InvalidBlock::PayloadRoot);
    }
    if !payload.entries.iter().all(Entry::is_well_formed) {
        return Err(InvalidBlock::Payload("group size or fee leaf selectors"));
    }
    if block.operation_count() > BLOCK_OPERATIONS_MAX {
        return Err(InvalidBlock::Payload("too many operations"));
    }
    let operations = block.operations(domain);
    let usage = Usage::of(&operations);
    if !usage.fits() {
        return Err(InvalidBlock::Payload(
            "its operations do not fit one batch alone",
        ));
    }
    if usage != block.header.core.usage {
        return Err(InvalidBlock::Core("resources are not those of the payload"));
    }
    let entries = payload.entries.iter();
    let bid = block.header.bid.iter();
    let claims: Vec<Claim> = bid
        .map(|signed| signed.bid.claim(domain))
        .chain(
            entries
                .enumerate()
                .filter(|(place, _)| !checked.get(*place).copied().unwrap_or(false))
                .flat_map(|(_, entry)| entry.claims(domain)),
        )
        .collect();
    if !verify_batch(&claims) {
        return Err(InvalidBlock::Signature);
    }
    let fee_leaves = &block.header.core.fee_leaves;
    let mut execution = BlockExecution::new(state, tip, fee_leaves, block.header.bid.is_some());
    for (place, operation) in operations.iter().enumerate() {
        execution
            .push(domain, operation)
            .map_err(|reason| InvalidBlock::Operation { place, reason })?;
    }
    let core = &block.header.core;
    let tip = Tip {
        height: core.height,
        id: block.id(),
        timestamp_ms: core.timestamp_ms,
        inbox_count: execution.threaded.inbox_count,
        l1_origin: core.l1_origin,
    };
    let after = execution.clone();
    let (changes, executed) = execution
        .finish()
        .map_err(|reason| InvalidBlock::Operation {
            place: operations.len(),
            reason,
        })?;
    let effects = BlockEffects {
        changes,
        tip,
        executed,
    };
    Ok((after, effects))
}

/// What follows from the parent alone.
pub(crate) fn check_core(
    state: &State,
    tip: &Tip,
    chain_id: u64,
    core: &BlockCore,
) -> Result<(), InvalidBlock> {
    if core.chain_id != chain_id {
        return Err(InvalidBlock::Core("chain id"));
    }
    if Some(core.height.0) != tip.height.0.checked_add(1) {
        return Err(InvalidBlock::Core("height is not one above the parent's"));
    }
    if core.parent != tip.id {
        return Err(InvalidBlock::Core("parent"));
    }
    if core.timestamp_ms <= tip.timestamp_ms {
        return Err(InvalidBlock::Core("timestamp is not above the parent's"));
    }
    if core.l1_origin.number < tip.l1_origin.number {
        return Err(InvalidBlock::Core(
            "base-layer origin is below the parent's",
        ));
    }
    if core.state_root_before != state.root() {
        return Err(InvalidBlock::Core("state root after the parent"));
    }
    if core.fee_leaves.count() == 0 {
        return Err(InvalidBlock::Core("no fee leaves"));
    }
    Ok(())
}

/// A bid pays for this very core, from collateral that stays locked for two epochs and covers it before the block.
pub(crate) fn check_bid(
    state: &State,
    core: &BlockCore,
    signed: &SignedBid,
    domain: &Domain,
) -> Result<(), InvalidBlock> {
    let bid = &signed.bid;
    if bid.core_hash != core.bid_hash() {
        return Err(InvalidBlock::Bid("it was made for another core"));
    }
    if bid.height != core.height {
        return Err(InvalidBlock::Bid("it was made for another height"));
    }
    if !signed.is_authentic(domain) {
        return Err(InvalidBlock::Bid("its builder did not sign it"));
    }
    let collateral = state
        .leaf(bid.leaf)
        .ok_or(InvalidBlock::Bid("its collateral leaf does not exist"))?;
    let locked_for = core.height.0.saturating_add(2 * EPOCH_HEIGHTS);
    if collateral.lock_until.0 < locked_for {
        return Err(InvalidBlock::Bid(
            "its collateral must be locked for two epochs",
        ));
    }
    if collateral.balance.get() < bid.value.get().max(BID_FLOOR) {
        return Err(InvalidBlock::Bid("its collateral does not cover it"));
    }
    if collateral.key != LeafKey::from(bid.key) {
        return Err(InvalidBlock::Bid("its key is not its collateral leaf's"));
    }
    let proposer = core.fee_leaves.get(0).and_then(|leaf| state.leaf(leaf));
    if proposer.map(|leaf| leaf.token) != Some(collateral.token) {
        return Err(InvalidBlock::Bid(
            "its collateral holds another token than the first fee leaf",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
