//! `quorate builder`: a node that follows the chain and sells blocks to its validators, until it is asked to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use protocol::number::{Amount, LeafIndex};
use protocol::signature::SecretKey;
use sequencer::{BuilderConfig, BuilderStrategy};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::sequencer::{address, missing, named, secp256k1_key, usage};
use crate::config::{BuilderSettings, Sources, Strategy, flag};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::secret::SecretSource;
use crate::service::{Plan, node_error, start, validator_sets};
use crate::{files, genesis_file, process};

/// A builder proves nothing: its proof queue is for nobody, and any free port does.
const JOBS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// A lease on that queue; nobody takes one.
const LEASE: Duration = Duration::from_secs(30);
/// A bid may offer all fees, and no more.
const SHARE_PERCENT_MAX: u8 = 100;

/// Arguments of `quorate builder`.
#[derive(Debug, Args)]
pub(crate) struct BuilderArgs {
    /// Genesis file of the chain
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Directory of the database; it is made if absent
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// File that names the validators of later epochs, the same on all nodes [default: those of genesis stay]
    #[arg(long, value_name = "FILE")]
    validator_sets: Option<PathBuf>,
    /// Where the key that signs bids is, as 64 hex digits: file:PATH or env:NAME
    #[arg(long, value_name = "SOURCE")]
    key: Option<String>,
    /// Leaf with collateral that stays locked for two epochs
    #[arg(long, value_name = "LEAF")]
    collateral_leaf: Option<u32>,
    /// Where the seed of the collateral leaf is, as 64 hex digits: file:PATH or env:NAME
    #[arg(long, value_name = "SOURCE")]
    collateral_key: Option<String>,
    /// Leaf that collects the fees [default: the collateral leaf]
    #[arg(long, value_name = "LEAF")]
    fee_leaf: Option<u32>,
    /// Order of operations [default: highest-fee]
    #[arg(long, value_enum)]
    strategy: Option<Strategy>,
    /// Share of a block's fees that a bid offers [default: 90]
    #[arg(long, value_name = "PERCENT")]
    share_percent: Option<u8>,
    /// Address of the RPC [default: 127.0.0.1:8547]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address where nodes gossip with this one [default: a free port]
    #[arg(long, value_name = "ADDRESS")]
    gossip_listen: Option<String>,
    /// Address of a node's gossip; repeat for more
    #[arg(long = "gossip-peer", value_name = "ADDRESS")]
    gossip_peers: Vec<String>,
    /// Address where validators' engines reach this one [default: a free port]
    #[arg(long, value_name = "ADDRESS")]
    engine_listen: Option<String>,
    /// Address of a validator's engine; repeat for more
    #[arg(long = "engine-peer", value_name = "ADDRESS")]
    engine_peers: Vec<String>,
    /// RPC of the base-layer node to follow; without one the chain has no inbox
    #[arg(long, value_name = "URL")]
    base_layer: Option<String>,
    /// File that says where the contracts are, as the deployment wrote it
    #[arg(long, value_name = "FILE")]
    deployment: Option<PathBuf>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Permit the insecure development string on a development chain
    #[arg(long)]
    dev: bool,
    /// Stop when stdin ends, and say in JSON where the builder serves: for a parent process that holds the other ends
    #[arg(long, hide = true)]
    stop_with_parent: bool,
}

