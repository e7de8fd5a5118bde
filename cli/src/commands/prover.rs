//! `quorate prover`: a worker that leases jobs of a node, proves them, checks its own proofs and hands them in.

mod bench;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::jobs::nats::{NatsConfig, NatsQueue};
use api::jobs::{JobKind, JobQueue, RemoteQueue, WorkerInfo};
use api::text::AddressText;
use clap::{Args, Subcommand};
use protocol::account::L1Address;
use prover::Prover;
use prover::aggregate::Aggregator;
use prover::worker::{
    AggregationProver, JobError, JobProver, Provers, WorkerConfig, WorkerError, WorkerReport,
    run_worker,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use verifier::golden::CircuitName;

use crate::config::{ProverSettings, Sources, flag};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::{files, keys, process};

/// MiB that proving a chunk takes: 1.5 times what was measured (2,067 MiB, both circuits' keys made and in memory).
pub(crate) const CHUNK_MEMORY_MB: u64 = 3_072;
/// MiB that proving the data of a batch takes, with both circuits' keys in memory, with the same margin.
pub(crate) const DATA_MEMORY_MB: u64 = 2_048;
/// MiB that joining two proofs takes: 2,541 were measured, and the keys of chunks and data may be in memory beside it.
pub(crate) const JOIN_MEMORY_MB: u64 = 4_096;
/// MiB that closing a batch takes, the same way: 2,541 at most.
pub(crate) const CLOSE_MEMORY_MB: u64 = 4_096;
/// MiB that a final proof takes: 4,672 were measured, and the same keys may be beside it.
pub(crate) const FINISH_MEMORY_MB: u64 = 6_144;

/// MiB that a worker needs for a kind of job.
fn memory_mb(kind: JobKind) -> u64 {
    match kind {
        JobKind::Chunk => CHUNK_MEMORY_MB,
        JobKind::Data => DATA_MEMORY_MB,
        JobKind::Join => JOIN_MEMORY_MB,
        JobKind::Close => CLOSE_MEMORY_MB,
        JobKind::Finish => FINISH_MEMORY_MB,
    }
}

/// Arguments of `quorate prover`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ProverArgs {
    #[command(subcommand)]
    command: Option<ProverCommand>,
    /// URL of a node's proof queue [default: http://127.0.0.1:8546]
    #[arg(long, value_name = "URL")]
    jobs: Option<String>,
    /// NATS server to take jobs from, for example nats://127.0.0.1:4222; --jobs is not asked then
    #[arg(long, value_name = "URL", conflicts_with = "jobs")]
    nats: Option<String>,
    /// Where the token is that the NATS server asks for: file:PATH or env:NAME
    #[arg(long, value_name = "SOURCE")]
    nats_token: Option<String>,
    /// Name of this worker, unique among the node's workers
    #[arg(long)]
    name: Option<String>,
    /// Memory it may use, in MiB [default: what is available]
    #[arg(long, value_name = "MIB")]
    memory_mb: Option<u64>,
    /// Threads [default: all of the machine's]
    #[arg(long)]
    threads: Option<usize>,
    /// Kinds of jobs it takes: chunk, data, join, close, finish [default: all that fit the memory; finish only with --prover-id]
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    kinds: Option<Vec<JobKind>>,
    /// Address that the base layer rewards for final proofs made here; without one this worker makes none
    #[arg(long, value_name = "ADDRESS")]
    prover_id: Option<String>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Prove under the INSECURE development string: for development chains only
    #[arg(long)]
    dev: bool,
    /// Make or check the keys in the cache, then exit: those of chunks and data, with --kinds finish also the six of
    /// aggregation, which take minutes and 4 GiB of disk
    #[arg(long)]
    keys_only: bool,
    /// Stop when stdin ends: for a parent process that holds its other end
    #[arg(long, hide = true)]
    stop_with_parent: bool,
}

#[derive(Debug, Subcommand)]
enum ProverCommand {
    /// Prove a full chunk a few times: rate, peak memory, and what fits this machine
    Bench(bench::BenchArgs),
}

impl ProverArgs {
    /// Whether it works for a queue, and does not only measure.
    pub(crate) fn is_worker(&self) -> bool {
        self.command.is_none()
    }
}

#[derive(Serialize)]
struct KeysReady {
    cache: PathBuf,
    reference_string: String,
    from_cache: bool,
    chunk_key: String,
    data_key: String,
}

#[derive(Serialize)]
struct Report {
    worker: String,
    accepted: u32,
    duplicate: u32,
    kept: u32,
    failed: u32,
}

