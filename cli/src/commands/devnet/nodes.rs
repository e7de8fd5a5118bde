//! The validators' nodes as child processes: `quorate sequencer` with its own key, data, ports and log each.
//!
//! They are in process groups of their own, so Ctrl-C reaches the devnet alone, which asks them to stop; the pipe to
//! their stdin ends with the devnet however that ends, and then they stop, too. A node that dies is not started again:
//! the first one ends the devnet, and its last words are the error.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures::future::{join_all, select_all, try_join_all};
use protocol::number::LeafIndex;
use rand::rngs::OsRng;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use super::base_layer::{POLL, POSTER_KEY};
use super::ports::{self, Reach};
use crate::commands::sequencer::Running;
use crate::exit::{CliError, Exit};
use crate::{development, files, process};

/// Longest a node may take from its start to serving: it opens its database and executes nothing twice.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(60);
/// Choices of ports before the devnet gives up.
const PORT_CHOICES_MAX: u32 = 3;
/// Bytes of the line in which a node says where it serves.
pub(super) const ANNOUNCEMENT_BYTES_MAX: u64 = 1 << 16;
/// Bytes of a log that are looked at for its last lines.
const TAIL_BYTES: u64 = 8_192;
/// Last lines of a dead node's log that are shown.
const TAIL_LINES: usize = 12;
/// The node's words for a port that something else holds; the address follows.
const PORT_TAKEN: &str = "cannot listen on";

/// What the nodes are started with.
pub(super) struct NodesPlan<'a> {
    /// File of the chain's genesis; its validators are the first development validators.
    pub(super) genesis_file: PathBuf,
    /// Directory of the devnet; node i lives in `node-i`.
    pub(super) home: &'a Path,
    /// Directory of strings and keys, which hold the descriptions already.
    pub(super) cache: &'a Path,
    /// Log level.
    pub(super) level: &'a str,
    /// Number of validators.
    pub(super) count: u32,
    /// Ports of RPC and proof queue of node 0; those of the others are free ones.
    pub(super) ports: (u16, u16),
    /// First of the ports by which the validators reach each other; free ones without it.
    pub(super) base_port: Option<u16>,
    /// Leaves where the validators are paid for their blocks; none without builders.
    pub(super) bid_leaves: &'a [LeafIndex],
    /// Whether batches are aggregated.
    pub(super) aggregate: bool,
    /// URL of the base layer's node and the deployment file, if there is one; node 0 posts.
    pub(super) base_layer: Option<(&'a str, &'a Path)>,
}

/// Where a node is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Endpoints {
    /// URL of its RPC.
    pub(super) rpc: String,
    /// URL of its proof queue.
    pub(super) jobs: String,
    /// Address of its consensus engine.
    pub(super) engine: String,
    /// Address of its gossip.
    pub(super) gossip: String,
    /// Address of its key.
    pub(super) validator: String,
    /// Its directory: key, database and log.
    pub(super) directory: PathBuf,
    /// Its log.
    pub(super) log: PathBuf,
}

/// One child process.
struct Member {
    number: u32,
    command: Command,
    child: Child,
    log: PathBuf,
    /// Waiting for the child would close it, and the child would take this process for dead.
    _stdin: Option<ChildStdin>,
    /// Kept open: a node that announces itself must find a reader.
    stdout: Option<BufReader<ChildStdout>>,
}

/// The running nodes.
pub(super) struct Nodes {
    members: Vec<Member>,
    endpoints: Vec<Endpoints>,
}

