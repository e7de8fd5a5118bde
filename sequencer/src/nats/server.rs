//! A `nats-server` of its own for one test: Debian's, which `make setup` installs.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest a server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);
/// Where Debian puts it; a user's PATH may not have the directory.
const DEBIAN: &str = "/usr/sbin/nats-server";

/// A running server; killed when dropped.
pub(crate) struct NatsServer {
    /// Its URL, the same after a restart.
    pub(crate) url: String,
    port: u16,
    directory: tempfile::TempDir,
    child: Child,
}

impl NatsServer {
    /// Starts one with JetStream.
    pub(crate) fn start() -> Self {
        Self::start_with(&["-js"])
    }

    /// Starts one with these arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // Free now; another process may take it first, which the wait below would notice.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let child = spawn(port, &directory.path().to_path_buf(), arguments);
        let mut server = Self {
            url: format!("nats://127.0.0.1:{port}"),
            port,
            directory,
            child,
        };
        server.wait();
        server
    }

    /// Kills it without a warning.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }

    /// Starts it again at its port, with the store that it had.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.directory.path().to_path_buf(), &["-js"]);
        self.wait();
    }

    /// Starts it again at its port, with an empty store.
    pub(crate) fn start_empty(&mut self) {
        self.kill();
        self.directory = tempfile::tempdir().expect("a temporary directory");
        self.start_again();
    }

    fn wait(&mut self) {
        let until = Instant::now() + START_MAX;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "nats-server ended: {ended:?}");
            assert!(Instant::now() < until, "nats-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn spawn(port: u16, store: &PathBuf, arguments: &[&str]) -> Child {
    let program = match PathBuf::from(DEBIAN) {
        path if path.is_file() => path,
        _ => PathBuf::from("nats-server"),
    };
    Command::new(&program)
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
        .arg(store)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("no {}: {error}; run make setup", program.display()))
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
