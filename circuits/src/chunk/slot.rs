//! A slot: which rows it has, what they are, and which cells are the same.
//!
//! | rows | what |
//! |---|---|
//! | `RULES ..` | named cells (`cells`), gate `rules` on the first |
//! | `RANGES ..` | range rows, in the order of [`ranges`] |
//! | `HASHES ..` | message, stated key, group step, group close, three absorptions |
//! | `SIGNATURE ..` | the signature gadget |
//! | `ACCESSES ..` | three tree accesses: sender, recipient, fee leaf |
//!
//! Every slot has the same height; only [`Fixed::First`] tells the first of a pair from the second.

use crate::gadgets::merkle::{self, Access};
use crate::gadgets::poseidon::OUT;
use crate::gadgets::range::Pattern;
use crate::gadgets::signature::{self, Signature};
use crate::layout::Fixed;
use crate::trace::{At, Wiring, at};

use super::cells::Cell;
use super::rules::GROUPS;

/// First range row.
pub(super) const RANGES: usize = Cell::ROWS;
/// First hash row.
pub(super) const HASHES: usize = RANGES + RANGE_ROWS;
/// First row of the signature.
pub(super) const SIGNATURE: usize = HASHES + HASH_ROWS;
/// First row of the accesses.
pub(super) const ACCESSES: usize = SIGNATURE + signature::ROWS;
/// Rows of a slot.
pub const ROWS: usize = ACCESSES + 3 * merkle::ROWS;

const RANGE_ROWS: usize = 29;
const HASH_ROWS: usize = 7;

/// A cell of the rules, from the slot's first row.
#[must_use]
pub fn cell(name: Cell) -> At {
    let place = name.pos();
    at(place.column, place.rotation as usize)
}

/// The signature gadget, from the slot's first row.
#[must_use]
pub fn signature() -> Signature {
    Signature { row: SIGNATURE }
}

/// The three accesses, from the slot's first row.
#[must_use]
pub fn accesses() -> [Access; 3] {
    [0, 1, 2].map(|i| Access {
        row: ACCESSES + i * merkle::ROWS,
    })
}

/// Every range row and the cells it checks, group by group.
pub(super) fn ranges() -> Vec<(Pattern, Vec<At>)> {
    let (low, high) = signature().ranges();
    let named = |pattern, cells: &[Cell]| (pattern, cells.iter().map(|name| cell(*name)).collect());
    let with = |pattern, first: At, cells: &[Cell]| {
        let rest = cells.iter().map(|name| cell(*name));
        (pattern, std::iter::once(first).chain(rest).collect())
    };
    use Pattern::{Bytes15And4And4, Bytes15And8, Bytes16And8, Bytes20And5, Small, Spare};
    vec![
        named(Bytes20And5, &[Cell::Owner1, Cell::Nonce1]),
        named(Bytes20And5, &[Cell::Owner2, Cell::Nonce2]),
        named(Bytes20And5, &[Cell::Owner3, Cell::Nonce3]),
        named(Bytes20And5, &[Cell::NewOwner, Cell::Delta]),
        named(Bytes20And5, &[Cell::ItemOwner, Cell::DeltaRest]),
        with(Bytes20And5, high[0], &[Cell::BidAge]),
        with(Bytes20And5, high[1], &[Cell::BidAgeRoom]),
        named(Bytes20And5, &[Cell::XHighRest, Cell::MembersRoom]),
        named(Bytes20And5, &[Cell::YHighRest]),
        named(Bytes15And8, &[Cell::Balance1, Cell::Lock1]),
        named(Bytes15And8, &[Cell::Balance2, Cell::Lock2]),
        named(Bytes15And8, &[Cell::Balance3, Cell::Lock3]),
        with(Bytes15And8, low[0], &[Cell::ValidUntil]),
        with(Bytes15And8, low[1], &[Cell::ExpiryDistance]),
        named(Bytes15And8, &[Cell::XLow, Cell::Until]),
        named(Bytes15And8, &[Cell::XLowRest, Cell::LockDistance]),
        named(Bytes15And8, &[Cell::YLow, Cell::LockRaise]),
        named(Bytes15And8, &[Cell::YLowRest, Cell::LockRoom]),
        named(Bytes15And8, &[Cell::Amount, Cell::HeightAfter]),
        named(Bytes16And8, &[Cell::XMiddle, Cell::BidHeight]),
        named(Bytes16And8, &[Cell::YMiddle]),
        named(
            Bytes15And4And4,
            &[Cell::Balance1After, Cell::Token1, Cell::ItemFrom],
        ),
        named(
            Bytes15And4And4,
            &[Cell::Balance2After, Cell::Token2, Cell::ItemTo],
        ),
        named(
            Bytes15And4And4,
            &[Cell::Balance3After, Cell::Token3, Cell::ItemToken],
        ),
        named(
            Bytes15And4And4,
            &[Cell::EnoughDistance, Cell::New0, Cell::New1],
        ),
        named(
            Bytes15And4And4,
            &[Cell::RoomDistance, Cell::New2, Cell::New3],
        ),
        named(Bytes15And4And4, &[Cell::FloorDistance]),
        named(Spare, &[Cell::Spare1, Cell::Spare2, Cell::Spare0]),
        named(
            Small,
            &[
                Cell::Mantissa,
                Cell::FeeMantissa,
                Cell::BurnRemainder,
                Cell::XHigh,
                Cell::YHigh,
                Cell::ItemType,
                Cell::NonceLow,
                Cell::NonceHigh,
            ],
        ),
    ]
}

