//! A real `quorate sequencer` process on a development chain: started, killed, and started again in its directory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::account::L1Address;
use protocol::hash::keccak256;
use protocol::signature::SecretKey;
use serde_json::Value;

/// A start may take so long, by `sequencing.md`.
const START_MAX: Duration = Duration::from_secs(10);

/// The binary, without this process's settings.
pub(crate) fn quorate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.env_remove("QUORATE_LOG").stdin(Stdio::null());
    command
}

/// Secret of the funded key number `index`, by the published rule.
pub(crate) fn funded_key(index: u32) -> SecretKey {
    let text = format!("QUORATE/cli/devnet/account/{index}/v1");
    SecretKey::from_seed(&keccak256(text.as_bytes()))
}

/// A made-up account on the base layer, one for each number.
pub(crate) fn l1_owner(number: u64) -> L1Address {
    let mut owner = [0x33; 20];
    owner[12..].copy_from_slice(&number.to_be_bytes());
    L1Address(owner)
}

/// A development chain: genesis and the directory of its database.
pub(crate) struct Chain {
    directory: tempfile::TempDir,
    settings: Vec<(&'static str, u32)>,
}

impl Chain {
    /// A new chain; `settings` are of the section `[sequencer]`.
    pub(crate) fn new(accounts: u32, settings: &[(&'static str, u32)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let chain = Self {
            directory,
            settings: settings.to_vec(),
        };
        let made = quorate()
            .args(["genesis", "new", "--accounts", &accounts.to_string()])
            .arg(chain.path("genesis.json"))
            .output()
            .expect("the binary runs");
        assert!(made.status.success(), "{made:?}");
        chain
    }

    /// A file of this chain's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command that runs its node.
    pub(crate) fn command(&self) -> Command {
        let mut command = quorate();
        command
            .args(["sequencer", "--dev", "--json", "--log", "info"])
            .args(["--listen", "127.0.0.1:0", "--jobs", "127.0.0.1:0"])
            .arg("--genesis")
            .arg(self.path("genesis.json"))
            .arg("--data")
            .arg(self.path("data"));
        for (key, value) in &self.settings {
            let name = format!("QUORATE__SEQUENCER__{}", key.to_uppercase());
            command.env(name, value.to_string());
        }
        command
    }

    /// Starts a process, with a failpoint armed if there is one.
    pub(crate) fn spawn(&self, failpoint: Option<&str>) -> Process {
        let mut command = self.command();
        if let Some(point) = failpoint {
            command.env(sequencer::FAILPOINT_VARIABLE, point);
        }
        Process::spawn(&mut command, self.path("log"))
    }

    /// Starts a node and waits until it serves.
    pub(crate) fn start(&self) -> Node {
        let served = self.spawn(None).serving();
        let (node, _) = served.unwrap_or_else(|| panic!("no start: {}", self.log()));
        node
    }

    /// What its node has logged since it was started last.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).expect("a log")
    }
}

impl Drop for Chain {
    /// What a failed test has left behind stays, to be looked at.
    #[expect(clippy::print_stderr, reason = "a failure needs its directory")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.directory.path().display());
            self.directory.disable_cleanup(true);
        }
    }
}

/// A node's process; killed if a test fails.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Process {
    /// Starts it, with a new log.
    pub(crate) fn spawn(command: &mut Command, log: PathBuf) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log file"))
            .spawn()
            .expect("the binary runs");
        Self {
            child,
            log,
            started: Instant::now(),
        }
    }

    /// Its number.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// Waits until the node serves, and says how long after the process's start; nothing if the process ends before.
    pub(crate) fn serving(mut self) -> Option<(Node, Duration)> {
        let mut stdout = BufReader::new(self.child.stdout.take().expect("stdout is piped"));
        let (sender, line) = sync_channel(1);
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = stdout.read_line(&mut line);
            let _ = sender.send(read.map(|_| (line, stdout))); // the test may have given up
        });
        let Ok(line) = line.recv_timeout(START_MAX) else {
            panic!("not serving after {START_MAX:?}: {}", self.log());
        };
        let (line, stdout) = line.expect("stdout can be read");
        let running: Value = serde_json::from_str(&line).ok()?;
        let start = self.started.elapsed();
        let url = |name: &str| running[name].as_str().expect("a URL").to_owned();
        let node = Node {
            rpc: url("rpc"),
            jobs: url("jobs"),
            process: self,
            _stdout: stdout,
        };
        assert!(
            start < START_MAX && node.is_ready(),
            "serving after {start:?}"
        );
        Some((node, start))
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A node that serves.
pub(crate) struct Node {
    pub(crate) process: Process,
    /// URL of its RPC.
    pub(crate) rpc: String,
    /// URL of its proof queue.
    pub(crate) jobs: String,
    /// Kept open: a closed pipe is not what is tested here.
    _stdout: BufReader<std::process::ChildStdout>,
}

impl Node {
    /// A client of its RPC.
    pub(crate) fn client(&self) -> HttpClient {
        HttpClientBuilder::default()
            .build(&self.rpc)
            .expect("a client")
    }

    /// Whether `/readyz` says yes.
    pub(crate) fn is_ready(&self) -> bool {
        let address = self.rpc.strip_prefix("http://").expect("a URL");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request =
            format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.starts_with("HTTP/1.1 200")
    }

    /// Asks it to stop; it must end well within 5 seconds.
    pub(crate) fn stop(mut self) {
        self.process.signal(Signal::SIGTERM);
        let status = self.process.wait(Duration::from_secs(5)).expect("an end");
        assert_eq!(status.code(), Some(0), "{}", self.process.log());
    }
}
