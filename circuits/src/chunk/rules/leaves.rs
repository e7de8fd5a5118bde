//! The three leaves, before and after, and what moves between them.

use halo2curves::bn256::Fr;

use super::Slot;
use crate::algebra::Algebra;
use crate::chunk::cells::Cell;
use crate::convert::power_of_two;
use crate::window::{Hintable, Window};

impl<W: Window> Slot<'_, W>
where
    W::Value: Hintable,
{
    /// `meta = owner | token << 160 | nonce << 192`, `holdings = balance | lock_until << 120`.
    pub(super) fn leaves_before(&mut self) {
        self.booleans(&[Cell::Live1, Cell::Live2, Cell::Live2After, Cell::Live3]);
        for [meta, owner, token, nonce] in [
            [Cell::Meta1, Cell::Owner1, Cell::Token1, Cell::Nonce1],
            [Cell::Meta2, Cell::Owner2, Cell::Token2, Cell::Nonce2],
            [Cell::Meta3, Cell::Owner3, Cell::Token3, Cell::Nonce3],
        ] {
            let (owner, token, nonce) = (self.v(owner), self.v(token), self.v(nonce));
            self.define("meta", meta, pack_meta(owner, token, nonce));
        }
        for [holdings, balance, lock] in [
            [Cell::Holdings1, Cell::Balance1, Cell::Lock1],
            [Cell::Holdings2, Cell::Balance2, Cell::Lock2],
            [Cell::Holdings3, Cell::Balance3, Cell::Lock3],
        ] {
            let (balance, lock) = (self.v(balance), self.v(lock));
            self.define("holdings", holdings, balance + lock * power_of_two(120));
        }
    }

    /// Conservation: what leaves the sender, what reaches the others, what is burned.
    pub(super) fn balances(&mut self) {
        let amount = self.v(Cell::Amount);
        let moves = self.sum(&[
            Cell::IsTransfer,
            Cell::IsNew,
            Cell::IsWithdraw,
            Cell::IsBidPay,
            Cell::DoTransfer,
            Cell::DoNew,
            Cell::DoWithdraw,
        ]);
        let before = self.v(Cell::Balance1);
        let burned = self.v(Cell::IsBidBurn) * self.v(Cell::Burned);
        let exit = self.v(Cell::DoExit) * before.clone();
        let debit = moves * amount.clone() + self.v(Cell::Fee) + burned + exit;
        let credit = self.v(Cell::DepositCredits) * amount.clone();
        self.define(
            "sender's balance",
            Cell::Balance1After,
            before - debit + credit,
        );

        let received = self.sum(&[Cell::IsTransfer, Cell::DoTransfer, Cell::IsBidPay]);
        let credited = self.v(Cell::Balance2) + received * amount.clone();
        let created = self.creates();
        let balance = created.select(amount, credited);
        self.define("recipient's balance", Cell::Balance2After, balance);

        let income = self.v(Cell::Fee) - self.v(Cell::Burn);
        let before = self.v(Cell::Balance3);
        self.define("fee leaf's balance", Cell::Balance3After, before + income);
    }

    /// The new leaves as they are hashed. What is not named here is copied from the old leaf.
    pub(super) fn leaves_after(&mut self) {
        let changes = self.sum(&[Cell::IsChangeKey, Cell::DoChangeKey]);
        for (key, before, after) in [
            (Cell::KeyX, Cell::X1, Cell::X1After),
            (Cell::KeyY, Cell::Y1, Cell::Y1After),
        ] {
            let (key, before) = (self.v(key), self.v(before));
            self.define("sender's key", after, changes.select(key, before));
        }
        let (owner, token) = (self.v(Cell::Owner1), self.v(Cell::Token1));
        let nonce = self.v(Cell::Nonce1) + self.is_transaction();
        self.define(
            "sender's meta",
            Cell::Meta1After,
            pack_meta(owner, token.clone(), nonce),
        );
        let (until, lock) = (self.v(Cell::Until), self.v(Cell::Lock1));
        let lock = self.v(Cell::IsLock).select(until, lock);
        let holdings = self.v(Cell::Balance1After) + lock * power_of_two(120);
        self.define("sender's holdings", Cell::Holdings1After, holdings);

        let created = self.creates();
        for (key, before, after) in [
            (Cell::KeyX, Cell::X2, Cell::X2After),
            (Cell::KeyY, Cell::Y2, Cell::Y2After),
        ] {
            let (key, before) = (self.v(key), self.v(before));
            self.define("recipient's key", after, created.select(key, before));
        }
        let item_token = self.v(Cell::ItemToken);
        let token = self.v(Cell::IsDeposit).select(item_token, token);
        let new_meta = self.v(Cell::NewOwner) + token * power_of_two(160);
        let old_meta = self.v(Cell::Meta2);
        self.define(
            "recipient's meta",
            Cell::Meta2After,
            created.select(new_meta, old_meta),
        );
        let lock = created.not() * self.v(Cell::Lock2);
        let holdings = self.v(Cell::Balance2After) + lock * power_of_two(120);
        self.define("recipient's holdings", Cell::Holdings2After, holdings);
        let live = self.v(Cell::Live2);
        self.define(
            "recipient lives",
            Cell::Live2After,
            live.clone() + created.clone(),
        );
        self.when("a new leaf takes an empty place", created.clone(), live);
        let (index, count) = (self.v(Cell::Index2), self.v(Cell::LeafCount));
        self.when("a new leaf takes the next place", created, index - count);

        let holdings = self.v(Cell::Balance3After) + self.v(Cell::Lock3) * power_of_two(120);
        self.define("fee leaf's holdings", Cell::Holdings3After, holdings);
    }
}

fn pack_meta<V: Algebra>(owner: V, token: V, nonce: V) -> V {
    let shift = |bits| -> Fr { power_of_two(bits) };
    owner + token * shift(160) + nonce * shift(192)
}
