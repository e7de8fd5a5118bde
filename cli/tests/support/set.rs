//! A set of validators on one machine: each a real `quorate sequencer` process with its own key, data and ports, which
//! stay the same over restarts.
//!
//! The set remembers the id of every block that any node has ever shown, and compares: two ids for one height fail the
//! test, whichever nodes and lives they come from.

#[path = "disk.rs"]
pub(crate) mod disk;
#[path = "watch.rs"]
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use api::text::HashText;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use protocol::hash::keccak256;

use crate::links::Links;
use crate::node::{Node, Process, quorate};
use crate::ports::free_ports;

/// Longest wait for a height.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Ports of one node: RPC, engine, gossip.
const PORTS_PER_NODE: usize = 3;

/// A key by the published rule of development validators.
fn development_validator(number: usize) -> [u8; 32] {
    keccak256(format!("QUORATE/cli/devnet/validator/{number}/v1").as_bytes())
}

/// One validator.
struct Seat {
    rpc: u16,
    engine: u16,
    gossip: u16,
    node: Option<Node>,
    is_paused: bool,
    /// The length of its files may be limited.
    is_limited: bool,
    /// A library that stands between it and the system.
    preloaded: Option<PathBuf>,
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
    /// What lies between the nodes; nothing if they reach each other directly.
    links: Option<Arc<Links>>,
    /// Whether its nodes run in mode `available`.
    is_available: bool,
    blocks: BTreeMap<u64, HashText>,
}

