//! Ranges by bytes, 44 in a row.
//!
//! A row's pattern says how its bytes make the values that stand in the lane of named cells, from its first column
//! on: `value = sum 256^i byte_i`. Where a width is no multiple of eight bits, one byte more holds the top one
//! shifted up to bit 7, so that the top one is bounded too. No value of at most 20 bytes wraps.
//!
//! That a cell is a byte is shown for all of them at once by logarithmic derivatives (Haboeck, "Multivariate lookups based on
//! logarithmic derivatives"): `sum 1 / (x - byte) = sum count_t / (x - t)` over all cells and all bytes t, at a
//! challenge x drawn after cells and counts. Columns of the second phase hold, for each seven bytes of a row, the
//! sum of their inverses, and the running difference of both sides, which starts and ends at 0:
//!
//! | constraint | degree |
//! |---|---|
//! | `part prod (x - byte_j) = sum_i prod_(j != i) (x - byte_j)`, seven bytes | 9 |
//! | `(next - running - sum parts) (x - a)(x - b)(x - t) = (x - b)(x - t) + (x - a)(x - t) - count (x - a)(x - b)`, the last two bytes | 5 |
//!
//! Fewer than 2^22 cells enter, so a false sum vanishes at x with probability below 2^24 / p. The table's bytes stand in the
//! first 256 rows, elsewhere in that column is 0.

use halo2_proofs::plonk::{Advice, Challenge, Column, ConstraintSystem, Expression, SecondPhase};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use crate::algebra::{over_common, sum};
use crate::chunk::Cell;
use crate::convert::{bits, limbs, power_of_two};
use crate::layout::{Columns, Fixed};
use crate::trace::{Block, at};
use crate::window::{Folding, GateWindow, Window, pos};

use super::layout::{BYTES, CELLS, COUNTS, Extra, Named, ROWS};

/// Bytes of a row.
pub const ACROSS: usize = 44;
/// Rows of the table.
pub const TABLE: usize = 256;
const BITS: usize = 8;
/// Bytes whose inverses one column of the second phase sums up.
const PART: usize = 7;
/// Columns of such sums; the bytes that are left go straight into the running one.
const PARTS: usize = ACROSS / PART;

/// How the bytes of a row are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// 160, 120, 40 and 32 bits.
    Wide,
    /// 120, thrice 64, and 32 bits.
    Long,
    /// Twice 128, 66 and 16 bits.
    Key,
    /// Twice 126, and 68 bits.
    Challenge,
    /// Twice 120, 40, 28 and twice 6 bits.
    Middle,
    /// 88, 76, 36, 30, 8, twice 4 and thrice 16 bits.
    Small,
}

/// The pattern of each row of a block.
pub const PATTERN_OF_ROW: [Pattern; ROWS] = {
    use Pattern::{Challenge, Key, Long, Middle, Small, Wide};
    [
        Wide, Wide, Wide, Wide, Wide, Wide, Wide, Long, Long, Long, Long, Long, Key, Challenge,
        Middle, Small,
    ]
};

impl Pattern {
    /// All patterns.
    pub const ALL: [Pattern; 6] = [
        Pattern::Wide,
        Pattern::Long,
        Pattern::Key,
        Pattern::Challenge,
        Pattern::Middle,
        Pattern::Small,
    ];

    /// Bits of each group, in the order of the values.
    #[must_use]
    pub fn widths(self) -> &'static [usize] {
        match self {
            Pattern::Wide => &[120, 160, 40, 32],
            Pattern::Long => &[120, 64, 64, 64, 32],
            Pattern::Key => &[128, 128, 66, 16],
            Pattern::Challenge => &[126, 126, 68],
            Pattern::Middle => &[120, 120, 40, 28, 6, 6],
            Pattern::Small => &[88, 76, 36, 30, 8, 4, 4, 16, 16, 16],
        }
    }

    /// First byte and bits of each group.
    pub(super) fn groups(self) -> impl Iterator<Item = (usize, usize)> {
        self.widths().iter().scan(0, |next, width| {
            let start = *next;
            *next += cells_of(*width);
            Some((start, *width))
        })
    }

    /// Its selector.
    #[must_use]
    pub fn selector(self) -> Fixed {
        match self {
            Pattern::Wide => Fixed::BytesWide,
            Pattern::Long => Fixed::BytesLong,
            Pattern::Key => Fixed::BytesKey,
            Pattern::Challenge => Fixed::BytesChallenge,
            Pattern::Middle => Fixed::BytesMiddle,
            Pattern::Small => Fixed::BytesSmall,
        }
    }
}

