//! Prover workers as child processes: started again when they die, ended with their parent.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::commands::prover::{CHUNK_MEMORY_MB, FINISH_MEMORY_MB};
use crate::development;
use crate::exit::{CliError, Exit};
use crate::process::{self, available_memory_mb};

/// A worker that lives shorter than this has failed to start.
const SHORT_LIFE: Duration = Duration::from_secs(60);
/// Failed starts in a row before the devnet gives up.
const FAILED_STARTS_MAX: u32 = 3;
/// Time before a worker is started again.
const RESTART_WAIT: Duration = Duration::from_secs(1);

/// The running workers.
pub(super) struct Crew {
    tasks: Mutex<Vec<JoinHandle<()>>>,
    failures: Mutex<mpsc::Receiver<CliError>>,
}

/// How to start a worker.
struct Recipe {
    program: PathBuf,
    jobs: String,
    cache: PathBuf,
    memory_mb: Option<u64>,
    name: String,
    level: String,
    /// Who is rewarded for final proofs, if they are made.
    prover_id: Option<String>,
}

impl Recipe {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args([
            "prover",
            "--dev",
            "--stop-with-parent",
            "--log",
            &self.level,
        ]);
        command
            .args(["--jobs", &self.jobs, "--name", &self.name, "--cache"])
            .arg(&self.cache);
        if let Some(memory_mb) = self.memory_mb {
            command.args(["--memory-mb", &memory_mb.to_string()]);
        }
        if let Some(prover_id) = &self.prover_id {
            command.args(["--prover-id", prover_id]);
        }
        // The pipe ends with this process, however it ends.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// Starts `count` workers that share the machine's memory.
pub(super) fn start(
    count: u32,
    jobs: &str,
    cache: &Path,
    level: &str,
    aggregate: bool,
    stop: &CancellationToken,
) -> Result<Crew, CliError> {
    let program = std::env::current_exe().map_err(|error| {
        let todo = "start quorate prover by hand";
        CliError::new(
            Exit::Unavailable,
            "cannot find this program to start workers",
            error,
            todo,
        )
    })?;
    let memory_mb = available_memory_mb().map(|mb| mb / u64::from(count.max(1)));
    let (needed, job) = match aggregate {
        true => (FINISH_MEMORY_MB, "a final proof"),
        false => (CHUNK_MEMORY_MB, "proving a chunk"),
    };
    if let Some(mb) = memory_mb.filter(|mb| count > 0 && *mb < needed) {
        let what = format!("{mb} MiB for each of {count} workers are too little");
        let why = format!("{job} takes {needed} MiB");
        let todo = "start fewer workers, or free memory; --workers 0 runs without proofs";
        return Err(CliError::new(Exit::Unavailable, what, why, todo));
    }
    let (failed, failures) = mpsc::channel(1);
    let tasks = (1..=count)
        .map(|number| {
            let recipe = Recipe {
                program: program.clone(),
                jobs: jobs.to_owned(),
                cache: cache.to_path_buf(),
                memory_mb,
                name: format!("devnet-{number}"),
                level: level.to_owned(),
                prover_id: aggregate.then(|| development::prover_id().to_string()),
            };
            tokio::spawn(keep(recipe, stop.clone(), failed.clone()))
        })
        .collect();
    Ok(Crew {
        tasks: Mutex::new(tasks),
        failures: Mutex::new(failures),
    })
}

/// Keeps one worker running until `stop`.
async fn keep(recipe: Recipe, stop: CancellationToken, failed: mpsc::Sender<CliError>) {
    let mut short_lives = 0;
    loop {
        let started = Instant::now();
        let mut command = recipe.command();
        let why = match command.spawn() {
            Err(error) => error.to_string(),
            Ok(mut child) => {
                // Waiting would close the pipe, and the child would take this process for dead.
                let _pipe = child.stdin.take();
                let ended = tokio::select! {
                    () = stop.cancelled() => None,
                    ended = child.wait() => Some(ended),
                };
                match ended {
                    None => {
                        // It was asked to stop; what it says of it stands in its log.
                        let _ = process::end(child, &command).await;
                        return;
                    }
                    Some(Ok(status)) => status.to_string(),
                    Some(Err(error)) => error.to_string(),
                }
            }
        };
        if stop.is_cancelled() {
            return;
        }
        short_lives = if started.elapsed() < SHORT_LIFE {
            short_lives + 1
        } else {
            0
        };
        tracing::warn!(
            worker = recipe.name,
            why,
            "a prover worker ended; starting it again"
        );
        if short_lives >= FAILED_STARTS_MAX {
            let what = format!(
                "prover {} ended {short_lives} times soon after its start",
                recipe.name
            );
            let error = CliError::new(
                Exit::Unavailable,
                what,
                why,
                "its messages stand above; quorate doctor checks memory, disk and cache",
            );
            // The first failure ends the devnet; later ones say nothing new.
            let _ = failed.try_send(error);
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RESTART_WAIT) => {}
        }
    }
}

impl Crew {
    /// Resolves when a worker cannot be kept running; never if all can.
    pub(super) async fn failed(&self) -> CliError {
        match self.failures.lock().await.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Waits until every worker has ended; `stop` must have been cancelled.
    pub(super) async fn end(&self) {
        for task in self.tasks.lock().await.drain(..) {
            // A task that panicked has ended the process.
            let _ = task.await;
        }
    }
}