/// Runs the command.
///
/// # Errors
/// `Usage` if nothing fits the memory, else why there are no keys or why the worker gave up.
pub(crate) fn run(args: ProverArgs, sources: &Sources, output: Output) -> Outcome {
    if let Some(ProverCommand::Bench(args)) = args.command {
        return bench::run(args, sources, output);
    }
    let settings = sources.load([
        flag("nats.url", args.nats),
        flag("nats.token", args.nats_token),
        flag("prover.jobs", args.jobs),
        flag("prover.name", args.name),
        flag("prover.memory_mb", args.memory_mb),
        flag("prover.threads", args.threads),
        flag("prover.cache", args.cache),
        flag("prover.kinds", args.kinds),
        flag("prover.prover_id", args.prover_id),
    ])?;
    let nats = settings.nats.parse()?;
    let settings = settings.prover;
    // Before minutes of work: a worker that fits no job says so at once.
    let info = worker_info(&settings, process::available_memory_mb());
    let info = if args.keys_only { None } else { Some(info?) };
    let prover_id = prover_id(settings.prover_id.as_deref())?;
    let stop = CancellationToken::new();
    if args.stop_with_parent {
        process::stop_with_parent(&stop);
    }
    limit_threads(settings.threads)?;
    let cache = settings.cache.unwrap_or_else(files::cache);
    let prover = load(&cache, args.dev)?;
    let reference_string = keys::string_kind(args.dev).to_string();
    let tree = Tree {
        protocols: [CircuitName::Chunk, CircuitName::Data].map(|name| prover.inner_protocol(name)),
        cache: cache.clone(),
        dev: args.dev,
        prover_id,
    };
    let Some(info) = info else {
        // Printed before they are judged: a changed circuit's new digests are what its author wants to see.
        show_keys(&cache, &reference_string, &prover, output);
        keys::store(&cache, &prover, &reference_string)?;
        let kinds = settings.kinds.unwrap_or_default();
        if kinds.into_iter().any(JobKind::is_aggregation) {
            drop(prover);
            tree.load().map_err(|error| {
                let todo = "check space, memory and permissions: quorate doctor";
                CliError::new(
                    Exit::Unavailable,
                    "there are no keys of aggregation",
                    error,
                    todo,
                )
            })?;
        }
        return Ok(Exit::Success);
    };
    keys::store(&cache, &prover, &reference_string)?;
    let name = info.name.clone();
    // a worker that only aggregates needs the memory for that
    let is_single = info.kinds.iter().any(|kind| !kind.is_aggregation());
    let prover = Provers::new(is_single.then_some(prover), Box::new(move || tree.load()));
    let place = match nats {
        Some(nats) => Place::Nats(nats),
        None => Place::Http(settings.jobs),
    };
    let report = work(&place, prover, &WorkerConfig::new(info), &stop)?;
    let WorkerReport {
        accepted,
        duplicate,
        kept,
        failed,
    } = report;
    output.data(
        &Report {
            worker: name,
            accepted,
            duplicate,
            kept,
            failed,
        },
        |report| {
            format!(
                "{}: {} proofs accepted, {} too late, {} kept for a node that was away, {} jobs given back\n",
                report.worker, report.accepted, report.duplicate, report.kept, report.failed
            )
        },
    );
    Ok(Exit::Success)
}

/// How the keys of aggregation are loaded, when they are needed.
struct Tree {
    protocols: [circuits::aggregation::Protocol; 2],
    cache: PathBuf,
    dev: bool,
    prover_id: L1Address,
}

impl Tree {
    fn load(&self) -> Result<AggregationProver, JobError> {
        tracing::info!("loading the keys of aggregation; making them takes minutes, once");
        let kind = keys::string_kind(self.dev);
        let [chunk, data] = self.protocols.clone();
        let aggregator = Aggregator::load(&self.cache, kind, (chunk, data))?;
        keys::check_aggregator(&aggregator, &kind.to_string()).map_err(JobError::Internal)?;
        Ok(AggregationProver {
            aggregator,
            prover_id: self.prover_id,
        })
    }
}

/// A kind of job by its name.
fn kind(name: &str) -> Result<JobKind, String> {
    let found = JobKind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| format!("one of {}", JobKind::ALL.map(JobKind::name).join(", ")))
}

/// Who is rewarded: nobody without an address, and then no final proof is made.
fn prover_id(text: Option<&str>) -> Result<L1Address, CliError> {
    let Some(text) = text else {
        return Ok(L1Address([0; 20]));
    };
    let todo = "give 0x and 40 lower-case hex digits of an address that you own";
    let address = AddressText(text.to_owned()).parse().map_err(|error| {
        let what = format!("{text:?} is no address");
        CliError::new(Exit::Usage, what, error, todo)
    })?;
    if address == L1Address::ZERO {
        let why = "the base layer refuses proofs that reward the zero address";
        return Err(CliError::new(
            Exit::Usage,
            "nobody would be rewarded",
            why,
            todo,
        ));
    }
    Ok(address)
}

