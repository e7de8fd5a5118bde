//! The devnet's base layer: a development chain as a child process, or a node that is there already, with the contracts of this
//! chain's genesis on it.
//!
//! A child ends with the devnet, and what it held with it: a chain that settles on one is not gone on with. Its keys are public.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use protocol::genesis::Genesis;
use settlement::TransactionSigner;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::nodes::{ANNOUNCEMENT_BYTES_MAX, START_PATIENCE};
use crate::base_layer::anvil_program;
use crate::commands::base_layer::{DeployTerms, Serving, deploy_contracts};
use crate::exit::{CliError, Exit};
use crate::process;

/// Name of the deployment file in the devnet's directory.
const DEPLOYMENT_FILE: &str = "deployment.json";
/// The development key that posts batches.
pub(super) const POSTER_KEY: &str = "development:9";
/// Ether of each of anvil's accounts: enough for the escrow of a development genesis.
const ANVIL_ETHER: &str = "10000000000";

/// What the devnet settles on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The development chain of this program.
    Embedded,
    /// anvil, from npm.
    Anvil,
    /// A node that is there.
    Url(String),
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "anvil" => Ok(Self::Anvil),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self::Url(url.to_owned()))
            }
            _ => Err("expected embedded, anvil, or the URL of a node".to_owned()),
        }
    }
}

/// The base layer of a running devnet.
pub(super) struct Layer {
    /// URL of its node.
    pub(super) url: String,
    /// File with the addresses of the contracts.
    pub(super) deployment: PathBuf,
    child: Option<(Child, Command)>,
    /// Kept open: a child that announces itself must find a reader, and ends with its stdin.
    _pipes: Option<(Option<ChildStdin>, BufReader<ChildStdout>)>,
}

fn failed(what: &str, why: impl std::fmt::Display) -> CliError {
    let todo = "look at what it said; make setup installs anvil";
    CliError::new(Exit::Unavailable, what, why, todo)
}

impl Layer {
    /// Starts what is wished for and puts the contracts there.
    ///
    /// # Errors
    /// `Unavailable` if it does not start, and what deploying refuses.
    pub(super) async fn start(
        wish: &Wish,
        home: &Path,
        genesis: &Genesis,
        level: &str,
    ) -> Result<Self, CliError> {
        let mut layer = match wish {
            Wish::Url(url) => Self {
                url: url.clone(),
                deployment: PathBuf::new(),
                child: None,
                _pipes: None,
            },
            Wish::Embedded => Self::spawn(embedded(level)?, serving_url).await?,
            Wish::Anvil => Self::spawn(anvil()?, anvil_url).await?,
        };
        layer.deployment = home.join(DEPLOYMENT_FILE);
        let deployer = TransactionSigner::development(0);
        let signer =
            deployer.ok_or_else(|| failed("no contracts were deployed", "there is no key"))?;
        let terms = DeployTerms {
            signer,
            fee_max_gwei: 1_000,
            ..DeployTerms::default_for(&layer.url, &layer.deployment)
        };
        let deployed = deploy_contracts(genesis, &terms).await;
        match deployed {
            Ok(_) => Ok(layer),
            Err(error) => {
                layer.end().await;
                Err(error)
            }
        }
    }

    async fn spawn(
        mut command: Command,
        read: fn(&str) -> Option<String>,
    ) -> Result<Self, CliError> {
        let what = "the base layer did not start";
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed(what, error))?;
        let stdin = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| failed(what, "it has no output"))?;
        let mut stdout = BufReader::new(stdout);
        let url = async {
            loop {
                let mut line = String::new();
                let mut bounded = (&mut stdout).take(ANNOUNCEMENT_BYTES_MAX);
                match bounded.read_line(&mut line).await {
                    Ok(0) => return Err(failed(what, "it ended")),
                    Ok(_) => {
                        if let Some(url) = read(&line) {
                            return Ok(url);
                        }
                    }
                    Err(error) => return Err(failed(what, error)),
                }
            }
        };
        let url = tokio::time::timeout(START_PATIENCE, url).await;
        let url = url.map_err(|_| failed(what, "it does not say where it listens"))??;
        Ok(Self {
            url,
            deployment: PathBuf::new(),
            child: Some((child, command)),
            _pipes: Some((stdin, stdout)),
        })
    }

    /// Resolves when a child ends, which it should not.
    pub(super) async fn failed(&mut self) -> CliError {
        match &mut self.child {
            None => std::future::pending().await,
            Some((child, _)) => {
                // anvil speaks at every block: whoever does not listen stops it
                let drain = async {
                    if let Some((_, stdout)) = &mut self._pipes {
                        let mut line = String::new();
                        while let Ok(1..) = stdout.read_line(&mut line).await {
                            line.clear();
                        }
                    }
                    std::future::pending::<()>().await
                };
                tokio::select! {
                    ended = child.wait() => {
                        let why = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                        failed("the base layer stopped", why)
                    }
                    () = drain => failed("the base layer stopped", "nothing"),
                }
            }
        }
    }

    /// Ends the child, if there is one.
    pub(super) async fn end(self) {
        if let Some((child, command)) = self.child {
            let _ = process::end(child, &command).await; // it is killed if it does not end by itself
        }
    }
}

fn embedded(level: &str) -> Result<Command, CliError> {
    let program =
        std::env::current_exe().map_err(|error| failed("the base layer did not start", error))?;
    let mut command = Command::new(program);
    command.args([
        "base-layer",
        "serve",
        "--stop-with-parent",
        "--listen",
        "127.0.0.1:0",
    ]);
    command.args(["--log", level]);
    Ok(command)
}

fn serving_url(line: &str) -> Option<String> {
    let serving: Serving = serde_json::from_str(line).ok()?;
    Some(serving.url)
}

fn anvil() -> Result<Command, CliError> {
    let mut command = Command::new(anvil_program()?);
    command
        .args(["--host", "127.0.0.1", "--port", "0", "--block-time", "1"])
        .args(["--slots-in-an-epoch", "2", "--balance", ANVIL_ETHER]);
    Ok(command)
}

fn anvil_url(line: &str) -> Option<String> {
    let address = line.trim().strip_prefix("Listening on ")?;
    Some(format!("http://{address}"))
}

/// Between two looks of the nodes: blocks come every second.
pub(super) const POLL: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_layer_is_named_or_has_a_url() {
        assert_eq!("embedded".parse(), Ok(Wish::Embedded));
        assert_eq!("anvil".parse(), Ok(Wish::Anvil));
        let url = "http://127.0.0.1:8544";
        assert_eq!(url.parse(), Ok(Wish::Url(url.to_owned())));
        assert!("geth".parse::<Wish>().is_err());
    }

    #[test]
    fn announcements_say_where_they_listen() {
        let url = Some("http://127.0.0.1:5".to_owned());
        assert_eq!(anvil_url("Listening on 127.0.0.1:5\n"), url);
        assert_eq!(anvil_url("Gas Limit"), None);
        let line = r#"{"url":"http://127.0.0.1:5","chain_id":31337,"accounts":10,"block_seconds":1,"final_after":4}"#;
        assert_eq!(serving_url(line), url);
        assert_eq!(serving_url("{}"), None);
    }
}