/// What a running builder prints.
#[derive(Serialize, Deserialize)]
pub(crate) struct Running {
    /// URL of its RPC.
    pub(crate) rpc: String,
    builder: String,
    collateral_leaf: u32,
    fee_leaf: u32,
    data: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// `Usage` for what is missing, else why the node did not start or did not go on.
pub(crate) fn run(args: BuilderArgs, sources: &Sources, output: Output) -> Outcome {
    let settings = sources.load([
        flag("builder.genesis", args.genesis),
        flag("builder.data", args.data),
        flag("builder.validator_sets", args.validator_sets),
        flag("builder.key", args.key),
        flag("builder.collateral_leaf", args.collateral_leaf),
        flag("builder.collateral_key", args.collateral_key),
        flag("builder.fee_leaf", args.fee_leaf),
        flag("builder.strategy", args.strategy),
        flag("builder.share_percent", args.share_percent),
        flag("builder.rpc", args.listen),
        flag("network.gossip_listen", args.gossip_listen),
        flag("network.gossip_peers", named(args.gossip_peers)),
        flag("network.engine_listen", args.engine_listen),
        flag("network.engine_peers", named(args.engine_peers)),
        flag("base_layer.rpc", args.base_layer),
        flag("base_layer.deployment", args.deployment),
        flag("prover.cache", args.cache),
    ])?;
    let node = settings.builder;
    let builder = builder_config(&node)?;
    let genesis = node
        .genesis
        .as_ref()
        .ok_or_else(|| missing("builder", "genesis"))?;
    let genesis = genesis_file::load(genesis)?;
    let sets = validator_sets(node.validator_sets.as_deref(), &genesis)?;
    let plan = Plan {
        genesis,
        data: node
            .data
            .clone()
            .ok_or_else(|| missing("builder", "data"))?,
        cache: settings.prover.cache.unwrap_or_else(files::cache),
        validator: builder.key.clone(),
        dev: args.dev,
        rpc: address("builder", "rpc", &node.rpc)?,
        jobs: JOBS,
        network: settings.network.parse()?,
        block_interval: Duration::from_millis(node.block_interval_ms.max(1)),
        lease: LEASE,
        fee_min: Amount::ZERO,
        aggregate: false,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        let todo = "check the limits of this process (ulimit -a)";
        CliError::new(Exit::Unavailable, "cannot start a runtime", error, todo)
    })?;
    let storage = settings.storage.parse(&plan.data)?;
    let base_layer = settings.base_layer.follow()?;
    let mut config = plan.prepare()?;
    config.storage = storage;
    config.base_layer = base_layer;
    config.is_follower = true;
    config.sets = sets;
    let data = config.data_dir.clone();
    let said = (
        builder.key.address().to_string(),
        builder.collateral_leaf.0,
        builder.fee_leaf.0,
    );
    config.builder = Some(builder);
    runtime.block_on(async {
        let stop = CancellationToken::new();
        process::stop_on_signal(&stop)?;
        if args.stop_with_parent {
            process::stop_with_parent(&stop);
        }
        let mut node = start(config).await?;
        let running = Running {
            rpc: format!("http://{}", node.rpc_address()),
            builder: said.0,
            collateral_leaf: said.1,
            fee_leaf: said.2,
            data: data.clone(),
        };
        let output = if args.stop_with_parent {
            Output::new(true)
        } else {
            output
        };
        output.data(&running, |running| {
            pairs(&[
                ("rpc", running.rpc.clone()),
                ("builder", running.builder.clone()),
                ("collateral leaf", running.collateral_leaf.to_string()),
                ("fee leaf", running.fee_leaf.to_string()),
                ("data", running.data.display().to_string()),
            ])
        });
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            error = node.wait() => Err(error),
        };
        ended
            .and(node.stop().await)
            .map_err(|error| node_error("the builder stopped", &data, &error))?;
        Ok(Exit::Success)
    })
}

fn builder_config(node: &BuilderSettings) -> Result<BuilderConfig, CliError> {
    let key = node.key.as_ref().ok_or_else(|| missing("builder", "key"))?;
    let seed = node.collateral_key.as_ref();
    let seed: SecretSource = seed
        .ok_or_else(|| missing("builder", "collateral-key"))?
        .parse()
        .map_err(|why: String| {
            let what = "the collateral leaf's seed is not usable";
            usage(what, &why, "use file:PATH or env:NAME")
        })?;
    let collateral = node.collateral_leaf;
    let collateral = collateral.ok_or_else(|| missing("builder", "collateral-leaf"))?;
    if node.share_percent > SHARE_PERCENT_MAX {
        let what = format!("builder.share_percent = {} is too much", node.share_percent);
        let why = "a bid above the fees is paid from the collateral";
        return Err(usage(&what, why, "give at most 100"));
    }
    Ok(BuilderConfig {
        key: secp256k1_key(key, "builder's key")?,
        collateral_leaf: LeafIndex(collateral),
        collateral_key: SecretKey::from_seed(&*seed.read_key("collateral leaf's seed")?),
        fee_leaf: LeafIndex(node.fee_leaf.unwrap_or(collateral)),
        strategy: match node.strategy {
            Strategy::HighestFee => BuilderStrategy::HighestFee,
            Strategy::FirstCome => BuilderStrategy::FirstCome,
        },
        share_percent: node.share_percent,
    })
}
