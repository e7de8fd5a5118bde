//! Blocks: core and payload, and their execution (`protocol.md`, "Blocks, batches, chunks").
//!
//! The core holds what exists so far of `sequencing.md` section 3; bids, lists and epochs come with the sequencer
//! set. A block with an invalid signed operation is invalid as a whole.

use std::collections::BTreeMap;

use ark_bn254::Fr;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::{L1Address, Leaf},
    batch::Usage,
    codec::{borsh_field, field_from_be_bytes_mod_order, to_bytes},
    hash::keccak256,
    inbox::InboxItem,
    number::{Height, LeafIndex},
    params::{BID_FLOOR, EPOCH_HEIGHTS},
    signature::{Claim, verify_batch},
    state::{LeafView, Overlay, State},
    threaded::{FeeLeaves, Phase, Threaded},
    transaction::{Bid, Domain, Submission},
    transition::{
        Access, Executed, Header, InvalidOperation, Membership, Operation, execute, open_block,
    },
};

/// Operations a payload may hold: bounds memory of a decoded block.
pub const BLOCK_OPERATIONS_MAX: usize = 16_384;

/// keccak256 of the encoded core.
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

/// What a proposer commits to.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockCore {
    /// Chain id of genesis.
    pub chain_id: u64,
    /// One above the parent's.
    pub height: Height,
    /// Id of the block before; the genesis hash for the first.
    pub parent: BlockId,
    /// keccak256 of the encoded payload.
    pub payload_root: [u8; 32],
    /// Leaves that collect fees; at least one.
    pub fee_leaves: FeeLeaves,
    /// Who proposed it: address of its secp256k1 key.
    pub author: L1Address,
    /// Milliseconds since 1970, at least parent + 1.
    pub timestamp_ms: u64,
    /// State root after the parent.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub state_root_before: Fr,
}

impl BlockCore {
    /// keccak256("QUORATE/protocol/block/v1" and the encoded core).
    #[must_use]
    pub fn id(&self) -> BlockId {
        let mut bytes = b"QUORATE/protocol/block/v1".to_vec();
        bytes.extend_from_slice(&to_bytes(self));
        BlockId(keccak256(&bytes))
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
    /// Payment of this block's bid: the first entry, if any.
    BidPay(Bid),
    /// Burn of a withheld bid.
    BidBurn(Bid),
}

impl Entry {
    /// The slots of this entry, in order.
    #[must_use]
    pub fn operations(&self, domain: &Domain) -> Vec<Operation> {
        match self {
            Self::BidPay(bid) => vec![Operation::BidPay(*bid)],
            Self::BidBurn(bid) => vec![Operation::BidBurn(*bid)],
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
            Self::BidPay(bid) | Self::BidBurn(bid) => vec![bid.claim(domain)],
            Self::Submission { submission, .. } => submission.claims(domain),
        }
    }

    fn is_well_formed(&self) -> bool {
        match self {
            Self::BidPay(_) | Self::BidBurn(_) => true,
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
}

impl Payload {
    /// keccak256 of the encoding.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        keccak256(&to_bytes(self))
    }

    /// Whether nothing is published for this block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inbox.is_empty() && self.entries.is_empty()
    }

    /// The slots, in order.
    #[must_use]
    pub fn operations(&self, domain: &Domain) -> Vec<Operation> {
        let inbox = self.inbox.iter().map(|item| Operation::Inbox(*item));
        inbox
            .chain(
                self.entries
                    .iter()
                    .flat_map(|entry| entry.operations(domain)),
            )
            .collect()
    }

    /// Number of slots it takes, without building them.
    #[must_use]
    pub fn operation_count(&self) -> usize {
        let signed = self.entries.iter().map(|entry| match entry {
            Entry::BidPay(_) | Entry::BidBurn(_) => 1,
            Entry::Submission { submission, .. } => submission.members().len(),
        });
        self.inbox.len().saturating_add(signed.sum())
    }

