//! `quorate devnet`: a development chain on this machine, with everything it needs, until it is asked to stop.
//!
//! One process tree: the validators' nodes and prover workers as children. A worker that dies is started again, a few
//! times; a node's end is the devnet's end. With `--demo` it replays real payments, verifies what was proven, and exits.

use std::path::{Path, PathBuf};
use std::time::Instant;

use api::text::HashText;
use clap::Args;
use protocol::genesis::Genesis;
use protocol::number::TokenId;
use rand::{RngCore, rngs::OsRng};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::{Sources, flag};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs, table};
use crate::process::{self, PeakMemory};
use crate::wallet::address::PaymentAddress;
use crate::{development, files, genesis_file, keys};

mod base_layer;
mod builders;
mod demo;
mod nodes;
mod ports;
mod workers;

use base_layer::{Layer, Wish};
use builders::BuildersPlan;
use nodes::{Endpoints, NodesPlan};

/// Most validators of a devnet: each is a process with a database of its own on this machine.
const VALIDATORS_MAX: i64 = 16;

/// Name of the chain's genesis in the devnet's directory.
const GENESIS_FILE: &str = "genesis.json";

/// Arguments of `quorate devnet`.
#[derive(Debug, Args)]
pub(crate) struct DevnetArgs {
    /// Validators, each with a node of its own [default: 1, or as many as the chain in --data has]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=VALIDATORS_MAX))]
    validators: Option<u32>,
    /// Builders that bid for the validators' blocks; a set of fewer than four takes no bids [default: 0, or as many as
    /// the chain in --data has]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=i64::from(development::BUILDERS_MAX)))]
    builders: Option<u32>,
    /// First of the ports by which validators reach each other, two each [default: free ones]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    base_port: Option<u16>,
    /// Prover workers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=64))]
    workers: u32,
    /// Make the one proof of each batch that a base layer verifies: minutes and 6 GiB of a worker each
    #[arg(long)]
    aggregate: bool,
    /// Settle on a base layer: embedded (a development chain of this program), anvil (from npm), or the URL of a node
    #[arg(long, value_name = "WHICH")]
    base_layer: Option<Wish>,
    /// Funded keys
    #[arg(long, default_value_t = development::ACCOUNTS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(development::ACCOUNTS_MAX)))]
    accounts: u32,
    /// Port of the first node's RPC; 0 picks a free one [default: 8545, with --demo 0]
    #[arg(long)]
    port: Option<u16>,
    /// Port of the first node's proof queue; 0 picks a free one [default: 8546, with --demo 0]
    #[arg(long)]
    jobs_port: Option<u16>,
    /// Directory of the chain, kept for the next start [default: a new one that is removed in the end]
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Replay real mainnet payments, prove them, verify the proofs offline, report, and exit
    #[arg(long)]
    demo: bool,
    /// Payments of the demo, from the first
    #[arg(long, value_name = "COUNT", requires = "demo", default_value_t = 168,
          value_parser = clap::value_parser!(u32).range(1..=168))]
    payments: u32,
    /// Directory of the demo's report and bundles
    #[arg(
        long,
        value_name = "DIRECTORY",
        requires = "demo",
        default_value = "target/report"
    )]
    report: PathBuf,
}

impl DevnetArgs {
    /// Whether it replays payments and exits.
    pub(crate) fn is_demo(&self) -> bool {
        self.demo
    }
}

/// What a running devnet prints.
#[derive(Serialize)]
struct Running {
    rpc: String,
    jobs: String,
    genesis: PathBuf,
    genesis_hash: HashText,
    data: PathBuf,
    workers: u32,
    /// Every validator's node; `rpc` and `jobs` above are the first one's.
    nodes: Vec<Endpoints>,
    accounts: Vec<FundedAccount>,
}

/// A key that everybody knows.
#[derive(Serialize)]
struct FundedAccount {
    leaf: u32,
    seed: String,
    l1_owner: String,
    address: String,
    balance: String,
}

/// The chain's directory; a temporary one goes with it.
struct Home {
    path: PathBuf,
    is_temporary: bool,
}

