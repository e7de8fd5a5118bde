//! Keys in encrypted files.
//!
//! The file is Web3 Secret Storage, version 3 (scrypt, AES-128-CTR, Keccak MAC), made by `eth-keystore`, with one
//! more object, `quorate`, that shows the public key and the base-layer owner without the password. The secret is
//! 52 bytes: the seed and the owner; so the password also vouches for the owner, and what `quorate` shows is compared with it
//! whenever the file is opened.
//!
//! Limits: a file is at most 64 KiB, and key derivation parameters are bounded before they are used, since they
//! decide how much memory and time a password costs (`eth-keystore` takes them as they come, and panics on some).

use std::path::{Path, PathBuf};

use protocol::{
    account::L1Address,
    number::TokenId,
    signature::{PublicKey, SecretKey},
};
use rand::{RngCore, rngs::OsRng};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::exit::{CliError, Exit};
use crate::files;
use crate::wallet::address::PaymentAddress;

/// Bytes of a file at most.
const FILE_BYTES_MAX: usize = 64 << 10;
/// Bytes of a seed.
pub(crate) const SEED_BYTES: usize = 32;
/// Bytes of the encrypted secret: seed and owner.
const SECRET_BYTES: usize = SEED_BYTES + 20;
/// Most memory scrypt may take: 128 * n * r bytes.
const SCRYPT_BYTES_MAX: u64 = 1 << 30;
/// Most lanes of scrypt.
const SCRYPT_LANES_MAX: u64 = 16;

/// What a file shows without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    key: api::operation::PointJson,
    l1_owner: api::text::AddressText,
}

/// What a wallet may show: no secret in it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Key of its leaves.
    pub(crate) key: PublicKey,
    /// Owner of its leaves on the base layer.
    pub(crate) l1_owner: L1Address,
}

impl Identity {
    /// Its payment address for a token.
    pub(crate) fn address(&self, token: TokenId) -> PaymentAddress {
        PaymentAddress {
            key: self.key,
            l1_owner: self.l1_owner,
            token,
        }
    }
}

/// A file of one key.
pub(crate) struct Keystore {
    path: PathBuf,
    whole: serde_json::Value,
    /// What the file shows; not authenticated before [`Keystore::unlock`].
    pub(crate) identity: Identity,
}

/// Where wallets are kept unless the user says otherwise.
pub(crate) fn default_path() -> PathBuf {
    files::home().join("wallet.json")
}

fn corrupt(path: &Path, why: impl ToString) -> CliError {
    let what = format!("{} is not a usable keystore", path.display());
    CliError::new(
        Exit::Corrupt,
        what,
        why,
        "restore it from a backup, or import the seed again",
    )
}

impl Keystore {
    /// Encrypts a seed into a new file with mode 0600.
    ///
    /// # Errors
    /// `Usage` if the file exists, `Unavailable` if it cannot be written.
    pub(crate) fn create(
        path: &Path,
        seed: &[u8; SEED_BYTES],
        l1_owner: L1Address,
        password: &str,
    ) -> Result<Identity, CliError> {
        let key = SecretKey::from_seed(seed).public();
        let mut secret = Zeroizing::new([0_u8; SECRET_BYTES]);
        secret[..SEED_BYTES].copy_from_slice(seed);
        secret[SEED_BYTES..].copy_from_slice(&l1_owner.0);
        let mut whole = encrypt(secret.as_slice(), password)?;
        let shown = Shown {
            key: key.into(),
            l1_owner: l1_owner.into(),
        };
        let shown = serde_json::to_value(shown).expect("strings only");
        whole
            .as_object_mut()
            .expect("eth-keystore writes an object")
            .insert("quorate".to_owned(), shown);
        let text = serde_json::to_string_pretty(&whole).expect("it was JSON before");
        files::create_private(path, text.as_bytes())?;
        Ok(Identity { key, l1_owner })
    }

