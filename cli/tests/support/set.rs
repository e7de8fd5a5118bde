//! A set of validators on one machine: each a real `quorate sequencer` process with its own key, data and ports, which
//! stay the same over restarts.
//!
//! The set remembers the id of every block that any node has ever shown, and compares: two ids for one height fail the
//! test, whichever nodes and lives they come from.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use api::rpc::QuorateClient;
use api::text::HashText;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use nix::sys::signal::Signal;
use protocol::hash::keccak256;
use protocol::transaction::Domain;

use crate::node::{Node, Process, quorate};

/// Longest wait for a height.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Longest wait for an answer: a process that stands still accepts connections and says nothing.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(50);
/// Ports of test sets: above those of devnets, below those of outgoing connections.
const PORTS: std::ops::Range<u16> = 28_000..32_000;
/// Ports of one node: RPC, engine, gossip.
const PORTS_PER_NODE: usize = 3;

/// Ports that nobody holds, and that no other test of this process is given.
fn free_ports(count: usize) -> Vec<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Test processes that run at the same time begin at different places.
    let start = u16::try_from(std::process::id() * 61 % u32::from(span)).expect("below the span");
    let mut listeners = Vec::with_capacity(count);
    for _ in PORTS {
        if listeners.len() == count {
            break;
        }
        let step = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + start.wrapping_add(step) % span;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            listeners.push((port, listener));
        }
    }
    assert_eq!(listeners.len(), count, "no free ports in {PORTS:?}");
    listeners.iter().map(|(port, _)| *port).collect()
}

/// One validator.
struct Seat {
    rpc: u16,
    engine: u16,
    gossip: u16,
    node: Option<Node>,
    is_paused: bool,
    /// Its blocks up to this height were compared.
    compared: u64,
}

impl Seat {
    fn is_answering(&self) -> bool {
        self.node.is_some() && !self.is_paused
    }
}

/// The set.
pub(crate) struct Set {
    directory: tempfile::TempDir,
    seats: Vec<Seat>,
    blocks: BTreeMap<u64, HashText>,
}

impl Set {
    /// A chain of `count` validators and `accounts` funded keys; no process runs yet.
    pub(crate) fn new(count: usize, accounts: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ports = free_ports(PORTS_PER_NODE * count);
        let seats = ports.chunks_exact(PORTS_PER_NODE).map(|ports| Seat {
            rpc: ports[0],
            engine: ports[1],
            gossip: ports[2],
            node: None,
            is_paused: false,
            compared: 0,
        });
        let set = Self {
            seats: seats.collect(),
            directory,
            blocks: BTreeMap::new(),
        };
        let made = quorate()
            .args(["genesis", "new", "--accounts", &accounts.to_string()])
            .args(["--validators", &count.to_string()])
            .arg(set.path("genesis.json"))
            .output()
            .expect("the binary runs");
        assert!(made.status.success(), "{made:?}");
        for number in 0..count {
            std::fs::create_dir(set.directory(number)).expect("a node's directory");
            // The published rule of development validators.
            let scalar = keccak256(format!("QUORATE/cli/devnet/validator/{number}/v1").as_bytes());
            let key = set.directory(number).join("validator.key");
            std::fs::write(key, hex::encode(scalar)).expect("a key file");
        }
        set
    }

