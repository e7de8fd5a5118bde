//! Processes: memory as Linux reports it, signals that ask to stop, and children that do not outlive their parent.

use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{CliError, Exit};

/// How long a child may take to stop before it is killed.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// Time between two looks at memory.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// One number of a file of lines `Name:  123 kB`, in MiB.
fn field_mb(path: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1_024)
}

/// Memory of this machine that could be used now, in MiB; nothing where Linux does not say.
pub(crate) fn available_memory_mb() -> Option<u64> {
    field_mb(Path::new("/proc/meminfo"), "MemAvailable")
}

/// The most memory that this process has had, in MiB; nothing where Linux does not say.
pub(crate) fn peak_memory_mb() -> Option<u64> {
    field_mb(Path::new("/proc/self/status"), "VmHWM")
}

/// Resident memory of a process, in MiB.
fn resident_mb(pid: u32) -> Option<u64> {
    field_mb(Path::new(&format!("/proc/{pid}/status")), "VmRSS")
}

/// Children of this process, whichever of its threads started them.
fn children() -> Vec<u32> {
    let threads = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|number| number.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

/// The largest sum of resident memory of this process and its children, sampled four times a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeakMemory(Arc<AtomicU64>);

impl PeakMemory {
    /// Samples until `stop`.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        loop {
            let own = std::process::id();
            let sum = std::iter::once(own)
                .chain(children())
                .filter_map(resident_mb)
                .sum();
            self.0.fetch_max(sum, Ordering::Relaxed);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SAMPLE_INTERVAL) => {}
            }
        }
    }

    /// The peak so far, in MiB.
    pub(crate) fn mb(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Cancels `stop` at the first SIGINT or SIGTERM, and ends the process at the second.
///
/// # Errors
/// `Unavailable` if the system refuses signal handlers.
pub(crate) fn stop_on_signal(stop: &CancellationToken) -> Result<(), CliError> {
    let refused = |error: std::io::Error| {
        let what = "cannot listen for signals";
        CliError::new(
            Exit::Unavailable,
            what,
            error,
            "check the limits of this process (ulimit -a)",
        )
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        next().await;
        tracing::info!("stopping; a second signal ends the process at once");
        stop.cancel();
        next().await;
        std::process::exit(i32::from(Exit::Unavailable.code()));
    });
    Ok(())
}

/// Cancels `stop` when stdin ends: the parent holds its other end, and is gone then, however it died.
pub(crate) fn stop_with_parent(stop: &CancellationToken) {
    let stop = stop.clone();
    std::thread::spawn(move || {
        let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        tracing::info!(?ended, "the parent process is gone; stopping");
        stop.cancel();
    });
}

/// Asks a child to stop, and kills it if it does not; how it ended, unless that was seen before.
pub(crate) async fn end(mut child: Child, command: &Command) -> Option<ExitStatus> {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok())?;
    // Fails only if the child is gone.
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    if let Ok(ended) = tokio::time::timeout(STOP_PATIENCE, child.wait()).await {
        return ended.ok();
    }
    tracing::warn!(pid, program = ?command.as_std().get_program(), "a child did not stop in time; killing it");
    let _ = child.kill().await;
    child.try_wait().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_this_process_is_seen() {
        assert!(available_memory_mb().is_some_and(|mb| mb > 0));
        assert!(resident_mb(std::process::id()).is_some());
        assert_eq!(resident_mb(u32::MAX), None);
        assert!(peak_memory_mb() >= resident_mb(std::process::id()));
    }
}
