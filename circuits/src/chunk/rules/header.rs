//! Opening a block, and the counters that every slot moves.

use halo2curves::bn256::Fr;

use super::Slot;
use crate::algebra::{Algebra, sum};
use crate::chunk::cells::Cell;
use crate::window::{Hintable, Window};

/// Stated fee leaves and their places.
const NEW: [Cell; 4] = [Cell::New0, Cell::New1, Cell::New2, Cell::New3];
const FEES: [Cell; 4] = [Cell::Fee0, Cell::Fee1, Cell::Fee2, Cell::Fee3];
const FEES_AFTER: [Cell; 4] = [
    Cell::Fee0After,
    Cell::Fee1After,
    Cell::Fee2After,
    Cell::Fee3After,
];
const STATED: [Cell; 5] = [
    Cell::Stated0,
    Cell::Stated1,
    Cell::Stated2,
    Cell::Stated3,
    Cell::Stated4,
];

impl<W: Window> Slot<'_, W>
where
    W::Value: Hintable,
{
    /// Height, fee leaves and phase as the operation finds them.
    pub(super) fn header(&mut self) {
        self.booleans(&[Cell::Header, Cell::HeaderBid]);
        self.booleans(&STATED);
        let (header, bid) = (self.v(Cell::Header), self.v(Cell::HeaderBid));
        let first = self.window.fixed(crate::layout::Fixed::First);
        self.when("a block opens with a pair", first.not(), header.clone());
        self.when("bid flag in a header only", header.not(), bid.clone());
        let stated = self.sum(&STATED);
        self.zero("one number of stated leaves", stated - header.clone());
        let noop = self.v(Cell::IsNoop);
        self.when("a block that opens is not empty", header.clone(), noop);
        let members = self.v(Cell::GroupMembers);
        self.when(
            "no group is open when a block opens",
            header.clone(),
            members,
        );

        let delta = self.v(Cell::Delta);
        self.when("delta in a header only", header.not(), delta.clone());
        self.define(
            "delta is at least 1",
            Cell::DeltaRest,
            delta.clone() - header.clone(),
        );
        let height = self.v(Cell::Height);
        self.define("height", Cell::HeightAfter, height + delta);

        for (place, cell) in NEW.into_iter().enumerate() {
            let used = self.sum(&STATED[place + 1..]);
            let leaf = self.v(cell);
            self.when("unused place is 0", used.not(), leaf);
        }
        let fresh = self.sum(&STATED[1..]);
        for place in 0..4 {
            let (new, old) = (self.v(NEW[place]), self.v(FEES[place]));
            self.define("fee leaf", FEES_AFTER[place], fresh.select(new, old));
        }
        let counts: Vec<W::Value> = (1..5)
            .map(|n| self.v(STATED[n]) * Fr::from(n as u64))
            .collect();
        let old = self.v(Cell::FeeCount);
        self.define(
            "number of fee leaves",
            Cell::FeeCountAfter,
            fresh.select(sum(counts), old),
        );
        let count = self.v(Cell::FeeCountAfter);
        let known = count.known();
        self.window.hint(self.at(Cell::FeeCountInverse), |_| {
            known.map_or(Fr::zero(), crate::window::invert_or_zero)
        });
        let product = count * self.v(Cell::FeeCountInverse);
        self.when("a block has a fee leaf", header.clone(), product.not());

        let phase = self.v(Cell::Phase);
        let not_pending = phase.clone()
            * (phase.clone() - W::Value::number(1))
            * (phase.clone() - W::Value::number(2));
        self.when(
            "a promised bid comes before the next block",
            header.clone(),
            not_pending,
        );
        let now = header.select(W::Value::number(1) + bid * Fr::from(2), phase);
        let known = now.known();
        let phases = [
            Cell::PhaseNone,
            Cell::PhaseInbox,
            Cell::PhaseSigned,
            Cell::PhaseBid,
        ];
        for (number, cell) in phases.into_iter().enumerate() {
            self.decide(cell, known.map(|phase| phase == Fr::from(number as u64)));
        }
        let one = self.sum(&phases);
        self.zero("one phase", one.not());
        let number = self.phase_number();
        self.zero("phase", number - now);
    }

    /// The phase after the header, 0 to 3.
    pub(super) fn phase_number(&mut self) -> W::Value {
        self.v(Cell::PhaseInbox)
            + self.v(Cell::PhaseSigned) * Fr::from(2)
            + self.v(Cell::PhaseBid) * Fr::from(3)
    }

    /// The fee leaf that the two selector bits name, and the selector.
    pub(super) fn chosen_fee_leaf(&mut self) -> (W::Value, W::Value) {
        let (low, high) = (self.v(Cell::Selector0), self.v(Cell::Selector1));
        let leaves = FEES_AFTER.map(|cell| self.v(cell));
        let [a, b, c, d] = leaves;
        let leaf = high.select(low.select(d, c), low.select(b, a));
        (leaf, low + high * Fr::from(2))
    }

    /// Phase, last bid and counters after the operation.
    pub(super) fn counters(&mut self) {
        let signed = self.is_signed();
        let (none, inbox) = (self.v(Cell::PhaseNone), self.v(Cell::PhaseInbox));
        let pending = self.v(Cell::PhaseBid);
        let plain = self.is_transaction() + self.v(Cell::IsBidBurn);
        self.when("signed operations in an open block", plain.clone(), none);
        self.when("a promised bid comes first", plain, pending.clone());
        let (pays, item) = (self.v(Cell::IsBidPay), self.v(Cell::IsInbox));
        self.when(
            "a BidPay where one is promised",
            pays.clone(),
            pending.not(),
        );
        self.when(
            "inbox items before signed operations",
            item.clone(),
            (inbox + pending).not(),
        );
        let now = self.phase_number();
        let phase = signed.select(W::Value::number(2), now);
        self.define("phase after", Cell::PhaseAfter, phase);
        let (height, last) = (self.v(Cell::HeightAfter), self.v(Cell::LastBid));
        self.define("last bid", Cell::LastBidAfter, pays.select(height, last));
        let counts = [
            (Cell::SignedCount, Cell::SignedCountAfter, signed),
            (Cell::InboxCount, Cell::InboxCountAfter, item),
        ];
        for (before, after, more) in counts {
            let before = self.v(before);
            self.define("count", after, before + more);
        }
        let (before, more) = (self.v(Cell::LeafCount), self.creates());
        self.define("leaf count", Cell::LeafCountAfter, before + more);
    }
}
