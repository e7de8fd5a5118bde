//! The compiled contracts, as they are committed in contracts/artifacts, and the code of the verifier.
//!
//! The artifacts are part of this program: what is deployed is what CI compared with the sources.

use alloy_primitives::{Bytes, hex};
use serde::Deserialize;

use super::DeployError;

/// Code of a contract at most (EIP-170).
const RUNTIME_BYTES_MAX: usize = 24_576;

/// The contracts, in the order of their deployment; the verifier comes after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contract {
    Poseidon,
    Timelock,
    VerifierRegistry,
    ValidatorRegistry,
    Rollup,
    Bridge,
    Inbox,
    DesertExit,
}

#[derive(Deserialize)]
struct Artifact {
    bytecode: String,
}

impl Contract {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Poseidon => "PoseidonT5",
            Self::Timelock => "Timelock",
            Self::VerifierRegistry => "VerifierRegistry",
            Self::ValidatorRegistry => "ValidatorRegistry",
            Self::Rollup => "Rollup",
            Self::Bridge => "Bridge",
            Self::Inbox => "Inbox",
            Self::DesertExit => "DesertExit",
        }
    }

    pub(super) fn artifact(self) -> &'static str {
        match self {
            Self::Poseidon => include_str!("../../../contracts/artifacts/PoseidonT5.json"),
            Self::Timelock => include_str!("../../../contracts/artifacts/Timelock.json"),
            Self::VerifierRegistry => {
                include_str!("../../../contracts/artifacts/VerifierRegistry.json")
            }
            Self::ValidatorRegistry => {
                include_str!("../../../contracts/artifacts/ValidatorRegistry.json")
            }
            Self::Rollup => include_str!("../../../contracts/artifacts/Rollup.json"),
            Self::Bridge => include_str!("../../../contracts/artifacts/Bridge.json"),
            Self::Inbox => include_str!("../../../contracts/artifacts/Inbox.json"),
            Self::DesertExit => include_str!("../../../contracts/artifacts/DesertExit.json"),
        }
    }

    /// Creation code with the constructor's arguments.
    pub(super) fn creation(self, arguments: &[u8]) -> Result<Bytes, DeployError> {
        let broken = |reason: String| DeployError::Artifact {
            contract: self.name(),
            reason,
        };
        let artifact: Artifact =
            serde_json::from_str(self.artifact()).map_err(|error| broken(error.to_string()))?;
        let mut code =
            hex::decode(&artifact.bytecode).map_err(|error| broken(error.to_string()))?;
        code.extend_from_slice(arguments);
        Ok(code.into())
    }
}

/// The verifier's code, which is generated with the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifierCode {
    /// What runs once and returns the contract's code, arguments included.
    Creation(Bytes),
    /// The contract's code itself.
    Runtime(Bytes),
}

impl VerifierCode {
    pub(super) fn creation(&self) -> Result<Bytes, DeployError> {
        match self {
            Self::Creation(code) | Self::Runtime(code) if code.is_empty() => {
                Err(DeployError::EmptyVerifier)
            }
            Self::Creation(code) => Ok(code.clone()),
            Self::Runtime(code) => {
                let length = u16::try_from(code.len())
                    .ok()
                    .filter(|_| code.len() <= RUNTIME_BYTES_MAX);
                let [high, low] = length
                    .ok_or(DeployError::LongVerifier(code.len()))?
                    .to_be_bytes();
                // PUSH2 length, DUP1, PUSH1 10, RETURNDATASIZE (0), CODECOPY, RETURNDATASIZE (0), RETURN
                let head = [0x61, high, low, 0x80, 0x60, 0x0a, 0x3d, 0x39, 0x3d, 0xf3];
                Ok(head.iter().chain(code.iter()).copied().collect())
            }
        }
    }
}
