//! The builders of a devnet as child processes: `quorate builder` with its own keys, data and log each.
//!
//! The chain does not need them: one that dies is reported and not started again, and blocks go on without it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures::future::join_all;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::base_layer::POLL;
use super::nodes::{ANNOUNCEMENT_BYTES_MAX, Endpoints, START_PATIENCE, stopped};
use crate::commands::builder::Running;
use crate::development::{Market, builder_scalar, collateral_key};
use crate::exit::{CliError, Exit};
use crate::{files, process};

/// How each builder orders operations, and what share of the fees it bids in percent: two ways, in turn.
const WAYS: [(&str, &str); 2] = [("highest-fee", "90"), ("first-come", "80")];

/// What the builders are started with.
pub(super) struct BuildersPlan<'a> {
    /// File of the chain's genesis.
    pub(super) genesis_file: &'a Path,
    /// Directory of the devnet; builder i lives in `builder-i`.
    pub(super) home: &'a Path,
    /// Directory of strings and keys.
    pub(super) cache: &'a Path,
    /// Log level.
    pub(super) level: &'a str,
    /// The leaves.
    pub(super) market: &'a Market,
    /// Where the validators are.
    pub(super) nodes: &'a [Endpoints],
    /// URL of the base layer's node and the deployment file, if there is one.
    pub(super) base_layer: Option<(&'a str, &'a Path)>,
}

struct Member {
    command: Command,
    child: Child,
    log: PathBuf,
    stdout: Option<BufReader<ChildStdout>>,
    /// The child takes this process for dead when it closes.
    _stdin: Option<ChildStdin>,
}

/// The running builders.
#[derive(Default)]
pub(super) struct Builders(Vec<Member>);

/// Starts all builders; they bid once they have caught up.
///
/// # Errors
/// Why a process could not be started.
pub(super) fn start(plan: &BuildersPlan<'_>) -> Result<Builders, CliError> {
    let mut members = Vec::new();
    for index in 0..plan.market.builders.len() {
        members.push(spawn(plan, index)?);
    }
    Ok(Builders(members))
}

fn secret(path: PathBuf, bytes: &[u8; 32]) -> Result<String, CliError> {
    if !path.exists() {
        files::create_private(&path, format!("{}\n", hex::encode(bytes)).as_bytes())?;
    }
    Ok(format!("file:{}", path.display()))
}

fn spawn(plan: &BuildersPlan<'_>, index: usize) -> Result<Member, CliError> {
    let home = plan.home.join(format!("builder-{index}"));
    files::make_private_directory(&home)?;
    let number = u32::try_from(index).unwrap_or(u32::MAX);
    let key = secret(home.join("builder.key"), &builder_scalar(number))?;
    let seed = collateral_key(number).seed;
    let collateral = secret(home.join("collateral.key"), &seed)?;
    let (leaf, fees) = plan.market.builders[index];
    let (strategy, share) = WAYS[index % WAYS.len()];
    let log = home.join("log");
    let file = File::create(&log).map_err(|error| CliError::unwritable(&log, error))?;
    let failed = |error: std::io::Error| {
        let error = stopped(&format!("builder {index}"), &log, &error.to_string());
        CliError::new(Exit::Unavailable, error.what, error.why, error.todo)
    };
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command
        .args(["builder", "--dev", "--stop-with-parent"])
        .args(["--log", plan.level, "--genesis"])
        .arg(plan.genesis_file)
        .arg("--data")
        .arg(home.join("data"))
        .arg("--cache")
        .arg(plan.cache)
        .args(["--key", &key, "--collateral-key", &collateral])
        .args(["--collateral-leaf", &leaf.0.to_string()])
        .args(["--fee-leaf", &fees.0.to_string()])
        .args(["--strategy", strategy, "--share-percent", share])
        .args(["--listen", "127.0.0.1:0"]);
    if let Some((url, deployment)) = plan.base_layer {
        command
            .args(["--base-layer", url, "--deployment"])
            .arg(deployment);
        let poll = POLL.as_millis().to_string();
        command.env("QUORATE__BASE_LAYER__POLL_MS", poll);
    }
    for node in plan.nodes {
        command.args(["--engine-peer", &node.engine, "--gossip-peer", &node.gossip]);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(file)
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    Ok(Member {
        _stdin: child.stdin.take(),
        stdout: child.stdout.take().map(BufReader::new),
        command,
        child,
        log,
    })
}

impl Builders {
    /// Waits until every builder serves; the URLs of their RPCs.
    ///
    /// # Errors
    /// The first that does not, with the end of its log.
    pub(super) async fn serving(&mut self) -> Result<Vec<String>, CliError> {
        let mut urls = Vec::new();
        for (index, member) in self.0.iter_mut().enumerate() {
            let mut line = String::new();
            let Some(stdout) = member.stdout.as_mut() else {
                continue;
            };
            let mut announcement = stdout.take(ANNOUNCEMENT_BYTES_MAX);
            let read = announcement.read_line(&mut line);
            // whatever is read is no announcement if the builder is slow, or gone
            let _ = tokio::time::timeout(START_PATIENCE, read).await;
            let running: Running = serde_json::from_str(&line).map_err(|error| {
                stopped(&format!("builder {index}"), &member.log, &error.to_string())
            })?;
            urls.push(running.rpc);
        }
        Ok(urls)
    }

    /// Asks every builder to stop, and waits until all have.
    pub(super) async fn end(self) {
        let ends = self
            .0
            .into_iter()
            .map(|member| async move { process::end(member.child, &member.command).await });
        join_all(ends).await;
    }
}
