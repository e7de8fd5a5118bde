//! Inbox, Bridge and DesertExit: what enters, what is owed, what is paid.
//!
//! Items, withdrawal paths and leaves are `protocol`'s. A payment that fails leaves everything as it was, because a refused
//! call is played on a copy of the world.

use alloy_primitives::{Address, B256, U256};
use protocol::account::{Leaf, LeafKey};
use protocol::inbox::{InboxItem, InboxKind, InboxRequest};
use protocol::number::{Amount, BatchNumber, Height, LeafIndex, Nonce, TokenId};
use protocol::params::{BALANCE_BITS, ITEM_WORDS, WITHDRAWAL_WORDS};
use protocol::tree::{Siblings, root_of_path};
use protocol::withdrawal::{root_of_withdrawal, withdrawal_leaf};
use protocol::words::{WORD_BYTES, Word};
use settlement::bindings::{Bridge, DesertExit, Inbox, Reverts, integer, l1_address};

use super::world::{
    DESERT, Done, OUT_OF_RANGE, OVERFLOW, Refusal, Waiting, World, canonical, inbox_count,
    leaf_count, panic_of, refuse,
};

/// A request before it is checked.
pub(super) struct Asked {
    pub(super) kind: InboxKind,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) token: u32,
    pub(super) amount: U256,
    pub(super) l1_owner: Address,
    pub(super) key: (U256, U256),
}

impl Asked {
    pub(super) fn new(kind: InboxKind, from: u32, token: u32) -> Self {
        Self {
            kind,
            from,
            to: 0,
            token,
            amount: U256::ZERO,
            l1_owner: Address::ZERO,
            key: (U256::ZERO, U256::ZERO),
        }
    }
}

impl World {
    /// What an item costs now: doubled with every sixteenth of the queue that is full.
    pub(super) fn fee(&self) -> U256 {
        let step = self.waiting() * 16 / self.rules.queue_max();
        U256::from(self.rules.fee_base_wei) << usize::try_from(step).expect("few")
    }

    pub(super) fn deposit(&mut self, by: Address, value: U256, call: &Inbox::depositCall) -> Done {
        if call.l1Owner == Address::ZERO {
            return refuse(Reverts::ZeroOwner {});
        }
        let of_value = if call.token == 0 {
            call.amount
        } else {
            U256::ZERO
        };
        let Some(paid) = value.checked_sub(of_value) else {
            let fee = call.amount + self.fee();
            return refuse(Reverts::FeeTooLow { paid: value, fee });
        };
        self.check_fee(paid)?;
        // all of the value goes through the Inbox to the Bridge
        assert!(
            self.move_money(0, by, self.rules.made.bridge, value),
            "the stream has it"
        );
        self.fees_held += paid;
        let received = self.take(call.token, by, call.amount)?;
        if received.is_zero() {
            return refuse(Reverts::ZeroAmount {});
        }
        let asked = Asked {
            to: call.to,
            amount: received,
            l1_owner: call.l1Owner,
            key: (call.keyX, call.keyY),
            ..Asked::new(InboxKind::Deposit, 0, call.token)
        };
        self.append(by, &asked, paid, self.rules.queue_max() / 2)
    }

    pub(super) fn force(&mut self, by: Address, value: U256, asked: &Asked) -> Done {
        self.check_fee(value)?;
        assert!(
            self.move_money(0, by, self.rules.made.bridge, value),
            "the stream has it"
        );
        self.fees_held += value;
        self.append(by, asked, value, self.rules.queue_max())
    }

    fn check_fee(&self, paid: U256) -> Done {
        let fee = self.fee();
        if paid < fee {
            return refuse(Reverts::FeeTooLow { paid, fee });
        }
        if paid > U256::from(u64::MAX) {
            return refuse(Reverts::AmountTooLarge { amount: paid });
        }
        Ok(())
    }

