//! Why this node finds a block invalid, and what it means if the others decide it all the same. What this module does not
//! do: judge.

use std::fmt;

use protocol::{block::InvalidBlock, number::Height};

use super::ConsensusError;
use crate::sets::OtherSet;

/// Why a block is not valid here.
pub(super) enum Refused {
    /// A rule of the protocol.
    Rule(InvalidBlock),
    /// This node expects another next set.
    Set(OtherSet),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(reason) => reason.fmt(f),
            Self::Set(other) => {
                let OtherSet {
                    epoch,
                    decided,
                    expected,
                    ..
                } = other;
                write!(
                    f,
                    "it names {decided} as the set of epoch {epoch}, not {expected}"
                )
            }
        }
    }
}

impl Refused {
    /// What it means if the others decided the block all the same.
    pub(super) fn into_decided(self, height: Height) -> ConsensusError {
        match self {
            Self::Rule(reason) => ConsensusError::InvalidDecision {
                height: height.0,
                reason: reason.to_string(),
            },
            Self::Set(other) => other.into(),
        }
    }
}
