//! Inbox items: from a request to the call that enqueues it, and from the event back to the item; what the contracts say of them.
//!
//! The owner of an item is whoever sends the call, so the request's own is not encoded. Fees are the caller's: what is sent
//! beyond a deposit of ETH is the fee.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};
use protocol::account::L1Address;
use protocol::inbox::{InboxItem, InboxKind, InboxRequest};
use protocol::number::TokenId;
use protocol::params::ITEM_WORDS;

use super::{
    BindingError, Events, Inbox, Rollup, address, batch::words, event, integer, l1_address, view,
};
use crate::base_layer::{BaseLayer, Log, LogFilter};

/// The call that enqueues a request, and the wei of it that are not a fee.
///
/// # Errors
/// [`BindingError::UnknownKind`].
pub fn enqueue(request: &InboxRequest) -> Result<(Bytes, U256), BindingError> {
    let (from, to, token) = (request.from.0, request.to.0, request.token.0);
    let amount = U256::from(request.amount.get());
    let owner = address(request.l1_owner);
    let (x, y) = (integer(&request.key.x), integer(&request.key.y));
    let call = match request.kind.ok_or(BindingError::UnknownKind)? {
        InboxKind::Deposit => {
            let call = Inbox::depositCall {
                token,
                amount,
                to,
                l1Owner: owner,
                keyX: x,
                keyY: y,
            };
            let is_ether = request.token == TokenId(0);
            let value = if is_ether { amount } else { U256::ZERO };
            return Ok((call.abi_encode().into(), value));
        }
        InboxKind::ForcedTransfer => {
            let arguments = (from, to, token, amount);
            Inbox::forceTransferCall::from(arguments).abi_encode()
        }
        InboxKind::ForcedTransferToNew => {
            let arguments = (from, token, amount, owner, x, y);
            Inbox::forceTransferToNewCall::from(arguments).abi_encode()
        }
        InboxKind::ForcedWithdraw => {
            Inbox::forceWithdrawCall::from((from, token, amount)).abi_encode()
        }
        InboxKind::ForcedChangeKey => {
            Inbox::forceChangeKeyCall::from((from, token, x, y)).abi_encode()
        }
        InboxKind::ForcedExit => Inbox::forceExitCall::from((from, token)).abi_encode(),
    };
    Ok((call.into(), U256::ZERO))
}

/// An item that entered, as the event tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnqueuedItem {
    /// Its place, from 0.
    pub number: u64,
    /// Who sent it.
    pub owner: L1Address,
    /// Its words.
    pub item: InboxItem,
    /// When it entered, in seconds.
    pub time: u64,
    /// What was paid for it, in wei.
    pub fee_wei: U256,
}

impl EnqueuedItem {
    /// From the event.
    ///
    /// # Errors
    /// [`BindingError::Malformed`] unless it has five words.
    pub fn read(event: &Events::ItemEnqueued) -> Result<Self, BindingError> {
        let five: [_; ITEM_WORDS] = words("words of an item", &event.words)?
            .try_into()
            .map_err(|_| BindingError::malformed("words of an item", "they are not five"))?;
        Ok(Self {
            number: event.number,
            owner: l1_address(event.owner),
            item: InboxItem(five),
            time: event.time,
            fee_wei: event.fee,
        })
    }

    /// The Inbox's rolling hash after this item.
    #[must_use]
    pub fn rolling_hash(&self, before: B256) -> B256 {
        B256::from(self.item.rolling_hash(&before.0))
    }
}

/// The logs that tell of items.
#[must_use]
pub fn item_filter(inbox: Address) -> LogFilter {
    LogFilter {
        addresses: vec![inbox],
        events: vec![Events::ItemEnqueued::SIGNATURE_HASH],
    }
}

/// The items that these logs tell of, in their order.
///
/// # Errors
/// [`BindingError::Malformed`].
pub fn items(logs: &[Log]) -> Result<Vec<EnqueuedItem>, BindingError> {
    let events = logs.iter().map(event::<Events::ItemEnqueued>);
    let items = events.filter_map(Result::transpose);
    items.map(|event| EnqueuedItem::read(&event?)).collect()
}

/// The Inbox's rolling hash after so many items, as it stands after a block. It is the node's word.
///
/// # Errors
/// [`BindingError`].
pub async fn rolling_at(
    layer: &dyn BaseLayer,
    block: B256,
    inbox: Address,
    number: u64,
) -> Result<B256, BindingError> {
    view(layer, block, inbox, &Inbox::rollingAtCall { number }).await
}

/// Seconds after which the Rollup takes no batch that leaves an item out. It is the node's word.
///
/// # Errors
/// [`BindingError`]; of no contract at the address [`BindingError::Malformed`].
pub async fn overdue_seconds(
    layer: &dyn BaseLayer,
    block: B256,
    rollup: Address,
) -> Result<u64, BindingError> {
    let timing = view(layer, block, rollup, &Rollup::timingCall {}).await?;
    Ok(timing.overdue)
}
