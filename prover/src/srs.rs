//! The reference string: powers of a secret nobody may know, in both bases that the prover commits
//! with.
//!
//! A [`ReferenceString`] comes from a ceremony file ([`ReferenceString::import_file`], or
//! [`ReferenceString::import_ptau`] and [`ReferenceString::import_halo2`]), from the cache ([`StringCache`]) or is the public
//! development string ([`ReferenceString::insecure_development`]). Invariants: it starts at the
//! generators, each power is s times the one before, the Lagrange form belongs to the powers, and
//! [`StringKind`] is derived from `[s]_2`, never from a file's name or a caller's word. Whether it
//! may be used is [`ReferenceString::check_allowed`]'s to say.
//!
//! What it does not do: it never draws a secret of its own, and it downloads nothing
//! (`prover/CEREMONY.md` names the files).

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use halo2_proofs::arithmetic::g_to_lagrange;
use halo2_proofs::poly::commitment::{Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, G1Affine, G2Affine};
use halo2curves::group::prime::PrimeCurveAffine;
use rand::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};

mod cache;
mod ceremony;
mod contributions;
mod development;
mod error;
mod file;
mod fixed_base;
mod point;
mod ptau;
mod ratio;
mod raw;

pub use cache::StringCache;
pub use ceremony::ceremony_s_g2_bytes;
pub use error::{FileDefect, SrsError};
pub use file::{CheckedFile, FileFormat, FileHashes, FilePin, check_file, look_at_file};
pub use raw::RawFormat;

use development::Points;

/// Smallest string: two rows.
pub const K_MIN: u32 = 1;
/// Largest string: the aggregation circuits need 2^22 rows at most.
pub const K_MAX: u32 = 22;

/// What is known about the secret behind a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StringKind {
    /// The perpetual powers of tau: sound unless all its contributors colluded. The only accepted
    /// kind.
    PerpetualPowersOfTau,
    /// Consistent, but its maker is unknown and may hold the secret.
    Unattested,
    /// The secret is public: everybody can forge proofs.
    InsecureDevelopment,
}

impl fmt::Display for StringKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PerpetualPowersOfTau => "perpetual-powers-of-tau",
            Self::Unattested => "unattested",
            Self::InsecureDevelopment => "insecure-development",
        })
    }
}

/// What an import saw of a `.ptau` file besides its points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PtauSummary {
    /// SHA-256 of the whole file.
    pub sha256: [u8; 32],
    /// log2 of the number of powers in the file.
    pub power: u32,
    /// Contributions that the file records; not replayed.
    pub contribution_count: u32,
}

/// A checked reference string for `2^k` rows.
#[derive(Clone, Debug)]
pub struct ReferenceString {
    kind: StringKind,
    k: u32,
    params: ParamsKZG<Bn256>,
}

impl ReferenceString {
    /// The public development string: fast, the same everywhere, and **insecure** by design.
    ///
    /// # Errors
    /// `InvalidSize` for a k outside [`K_MIN`]`..=`[`K_MAX`].
    pub fn insecure_development(k: u32) -> Result<Self, SrsError> {
        check_size(k)?;
        Ok(Self::from_points(k, development::generate(k)))
    }

