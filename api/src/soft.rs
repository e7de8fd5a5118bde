//! The soft chain as this node sees it: what is signed above the newest certified block while no quorum answers.
//!
//! Nothing here is final, whatever weight has signed it.

use serde::{Deserialize, Serialize};

use crate::{
    status::FinalityMode,
    text::{AddressText, HashText},
};

/// All soft chains above the newest certified block that this node knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftChainJson {
    /// This node's mode: in `halt` it keeps no soft blocks.
    pub mode: FinalityMode,
    /// Whether no height was decided for so long that this node signs soft blocks, if it is a validator.
    pub is_active: bool,
    /// Height of the base: the newest certified block.
    pub base_height: u64,
    /// Its id.
    pub base: HashText,
    /// Weight of the set.
    pub weight_total: u64,
    /// The last soft block of the chain that this node follows: the heaviest, then the lower hash.
    pub head: Option<HashText>,
    /// The last block of every chain, the highest number first; at most 64.
    pub heads: Vec<SoftHeadJson>,
}

/// The last soft block of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftHeadJson {
    /// Its hash.
    pub block: HashText,
    /// Its number above the base.
    pub number: u64,
    /// Who made it.
    pub author: AddressText,
    /// The author's clock, in milliseconds since 1970.
    pub time_ms: u64,
    /// Soft blocks of its chain.
    pub blocks: u64,
    /// Operations of its chain.
    pub operations: u64,
    /// Validators whose newest soft signature is for this chain's last block.
    pub signers: Vec<AddressText>,
    /// Their weight.
    pub weight_signed: u64,
    /// Weight that has signed its first block or one above it.
    pub weight_rooted: u64,
}
