//! Proving and verifying keys of a circuit under a reference string, with the expensive part kept
//! on disk.
//!
//! What is stored is the whole proving key in halo2's raw form: reading and hashing it is three
//! times faster than computing it from a stored verifying key, and ten times faster than from
//! nothing (figures in `prover/BENCHMARKS.md`). It is large (195 MB for 30 fixed and 15 permutation
//! columns at k = 16), so at most [`FILES_PER_NAME_MAX`] files are kept for one name.
//!
//! Invariants: a file is found by the digest of the circuit ([`circuit_digest`]) and of the string,
//! and holds both again, so a changed circuit never meets an old key; it is decoded only after its
//! hash matched; it is used only after a random combination of its columns, committed anew, agreed
//! with its commitments. A file that fails is reported by a warning and replaced. Gates are never
//! read from a file, always from the circuit.
//!
//! What it does not do: it does not protect against somebody who can write the cache directory and
//! seals another circuit's key in it. Proofs under such a key are refused by every verifier, since
//! those hold the pinned key digest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use halo2_proofs::SerdeFormat;
use halo2_proofs::plonk::{self, Circuit, ProvingKey, keygen_pk, keygen_vk};
use halo2curves::bn256::{Fr, G1Affine};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::sealed::{self, Content, Lock, SealedError};
use crate::srs::ReferenceString;

mod agreement;
mod digest;

pub use digest::circuit_digest;

/// Files kept for one name: the current circuit under two strings, or under one and its forerunner.
pub const FILES_PER_NAME_MAX: usize = 2;
/// Longest stored key: that of the final circuit has some 30 columns of 2^20 rows, and takes a gigabyte.
const PAYLOAD_BYTES_MAX: usize = 1 << 31;
/// Bytes of the two digests before the key.
const DIGESTS_BYTES: usize = 64;
/// Longest name of a circuit.
const NAME_BYTES_MAX: usize = 32;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a name for a file.
    #[error("{name:?} is no key name: 1 to {NAME_BYTES_MAX} of a-z, 0-9 and '-'")]
    InvalidName {
        /// As given.
        name: String,
    },
    /// The circuit does not fit the string, or its synthesis fails: our mistake.
    #[error("the keys of circuit {name} cannot be made for k = {k}: {source}")]
    Internal {
        /// The circuit.
        name: String,
        /// Size of the string.
        k: u32,
        /// halo2's word for it.
        source: plonk::Error,
    },
    /// The cache directory cannot be used.
    #[error(transparent)]
    UnavailableCache(#[from] SealedError),
}

/// Where the keys came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// Read from the cache.
    Cache,
    /// Generated and stored.
    Generated,
}

/// The keys of one circuit under one string.
#[derive(Debug)]
pub struct Keys {
    /// Proving key; holds the verifying key ([`ProvingKey::get_vk`]).
    pub pk: ProvingKey<G1Affine>,
    /// Identifies the circuit within this program, see [`circuit_digest`].
    pub circuit_digest: [u8; 32],
    /// Where they came from.
    pub origin: KeyOrigin,
}

/// A directory of keys.
#[derive(Clone, Debug)]
pub struct KeyCache {
    directory: PathBuf,
}

impl KeyCache {
    /// The cache in `directory`, which is made when something is stored.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The keys of `circuit` on the rows of `string`; `name` says to people which circuit a file
    /// belongs to.
    ///
    /// Two processes that ask at once generate once: the second waits for the first.
    ///
    /// # Errors
    /// `InvalidName`; `Internal` for a circuit that does not fit; `UnavailableCache` when the
    /// directory cannot be used.
    ///
    /// # Panics
    /// If halo2's key generation panics, which it does for copies between columns without equality
    /// enabled.
    pub fn load_or_generate<C: Circuit<Fr>>(
        &self,
        name: &str,
        string: &ReferenceString,
        circuit: &C,
    ) -> Result<Keys, KeyError> {
        check_name(name)?;
        let k = string.k();
        let internal = |source| KeyError::Internal {
            name: name.to_owned(),
            k,
            source,
        };
        let circuit_digest = circuit_digest(circuit, k).map_err(internal)?;
        let path = self.path(name, &circuit_digest, string);
        let entry = Entry {
            path,
            circuit_digest,
            string,
        };
        let load = || entry.load::<C>(circuit.params());
        let keys = |pk, origin| Keys {
            pk,
            circuit_digest,
            origin,
        };
        if let Ok(pk) = load() {
            return Ok(keys(pk, KeyOrigin::Cache));
        }
        let lock = Lock::acquire(&self.directory.join(format!("keys-{name}.lock")))?;
        match load() {
            // Somebody else stored it while we waited.
            Ok(pk) => return Ok(keys(pk, KeyOrigin::Cache)),
            Err(SealedError::Missing { .. }) => {}
            Err(SealedError::Corrupt { path, reason }) => {
                warn!(path = %path.display(), reason, "cached key is corrupt, making it anew");
            }
            Err(other) => return Err(other.into()),
        }
        info!(name, k, "generating keys");
        let vk = keygen_vk(string.params(), circuit).map_err(internal)?;
        let pk = keygen_pk(string.params(), vk, circuit).map_err(internal)?;
        self.prune(name, &entry.path)?;
        entry.store(&lock, &pk)?;
        Ok(keys(pk, KeyOrigin::Generated))
    }