/// Cells that a value of this many bits takes.
const fn cells_of(width: usize) -> usize {
    width.div_ceil(BITS) + if width.is_multiple_of(BITS) { 0 } else { 1 }
}

/// The cells whose range the bytes of each row prove, group by group.
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
    use Extra::{Age1, Age2, Age3, C0, C1, C2, C2Rest, Carry, Q0, Q1};
    let rule = |cells: &[Cell]| cells.iter().map(|cell| Some((*cell).into())).collect();
    let r = |cell: Cell| Some(Named::Rule(cell));
    let e = |cell: Extra| Some(Named::Extra(cell));
    [
        rule(&[Balance1, Owner1, Nonce1, Token1]),
        rule(&[Balance2, Owner2, Nonce2, Token2]),
        rule(&[Balance3, Owner3, Nonce3, Token3]),
        rule(&[Balance1After, NewOwner, Delta, ItemFrom]),
        rule(&[Balance2After, ItemOwner, DeltaRest, ItemTo]),
        rule(&[Balance3After, XHighRest, BidAge, ItemToken]),
        rule(&[Amount, YHighRest, BidAgeRoom, New0]),
        rule(&[XLow, Lock1, Lock2, Lock3, New1]),
        rule(&[XLowRest, ValidUntil, ExpiryDistance, Until, New2]),
        rule(&[YLow, LockDistance, LockRaise, LockRoom, New3]),
        vec![r(YLowRest), r(HeightAfter), r(BidHeight), e(C0), None],
        vec![r(EnoughDistance), e(C1), e(Q0), None, None],
        vec![r(XMiddle), r(YMiddle), e(Q1), r(BurnRemainder)],
        vec![e(C2), e(C2Rest), e(Carry)],
        rule(&[
            RoomDistance,
            FloorDistance,
            MembersRoom,
            Spare0,
            XHigh,
            YHigh,
        ]),
        vec![
            r(Spare1),
            r(Spare2),
            r(NonceHigh),
            r(Mantissa),
            r(FeeMantissa),
            r(ItemType),
            r(NonceLow),
            e(Age1),
            e(Age2),
            e(Age3),
        ],
    ]
}

/// The columns of the second phase, and the challenge they depend on.
#[derive(Clone, Debug)]
pub struct Inverses {
    /// Sums of inverses, seven bytes each.
    pub parts: Vec<Column<Advice>>,
    /// The running difference.
    pub running: Column<Advice>,
    /// x.
    pub challenge: Challenge,
}

/// Adds the gates of the patterns.
fn configure_patterns(
    meta: &mut ConstraintSystem<Fr>,
    columns: &Columns,
    folding: Option<Folding>,
) {
    for pattern in Pattern::ALL {
        meta.create_gate(format!("bytes {pattern:?}"), |meta| {
            let mut window = GateWindow::new(meta, columns, pattern.selector());
            for (group, (start, width)) in pattern.groups().enumerate() {
                let count = width.div_ceil(BITS);
                let terms: Vec<_> = (0..count)
                    .map(|i| {
                        let byte = window.get(pos(0, BYTES + start + i));
                        byte * power_of_two((BITS * i) as u32)
                    })
                    .collect();
                window.define("value of bytes", pos(0, CELLS + group), sum(terms));
                if cells_of(width) > count {
                    let top = window.get(pos(0, BYTES + start + count - 1));
                    let shifted = top * power_of_two((BITS * count - width) as u32);
                    window.define("top byte shifted", pos(0, BYTES + start + count), shifted);
                }
            }
            window.finish_folded(folding)
        });
    }
}