    fn append(&mut self, by: Address, asked: &Asked, paid: U256, limit: u64) -> Done {
        let waiting = self.waiting();
        if waiting >= limit {
            return refuse(Reverts::QueueFull { waiting });
        }
        if self.mode == DESERT {
            return refuse(Reverts::InDesert {});
        }
        let amount = amount(asked.amount)?;
        let (x, y) = asked.key;
        let request = InboxRequest {
            kind: Some(asked.kind),
            from: LeafIndex(asked.from),
            to: LeafIndex(asked.to),
            token: TokenId(asked.token),
            amount,
            owner: l1_address(by),
            l1_owner: l1_address(asked.l1_owner),
            key: LeafKey {
                x: canonical(x)?,
                y: canonical(y)?,
            },
        };
        let item = request.to_item();
        let before = self.rolling_at(self.item_count()).expect("all are there");
        self.items.push(Waiting {
            item,
            rolling: B256::from(item.rolling_hash(&before.0)),
            time: self.now,
            fee: paid,
        });
        Ok(())
    }

    pub(super) fn fund(&mut self, by: Address, value: U256, call: &Bridge::fundCall) -> Done {
        let expected = if call.token == 0 {
            call.amount
        } else {
            U256::ZERO
        };
        if value != expected {
            let expected = call.amount;
            return refuse(Reverts::WrongValue { value, expected });
        }
        assert!(
            self.move_money(0, by, self.rules.made.bridge, value),
            "the stream has it"
        );
        self.take(call.token, by, call.amount).map(|_| ())
    }

    fn token(&self, token: u32) -> Result<Address, Refusal> {
        let known = usize::try_from(token).ok();
        match known.and_then(|place| self.tokens.get(place)) {
            Some(address) => Ok(*address),
            None => refuse(Reverts::UnknownToken { token }),
        }
    }

    /// What really arrives of a token; of ether, what was sent.
    fn take(&mut self, token: u32, from: Address, amount: U256) -> Result<U256, Refusal> {
        self.token(token)?;
        let bridge = self.rules.made.bridge;
        let mut received = amount;
        if token != 0 {
            let before = self.balance(token, bridge);
            if !self.move_money(token, from, bridge, amount) {
                let to = from;
                return refuse(Reverts::TransferFailed { token, to, amount });
            }
            received = self.balance(token, bridge) - before;
        }
        let held = self.escrow.entry(token).or_default();
        let escrow = *held + received;
        if escrow >= U256::from(1) << BALANCE_BITS {
            return refuse(Reverts::EscrowFull { token, escrow });
        }
        *held = escrow;
        Ok(received)
    }

    /// Out of escrow.
    fn pay(&mut self, token: u32, to: Address, amount: U256) -> Done {
        let held = self.escrow.get(&token).copied().unwrap_or_default();
        match held.checked_sub(amount) {
            None => return panic_of(OVERFLOW),
            Some(rest) => self.escrow.insert(token, rest),
        };
        self.send(token, to, amount)
    }

    fn send(&mut self, token: u32, to: Address, amount: U256) -> Done {
        if token != 0 {
            self.token(token)?;
        }
        let is_taken = token != 0 || !self.rules.rejecting.contains(&to);
        let bridge = self.rules.made.bridge;
        if !is_taken || !self.move_money(token, bridge, to, amount) {
            return refuse(Reverts::TransferFailed { token, to, amount });
        }
        Ok(())
    }

    pub(super) fn claim(&mut self, call: &Bridge::claimCall) -> Done {
        let (batch, index) = (call.batchNumber, call.index);
        let (words, rest) = call.words.as_chunks::<WORD_BYTES>();
        let words: Vec<Word> = words.iter().copied().map(Word).collect();
        let (true, Ok(pair)) = (rest.is_empty(), <[Word; WITHDRAWAL_WORDS]>::try_from(words))
        else {
            let length = U256::from(call.words.len());
            return refuse(Reverts::BrokenWithdrawal { length });
        };
        if batch > self.proven {
            return refuse(Reverts::NotProven { batchNumber: batch });
        }
        let place = u64::try_from(index).expect("the stream asks for small places");
        let leaf = withdrawal_leaf(BatchNumber(batch), place, &pair);
        let path: Vec<[u8; 32]> = call.path.iter().map(|node| node.0).collect();
        let root = B256::from(root_of_withdrawal(leaf, place, &path));
        if self.withdrawal_roots.get(&batch) != Some(&root) {
            return refuse(Reverts::WrongPath { root });
        }
        if !self.claimed.insert((batch, index)) {
            return refuse(Reverts::AlreadyClaimed {
                batchNumber: batch,
                index,
            });
        }
        let withdrawal = protocol::withdrawal::Withdrawal::read(&pair).expect("the stream's own");
        let to = settlement::bindings::address(withdrawal.owner);
        let amount = U256::from(withdrawal.amount.get());
        self.pay(withdrawal.token.0, to, amount)
    }

