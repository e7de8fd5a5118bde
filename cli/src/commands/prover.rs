//! `quorate prover`: a worker that leases jobs of a node, proves them, checks its own proofs and hands them in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::jobs::{JobKind, RemoteQueue, WorkerInfo};
use clap::Args;
use prover::Prover;
use prover::worker::{WorkerConfig, WorkerError, WorkerReport, run_worker};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::{ProverSettings, Sources, flag};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::{files, keys, process};

/// MiB that proving a chunk takes: 1.6 times what was measured (1,094 MiB in the demo, both circuits' keys in memory).
pub(crate) const CHUNK_MEMORY_MB: u64 = 1_792;
/// MiB that proving the data of a batch takes, with both circuits' keys in memory, with the same margin.
pub(crate) const DATA_MEMORY_MB: u64 = 1_152;

/// Arguments of `quorate prover`.
#[derive(Debug, Args)]
pub(crate) struct ProverArgs {
    /// URL of a node's proof queue [default: http://127.0.0.1:8546]
    #[arg(long, value_name = "URL")]
    jobs: Option<String>,
    /// Name of this worker, unique among the node's workers
    #[arg(long)]
    name: Option<String>,
    /// Memory it may use, in MiB [default: what is available]
    #[arg(long, value_name = "MIB")]
    memory_mb: Option<u64>,
    /// Threads [default: all of the machine's]
    #[arg(long)]
    threads: Option<usize>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Prove under the INSECURE development string: for development chains only
    #[arg(long)]
    dev: bool,
    /// Make or check the keys in the cache, then exit
    #[arg(long)]
    keys_only: bool,
    /// Stop when stdin ends: for a parent process that holds its other end
    #[arg(long, hide = true)]
    stop_with_parent: bool,
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
    failed: u32,
}

/// Runs the command.
///
/// # Errors
/// `Usage` if nothing fits the memory, else why there are no keys or why the worker gave up.
pub(crate) fn run(args: ProverArgs, sources: &Sources, output: Output) -> Outcome {
    let settings = sources
        .load([
            flag("prover.jobs", args.jobs),
            flag("prover.name", args.name),
            flag("prover.memory_mb", args.memory_mb),
            flag("prover.threads", args.threads),
            flag("prover.cache", args.cache),
        ])?
        .prover;
    // Before minutes of work: a worker that fits no job says so at once.
    let info = worker_info(&settings, process::available_memory_mb());
    let info = if args.keys_only { None } else { Some(info?) };
    let stop = CancellationToken::new();
    if args.stop_with_parent {
        process::stop_with_parent(&stop);
    }
    if let Some(threads) = settings.threads {
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
            })?;
    }
    let cache = settings.cache.unwrap_or_else(files::cache);
    let prover = load(&cache, args.dev)?;
    let reference_string = keys::string_kind(args.dev).to_string();
    let Some(info) = info else {
        // Printed before they are judged: a changed circuit's new digests are what its author wants to see.
        show_keys(&cache, &reference_string, &prover, output);
        keys::store(&cache, &prover, &reference_string)?;
        return Ok(Exit::Success);
    };
    keys::store(&cache, &prover, &reference_string)?;
    let name = info.name.clone();
    let report = work(&settings.jobs, prover, &WorkerConfig::new(info), &stop)?;
    let WorkerReport {
        accepted,
        duplicate,
        failed,
    } = report;
    output.data(
        &Report {
            worker: name,
            accepted,
            duplicate,
            failed,
        },
        |report| {
            format!(
                "{}: {} proofs accepted, {} too late, {} jobs given back\n",
                report.worker, report.accepted, report.duplicate, report.failed
            )
        },
    );
    Ok(Exit::Success)
}

/// What the queue is told: only kinds of jobs that fit the memory.
fn worker_info(settings: &ProverSettings, available: Option<u64>) -> Result<WorkerInfo, CliError> {
    let memory_mb = settings.memory_mb.or(available).unwrap_or(CHUNK_MEMORY_MB);
    let needs = [
        (JobKind::Chunk, CHUNK_MEMORY_MB),
        (JobKind::Data, DATA_MEMORY_MB),
    ];
    let kinds: Vec<JobKind> = needs
        .into_iter()
        .filter(|(_, needed)| memory_mb >= *needed)
        .map(|(kind, _)| kind)
        .collect();
    if kinds.is_empty() {
        let why =
            format!("a chunk takes {CHUNK_MEMORY_MB} MiB and the data of a batch {DATA_MEMORY_MB}");
        let what = format!("no job fits {memory_mb} MiB");
        return Err(CliError::new(
            Exit::Usage,
            what,
            why,
            "free memory, or use a larger machine",
        ));
    }
    let name = settings
        .name
        .clone()
        .unwrap_or_else(|| format!("worker-{}", std::process::id()));
    Ok(WorkerInfo {
        name,
        memory_mb,
        kinds,
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
            "import a ceremony file into the cache (prover/CEREMONY.md), or pass --dev on a development chain"
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
        chunk_key: digest(JobKind::Chunk),
        data_key: digest(JobKind::Data),
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

fn work(
    url: &str,
    prover: Prover,
    config: &WorkerConfig,
    stop: &CancellationToken,
) -> Result<WorkerReport, CliError> {
    let queue = RemoteQueue::new(url).map_err(|error| {
        let what = format!("{url:?} is not the URL of a proof queue");
        CliError::new(
            Exit::Usage,
            what,
            error,
            "use a form like http://127.0.0.1:8546",
        )
    })?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        let todo = "check the limits of this process (ulimit -a)";
        CliError::new(Exit::Unavailable, "cannot start a runtime", error, todo)
    })?;
    let worked = runtime.block_on(async {
        process::stop_on_signal(stop)?;
        tracing::info!(url, worker = config.info.name, memory_mb = config.info.memory_mb, "waiting for jobs");
        run_worker(&queue, Arc::new(prover), config, stop).await.map_err(|error| {
            let exit = match error {
                WorkerError::InvalidWorker(_) => Exit::Usage,
                WorkerError::Rejected { .. } => Exit::Version,
                WorkerError::Failing { .. } => Exit::Bug,
            };
            let todo = "compare this program's version with the node's; the log above has each failure";
            CliError::new(exit, "the worker gave up", error, todo)
        })
    });
    // A proof that is being made cannot be interrupted; the process takes it along.
    runtime.shutdown_background();
    worked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jobs_that_fit_are_asked_for() {
        let with = |memory_mb| {
            worker_info(
                &ProverSettings {
                    memory_mb,
                    ..Default::default()
                },
                Some(9_999),
            )
        };
        assert_eq!(
            with(None).expect("fits").kinds,
            [JobKind::Chunk, JobKind::Data]
        );
        assert_eq!(
            with(Some(DATA_MEMORY_MB)).expect("fits").kinds,
            [JobKind::Data]
        );
        assert_eq!(with(Some(10)).expect_err("nothing fits").exit, Exit::Usage);
    }
}