/// Pattern of a range row, from the slot's first row.
#[must_use]
pub fn range_pattern(row: usize) -> Option<Pattern> {
    let index = row.checked_sub(RANGES)?;
    ranges().get(index).map(|(pattern, _)| *pattern)
}

/// Hash rows: selector, inputs, output.
pub(super) fn hashes() -> Vec<(Fixed, Vec<Cell>, Cell)> {
    use Cell::{After0, After1, Domain, H, Hash0, Hash1, Hash2, Message};
    let absorb = |group: usize, before, after| {
        let inputs = std::iter::once(before).chain(GROUPS[group]).collect();
        (Fixed::Poseidon6, inputs, after)
    };
    let message = vec![
        Domain,
        Cell::Message1,
        Cell::Message2,
        Cell::Message3,
        Cell::Message4,
    ];
    vec![
        (Fixed::Poseidon6, message, Message),
        (
            Fixed::Poseidon3,
            vec![Cell::KeyX, Cell::KeyY],
            Cell::KeyDigest,
        ),
        (
            Fixed::Poseidon3,
            vec![Cell::GroupStart, Message],
            Cell::GroupStep,
        ),
        (
            Fixed::Poseidon3,
            vec![Cell::GroupStep, Cell::GroupNumber],
            Cell::GroupClose,
        ),
        absorb(0, H, Hash0),
        absorb(1, After0, Hash1),
        absorb(2, After1, Hash2),
    ]
}