    pub(super) fn claim_fees(&mut self, prover: Address) -> Done {
        let amount = self.fee_credit.remove(&prover).unwrap_or_default();
        if amount.is_zero() {
            return refuse(Reverts::NothingToClaim { prover });
        }
        self.fees_held -= amount;
        self.send(0, prover, amount)
    }

    pub(super) fn register_token(&mut self, token: Address, has_code: bool) -> Done {
        if !has_code {
            return refuse(Reverts::NotAToken { token });
        }
        if self.tokens.contains(&token) {
            return refuse(Reverts::TokenTaken { token });
        }
        self.tokens.push(token);
        Ok(())
    }

    fn check_desert(&self) -> Done {
        if self.mode != DESERT {
            return refuse(Reverts::NotDesert {});
        }
        Ok(())
    }

    pub(super) fn exit(&mut self, call: &DesertExit::exitCall) -> Done {
        self.check_desert()?;
        let index = call.index;
        if u64::from(index) >= leaf_count(self.proven_counters) {
            return refuse(Reverts::NoSuchLeaf { index });
        }
        if self.exited.contains(&index) {
            return refuse(Reverts::AlreadyExited { index });
        }
        let given = &call.leaf;
        let balance: u128 = given.balance.to();
        let leaf = Leaf {
            key: LeafKey {
                x: canonical(given.keyX)?,
                y: canonical(given.keyY)?,
            },
            l1_owner: l1_address(given.l1Owner),
            token: TokenId(given.token),
            nonce: Nonce(given.nonce.to()),
            balance: Amount::new(balance).expect("120 bits"),
            lock_until: Height(given.lockUntil),
        };
        let mut siblings = Siblings::default();
        for (level, asked) in siblings.iter_mut().zip(&call.siblings) {
            for (node, asked) in level.iter_mut().zip(asked) {
                *node = canonical(*asked)?;
            }
        }
        let root = integer(&root_of_path(LeafIndex(index), leaf.hash(), &siblings));
        if root != self.proven_root {
            return refuse(Reverts::WrongRoot { root });
        }
        self.exited.insert(index);
        self.pay(given.token, given.l1Owner, U256::from(balance))
    }

    pub(super) fn refund(&mut self, number: u64, words: &[u8]) -> Done {
        self.check_desert()?;
        if number < inbox_count(self.proven_counters) {
            return refuse(Reverts::WasConsumed { number });
        }
        if self.refunded.contains(&number) {
            return refuse(Reverts::AlreadyRefunded { number });
        }
        let Some(before) = self.rolling_at(number) else {
            return panic_of(OUT_OF_RANGE);
        };
        let (five, rest) = words.as_chunks::<WORD_BYTES>();
        let five: Vec<Word> = five.iter().copied().map(Word).collect();
        let (true, Ok(five)) = (rest.is_empty(), <[Word; ITEM_WORDS]>::try_from(five)) else {
            return refuse(Reverts::WrongItem { number });
        };
        let Some(after) = self.rolling_at(number + 1) else {
            return panic_of(OUT_OF_RANGE);
        };
        let item = InboxItem(five);
        if item.rolling_hash(&before.0) != after.0 {
            return refuse(Reverts::WrongItem { number });
        }
        self.refunded.insert(number);
        let request = item.request();
        let owner = settlement::bindings::address(request.owner);
        let fee = self.item(number).expect("it is there").fee;
        if request.kind == Some(InboxKind::Deposit) && request.amount != Amount::ZERO {
            self.pay(request.token.0, owner, U256::from(request.amount.get()))?;
        }
        if !fee.is_zero() {
            self.fees_held -= fee;
            self.send(0, owner, fee)?;
        }
        Ok(())
    }
}

/// An amount of an item, below 2^120.
fn amount(amount: U256) -> Result<Amount, Refusal> {
    let small = u128::try_from(amount).ok().and_then(Amount::new);
    small.map_or_else(|| refuse(Reverts::AmountTooLarge { amount }), Ok)
}
