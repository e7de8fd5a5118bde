//! A devnet as its users meet it: payments by wallet, real proofs, offline verification, an orderly end.
//!
//! Keys come from the usual cache (`QUORATE_CACHE`, else `~/.cache/quorate`): making them takes minutes, once.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::{hash::keccak256, signature::SecretKey};
use serde_json::Value;

fn quorate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.env_remove("QUORATE_LOG").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs, and checks the exit code.
fn expect(code: i32, command: &mut Command) -> Output {
    let output = command.output().expect("the binary runs");
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command:?}: {}",
        text(&output.stderr)
    );
    output
}

fn json(command: &mut Command) -> Value {
    let output = expect(0, command.arg("--json"));
    serde_json::from_slice(&output.stdout).expect("one JSON object on stdout")
}

/// A devnet that is killed if a test fails.
struct Devnet {
    child: Child,
    /// Kept open: a closed pipe is not what is tested here.
    _stdout: BufReader<ChildStdout>,
    running: Value,
}

impl Devnet {
    fn start(words: &[&str]) -> Self {
        let mut child = quorate()
            .args([
                "devnet",
                "--port",
                "0",
                "--jobs-port",
                "0",
                "--json",
                "--log",
                "warn",
            ])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        stdout
            .read_line(&mut line)
            .expect("a running devnet tells where it is");
        let running = serde_json::from_str(&line).expect("one JSON object on stdout");
        Self {
            child,
            _stdout: stdout,
            running,
        }
    }

    fn rpc(&self) -> &str {
        self.running["rpc"].as_str().expect("a URL")
    }

    /// Asks it to stop; returns its exit code and how long it took.
    fn stop(mut self, signal: Signal) -> (Option<i32>, Duration) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        let from = Instant::now();
        kill(Pid::from_raw(pid), signal).expect("it runs");
        let status = self.child.wait().expect("it ends");
        (status.code(), from.elapsed())
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
    }
}

/// A wallet file with a password file beside it.
struct Wallet {
    directory: tempfile::TempDir,
    rpc: String,
}

impl Wallet {
    fn import(rpc: &str, seed: &str, l1_owner: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("password"), "correct horse").expect("write");
        std::fs::write(directory.path().join("wrong"), "battery staple").expect("write");
        std::fs::write(directory.path().join("seed"), seed).expect("write");
        let wallet = Self {
            directory,
            rpc: rpc.to_owned(),
        };
        let seed = format!("file:{}", wallet.path("seed").display());
        json(&mut wallet.command(
            &["import", "--l1-owner", l1_owner, "--seed", &seed],
            "password",
        ));
        wallet
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, words: &[&str], password: &str) -> Command {
        let mut command = quorate();
        command
            .arg("wallet")
            .args(words)
            .arg("--keystore")
            .arg(self.path("wallet.json"));
        command.args(["--rpc", &self.rpc]);
        command
            .arg("--password")
            .arg(format!("file:{}", self.path(password).display()));
        command
    }

    fn run(&self, words: &[&str]) -> Value {
        json(&mut self.command(words, "password"))
    }

    fn fails(&self, code: i32, words: &[&str]) -> String {
        text(&expect(code, &mut self.command(words, "password")).stderr)
    }
}