impl Home {
    fn new(wish: Option<PathBuf>) -> Result<Self, CliError> {
        let is_temporary = wish.is_none();
        // A random name: the leftover of a killed devnet must not be taken for this one's chain.
        let path = wish.unwrap_or_else(|| {
            let name = format!("quorate-devnet-{:016x}", OsRng.next_u64());
            std::env::temp_dir().join(name)
        });
        files::make_private_directory(&path)?;
        Ok(Self { path, is_temporary })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the temporary chain");
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Why the devnet did not start or did not go on; with `--demo`, what the demo found.
pub(crate) fn run(args: DevnetArgs, sources: &Sources, output: Output) -> Outcome {
    let started = Instant::now();
    let settings = sources.load([flag("prover.cache", args.cache.clone())])?;
    let cache = settings.prover.cache.unwrap_or_else(files::cache);
    let home = Home::new(args.data.clone())?;
    let workload = args
        .demo
        .then(|| demo::workload(args.payments))
        .transpose()?;
    let genesis = genesis(&home.path, &args, workload.as_ref())?;
    // Once here, so that not every node makes them.
    keys::descriptions(&cache, &genesis)?;
    let market = development::market(&genesis);
    let port = |wish: Option<u16>, usual| wish.unwrap_or(if args.demo { 0 } else { usual });
    let plan = NodesPlan {
        genesis_file: home.path.join(GENESIS_FILE),
        home: &home.path,
        cache: &cache,
        level: &sources.level,
        count: validator_count(&genesis),
        ports: (port(args.port, 8_545), port(args.jobs_port, 8_546)),
        base_port: args.base_port,
        bid_leaves: &market.bid_leaves,
        aggregate: args.aggregate,
        base_layer: None,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        let todo = "check the limits of this process (ulimit -a)";
        CliError::new(Exit::Unavailable, "cannot start a runtime", error, todo)
    })?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        process::stop_on_signal(&stop)?;
        let memory = PeakMemory::default();
        let sampler = tokio::spawn(memory.clone().watch(stop.clone()));
        let mut layer = match &args.base_layer {
            Some(wish) => Some(Layer::start(wish, &home.path, &genesis, &sources.level).await?),
            None => None,
        };
        let plan = NodesPlan {
            base_layer: layer
                .as_ref()
                .map(|layer| (layer.url.as_str(), layer.deployment.as_path())),
            ..plan
        };
        let mut nodes = match nodes::start(&plan, &stop).await {
            Ok(nodes) => nodes,
            Err(error) => {
                if let Some(layer) = layer {
                    layer.end().await;
                }
                return Err(error);
            }
        };
        let endpoints = nodes.endpoints().to_vec();
        let mut sellers = builders::start(&BuildersPlan {
            genesis_file: &plan.genesis_file,
            home: &home.path,
            cache: &cache,
            level: &sources.level,
            market: &market,
            nodes: &endpoints,
            base_layer: plan.base_layer,
        });
        let sellers_rpcs = match &mut sellers {
            Ok(sellers) if args.demo => sellers.serving().await,
            _ => Ok(Vec::new()),
        };
        let (sellers, sellers_rpcs) = match (sellers, sellers_rpcs) {
            (Ok(sellers), Err(error)) => {
                sellers.end().await;
                (Err(error), Vec::new())
            }
            (sellers, rpcs) => (sellers, rpcs.unwrap_or_default()),
        };
        let jobs = endpoints.first().map_or("", |node| node.jobs.as_str());
        let level = &sources.level;
        let crew = workers::start(args.workers, jobs, &cache, level, args.aggregate, &stop);
        let layer_files = layer
            .as_ref()
            .map(|layer| (layer.url.clone(), layer.deployment.clone()));
        let work = async {
            let Some(workload) = workload else {
                announce(&endpoints, &genesis, &home.path, &args, output);
                stop.cancelled().await;
                return Ok(Exit::Success);
            };
            let fee_leaf_and_accounts = 1 + args.accounts;
            let plan = demo::DemoPlan {
                workload,
                genesis: genesis.clone(),
                fee_leaf_and_accounts,
                report: args.report.clone(),
                rpcs: endpoints.iter().map(|node| node.rpc.clone()).collect(),
                started,
                memory,
                market: market.clone(),
                builders: sellers_rpcs,
                base_layer: layer_files,
                aggregate: args.aggregate,
            };
            demo::run(plan, &stop, output).await
        };
        let ended = match (&crew, &sellers) {
            (Err(error), _) | (_, Err(error)) => Err(error.clone()),
            (Ok(crew), Ok(_)) => tokio::select! {
                ended = work => ended,
                error = crew.failed() => Err(error),
                error = nodes.failed() => Err(error),
                error = layer_failed(&mut layer) => Err(error),
            },
        };
        stop.cancel();
        let workers_end = async {
            if let Ok(crew) = &crew {
                crew.end().await;
            }
        };
        let builders_end = sellers.unwrap_or_default().end();
        let ((), (), stopped) = tokio::join!(workers_end, builders_end, nodes.end());
        if let Some(layer) = layer {
            layer.end().await;
        }
        // The sampler ends with `stop`; a failed join would be a panic, which ends the process.
        let _ = sampler.await;
        ended.and_then(|exit| stopped.map(|()| exit))
    })
}

/// Resolves when the base layer ends, which it should not; never without one.
async fn layer_failed(layer: &mut Option<Layer>) -> CliError {
    match layer {
        Some(layer) => layer.failed().await,
        None => std::future::pending().await,
    }
}

