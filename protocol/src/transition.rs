//! The state transition: what one operation does to leaves and threaded state (`protocol.md`, "Operations").
//!
//! One function for admission, simulation, execution, witness and rebuild: [`execute`]. An operation opens exactly
//! three leaves in order - sender, recipient, fee leaf - and any may coincide; an access an operation does not need
//! reads leaf 0 and changes nothing. Signatures are checked apart ([`crate::signature`]), because nodes check them
//! in batches; the key that signed must be the leaf's key, which is checked here.
//!
//! What this module does not do: update the root, the accumulator or the word counts ([`crate::witness`]).

mod error;
mod forced;
mod signed;

pub use error::InvalidOperation;

use crate::{
    account::Leaf,
    inbox::InboxItem,
    number::{Amount, Height, LeafIndex},
    params::{BURN_NUMERATOR, BURN_SHIFT, HEIGHT_DELTA_BITS},
    state::{LeafView, Overlay},
    threaded::{FeeLeaves, Phase, Threaded},
    transaction::{Bid, Domain, OperationKind, SignedTransaction},
    words::Word,
};
use ark_bn254::Fr;
use borsh::{BorshDeserialize, BorshSerialize};

/// A member's place in its atomic group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Membership {
    /// G, signed by every member.
    #[borsh(
        serialize_with = "crate::codec::borsh_field::serialize",
        deserialize_with = "crate::codec::borsh_field::deserialize"
    )]
    pub hash: Fr,
    /// Whether this is the last member.
    pub last: bool,
}

/// What one slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Operation {
    /// Nothing.
    Noop,
    /// A transaction, the fee leaf that collects its fee (0 if the fee is 0), and its group.
    Signed {
        /// The transaction; its signature has been checked.
        transaction: SignedTransaction,
        /// Selector among the block's fee leaves.
        fee_leaf: u8,
        /// Group it belongs to.
        group: Option<Membership>,
    },
    /// Payment of the block's bid; its signature has been checked.
    BidPay(Bid),
    /// Burn of a withheld bid's collateral; its signature has been checked.
    BidBurn(Bid),
    /// An item of the base layer's inbox.
    Inbox(InboxItem),
}

impl Operation {
    /// The slot's type.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Noop => OperationKind::Noop,
            Self::Signed { transaction, .. } => transaction.transaction.action.kind(),
            Self::BidPay(_) => OperationKind::BidPay,
            Self::BidBurn(_) => OperationKind::BidBurn,
            Self::Inbox(_) => OperationKind::Inbox,
        }
    }

    /// Whether it counts among the signed operations.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        matches!(
            self,
            Self::Signed { .. } | Self::BidPay(_) | Self::BidBurn(_)
        )
    }
}

/// Opens a block inside the words: `Block` slot and fee-leaf slots.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// Height above the last published block's, 1 to 2^40 - 1.
    pub height_delta: u64,
    /// New fee leaves; `None` = as in the block before, never in a batch's first block.
    pub fee_leaves: Option<FeeLeaves>,
    /// Whether the block's first signed operation is a BidPay.
    pub bid: bool,
}

/// One opened leaf: what was there and what is there afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Access {
    /// Place in the tree.
    pub index: LeafIndex,
    /// Leaf before, if one lived there.
    pub before: Option<Leaf>,
    /// Leaf after.
    pub after: Option<Leaf>,
}

/// Effects of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Sender, recipient, fee leaf.
    pub accesses: [Access; 3],
    /// The withdrawal this operation makes.
    pub withdrawal: Option<[Word; 2]>,
    /// Base units burned.
    pub burned: Amount,
    /// False only for an inbox item that became a no-op (or a Deposit that was returned).
    pub applied: bool,
}

/// `floor(fee * BURN_NUMERATOR / 2^BURN_SHIFT)`.
#[must_use]
pub fn burn_of(fee: Amount) -> Amount {
    // fee < 2^112 (8-bit mantissa, 10^31), BURN_NUMERATOR < 2^13: no overflow
    Amount::new(fee.get().saturating_mul(BURN_NUMERATOR) >> BURN_SHIFT).unwrap_or(Amount::ZERO)
}

/// Three accesses in order, each seeing the writes of those before it.
struct Accesses<'a, V> {
    leaves: Overlay<'a, V>,
    done: Vec<Access>,
}

impl<'a, V: LeafView> Accesses<'a, V> {
    fn new(view: &'a V) -> Self {
        Self {
            leaves: Overlay::new(view),
            done: Vec::with_capacity(3),
        }
    }

    fn read(&self, index: LeafIndex) -> Option<Leaf> {
        self.leaves.leaf(index)
    }

    /// Opens `index` and leaves `after` there.
    fn write(&mut self, index: LeafIndex, after: Option<Leaf>) {
        let before = self.leaves.leaf(index);
        if let Some(leaf) = after {
            self.leaves.write(index, leaf);
        }
        self.done.push(Access {
            index,
            before,
            after,
        });
    }

    /// Opens `index` and changes nothing.
    fn keep(&mut self, index: LeafIndex) {
        self.write(index, self.leaves.leaf(index));
    }

    /// Fills up to three with reads of leaf 0.
    fn finish(mut self) -> [Access; 3] {
        while self.done.len() < 3 {
            self.keep(LeafIndex(0));
        }
        self.done
            .try_into()
            .expect("no operation opens more than three leaves")
    }
}