#[test]
fn payments_by_wallet_are_certified_and_refusals_are_explained() {
    let devnet = Devnet::start(&["--workers", "0", "--accounts", "2"]);
    let account = &devnet.running["accounts"][0];
    let field = |name: &str| account[name].as_str().expect("text").to_owned();
    let sender = Wallet::import(devnet.rpc(), &field("seed"), &field("l1_owner"));
    let owner = format!("0x{}", "22".repeat(20));
    let recipient = Wallet::import(devnet.rpc(), &hex::encode([9; 32]), &owner);
    let address = recipient.run(&["address"])["address"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(
        recipient
            .run(&["balance"])
            .as_array()
            .is_some_and(Vec::is_empty)
    );

    // The first payment creates the leaf, the second finds it.
    let send = |amount: &str| {
        sender.run(&[
            "send",
            "--to",
            &address,
            "--amount",
            amount,
            "--wait",
            "certified",
        ])
    };
    let first = send("1000");
    assert_eq!(
        (first["creates_leaf"].as_bool(), first["nonce"].as_u64()),
        (Some(true), Some(0))
    );
    assert_eq!(first["status"]["stage"], "certified");
    let second = send("2_345");
    assert_eq!(second["creates_leaf"], false);
    let held = recipient.run(&["balance"]);
    assert_eq!(held[0]["balance"], "3345");
    assert_eq!(held[0]["index"], second["to"]);

    let id = first["id"].as_str().expect("text");
    assert_eq!(sender.run(&["status", id])["stage"], "certified");
    let history = recipient.run(&["history"]);
    assert_eq!(history.as_array().map(Vec::len), Some(2));
    assert_eq!(
        history[1]["transaction"]["action"]["type"],
        "transfer_to_new"
    );
    assert_eq!(history[0]["direction"], "in");

    // What goes wrong says what to do.
    let wrong = ["send", "--to", &address, "--amount", "1"];
    let refused = expect(1, &mut sender.command(&wrong, "wrong"));
    assert!(
        text(&refused.stderr).contains("password"),
        "{}",
        text(&refused.stderr)
    );
    let back = field("address");
    let poor = recipient.fails(1, &["send", "--to", &back, "--amount", "1000000"]);
    assert!(poor.contains("balance"), "{poor}");
    let absent = sender.run(&["status", &format!("0x{}", "00".repeat(32))]);
    assert_eq!(absent["stage"], "unknown_here");
    sender.fails(2, &["status", "0x00"]);
    let foreign = sender.path("genesis.json");
    expect(0, quorate().args(["genesis", "new"]).arg(&foreign));
    let other = [
        "send",
        "--to",
        &address,
        "--amount",
        "1",
        "--genesis",
        foreign.to_str().expect("UTF-8"),
    ];
    // Same chain id, contract and parameters, so the domain is the same; but it is another chain.
    assert!(sender.fails(1, &other).contains("another chain"));

    let (code, took) = devnet.stop(Signal::SIGINT);
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "stopping took {took:?}");
}

#[test]
fn chain_survives_a_restart_in_its_directory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("chain");
    let words = [
        "--workers",
        "0",
        "--accounts",
        "1",
        "--data",
        data.to_str().expect("UTF-8"),
    ];
    let devnet = Devnet::start(&words);
    let genesis_hash = devnet.running["genesis_hash"].clone();
    let account = devnet.running["accounts"][0].clone();
    let field = |name: &str| account[name].as_str().expect("text").to_owned();
    let wallet = Wallet::import(devnet.rpc(), &field("seed"), &field("l1_owner"));
    let itself = field("address");
    let sent = wallet.run(&[
        "send",
        "--to",
        &itself,
        "--amount",
        "5",
        "--wait",
        "certified",
    ]);
    let (code, _) = devnet.stop(Signal::SIGTERM);
    assert_eq!(code, Some(0));

    let devnet = Devnet::start(&words);
    assert_eq!(devnet.running["genesis_hash"], genesis_hash);
    let wallet = Wallet {
        rpc: devnet.rpc().to_owned(),
        ..wallet
    };
    let id = sent["id"].as_str().expect("text");
    assert_eq!(wallet.run(&["status", id])["stage"], "certified");
    assert_eq!(wallet.run(&["balance"])[0]["nonce"], 1);
    let (code, _) = devnet.stop(Signal::SIGINT);
    assert_eq!(code, Some(0));
    // A demo needs a chain of its own.
    expect(2, quorate().args(["devnet", "--demo", "--data"]).arg(&data));
}

/// The file with one byte changed and its checksum made right again.
fn forged(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut forged = bytes[..bytes.len() - 32].to_vec();
    forged[place] ^= 1;
    let checksum = keccak256(&forged);
    forged.extend_from_slice(&checksum);
    forged
}