/// Cells of the accesses that are rules' cells, or each other.
fn access_copies() -> Vec<(At, At)> {
    let [sender, recipient, fee] = accesses();
    let mut copies = Vec::new();
    let mut link = |cells: &[Cell], place: &dyn Fn(usize) -> At| {
        for (i, name) in cells.iter().enumerate() {
            copies.push((cell(*name), place(i)));
        }
    };
    link(&[Cell::X1, Cell::Y1, Cell::Meta1, Cell::Holdings1], &|i| {
        sender.before(i)
    });
    link(
        &[
            Cell::X1After,
            Cell::Y1After,
            Cell::Meta1After,
            Cell::Holdings1After,
        ],
        &|i| sender.after(i),
    );
    link(&[Cell::X2, Cell::Y2, Cell::Meta2, Cell::Holdings2], &|i| {
        recipient.before(i)
    });
    link(
        &[
            Cell::X2After,
            Cell::Y2After,
            Cell::Meta2After,
            Cell::Holdings2After,
        ],
        &|i| recipient.after(i),
    );
    // The fee leaf keeps its key and meta.
    link(&[Cell::Meta3, Cell::Holdings3], &|i| fee.before(2 + i));
    link(&[Cell::Meta3, Cell::Holdings3After], &|i| fee.after(2 + i));
    link(&[Cell::Live1, Cell::Live1], &|i| sender.live()[i]);
    link(&[Cell::Live2, Cell::Live2After], &|i| recipient.live()[i]);
    link(&[Cell::Live3, Cell::Live3], &|i| fee.live()[i]);
    link(&[Cell::Index1], &|_| sender.index());
    link(&[Cell::Index2], &|_| recipient.index());
    link(&[Cell::Index3], &|_| fee.index());
    link(&[Cell::Root], &|_| sender.roots()[0]);
    link(&[Cell::RootAfter], &|_| fee.roots()[1]);
    copies.push((fee.before(0), fee.after(0)));
    copies.push((fee.before(1), fee.after(1)));
    copies.push((sender.roots()[1], recipient.roots()[0]));
    copies.push((recipient.roots()[1], fee.roots()[0]));
    copies
}

/// Switches a slot on at `row` and ties its rows together.
pub(super) fn wire(wiring: &mut Wiring, row: usize, is_first: bool) {
    let here = |place: At| at(place.column, place.row + row);
    wiring.enable(Fixed::Rules, row);
    if is_first {
        wiring.enable(Fixed::First, row);
    }
    for (i, (pattern, cells)) in ranges().into_iter().enumerate() {
        let range = row + RANGES + i;
        wiring.enable(Fixed::Crumbs, range);
        wiring.enable(pattern.selector(), range);
        for (group, place) in cells.into_iter().enumerate() {
            wiring.copy(here(place), at(group, range));
        }
    }
    for (i, (selector, inputs, output)) in hashes().into_iter().enumerate() {
        let hash = row + HASHES + i;
        wiring.enable(selector, hash);
        for (input, name) in inputs.into_iter().enumerate() {
            wiring.copy(here(cell(name)), at(input, hash));
        }
        wiring.copy(here(cell(output)), at(OUT, hash));
    }
    let gadget = Signature {
        row: row + SIGNATURE,
    };
    gadget.wire(wiring);
    let [x, y] = gadget.key();
    wiring.copy(here(cell(Cell::SignatureX)), x);
    wiring.copy(here(cell(Cell::SignatureY)), y);
    wiring.copy(here(cell(Cell::SignatureMessage)), gadget.message());
    for access in accesses() {
        Access {
            row: row + access.row,
        }
        .wire(wiring);
    }
    for (left, right) in access_copies() {
        wiring.copy(here(left), here(right));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::EQUALITY;

    #[test]
    fn tables_have_the_rows_that_the_layout_gives_them() {
        assert_eq!(ranges().len(), RANGE_ROWS);
        assert_eq!(hashes().len(), HASH_ROWS);
        for (pattern, cells) in ranges() {
            assert!(cells.len() <= pattern.groups().len());
        }
    }

    #[test]
    fn copied_cells_stand_in_equality_columns() {
        for (left, right) in access_copies() {
            assert!(left.column < EQUALITY && right.column < EQUALITY);
        }
        for name in &Cell::ALL[..Cell::COPIED] {
            assert!(cell(*name).column < EQUALITY, "{name:?}");
        }
    }

    /// A cell whose width is documented is range-checked once.
    #[test]
    fn no_cell_is_checked_twice() {
        let mut all: Vec<At> = ranges().into_iter().flat_map(|(_, cells)| cells).collect();
        all.sort();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
