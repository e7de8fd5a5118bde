//! The inputs of a slot's rules, read from native values.

use std::collections::BTreeMap;

use halo2curves::bn256::Fr;
use protocol::account::{L1Address, Leaf, LeafKey};
use protocol::inbox::{InboxItem, InboxKind};
use protocol::number::{encode_amount, encode_fee};
use protocol::signature::{PublicKey, Signature};
use protocol::transaction::{Action, Bid, Domain, OperationKind, SignedTransaction};
use protocol::transition::{Header, Operation};
use protocol::witness::AccessWitness;
use protocol::words::WordReader;

use super::cells::{Cell, EXPONENT, FEE_EXPONENT};
use crate::convert::{NativeField, bits, from_u128, limbs, power_of_two, to_circuit, to_native};
use crate::gadgets::edwards::Point;
use crate::gadgets::signature::{SignatureValues, idle_signature};

/// Values of named cells; cells not set are 0.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    values: BTreeMap<Cell, Fr>,
}

/// Index, live flag and fields of each leaf. Keys of the first two are set apart; the fee leaf's key is
/// no named cell: it passes from the old leaf to the new one by copy.
const LEAVES: [[Cell; 7]; 3] = [
    [
        Cell::Index1,
        Cell::Live1,
        Cell::Owner1,
        Cell::Token1,
        Cell::Nonce1,
        Cell::Balance1,
        Cell::Lock1,
    ],
    [
        Cell::Index2,
        Cell::Live2,
        Cell::Owner2,
        Cell::Token2,
        Cell::Nonce2,
        Cell::Balance2,
        Cell::Lock2,
    ],
    [
        Cell::Index3,
        Cell::Live3,
        Cell::Owner3,
        Cell::Token3,
        Cell::Nonce3,
        Cell::Balance3,
        Cell::Lock3,
    ],
];

const KEYS: [[Cell; 2]; 2] = [[Cell::X1, Cell::Y1], [Cell::X2, Cell::Y2]];

impl Inputs {
    /// Sets a cell.
    pub(crate) fn set(&mut self, cell: Cell, value: Fr) {
        self.values.insert(cell, value);
    }

    /// Sets a boolean cell.
    pub(crate) fn flag(&mut self, cell: Cell, value: bool) {
        self.set(cell, Fr::from(u64::from(value)));
    }

    fn number(&mut self, cell: Cell, value: u64) {
        self.set(cell, Fr::from(value));
    }

    /// The cells that were set.
    pub(crate) fn into_values(self) -> impl Iterator<Item = (Cell, Fr)> {
        self.values.into_iter()
    }

    /// The three leaves as the operation finds them.
    pub(crate) fn leaves(&mut self, accesses: [&AccessWitness; 3]) {
        for (i, (access, cells)) in accesses.into_iter().zip(LEAVES).enumerate() {
            self.number(cells[0], u64::from(access.access.index.0));
            let leaf: Option<&Leaf> = access.access.before.as_ref();
            self.flag(cells[1], leaf.is_some());
            if let Some(leaf) = leaf {
                self.set(cells[2], address(&leaf.l1_owner));
                self.number(cells[3], u64::from(leaf.token.0));
                self.number(cells[4], leaf.nonce.0);
                self.set(cells[5], from_u128(leaf.balance.get()));
                self.number(cells[6], leaf.lock_until.0);
                if let Some([x, y]) = KEYS.get(i) {
                    self.set(*x, to_circuit(leaf.key.x));
                    self.set(*y, to_circuit(leaf.key.y));
                }
                if i == 0 {
                    self.number(Cell::NonceLow, leaf.nonce.0 & 15);
                    self.number(Cell::NonceHigh, leaf.nonce.0 >> 4);
                }
            }
        }
    }