/// Starts all nodes and waits until each serves.
///
/// # Errors
/// The first failure, with the end of that node's log; nothing is left running.
pub(super) async fn start(
    plan: &NodesPlan<'_>,
    stop: &CancellationToken,
) -> Result<Nodes, CliError> {
    let mut choice = 1;
    loop {
        let reaches = match plan.base_port {
            Some(base) => ports::from_base(base, plan.count)?,
            None => ports::free(plan.count, &mut OsRng)?,
        };
        let mut nodes = Nodes {
            members: Vec::new(),
            endpoints: Vec::new(),
        };
        let started = tokio::select! {
            started = nodes.start_all(plan, &reaches) => started,
            () = stop.cancelled() => Err(CliError::new(
                Exit::Unavailable, "the devnet did not start", "it was asked to stop", "start it again",
            )),
        };
        let Err(error) = started else {
            return Ok(nodes);
        };
        // The first failure says why; how the others end adds nothing.
        let _ = nodes.end().await;
        let is_port_taken = plan.base_port.is_none()
            && reaches
                .iter()
                .flat_map(|reach| [reach.engine, reach.gossip])
                .any(|address| error.why.contains(&format!("{PORT_TAKEN} {address}")));
        if !is_port_taken || choice == PORT_CHOICES_MAX || stop.is_cancelled() {
            return Err(error);
        }
        choice += 1;
        tracing::warn!(%error, "a port was taken between choice and use; choosing others");
    }
}

impl Nodes {
    /// Where the nodes are, by number.
    pub(super) fn endpoints(&self) -> &[Endpoints] {
        &self.endpoints
    }

    async fn start_all(&mut self, plan: &NodesPlan<'_>, reaches: &[Reach]) -> Result<(), CliError> {
        let program = std::env::current_exe().map_err(|error| {
            let what = "cannot find this program to start nodes";
            let todo = "start quorate sequencer by hand";
            CliError::new(Exit::Unavailable, what, error, todo)
        })?;
        for number in 0..plan.count {
            self.members
                .push(Member::spawn(&program, plan, reaches, number)?);
        }
        let serving = self.members.iter_mut().map(Member::serving);
        let running = try_join_all(serving).await?;
        let members = self.members.iter().zip(reaches).zip(running);
        self.endpoints = members
            .map(|((member, reach), running)| Endpoints {
                rpc: running.rpc,
                jobs: running.jobs,
                engine: reach.engine.to_string(),
                gossip: reach.gossip.to_string(),
                validator: development::validator(member.number).address().to_string(),
                directory: directory(plan.home, member.number),
                log: member.log.clone(),
            })
            .collect();
        Ok(())
    }

    /// Resolves when a node ends, which none should: why it did.
    pub(super) async fn failed(&mut self) -> CliError {
        let waits = self.members.iter_mut().map(|member| {
            Box::pin(async move {
                let ended = member.child.wait().await;
                member.death(&ended)
            })
        });
        select_all(waits).await.0
    }

    /// Asks every node to stop, and waits until all have; kills those that do not.
    ///
    /// # Errors
    /// The first node that did not end in an orderly way.
    pub(super) async fn end(self) -> Result<(), CliError> {
        let ends = self.members.into_iter().map(|member| async move {
            let Member {
                number,
                command,
                child,
                log,
                ..
            } = member;
            match process::end(child, &command).await {
                Some(status) if !status.success() => Err(dead(number, &log, &status.to_string())),
                _ => Ok(()),
            }
        });
        join_all(ends).await.into_iter().collect()
    }
}

fn directory(home: &Path, number: u32) -> PathBuf {
    home.join(format!("node-{number}"))
}

