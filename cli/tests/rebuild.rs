//! `quorate sequencer --rebuild-from-l1` from outside: a chain whose disks are gone goes on from a served base layer by a restart
//! certificate, also when the rebuild is killed in the middle; and what each wrong use says.
//!
//! No batch is proven here, so the chain goes on from genesis: what proven batches give is tested in `sequencer` and `settlement`.

#[path = "support/node.rs"]
#[expect(dead_code, reason = "the rest of it is for other tests")]
mod node;

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use api::rpc::QuorateClient;
use nix::sys::signal::Signal;
use protocol::hash::keccak256;
use serde_json::Value;

use crate::node::{Chain, Process, quorate};

/// Until a block of the served chain is final, and more.
const PATIENCE: Duration = Duration::from_secs(30);
/// Above everything that was ever signed.
const LAST_HEIGHT: u64 = 5_000;

/// A served base layer with the contracts of a chain; it ends with the test.
struct Served {
    server: Child,
    url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill(); // it may have ended
        let _ = self.server.wait();
    }
}

impl Served {
    fn start(chain: &Chain) -> Self {
        let words = ["--json", "base-layer", "serve", "--listen", "127.0.0.1:0"];
        let mut server = quorate()
            .args(words)
            .args(["--final-after", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let stdout = server.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let said: Value = serde_json::from_str(&line).expect("one JSON object");
        let served = Self {
            server,
            url: said["url"].as_str().expect("a URL").to_owned(),
        };
        let mut deploy = quorate();
        deploy.args(["base-layer", "deploy", "--dev", "--l1-key", "development:0"]);
        deploy.args(["--base-layer", &served.url]);
        deploy.arg("--genesis").arg(chain.path("genesis.json"));
        deploy.arg("--out").arg(chain.path("deployment.json"));
        run(0, &mut deploy);
        served
    }
}

/// Runs a command and checks its exit code; what it said on stderr.
fn run(code: i32, command: &mut Command) -> String {
    let output = command.output().expect("the binary runs");
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command:?}: {complained}"
    );
    complained
}

/// The node's command on a base layer.
fn on_base_layer(chain: &Chain, url: &str) -> Command {
    let mut command = chain.command();
    command.args(["--base-layer", url, "--deployment"]);
    command.arg(chain.path("deployment.json"));
    command
}

/// The same, with a database from there.
fn rebuilding(chain: &Chain, url: &str, more: &[&str]) -> Command {
    let mut command = on_base_layer(chain, url);
    command.arg("--rebuild-from-l1").args(more);
    command
}

/// `quorate restart` on the base layer: the one validator signs, and its signature is a certificate.
fn certify(chain: &Chain, url: &str) {
    let scalar = keccak256(b"QUORATE/cli/devnet/validator/0/v1");
    let mut sign = quorate();
    sign.args(["restart", "sign", "--validator-key", "env:VALIDATOR"])
        .env("VALIDATOR", hex::encode(scalar))
        .args(["--base-layer", url, "--batch", "0"])
        .args(["--last-height", &LAST_HEIGHT.to_string()])
        .arg("--deployment")
        .arg(chain.path("deployment.json"))
        .arg("--genesis")
        .arg(chain.path("genesis.json"))
        .arg("--data")
        .arg(chain.path("data"))
        .arg("--out")
        .arg(chain.path("one.restart"));
    run(0, &mut sign);
    let mut combine = quorate();
    combine
        .args(["restart", "combine"])
        .arg(chain.path("one.restart"))
        .arg("--genesis")
        .arg(chain.path("genesis.json"))
        .arg("--out")
        .arg(chain.path("restart.certificate"));
    run(0, &mut combine);
}

#[test]
fn a_killed_rebuild_is_begun_again_and_the_chain_goes_on_above_what_was_signed() {
    let chain = Chain::new(2, &[("block_interval_ms", 50)]);
    let served = Served::start(&chain);
    wait_until_final(&chain, &served.url);
    certify(&chain, &served.url);
    let certificate = chain.path("restart.certificate");
    let certificate = certificate.to_str().expect("a path");
    let command = || rebuilding(&chain, &served.url, &["--restart-certificate", certificate]);
    for point in sequencer::REBUILD_FAILPOINTS {
        let mut killed = command();
        killed.env(sequencer::FAILPOINT_VARIABLE, format!("{point}:1"));
        let mut process = Process::spawn(&mut killed, chain.path("log"));
        let status = process.wait(PATIENCE).expect("an end");
        let log = process.log();
        assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{log}");
    }
    let (node, _) = Process::spawn(&mut command(), chain.path("log"))
        .serving()
        .unwrap_or_else(|| panic!("no start: {}", chain.log()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let height = || {
        runtime
            .block_on(node.client().status())
            .expect("a status")
            .height
    };
    for _ in 0..600 {
        if height() > LAST_HEIGHT {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(height() > LAST_HEIGHT, "{}", chain.log());
    node.stop();
    // what is there is never written over, and starts without the flag
    let complained = run(2, &mut command());
    assert!(
        complained.contains("is not empty") && complained.contains("without --rebuild-from-l1"),
        "{complained}"
    );
    let mut usual = on_base_layer(&chain, &served.url);
    let (node, _) = Process::spawn(&mut usual, chain.path("log"))
        .serving()
        .unwrap_or_else(|| panic!("no start: {}", chain.log()));
    node.stop();
}

/// Until the contracts stand in a final block nothing can be read, and the node says so; then it says what it found.
fn wait_until_final(chain: &Chain, url: &str) {
    for _ in 0..30 {
        let output = rebuilding(chain, url, &[])
            .output()
            .expect("the binary runs");
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{complained}");
        assert!(!chain.path("data").exists(), "nothing is written");
        if complained.contains("no batch is proven yet") {
            return;
        }
        assert!(
            complained.contains("the contracts begin with"),
            "{complained}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("no block becomes final");
}

#[test]
fn what_cannot_be_rebuilt_is_said_and_leaves_nothing() {
    let chain = Chain::new(2, &[]);
    let served = Served::start(&chain);
    wait_until_final(&chain, &served.url);
    let mut alone = chain.command();
    let complained = run(2, alone.arg("--rebuild-from-l1"));
    assert!(
        complained.contains("no base layer is configured"),
        "{complained}"
    );
    let mut away = rebuilding(&chain, "http://127.0.0.1:1", &[]);
    let complained = run(3, &mut away);
    assert!(
        complained.contains("block of the base layer"),
        "{complained}"
    );
    // another genesis of the same Rollup
    let other = Chain::new(3, &[]);
    let deployment = other.path("deployment.json");
    std::fs::copy(chain.path("deployment.json"), deployment).expect("a copy");
    let complained = run(1, &mut rebuilding(&other, &served.url, &[]));
    assert!(
        complained.contains("name the genesis of this chain"),
        "{complained}"
    );
    // a file that is no certificate, and a certificate without the flag
    let genesis = chain.path("genesis.json");
    let genesis = genesis.to_str().expect("a path");
    let file = ["--restart-certificate", genesis];
    let complained = run(4, &mut rebuilding(&chain, &served.url, &file));
    assert!(complained.contains("not accepted"), "{complained}");
    run(2, chain.command().args(file));
    assert!(!chain.path("data").exists() && !other.path("data").exists());
}
