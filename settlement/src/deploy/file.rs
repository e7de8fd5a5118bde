//! The file that says where a deployment stands: what `quorate base-layer deploy` writes and a node reads.
//!
//! JSON with the chain, the block from which a node follows, and every address in hex; each key once, no other key.
//! It is configuration, not evidence: nothing here looks at a chain.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::Deployment;

/// A text that is no such file.
#[derive(Debug, thiserror::Error)]
#[error(
    "no deployment file: {0}; write it with `quorate base-layer deploy` or as in docs/quorate.toml"
)]
pub struct DeploymentFileError(#[from] serde_json::Error);

/// Where the contracts are, on which chain, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentFile {
    /// EIP-155 number of the base layer.
    pub chain_id: u64,
    /// A block at or below the one that made the Inbox: no item stands below it.
    pub first_block: u64,
    /// Poseidon of four inputs.
    pub poseidon: Address,
    /// The verifier of the first circuit version.
    pub verifier: Address,
    /// Announced calls and the pause.
    pub timelock: Address,
    /// The verifier of each circuit version.
    pub verifiers: Address,
    /// Stakes and sets.
    pub validators: Address,
    /// The chain of batches.
    pub rollup: Address,
    /// The money.
    pub bridge: Address,
    /// Operations that enter through the base layer.
    pub inbox: Address,
    /// Exits at the end.
    pub desert_exit: Address,
}

impl DeploymentFile {
    /// Of a deployment on a chain.
    #[must_use]
    pub fn new(chain_id: u64, first_block: u64, deployment: &Deployment) -> Self {
        let Deployment {
            poseidon,
            verifier,
            timelock,
            verifiers,
            validators,
            rollup,
            bridge,
            inbox,
            desert_exit,
        } = *deployment;
        Self {
            chain_id,
            first_block,
            poseidon,
            verifier,
            timelock,
            verifiers,
            validators,
            rollup,
            bridge,
            inbox,
            desert_exit,
        }
    }

    /// The addresses.
    #[must_use]
    pub fn deployment(&self) -> Deployment {
        Deployment {
            poseidon: self.poseidon,
            verifier: self.verifier,
            timelock: self.timelock,
            verifiers: self.verifiers,
            validators: self.validators,
            rollup: self.rollup,
            bridge: self.bridge,
            inbox: self.inbox,
            desert_exit: self.desert_exit,
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// None for any value of this type; what serde could say otherwise.
    pub fn to_json(&self) -> Result<String, DeploymentFileError> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`DeploymentFileError`] for a missing, foreign or repeated key, or an address that is none.
    pub fn from_json(text: &str) -> Result<Self, DeploymentFileError> {
        Ok(serde_json::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> DeploymentFile {
        let deployment = Deployment::foretold(Address::repeat_byte(0xab), 3);
        DeploymentFile::new(31_337, 9, &deployment)
    }

    #[test]
    fn a_file_reads_as_what_was_written() {
        let file = file();
        let text = file.to_json().expect("plain values");
        assert!(text.contains(&format!("\"inbox\": \"{:?}\"", file.inbox).to_lowercase()));
        assert_eq!(DeploymentFile::from_json(&text).expect("own text"), file);
        let deployment = Deployment::foretold(Address::repeat_byte(0xab), 3);
        assert_eq!(file.deployment(), deployment);
    }

    #[test]
    fn a_missing_a_foreign_and_a_repeated_key_are_refused() {
        let text = file().to_json().expect("plain values");
        for broken in [
            text.replace("\"first_block\": 9,", ""),
            text.replace("\"first_block\"", "\"last_block\": 1,\n  \"first_block\""),
            text.replace("\"first_block\"", "\"first_block\": 1,\n  \"first_block\""),
            text.replace("0x", "0z"),
        ] {
            assert_ne!(broken, text);
            assert!(DeploymentFile::from_json(&broken).is_err(), "{broken}");
        }
    }
}
