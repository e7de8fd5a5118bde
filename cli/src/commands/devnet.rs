//! `quorate devnet`: a development chain on this machine, with everything it needs, until it is asked to stop.
//!
//! One process tree: the node here, prover workers as children. A worker that dies is started again, a few times; the
//! node's end is the devnet's end. With `--demo` it replays real payments, verifies what was proven, and exits.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use api::text::HashText;
use clap::Args;
use protocol::genesis::Genesis;
use protocol::number::{Amount, TokenId};
use rand::{RngCore, rngs::OsRng};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::{Sources, flag};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs, table};
use crate::process::{self, PeakMemory};
use crate::service::{Plan, node_error, start};
use crate::wallet::address::PaymentAddress;
use crate::{development, files, genesis_file};

mod demo;
mod workers;

/// Arguments of `quorate devnet`.
#[derive(Debug, Args)]
pub(crate) struct DevnetArgs {
    /// Prover workers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=64))]
    workers: u32,
    /// Funded keys
    #[arg(long, default_value_t = development::ACCOUNTS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(development::ACCOUNTS_MAX)))]
    accounts: u32,
    /// Port of the RPC; 0 picks a free one [default: 8545, with --demo 0]
    #[arg(long)]
    port: Option<u16>,
    /// Port of the proof queue; 0 picks a free one [default: 8546, with --demo 0]
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
    let port = |wish: Option<u16>, usual| wish.unwrap_or(if args.demo { 0 } else { usual });
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let plan = Plan {
        genesis: genesis.clone(),
        data: home.path.join("node"),
        cache: cache.clone(),
        validator: development::validator(),
        dev: true,
        rpc: local(port(args.port, 8_545)),
        jobs: local(port(args.jobs_port, 8_546)),
        block_interval: Duration::from_millis(200),
        lease: Duration::from_secs(30),
        fee_min: Amount::ZERO,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        let todo = "check the limits of this process (ulimit -a)";
        CliError::new(Exit::Unavailable, "cannot start a runtime", error, todo)
    })?;
    let config = plan.prepare()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        process::stop_on_signal(&stop)?;
        let memory = PeakMemory::default();
        let sampler = tokio::spawn(memory.clone().watch(stop.clone()));
        let mut node = start(config).await?;
        let (rpc, jobs) = (
            format!("http://{}", node.rpc_address()),
            format!("http://{}", node.jobs_address()),
        );
        let crew = workers::start(args.workers, &jobs, &cache, &sources.level, &stop)?;
        let work = async {
            let Some(workload) = workload else {
                announce((&rpc, &jobs), &genesis, &home.path, &args, output);
                stop.cancelled().await;
                return Ok(Exit::Success);
            };
            let fee_leaf_and_accounts = 1 + args.accounts;
            let report = args.report.clone();
            let plan = demo::DemoPlan {
                workload,
                genesis,
                fee_leaf_and_accounts,
                report,
                rpc,
                started,
                memory,
            };
            demo::run(plan, &stop, output).await
        };
        let ended = tokio::select! {
            ended = work => ended,
            error = crew.failed() => Err(error),
            error = node.wait() => Err(node_error("the node stopped", &home.path, &error)),
        };
        stop.cancel();
        crew.end().await;
        let stopped = node
            .stop()
            .await
            .map_err(|error| node_error("the node stopped", &home.path, &error));
        // The sampler ends with `stop`; a failed join would be a panic, which ends the process.
        let _ = sampler.await;
        ended.and_then(|exit| stopped.map(|()| exit))
    })
}

/// The genesis of the directory, or a new one.
fn genesis(
    home: &Path,
    args: &DevnetArgs,
    workload: Option<&crate::demo::workload::Workload>,
) -> Result<Genesis, CliError> {
    let path = home.join("genesis.json");
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
        return genesis_file::load(&path);
    }
    let more = workload
        .into_iter()
        .flat_map(crate::demo::workload::Workload::leaves);
    let genesis = development::genesis(args.accounts, more, development::now_ms());
    files::replace(&path, genesis_file::to_text(&genesis).as_bytes())?;
    Ok(genesis)
}

fn announce(
    (rpc, jobs): (&str, &str),
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
    let running = Running {
        rpc: rpc.to_owned(),
        jobs: jobs.to_owned(),
        genesis: home.join("genesis.json"),
        genesis_hash: genesis.hash().into(),
        data: home.to_path_buf(),
        workers: args.workers,
        accounts: accounts.collect(),
    };
    output.data(&running, |running| {
        let rows = running.accounts.iter().map(|account| {
            vec![account.leaf.to_string(), account.seed.clone(), account.l1_owner.clone(), account.balance.clone()]
        });
        format!(
            "devnet: INSECURE keys and reference string, for development only\n{}{}{}",
            pairs(&[
                ("rpc", running.rpc.clone()),
                ("proof queue", running.jobs.clone()),
                ("workers", running.workers.to_string()),
                ("genesis", running.genesis.display().to_string()),
                ("data", running.data.display().to_string()),
            ]),
            table(&["leaf", "seed (everybody knows it)", "l1 owner", "balance at genesis"], rows),
            "import one:  quorate wallet import --seed file:SEED --l1-owner OWNER\nstop:        Ctrl-C\n",
        )
    });
}
