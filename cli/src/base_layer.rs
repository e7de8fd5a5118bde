//! The base layer as commands use it: a node over JSON-RPC, a key that pays there, the contracts of a deployment file,
//! and one transaction from signing to inclusion.
//!
//! Invariants: a key is never an argument; the ten public keys of development chains are used only when they are asked for
//! by name, and only there; a transaction that reverted is an error that names the contract's own reason. It keeps
//! nothing: who must survive a crash between signing and inclusion uses the node's poster.

mod claims;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use clap::Args;
use protocol::genesis::Genesis;
use protocol::number::BatchNumber;
use settlement::bindings::{self, BindingError};
use settlement::deploy::DeploymentFile;
use settlement::rebuild::{ChainRebuildError, RebuiltChain, rebuild, rebuild_until};
use settlement::{
    BaseLayer, BaseLayerError, BlockAt, Call, Culprit, EthereumClient, EthereumConfig, Intent,
    Progress, Receipt, Submitter, SubmitterConfig, SubmitterError, TransactionSigner,
};

use crate::exit::{CliError, Exit};
use crate::files;
use crate::secret::SecretSource;

pub(crate) use claims::claimable;

/// Where `quorate base-layer serve` listens unless told otherwise.
pub(crate) const URL: &str = "http://127.0.0.1:8544";
/// Bytes of a deployment file at most.
const FILE_BYTES_MAX: usize = 64 << 10;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Time between looks at the chain.
const POLL: Duration = Duration::from_millis(500);
/// Looks before a transaction is given up: ten minutes.
const POLLS_MAX: u32 = 1_200;
/// Blocks that a transaction waits before its fees are raised.
const PATIENCE_BLOCKS: u64 = 3;

/// Which node of the base layer, and the contracts on it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ContractsArgs {
    /// URL of a node of the base layer
    #[arg(long, value_name = "URL", default_value = URL)]
    pub(crate) base_layer: String,
    /// File with the addresses of the contracts, written by quorate base-layer deploy
    #[arg(long, value_name = "FILE")]
    pub(crate) deployment: PathBuf,
}

/// Who pays on the base layer.
#[derive(Clone, Debug, Args)]
pub(crate) struct PayerArgs {
    /// Key that signs on the base layer: prompt, file:PATH or env:NAME with 64 hex digits, or development:N for one of
    /// the ten public keys of development chains
    #[arg(long, value_name = "SOURCE")]
    pub(crate) l1_key: KeySource,
    /// Gwei per gas at most
    #[arg(long, value_name = "GWEI", default_value_t = 200)]
    pub(crate) fee_max: u64,
}

/// Where a key of the base layer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// A secret.
    Secret(SecretSource),
    /// A public key of development chains.
    Development(usize),
}

impl FromStr for KeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(number) = text.strip_prefix("development:") else {
            return text.parse().map(Self::Secret);
        };
        let count = TransactionSigner::development_count();
        let number: usize = number
            .parse()
            .map_err(|_| "a number follows development:")?;
        if number < count {
            Ok(Self::Development(number))
        } else {
            Err(format!(
                "there are development keys 0 to {}",
                count.saturating_sub(1)
            ))
        }
    }
}

impl KeySource {
    /// The key.
    ///
    /// # Errors
    /// `Usage` for what is no key.
    pub(crate) fn signer(&self) -> Result<TransactionSigner, CliError> {
        let refused = |why: String| {
            let what = "the key of the base layer is not usable";
            CliError::new(
                Exit::Usage,
                what,
                why,
                "give 64 hex digits by file:PATH or env:NAME",
            )
        };
        match self {
            Self::Secret(source) => {
                let bytes = source.read_key("key of the base layer")?;
                TransactionSigner::from_bytes(&B256::from(*bytes))
                    .map_err(|error| refused(error.to_string()))
            }
            Self::Development(number) => TransactionSigner::development(*number)
                .ok_or_else(|| refused(format!("there is no development key {number}"))),
        }
    }
}

