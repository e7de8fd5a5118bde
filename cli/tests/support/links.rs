//! The lines between the nodes of a set: each node reaches each other through a proxy of its own, and the proxies lose,
//! delay and pass bytes as the test says. So network faults need no namespaces, no rules of the kernel and no rights.
//!
//! What one node sends another takes one directed line, whoever opened the connection. A cut line holds its bytes, as a
//! network that loses packets does to a connection that repeats them; a connection opened meanwhile is lost. The nodes
//! know each other by addresses of proxies only: each proxy calls from an address at which nobody listens, so what a node
//! sees of its callers and tells others leads nowhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Reads that wait on a line; more stay with the kernel, and then with the sender.
const READS_MAX: usize = 64;
/// Services of a node that others call: engine and gossip.
const SERVICES: usize = 2;

/// What becomes of bytes on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// They arrive so long after they were sent.
    Open(Duration),
    /// They arrive when it is open again.
    Cut,
}

/// Lines by sender and receiver.
#[derive(Clone)]
struct Lines {
    count: usize,
    lines: Vec<Line>,
}

impl Lines {
    fn set(&mut self, from: usize, to: usize, line: Line) {
        self.lines[from * self.count + to] = line;
    }
}

/// One line, as what moves bytes sees it.
#[derive(Clone)]
struct LineWatch {
    from: usize,
    to: usize,
    lines: watch::Receiver<Lines>,
}

impl LineWatch {
    fn now(&mut self) -> Line {
        let lines = self.lines.borrow_and_update();
        lines.lines[self.from * lines.count + self.to]
    }

    /// Waits until what was sent at `sent` arrives; false if nobody keeps the lines any more.
    async fn arrival(&mut self, sent: Instant) -> bool {
        loop {
            match self.now() {
                Line::Open(delay) => {
                    tokio::time::sleep_until(sent + delay).await;
                    return true;
                }
                Line::Cut => {
                    if self.lines.changed().await.is_err() {
                        return false;
                    }
                }
            }
        }
    }
}

/// All lines of a set, open at first.
pub(crate) struct Links {
    lines: Arc<watch::Sender<Lines>>,
    /// Ports by caller, called and service.
    ports: Vec<Vec<[u16; SERVICES]>>,
}

impl Links {
    /// Lines between nodes whose services have these ports. Needs a runtime, which moves the bytes.
    pub(crate) fn new(services: &[[u16; SERVICES]]) -> Self {
        let count = services.len();
        let lines = vec![Line::Open(Duration::ZERO); count * count];
        let (lines, watched) = watch::channel(Lines { count, lines });
        let line = |from, to| LineWatch {
            from,
            to,
            lines: watched.clone(),
        };
        let proxies = |caller: usize| {
            services.iter().enumerate().map(move |(called, ports)| {
                ports.map(|port| listen(line(caller, called), line(called, caller), port))
            })
        };
        let ports = (0..count).map(|caller| proxies(caller).collect()).collect();
        Self {
            lines: Arc::new(lines),
            ports,
        }
    }

    /// Where a node calls another: ports of its engine and its gossip.
    pub(crate) fn ports(&self, caller: usize, called: usize) -> [u16; SERVICES] {
        self.ports[caller][called]
    }

    fn change(&self, line: Line, is_meant: impl Fn(usize, usize) -> bool) {
        self.lines.send_modify(|lines| {
            for from in 0..lines.count {
                for to in 0..lines.count {
                    if is_meant(from, to) {
                        lines.set(from, to, line);
                    }
                }
            }
        });
    }

    /// Cuts all lines between these nodes and the rest.
    pub(crate) fn split(&self, side: &[usize]) {
        self.change(Line::Cut, |from, to| {
            side.contains(&from) != side.contains(&to)
        });
    }

    /// A node hears nobody; all hear it.
    pub(crate) fn deafen(&self, node: usize) {
        self.change(Line::Cut, |_, to| to == node);
    }

    /// Nobody hears a node; it hears all.
    pub(crate) fn mute(&self, node: usize) {
        self.change(Line::Cut, |from, _| from == node);
    }

    /// Everything takes so long from any node to any other.
    pub(crate) fn delay(&self, delay: Duration) {
        self.change(Line::Open(delay), |_, _| true);
    }

    /// All lines are open, without delay.
    pub(crate) fn heal(&self) {
        self.delay(Duration::ZERO);
    }
}

/// Starts a proxy to a port, with the lines from and to its caller; its own port.
fn listen(there: LineWatch, back: LineWatch, port: u16) -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("it does not block");
    let own = listener.local_addr().expect("an address").port();
    let listener = TcpListener::from_std(listener).expect("a runtime");
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            tokio::spawn(serve(caller, there.clone(), back.clone(), port));
        }
    });
    own
}

async fn serve(caller: TcpStream, mut there: LineWatch, mut back: LineWatch, port: u16) {
    let opened = Instant::now();
    let is_lost = there.now() == Line::Cut || back.now() == Line::Cut;
    if !(there.arrival(opened).await && back.arrival(opened).await) || is_lost {
        return;
    }
    let Ok(called) = call(there.from, port).await else {
        return; // the node does not run
    };
    for stream in [&caller, &called] {
        stream.set_nodelay(true).expect("a socket");
    }
    let (caller_reads, caller_writes) = caller.into_split();
    let (called_reads, called_writes) = called.into_split();
    tokio::join!(
        carry(caller_reads, called_writes, there),
        carry(called_reads, caller_writes, back),
    );
}

/// Connects to a node from the caller's made-up address.
async fn call(caller: usize, port: u16) -> std::io::Result<TcpStream> {
    let host = u8::try_from(caller + 1).expect("a small set");
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 1, host], 0)))?;
    socket
        .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await
}

/// Carries bytes and the end of them from one socket to another along a line.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut line: LineWatch) {
    let (sender, mut waiting) = mpsc::channel(READS_MAX);
    let reads = async move {
        loop {
            let mut bytes = Vec::with_capacity(READ_BYTES);
            let end = !matches!(from.read_buf(&mut bytes).await, Ok(1..));
            let sent = (Instant::now(), bytes);
            if end || sender.send(sent).await.is_err() {
                return;
            }
        }
    };
    let writes = async move {
        while let Some((sent, bytes)) = waiting.recv().await {
            if !line.arrival(sent).await || to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        if line.arrival(Instant::now()).await {
            let _ = to.shutdown().await; // who receives may be gone as well
        }
    };
    tokio::join!(reads, writes);
}
