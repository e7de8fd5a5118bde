//! `quorate sequencer`: runs a node until it is asked to stop.

mod rebuilding;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::text::HashText;
use clap::Args;
use protocol::number::LeafIndex;
use protocol::validator::ValidatorKey;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::config::{ModeSetting, Sources, flag};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::secret::SecretSource;
use crate::service::{Plan, node_error, start, validator_sets};
use crate::wallet::amount::parse_units;
use crate::{development, files, genesis_file, process};

/// Shortest lease: a worker heartbeats four times in it.
const LEASE_MS_MIN: u64 = 1_000;

/// Arguments of `quorate sequencer`.
#[derive(Debug, Args)]
pub(crate) struct SequencerArgs {
    /// Genesis file of the chain
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Directory of the database; it is made if absent
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// File that names the validators of later epochs, the same on all nodes [default: those of genesis stay]
    #[arg(long, value_name = "FILE")]
    validator_sets: Option<PathBuf>,
    /// Where the validator's key is, as 64 hex digits: file:PATH or env:NAME
    #[arg(long, value_name = "SOURCE")]
    validator_key: Option<String>,
    /// Leaf where builders pay this validator for its blocks; without one it takes no bids
    #[arg(long, value_name = "LEAF")]
    bid_leaf: Option<u32>,
    /// While no quorum answers: halt, or make soft blocks, which can be reverted [default: halt]
    #[arg(long, value_name = "MODE", value_enum)]
    mode: Option<ModeSetting>,
    /// Have workers make the one proof of each batch that the base layer verifies: minutes and 6 GiB of a worker each
    #[arg(long)]
    aggregate: bool,
    /// Address of the RPC [default: 127.0.0.1:8545]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address of the proof queue [default: 127.0.0.1:8546]
    #[arg(long, value_name = "ADDRESS")]
    jobs: Option<String>,
    /// NATS server where workers take this node's proof jobs as well, with JetStream, for example nats://127.0.0.1:4222
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// Where the token is that the NATS server asks for: file:PATH or env:NAME
    #[arg(long, value_name = "SOURCE")]
    nats_token: Option<String>,
    /// Address where the other validators reach this one's consensus engine [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    engine_listen: Option<String>,
    /// Address of another validator's engine; repeat it for each
    #[arg(long = "engine-peer", value_name = "ADDRESS")]
    engine_peers: Vec<String>,
    /// Address where other nodes gossip submissions to this one [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS")]
    gossip_listen: Option<String>,
    /// Address of another node's gossip; repeat it for each
    #[arg(long = "gossip-peer", value_name = "ADDRESS")]
    gossip_peers: Vec<String>,
    /// RPC of the base-layer node to follow; without one the chain has no inbox
    #[arg(long, value_name = "URL")]
    base_layer: Option<String>,
    /// File that says where the contracts are, as the deployment wrote it
    #[arg(long, value_name = "FILE")]
    deployment: Option<PathBuf>,
    /// Where the key is that pays for posting batches: file:PATH, env:NAME or, on a development chain, development:N;
    /// without one this node does not post
    #[arg(long, value_name = "SOURCE")]
    poster_key: Option<String>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    rebuilding: rebuilding::RebuildingArgs,
    /// Permit the insecure development string, and the first development validator's key, on a development chain
    #[arg(long)]
    dev: bool,
    /// Stop when stdin ends, and say in JSON where the node serves: for a parent process that holds the other ends
    #[arg(long, hide = true)]
    stop_with_parent: bool,
}