    /// Whether its first signed operation pays a bid: the header's bid flag.
    #[must_use]
    pub fn pays_bid(&self) -> bool {
        matches!(self.entries.first(), Some(Entry::BidPay(_)))
    }
}

/// A block: core and payload. Its certificate travels beside it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// What its id covers.
    pub core: BlockCore,
    /// What it orders.
    pub payload: Payload,
}

impl Block {
    /// What a bid for this block signs: `keccak256(core) mod p` of the core as its builder made it, whose payload
    /// root covers the payload without the bid's own entry (it cannot cover it: the entry holds this hash). The
    /// block's id covers the bid through the payload root.
    #[must_use]
    pub fn core_hash_of_bid(&self) -> Fr {
        let mut payload = self.payload.clone();
        payload
            .entries
            .retain(|entry| !matches!(entry, Entry::BidPay(_)));
        let core = BlockCore {
            payload_root: payload.root(),
            ..self.core.clone()
        };
        field_from_be_bytes_mod_order(&core.id().0)
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

/// Executes a block on the state after its parent, signatures included; the one entry of this crate.
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
    check_core(state, tip, chain_id, block)?;
    let payload = &block.payload;
    if !payload.entries.iter().all(Entry::is_well_formed) {
        return Err(InvalidBlock::Payload("group size or fee leaf selectors"));
    }
    if payload.operation_count() > BLOCK_OPERATIONS_MAX {
        return Err(InvalidBlock::Payload("too many operations"));
    }
    let operations = payload.operations(domain);
    if !Usage::of(&operations).fits() {
        return Err(InvalidBlock::Payload(
            "its operations do not fit one batch alone",
        ));
    }
    check_bid(state, block)?;
    let claims: Vec<Claim> = payload
        .entries
        .iter()
        .flat_map(|entry| entry.claims(domain))
        .collect();
    if !verify_batch(&claims) {
        return Err(InvalidBlock::Signature);
    }
    let mut execution = BlockExecution::new(state, tip, &block.core.fee_leaves, payload.pays_bid());
    for (place, operation) in operations.iter().enumerate() {
        execution
            .push(domain, operation)
            .map_err(|reason| InvalidBlock::Operation { place, reason })?;
    }
    let tip = Tip {
        height: block.core.height,
        id: block.core.id(),
        timestamp_ms: block.core.timestamp_ms,
        inbox_count: execution.threaded.inbox_count,
    };
    let (changes, executed) = execution
        .finish()
        .map_err(|reason| InvalidBlock::Operation {
            place: operations.len(),
            reason,
        })?;
    Ok(BlockEffects {
        changes,
        tip,
        executed,
    })
}

fn check_core(state: &State, tip: &Tip, chain_id: u64, block: &Block) -> Result<(), InvalidBlock> {
    let core = &block.core;
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
    if core.state_root_before != state.root() {
        return Err(InvalidBlock::Core("state root after the parent"));
    }
    if core.fee_leaves.count() == 0 {
        return Err(InvalidBlock::Core("no fee leaves"));
    }
    if core.payload_root == block.payload.root() {
        Ok(())
    } else {
        Err(InvalidBlock::PayloadRoot)
    }
}

/// A bid pays for this very core, from collateral that stays locked for two epochs and covers it before the block.
fn check_bid(state: &State, block: &Block) -> Result<(), InvalidBlock> {
    let Some(Entry::BidPay(bid)) = block.payload.entries.first() else {
        return Ok(());
    };
    if bid.core_hash != block.core_hash_of_bid() {
        return Err(InvalidBlock::Bid("it was made for another core"));
    }
    let collateral = state
        .leaf(bid.leaf)
        .ok_or(InvalidBlock::Bid("its collateral leaf does not exist"))?;
    let locked_for = block.core.height.0.saturating_add(2 * EPOCH_HEIGHTS);
    if collateral.lock_until.0 < locked_for {
        return Err(InvalidBlock::Bid(
            "its collateral must be locked for two epochs",
        ));
    }
    if collateral.balance.get() < bid.value.get().max(BID_FLOOR) {
        return Err(InvalidBlock::Bid("its collateral does not cover it"));
    }
    let proposer = block
        .core
        .fee_leaves
        .get(0)
        .and_then(|leaf| state.leaf(leaf));
    if proposer.map(|leaf| leaf.token) != Some(collateral.token) {
        return Err(InvalidBlock::Bid(
            "its collateral holds another token than the first fee leaf",
        ));
    }
    Ok(())
}

/// A block being executed or built: operations go in one by one, a refused one changes nothing.
pub struct BlockExecution<'a> {
    overlay: Overlay<'a, State>,
    /// Threaded state; root, accumulator and word counts stand still.
    pub threaded: Threaded,
    executed: Vec<Executed>,
}

