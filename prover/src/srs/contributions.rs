//! The record of contributions in a `.ptau` file (section 7): structure, points, and agreement with
//! the lists.
//!
//! | bytes | content of one contribution |
//! |---|---|
//! | 448 | `s G1`, `s G2`, `a G1`, `b G1`, `b G2` after it |
//! | 768 | public key: six G1 points, three G2 points |
//! | 216 + 64 | state of the hash, hash of the next challenge |
//! | 4 + 4 + n | kind (0 contribution, 1 beacon), length, parameters (name, beacon) |
//!
//! What it does not do: it does not replay the proofs of knowledge; names and hashes are not
//! verified.

use halo2curves::bn256::{G1Affine, G2Affine};

use super::error::FileDefect;
use super::point::{Point, decode};

/// Bytes of the hash state and of the next challenge's hash.
const HASHES_BYTES: usize = 216 + 64;
/// Longest parameters: a name of 255 bytes, a beacon of 255 bytes and their tags.
const PARAMETERS_BYTES_MAX: usize = 1 << 10;

/// What the file holds, and the last contribution must have left.
pub(super) struct Last {
    /// `s G1`.
    pub(super) s_g1: G1Affine,
    /// `s G2`.
    pub(super) s_g2: G2Affine,
    /// `a G1`.
    pub(super) alpha: G1Affine,
    /// `b G1`.
    pub(super) beta: G1Affine,
    /// `b G2`.
    pub(super) beta_g2: G2Affine,
}

/// Checks the whole section; returns the number of contributions.
pub(super) fn check(bytes: &[u8], last: &Last) -> Result<u32, FileDefect> {
    let mut rest = bytes;
    let count = word(&mut rest)?;
    for index in 0..count {
        let s_g1: G1Affine = point(&mut rest, index)?;
        let s_g2: G2Affine = point(&mut rest, index)?;
        let alpha: G1Affine = point(&mut rest, index)?;
        let beta: G1Affine = point(&mut rest, index)?;
        let beta_g2: G2Affine = point(&mut rest, index)?;
        for _ in 0..6 {
            point::<G1Affine>(&mut rest, index)?;
        }
        for _ in 0..3 {
            point::<G2Affine>(&mut rest, index)?;
        }
        take(&mut rest, HASHES_BYTES)?;
        if word(&mut rest)? > 1 {
            return Err(FileDefect::Contributions(
                "one of them is of an unknown kind",
            ));
        }
        let parameters = word(&mut rest)? as usize;
        if parameters > PARAMETERS_BYTES_MAX {
            return Err(FileDefect::Contributions(
                "one of them has parameters above 1 KB",
            ));
        }
        take(&mut rest, parameters)?;
        let agrees = s_g1 == last.s_g1
            && s_g2 == last.s_g2
            && alpha == last.alpha
            && beta == last.beta
            && beta_g2 == last.beta_g2;
        if index + 1 == count && !agrees {
            return Err(FileDefect::Contributions("the last one left other points"));
        }
    }
    if !rest.is_empty() {
        return Err(FileDefect::Contributions("bytes follow the last one"));
    }
    Ok(count)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], FileDefect> {
    let (taken, left) = rest
        .split_at_checked(length)
        .ok_or(FileDefect::Contributions("they end too early"))?;
    *rest = left;
    Ok(taken)
}

fn word(rest: &mut &[u8]) -> Result<u32, FileDefect> {
    let bytes = take(rest, 4)?;
    Ok(u32::from_le_bytes(
        bytes.try_into().expect("four bytes were taken"),
    ))
}

fn point<P: Point>(rest: &mut &[u8], index: u32) -> Result<P, FileDefect> {
    let bytes = take(rest, P::BYTES)?;
    decode(bytes).ok_or(FileDefect::Point {
        list: "contributions",
        index: u64::from(index),
    })
}
