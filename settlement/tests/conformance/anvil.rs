//! anvil on the bench, through the Ethereum client: a process per test, killed with it.
//!
//! `QUORATE_ANVIL` names the program; otherwise it is looked for where `make setup` puts it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use serde_json::{Value, json};
use settlement::{BaseLayer, DEVELOPMENT_CHAIN_ID, EthereumClient, EthereumConfig};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::bench::Bench;

/// How long anvil may take to listen, on a machine that is busy.
const START: Duration = Duration::from_secs(60);

pub(crate) struct Anvil {
    client: EthereumClient,
    driver: HttpClient,
    _process: Child,
}

/// The program, or how to get it.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("QUORATE_ANVIL") {
        return PathBuf::from(named);
    }
    let (system, machine) = match std::env::consts::OS {
        "macos" => ("darwin", std::env::consts::ARCH),
        other => (other, std::env::consts::ARCH),
    };
    let machine = match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let modules = "../contracts/node_modules/@foundry-rs";
    let path = format!("{modules}/anvil-{system}-{machine}/bin/anvil");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(
        path.is_file(),
        "anvil is missing at {}; run `make setup`, or set QUORATE_ANVIL to the program",
        path.display()
    );
    path
}

impl Anvil {
    /// Starts anvil on a free port, mining by hand.
    pub(crate) async fn start() -> Self {
        let mut process = Command::new(program())
            .args(["--port", "0", "--no-mining", "--order", "fees"])
            .args(["--host", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("anvil starts");
        let stdout = process.stdout.take().expect("piped");
        let url = tokio::time::timeout(START, listening(stdout)).await;
        let url = url.expect("anvil listens in time");
        let driver = HttpClientBuilder::default().build(&url).expect("a client");
        let config = EthereumConfig {
            url,
            chain_id: DEVELOPMENT_CHAIN_ID,
            timeout: Duration::from_secs(30),
        };
        let client = EthereumClient::connect(&config);
        Self {
            client: client.await.expect("anvil answers"),
            driver,
            _process: process,
        }
    }

    async fn drive(&self, method: &'static str, parameters: Vec<Value>) {
        let done: Result<Value, _> = self.driver.request(method, parameters).await;
        done.expect("anvil obeys");
    }
}

/// Reads until anvil says where it listens, and goes on reading so that it never blocks.
async fn listening(stdout: tokio::process::ChildStdout) -> String {
    let mut lines = BufReader::new(stdout).lines();
    loop {
        let line = lines.next_line().await.expect("readable");
        let line = line.expect("anvil lives until it listens");
        if let Some(address) = line.strip_prefix("Listening on ") {
            let url = format!("http://{}", address.trim());
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return url;
        }
    }
}

#[async_trait]
impl Bench for Anvil {
    fn layer(&self) -> &dyn BaseLayer {
        &self.client
    }

    async fn mine(&self) {
        self.drive("evm_mine", Vec::new()).await;
    }

    async fn reorg(&self, depth: u64) {
        self.drive("anvil_reorg", vec![json!(depth), json!([])])
            .await;
        // It returns the old branch's transactions to the pool.
        self.drive("anvil_dropAllTransactions", Vec::new()).await;
    }
}
