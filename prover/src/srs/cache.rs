//! Reference strings on disk, one file per kind and k, so that an import is paid once.
//!
//! Content of a file: halo2's raw parameters (see `srs::raw`), sealed (see [`crate::sealed`]). The
//! points are read without checks, but only after the hash passed; then the generator, the kind,
//! one pairing and the sum of the Lagrange points are checked, which catches a file of another
//! string.
//!
//! Policy for a file that is not what was stored: the development string is recomputed with a
//! warning, since that costs seconds and no trust; any other string is refused with an error that
//! names the file, because only its owner can say where the ceremony file is.

use std::path::{Path, PathBuf};

use halo2_proofs::SerdeFormat;
use halo2curves::bn256::{G1Affine, G2Affine};
use halo2curves::group::Curve;

use halo2curves::serde::SerdeObject;
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use tracing::{info, warn};

use super::development::Points;
use super::point::{self, G1_BYTES, G2_BYTES, canonical_g2};
use super::{
    K_MAX, K_MIN, ReferenceString, SrsError, StringKind, ceremony, check_size, development, ratio,
};
use crate::sealed::{self, Content, Lock, SealedError};

/// A directory of cached strings.
#[derive(Clone, Debug)]
pub struct StringCache {
    directory: PathBuf,
}

impl StringCache {
    /// The cache in `directory`, which is made when something is stored.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The development string, from the cache or generated (and stored).
    ///
    /// A corrupt file is reported by a warning and replaced.
    ///
    /// # Errors
    /// `InvalidSize`; `UnavailableFile` when the directory cannot be used.
    pub fn insecure_development(&self, k: u32) -> Result<ReferenceString, SrsError> {
        check_size(k)?;
        let s_g2 = development::s_g2();
        let path = self.path(&s_g2, k);
        if let Ok(string) = load(&path, &s_g2, k) {
            return Ok(string);
        }
        let lock = Lock::acquire(&path.with_extension("lock"))?;
        match load(&path, &s_g2, k) {
            Ok(string) => return Ok(string),
            Err(SealedError::Missing { .. }) => {}
            Err(SealedError::Corrupt { path, reason }) => {
                let path = path.display();
                warn!(%path, reason, "cached development string is corrupt, making it anew");
            }
            Err(other) => return Err(other.into()),
        }
        let string = ReferenceString::insecure_development(k)?;
        sealed::store(&lock, &path, Content::ReferenceString, &encode(&string))?;
        info!(path = %path.display(), "stored the insecure development string");
        Ok(string)
    }

    /// The accepted ceremony's string, from the cache; a longer one is cut down (and the result
    /// stored).
    ///
    /// # Errors
    /// `UnavailableString` if no file of this kind reaches k, `CorruptCache` naming a file that is
    /// not what was stored, `UnavailableFile`, `InvalidSize`.
    pub fn ceremony(&self, k: u32) -> Result<ReferenceString, SrsError> {
        self.find(&ceremony::perpetual_powers_of_tau(), k)
    }

    /// A string that was stored before, identified by its `[s]_2`; see [`StringCache::ceremony`].
    ///
    /// # Errors
    /// As [`StringCache::ceremony`].
    pub fn like(&self, string: &ReferenceString, k: u32) -> Result<ReferenceString, SrsError> {
        self.find(&string.params.s_g2(), k)
    }

    /// Stores a string under its kind and k; returns the file.
    ///
    /// # Errors
    /// `UnavailableFile` naming the step that failed.
    pub fn store(&self, string: &ReferenceString) -> Result<PathBuf, SrsError> {
        let path = self.path(&string.params.s_g2(), string.k);
        let lock = Lock::acquire(&path.with_extension("lock"))?;
        sealed::store(&lock, &path, Content::ReferenceString, &encode(string))?;
        Ok(path)
    }