    /// The block that opens here.
    pub(crate) fn header(&mut self, header: Option<&Header>) {
        let Some(header) = header else { return };
        self.flag(Cell::Header, true);
        self.flag(Cell::HeaderBid, header.bid);
        self.number(Cell::Delta, header.height_delta);
        let count = header.fee_leaves.map_or(0, |leaves| leaves.count());
        let stated = [
            Cell::Stated0,
            Cell::Stated1,
            Cell::Stated2,
            Cell::Stated3,
            Cell::Stated4,
        ];
        for (number, cell) in stated.into_iter().enumerate() {
            self.flag(cell, number == usize::from(count));
        }
        if let Some(leaves) = header.fee_leaves {
            let cells = [Cell::New0, Cell::New1, Cell::New2, Cell::New3];
            for (cell, leaf) in cells.into_iter().zip(leaves.places()) {
                self.number(cell, u64::from(leaf.0));
            }
        }
    }

    /// The operation and its signature.
    pub(crate) fn operation(&mut self, operation: &Operation, domain: Fr) {
        let kind = match operation.kind() {
            OperationKind::Transfer => Cell::IsTransfer,
            OperationKind::TransferToNew => Cell::IsNew,
            OperationKind::Withdraw => Cell::IsWithdraw,
            OperationKind::ChangeKey => Cell::IsChangeKey,
            OperationKind::Lock => Cell::IsLock,
            OperationKind::BidPay => Cell::IsBidPay,
            OperationKind::BidBurn => Cell::IsBidBurn,
            OperationKind::Inbox => Cell::IsInbox,
            OperationKind::Noop | OperationKind::Block => Cell::IsNoop,
        };
        self.flag(kind, true);
        // Zero is canonical: rules about a stated key hold where none is stated.
        match operation {
            Operation::Noop => {}
            Operation::Signed {
                transaction,
                fee_leaf,
                group,
            } => {
                self.transaction(transaction);
                self.flag(Cell::Selector0, fee_leaf & 1 == 1);
                self.flag(Cell::Selector1, fee_leaf & 2 == 2);
                self.flag(Cell::InGroup, group.is_some());
                self.flag(Cell::IsLast, group.is_some_and(|group| group.last));
            }
            Operation::BidPay(bid) | Operation::BidBurn(bid) => {
                self.set(Cell::Amount, from_u128(bid.value.get()));
                self.number(Cell::BidHeight, bid.height.0);
                self.set(Cell::CoreHash, to_circuit(bid.core_hash));
            }
            Operation::Inbox(item) => self.item(item),
        }
        let signature = signature(operation, domain);
        self.set(Cell::SignatureX, signature.key.x);
        self.set(Cell::SignatureY, signature.key.y);
        self.set(Cell::SignatureMessage, signature.message);
    }

    fn transaction(&mut self, signed: &SignedTransaction) {
        let transaction = &signed.transaction;
        let action = &transaction.action;
        self.number(Cell::ValidUntil, transaction.valid_until.0);
        self.set(Cell::Amount, from_u128(action.amount().get()));
        let is_float = matches!(
            action,
            Action::Transfer { .. } | Action::TransferToNew { .. }
        );
        let amount = if is_float {
            encode_amount(action.amount()).unwrap_or(0)
        } else {
            0
        };
        self.float(amount, &EXPONENT, Cell::Mantissa);
        let fee = encode_fee(transaction.fee).unwrap_or(0);
        self.float(fee, &FEE_EXPONENT, Cell::FeeMantissa);
        if let Some(key) = action.stated_key() {
            self.key(&key);
        }
        match action {
            Action::TransferToNew { l1_owner, .. } => self.set(Cell::NewOwner, address(l1_owner)),
            Action::Lock { until } => self.number(Cell::Until, until.0),
            Action::Transfer { .. } | Action::Withdraw { .. } | Action::ChangeKey { .. } => {}
        }
    }

    fn float(&mut self, float: u64, exponent: &[Cell; 5], mantissa: Cell) {
        for (i, cell) in exponent.iter().enumerate() {
            self.flag(*cell, float >> i & 1 == 1);
        }
        self.number(mantissa, float >> 5);
    }

    fn key(&mut self, key: &LeafKey) {
        for (value, [low, middle, high]) in [
            (key.x, [Cell::XLow, Cell::XMiddle, Cell::XHigh]),
            (key.y, [Cell::YLow, Cell::YMiddle, Cell::YHigh]),
        ] {
            let integer = limbs(to_circuit(value));
            self.coordinate(&integer, [low, middle]);
            self.number(high, bits(&integer, 248, 6));
        }
    }