impl Set {
    /// A chain of `count` validators and `accounts` funded keys; no process runs yet.
    pub(crate) fn new(count: usize, accounts: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let places = free_ports(PORTS_PER_NODE * count).into_iter();
        let ports: Vec<u16> = places.map(|place| place.port()).collect();
        let seats = ports.chunks_exact(PORTS_PER_NODE).map(|ports| Seat {
            rpc: ports[0],
            engine: ports[1],
            gossip: ports[2],
            node: None,
            is_paused: false,
            is_limited: false,
            preloaded: None,
            compared: 0,
        });
        let set = Self {
            seats: seats.collect(),
            directory,
            links: None,
            is_available: false,
            blocks: BTreeMap::new(),
        };
        let made = quorate()
            .args(["genesis", "new", "--accounts", &accounts.to_string()])
            .args(["--validators", &count.to_string()])
            .arg(set.genesis())
            .output()
            .expect("the binary runs");
        assert!(made.status.success(), "{made:?}");
        for number in 0..count {
            std::fs::create_dir(set.directory(number)).expect("a node's directory");
            let key = set.directory(number).join("validator.key");
            let scalar = development_validator(number);
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

    /// A chain whose nodes all serve, and whose lines can be cut.
    pub(crate) fn start_linked(count: usize, accounts: u32) -> (Self, Arc<Links>) {
        Self::new(count, accounts).link()
    }

    /// The same in mode `available`.
    pub(crate) fn start_available(count: usize, accounts: u32) -> (Self, Arc<Links>) {
        let mut set = Self::new(count, accounts);
        set.is_available = true;
        set.link()
    }

    fn link(mut self) -> (Self, Arc<Links>) {
        let services = self.seats.iter().map(|seat| [seat.engine, seat.gossip]);
        let links = Arc::new(Links::new(&services.collect::<Vec<_>>()));
        self.links = Some(Arc::clone(&links));
        self.start_all();
        (self, links)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn directory(&self, number: usize) -> PathBuf {
        self.path(&format!("node-{number}"))
    }

    /// File of the chain's genesis.
    pub(crate) fn genesis(&self) -> PathBuf {
        self.path("genesis.json")
    }

    /// Directory of a node's database.
    pub(crate) fn data(&self, number: usize) -> PathBuf {
        self.directory(number).join("data")
    }

    /// Number of validators.
    pub(crate) fn count(&self) -> usize {
        self.seats.len()
    }

    /// A node with a validator's key, in a directory of its own.
    fn command_in(&self, directory: &Path, number: usize) -> Command {
        let mut command = quorate();
        let key = self.directory(number).join("validator.key");
        command
            .args(["sequencer", "--dev", "--json", "--log", "info"])
            .arg("--genesis")
            .arg(self.genesis())
            .arg("--data")
            .arg(directory.join("data"))
            .arg("--validator-key")
            .arg(format!("file:{}", key.display()))
            .args(["--jobs", "127.0.0.1:0"]);
        if self.is_available {
            command.args(["--mode", "available"]);
        }
        command
    }

    fn command(&self, number: usize) -> Command {
        let mut command = self.command_in(&self.directory(number), number);
        let at = |port: u16| format!("127.0.0.1:{port}");
        for (other, seat) in self.seats.iter().enumerate() {
            if other == number {
                command.args(["--listen", &at(seat.rpc)]);
                command.args(["--engine-listen", &at(seat.engine)]);
                command.args(["--gossip-listen", &at(seat.gossip)]);
            } else {
                let direct = [seat.engine, seat.gossip];
                let links = self.links.as_ref();
                let [engine, gossip] = links.map_or(direct, |links| links.ports(number, other));
                command.args(["--engine-peer", &at(engine)]);
                command.args(["--gossip-peer", &at(gossip)]);
            }
        }
        command
    }

    /// Starts one more process with a validator's key, without its data, and waits until it serves.
    pub(crate) fn start_twin(&self, number: usize) -> Node {
        let directory = self.path("twin");
        std::fs::create_dir(&directory).expect("a node's directory");
        let mut command = self.command_in(&directory, number);
        for seat in &self.seats {
            let at = |port: u16| format!("127.0.0.1:{port}");
            command.args(["--engine-peer", &at(seat.engine)]);
            command.args(["--gossip-peer", &at(seat.gossip)]);
        }
        command.args(["--listen", "127.0.0.1:0"]);
        let process = Process::spawn(&mut command, directory.join("log"));
        let (node, _) = process.serving().expect("the twin starts");
        node
    }

    fn spawn(&self, number: usize) -> Process {
        assert!(self.seats[number].node.is_none(), "node {number} runs");
        let log = self.directory(number).join("log");
        let mut command = self.command(number);
        if self.seats[number].is_limited {
            command = disk::unsignalled(&command);
        }
        if let Some(library) = &self.seats[number].preloaded {
            command.env("LD_PRELOAD", library);
        }
        Process::spawn(&mut command, log)
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

    /// Waits until a node ends by itself: its exit code, and what it has logged.
    pub(crate) fn ended(&mut self, number: usize) -> (Option<i32>, String) {
        let mut node = self.seats[number].node.take().expect("it runs");
        let status = node.process.wait(PATIENCE);
        let log = node.process.log();
        let status = status.unwrap_or_else(|| panic!("node {number} goes on: {log}"));
        (status.code(), log)
    }

    /// From its next start, a node loads this library first.
    pub(crate) fn preload(&mut self, number: usize, library: &Path) {
        self.seats[number].preloaded = Some(library.to_owned());
    }

    /// Where a node is reached: ports of its RPC, its engine and its gossip.
    pub(crate) fn ports(&self, number: usize) -> [u16; PORTS_PER_NODE] {
        let seat = &self.seats[number];
        [seat.rpc, seat.engine, seat.gossip]
    }

    /// A node's process.
    pub(crate) fn pid(&self, number: usize) -> Pid {
        self.node(number).process.pid()
    }

    /// Most memory a node has held at once in this life, in KiB, as Linux counts it.
    pub(crate) fn peak_memory_kb(&self, number: usize) -> u64 {
        let path = format!("/proc/{}/status", self.pid(number));
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let words = line.expect("a peak").split_whitespace().next();
        words.and_then(|word| word.parse().ok()).expect("a number")
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