/// What the queue is told: only kinds of jobs that fit the memory.
fn worker_info(settings: &ProverSettings, available: Option<u64>) -> Result<WorkerInfo, CliError> {
    let mib = settings.memory_mb.or(available).unwrap_or(CHUNK_MEMORY_MB);
    let is_rewarded = settings.prover_id.is_some();
    let without_finish: Vec<JobKind> = JobKind::ALL
        .into_iter()
        .filter(|kind| is_rewarded || *kind != JobKind::Finish)
        .collect();
    let wish = settings.kinds.as_deref().unwrap_or(&without_finish);
    if wish.contains(&JobKind::Finish) && !is_rewarded {
        let what = "--prover-id is missing";
        let why =
            "a final proof names who is rewarded, and the base layer refuses one that names nobody";
        let todo = "give --prover-id with an address, or leave finish out of --kinds";
        return Err(CliError::new(Exit::Usage, what, why, todo));
    }
    let (kinds, others): (Vec<JobKind>, Vec<JobKind>) = JobKind::ALL
        .into_iter()
        .filter(|kind| wish.contains(kind))
        .partition(|kind| mib >= memory_mb(*kind));
    // who has named kinds wants all of them
    let is_lacking = settings.kinds.is_some() && !others.is_empty();
    if kinds.is_empty() || is_lacking {
        let needs: Vec<String> = others
            .iter()
            .map(|kind| format!("{} takes {} MiB", kind.name(), memory_mb(*kind)))
            .collect();
        let why = if needs.is_empty() {
            "the list of kinds is empty".to_owned()
        } else {
            needs.join(", ")
        };
        let what = match kinds.is_empty() {
            true => format!("no job fits {mib} MiB"),
            false => format!("not every kind that was named fits {mib} MiB"),
        };
        return Err(CliError::new(
            Exit::Usage,
            what,
            why,
            "free memory, use a larger machine, or name other kinds",
        ));
    }
    let name = settings
        .name
        .clone()
        .unwrap_or_else(|| format!("worker-{}", std::process::id()));
    Ok(WorkerInfo {
        name,
        memory_mb: mib,
        kinds,
    })
}

/// Has proofs made by so many threads; by all of the machine's without a number.
fn limit_threads(threads: Option<usize>) -> Result<(), CliError> {
    let Some(threads) = threads else {
        return Ok(());
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| {
            let what = format!("cannot use {threads} threads");
            CliError::new(
                Exit::Usage,
                what,
                error,
                "use fewer, or leave --threads out",
            )
        })
}

/// Loads keys, or makes them.
fn load(cache: &Path, dev: bool) -> Result<Prover, CliError> {
    let kind = keys::string_kind(dev);
    if dev {
        tracing::warn!(
            "INSECURE: proving under the development string; anybody can forge such proofs"
        );
    }
    let prover = Prover::load(cache, kind).map_err(|error| {
        let todo = if dev {
            "check space and permissions of the cache: quorate doctor"
        } else {
            "quorate srs import FILE puts a ceremony's string there (prover/CEREMONY.md), or pass --dev on a development chain"
        };
        CliError::new(Exit::Unavailable, "the prover cannot load its keys", error, todo)
    })?;
    Ok(prover)
}

fn show_keys(cache: &Path, reference_string: &str, prover: &Prover, output: Output) {
    let digest = |kind| format!("0x{}", hex::encode(prover.description(kind).digest()));
    let ready = KeysReady {
        cache: cache.to_path_buf(),
        reference_string: reference_string.to_owned(),
        from_cache: prover.is_from_cache(),
        chunk_key: digest(CircuitName::Chunk),
        data_key: digest(CircuitName::Data),
    };
    output.data(&ready, |ready| {
        pairs(&[
            ("cache", ready.cache.display().to_string()),
            ("reference string", ready.reference_string.clone()),
            ("chunk key", ready.chunk_key.clone()),
            ("data key", ready.data_key.clone()),
        ])
    });
}

/// Where jobs come from.
enum Place {
    /// A node's own address.
    Http(String),
    /// A NATS server with nodes behind it.
    Nats(NatsConfig),
}

