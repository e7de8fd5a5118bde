//! The file that names the validators of later epochs: stakes that operators agree on, or leaves whose balances are
//! stakes ([`LeafStakes`]).
//!
//! Strict JSON, of one chain. Every node of a chain is given the same one; whose differs is found out by the hash of the
//! next set. It may grow while the chain runs: an entry for epoch e must be on all nodes before epoch e - 1 begins. What
//! this module does not do: read the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    ApiError,
    text::{AddressText, AmountText, HashText},
};
use protocol::{
    account::L1Address,
    epoch::{Registry, Stake},
    genesis::Genesis,
    number::{Epoch, LeafIndex, TokenId},
    state::LeafView,
};
use serde::Deserialize;

use super::{
    SetSource,
    leaves::{LeafStakes, Named},
};

/// Bytes of a file at most: full registries for some fifty epochs.
pub const SET_FILE_BYTES_MAX: usize = 1 << 20;

/// Why a text names no sets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetFileError {
    /// Not the JSON that is expected.
    #[error("it is no validator set file: {0}")]
    Json(String),
    /// A text that is no value.
    #[error(transparent)]
    Text(#[from] ApiError),
    /// It belongs to another chain.
    #[error("it is for the chain of genesis {found}, not for {expected}")]
    OtherGenesis {
        /// Hash in the file.
        found: String,
        /// Hash of this chain's genesis.
        expected: String,
    },
    /// Neither or both of the two kinds.
    #[error("it must have either stakes or leaves")]
    Kind,
    /// Entries are out of order.
    #[error("stakes must ascend by from_epoch, from 1 on: {0}")]
    Order(u64),
    /// An entry that seats nobody.
    #[error(
        "nobody stakes from epoch {0} on: a chain without validators could never have them again"
    )]
    Nobody(u64),
    /// A validator twice, or a leaf.
    #[error("{0} is named twice")]
    Twice(String),
    /// A stake or unit of 0.
    #[error("{0} must not be 0")]
    Zero(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetsJson {
    genesis: HashText,
    stakes: Option<Vec<EntryJson>>,
    leaves: Option<LeavesJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryJson {
    from_epoch: u64,
    validators: Vec<StakeJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StakeJson {
    address: AddressText,
    stake: u64,
    #[serde(default)]
    applied_at: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeavesJson {
    token: u32,
    unit: AmountText,
    validators: Vec<LeafJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeafJson {
    address: AddressText,
    leaf: u32,
    #[serde(default)]
    applied_at: u64,
}

/// What the text of a validator set file says about the later epochs of this chain.
///
/// # Errors
/// [`SetFileError`].
pub fn parse_sets(text: &str, genesis: &Genesis) -> Result<Arc<dyn SetSource>, SetFileError> {
    let json: SetsJson =
        serde_json::from_str(text).map_err(|error| SetFileError::Json(error.to_string()))?;
    let (found, expected) = (json.genesis.parse()?, genesis.hash());
    if found != expected.0 {
        return Err(SetFileError::OtherGenesis {
            found: json.genesis.to_string(),
            expected: expected.to_string(),
        });
    }
    match (json.stakes, json.leaves) {
        (Some(entries), None) => Ok(Arc::new(FileSets::parse(entries)?)),
        (None, Some(leaves)) => Ok(Arc::new(leaf_stakes(leaves)?)),
        _ => Err(SetFileError::Kind),
    }
}

fn leaf_stakes(json: LeavesJson) -> Result<LeafStakes, SetFileError> {
    let unit = json.unit.parse()?.get();
    if unit == 0 {
        return Err(SetFileError::Zero("unit".to_owned()));
    }
    let (mut named, mut leaves) = (BTreeMap::new(), BTreeSet::new());
    for one in json.validators {
        let place = Named {
            leaf: LeafIndex(one.leaf),
            applied_at: one.applied_at,
        };
        if !leaves.insert(place.leaf) {
            return Err(SetFileError::Twice(format!("leaf {}", one.leaf)));
        }
        if named.insert(one.address.parse()?, place).is_some() {
            return Err(SetFileError::Twice(one.address.to_string()));
        }
    }
    Ok(LeafStakes::new(TokenId(json.token), unit, named))
}

/// Stakes that a file fixes, from epoch to epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileSets {
    entries: BTreeMap<Epoch, Registry>,
    named: BTreeSet<L1Address>,
}

impl FileSets {
    fn parse(json: Vec<EntryJson>) -> Result<Self, SetFileError> {
        let (mut entries, mut named) = (BTreeMap::new(), BTreeSet::new());
        for entry in json {
            let from = Epoch(entry.from_epoch);
            let last = entries.last_key_value().map_or(Epoch(0), |(last, _)| *last);
            if from <= last {
                return Err(SetFileError::Order(from.0));
            }
            if entry.validators.is_empty() {
                return Err(SetFileError::Nobody(from.0));
            }
            let (mut registry, mut seen) = (Registry::default(), BTreeSet::new());
            for one in entry.validators {
                let address = one.address.parse()?;
                if one.stake == 0 {
                    return Err(SetFileError::Zero(format!("the stake of {}", one.address)));
                }
                if !seen.insert(address) {
                    return Err(SetFileError::Twice(one.address.to_string()));
                }
                let stake = Stake {
                    stake: one.stake,
                    applied_at: one.applied_at,
                };
                registry.put(address, stake);
            }
            named.extend(seen);
            entries.insert(from, registry);
        }
        Ok(Self { entries, named })
    }
}

impl SetSource for FileSets {
    fn registry(&self, epoch: Epoch, _: &dyn LeafView) -> Registry {
        let entry = self.entries.range(..=epoch).next_back();
        entry
            .map(|(_, registry)| registry.clone())
            .unwrap_or_default()
    }

    fn fixed(&self, epoch: Epoch) -> Option<Registry> {
        let entry = self.entries.range(..=epoch).next_back();
        Some(
            entry
                .map(|(_, registry)| registry.clone())
                .unwrap_or_default(),
        )
    }

    fn names(&self, validator: &L1Address) -> bool {
        self.named.contains(validator)
    }
}

#[cfg(test)]
mod tests;
