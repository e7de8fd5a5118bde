//! Published floats, the fee and its burn, the stated key, and every comparison.

use halo2curves::bn256::Fr;
use protocol::params::{BID_FLOOR, BURN_NUMERATOR, BURN_SHIFT};

use super::Slot;
use crate::algebra::{Algebra, sum};
use crate::chunk::cells::{Cell, EXPONENT, FEE_EXPONENT};
use crate::convert::{bits, from_u128, limbs, power_of_two};
use crate::window::{Hintable, Window};

/// Cells of one coordinate of the stated key.
struct Coordinate {
    low: Cell,
    middle: Cell,
    high: Cell,
    low_rest: Cell,
    high_rest: Cell,
    canonical: Cell,
    carry: Cell,
}

const X: Coordinate = Coordinate {
    low: Cell::XLow,
    middle: Cell::XMiddle,
    high: Cell::XHigh,
    low_rest: Cell::XLowRest,
    high_rest: Cell::XHighRest,
    canonical: Cell::XCanonical,
    carry: Cell::XCarry,
};

const Y: Coordinate = Coordinate {
    low: Cell::YLow,
    middle: Cell::YMiddle,
    high: Cell::YHigh,
    low_rest: Cell::YLowRest,
    high_rest: Cell::YHighRest,
    canonical: Cell::YCanonical,
    carry: Cell::YCarry,
};

/// p as `low + 2^120 high`.
fn modulus() -> (Fr, Fr) {
    let below = limbs(-Fr::one());
    let low = u128::from(bits(&below, 0, 64)) | u128::from(bits(&below, 64, 56)) << 64;
    let high = [
        bits(&below, 120, 64),
        bits(&below, 184, 64),
        bits(&below, 248, 6),
        0,
    ];
    (from_u128(low) + Fr::one(), Fr::from_raw(high))
}

