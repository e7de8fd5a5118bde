//! Ranges by octal digits, 120 in a row.
//!
//! Every digit is 0 to 7 (degree 9 with the selector). A row's pattern says how its digits make the values that
//! stand in the lane of named cells, from its first column on: `value = sum 8^i digit_i`, and where a width is no
//! multiple of three bits the top digit is bounded further. No value of at most 53 digits wraps.
//!
//! Patterns are cut so that sums of digits are shared between them: [`Pattern::Wide`] and [`Pattern::Long`] are unions of the same
//! runs of digits.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use crate::algebra::{Algebra, sum};
use crate::chunk::Cell;
use crate::convert::{bits, limbs, power_of_two};
use crate::layout::{Columns, Fixed};
use crate::trace::{Block, at};
use crate::window::{GateWindow, Window, pos};

use super::layout::{CELLS, DIGITS, Extra, Named, ROWS};

/// Digits of a row.
pub const ACROSS: usize = 120;
/// Bits of a digit.
const BITS: usize = 3;

/// How the digits of a row are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// 160, 120, 40 and 32 bits.
    Wide,
    /// 120, thrice 64, and 32 bits.
    Long,
    /// Twice 128, 66 and 36 bits.
    Key,
    /// Twice 126, 68, 30 and 8 bits.
    Challenge,
    /// Twice 120, 40, 28, 16, twice 6 and twice 4 bits.
    Small,
    /// 88, 76 and thrice 15 bits.
    Spare,
}

/// The pattern of each row of a block.
pub const PATTERN_OF_ROW: [Pattern; ROWS] = {
    use Pattern::{Challenge, Key, Long, Small, Spare, Wide};
    [
        Wide, Wide, Wide, Wide, Wide, Wide, Wide, Long, Long, Long, Long, Long, Key, Challenge,
        Small, Spare,
    ]
};

impl Pattern {
    /// All patterns.
    pub const ALL: [Pattern; 6] = [
        Pattern::Wide,
        Pattern::Long,
        Pattern::Key,
        Pattern::Challenge,
        Pattern::Small,
        Pattern::Spare,
    ];

    /// First digit and bits of each group, in the order of the values.
    #[must_use]
    pub fn groups(self) -> &'static [(usize, usize)] {
        match self {
            Pattern::Wide => &[(40, 160), (0, 120), (94, 40), (108, 32)],
            Pattern::Long => &[(0, 120), (40, 64), (62, 64), (84, 64), (108, 32)],
            Pattern::Key => &[(0, 128), (43, 128), (86, 66), (108, 36)],
            Pattern::Challenge => &[(0, 126), (42, 126), (84, 68), (107, 30), (117, 8)],
            Pattern::Small => &[
                (0, 120),
                (40, 120),
                (80, 40),
                (94, 28),
                (104, 16),
                (110, 6),
                (112, 6),
                (114, 4),
                (116, 4),
            ],
            Pattern::Spare => &[(0, 88), (30, 76), (56, 15), (61, 15), (66, 15)],
        }
    }

    /// Its selector.
    #[must_use]
    pub fn selector(self) -> Fixed {
        match self {
            Pattern::Wide => Fixed::DigitsWide,
            Pattern::Long => Fixed::DigitsLong,
            Pattern::Key => Fixed::DigitsKey,
            Pattern::Challenge => Fixed::DigitsChallenge,
            Pattern::Small => Fixed::DigitsSmall,
            Pattern::Spare => Fixed::DigitsSpare,
        }
    }
}

/// The cells whose range the digits of each row prove, group by group.
pub(super) fn values() -> [Vec<Option<Named>>; ROWS] {
    use Cell::{
        Amount, Balance1, Balance1After, Balance2, Balance2After, Balance3, Balance3After, BidAge,
        BidAgeRoom, BidHeight, BurnRemainder, Delta, DeltaRest, EnoughDistance, ExpiryDistance,
        FeeMantissa, FloorDistance, HeightAfter, ItemFrom, ItemOwner, ItemTo, ItemToken, ItemType,
        Lock1, Lock2, Lock3, LockDistance, LockRaise, LockRoom, Mantissa, MembersRoom, New0, New1,
        New2, New3, NewOwner, Nonce1, Nonce2, Nonce3, NonceHigh, NonceLow, Owner1, Owner2, Owner3,
        RoomDistance, Spare0, Spare1, Spare2, Token1, Token2, Token3, Until, ValidUntil, XHigh,
        XHighRest, XLow, XLowRest, XMiddle, YHigh, YHighRest, YLow, YLowRest, YMiddle,
    };
    let rule = |cells: &[Cell]| cells.iter().map(|cell| Some((*cell).into())).collect();
    let mixed = |cells: &[Option<Named>]| cells.to_vec();
    let some = |cell: Extra| Some(Named::Extra(cell));
    let known = |cell: Cell| Some(Named::Rule(cell));
    [
        rule(&[Owner1, Balance1, Nonce1, Token1]),
        rule(&[Owner2, Balance2, Nonce2, Token2]),
        rule(&[Owner3, Balance3, Nonce3, Token3]),
        rule(&[NewOwner, Balance1After, Delta, ItemFrom]),
        rule(&[ItemOwner, Balance2After, DeltaRest, ItemTo]),
        rule(&[XHighRest, Balance3After, BidAge, ItemToken]),
        rule(&[YHighRest, Amount, BidAgeRoom, New0]),
        rule(&[XLow, Lock1, Lock2, Lock3, New1]),
        rule(&[XLowRest, ValidUntil, ExpiryDistance, Until, New2]),
        rule(&[YLow, LockDistance, LockRaise, LockRoom, New3]),
        mixed(&[
            known(YLowRest),
            known(HeightAfter),
            known(BidHeight),
            some(Extra::C0),
            None,
        ]),
        mixed(&[
            known(EnoughDistance),
            some(Extra::C1),
            some(Extra::Q0),
            None,
            None,
        ]),
        mixed(&[
            known(XMiddle),
            known(YMiddle),
            some(Extra::Q1),
            known(NonceHigh),
        ]),
        mixed(&[
            some(Extra::C2),
            some(Extra::C2Rest),
            some(Extra::Carry),
            known(Mantissa),
            known(FeeMantissa),
        ]),
        rule(&[
            RoomDistance,
            FloorDistance,
            MembersRoom,
            Spare0,
            BurnRemainder,
            XHigh,
            YHigh,
            ItemType,
            NonceLow,
        ]),
        mixed(&[
            known(Spare1),
            known(Spare2),
            some(Extra::Age1),
            some(Extra::Age2),
            some(Extra::Age3),
        ]),
    ]
}