    /// A chain whose nodes all serve.
    pub(crate) fn start(count: usize, accounts: u32) -> Self {
        let mut set = Self::new(count, accounts);
        set.start_all();
        set
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn directory(&self, number: usize) -> PathBuf {
        self.path(&format!("node-{number}"))
    }

    /// Directory of a node's database.
    pub(crate) fn data(&self, number: usize) -> PathBuf {
        self.directory(number).join("data")
    }

    /// Number of validators.
    pub(crate) fn count(&self) -> usize {
        self.seats.len()
    }

    fn command(&self, number: usize) -> Command {
        let directory = self.directory(number);
        let mut command = quorate();
        command
            .args(["sequencer", "--dev", "--json", "--log", "info"])
            .arg("--genesis")
            .arg(self.path("genesis.json"))
            .arg("--data")
            .arg(self.data(number))
            .arg("--validator-key")
            .arg(format!(
                "file:{}",
                directory.join("validator.key").display()
            ))
            .args(["--jobs", "127.0.0.1:0"]);
        let at = |port: u16| format!("127.0.0.1:{port}");
        for (other, seat) in self.seats.iter().enumerate() {
            if other == number {
                command.args(["--listen", &at(seat.rpc)]);
                command.args(["--engine-listen", &at(seat.engine)]);
                command.args(["--gossip-listen", &at(seat.gossip)]);
            } else {
                command.args(["--engine-peer", &at(seat.engine)]);
                command.args(["--gossip-peer", &at(seat.gossip)]);
            }
        }
        command
    }

    fn spawn(&self, number: usize) -> Process {
        assert!(self.seats[number].node.is_none(), "node {number} runs");
        let log = self.directory(number).join("log");
        Process::spawn(&mut self.command(number), log)
    }

    fn seat(&mut self, number: usize, process: Process) {
        let log = self.directory(number).join("log");
        let (node, _) = process.serving().unwrap_or_else(|| {
            let log = std::fs::read_to_string(log).expect("a log");
            panic!("node {number} did not start: {log}")
        });
        self.seats[number].node = Some(node);
        // A new life must tell the same story from the beginning.
        self.seats[number].compared = 0;
    }

    /// Starts one node and waits until it serves.
    pub(crate) fn start_one(&mut self, number: usize) {
        let process = self.spawn(number);
        self.seat(number, process);
    }

    /// Starts every node that does not run, all at once, and waits until each serves.
    pub(crate) fn start_all(&mut self) {
        let absent: Vec<usize> = (0..self.count())
            .filter(|number| self.seats[*number].node.is_none())
            .collect();
        let processes: Vec<Process> = absent.iter().map(|number| self.spawn(*number)).collect();
        for (number, process) in absent.into_iter().zip(processes) {
            self.seat(number, process);
        }
    }

    fn node(&self, number: usize) -> &Node {
        let node = self.seats[number].node.as_ref();
        node.unwrap_or_else(|| panic!("node {number} does not run"))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, number: usize) {
        let mut node = self.seats[number].node.take().expect("it runs");
        node.process.kill();
        self.seats[number].is_paused = false;
        let log = node.process.log();
        assert!(!log.contains("panicked"), "node {number}: {log}");
    }

    /// SIGKILL for every node that runs, without a pause between.
    pub(crate) fn kill_all(&mut self) {
        let running = self.seats.iter().filter_map(|seat| seat.node.as_ref());
        running.for_each(|node| node.process.signal(Signal::SIGKILL));
        for number in 0..self.count() {
            if self.seats[number].node.is_some() {
                self.kill(number);
            }
        }
    }

    /// Asks every node to stop; each must end well within 5 seconds.
    pub(crate) fn stop_all(&mut self) {
        let nodes: Vec<Node> = self
            .seats
            .iter_mut()
            .filter_map(|seat| seat.node.take())
            .collect();
        let logs: Vec<String> = nodes.iter().map(|node| node.process.log()).collect();
        for log in logs {
            assert!(!log.contains("panicked"), "{log}");
        }
        nodes.into_iter().for_each(Node::stop);
    }

    /// SIGSTOP: the node stands still, its connections stay open.
    pub(crate) fn pause(&mut self, number: usize) {
        self.node(number).process.signal(Signal::SIGSTOP);
        self.seats[number].is_paused = true;
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self, number: usize) {
        self.node(number).process.signal(Signal::SIGCONT);
        self.seats[number].is_paused = false;
    }

    /// Removes the data of a node that does not run; its key stays.
    pub(crate) fn wipe(&self, number: usize) {
        assert!(self.seats[number].node.is_none(), "node {number} runs");
        std::fs::remove_dir_all(self.data(number)).expect("its data");
    }

    /// Copies the data of a node that does not run; where the copy is.
    pub(crate) fn back_up(&self, number: usize) -> PathBuf {
        assert!(self.seats[number].node.is_none(), "node {number} runs");
        let copy = self.directory(number).join("backup");
        copy_directory(&self.data(number), &copy);
        copy
    }

    /// Puts a copy in the place of a node's data.
    pub(crate) fn restore(&self, number: usize, copy: &Path) {
        self.wipe(number);
        copy_directory(copy, &self.data(number));
    }

    /// Files of evidence that any node has written.
    pub(crate) fn evidence(&self) -> Vec<PathBuf> {
        (0..self.count())
            .filter_map(|number| std::fs::read_dir(self.data(number).join("evidence")).ok())
            .flatten()
            .map(|entry| entry.expect("a file").path())
            .collect()
    }

    /// A client of a node's RPC, of this life and all later ones.
    pub(crate) fn client(&self, number: usize) -> HttpClient {
        let url = format!("http://127.0.0.1:{}", self.seats[number].rpc);
        let builder = HttpClientBuilder::default().request_timeout(ANSWER_MAX);
        builder.build(url).expect("a client")
    }

    /// Clients of all nodes.
    pub(crate) fn clients(&self) -> Vec<HttpClient> {
        (0..self.count())
            .map(|number| self.client(number))
            .collect()
    }

    /// The chain's domain.
    pub(crate) async fn domain(&self) -> Domain {
        let info = self.client(0).chain().await.expect("the chain");
        assert_eq!(info.validators.len(), self.count());
        Domain(info.domain.parse().expect("a field element"))
    }

    /// A node's height.
    pub(crate) async fn height(&self, number: usize) -> u64 {
        let status = self.client(number).status().await;
        let status = status.unwrap_or_else(|error| {
            let log = self.node(number).process.log();
            panic!("node {number} does not answer: {error}: {log}")
        });
        status.height
    }

    /// The highest height of the nodes that answer.
    pub(crate) async fn highest(&self) -> u64 {
        let mut highest = 0;
        for number in self.answering() {
            highest = highest.max(self.height(number).await);
        }
        highest
    }

    fn answering(&self) -> Vec<usize> {
        (0..self.count())
            .filter(|number| self.seats[*number].is_answering())
            .collect()
    }

    /// Waits until every node that answers has this height, and compares all their blocks.
    pub(crate) async fn reach(&mut self, height: u64) {
        let until = Instant::now() + PATIENCE;
        for number in self.answering() {
            loop {
                let at = self.height(number).await;
                if at >= height {
                    break;
                }
                assert!(
                    Instant::now() < until,
                    "node {number} is at {at}, not at {height}: {}",
                    self.node(number).process.log()
                );
                tokio::time::sleep(POLL).await;
            }
        }
        self.compare().await;
    }

    /// Waits for `more` blocks on every node that answers.
    pub(crate) async fn advance(&mut self, more: u64) {
        let height = self.highest().await + more;
        self.reach(height).await;
    }

    /// Compares every block of every node that answers with what was ever seen at its height.
    pub(crate) async fn compare(&mut self) {
        for number in self.answering() {
            let last = self.height(number).await;
            let client = self.client(number);
            for height in self.seats[number].compared + 1..=last {
                let block = client.block(Some(height)).await.expect("a block");
                let known = self
                    .blocks
                    .entry(height)
                    .or_insert_with(|| block.id.clone());
                assert_eq!(*known, block.id, "two blocks at {height}; node {number}");
            }
            self.seats[number].compared = last;
        }
    }
}

impl Drop for Set {
    /// What a failed test has left behind stays, to be looked at.
    #[expect(clippy::print_stderr, reason = "a failure needs its directory")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.directory.path().display());
            self.directory.disable_cleanup(true);
        }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
