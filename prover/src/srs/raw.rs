//! Import of raw halo2 parameter files (`ParamsKZG::write_custom`).
//!
//! Layout: `k` as four little-endian bytes, `2^k` powers `s^i G1`, `2^k` Lagrange points `L_i(s)
//! G1`, the generator of G2, `[s]_2`; points either raw (64 and 128 bytes,
//! [`RawFormat::Uncompressed`], what halo2 calls `RawBytes` and `RawBytesUnchecked`) or compressed
//! (32 and 64 bytes, [`RawFormat::Compressed`], halo2's `Processed`).
//!
//! Invariants: the length is compared with the file's before anything is read; every point is
//! decoded strictly; the ratio of every power and the Lagrange form are checked. A file that halo2
//! itself reads without a complaint may be refused here.

use std::io::Read;
use std::path::Path;

use ff::Field;
use halo2_proofs::poly::EvaluationDomain;
use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2curves::group::prime::PrimeCurveAffine;
use rand::{CryptoRng, RngCore};

use super::development::Points;
use super::error::{FileDefect, SrsError};
use super::point::{
    G1_BYTES, G1_COMPRESSED_BYTES, G2_BYTES, G2_COMPRESSED_BYTES, decode, decode_all, decompress,
    decompress_all,
};
use super::ratio::{PowerSums, is_in_subgroup, is_lagrange_form};
use super::{K_MAX, K_MIN};

/// How the points of a raw parameter file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawFormat {
    /// Both coordinates, in Montgomery form.
    Uncompressed,
    /// The first coordinate and the sign of the second.
    Compressed,
}

impl RawFormat {
    fn point_bytes(self) -> (usize, usize) {
        match self {
            Self::Uncompressed => (G1_BYTES, G2_BYTES),
            Self::Compressed => (G1_COMPRESSED_BYTES, G2_COMPRESSED_BYTES),
        }
    }
}

/// Bytes of a file of this k.
pub(super) fn file_bytes(k: u32, format: RawFormat) -> u64 {
    let (g1_bytes, g2_bytes) = format.point_bytes();
    4 + 2 * ((g1_bytes as u64) << k) + 2 * g2_bytes as u64
}

/// Checks a whole file of `found` bytes; returns its k and its points.
pub(super) fn read(
    file: &mut impl Read,
    found: u64,
    path: &Path,
    format: RawFormat,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<(u32, Points), SrsError> {
    let invalid = |defect| SrsError::InvalidFile {
        path: path.to_path_buf(),
        defect,
    };
    let unavailable = |action| {
        move |source| SrsError::UnavailableFile {
            path: path.to_path_buf(),
            action,
            source,
        }
    };
    if found < 4 {
        return Err(invalid(FileDefect::Format {
            expected: "a halo2 parameter file",
        }));
    }
    let mut k_bytes = [0u8; 4];
    file.read_exact(&mut k_bytes).map_err(unavailable("read"))?;
    let k = u32::from_le_bytes(k_bytes);
    if !(K_MIN..=K_MAX).contains(&k) {
        return Err(invalid(FileDefect::Rows { k }));
    }
    let (g1_bytes, g2_bytes) = format.point_bytes();
    let list_bytes = g1_bytes << k;
    let expected = file_bytes(k, format);
    if found != expected {
        return Err(invalid(FileDefect::Length {
            what: "the file".to_owned(),
            expected,
            found,
        }));
    }
    let mut read_bytes = |length: usize| {
        let mut bytes = vec![0u8; length];
        file.read_exact(&mut bytes)
            .map(|()| bytes)
            .map_err(unavailable("read"))
    };
    let decode_list = |bytes: &[u8], list| {
        let decoded = match format {
            RawFormat::Uncompressed => decode_all(bytes),
            RawFormat::Compressed => decompress_all(bytes),
        };
        decoded.map_err(|index| {
            invalid(FileDefect::Point {
                list,
                index: index as u64,
            })
        })
    };
    let decode_g2 = |bytes: &[u8], list| {
        let decoded = match format {
            RawFormat::Uncompressed => decode(bytes),
            RawFormat::Compressed => decompress(bytes),
        };
        decoded.ok_or_else(|| invalid(FileDefect::Point { list, index: 0 }))
    };
    let g = decode_list(&read_bytes(list_bytes)?, "g")?;
    let g_lagrange = decode_list(&read_bytes(list_bytes)?, "g_lagrange")?;
    let g2: G2Affine = decode_g2(&read_bytes(g2_bytes)?, "g2")?;
    let s_g2: G2Affine = decode_g2(&read_bytes(g2_bytes)?, "s_g2")?;
    let points = Points {
        g,
        g_lagrange,
        s_g2,
    };
    check(k, &points, &g2, rng).map_err(invalid)?;
    Ok((k, points))
}

/// Every relation between the points.
fn check(
    k: u32,
    points: &Points,
    g2: &G2Affine,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<(), FileDefect> {
    if points.g.first() != Some(&G1Affine::generator()) {
        return Err(FileDefect::Generator { list: "g" });
    }
    if *g2 != G2Affine::generator() {
        return Err(FileDefect::Generator { list: "g2" });
    }
    let again = points
        .g
        .iter()
        .skip(1)
        .position(|point| *point == G1Affine::generator());
    if let Some(index) = again {
        return Err(FileDefect::TrivialSecret {
            power: index as u64 + 1,
        });
    }
    if !is_in_subgroup(&points.s_g2.to_curve()) {
        return Err(FileDefect::Subgroup { what: "[s]_2" });
    }
    let mut sums = PowerSums::new();
    sums.add(&points.g, rng);
    if !sums.hold_for(&points.s_g2) {
        return Err(FileDefect::NotPowers { list: "g" });
    }
    check_lagrange(k, &points.g, &points.g_lagrange, rng)
}

/// One random polynomial, committed in both bases.
pub(super) fn check_lagrange(
    k: u32,
    g: &[G1Affine],
    g_lagrange: &[G1Affine],
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<(), FileDefect> {
    let domain = EvaluationDomain::<Fr>::new(1, k);
    let mut values = domain.empty_lagrange();
    for value in values.iter_mut() {
        *value = Fr::random(&mut *rng);
    }
    let coefficients = domain.lagrange_to_coeff(values.clone());
    if is_lagrange_form((&values, g_lagrange), (&coefficients, g)) {
        Ok(())
    } else {
        Err(FileDefect::Lagrange)
    }
}