    /// Opens a file; nothing is decrypted yet.
    ///
    /// # Errors
    /// `Usage` if it cannot be read, `Version` if it is not version 3, `Corrupt` if it is no keystore of ours.
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        let text = files::read_text(path, FILE_BYTES_MAX).map_err(|error| CliError {
            todo: "make one: quorate wallet new; or name another with --keystore".to_owned(),
            ..error
        })?;
        let whole: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| corrupt(path, error))?;
        match whole.get("version").and_then(serde_json::Value::as_u64) {
            Some(3) => {}
            Some(version) => {
                let what = format!("{} is a keystore of version {version}", path.display());
                let why = "this program reads version 3";
                return Err(CliError::new(
                    Exit::Version,
                    what,
                    why,
                    "import its seed with quorate wallet import",
                ));
            }
            None => return Err(corrupt(path, "it states no version")),
        }
        check_parameters(&whole).map_err(|why| corrupt(path, why))?;
        let shown = whole
            .get("quorate")
            .cloned()
            .ok_or_else(|| corrupt(path, "it was not made by quorate"))?;
        let shown: Shown = serde_json::from_value(shown).map_err(|error| corrupt(path, error))?;
        let identity = Identity {
            key: shown
                .key
                .parse_public_key()
                .map_err(|error| corrupt(path, error))?,
            l1_owner: shown
                .l1_owner
                .parse()
                .map_err(|error| corrupt(path, error))?,
        };
        Ok(Self {
            path: path.to_path_buf(),
            whole,
            identity,
        })
    }

    /// Decrypts the seed, and compares it with what the file shows.
    ///
    /// # Errors
    /// `Invalid` for a wrong password, `Corrupt` if the file shows another key or owner than it holds.
    pub(crate) fn unlock(&self, password: &str) -> Result<SecretKey, CliError> {
        let secret = decrypt(&self.whole, password)?.ok_or_else(|| {
            let what = format!("cannot unlock {}", self.path.display());
            let why = "the password is wrong, or the file was damaged";
            CliError::new(
                Exit::Invalid,
                what,
                why,
                "try again, or restore the file from a backup",
            )
        })?;
        let (seed, owner) = secret
            .split_first_chunk::<SEED_BYTES>()
            .filter(|_| secret.len() == SECRET_BYTES)
            .ok_or_else(|| corrupt(&self.path, "its secret has another length"))?;
        let key = SecretKey::from_seed(seed);
        if key.public() != self.identity.key || owner != self.identity.l1_owner.0 {
            let why =
                "the key or owner it shows is not the one it holds: somebody changed the file";
            return Err(corrupt(&self.path, why));
        }
        Ok(key)
    }
}

/// Refuses parameters that would make `eth-keystore` panic or a password cost more than a gibibyte.
fn check_parameters(whole: &serde_json::Value) -> Result<(), String> {
    let crypto = whole.get("crypto").ok_or("it has no crypto section")?;
    let text = |name: &str| {
        crypto
            .get(name)
            .and_then(serde_json::Value::as_str)
            .unwrap_or("")
    };
    if (text("kdf"), text("cipher")) != ("scrypt", "aes-128-ctr") {
        return Err("only scrypt with aes-128-ctr is read".to_owned());
    }
    let number = |name: &str| {
        crypto
            .pointer(&format!("/kdfparams/{name}"))
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
    };
    let (n, r, p, length) = (number("n"), number("r"), number("p"), number("dklen"));
    let bytes = n.saturating_mul(r).saturating_mul(128);
    if !n.is_power_of_two()
        || n < 2
        || bytes > SCRYPT_BYTES_MAX
        || !(1..=SCRYPT_LANES_MAX).contains(&p)
        || r == 0
    {
        return Err(format!(
            "its scrypt parameters n = {n}, r = {r}, p = {p} are out of bounds"
        ));
    }
    let digits = |pointer: &str| {
        crypto
            .pointer(pointer)
            .and_then(serde_json::Value::as_str)
            .map_or(0, str::len)
    };
    if length != 32 || digits("/cipherparams/iv") != 32 || digits("/mac") != 64 {
        return Err(
            "the key is not 32, the initial vector not 16 or the MAC not 32 bytes long".to_owned(),
        );
    }
    Ok(())
}

/// `eth-keystore` speaks files only: a private directory that is removed again.
fn through_directory<T>(work: impl FnOnce(&Path) -> Result<T, CliError>) -> Result<T, CliError> {
    let directory = std::env::temp_dir().join(format!("quorate-{:016x}", OsRng.next_u64()));
    let made = std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
        .create(&directory);
    made.map_err(|error| CliError::unwritable(&directory, error))?;
    let result = work(&directory);
    std::fs::remove_dir_all(&directory).map_err(|error| CliError::unwritable(&directory, error))?;
    result
}