/// A failure of the base layer as the program's error.
pub(crate) fn layer_error(what: &str, error: &BaseLayerError) -> CliError {
    let (exit, todo) = match error.culprit() {
        Culprit::Time => (
            Exit::Unavailable,
            "check that the node runs at --base-layer, and try again",
        ),
        Culprit::Node => (Exit::Invalid, "do not use this node: it contradicts itself"),
        Culprit::Caller => (
            Exit::Invalid,
            "check the chain, the deployment file and the amount",
        ),
    };
    match error {
        BaseLayerError::Reverted { data } => {
            let reason = bindings::revert(data);
            let why = reason.map_or_else(
                || error.to_string(),
                |reason| format!("the contract says {reason:?}"),
            );
            CliError::new(
                Exit::Invalid,
                what,
                why,
                "docs/contracts.md says what it demands",
            )
        }
        _ => CliError::new(exit, what, error, todo),
    }
}

/// A failure of a view as the program's error.
pub(crate) fn binding_error(what: &str, error: &BindingError) -> CliError {
    match error {
        BindingError::BaseLayer(error) => layer_error(what, error),
        _ => CliError::new(
            Exit::Invalid,
            what,
            error,
            "check that the deployment file is of this chain",
        ),
    }
}

/// The state after the last proven batch, from genesis and the chain alone.
///
/// # Errors
/// The base layer's, or `Invalid` for a genesis or events that do not lead to the Rollup's root.
pub(crate) async fn rebuilt(
    layer: &dyn BaseLayer,
    file: &DeploymentFile,
    genesis: &Genesis,
) -> Result<RebuiltChain, CliError> {
    let chain = rebuild(layer, file, genesis, head(layer).await?).await;
    chain.map_err(rebuild_error)
}

/// The same in the newest final block, which nothing takes back; after batch `until`, if one is named.
///
/// # Errors
/// As [`rebuilt`], and `Invalid` for a batch that no final block has proven.
pub(crate) async fn rebuilt_final(
    layer: &dyn BaseLayer,
    file: &DeploymentFile,
    genesis: &Genesis,
    until: Option<BatchNumber>,
) -> Result<RebuiltChain, CliError> {
    let last = block(layer, BlockAt::Finalized, "no block is final").await?;
    let chain = match until {
        Some(until) => rebuild_until(layer, file, genesis, last, until).await,
        None => rebuild(layer, file, genesis, last).await,
    };
    chain.map_err(rebuild_error)
}

fn rebuild_error(error: ChainRebuildError) -> CliError {
    let what = "the state cannot be rebuilt";
    match error {
        ChainRebuildError::Binding(error) => binding_error(what, &error),
        error => CliError::new(
            Exit::Invalid,
            what,
            error,
            "check genesis and deployment file",
        ),
    }
}

/// Reads a deployment file.
///
/// # Errors
/// `Usage` for a file that cannot be read, `Corrupt` for one that is none.
pub(crate) fn load_deployment(path: &Path) -> Result<DeploymentFile, CliError> {
    let text = files::read_text(path, FILE_BYTES_MAX)?;
    DeploymentFile::from_json(&text).map_err(|error| {
        let what = format!("{} is not a deployment file", path.display());
        CliError::new(
            Exit::Corrupt,
            what,
            error,
            "use the file that the operators published",
        )
    })
}

/// A client of the node at `url`, which must follow this chain.
///
/// # Errors
/// `Unavailable` or `Invalid`.
pub(crate) async fn connect(url: &str, chain_id: u64) -> Result<Arc<dyn BaseLayer>, CliError> {
    let config = EthereumConfig {
        url: url.to_owned(),
        chain_id,
        timeout: TIMEOUT,
    };
    let client = EthereumClient::connect(&config).await;
    let client = client.map_err(|error| layer_error(&format!("no base layer at {url}"), &error))?;
    Ok(Arc::new(client))
}

/// The newest block's hash.
///
/// # Errors
/// The base layer's.
pub(crate) async fn head(layer: &dyn BaseLayer) -> Result<B256, CliError> {
    block(layer, BlockAt::Latest, "it has no block").await
}

async fn block(layer: &dyn BaseLayer, at: BlockAt, none: &str) -> Result<B256, CliError> {
    let what = "the newest block of the base layer is not known";
    let found = layer.header(at).await;
    let found = found.map_err(|error| layer_error(what, &error))?;
    let none = || CliError::new(Exit::Unavailable, what, none, "try again");
    Ok(found.ok_or_else(none)?.hash())
}

