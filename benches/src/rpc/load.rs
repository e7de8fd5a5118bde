//! A load generator that costs little: prepared bytes out, lengths and ids in.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// What the node answers when it has accepted an operation.
const ACCEPTED: &[u8] = b"\"result\":\"0x";

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// HTTP/1.1, one request at a time on a connection that stays open.
    Http,
    /// One WebSocket per connection, one request at a time.
    WebSocket,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As soon as the connection's last request was answered.
    Closed,
    /// So many a second, evenly, on whichever connection is free.
    Open(u32),
}

/// What to send, how and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) transport: Transport,
    pub(super) connections: usize,
    pub(super) pace: Pace,
    pub(super) warm_up: Duration,
    pub(super) window: Duration,
    pub(super) windows: usize,
}

/// One window's figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Figures of all windows.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) windows: Vec<Window>,
}

/// An answered request: when, and how long it took.
struct Answered {
    at: Instant,
    latency: Duration,
}

impl Load {
    /// Puts the load on the node at `address`.
    pub(super) fn run(self, address: SocketAddr, requests: Arc<Vec<Vec<u8>>>) -> Measured {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..self.connections {
                connections.push(Connection::open(self.transport, address).await);
            }
            let start = Instant::now();
            let next = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = connections
                .into_iter()
                .map(|connection| {
                    tokio::spawn(self.drive(
                        connection,
                        Arc::clone(&next),
                        Arc::clone(&requests),
                        start,
                    ))
                })
                .collect();
            let mut all = Vec::new();
            for task in tasks {
                all.extend(task.await.expect("a connection failed"));
            }
            self.summary(start, &all)
        })
    }

    async fn drive(
        self,
        mut connection: Connection,
        next: Arc<AtomicUsize>,
        requests: Arc<Vec<Vec<u8>>>,
        start: Instant,
    ) -> Vec<Answered> {
        let count = u32::try_from(self.windows).expect("few windows");
        let end = start + self.warm_up + self.window * count;
        let mut answered = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let due = match self.pace {
                Pace::Closed => Instant::now(),
                Pace::Open(rate) => {
                    let number = u32::try_from(place).expect("fewer requests than 2^32");
                    let due = start + Duration::from_secs(1) / rate * number;
                    tokio::time::sleep_until(due.into()).await;
                    due
                }
            };
            if due >= end {
                return answered;
            }
            let request = requests
                .get(place)
                .expect("the node was faster than foreseen: sign more operations");
            connection.send(request).await;
            let at = Instant::now();
            answered.push(Answered {
                at,
                latency: at - due,
            });
        }
    }

    fn summary(&self, start: Instant, all: &[Answered]) -> Measured {
        let first = start + self.warm_up;
        let window = |number: usize| {
            let begin = first + self.window * u32::try_from(number).expect("few windows");
            let range = begin..begin + self.window;
            let mut latencies: Vec<f64> = all
                .iter()
                .filter(|answered| range.contains(&answered.at))
                .map(|answered| answered.latency.as_secs_f64() * 1_000.0)
                .collect();
            latencies.sort_by(f64::total_cmp);
            let count = latencies.len();
            let quantile = |percent: usize| {
                let place = (count * percent / 100).min(count.saturating_sub(1));
                latencies.get(place).copied().unwrap_or(f64::INFINITY)
            };
            Window {
                per_second: f64::from(u32::try_from(count).expect("few requests"))
                    / self.window.as_secs_f64(),
                p50_ms: quantile(50),
                p99_ms: quantile(99),
            }
        };
        Measured {
            windows: (0..self.windows).map(window).collect(),
        }
    }
}

/// One connection to the node.
struct Connection {
    transport: Transport,
    stream: BufReader<TcpStream>,
    out: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(transport: Transport, address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the node listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let mut connection = Self {
            transport,
            stream: BufReader::new(stream),
            out: Vec::new(),
            answer: Vec::new(),
        };
        if transport == Transport::WebSocket {
            let hello = "GET / HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
            connection.write(hello.as_bytes()).await;
            let head = connection.head().await;
            assert!(head.starts_with("HTTP/1.1 101"), "no WebSocket: {head}");
        }
        connection
    }

    /// Sends a request and reads the answer, which must be an id.
    async fn send(&mut self, body: &[u8]) {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        match self.transport {
            Transport::Http => {
                let head = format!(
                    "POST / HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                out.extend_from_slice(head.as_bytes());
            }
            Transport::WebSocket => {
                // A final text frame, its length in 16 bits, under the mask 0, which changes nothing.
                let length = u16::try_from(body.len()).expect("requests are below 64 KiB");
                assert!(length > 125, "shorter frames have another header");
                out.extend_from_slice(&[0x81, 0x80 | 126]);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&[0; 4]);
            }
        }
        out.extend_from_slice(body);
        self.write(&out).await;
        self.out = out;
        match self.transport {
            Transport::Http => self.read_http().await,
            Transport::WebSocket => self.read_frame().await,
        }
        let is_accepted = self
            .answer
            .windows(ACCEPTED.len())
            .any(|part| part == ACCEPTED);
        assert!(
            is_accepted,
            "refused: {}",
            String::from_utf8_lossy(&self.answer)
        );
    }

    async fn write(&mut self, bytes: &[u8]) {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).await.expect("the node reads");
    }

    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.expect("the node answers"));
        }
        String::from_utf8(head).expect("HTTP heads are text")
    }

    async fn read_http(&mut self) {
        let head = self.head().await;
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .expect("the answer says its length");
        self.read_body(length).await;
    }

    async fn read_frame(&mut self) {
        loop {
            let kind = self.stream.read_u8().await.expect("the node answers");
            let length = match self.stream.read_u8().await.expect("the node answers") {
                126 => usize::from(self.stream.read_u16().await.expect("the node answers")),
                127 => panic!("an answer of 64 KiB"),
                short => usize::from(short),
            };
            self.read_body(length).await;
            if kind == 0x81 {
                return;
            } // else a ping, which may stay without an answer for so short a time
        }
    }

    async fn read_body(&mut self, length: usize) {
        self.answer.resize(length, 0);
        let read = self.stream.read_exact(&mut self.answer).await;
        read.expect("the node answers");
    }
}