    /// The files of strings in the directory, by name; none if there is no directory.
    ///
    /// # Errors
    /// `UnavailableFile` when the directory cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>, SrsError> {
        let unavailable = |source| SrsError::UnavailableFile {
            path: self.directory.clone(),
            action: "list",
            source,
        };
        if !self.directory.exists() {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(&self.directory).map_err(unavailable)?;
        let paths: Result<Vec<PathBuf>, _> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect();
        let mut paths = paths.map_err(unavailable)?;
        let is_string = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("srs-") && name.ends_with(".qrt"))
        };
        paths.retain(is_string);
        paths.sort();
        Ok(paths)
    }

    fn find(&self, s_g2: &G2Affine, k: u32) -> Result<ReferenceString, SrsError> {
        check_size(k)?;
        for longer in k..=K_MAX {
            match load(&self.path(s_g2, longer), s_g2, longer) {
                Ok(string) if longer == k => return Ok(string),
                Ok(string) => {
                    let shorter = string.downsize(k)?;
                    self.store(&shorter)?;
                    return Ok(shorter);
                }
                Err(SealedError::Missing { .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(SrsError::UnavailableString {
            kind: ceremony::classify(s_g2),
            k,
            directory: self.directory.clone(),
        })
    }

    /// The file of a string. An unattested one carries the start of its `[s]_2`, so that two do not
    /// collide.
    fn path(&self, s_g2: &G2Affine, k: u32) -> PathBuf {
        let kind = ceremony::classify(s_g2);
        let suffix = match kind {
            StringKind::Unattested => format!("-{}", hex::encode(&canonical_g2(s_g2)[..8])),
            StringKind::PerpetualPowersOfTau | StringKind::InsecureDevelopment => String::new(),
        };
        self.directory.join(format!("srs-{kind}{suffix}-k{k}.qrt"))
    }
}

/// Bytes of a cached string.
fn payload_bytes(k: u32) -> usize {
    4 + 2 * (G1_BYTES << k) + 2 * G2_BYTES
}

fn encode(string: &ReferenceString) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload_bytes(string.k));
    string
        .params
        .write_custom(&mut bytes, SerdeFormat::RawBytesUnchecked)
        .expect("writing to memory does not fail");
    assert_eq!(
        bytes.len(),
        payload_bytes(string.k),
        "halo2 writes its documented layout"
    );
    bytes
}

/// Loads a file and checks that it holds the string that its name says.
fn load(path: &Path, s_g2: &G2Affine, k: u32) -> Result<ReferenceString, SealedError> {
    let string = open(path, k)?;
    let reason = if string.k != k {
        "its length or k is not its name's"
    } else if string.params.s_g2() != *s_g2 {
        "it holds another string than its name says"
    } else {
        return Ok(string);
    };
    Err(SealedError::Corrupt {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    })
}

/// Loads a file of at most `2^k_max` rows and checks that its points belong together.
pub(super) fn open(path: &Path, k_max: u32) -> Result<ReferenceString, SealedError> {
    let payload = sealed::load(path, Content::ReferenceString, payload_bytes(k_max))?;
    let wrong = |reason: &str| SealedError::Corrupt {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    };
    let k = payload
        .first_chunk()
        .map(|bytes| u32::from_le_bytes(*bytes));
    let k = k.filter(|k| (K_MIN..=k_max).contains(k) && payload.len() == payload_bytes(*k));
    let k = k.ok_or_else(|| wrong("its length or k is not its name's"))?;
    let points = decode(&payload, k).ok_or_else(|| wrong("its last points are none"))?;
    let [one, s] = [0, 1].map(|index| points.g.get(index).copied());
    let (Some(one), Some(s)) = (one, s) else {
        return Err(wrong("it is too short"));
    };
    let generator = G1Affine::generator();
    let consistent = one == generator
        && ratio::pairs_equal((&s, &G2Affine::generator()), (&one, &points.s_g2))
        && ratio::sum(&points.g_lagrange).to_affine() == generator;
    if !consistent {
        return Err(wrong("its points do not belong together"));
    }
    Ok(ReferenceString::from_points(k, points))
}

/// Reads the points without checking them: the hash over these bytes was compared.
fn decode(payload: &[u8], k: u32) -> Option<Points> {
    let list_bytes = G1_BYTES << k;
    let (head, rest) = payload.split_at_checked(4)?;
    let (g, rest) = rest.split_at_checked(list_bytes)?;
    let (g_lagrange, rest) = rest.split_at_checked(list_bytes)?;
    let (g2, s_g2) = rest.split_at_checked(G2_BYTES)?;
    let expected_head = head == k.to_le_bytes() && point::decode(g2) == Some(G2Affine::generator());
    let read = |bytes: &[u8]| {
        bytes
            .par_chunks(G1_BYTES)
            .map(G1Affine::from_raw_bytes_unchecked)
            .collect()
    };
    expected_head.then_some(())?;
    Some(Points {
        g: read(g),
        g_lagrange: read(g_lagrange),
        s_g2: point::decode(s_g2)?,
    })
}

#[cfg(test)]
mod tests;