impl Member {
    fn spawn(
        program: &Path,
        plan: &NodesPlan<'_>,
        reaches: &[Reach],
        number: u32,
    ) -> Result<Self, CliError> {
        let home = directory(plan.home, number);
        files::make_private_directory(&home)?;
        let key = home.join("validator.key");
        if !key.exists() {
            let digits = hex::encode(development::validator_scalar(number));
            files::create_private(&key, format!("{digits}\n").as_bytes())?;
        }
        let log = home.join("log");
        let file = File::create(&log).map_err(|error| CliError::unwritable(&log, error))?;
        let mut command = Command::new(program);
        command
            .args(["sequencer", "--dev", "--stop-with-parent"])
            .args(["--log", plan.level, "--genesis"])
            .arg(&plan.genesis_file)
            .arg("--data")
            .arg(home.join("data"))
            .arg("--cache")
            .arg(plan.cache)
            .arg("--validator-key")
            .arg(format!("file:{}", key.display()));
        let (rpc, jobs) = if number == 0 { plan.ports } else { (0, 0) };
        command.args(["--listen", &format!("127.0.0.1:{rpc}")]);
        command.args(["--jobs", &format!("127.0.0.1:{jobs}")]);
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(leaf) = plan.bid_leaves.get(place) {
            command.args(["--bid-leaf", &leaf.0.to_string()]);
        }
        if plan.aggregate {
            command.arg("--aggregate");
        }
        if let Some((url, deployment)) = plan.base_layer {
            command
                .args(["--base-layer", url, "--deployment"])
                .arg(deployment);
            let poll = POLL.as_millis().to_string();
            command.env("QUORATE__BASE_LAYER__POLL_MS", &poll);
            command.env(
                "QUORATE__BASE_LAYER__ORIGIN_DELAY_MS",
                (3 * POLL).as_millis().to_string(),
            );
            if number == 0 {
                command.args(["--poster-key", POSTER_KEY]);
            }
        }
        for (other, reach) in (0..).zip(reaches) {
            let (engine, gossip) = if other == number {
                ("--engine-listen", "--gossip-listen")
            } else {
                ("--engine-peer", "--gossip-peer")
            };
            command.args([engine, &reach.engine.to_string()]);
            command.args([gossip, &reach.gossip.to_string()]);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            let what = format!("cannot start node {number}");
            let todo = "check the limits of this process (ulimit -a)";
            CliError::new(Exit::Unavailable, what, error, todo)
        })?;
        Ok(Self {
            number,
            command,
            _stdin: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            child,
            log,
        })
    }

    /// Waits until it says where it serves.
    async fn serving(&mut self) -> Result<Running, CliError> {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().ok_or_else(|| {
            let what = "a node's output is read twice";
            CliError::new(Exit::Bug, what, "it starts once", "please report it")
        })?;
        let mut announcement = stdout.take(ANNOUNCEMENT_BYTES_MAX);
        let read = announcement.read_line(&mut line);
        let read = tokio::time::timeout(START_PATIENCE, read).await;
        match read {
            Err(_) => {
                let why = format!("it does not serve after {} s", START_PATIENCE.as_secs());
                Err(dead(self.number, &self.log, &why))
            }
            Ok(Ok(1..)) => serde_json::from_str(&line)
                .map_err(|error| dead(self.number, &self.log, &error.to_string())),
            Ok(_) => {
                let ended = self.child.wait().await;
                Err(self.death(&ended))
            }
        }
    }

    fn death(&self, ended: &std::io::Result<ExitStatus>) -> CliError {
        let why = ended
            .as_ref()
            .map_or_else(ToString::to_string, ToString::to_string);
        dead(self.number, &self.log, &why)
    }
}

/// A node's end as an error, with the last lines of its log.
fn dead(number: u32, log: &Path, why: &str) -> CliError {
    stopped(&format!("node {number}"), log, why)
}

/// A child's end as an error, with the last lines of its log.
pub(super) fn stopped(name: &str, log: &Path, why: &str) -> CliError {
    let tail = tail(log).unwrap_or_else(|error| format!("its log cannot be read: {error}"));
    CliError::new(
        Exit::Unavailable,
        format!("{name} stopped"),
        format!("{why}; the end of its log:\n{tail}"),
        "act on its last words; quorate doctor checks ports, disk and clock",
    )
}

/// The last lines of a file, by its last bytes.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_nodes_last_lines_are_its_error() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = directory.path().join("log");
        let lines: Vec<String> = (0..5_000).map(|line| format!("line {line}")).collect();
        std::fs::write(&log, lines.join("\n")).expect("write");
        let error = dead(3, &log, "exit status: 3");
        assert!(error.what.contains("node 3"), "{error}");
        assert!(error.why.ends_with("line 4999"), "{error}");
        assert_eq!(error.why.matches("line ").count(), TAIL_LINES);
        let absent = dead(0, &directory.path().join("absent"), "killed");
        assert!(absent.why.contains("cannot be read"), "{absent}");
    }
}
