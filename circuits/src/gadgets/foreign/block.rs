//! Blocks and their witness: what fills the cells of [`super::layout`].
//!
//! A [`Grid`] is every cell of the gadget, as numbers; tests change cells in it. It does not decide which
//! block comes next: that is the tape.

use halo2curves::bn256::{Fq, Fr, G1Affine};
use num_bigint::BigInt;
use rayon::prelude::*;

use super::curve::{Digit, negated};
use super::equations::{Step, curve, square};
use super::integer::{
    CHUNK_BITS, CHUNKS_PER_LIMB, LIMB_BITS, LIMBS, NUMBER_CHUNKS, chunks, foreign_modulus,
    integer_of, limbs_of, number, power, quotient_chunks, residue,
};
use super::layout::{
    AFTER, BEFORE, BELOW_X, BELOW_Y, CONSTANT_ROWS, FINISH, FINISHED, FIRST, FIRST_ROW, FixedName,
    INDEX, INDEX_SHIFT, INDEX_SHIFTED, INVERSE, RESULT, RESULT_TOP, SECOND, SIGN, SLOPE, WIDTH,
    X_ROWS, Y_ROWS,
};
use crate::convert::from_u128;
use crate::window::invert_or_zero;

/// One block of the tape.
#[derive(Clone, Debug)]
pub enum Block {
    /// A witness point.
    Load {
        /// The point.
        point: G1Affine,
    },
    /// The running point becomes the point of a tag.
    Fetch {
        /// The point.
        point: G1Affine,
        /// Its tag.
        wanted: u64,
    },
    /// Adds a digit's multiple.
    Add {
        /// The running point if the block before ended in y; else that block knows it.
        explicit: Option<G1Affine>,
        /// First tag of the added point.
        wanted: u64,
        /// Which multiple.
        digit: Digit,
        /// The digits' sum before.
        before: Fr,
        /// Values of the X block.
        line: Line,
    },
    /// Doubles the running point.
    Double {
        /// Values of the X block; the doubled point is in `right`.
        line: Line,
    },
    /// y after Load, Fetch, Add or Double.
    Finish {
        /// y.
        y: Fq,
        /// Tag under which the point is offered.
        offered: Option<u64>,
    },
    /// A point of the circuit.
    Constant {
        /// The point.
        point: G1Affine,
        /// Its tag.
        offered: u64,
    },
}

/// Values of an addition or a doubling.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The slope.
    pub slope: Fq,
    /// x of the running point before.
    pub from_x: Fq,
    /// The added point before its sign, or the doubled point.
    pub right: G1Affine,
    /// Whether the sign is -1.
    pub negative: bool,
    /// x of the result.
    pub x: Fq,
}

impl Line {
    /// The same as numbers.
    #[must_use]
    pub fn step(&self) -> Step<BigInt> {
        Step {
            slope: number(self.slope),
            x: number(self.right.x),
            y: number(self.right.y),
            sign: BigInt::from(if self.negative { -1 } else { 1 }),
            result: number(self.x),
        }
    }
}

impl Block {
    /// Rows of the block.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Block::Finish { .. } => Y_ROWS,
            Block::Constant { .. } => CONSTANT_ROWS,
            _ => X_ROWS,
        }
    }

    fn line(&self) -> Option<&Line> {
        match self {
            Block::Add { line, .. } | Block::Double { line } => Some(line),
            _ => None,
        }
    }
}

/// The cells of the gadget.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Chunk cells, row by row.
    pub chunks: Vec<[u32; WIDTH]>,
    /// The free column.
    pub free: Vec<Fr>,
    /// Fixed cells that are not 0.
    pub fixed: Vec<(FixedName, usize, Fr)>,
}

impl Grid {
    /// Lays blocks out, one after the other.
    #[must_use]
    pub fn new(blocks: &[Block]) -> Self {
        let pieces: Vec<Piece> = blocks
            .par_iter()
            .enumerate()
            .map(|(index, block)| {
                let before = index.checked_sub(1).and_then(|i| blocks.get(i));
                Piece::new(before, block)
            })
            .collect();
        let mut grid = Grid {
            chunks: vec![[0; WIDTH]; FIRST_ROW],
            free: vec![Fr::zero(); FIRST_ROW],
            fixed: Vec::new(),
        };
        for piece in pieces {
            let row = grid.free.len();
            grid.chunks
                .extend(piece.chunks.chunks_exact(WIDTH).map(|cells| {
                    let mut out = [0; WIDTH];
                    out.copy_from_slice(cells);
                    out
                }));
            grid.free.extend(piece.free);
            let fixed = piece.fixed.into_iter();
            grid.fixed
                .extend(fixed.map(|(name, offset, value)| (name, row + offset, value)));
        }
        grid
    }