impl<'a> BlockExecution<'a> {
    /// Opens the block above `tip`.
    #[must_use]
    pub fn new(state: &'a State, tip: &Tip, fee_leaves: &FeeLeaves, pays_bid: bool) -> Self {
        let mut threaded = Threaded::batch_start(
            state.root(),
            state.leaf_count(),
            tip.height,
            tip.inbox_count,
        );
        let header = Header {
            height_delta: 1,
            fee_leaves: Some(*fee_leaves),
            bid: pays_bid,
        };
        if open_block(&mut threaded, &header).is_err() {
            threaded.phase = Phase::NoBlock; // no fee leaves: every operation will be refused
        }
        Self {
            overlay: Overlay::new(state),
            threaded,
            executed: Vec::new(),
        }
    }

    /// Executes one operation whose signature has been checked.
    ///
    /// # Errors
    /// The rule it breaks; nothing has changed.
    pub fn push(
        &mut self,
        domain: &Domain,
        operation: &Operation,
    ) -> Result<Executed, InvalidOperation> {
        let executed = execute(&self.overlay, &mut self.threaded, domain, operation)?;
        self.write(executed.accesses);
        self.executed.push(executed);
        Ok(executed)
    }

    /// Executes all operations of an entry, or none. Signatures have been checked.
    ///
    /// # Errors
    /// The rule broken and the member that breaks it; nothing has changed. A malformed entry (group size, number of
    /// fee leaf selectors) is a [`InvalidOperation::GroupMismatch`] of member 0.
    pub fn push_entry(
        &mut self,
        domain: &Domain,
        entry: &Entry,
    ) -> Result<(), (usize, InvalidOperation)> {
        if !entry.is_well_formed() {
            return Err((0, InvalidOperation::GroupMismatch));
        }
        let mut threaded = self.threaded;
        let mut trial = Overlay::new(&self.overlay);
        let mut executed = Vec::new();
        for (place, operation) in entry.operations(domain).iter().enumerate() {
            let effects = execute(&trial, &mut threaded, domain, operation)
                .map_err(|reason| (place, reason))?;
            for access in effects.accesses {
                if let Some(leaf) = access.after {
                    trial.write(access.index, leaf);
                }
            }
            executed.push(effects);
        }
        self.threaded = threaded;
        for effects in executed {
            self.write(effects.accesses);
            self.executed.push(effects);
        }
        Ok(())
    }

    fn write(&mut self, accesses: [Access; 3]) {
        for access in accesses {
            if let (Some(after), true) = (access.after, access.before != access.after) {
                self.overlay.write(access.index, after);
            }
        }
    }

    /// The leaf as this block has left it so far.
    #[must_use]
    pub fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.overlay.leaf(index)
    }

    /// Closes the block: its changes and the effects of each slot.
    ///
    /// # Errors
    /// [`InvalidOperation::GroupOpen`] or [`InvalidOperation::BidMissing`].
    pub fn finish(self) -> Result<(BTreeMap<LeafIndex, Leaf>, Vec<Executed>), InvalidOperation> {
        if self.threaded.group.is_open() {
            return Err(InvalidOperation::GroupOpen);
        }
        if self.threaded.phase == Phase::BidPending {
            return Err(InvalidOperation::BidMissing);
        }
        Ok((self.overlay.into_changes(), self.executed))
    }
}

impl LeafView for BlockExecution<'_> {
    fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.overlay.leaf(index)
    }
}

#[cfg(test)]
mod tests;