fn encrypt(secret: &[u8], password: &str) -> Result<serde_json::Value, CliError> {
    through_directory(|directory| {
        eth_keystore::encrypt_key(directory, &mut OsRng, secret, password, Some("key"))
            .map_err(|error| CliError::unwritable(directory, error))?;
        let text = files::read_text(&directory.join("key"), FILE_BYTES_MAX)?;
        Ok(serde_json::from_str(&text).expect("eth-keystore writes JSON"))
    })
}

/// The secret, or nothing if the MAC does not match.
fn decrypt(
    whole: &serde_json::Value,
    password: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>, CliError> {
    through_directory(|directory| {
        let path = directory.join("key");
        files::create_private(&path, whole.to_string().as_bytes())?;
        match eth_keystore::decrypt_key(&path, password) {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(eth_keystore::KeystoreError::MacMismatch) => Ok(None),
            Err(error) => Err(corrupt(&path, error)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: L1Address = L1Address([5; 20]);

    fn stored() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("wallet.json");
        Keystore::create(&path, &[9; 32], OWNER, "good").expect("create");
        (directory, path)
    }

    fn edited(path: &Path, pointer: &str, value: serde_json::Value) -> Result<Keystore, CliError> {
        let text = std::fs::read_to_string(path).expect("read");
        let mut whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        *whole.pointer_mut(pointer).expect(pointer) = value;
        let other = path.with_extension("edited");
        std::fs::write(&other, whole.to_string()).expect("write");
        Keystore::open(&other)
    }

    #[test]
    fn a_key_comes_back_with_its_password_only() {
        let (_directory, path) = stored();
        let keystore = Keystore::open(&path).expect("open");
        assert_eq!(keystore.identity.l1_owner, OWNER);
        let key = keystore.unlock("good").expect("unlock");
        assert_eq!(key.public(), SecretKey::from_seed(&[9; 32]).public());
        assert_eq!(
            keystore.unlock("bad").expect_err("wrong password").exit,
            Exit::Invalid
        );
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(
            !text.contains(&hex::encode([9; 32])),
            "the seed must not stand in the file"
        );
    }

    #[test]
    fn a_changed_file_is_named_before_anything_is_signed() {
        let (_directory, path) = stored();
        let owner = serde_json::json!(format!("0x{}", hex::encode([6; 20])));
        let keystore = edited(&path, "/quorate/l1_owner", owner).expect("well-formed");
        assert_eq!(
            keystore.unlock("good").expect_err("changed owner").exit,
            Exit::Corrupt
        );
        let key: api::operation::PointJson = SecretKey::from_seed(&[8; 32]).public().into();
        let key = serde_json::to_value(key).expect("JSON");
        let keystore = edited(&path, "/quorate/key", key).expect("well-formed");
        assert_eq!(
            keystore.unlock("good").expect_err("changed key").exit,
            Exit::Corrupt
        );
    }

    #[test]
    fn dangerous_parameters_are_refused_before_they_cost_anything() {
        let (_directory, path) = stored();
        let cases = [
            ("/crypto/kdfparams/n", serde_json::json!(1_u64 << 31)),
            ("/crypto/kdfparams/n", serde_json::json!(3)),
            ("/crypto/kdfparams/r", serde_json::json!(0)),
            ("/crypto/kdfparams/p", serde_json::json!(1_000)),
            ("/crypto/kdfparams/dklen", serde_json::json!(16)),
            ("/crypto/cipherparams/iv", serde_json::json!("00")),
            ("/crypto/kdf", serde_json::json!("pbkdf2")),
            ("/crypto/mac", serde_json::json!("")),
        ];
        for (pointer, value) in cases {
            let exit = edited(&path, pointer, value).err().map(|error| error.exit);
            assert_eq!(exit, Some(Exit::Corrupt), "{pointer}");
        }
        let version = edited(&path, "/version", serde_json::json!(4))
            .err()
            .map(|error| error.exit);
        assert_eq!(version, Some(Exit::Version));
    }
}