/// `sum 8^i digit_i` of the digits from `start` on, in runs that patterns share.
fn run<W: Window>(window: &mut W, start: usize, digits: usize) -> W::Value {
    const CUTS: [usize; 6] = [22, 40, 62, 84, 94, 108];
    let mut total: Option<W::Value> = None;
    let mut at = start;
    while at < start + digits {
        let end = CUTS
            .into_iter()
            .find(|cut| *cut > at)
            .unwrap_or(ACROSS)
            .min(start + digits);
        let terms: Vec<W::Value> = (at..end)
            .map(|i| window.get(pos(0, DIGITS + i)) * power_of_two((BITS * (i - at)) as u32))
            .collect();
        let part = sum(terms) * power_of_two((BITS * (at - start)) as u32);
        total = Some(match total {
            Some(total) => total + part,
            None => part,
        });
        at = end;
    }
    total.unwrap_or_else(|| W::Value::number(0))
}

/// Adds the gates.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
    meta.create_gate("octal digits", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Digits);
        for column in DIGITS..DIGITS + ACROSS {
            let digit = window.get(pos(0, column));
            // x (x-7), (x-1)(x-6), (x-2)(x-5), (x-3)(x-4) are u, u + 6, u + 10, u + 12 with u = x^2 - 7x
            let u = digit.squared() - digit * Fr::from(7);
            let value = u.clone() * (u.clone() + Algebra::number(6));
            let other = (u.clone() + Algebra::number(10)) * (u + Algebra::number(12));
            window.constrain("digit", value * other);
        }
        window.finish()
    });
    for pattern in Pattern::ALL {
        meta.create_gate(format!("digits {pattern:?}"), |meta| {
            let mut window = GateWindow::new(meta, columns, pattern.selector());
            for (group, (start, width)) in pattern.groups().iter().enumerate() {
                let digits = width.div_ceil(BITS);
                let value = run(&mut window, *start, digits);
                window.define("value of digits", pos(0, CELLS + group), value);
                let top = window.get(pos(0, DIGITS + start + digits - 1));
                match width % BITS {
                    1 => window.constrain("top digit of 1 bit", top.clone() * top.not()),
                    2 => {
                        let u = top.squared() - top * Fr::from(3);
                        let value = u.clone() * (u + Algebra::number(2));
                        window.constrain("top digit of 2 bits", value);
                    }
                    _ => {}
                }
            }
            window.finish()
        });
    }
}

/// Fills the digits of a block from the values that stand in it.
///
/// # Errors
/// The first cell whose value does not fit, by name where it has one.
pub(super) fn assign(block: &mut Block) -> Result<(), String> {
    let mut misfit = None;
    let names = values();
    for (row, pattern) in PATTERN_OF_ROW.into_iter().enumerate() {
        for (group, (start, width)) in pattern.groups().iter().enumerate() {
            let integer = limbs(block.get(at(CELLS + group, row)));
            for i in 0..width.div_ceil(BITS) {
                let count = BITS.min(width - BITS * i);
                let digit = bits(&integer, BITS * i, count);
                block.set(at(DIGITS + start + i, row), Fr::from(digit));
            }
            let fits = (*width..256)
                .step_by(64)
                .all(|start| bits(&integer, start, 64) == 0);
            if !fits {
                let name = names[row].get(group).copied().flatten();
                let text = name.map_or_else(
                    || format!("value {group} of row {row}"),
                    |name| match name {
                        Named::Rule(cell) => format!("{cell:?}"),
                        Named::Extra(cell) => format!("{cell:?}"),
                    },
                );
                misfit = misfit.or(Some(text));
            }
        }
    }
    misfit.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::super::layout::place;
    use super::*;

    #[test]
    fn groups_are_disjoint_and_values_cannot_wrap() {
        for pattern in Pattern::ALL {
            let mut used = [false; ACROSS];
            for (start, width) in pattern.groups() {
                assert!(*width <= 160);
                for digit in &mut used[*start..start + width.div_ceil(BITS)] {
                    assert!(!*digit, "{pattern:?}");
                    *digit = true;
                }
            }
        }
    }

    #[test]
    fn every_named_value_stands_beside_its_digits() {
        for (row, cells) in values().into_iter().enumerate() {
            assert!(cells.len() <= PATTERN_OF_ROW[row].groups().len());
            for (group, name) in cells.into_iter().enumerate() {
                if let Some(name) = name {
                    assert_eq!(place(name), pos(row as i32, CELLS + group));
                }
            }
        }
    }
}
