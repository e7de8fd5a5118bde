//! Published words: their fields, their places, the accumulator and the counts (`protocol::batch`).

use halo2curves::bn256::Fr;

use super::Slot;
use crate::algebra::{Algebra, sum};
use crate::chunk::cells::Cell;
use crate::convert::power_of_two;
use crate::layout::Fixed;
use crate::window::{Hintable, Window};

/// Tags above a word.
const WITHDRAWALS: u64 = 1;
const INBOX: u64 = 2;
const PADDING: u64 = 3;

/// Places of the three groups that a slot may absorb.
pub(in crate::chunk) const GROUPS: [[Cell; 4]; 3] = [
    [Cell::Place00, Cell::Place01, Cell::Place02, Cell::Place03],
    [Cell::Place10, Cell::Place11, Cell::Place12, Cell::Place13],
    [Cell::Place20, Cell::Place21, Cell::Place22, Cell::Place23],
];

/// `sum value << shift`.
fn pack<V: Algebra>(fields: Vec<(V, u32)>) -> V {
    sum(fields
        .into_iter()
        .map(|(value, shift)| value * power_of_two(shift)))
}

fn tag<V: Algebra>(tag: u64) -> V {
    V::constant(Fr::from(tag) * power_of_two(248))
}

impl<W: Window> Slot<'_, W>
where
    W::Value: Hintable,
{
    /// A pair with anything in it; only meaningful in a first slot, 0 in a second.
    fn active(&mut self) -> W::Value {
        self.window.fixed(Fixed::First) * self.v(Cell::IsNoop).not()
    }

    /// The word if `present`, else padding; `word` already has its tag.
    fn place(&mut self, cell: Cell, choices: Vec<(W::Value, W::Value)>) {
        let present = sum(choices.iter().map(|(present, _)| present.clone()));
        let word = sum(choices.into_iter().map(|(present, word)| present * word));
        let value = word + present.not() * tag::<W::Value>(PADDING);
        self.define("absorbed place", cell, value);
    }

    /// The slot, its pair, and every word in its place.
    pub(super) fn words(&mut self) {
        self.slot_bits();
        self.header_group();
        let (states, item) = (self.states_key(), self.v(Cell::IsInbox));
        let [x, y] = self.key_words();
        let inbox = tag::<W::Value>(INBOX);
        let [first, second, third] = self.item_words();
        self.place(
            Cell::Place10,
            vec![
                (states.clone(), x.clone()),
                (item.clone(), first + inbox.clone()),
            ],
        );
        self.place(
            Cell::Place11,
            vec![
                (states.clone(), y.clone()),
                (item.clone(), second + inbox.clone()),
            ],
        );
        let (extension, extended) = self.extension();
        self.place(
            Cell::Place12,
            vec![(extended, extension), (item.clone(), third + inbox.clone())],
        );
        self.place(Cell::Place13, vec![(item.clone(), x + inbox.clone())]);
        self.place(Cell::Place20, vec![(item, y + inbox)]);
        let withdraws = self.sum(&[
            Cell::IsWithdraw,
            Cell::DoWithdraw,
            Cell::DoExit,
            Cell::DepositReturns,
        ]);
        self.define("withdraws", Cell::Withdraws, withdraws);
        let withdraws = self.v(Cell::Withdraws);
        let [owner, amount] = self.withdrawal_words();
        let tagged = tag::<W::Value>(WITHDRAWALS);
        self.place(
            Cell::Place21,
            vec![(withdraws.clone(), owner + tagged.clone())],
        );
        self.place(Cell::Place22, vec![(withdraws, amount + tagged)]);
        self.place(Cell::Place23, vec![]);
    }

    /// 124 bits, low first: type 4, from 32, to 32, amount 35, fee 13, nonce 4, fee leaf 2, group, last.
    fn slot_bits(&mut self) {
        let (signed, transaction) = (self.is_signed(), self.is_transaction());
        let fields = vec![
            (self.kind_number(), 0),
            (signed * self.v(Cell::Index1), 4),
            (self.v(Cell::IsTransfer) * self.v(Cell::Index2), 36),
            (self.amount_float(), 68),
            (self.fee_float(), 103),
            (transaction * self.v(Cell::NonceLow), 116),
            (self.v(Cell::Selector0), 120),
            (self.v(Cell::Selector1), 121),
            (self.v(Cell::InGroup), 122),
            (self.v(Cell::IsLast), 123),
        ];
        self.define("slot", Cell::SlotBits, pack(fields));
    }

    /// Group 0 of a pair: header words, the word of both slots.
    fn header_group(&mut self) {
        let first = self.window.fixed(Fixed::First);
        let (noop, partner) = (self.v(Cell::IsNoop), self.v(Cell::PartnerNoop));
        self.when("an empty pair is empty", first * noop, partner.not());
        let count = self.v(Cell::Stated1)
            + self.v(Cell::Stated2) * Fr::from(2)
            + self.v(Cell::Stated3) * Fr::from(3)
            + self.v(Cell::Stated4) * Fr::from(4);
        let fields = vec![
            (W::Value::number(9), 0),
            (self.v(Cell::Delta), 4),
            (count, 44),
            (self.v(Cell::HeaderBid), 47),
            (self.v(Cell::New0), 124),
            (self.v(Cell::New1), 156),
            (self.v(Cell::New2), 188),
        ];
        let (header, fourth) = (self.v(Cell::Header), self.v(Cell::Stated4));
        self.place(Cell::Place00, vec![(header, pack(fields))]);
        let leaf = self.v(Cell::New3);
        self.place(Cell::Place01, vec![(fourth, leaf)]);
        let active = self.active();
        let both = self.v(Cell::SlotBits) + self.v(Cell::PartnerBits) * power_of_two(124);
        self.place(Cell::Place02, vec![(active, both)]);
        self.place(Cell::Place03, vec![]);
    }

    /// Words 0 to 2 of an inbox item.
    fn item_words(&mut self) -> [W::Value; 3] {
        let first = vec![
            (self.v(Cell::ItemType), 0),
            (self.v(Cell::ItemFrom), 4),
            (self.v(Cell::ItemTo), 36),
            (self.v(Cell::ItemToken), 68),
            (self.v(Cell::Amount), 100),
            (self.v(Cell::Spare0), 220),
        ];
        let second = vec![(self.v(Cell::ItemOwner), 0), (self.v(Cell::Spare1), 160)];
        let third = vec![
            (self.v(Cell::NewOwner), 0),
            (self.v(Cell::XHigh), 160),
            (self.v(Cell::YHigh), 166),
            (self.v(Cell::Spare2), 172),
        ];
        [pack(first), pack(second), pack(third)]
    }

    /// Third extension word, and whether it is there: `x high 6 | y high 6 | field 160`.
    fn extension(&mut self) -> (W::Value, W::Value) {
        let (states, bid) = (self.states_key(), self.is_bid());
        let high = self.v(Cell::XHigh) + self.v(Cell::YHigh) * Fr::from(64);
        let locks = self.v(Cell::IsLock);
        let field = self.v(Cell::IsNew) * self.v(Cell::NewOwner)
            + locks.clone() * self.v(Cell::Until)
            + bid.clone() * self.v(Cell::Amount);
        (
            states.clone() * high + field * power_of_two(12),
            states + locks + bid,
        )
    }

    /// `owner | token << 160 | leaf << 192`, and the amount.
    fn withdrawal_words(&mut self) -> [W::Value; 2] {
        let deposit = self.v(Cell::IsDeposit);
        let (named, own) = (self.v(Cell::ItemOwner), self.v(Cell::Owner1));
        let owner = deposit.select(named, own);
        let (named, own) = (self.v(Cell::ItemToken), self.v(Cell::Token1));
        let token = deposit.select(named, own);
        let place = pack(vec![(owner, 0), (token, 160), (self.v(Cell::Index1), 192)]);
        let (balance, amount) = (self.v(Cell::Balance1), self.v(Cell::Amount));
        [place, self.v(Cell::DoExit).select(balance, amount)]
    }

    /// Groups with a word are absorbed; words are counted.
    pub(super) fn absorb(&mut self) {
        let (states, bid, item) = (self.states_key(), self.is_bid(), self.v(Cell::IsInbox));
        let alone = self.v(Cell::IsLock) + bid;
        let active = self.active();
        let own = states.clone() + alone.clone() + item.clone();
        let second = item.clone() + self.v(Cell::IsWithdraw);
        for (name, on, (hash, places), before, after) in [
            (
                "group 0",
                active.clone(),
                (Cell::Hash0, GROUPS[0]),
                Cell::H,
                Cell::After0,
            ),
            (
                "group 1",
                own,
                (Cell::Hash1, GROUPS[1]),
                Cell::After0,
                Cell::After1,
            ),
            (
                "group 2",
                second,
                (Cell::Hash2, GROUPS[2]),
                Cell::After1,
                Cell::HAfter,
            ),
        ] {
            let [a, b, c, d] = places;
            self.hash(hash, &[before, a, b, c, d]);
            let (hash, before) = (self.v(hash), self.v(before));
            self.define(name, after, on.select(hash, before));
        }
        let header = self.v(Cell::Header) + self.v(Cell::Stated4);
        let ops = header + active + states * Fr::from(3) + alone;
        let withdrawals = self.v(Cell::Withdraws) * Fr::from(2);
        for (name, before, after, more) in [
            ("ops words", Cell::OpsCount, Cell::OpsCountAfter, ops),
            (
                "withdrawal words",
                Cell::WithdrawalsCount,
                Cell::WithdrawalsCountAfter,
                withdrawals,
            ),
            (
                "inbox words",
                Cell::InboxWords,
                Cell::InboxWordsAfter,
                item * Fr::from(5),
            ),
        ] {
            let before = self.v(before);
            self.define(name, after, before + more);
        }
    }
}