    fn coordinate(&mut self, integer: &[u64; 4], [low, middle]: [Cell; 2]) {
        let part = |start: usize, count: usize| {
            let high = u128::from(bits(integer, start + 64, count - 64));
            from_u128(u128::from(bits(integer, start, 64)) | high << 64)
        };
        self.set(low, part(0, 120));
        self.set(middle, part(120, 128));
    }

    fn item(&mut self, item: &InboxItem) {
        let [head, owner, new_owner, x, y] = &item.0;
        let mut head = WordReader::new(head);
        let number = head.take_u64(4);
        self.number(Cell::ItemType, number);
        let kind = InboxKind::ALL
            .into_iter()
            .find(|kind| u64::from(kind.number()) == number);
        let flag = match kind {
            Some(InboxKind::Deposit) => Cell::IsDeposit,
            Some(InboxKind::ForcedTransfer) => Cell::IsForcedTransfer,
            Some(InboxKind::ForcedTransferToNew) => Cell::IsForcedNew,
            Some(InboxKind::ForcedWithdraw) => Cell::IsForcedWithdraw,
            Some(InboxKind::ForcedChangeKey) => Cell::IsForcedChangeKey,
            Some(InboxKind::ForcedExit) => Cell::IsForcedExit,
            None => Cell::IsUnknown,
        };
        self.flag(flag, true);
        self.number(Cell::ItemFrom, head.take_u64(32));
        self.number(Cell::ItemTo, head.take_u64(32));
        self.number(Cell::ItemToken, head.take_u64(32));
        self.set(Cell::Amount, from_u128(head.take_u128(120)));
        self.number(Cell::Spare0, head.take_u64(28));
        let mut owner = WordReader::new(owner);
        self.set(Cell::ItemOwner, address(&owner.take_address()));
        self.set(Cell::Spare1, from_u128(owner.take_u128(88)));
        let mut new_owner = WordReader::new(new_owner);
        self.set(Cell::NewOwner, address(&new_owner.take_address()));
        self.number(Cell::XHigh, new_owner.take_u64(6));
        self.number(Cell::YHigh, new_owner.take_u64(6));
        self.set(Cell::Spare2, from_u128(new_owner.take_u128(76)));
        for (word, cells) in [
            (x, [Cell::XLow, Cell::XMiddle]),
            (y, [Cell::YLow, Cell::YMiddle]),
        ] {
            self.coordinate(&limbs(to_circuit(word.to_field())), cells);
        }
    }
}

fn address(address: &L1Address) -> Fr {
    to_circuit(address.to_field())
}

/// The signature that an operation carries, or the idle one.
pub(crate) fn signature(operation: &Operation, domain: Fr) -> SignatureValues {
    let domain = Domain(to_native(domain));
    let claim = match operation {
        Operation::Noop | Operation::Inbox(_) => return *idle_signature(),
        Operation::Signed {
            transaction, group, ..
        } => {
            let message = match group {
                Some(group) => group.hash,
                None => transaction.transaction.message(&domain, false),
            };
            (transaction.key, message, transaction.signature)
        }
        Operation::BidPay(bid) | Operation::BidBurn(bid) => Bid::claim(bid, &domain),
    };
    values(&claim)
}

/// A native claim as the signature gadget takes it.
fn values(claim: &(PublicKey, NativeField, Signature)) -> SignatureValues {
    let (key, message, signature) = claim;
    let point = |x: NativeField, y: NativeField| Point {
        x: to_circuit(x),
        y: to_circuit(y),
    };
    let response = signature.s();
    let response = response.iter().rev().fold(Fr::zero(), |sum, byte| {
        sum * power_of_two(8) + Fr::from(u64::from(*byte))
    });
    SignatureValues {
        key: point(key.point().x(), key.point().y()),
        commitment: point(signature.r8().x(), signature.r8().y()),
        response,
        message: to_circuit(*message),
    }
}
