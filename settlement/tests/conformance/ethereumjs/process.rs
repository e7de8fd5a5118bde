//! The EthereumJS client as a process: its genesis, its start, its end.
//!
//! It is killed when this is dropped, and ends by itself when its standard input closes (`start.mjs`), so
//! it cannot outlive the tests however they end. Nothing is fetched: the client lies where `make setup` puts it, or
//! where `QUORATE_ETHEREUMJS` says (the path of its `cli.js`). Standard output and error are kept and shown when
//! it does not start. What it is told over JSON-RPC is not here.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy_primitives::{B256, U64, U256};
use serde_json::{Value, json};
use settlement::{DEVELOPMENT_CHAIN_ID, TransactionSigner};
use tempfile::TempDir;

/// How long it may take to listen, on a machine that is busy: six seconds on one that is.
const START: Duration = Duration::from_secs(120);
/// How long it may take to end by itself.
const END: Duration = Duration::from_secs(5);

/// Lines that wait to be read at most; once it listens, they are thrown away.
const LINES: usize = 256;

/// A running client; dropping it ends it.
pub(crate) struct Process {
    child: Child,
    port: u16,
    secret: B256,
    _directory: TempDir,
}

impl Process {
    /// Starts a client on a chain of its own and waits until it listens.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let secret = B256::from(rand::random::<[u8; 32]>());
        let write = |name, text: String| std::fs::write(at(name), text).expect("it is written");
        write("genesis.json", genesis().to_string());
        write("secret.hex", hex::encode(secret));
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(LAUNCHER))
            .arg(program())
            .arg(directory.path())
            .arg("--gethGenesis")
            .arg(at("genesis.json"))
            .arg("--jwtSecret")
            .arg(at("secret.hex"))
            .arg("--dataDir")
            .arg(at("data"))
            .args(FLAGS)
            // it writes a log named "false" where it stands
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node starts; `make setup` installs it");
        let (sender, lines) = sync_channel(LINES);
        read_lines(child.stdout.take().expect("piped"), sender.clone());
        read_lines(child.stderr.take().expect("piped"), sender);
        let mut process = Self {
            child,
            port: 0,
            secret,
            _directory: directory,
        };
        process.port = listening(&lines);
        process
    }

    /// Where it answers, both the eth namespace and the Engine API.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the caller of the Engine API shares with it.
    pub(crate) fn secret(&self) -> B256 {
        self.secret
    }

    /// Has it not ended?
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let begun = Instant::now();
        while self.lives() && begun.elapsed() < END {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Of one that has ended there is nothing left to kill, and that is an error to ignore.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What starts it; see there.
const LAUNCHER: &str = "tests/conformance/ethereumjs/start.mjs";

/// No peers, and no waiting for any. Both ports are the same, so one server answers both namespaces and asks for
/// the token in the Engine API only.
const FLAGS: [&str; 16] = [
    "--rpc",
    "--rpcAddr",
    "127.0.0.1",
    "--rpcPort",
    "1",
    "--rpcEngine",
    "--rpcEngineAddr",
    "127.0.0.1",
    "--rpcEnginePort",
    "1",
    "--isSingleNode",
    "--discDns=false",
    "--discV4=false",
    "--maxPeers=0",
    "--logFile=false",
    "--logLevel=warn",
];

/// The program, or how to get it.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("QUORATE_ETHEREUMJS") {
        return PathBuf::from(named);
    }
    let path = "../contracts/node_modules/@ethereumjs/client/dist/esm/bin/cli.js";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(
        path.is_file(),
        "EthereumJS is missing at {}; run `make setup`, or set QUORATE_ETHEREUMJS to its cli.js",
        path.display()
    );
    path
}

/// Sends every line and goes on to the end, so that the client never blocks on a full pipe.
fn read_lines(output: impl Read + Send + 'static, to: SyncSender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens any more once it runs.
            let _ = to.send(line);
        }
    });
}

/// Waits for the port that the launcher prints.
fn listening(lines: &Receiver<String>) -> u16 {
    let begun = Instant::now();
    let mut said = String::new();
    loop {
        let line = match lines.recv_timeout(START.saturating_sub(begun.elapsed())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("it does not listen in {START:?}:\n{said}"),
            Err(RecvTimeoutError::Disconnected) => panic!("it ended before it listened:\n{said}"),
        };
        if let Some(port) = line.strip_prefix("listening ") {
            return port.trim().parse().expect("a port");
        }
        said.push_str(&line);
        said.push('\n');
    }
}

/// A chain after the merge, with the rules of Prague from its first block, whose ten development accounts are
/// rich. The contracts of EIP-2935, 4788, 7002 and 7251 are not there, as on the embedded chain, so an empty block
/// changes no state. Its time is now: the client takes transactions only when its head is not old.
fn genesis() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    let ether = U256::from(10).pow(U256::from(18));
    let rich = json!({ "balance": U256::from(10_000) * ether });
    let accounts = (0..TransactionSigner::development_count())
        .filter_map(TransactionSigner::development)
        .map(|signer| (signer.address().to_string(), rich.clone()));
    let accounts: serde_json::Map<String, Value> = accounts.collect();
    let mut config = json!({
        "chainId": DEVELOPMENT_CHAIN_ID,
        "shanghaiTime": 0,
        "cancunTime": 0,
        "pragueTime": 0,
        "terminalTotalDifficulty": 0,
        "terminalTotalDifficultyPassed": true,
        "blobSchedule": {
            "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477 },
            "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5_007_716 },
        },
    });
    for fork in [
        "homestead",
        "eip150",
        "eip155",
        "eip158",
        "byzantium",
        "constantinople",
        "petersburg",
        "istanbul",
        "berlin",
        "london",
        "mergeNetsplit",
    ] {
        config[format!("{fork}Block")] = json!(0);
    }
    json!({
        "config": config,
        "alloc": accounts,
        "timestamp": U64::from(now),
        "gasLimit": U64::from(30_000_000),
        "baseFeePerGas": U64::from(1_000_000_000),
        "number": "0x0",
        "nonce": "0x0",
        "difficulty": "0x0",
        "gasUsed": "0x0",
        "extraData": "0x",
        "mixHash": B256::ZERO,
        "parentHash": B256::ZERO,
        "coinbase": alloy_primitives::Address::ZERO,
    })
}