    /// Rows in use.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.free.len()
    }

    /// What a row wants to be offered: the tag of its multiple, and the limbs beside it.
    #[must_use]
    pub fn wanted(&self, row: usize, tag: Fr) -> Vec<Fr> {
        let index = self.chunks[row + INDEX / WIDTH][INDEX % WIDTH];
        let limbs = self.free[row..row + 2 * LIMBS].iter().copied();
        std::iter::once(tag + Fr::from(u64::from(index)))
            .chain(limbs)
            .collect()
    }

    /// What the row of a point's y offers: its tag, and the limbs of x above it and of y.
    #[must_use]
    pub fn offered(&self, row: usize, tag: Fr) -> Vec<Fr> {
        let mut out = vec![tag];
        for first in [row - 2, row] {
            let cells: Vec<u32> = self.chunks[first..first + 2].concat();
            let limbs = cells[..NUMBER_CHUNKS].chunks(CHUNKS_PER_LIMB);
            out.extend(limbs.map(|chunks| {
                let limb = chunks.iter().rev();
                let limb = limb.fold(0, |sum, chunk| (sum << CHUNK_BITS) + u128::from(*chunk));
                from_u128(limb)
            }));
        }
        out
    }
}

/// Cells of one block.
struct Piece {
    chunks: Vec<u32>,
    free: Vec<Fr>,
    fixed: Vec<(FixedName, usize, Fr)>,
}

impl Piece {
    fn new(before: Option<&Block>, block: &Block) -> Self {
        let mut piece = Piece {
            chunks: vec![0; block.rows() * WIDTH],
            free: vec![Fr::zero(); block.rows()],
            fixed: Vec::new(),
        };
        match block {
            Block::Load { point } => piece.load(*point),
            Block::Fetch { point, wanted } => {
                piece.fix(FixedName::Fetch, 0, Fr::one());
                piece.fix(FixedName::Wanted, 0, Fr::from(*wanted));
                piece.selected(*point);
                piece.put(RESULT, &number_chunks(point.x));
                piece.below_q(*point);
            }
            Block::Add {
                explicit,
                wanted,
                digit,
                before: sum,
                line,
            } => {
                piece.fix(FixedName::Wanted, 0, Fr::from(*wanted));
                piece.add(before, *explicit, line);
                piece.digit(*digit, *sum);
            }
            Block::Double { line } => {
                piece.fix(FixedName::Double, 0, Fr::one());
                let step = line.step();
                piece.put(FIRST, &quotient_chunks(&step.slope_of_doubling()));
                piece.line(line, &step);
            }
            Block::Finish { y, offered } => piece.finish(before, *y, *offered),
            Block::Constant { point, offered } => piece.constant(*point, *offered),
        }
        piece
    }

    fn fix(&mut self, name: FixedName, row: usize, value: Fr) {
        self.fixed.push((name, row, value));
    }

    fn put(&mut self, places: impl IntoIterator<Item = usize>, values: &[u32]) {
        for (place, value) in places.into_iter().zip(values) {
            self.chunks[place] = *value;
        }
    }

    fn selected(&mut self, point: G1Affine) {
        for (row, coordinate) in [(0, point.x), (LIMBS, point.y)] {
            for (limb, value) in limbs_of(coordinate).iter().enumerate() {
                self.free[row + limb] = residue(value);
            }
        }
    }

    fn result(&mut self, x: Fq) {
        let chunks = number_chunks(x);
        self.put(RESULT, &chunks);
        self.chunks[RESULT_TOP] = chunks.last().map_or(0, |top| 2 * top);
    }