    /// The proving key of a circuit that had this digest ([`Keys::circuit_digest`]), if the cache has it; the circuit need
    /// not be laid out for it. `params` are the circuit's.
    ///
    /// # Errors
    /// [`SealedError`]: [`KeyCache::load_or_generate`] mends what is missing or corrupt.
    pub fn load<C: Circuit<Fr>>(
        &self,
        name: &str,
        string: &ReferenceString,
        circuit_digest: [u8; 32],
        params: C::Params,
    ) -> Result<ProvingKey<G1Affine>, SealedError> {
        let entry = Entry {
            path: self.path(name, &circuit_digest, string),
            circuit_digest,
            string,
        };
        entry.load::<C>(params)
    }

    /// The file of one circuit under one string.
    fn path(&self, name: &str, circuit_digest: &[u8; 32], string: &ReferenceString) -> PathBuf {
        let both = Sha256::new()
            .chain_update(circuit_digest)
            .chain_update(string.digest());
        let short = hex::encode(&both.finalize()[..8]);
        self.directory.join(format!("keys-{name}-{short}.qrt"))
    }

    /// Removes the oldest files of a name, so that the limit still holds with the `newest` one.
    fn prune(&self, name: &str, newest: &Path) -> Result<(), SealedError> {
        let unavailable = || SealedError::unavailable(&self.directory, "list");
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(unavailable())? {
            let entry = entry.map_err(unavailable())?;
            let file_name = entry.file_name();
            let is_key = file_name
                .to_str()
                .is_some_and(|file_name| is_key_of(file_name, name));
            if is_key && entry.path() != newest {
                let modified = entry.metadata().and_then(|metadata| metadata.modified());
                files.push((modified.map_err(unavailable())?, entry.path()));
            }
        }
        files.sort();
        let surplus = (files.len() + 1).saturating_sub(FILES_PER_NAME_MAX);
        for (_, path) in files.into_iter().take(surplus) {
            remove(&path)?;
        }
        Ok(())
    }
}

/// One file and what it must hold.
struct Entry<'a> {
    path: PathBuf,
    circuit_digest: [u8; 32],
    string: &'a ReferenceString,
}

impl Entry<'_> {
    /// Content of the file: digest of the circuit, of the string, halo2's raw proving key.
    fn store(&self, lock: &Lock, pk: &ProvingKey<G1Affine>) -> Result<(), SealedError> {
        let mut payload = self.digests();
        pk.write(&mut payload, SerdeFormat::RawBytesUnchecked)
            .expect("writing to memory does not fail");
        if payload.len() > PAYLOAD_BYTES_MAX {
            let bytes = payload.len();
            warn!(path = %self.path.display(), bytes, "the key is too long to be cached");
            return Ok(());
        }
        sealed::store(lock, &self.path, Content::ProvingKey, &payload)
    }

    fn load<C: Circuit<Fr>>(&self, params: C::Params) -> Result<ProvingKey<G1Affine>, SealedError> {
        let payload = sealed::load(&self.path, Content::ProvingKey, PAYLOAD_BYTES_MAX)?;
        let corrupt = |reason: &str| SealedError::Corrupt {
            path: self.path.clone(),
            reason: reason.to_owned(),
        };
        let (digests, mut key) = payload
            .split_at_checked(DIGESTS_BYTES)
            .ok_or_else(|| corrupt("it is too short"))?;
        if digests != self.digests() {
            return Err(corrupt("it belongs to another circuit or string"));
        }
        // halo2 builds a domain from the k it reads, and panics for a large one: look first
        // (version byte, k).
        if key.get(1..5) != Some(&self.string.k().to_le_bytes()[..]) {
            return Err(corrupt("its key has another k"));
        }
        let format = SerdeFormat::RawBytesUnchecked;
        let pk = ProvingKey::read::<_, C>(&mut key, format, params)
            .map_err(|error| corrupt(&format!("its key does not decode: {error}")))?;
        if !key.is_empty() {
            return Err(corrupt("bytes follow its key"));
        }
        if !agreement::holds(&pk, self.string.params()) {
            return Err(corrupt("its commitments are not those of its columns"));
        }
        Ok(pk)
    }

    fn digests(&self) -> Vec<u8> {
        [self.circuit_digest, self.string.digest()].concat()
    }
}

/// Removes a file that somebody else may have removed already.
fn remove(path: &Path) -> Result<(), SealedError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SealedError::unavailable(path, "remove")(error))
        }
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), KeyError> {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_allowed) {
        Ok(())
    } else {
        Err(KeyError::InvalidName {
            name: name.to_owned(),
        })
    }
}

/// Whether a file name is `keys-{name}-{16 hexadecimal digits}.qrt`.
fn is_key_of(file_name: &str, name: &str) -> bool {
    file_name
        .strip_prefix("keys-")
        .and_then(|rest| rest.strip_prefix(name))
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_suffix(".qrt"))
        .is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