fn work(
    place: &Place,
    prover: impl JobProver,
    config: &WorkerConfig,
    stop: &CancellationToken,
) -> Result<WorkerReport, CliError> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        let todo = "check the limits of this process (ulimit -a)";
        CliError::new(Exit::Unavailable, "cannot start a runtime", error, todo)
    })?;
    let worked = runtime.block_on(async {
        process::stop_on_signal(stop)?;
        let prover = Arc::new(prover);
        let memory_mb = config.info.memory_mb;
        match place {
            Place::Http(url) => {
                tracing::info!(
                    url,
                    worker = config.info.name,
                    memory_mb,
                    "waiting for jobs"
                );
                let queue = RemoteQueue::new(url).map_err(|error| {
                    let what = format!("{url:?} is not the URL of a proof queue");
                    let todo = "use a form like http://127.0.0.1:8546";
                    CliError::new(Exit::Usage, what, error, todo)
                })?;
                run_on(&queue, prover, config, stop).await
            }
            Place::Nats(nats) => {
                let url = nats.url();
                tracing::info!(
                    url,
                    worker = config.info.name,
                    memory_mb,
                    "waiting for jobs"
                );
                let queue = NatsQueue::connect(nats).await.map_err(|error| {
                    let what = format!("no connection to {url}");
                    let todo = "check nats.url and nats.token";
                    CliError::new(Exit::Unavailable, what, error, todo)
                })?;
                run_on(&queue, prover, config, stop).await
            }
        }
    });
    // A proof that is being made cannot be interrupted; the process takes it along.
    runtime.shutdown_background();
    worked
}

/// Works for one queue until it is asked to stop.
async fn run_on<Q: JobQueue, P: JobProver>(
    queue: &Q,
    prover: Arc<P>,
    config: &WorkerConfig,
    stop: &CancellationToken,
) -> Result<WorkerReport, CliError> {
    run_worker(queue, prover, config, stop)
        .await
        .map_err(|error| {
            let exit = match error {
                WorkerError::InvalidWorker(_) => Exit::Usage,
                WorkerError::Rejected { .. } => Exit::Version,
                WorkerError::Failing { .. } => Exit::Bug,
            };
            let todo =
                "compare this program's version with the node's; the log above has each failure";
            CliError::new(exit, "the worker gave up", error, todo)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jobs_that_fit_are_asked_for() {
        let asked = |memory_mb, kinds: Option<&[JobKind]>| {
            worker_info(
                &ProverSettings {
                    memory_mb,
                    kinds: kinds.map(<[JobKind]>::to_vec),
                    prover_id: Some(L1Address([1; 20]).to_string()),
                    ..Default::default()
                },
                Some(FINISH_MEMORY_MB),
            )
        };
        let with = |memory_mb| asked(memory_mb, None);
        assert_eq!(with(None).expect("fits").kinds, JobKind::ALL);
        let less = with(Some(FINISH_MEMORY_MB - 1)).expect("fits").kinds;
        assert_eq!(less, JobKind::ALL[..4]);
        assert_eq!(
            with(Some(CHUNK_MEMORY_MB)).expect("fits").kinds,
            [JobKind::Chunk, JobKind::Data]
        );
        let named = [JobKind::Finish, JobKind::Data];
        let both = asked(None, Some(&named)).expect("fits").kinds;
        assert_eq!(both, [JobKind::Data, JobKind::Finish]);
        let lacking = asked(Some(CHUNK_MEMORY_MB), Some(&named));
        assert_eq!(lacking.expect_err("no room").exit, Exit::Usage);
        let none = asked(None, Some(&[]));
        assert_eq!(none.expect_err("no kinds").exit, Exit::Usage);
        assert_eq!(
            with(Some(DATA_MEMORY_MB)).expect("fits").kinds,
            [JobKind::Data]
        );
        assert_eq!(with(Some(10)).expect_err("nothing fits").exit, Exit::Usage);
        // nobody to reward: no final proofs, and an error if they were asked for by name
        let nobody = |kinds: Option<Vec<JobKind>>| {
            let settings = ProverSettings {
                kinds,
                ..Default::default()
            };
            worker_info(&settings, Some(FINISH_MEMORY_MB))
        };
        assert_eq!(nobody(None).expect("fits").kinds, JobKind::ALL[..4]);
        let named = nobody(Some(named.to_vec())).expect_err("nobody is rewarded");
        assert_eq!(
            (named.exit, named.what.as_str()),
            (Exit::Usage, "--prover-id is missing")
        );
    }

    #[test]
    fn nobody_is_rewarded_unless_an_address_is_named() {
        assert_eq!(prover_id(None).ok(), Some(L1Address([0; 20])));
        let address = L1Address([0xa5; 20]);
        assert_eq!(prover_id(Some(&address.to_string())).ok(), Some(address));
        let zero = L1Address::ZERO.to_string();
        for text in ["", "a5", "0xA5", "0x00", zero.as_str()] {
            let error = prover_id(Some(text)).expect_err("no address");
            assert_eq!(error.exit, Exit::Usage, "{text}");
        }
        assert_eq!(kind("join"), Ok(JobKind::Join));
        assert!(kind("chunks").is_err());
    }
}
