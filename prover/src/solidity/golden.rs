//! The final verifier that is committed: its creation code, and the digest of the key that it was written from.
//!
//! Both files are compared with the circuits by `tests/tests/final_proof.rs` and with the compiler by
//! `scripts/solidity-verifier --check`. Nothing is decided here.

use serde::Deserialize;

const SOURCE: &str = include_str!("../../golden/solidity/FinalVerifier.sol");
const COMPILED: &str = include_str!("../../golden/solidity/FinalVerifier.json");
/// What stands before the digest in the source.
const DIGEST_LABEL: &str = "/// Digest of the key description: 0x";

/// The committed files are not what `scripts/solidity-verifier` writes.
#[derive(Debug, thiserror::Error)]
#[error("the committed final verifier is broken: {0}; run scripts/solidity-verifier")]
pub struct GoldenVerifierError(String);

#[derive(Deserialize)]
struct Compiled {
    bytecode: String,
}

/// Creation code of the final verifier; it takes no arguments.
///
/// # Errors
/// [`GoldenVerifierError`].
pub fn final_verifier_code() -> Result<Vec<u8>, GoldenVerifierError> {
    let broken = |error: String| GoldenVerifierError(error);
    let compiled: Compiled =
        serde_json::from_str(COMPILED).map_err(|error| broken(error.to_string()))?;
    hex::decode(&compiled.bytecode).map_err(|error| broken(error.to_string()))
}

/// Digest of the description of the final circuit's key.
///
/// # Errors
/// [`GoldenVerifierError`].
pub fn final_key_digest() -> Result<[u8; 32], GoldenVerifierError> {
    let broken = |error: &str| GoldenVerifierError(error.to_owned());
    let (_, rest) = SOURCE
        .split_once(DIGEST_LABEL)
        .ok_or_else(|| broken("its source names no key"))?;
    let digits = rest.get(..64).ok_or_else(|| broken("its source is cut"))?;
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest).map_err(|error| broken(&error.to_string()))?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_digest_are_those_of_the_committed_files() {
        let code = final_verifier_code().expect("code");
        assert!(
            (7_000..24_576).contains(&code.len()),
            "{} bytes",
            code.len()
        );
        assert_ne!(final_key_digest().expect("a digest"), [0; 32]);
    }
}