#[test]
fn eight_real_payments_are_proven_and_verified_offline_slow() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let report = directory.path().join("report");
    let figures = json(
        quorate()
            .args([
                "devnet",
                "--demo",
                "--payments",
                "8",
                "--log",
                "warn",
                "--report",
            ])
            .arg(&report),
    );
    let written = std::fs::read_to_string(report.join("demo.json")).expect("the report");
    let written: Value = serde_json::from_str(&written).expect("one JSON object");
    assert_eq!(written, figures);
    for name in [
        "ordered_per_second",
        "chunk_seconds",
        "ms_per_transfer_proven",
        "verify_ms",
        "total_seconds",
    ] {
        assert!(
            figures[name].as_f64().is_some_and(|value| value > 0.0),
            "{name}: {figures}"
        );
    }
    let bundle = PathBuf::from(figures["bundle"].as_str().expect("a path"));
    let genesis = report.join("demo-genesis.json");
    let verify = |file: &Path| {
        let mut command = quorate();
        command
            .arg("verify")
            .arg(file)
            .arg("--dev")
            .arg("--genesis")
            .arg(&genesis);
        command
    };
    let verdict = json(&mut verify(&bundle));
    assert_eq!(
        (verdict["valid"].as_bool(), verdict["insecure"].as_bool()),
        (Some(true), Some(true))
    );
    assert_eq!(verdict["anchored_in_genesis"], true);
    assert!(text(&expect(0, &mut verify(&bundle)).stdout).contains("INSECURE"));

    // Without --dev, with another genesis, or changed anywhere, it is not accepted.
    let insecure = expect(1, quorate().arg("verify").arg(&bundle));
    assert!(
        text(&insecure.stdout).contains("INSECURE") && text(&insecure.stderr).contains("--dev")
    );
    let other = directory.path().join("other.json");
    expect(0, quorate().args(["genesis", "new"]).arg(&other));
    expect(
        1,
        quorate()
            .arg("verify")
            .arg(&bundle)
            .arg("--dev")
            .arg("--genesis")
            .arg(&other),
    );
    let bytes = std::fs::read(&bundle).expect("read");
    let file = directory.path().join("forged.bundle");
    for step in 0..64 {
        let place = 20 + step * (bytes.len() - 53) / 63;
        std::fs::write(&file, forged(&bytes, place)).expect("write");
        let output = verify(&file).output().expect("the binary runs");
        let code = output.status.code();
        assert!(
            matches!(code, Some(1 | 4 | 5)),
            "byte {place}: {code:?} {}",
            text(&output.stdout)
        );
    }
    no_socket_is_opened(&bundle, &genesis, directory.path());
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn no_socket_is_opened(bundle: &Path, genesis: &Path, directory: &Path) {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is missing; install it: apt-get install -y strace");
        return;
    }
    let log = directory.join("strace.log");
    let status = Command::new("strace")
        .args(["-f", "-e", "trace=socket,connect,execve", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_quorate"))
        .args(["verify", "--dev", "--genesis"])
        .args([genesis, bundle])
        .stdout(Stdio::null())
        .status()
        .expect("strace runs");
    assert_eq!(status.code(), Some(0));
    let log = std::fs::read_to_string(log).expect("strace wrote its log");
    assert!(log.contains("execve("), "strace saw nothing: {log}");
    assert!(
        !log.contains("socket(") && !log.contains("connect("),
        "{log}"
    );
}

#[test]
fn published_seeds_are_those_of_the_funded_keys() {
    // The documented rule, written out once more.
    let seed = keccak256(b"QUORATE/cli/devnet/account/0/v1");
    let devnet = Devnet::start(&["--workers", "0", "--accounts", "1"]);
    let account = &devnet.running["accounts"][0];
    assert_eq!(account["seed"], hex::encode(seed));
    let x = SecretKey::from_seed(&seed).public().point().x();
    let start = hex::encode(protocol::codec::field_to_le_bytes(&x));
    assert!(
        account["address"]
            .as_str()
            .is_some_and(|text| text.starts_with(&format!("qr1{start}")))
    );
    // An orderly end also removes the temporary chain.
    let (code, _) = devnet.stop(Signal::SIGINT);
    assert_eq!(code, Some(0));
}