    /// Imports the first `2^k` powers of a `.ptau` file (without a `k`: all of them, at most
    /// `2^`[`K_MAX`]) after checking the whole file.
    ///
    /// With `pinned_sha256`, any other file is refused before its points are looked at. The
    /// conversion to Lagrange form dominates the time; cache the result.
    ///
    /// # Errors
    /// `InvalidFile` naming the defect, `InvalidTooShort`, `InvalidSize`, `UnavailableFile`.
    pub fn import_ptau(
        path: &Path,
        k: Option<u32>,
        pinned_sha256: Option<[u8; 32]>,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<(Self, PtauSummary), SrsError> {
        if let Some(k) = k {
            check_size(k)?;
        }
        let (mut file, sha256) = open_pinned(path, pinned_sha256)?;
        let checked = ptau::read(&mut file, path, k, rng)?;
        let summary = PtauSummary {
            sha256,
            power: checked.power,
            contribution_count: checked.contribution_count,
        };
        Ok((Self::from_ptau(checked, path, rng)?, summary))
    }

    /// The string of checked powers: their Lagrange form is computed, and checked as well.
    fn from_ptau(
        checked: ptau::Checked,
        path: &Path,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Self, SrsError> {
        let k = checked.k;
        let g_lagrange = lagrange_form(&checked.g, k);
        raw::check_lagrange(k, &checked.g, &g_lagrange, rng).map_err(|defect| {
            SrsError::InvalidFile {
                path: path.to_path_buf(),
                defect,
            }
        })?;
        let points = Points {
            g: checked.g,
            g_lagrange,
            s_g2: checked.s_g2,
        };
        Ok(Self::from_points(k, points))
    }

    /// Imports a raw halo2 parameter file after the same checks.
    ///
    /// # Errors
    /// As [`ReferenceString::import_ptau`].
    pub fn import_halo2(
        path: &Path,
        format: RawFormat,
        pinned_sha256: Option<[u8; 32]>,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Self, SrsError> {
        let (mut file, _) = open_pinned(path, pinned_sha256)?;
        let measured = file
            .metadata()
            .map_err(|source| SrsError::UnavailableFile {
                path: path.to_path_buf(),
                action: "measure",
                source,
            })?;
        let (k, points) = raw::read(&mut file, measured.len(), path, format, rng)?;
        Ok(Self::from_points(k, points))
    }

    /// The string for fewer rows. Costs a transform over points, but for the development string.
    ///
    /// # Errors
    /// `InvalidTooShort` if this string is shorter than asked, `InvalidSize` for an impossible k.
    pub fn downsize(&self, k: u32) -> Result<Self, SrsError> {
        check_size(k)?;
        if k > self.k {
            return Err(SrsError::InvalidTooShort {
                k,
                available: self.k,
                origin: format!("the {} string", self.kind),
            });
        }
        if k == self.k {
            return Ok(self.clone());
        }
        if self.kind == StringKind::InsecureDevelopment {
            return Self::insecure_development(k);
        }
        let g = self.params.get_g()[..1 << k].to_vec();
        let g_lagrange = lagrange_form(&g, k);
        Ok(Self::from_points(
            k,
            Points {
                g,
                g_lagrange,
                s_g2: self.params.s_g2(),
            },
        ))
    }

    /// What is known about its secret.
    pub fn kind(&self) -> StringKind {
        self.kind
    }

    /// log2 of the number of rows.
    pub fn k(&self) -> u32 {
        self.k
    }

    /// The points, as halo2 takes them.
    pub fn params(&self) -> &ParamsKZG<Bn256> {
        &self.params
    }

    /// `[s]_2` as canonical bytes: `x.c0, x.c1, y.c0, y.c1`, 32 little-endian bytes each.
    pub fn s_g2_bytes(&self) -> [u8; 128] {
        point::canonical_g2(&self.params.s_g2())
    }

    /// Identifies the string: SHA-256 over a domain, k and `[s]_2`, which determine every point of
    /// a checked string.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update(b"QUORATE/prover/reference-string/v1")
            .chain_update(self.k.to_le_bytes())
            .chain_update(self.s_g2_bytes())
            .finalize()
            .into()
    }

    /// Whether somebody is known to know the secret, or nobody vouches that nobody does.
    pub fn is_insecure(&self) -> bool {
        self.kind != StringKind::PerpetualPowersOfTau
    }

    /// Refuses an insecure string unless genesis is a development one **and** the node was started
    /// with `--dev`.
    ///
    /// # Errors
    /// `InvalidInsecure` naming the condition that fails.
    pub fn check_allowed(
        &self,
        is_development_genesis: bool,
        has_dev_flag: bool,
    ) -> Result<(), SrsError> {
        let reason = match (self.is_insecure(), is_development_genesis, has_dev_flag) {
            (false, _, _) | (true, true, true) => return Ok(()),
            (true, false, _) => "the genesis is not a development one",
            (true, true, false) => "--dev was not given",
        };
        Err(SrsError::InvalidInsecure {
            kind: self.kind,
            reason,
        })
    }

    /// Wraps points that were checked, or computed here.
    fn from_points(k: u32, points: Points) -> Self {
        let kind = ceremony::classify(&points.s_g2);
        // `from_parts` needs an existing value for no reason; the smallest one costs microseconds.
        let empty = ParamsKZG::<Bn256>::setup(0, rand::rngs::mock::StepRng::new(2, 1));
        let params = empty.from_parts(
            k,
            points.g,
            Some(points.g_lagrange),
            G2Affine::generator(),
            points.s_g2,
        );
        debug_assert_eq!(params.k(), k);
        Self { kind, k, params }
    }
}

fn check_size(k: u32) -> Result<(), SrsError> {
    if (K_MIN..=K_MAX).contains(&k) {
        Ok(())
    } else {
        Err(SrsError::InvalidSize {
            k,
            min: K_MIN,
            max: K_MAX,
        })
    }
}

/// Lagrange form of the powers, by an inverse transform over points.
fn lagrange_form(g: &[G1Affine], k: u32) -> Vec<G1Affine> {
    g_to_lagrange(g.iter().map(PrimeCurveAffine::to_curve).collect(), k)
}

/// Opens a file, hashes it, compares with the pin, and rewinds it.
fn open_pinned(path: &Path, pinned: Option<[u8; 32]>) -> Result<(File, [u8; 32]), SrsError> {
    let unavailable = |action| {
        move |source| SrsError::UnavailableFile {
            path: path.to_path_buf(),
            action,
            source,
        }
    };
    let mut file = File::open(path).map_err(unavailable("open"))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file.by_ref(), &mut hasher).map_err(unavailable("read"))?;
    file.seek(SeekFrom::Start(0))
        .map_err(unavailable("rewind"))?;
    let found: [u8; 32] = hasher.finalize().into();
    match pinned {
        Some(expected) if expected != found => Err(SrsError::InvalidFile {
            path: path.to_path_buf(),
            defect: FileDefect::Hash {
                expected: hex::encode(expected),
                found: hex::encode(found),
            },
        }),
        _ => Ok((file, found)),
    }
}
