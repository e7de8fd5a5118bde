//! Sums of multiples of BN254 G1 points inside a circuit over Fr: coordinates are in Fq, which is foreign.
//!
//! It replaces halo2-ecc behind snark-verifier's loader (`EccInstructions`): a point of a sum costs
//! about 850 rows of 9 cells, where halo2-ecc needs about 170,000 cells. [`host::HostCircuit`] puts
//! it beside a halo2-base circuit; [`chip::ForeignChip`] is what a loader takes.
//!
//! # Numbers
//! A number is 15 chunks of [`integer::CHUNK_BITS`] = 17 bits, each looked up in one table, hence an integer in
//! `[0, 2^255)`; x coordinates have a top chunk below `2^16`, hence are below `2^254`. A number stands
//! for its residue modulo q and need not be below q (but see *Canonical*). Chunks sum to four limbs of 68
//! bits, which are expressions and no cells, except where a lookup brings them from a table.
//!
//! # Identities
//! `E = 0 mod q`, E a polynomial of degree 2, is shown by a quotient k in `[-2^271, 2^271)` with
//! `E - k q = 0` over the integers, which follows from
//! - `E - k q = 0 mod r`: one equation over Fr,
//! - `E - k q = 0 mod 2^272`: two equations on the columns c0 .. c3 of the limb products,
//!   `c0 + c1 2^68 = carry0 2^136` and `c2 + c3 2^68 + carry0 = carry1 2^136`, carries in `[-2^84, 2^84)`.
//!
//! *Bounds* (checked with big integers in [`integer`]). The largest E below is `2 y slope - 3 x^2`,
//! `|E| < 2^512`. So `|E - k q| < 2^512 + 2^271 q < r 2^272`, and r is odd: both congruences make it 0.
//! A column holds at most 24 products of limbs (20 in E, 4 in k q) and a few limbs, so `|c| < 2^141`: the
//! first equation's sides differ by less than `2^210 + 2^220 < r`, so it holds over the integers, and so
//! does the second. An honest carry is below `2^75` and an honest k below `2^260`: every true identity
//! has a witness.
//!
//! # Blocks
//! Rows are cut into blocks, one after the other, in 8 chunk columns and one free column (not
//! range-checked, linked to other columns by copies). The *running point* is passed on from block to
//! block. An X block holds its x and the slope that made it, a following Y block its y; until then
//! y is the expression `slope (x2 - x) - s y2` over the X block. See [`layout`] for the cells.
//!
//! | block | rows | what it states |
//! |---|---|---|
//! | Load | 11, then Finish | a witness point: on the curve, both coordinates below q; native copies of both |
//! | Fetch | 11, then Finish | the running point is the point of a tag; both coordinates below q |
//! | Add, AddExplicit | 11 | adds `s` times a point of a tag, after an X block and a Y block respectively |
//! | Double | 11 | doubles, after a Y block |
//! | Finish | 6 | y of the X block before it |
//! | Constant | 4 | a point of the circuit, in fixed cells |
//!
//! Additions: `slope (x2 - x1) = s y2 - y1`, `slope^2 = x1 + x2 + x3`, and `x1 != x2 mod q`, because
//! `x1 - x2`, an integer of size below `2^254 < 2 q`, is neither 0 nor q nor -q: `d (d^2 - q^2)` has an
//! inverse (two different integers of that size could agree modulo r, which only refuses more). Doublings:
//! `2 y slope = 3 x^2`, and y is not 0 modulo q, because no point has order 2. Each fixes its result
//! modulo q. Every point is on the curve, whose group has prime order r, and none is the identity.
//!
//! Tags: every point that can be added is offered under a tag, a fixed number at its row; a lookup of
//! (tag, 8 limbs) brings it to the block that adds it. Point i of the tape offers its odd multiples
//! 1, 3, .. 31 under `32 i + 1 ..= 32 i + 16` and its double under `32 i + 17`. An adding block names its
//! first tag in a fixed cell and its index m in `[0, 16)` in a chunk cell, so it reaches no other point.
//!
//! Both lookups, of chunks and of tags, are one sum of fractions over all rows ([`logup`]).
//!
//! # Sums
//! Straus, windows of 5 bits, odd signed digits: a scalar s is `sum d_w 32^w mod r` with 51 digits
//! `d = s (2 m + 1)`, s = 1 or -1. A congruence modulo r suffices: r times any point is the identity.
//! Digits add up in the free column, window by window, and the last sum is copied from the scalar. The
//! running point starts at a constant of unknown logarithm (hashed to the curve, see [`curve`]), whose multiple
//! is subtracted at the end, so that honest provers meet an exceptional addition with negligible probability.
//!
//! # Canonical
//! Loaded and fetched coordinates are below q: `x + e = q - 1` modulo r and modulo 2^68 with e a number.
//! halo2-ecc does not ask that of a loaded point. Here a transcript absorbs exactly what the
//! native verifier absorbs, `x mod r` of the canonical x, so that no proof is read in two ways. The limbs that
//! leave for an instance are canonical for the same reason.
//!
//! # What it does not do
//! The identity is refused everywhere: it is not on the affine curve. Commitments of honest proofs are
//! never the identity; a constant that is the identity is skipped in sums. Nothing here chooses
//! columns or k of the host circuit.
//!
//! The layout depends on the number and the kinds of operations and on constants, never on witnesses. Witness makers never panic on
//! bad points: they fill cells that the constraints refuse.

pub mod block;
pub mod chip;
pub mod curve;
pub mod equations;
pub mod gates;
pub mod host;
pub mod integer;
pub mod layout;
pub mod limbs;
pub mod logup;
pub mod tape;

#[cfg(test)]
mod tests;