    /// `q - 1 - x` and `q - 1 - y`, and the carries of their low limbs.
    fn below_q(&mut self, point: G1Affine) {
        let most: BigInt = BigInt::from(foreign_modulus()) - 1;
        let low = power(LIMB_BITS);
        for (value, places, carry) in [(point.x, BELOW_X, INVERSE), (point.y, BELOW_Y, BEFORE)] {
            let value: BigInt = integer_of(value).into();
            let rest: BigInt = most.clone() - value.clone();
            self.put(places, &chunks(&rest, NUMBER_CHUNKS));
            let sum: BigInt = value % low.clone() + rest % low.clone();
            let most_low: BigInt = most.clone() % low.clone();
            self.free[carry] = residue(&((sum - most_low) / low.clone()));
        }
    }

    fn load(&mut self, point: G1Affine) {
        self.fix(FixedName::Load, 0, Fr::one());
        let x = number(point.x);
        let w = point.x.square();
        self.put(SLOPE, &number_chunks(w));
        self.put(FIRST, &quotient_chunks(&(square(&x) - number(w))));
        self.result(point.x);
        self.below_q(point);
        self.free[0] = residue(&x.whole);
        self.free[1] = residue(&number(point.y).whole);
    }

    fn add(&mut self, before: Option<&Block>, explicit: Option<G1Affine>, line: &Line) {
        let step = line.step();
        let slope = match (explicit, before.and_then(Block::line)) {
            (Some(point), _) => {
                self.fix(FixedName::AddExplicit, 0, Fr::one());
                step.slope_of_addition(&number(point.x), number(point.y))
            }
            (None, Some(line)) => {
                self.fix(FixedName::Add, 0, Fr::one());
                let before = line.step();
                step.slope_of_addition(&before.result, before.result_y())
            }
            (None, None) => unreachable!("the tape adds to a running point"),
        };
        self.put(FIRST, &quotient_chunks(&slope));
        self.line(line, &step);
        let q = residue(&BigInt::from(foreign_modulus()));
        let d = residue(&(number(line.from_x).whole - step.x.whole));
        self.free[INVERSE] = invert_or_zero(d * (d.square() - q.square()));
    }

    fn line(&mut self, line: &Line, step: &Step<BigInt>) {
        self.put(SLOPE, &number_chunks(line.slope));
        let x = step.result_x() - number(line.from_x);
        self.put(SECOND, &quotient_chunks(&x));
        self.chunks[SIGN] = u32::from(line.negative);
        self.result(line.x);
        self.selected(line.right);
    }

    fn digit(&mut self, digit: Digit, before: Fr) {
        self.chunks[INDEX] = digit.index;
        self.chunks[INDEX_SHIFTED] = digit.index << INDEX_SHIFT;
        self.free[BEFORE] = before;
        self.free[AFTER] = before * Fr::from(32) + digit.value();
    }

    fn finish(&mut self, before: Option<&Block>, y: Fq, offered: Option<u64>) {
        let form = match before {
            Some(Block::Load { point }) => Some(curve(
                &number(point.x),
                &number(point.x.square()),
                &number(y),
            )),
            Some(block) => block.line().map(|line| {
                self.fix(FixedName::Finish, 0, Fr::one());
                line.step().result_y() - number(y)
            }),
            None => None,
        };
        if let Some(form) = form {
            self.put(FINISH, &quotient_chunks(&form));
        }
        self.put(FINISHED, &number_chunks(y));
        if let Some(tag) = offered {
            self.fix(FixedName::Offered, 0, Fr::from(tag));
        }
    }

    fn constant(&mut self, point: G1Affine, offered: u64) {
        self.fix(FixedName::Constant, 2, Fr::one());
        self.fix(FixedName::Offered, 2, Fr::from(offered));
        for (row, coordinate) in [(0, point.x), (2, point.y)] {
            self.put(row * WIDTH.., &number_chunks(coordinate));
            let whole = BigInt::from(integer_of(coordinate));
            let half = power(2 * LIMB_BITS);
            self.fix(FixedName::Half, row, residue(&(&whole % &half)));
            self.fix(FixedName::Half, row + 1, residue(&(&whole / &half)));
        }
    }
}

fn number_chunks(value: Fq) -> Vec<u32> {
    chunks(&BigInt::from(integer_of(value)), NUMBER_CHUNKS)
}

/// The signed point that a digit adds.
#[must_use]
pub fn signed(point: G1Affine, negative: bool) -> G1Affine {
    if negative { negated(point) } else { point }
}