impl<W: Window> Slot<'_, W>
where
    W::Value: Hintable,
{
    /// `exponent` as a number.
    fn exponent(&mut self, cells: &[Cell; 5]) -> W::Value {
        let terms: Vec<W::Value> = (0..5)
            .map(|i| self.v(cells[i]) * Fr::from(1 << i))
            .collect();
        sum(terms)
    }

    /// 35 bits of the published amount: exponent, then mantissa.
    pub(super) fn amount_float(&mut self) -> W::Value {
        self.exponent(&EXPONENT) + self.v(Cell::Mantissa) * Fr::from(32)
    }

    /// 13 bits of the published fee.
    pub(super) fn fee_float(&mut self) -> W::Value {
        self.exponent(&FEE_EXPONENT) + self.v(Cell::FeeMantissa) * Fr::from(32)
    }

    fn power_of_ten(&mut self, name: &str, cells: &[Cell; 5], power: Cell) {
        self.booleans(cells);
        let mut product = W::Value::number(1);
        let mut ten = Fr::from(10);
        for cell in cells {
            let bit = self.v(*cell);
            product = product * (bit * (ten - Fr::one()) + W::Value::number(1));
            ten = ten.square();
        }
        self.define(name, power, product);
    }

    /// Amount, fee and burn.
    pub(super) fn published_amounts(&mut self) {
        self.power_of_ten("10^exponent", &EXPONENT, Cell::Power);
        self.power_of_ten("10^fee exponent", &FEE_EXPONENT, Cell::FeePower);
        let is_float = self.sum(&[Cell::IsTransfer, Cell::IsNew]);
        let decoded = self.v(Cell::Mantissa) * self.v(Cell::Power);
        let amount = self.v(Cell::Amount);
        self.when(
            "published amount",
            is_float.clone(),
            amount.clone() - decoded,
        );
        let (mantissa, exponent) = (self.v(Cell::Mantissa), self.exponent(&EXPONENT));
        self.when("no mantissa without a float", is_float.not(), mantissa);
        self.when("no exponent without a float", is_float.not(), exponent);
        let nothing = self.sum(&[Cell::IsNoop, Cell::IsChangeKey, Cell::IsLock]);
        self.when("no amount", nothing, amount);

        let fee = self.v(Cell::FeeMantissa) * self.v(Cell::FeePower);
        self.define("fee", Cell::Fee, fee);
        let transaction = self.is_transaction();
        let (mantissa, exponent) = (self.v(Cell::FeeMantissa), self.exponent(&FEE_EXPONENT));
        self.when(
            "no fee mantissa but in transactions",
            transaction.not(),
            mantissa,
        );
        self.when(
            "no fee exponent but in transactions",
            transaction.not(),
            exponent,
        );
        let fee = self.v(Cell::Fee);
        let known = fee.known().map(|fee| burn(&fee));
        let (quotient, remainder) = known.unwrap_or((Fr::zero(), Fr::zero()));
        self.window.hint(self.at(Cell::Burn), |_| quotient);
        self.window
            .hint(self.at(Cell::BurnRemainder), |_| remainder);
        let share = self.v(Cell::Burn) * power_of_two(BURN_SHIFT) + self.v(Cell::BurnRemainder);
        self.zero(
            "burn rounds down",
            fee.clone() * from_u128(BURN_NUMERATOR) - share,
        );

        self.is_zero("fee is 0", Cell::NoFee, Cell::FeeInverse, fee);
        self.booleans(&[Cell::Selector0, Cell::Selector1]);
        let has_fee = self.has_fee();
        let selector = self.sum(&[Cell::Selector0, Cell::Selector1]);
        self.when("no selector without a fee", has_fee.not(), selector);
        let (chosen, selector) = self.chosen_fee_leaf();
        let index = self.v(Cell::Index3);
        self.when(
            "fee leaf is the chosen one",
            has_fee.clone(),
            index - chosen,
        );
        let count = self.v(Cell::FeeCountAfter);
        let mut beyond = has_fee.clone();
        for offset in 1..=4 {
            beyond = beyond * (count.clone() - selector.clone() - W::Value::number(offset));
        }
        self.zero("selector names a fee leaf", beyond);
        let live = self.v(Cell::Live3);
        self.when("fee leaf lives", has_fee.clone(), live.not());
        let tokens = self.v(Cell::Token3) - self.v(Cell::Token1);
        self.when("fee leaf has the token", has_fee, tokens);
    }

    /// 1 if the fee is not 0.
    fn has_fee(&mut self) -> W::Value {
        self.v(Cell::NoFee).not()
    }

    /// The key that the operation or item states: canonical, or null.
    pub(super) fn stated_key(&mut self) {
        for coordinate in [&X, &Y] {
            self.coordinate(coordinate);
        }
        let states = self.states_key();
        let (x, y) = (self.v(Cell::XCanonical), self.v(Cell::YCanonical));
        self.when("stated x is below p", states.clone(), x.not());
        self.when("stated y is below p", states, y.not());
        let canonical = x * y;
        for (cell, coordinate) in [(Cell::KeyX, &X), (Cell::KeyY, &Y)] {
            let value = self.low_word(coordinate) + self.v(coordinate.high) * power_of_two(248);
            self.define("key or the null key", cell, canonical.clone() * value);
        }
    }

    /// Low 248 bits of the stated key's x and y.
    pub(super) fn key_words(&mut self) -> [W::Value; 2] {
        [self.low_word(&X), self.low_word(&Y)]
    }

    fn low_word(&mut self, coordinate: &Coordinate) -> W::Value {
        self.v(coordinate.low) + self.v(coordinate.middle) * power_of_two(120)
    }

    /// `canonical = 1` exactly if the 254-bit value is below p. With `v = low + 2^120 high`:
    /// canonical: `p - 1 - v` has the parts `rest`; else `v - p` has.
    fn coordinate(&mut self, coordinate: &Coordinate) {
        let (p_low, p_high) = modulus();
        let low = self.v(coordinate.low);
        let high = self.v(coordinate.middle) + self.v(coordinate.high) * power_of_two(128);
        let known = low.known().zip(high.known());
        let canonical = known.map(|(low, high)| (high, low) < (p_high, p_low));
        self.decide(coordinate.canonical, canonical);
        let carry = known.map(|(low, _)| (low >= p_low) == (canonical == Some(true)));
        // canonical borrows if low > p_low - 1; otherwise it borrows if low < p_low
        self.decide(coordinate.carry, carry);
        let (canonical, carry) = (self.v(coordinate.canonical), self.v(coordinate.carry));
        let (p_low, p_high) = (W::Value::constant(p_low), W::Value::constant(p_high));
        let low_part = canonical.select(
            p_low.clone() - W::Value::number(1) - low.clone(),
            low - p_low,
        );
        let low_part = low_part + carry.clone() * power_of_two(120);
        self.define("distance to p, low", coordinate.low_rest, low_part);
        let high_part = canonical.select(p_high.clone() - high.clone(), high - p_high) - carry;
        self.define("distance to p, high", coordinate.high_rest, high_part);
    }

    /// Lock, balance, room and bid floor.
    pub(super) fn comparisons(&mut self) {
        let (lock, height) = (self.v(Cell::Lock1), self.v(Cell::HeightAfter));
        self.at_least("locked", Cell::IsLocked, Cell::LockDistance, lock, height);
        let amount = self.v(Cell::Amount);
        let floor = W::Value::constant(from_u128(BID_FLOOR));
        self.at_least(
            "bid floor",
            Cell::AboveFloor,
            Cell::FloorDistance,
            amount.clone(),
            floor.clone(),
        );
        let due = self.v(Cell::AboveFloor).select(amount.clone(), floor);
        let debit = self.v(Cell::IsBidBurn).select(due.clone(), amount.clone());
        let balance = self.v(Cell::Balance1);
        self.at_least(
            "enough",
            Cell::IsEnough,
            Cell::EnoughDistance,
            balance.clone(),
            debit,
        );
        let burned = self.v(Cell::IsEnough).select(due, balance.clone());
        self.define("burned collateral", Cell::Burned, burned);
        let recipient = self.v(Cell::Balance2);
        let base = self.v(Cell::IsDeposit).select(balance, recipient);
        let limit = W::Value::constant(power_of_two(120) - Fr::one());
        self.at_least(
            "room",
            Cell::HasRoom,
            Cell::RoomDistance,
            limit,
            base + amount,
        );
    }
}

/// Quotient and remainder of the burned share.
fn burn(fee: &Fr) -> (Fr, Fr) {
    let product = limbs(fee * from_u128(BURN_NUMERATOR));
    let remainder = bits(&product, 0, BURN_SHIFT as usize);
    let quotient = [
        bits(&product, 16, 64),
        bits(&product, 80, 64),
        bits(&product, 144, 64),
        bits(&product, 208, 48),
    ];
    (Fr::from_raw(quotient), Fr::from(remainder))
}