/// The genesis of the directory, or a new one.
fn genesis(
    home: &Path,
    args: &DevnetArgs,
    workload: Option<&crate::demo::workload::Workload>,
) -> Result<Genesis, CliError> {
    let path = home.join(GENESIS_FILE);
    if path.exists() {
        if workload.is_some() {
            let todo = "name an empty directory, or leave --data out";
            let what = format!("{} holds a chain", home.display());
            return Err(CliError::new(
                Exit::Usage,
                what,
                "the demo starts a new one",
                todo,
            ));
        }
        let is_child = matches!(args.base_layer, Some(Wish::Embedded | Wish::Anvil));
        if is_child {
            let what = format!("{} holds a chain", home.display());
            let why = "the base layer that it settled on ended with its devnet";
            let todo = "name an empty directory, or give the URL of a base layer that goes on";
            return Err(CliError::new(Exit::Usage, what, why, todo));
        }
        let genesis = genesis_file::load(&path)?;
        check_builders(&genesis, args.builders, home)?;
        return check_validators(&genesis, args.validators, home).map(|()| genesis);
    }
    let more = workload
        .into_iter()
        .flat_map(crate::demo::workload::Workload::leaves);
    let count = args.validators.unwrap_or(1);
    let validators = development::validators(count);
    let more = more.chain(development::market_leaves(
        count,
        args.builders.unwrap_or(0),
    ));
    let genesis = development::genesis(validators, args.accounts, more, development::now_ms());
    files::replace(&path, genesis_file::to_text(&genesis).as_bytes())?;
    Ok(genesis)
}

/// A kept chain has the builders it has: their collateral lies in its genesis.
fn check_builders(genesis: &Genesis, wish: Option<u32>, home: &Path) -> Result<(), CliError> {
    let count = development::market(genesis).builders.len();
    match wish.filter(|wish| usize::try_from(*wish) != Ok(count)) {
        None => Ok(()),
        Some(wish) => Err(CliError::new(
            Exit::Usage,
            format!("{} holds a chain that cannot be used", home.display()),
            format!("it has collateral of {count} builders, and --builders says {wish}"),
            "name an empty directory for a new chain",
        )),
    }
}

/// Number of validators of a genesis that passed [`check_validators`], or was made here.
fn validator_count(genesis: &Genesis) -> u32 {
    let count = genesis.validators.validators().len();
    u32::try_from(count).expect("a set holds a hundred")
}

/// A kept chain can be gone on with only by the validators it has, and only if their keys are known here.
fn check_validators(genesis: &Genesis, wish: Option<u32>, home: &Path) -> Result<(), CliError> {
    let count = validator_count(genesis);
    let todo = "name an empty directory for a new chain";
    let refused = |why: String| {
        let what = format!("{} holds a chain that cannot be used", home.display());
        Err(CliError::new(Exit::Usage, what, why, todo))
    };
    if let Some(wish) = wish.filter(|wish| *wish != count) {
        return refused(format!(
            "it has {count} validators, and --validators says {wish}; a chain keeps its genesis for ever"
        ));
    }
    if i64::from(count) > VALIDATORS_MAX || genesis.validators != development::validators(count) {
        let why = "its validators are not those of a devnet; run them by quorate sequencer";
        return refused(why.to_owned());
    }
    Ok(())
}

fn announce(
    endpoints: &[Endpoints],
    genesis: &Genesis,
    home: &Path,
    args: &DevnetArgs,
    output: Output,
) {
    let accounts = (0..args.accounts)
        .zip(genesis.leaves.iter().skip(1))
        .map(|(number, leaf)| {
            let key = development::account(number);
            FundedAccount {
                leaf: number + 1,
                seed: hex::encode(key.seed),
                l1_owner: key.l1_owner.to_string(),
                address: PaymentAddress {
                    key: key.secret.public(),
                    l1_owner: key.l1_owner,
                    token: TokenId(0),
                }
                .to_string(),
                balance: leaf.balance.to_string(),
            }
        });
    let first = |text: fn(&Endpoints) -> &String| endpoints.first().map(text).cloned();
    let running = Running {
        rpc: first(|node| &node.rpc).unwrap_or_default(),
        jobs: first(|node| &node.jobs).unwrap_or_default(),
        genesis: home.join(GENESIS_FILE),
        genesis_hash: genesis.hash().into(),
        data: home.to_path_buf(),
        workers: args.workers,
        nodes: endpoints.to_vec(),
        accounts: accounts.collect(),
    };
    output.data(&running, |running| {
        let rows = running.accounts.iter().map(|account| {
            vec![account.leaf.to_string(), account.seed.clone(), account.l1_owner.clone(), account.balance.clone()]
        });
        let nodes = running.nodes.iter().zip(0_u32..).map(|(node, number)| {
            vec![number.to_string(), node.rpc.clone(), node.validator.clone(), node.log.display().to_string()]
        });
        format!(
            "devnet: INSECURE keys and reference string, for development only\n{}{}{}{}",
            pairs(&[
                ("rpc", running.rpc.clone()),
                ("proof queue", running.jobs.clone()),
                ("workers", running.workers.to_string()),
                ("genesis", running.genesis.display().to_string()),
                ("data", running.data.display().to_string()),
            ]),
            table(&["node", "rpc", "validator (everybody knows its key)", "log"], nodes),
            table(&["leaf", "seed (everybody knows it)", "l1 owner", "balance at genesis"], rows),
            "import one:  quorate wallet import --seed file:SEED --l1-owner OWNER\nstop:        Ctrl-C\n",
        )
    });
}
