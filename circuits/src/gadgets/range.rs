//! Range checks by crumbs: cells that hold 0 to 3.
//!
//! Layout of a range row:
//!
//! | columns | cells | constrained by |
//! |---|---|---|
//! | `0 .. 8` | values, one for each group of the row's pattern | the pattern's sums |
//! | `8 .. 108` | 100 crumbs, 25 bytes of 4 | `x (x-1) (x-2) (x-3) = 0`, degree 5 |
//!
//! Every group starts on a byte, least significant crumb first, and `value = sum 4^i crumb_i`. A value
//! of at most 126 crumbs cannot wrap. Value cells that a pattern does not use are free.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use crate::algebra::{Algebra, sum};
use crate::convert::{bits, limbs, power_of_two};
use crate::layout::{Columns, Fixed, WIDTH};
use crate::window::{GateWindow, Window, pos};

/// First crumb column.
const CRUMBS: usize = 8;
/// Crumbs in a byte.
const CRUMBS_PER_BYTE: usize = 4;

/// How the crumbs of a row are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// 160 and 40 bits.
    Bytes20And5,
    /// 120 and 64 bits.
    Bytes15And8,
    /// 120, 32 and 32 bits.
    Bytes15And4And4,
    /// 128 and 64 bits.
    Bytes16And8,
    /// 88, 76 and 28 bits: spare bits of inbox words.
    Spare,
    /// 30, 8, 16, 6, 6, 4, 4 and 36 bits.
    Small,
}

impl Pattern {
    /// Patterns of the chunk circuit: all of them.
    pub const CHUNK: [Pattern; 6] = [
        Pattern::Bytes20And5,
        Pattern::Bytes15And8,
        Pattern::Bytes15And4And4,
        Pattern::Bytes16And8,
        Pattern::Spare,
        Pattern::Small,
    ];

    /// Crumbs of each group.
    #[must_use]
    pub fn groups(self) -> &'static [usize] {
        match self {
            Pattern::Bytes20And5 => &[80, 20],
            Pattern::Bytes15And8 => &[60, 32],
            Pattern::Bytes15And4And4 => &[60, 16, 16],
            Pattern::Bytes16And8 => &[64, 32],
            Pattern::Spare => &[44, 38, 14],
            Pattern::Small => &[15, 4, 8, 3, 3, 2, 2, 18],
        }
    }

    /// Its selector; range rows also carry [`Fixed::Crumbs`].
    #[must_use]
    pub fn selector(self) -> Fixed {
        match self {
            Pattern::Bytes20And5 => Fixed::Range20And5,
            Pattern::Bytes15And8 => Fixed::Range15And8,
            Pattern::Bytes15And4And4 => Fixed::Range15And4And4,
            Pattern::Bytes16And8 => Fixed::Range16And8,
            Pattern::Spare => Fixed::RangeSpare,
            Pattern::Small => Fixed::RangeSmall,
        }
    }

    /// First crumb of each group: on a byte.
    fn starts(self) -> Vec<usize> {
        let mut next = 0;
        self.groups()
            .iter()
            .map(|crumbs| {
                let start = next;
                next += crumbs.next_multiple_of(CRUMBS_PER_BYTE);
                start
            })
            .collect()
    }
}

/// `sum 4^i crumb_i`, byte by byte so that patterns share the bytes' sums.
fn group_value<W: Window>(window: &mut W, start: usize, crumbs: usize) -> W::Value {
    let bytes = (0..crumbs).step_by(CRUMBS_PER_BYTE).map(|byte| {
        let in_byte = CRUMBS_PER_BYTE.min(crumbs - byte);
        let terms: Vec<W::Value> = (0..in_byte)
            .map(|i| window.get(pos(0, CRUMBS + start + byte + i)) * Fr::from(1 << (2 * i)))
            .collect();
        sum(terms) * power_of_two(2 * byte as u32)
    });
    sum(bytes)
}

/// Adds the gates of these patterns.
pub fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns, patterns: &[Pattern]) {
    meta.create_gate("crumbs", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Crumbs);
        for column in CRUMBS..WIDTH {
            let crumb = window.get(pos(0, column));
            // x (x-1)(x-2)(x-3) = u (u + 2) with u = x^2 - 3x
            let u = crumb.squared() - crumb * Fr::from(3);
            let both = u.clone() * (u + Algebra::number(2));
            window.constrain(&format!("crumb {column}"), both);
        }
        window.finish()
    });
    for pattern in patterns {
        meta.create_gate(format!("range {:?}", pattern.groups()), |meta| {
            let mut window = GateWindow::new(meta, columns, pattern.selector());
            for (column, (start, crumbs)) in pattern
                .starts()
                .into_iter()
                .zip(pattern.groups())
                .enumerate()
            {
                let value = group_value(&mut window, start, *crumbs);
                window.define(&format!("value {column}"), pos(0, column), value);
            }
            window.finish()
        });
    }
}

/// Fills a range row; missing values are 0.
///
/// # Errors
/// The position of the first value that does not fit its group.
pub fn assign(row: &mut [Fr], pattern: Pattern, values: &[Fr]) -> Result<(), usize> {
    for (index, (start, crumbs)) in pattern
        .starts()
        .into_iter()
        .zip(pattern.groups())
        .enumerate()
    {
        let value = values.get(index).copied().unwrap_or(Fr::zero());
        let integer = limbs(value);
        for i in 0..*crumbs {
            row[CRUMBS + start + i] = Fr::from(bits(&integer, 2 * i, 2));
        }
        row[index] = value;
        let fits = (2 * crumbs..256)
            .step_by(64)
            .all(|at| bits(&integer, at, 64) == 0);
        if !fits {
            return Err(index);
        }
    }
    Ok(())
}