/// Allocates the columns of the second phase and adds the gates.
pub(super) fn configure(
    meta: &mut ConstraintSystem<Fr>,
    columns: &Columns,
    challenge: Challenge,
    folding: Option<Folding>,
) -> Inverses {
    configure_patterns(meta, columns, folding);
    let inverses = Inverses {
        challenge,
        parts: (0..PARTS)
            .map(|_| meta.advice_column_in(SecondPhase))
            .collect(),
        running: meta.advice_column_in(SecondPhase),
    };
    meta.create_gate("every byte is one", |meta| {
        let x = meta.query_challenge(inverses.challenge);
        let [q, q_start, q_end, table] = [Fixed::Bytes, Fixed::Start, Fixed::End, Fixed::Table]
            .map(|name| columns.selector(meta, name));
        let away = |value: Expression<Fr>| x.clone() - value;
        let factors: Vec<Expression<Fr>> = (0..ACROSS)
            .map(|i| away(columns.advice(meta, BYTES + i, 0)))
            .collect();
        let mut constraints = Vec::new();
        let mut parts = Vec::new();
        for (column, factors) in inverses.parts.iter().zip(factors.chunks(PART)) {
            let part = meta.query_advice(*column, Rotation::cur());
            let (above, below) = over_common(factors);
            constraints.push((
                "sum of seven inverses",
                q.clone() * (part.clone() * below - above),
            ));
            parts.push(part);
        }
        let running = meta.query_advice(inverses.running, Rotation::cur());
        let next = meta.query_advice(inverses.running, Rotation::next());
        let (above, below) = over_common(&factors[PARTS * PART..]);
        let (table, count) = (away(table), columns.advice(meta, COUNTS, 0));
        let step = next - running.clone() - sum(parts);
        constraints.push((
            "running difference",
            q * (step * below.clone() * table.clone() - above * table + count * below),
        ));
        constraints.push(("difference starts at 0", q_start * running.clone()));
        constraints.push(("difference ends at 0", q_end * running));
        constraints
    });
    inverses
}

/// What a row brings: above and below of each part, then of the bytes that are left less the table's entry.
pub(super) fn row_fractions(bytes: &[Fr], count: Fr, table: Fr, x: Fr) -> Vec<(Fr, Fr)> {
    let factors: Vec<Fr> = bytes.iter().map(|byte| x - byte).collect();
    let mut fractions: Vec<(Fr, Fr)> = factors.chunks(PART).map(over_common).collect();
    if let Some((above, below)) = fractions.pop() {
        let table = x - table;
        fractions.push((above * table - count * below, below * table));
    }
    fractions
}

/// Fills the bytes of a block from the values that stand in it.
///
/// # Errors
/// The first cell whose value does not fit, by name where it has one.
pub fn assign(block: &mut Block) -> Result<(), String> {
    let mut misfit = None;
    let names = values();
    for (row, pattern) in PATTERN_OF_ROW.into_iter().enumerate() {
        for (group, (start, width)) in pattern.groups().enumerate() {
            let integer = limbs(block.get(at(CELLS + group, row)));
            let count = width.div_ceil(BITS);
            for i in 0..count {
                let byte = bits(&integer, BITS * i, BITS.min(width - BITS * i));
                block.set(at(BYTES + start + i, row), Fr::from(byte));
                if i + 1 == count && cells_of(width) > count {
                    let shifted = Fr::from(byte << (BITS * count - width));
                    block.set(at(BYTES + start + count, row), shifted);
                }
            }
            let fits = (width..256)
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
    fn groups_fill_their_rows_and_values_cannot_wrap() {
        for pattern in Pattern::ALL {
            let cells: usize = pattern.widths().iter().map(|width| cells_of(*width)).sum();
            assert!(cells <= ACROSS, "{pattern:?}: {cells}");
            assert!(pattern.widths().iter().all(|width| *width <= 160));
        }
    }

    #[test]
    fn every_named_value_stands_beside_its_bytes() {
        for (row, cells) in values().into_iter().enumerate() {
            assert!(cells.len() <= PATTERN_OF_ROW[row].widths().len());
            for (group, name) in cells.into_iter().enumerate() {
                if let Some(name) = name {
                    assert_eq!(place(name), pos(row as i32, CELLS + group));
                }
            }
        }
    }
}