/// Sends a call and waits until it is in a block.
///
/// The call is tried on the head first, so that what a contract refuses costs nothing.
///
/// # Errors
/// What the contract says, or the base layer's.
pub(crate) async fn transact(
    layer: &Arc<dyn BaseLayer>,
    payer: &PayerArgs,
    what: &str,
    intent: Intent,
) -> Result<Receipt, CliError> {
    let signer = payer.l1_key.signer()?;
    if let (Some(to), true) = (intent.to, intent.value.is_zero()) {
        let call = Call {
            from: signer.address(),
            to,
            input: intent.input.clone(),
        };
        let tried = layer.call(head(&**layer).await?, &call).await;
        tried.map_err(|error| layer_error(what, &error))?;
    }
    let config = SubmitterConfig {
        fee_max_wei: u128::from(payer.fee_max).saturating_mul(1_000_000_000),
        patience_blocks: PATIENCE_BLOCKS,
    };
    let failed = |error: SubmitterError| match error {
        SubmitterError::BaseLayer(error) => layer_error(what, &error),
        SubmitterError::AboveFeeLimit { .. } => {
            CliError::new(Exit::Unavailable, what, error, "wait, or raise --fee-max")
        }
        other => CliError::new(Exit::Usage, what, other, "check the key and the chain"),
    };
    let layer = Arc::clone(layer);
    let mut submitter = Submitter::resume(layer, signer, config, BTreeMap::new());
    submitter.submit(intent).await.map_err(failed)?;
    for _ in 0..POLLS_MAX {
        for step in submitter.advance().await.map_err(failed)? {
            match step {
                Progress::Included { receipt, .. } if receipt.succeeded => return Ok(receipt),
                Progress::Included { receipt, .. } => {
                    let why = format!(
                        "transaction {} reverted in block {}",
                        receipt.transaction, receipt.block_number
                    );
                    return Err(CliError::new(
                        Exit::Invalid,
                        what,
                        why,
                        "docs/contracts.md says what the contract demands",
                    ));
                }
                _ => {}
            }
        }
        tokio::time::sleep(POLL).await;
    }
    let why = "it is in no block after ten minutes; it may still come";
    Err(CliError::new(
        Exit::Unavailable,
        what,
        why,
        "look at the account's transactions before trying again",
    ))
}

/// anvil, where `make setup` puts it, or what `QUORATE_ANVIL` names.
///
/// # Errors
/// `Unavailable` if it is not there.
pub(crate) fn anvil_program() -> Result<PathBuf, CliError> {
    if let Some(named) = std::env::var_os("QUORATE_ANVIL") {
        return Ok(PathBuf::from(named));
    }
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let path = format!("contracts/node_modules/@foundry-rs/anvil-{system}-{machine}/bin/anvil");
    let path = PathBuf::from(path);
    if path.is_file() {
        return Ok(path);
    }
    let why = format!("{} is not there", path.display());
    let todo = "run make setup in the checkout, or set QUORATE_ANVIL to the program";
    Err(CliError::new(
        Exit::Unavailable,
        "anvil is missing",
        why,
        todo,
    ))
}

/// A call with this much gas.
pub(crate) fn intent(
    to: Address,
    input: alloy_primitives::Bytes,
    value: U256,
    gas_limit: u64,
) -> Intent {
    Intent {
        to: Some(to),
        input,
        value,
        gas_limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_secrets_or_by_the_name_of_a_public_one() {
        assert_eq!("development:3".parse(), Ok(KeySource::Development(3)));
        let file: KeySource = "file:key".parse().expect("a source");
        assert_eq!(file, KeySource::Secret(SecretSource::File("key".into())));
        for bad in ["development:10", "development:", "0x01", ""] {
            assert!(bad.parse::<KeySource>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_contracts_reason_is_told() {
        let error = settlement::bindings::Reverts::ZeroAmount {};
        let data = alloy_sol_types::SolError::abi_encode(&error).into();
        let told = layer_error("no deposit", &BaseLayerError::Reverted { data });
        assert!(told.why.contains("ZeroAmount"), "{told}");
        assert_eq!(told.exit, Exit::Invalid);
    }
}