/// Opens the next block.
///
/// # Errors
/// [`InvalidOperation::GroupOpen`], [`InvalidOperation::BidMissing`], [`InvalidOperation::HeightDelta`] or
/// [`InvalidOperation::NoFeeLeaves`].
pub fn open_block(threaded: &mut Threaded, header: &Header) -> Result<(), InvalidOperation> {
    if threaded.group.is_open() {
        return Err(InvalidOperation::GroupOpen);
    }
    if threaded.phase == Phase::BidPending {
        return Err(InvalidOperation::BidMissing);
    }
    let delta_fits = (1..1 << HEIGHT_DELTA_BITS).contains(&header.height_delta);
    let height = threaded
        .height
        .0
        .checked_add(header.height_delta)
        .filter(|_| delta_fits);
    let height = Height(height.ok_or(InvalidOperation::HeightDelta)?);
    let fee_leaves = header.fee_leaves.unwrap_or(threaded.fee_leaves);
    if fee_leaves.count() == 0 {
        return Err(InvalidOperation::NoFeeLeaves);
    }
    threaded.height = height;
    threaded.fee_leaves = fee_leaves;
    threaded.phase = if header.bid {
        Phase::BidPending
    } else {
        Phase::Inbox
    };
    Ok(())
}

/// Executes one operation against `view`, advances `threaded` (all but root, accumulator and word counts) and
/// returns the effects; on an error nothing has changed.
///
/// # Errors
/// Why a signed operation is invalid, or out of place. Inbox items never fail once in place.
pub fn execute<V: LeafView>(
    view: &V,
    threaded: &mut Threaded,
    domain: &Domain,
    operation: &Operation,
) -> Result<Executed, InvalidOperation> {
    let mut next = *threaded;
    let executed = match operation {
        Operation::Noop => Executed {
            accesses: Accesses::new(view).finish(),
            withdrawal: None,
            burned: Amount::ZERO,
            applied: true,
        },
        Operation::Inbox(item) => {
            enter_inbox(&next)?;
            forced::execute(view, &mut next, item)
        }
        Operation::Signed {
            transaction,
            fee_leaf,
            group,
        } => {
            enter_signed(&mut next, false)?;
            signed::authorize(view, &mut next, domain, transaction, *group)?;
            signed::execute(view, &mut next, &transaction.transaction, *fee_leaf)?
        }
        Operation::BidPay(bid) => {
            enter_signed(&mut next, true)?;
            signed::pay_bid(view, &mut next, bid)?
        }
        Operation::BidBurn(bid) => {
            enter_signed(&mut next, false)?;
            signed::burn_bid(view, &mut next, bid)?
        }
    };
    *threaded = next;
    Ok(executed)
}

/// Executes an operation read back from published words, which carry no key, signature, nonce or expiry.
///
/// # Errors
/// As [`execute`], but for what only the author's signature covers.
pub fn replay<V: LeafView>(
    view: &V,
    threaded: &mut Threaded,
    operation: &crate::rebuild::PublishedOperation,
) -> Result<Executed, InvalidOperation> {
    use crate::rebuild::PublishedOperation as Published;
    let mut next = *threaded;
    let executed = match operation {
        Published::Noop => Executed {
            accesses: Accesses::new(view).finish(),
            withdrawal: None,
            burned: Amount::ZERO,
            applied: true,
        },
        Published::Inbox(item) => {
            enter_inbox(&next)?;
            forced::execute(view, &mut next, item)
        }
        Published::Signed {
            from,
            fee,
            action,
            fee_leaf,
        } => {
            enter_signed(&mut next, false)?;
            let nonce = view
                .leaf(*from)
                .ok_or(InvalidOperation::SenderMissing { index: *from })?
                .nonce;
            let transaction = crate::transaction::Transaction {
                from: *from,
                nonce,
                valid_until: next.height,
                fee: *fee,
                action: *action,
            };
            signed::execute(view, &mut next, &transaction, *fee_leaf)?
        }
        Published::BidPay { leaf, value } => {
            enter_signed(&mut next, true)?;
            signed::move_bid(view, &mut next, *leaf, *value)?
        }
        Published::BidBurn { leaf, value } => {
            enter_signed(&mut next, false)?;
            if next.group.is_open() {
                return Err(InvalidOperation::GroupOpen);
            }
            signed::destroy_bid(view, *leaf, *value)?
        }
    };
    *threaded = next;
    Ok(executed)
}

/// Inbox items stand in an open block, before its signed part.
fn enter_inbox(threaded: &Threaded) -> Result<(), InvalidOperation> {
    match threaded.phase {
        Phase::Inbox | Phase::BidPending => Ok(()),
        Phase::NoBlock | Phase::Signed => Err(InvalidOperation::InboxOutOfPlace),
    }
}

/// Moves the block into its signed part; a promised BidPay must come first, and nowhere else.
fn enter_signed(threaded: &mut Threaded, is_bid_pay: bool) -> Result<(), InvalidOperation> {
    match (threaded.phase, is_bid_pay) {
        (Phase::NoBlock, _) => return Err(InvalidOperation::NoBlock),
        (Phase::BidPending, false) => return Err(InvalidOperation::BidMissing),
        (Phase::Inbox | Phase::Signed, true) => return Err(InvalidOperation::BidOutOfPlace),
        (Phase::BidPending, true) | (Phase::Inbox | Phase::Signed, false) => {}
    }
    if threaded.group.is_open() && is_bid_pay {
        return Err(InvalidOperation::GroupOpen);
    }
    threaded.phase = Phase::Signed;
    threaded.counts.signed_operations = threaded.counts.signed_operations.saturating_add(1);
    Ok(())
}

#[cfg(test)]
mod tests;
