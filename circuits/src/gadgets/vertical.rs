//! Sums of multiples of BN254 G1 points in halo2-base's vertical gate alone: what the thin circuit computes with.
//!
//! The same numbers, identities and additions as in [`super::foreign`], whose documentation has the bounds and why they suffice;
//! only where the cells stand differs. There every kind of block has gates and columns of its own, here everything is
//! chains of `a + b c = d`, so that the circuit has the few columns that a base layer pays for, at some seven cells for one.
//! halo2-ecc, which this replaces, takes twice as many: it makes y of every sum, reduces before it compares, and
//! selects whole points by indicators.
//!
//! # Numbers
//! A [`cells::Number`] is four limbs of 68 bits, each a chain over looked up chunks of 17 bits, 255 bits in all; x has a top chunk
//! below `2^16`. As the left side of a product it is its limbs, as the right side a [`cells::Factor`]: the whole modulo r and the
//! pairs of limbs that columns 0 and 1, and columns 2 and 3, of a product ask for. Factors are linear, so differences need no
//! limbs.
//!
//! # Identities
//! `E = k q` modulo r and modulo `2^272` by quotient and carries ([`identity`]), each E one of those in `foreign::equations`.
//!
//! # Sums
//! Straus, windows of [`points::WINDOW_BITS`] = 4 bits, odd signed digits `s (2 m + 1)`. All points of a sum share their
//! doublings. A digit's multiple is selected among eight by the multilinear polynomial in the bits of m that runs through them, so
//! that every limb costs one chain; its coefficients are constants where the point is.
//!
//! What it does not do: the identity is refused, as there. Nothing here chooses k; the builder's lookup bits must be 17.

pub mod cells;
pub mod identity;
pub mod points;
mod steps;

#[cfg(test)]
mod tests;
