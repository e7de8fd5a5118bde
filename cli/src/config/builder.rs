//! The section `[builder]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// In which order a builder takes pending operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Strategy {
    /// The highest fee first.
    #[default]
    HighestFee,
    /// As they came.
    FirstCome,
}

/// A builder: a node that follows the chain and sells blocks to its validators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BuilderSettings {
    /// Genesis file.
    pub(crate) genesis: Option<PathBuf>,
    /// Directory of the database.
    pub(crate) data: Option<PathBuf>,
    /// Validators of later epochs, as the validators have it.
    pub(crate) validator_sets: Option<PathBuf>,
    /// Where the key that signs bids is: `file:PATH` or `env:NAME`, 64 hex digits.
    pub(crate) key: Option<String>,
    /// Leaf with locked collateral.
    pub(crate) collateral_leaf: Option<u32>,
    /// Where that leaf's seed is: `file:PATH` or `env:NAME`, 64 hex digits.
    pub(crate) collateral_key: Option<String>,
    /// Leaf that collects the fees; the collateral itself without one.
    pub(crate) fee_leaf: Option<u32>,
    /// Order of operations.
    pub(crate) strategy: Strategy,
    /// Share of a block's fees that a bid offers.
    pub(crate) share_percent: u8,
    /// Address of the RPC.
    pub(crate) rpc: String,
    /// Time between blocks, as the validators have it.
    pub(crate) block_interval_ms: u64,
}

impl Default for BuilderSettings {
    fn default() -> Self {
        Self {
            genesis: None,
            data: None,
            validator_sets: None,
            key: None,
            collateral_leaf: None,
            collateral_key: None,
            fee_leaf: None,
            strategy: Strategy::default(),
            share_percent: 90,
            rpc: "127.0.0.1:8547".to_owned(),
            block_interval_ms: 200,
        }
    }
}
