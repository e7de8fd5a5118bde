//! The devnet's process tree: nodes that die end it, its own death ends them.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use api::rpc::QuorateClient;
use jsonrpsee::http_client::HttpClientBuilder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::node::quorate;

/// Longest an orderly end may take.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A devnet's process; killed if a test fails.
pub(crate) struct Devnet {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    running: Value,
}

impl Devnet {
    pub(crate) fn start(words: &[&str]) -> Self {
        let mut child = quorate()
            .args(["devnet", "--workers", "0", "--accounts", "4", "--json"])
            .args(["--port", "0", "--jobs-port", "0", "--log", "warn"])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it tells where it is");
        let running = serde_json::from_str(&line).unwrap_or_else(|error| {
            let mut words = String::new();
            let mut stderr = child.stderr.take().expect("stderr is piped");
            stderr.read_to_string(&mut words).expect("text");
            panic!("no JSON object on stdout: {error}: {words}")
        });
        Self {
            child,
            _stdout: stdout,
            running,
        }
    }

    fn nodes(&self) -> &[Value] {
        self.running["nodes"].as_array().expect("a list")
    }

    pub(crate) fn rpc(&self, number: usize) -> String {
        let url = self.nodes()[number]["rpc"].as_str().expect("a URL");
        url.to_owned()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    fn node_pids(&self) -> Vec<Pid> {
        self.children("sequencer")
    }

    /// Its children with a word in their command lines, as Linux shows them.
    pub(crate) fn children(&self, word: &str) -> Vec<Pid> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let mut pids = Vec::new();
        for thread in threads.expect("it runs").flatten() {
            let Ok(children) = std::fs::read_to_string(thread.path().join("children")) else {
                continue;
            };
            for pid in children.split_whitespace() {
                let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                if String::from_utf8_lossy(&command).contains(word) {
                    pids.push(Pid::from_raw(pid.parse().expect("a process id")));
                }
            }
        }
        pids
    }

    pub(crate) fn ended(&mut self) -> (Option<i32>, String) {
        let until = Instant::now() + STOP_MAX;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                let mut text = String::new();
                let mut stderr = self.child.stderr.take().expect("stderr is piped");
                stderr.read_to_string(&mut text).expect("its last words");
                return (status.code(), text);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it runs after {STOP_MAX:?}");
    }

    pub(crate) fn is_silent(rpc: &str) -> bool {
        let address = rpc.strip_prefix("http://").expect("a URL");
        let until = Instant::now() + STOP_MAX;
        while Instant::now() < until {
            if TcpStream::connect(address).is_err() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

#[test]
fn a_nodes_death_ends_the_devnet_with_its_last_words() {
    let mut devnet = Devnet::start(&[]);
    let pids = devnet.node_pids();
    assert_eq!(pids.len(), 1, "{pids:?}");
    kill(pids[0], Signal::SIGKILL).expect("it runs");
    let (code, text) = devnet.ended();
    assert_eq!(code, Some(3), "{text}");
    let error: Value = serde_json::from_str(text.lines().last().expect("an error")).expect("JSON");
    let error = &error["error"];
    assert!(
        error["what"]
            .as_str()
            .is_some_and(|what| what.contains("node 0")),
        "{error}"
    );
    assert!(
        error["why"]
            .as_str()
            .is_some_and(|why| why.contains("SIGKILL")),
        "{error}"
    );
}

#[test]
fn nodes_do_not_outlive_a_killed_devnet() {
    let devnet = Devnet::start(&[]);
    let (rpc, directory) = (devnet.rpc(0), devnet.running["data"].clone());
    kill(devnet.pid(), Signal::SIGKILL).expect("it runs");
    assert!(Devnet::is_silent(&rpc), "{rpc} still answers");
    drop(devnet);
    // Nobody was left to remove it.
    let directory = directory.as_str().expect("a path");
    std::fs::remove_dir_all(directory).expect("the killed devnet's directory");
}

#[test]
fn a_kept_chain_keeps_its_validators() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("chain");
    let words = ["--data", data.to_str().expect("UTF-8")];
    let mut devnet = Devnet::start(&words);
    let first = devnet.nodes()[0]["validator"].clone();
    kill(devnet.pid(), Signal::SIGINT).expect("it runs");
    let (code, text) = devnet.ended();
    assert_eq!(code, Some(0), "{text}");
    for file in [
        "genesis.json",
        "node-0/validator.key",
        "node-0/log",
        "node-0/data",
    ] {
        assert!(data.join(file).exists(), "{file}");
    }
    let other = quorate()
        .args(["devnet", "--validators", "2"])
        .args(words)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&other.stderr);
    assert_eq!(other.status.code(), Some(2), "{text}");
    assert!(text.contains("it has 1 validators"), "{text}");
    let mut again = Devnet::start(&words);
    assert_eq!(again.nodes()[0]["validator"], first);
    kill(again.pid(), Signal::SIGTERM).expect("it runs");
    let (code, text) = again.ended();
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn ports_that_cannot_be_used_are_explained() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = holder.local_addr().expect("an address").port().to_string();
    let too_high = quorate()
        .args(["devnet", "--validators", "2", "--base-port", "65533"])
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&too_high.stderr);
    assert_eq!(too_high.status.code(), Some(2), "{text}");
    let rpc = quorate()
        .args([
            "devnet",
            "--workers",
            "0",
            "--jobs-port",
            "0",
            "--port",
            &port,
        ])
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&rpc.stderr);
    assert_eq!(rpc.status.code(), Some(3), "{text}");
    assert!(text.contains("cannot listen on"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_nodes_of_a_devnet_show_the_same_blocks_slow() {
    let mut devnet = Devnet::start(&["--validators", "4"]);
    assert_eq!(devnet.nodes().len(), 4);
    assert_eq!(devnet.node_pids().len(), 4);
    let mut known = None;
    for number in 0..4 {
        let client = HttpClientBuilder::default().build(devnet.rpc(number));
        let client = client.expect("a client");
        let until = Instant::now() + Duration::from_secs(60);
        while client.status().await.expect("a status").height < 5 {
            assert!(Instant::now() < until, "node {number} stands still");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let block = client.block(Some(5)).await.expect("a block").id;
        assert_eq!(*known.get_or_insert_with(|| block.clone()), block);
    }
    kill(devnet.pid(), Signal::SIGTERM).expect("it runs");
    let (code, text) = devnet.ended();
    assert_eq!(code, Some(0), "{text}");
    for number in 0..4 {
        assert!(Devnet::is_silent(&devnet.rpc(number)));
    }
}