/// What a running node prints.
#[derive(Serialize, Deserialize)]
pub(crate) struct Running {
    /// URL of its RPC.
    pub(crate) rpc: String,
    /// URL of its proof queue.
    pub(crate) jobs: String,
    genesis_hash: HashText,
    /// Number of validators that certify its blocks, itself among them.
    validators: usize,
    data: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// `Usage` for what is missing, else why the node did not start or did not go on.
pub(crate) fn run(args: SequencerArgs, sources: &Sources, output: Output) -> Outcome {
    let settings = sources.load([
        flag("sequencer.genesis", args.genesis),
        flag("sequencer.data", args.data),
        flag("sequencer.validator_sets", args.validator_sets),
        flag("sequencer.validator_key", args.validator_key),
        flag("sequencer.bid_leaf", args.bid_leaf),
        flag("sequencer.mode", args.mode),
        flag("sequencer.aggregate", args.aggregate.then_some(true)),
        flag("sequencer.rpc", args.listen),
        flag("sequencer.jobs", args.jobs),
        flag("nats.url", args.nats),
        flag("nats.token", args.nats_token),
        flag("network.engine_listen", args.engine_listen),
        flag("network.engine_peers", named(args.engine_peers)),
        flag("network.gossip_listen", args.gossip_listen),
        flag("network.gossip_peers", named(args.gossip_peers)),
        flag("base_layer.rpc", args.base_layer),
        flag("base_layer.deployment", args.deployment),
        flag("base_layer.poster_key", args.poster_key),
        flag("prover.cache", args.cache),
    ])?;
    let node = settings.sequencer;
    let genesis = genesis_file::load(
        &node
            .genesis
            .ok_or_else(|| missing("sequencer", "genesis"))?,
    )?;
    let sets = validator_sets(node.validator_sets.as_deref(), &genesis)?;
    let validator = match &node.validator_key {
        Some(source) => secp256k1_key(source, "validator's key")?,
        None if args.dev && genesis.is_development() => development::validator(0),
        None => return Err(missing("sequencer", "validator-key")),
    };
    let fee_min = parse_units(&node.fee_min).map_err(|why| {
        usage(
            "sequencer.fee_min is not usable",
            &why,
            "give whole base units",
        )
    })?;
    let plan = Plan {
        data: node.data.ok_or_else(|| missing("sequencer", "data"))?,
        cache: settings.prover.cache.unwrap_or_else(files::cache),
        validator,
        dev: args.dev,
        rpc: address("sequencer", "rpc", &node.rpc)?,
        jobs: address("sequencer", "jobs", &node.jobs)?,
        network: settings.network.parse()?,
        block_interval: Duration::from_millis(node.block_interval_ms.max(1)),
        lease: Duration::from_millis(node.lease_ms.max(LEASE_MS_MIN)),
        fee_min,
        aggregate: node.aggregate,
        genesis,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        let todo = "check the limits of this process (ulimit -a)";
        CliError::new(Exit::Unavailable, "cannot start a runtime", error, todo)
    })?;
    let storage = settings.storage.parse(&plan.data)?;
    let base_layer = settings.base_layer.follow()?;
    let nats = settings.nats.parse()?;
    if args.rebuilding.is_wanted() {
        let rebuilding = args
            .rebuilding
            .make(&plan.data, &plan.genesis, base_layer.as_ref());
        runtime.block_on(rebuilding)?;
    }
    let mut config = plan.prepare()?;
    config.storage = storage;
    config.base_layer = base_layer;
    config.jobs.nats = nats;
    config.bid_leaf = node.bid_leaf.map(LeafIndex);
    config.sets = sets;
    config.mode = node.mode.into();
    let data = config.data_dir.clone();
    let genesis_hash = config.genesis.hash().into();
    let validators = config.genesis.validators.validators().len();
    runtime.block_on(async {
        let stop = CancellationToken::new();
        process::stop_on_signal(&stop)?;
        if args.stop_with_parent {
            process::stop_with_parent(&stop);
        }
        let mut node = start(config).await?;
        let running = Running {
            rpc: format!("http://{}", node.rpc_address()),
            jobs: format!("http://{}", node.jobs_address()),
            genesis_hash,
            validators,
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
                ("proof queue", running.jobs.clone()),
                ("genesis", running.genesis_hash.to_string()),
                ("validators", running.validators.to_string()),
                ("data", running.data.display().to_string()),
            ])
        });
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            error = node.wait() => Err(error),
        };
        ended
            .and(node.stop().await)
            .map_err(|error| node_error("the node stopped", &data, &error))?;
        Ok(Exit::Success)
    })
}

/// Peers that flags name, if any do: they take the place of the configured ones.
pub(super) fn named(peers: Vec<String>) -> Option<Vec<String>> {
    (!peers.is_empty()).then_some(peers)
}

pub(super) fn usage(what: &str, why: &str, todo: &str) -> CliError {
    CliError::new(Exit::Usage, what, why, todo)
}

/// A setting of a section that has no default; `name` as on the command line.
pub(super) fn missing(section: &str, name: &str) -> CliError {
    let key = name.replace('-', "_");
    let todo = format!("give --{name}, or {key} in the section [{section}]");
    CliError::new(
        Exit::Usage,
        format!("--{name} is missing"),
        "it has no default",
        todo,
    )
}

/// The address that a setting of a section names.
///
/// # Errors
/// `Usage` for what is no address.
pub(super) fn address(section: &str, name: &str, text: &str) -> Result<SocketAddr, CliError> {
    text.parse().map_err(|error| {
        let what = format!("{section}.{name} = {text:?} is not an address");
        CliError::new(Exit::Usage, what, error, "use a form like 127.0.0.1:8545")
    })
}

/// A validator's or builder's key; `what` names it.
///
/// # Errors
/// `Usage` for what is no key.
pub(super) fn secp256k1_key(source: &str, what: &str) -> Result<ValidatorKey, CliError> {
    let refused = format!("the {what} is not usable");
    let source: SecretSource = source
        .parse()
        .map_err(|why: String| usage(&refused, &why, "use file:PATH or env:NAME"))?;
    ValidatorKey::from_bytes(&*source.read_key(what)?).ok_or_else(|| {
        usage(
            &refused,
            "it is 0 or not below the group order",
            "make another key",
        )
    })
}
