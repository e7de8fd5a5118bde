//! A line between two nodes on which everything takes a given time, as between cities: a proxy in this process.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::Instant,
};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Reads on their way; more wait with the sender.
const READS_MAX: usize = 1_024;

/// Starts a proxy to `to`; where it listens.
pub(super) async fn line(to: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            tokio::spawn(serve(caller, to, delay));
        }
    });
    address
}

async fn serve(caller: TcpStream, to: SocketAddr, delay: Duration) {
    let Ok(called) = TcpStream::connect(to).await else {
        return; // the node does not listen yet
    };
    for stream in [&caller, &called] {
        stream.set_nodelay(true).expect("a socket");
    }
    let (caller_reads, caller_writes) = caller.into_split();
    let (called_reads, called_writes) = called.into_split();
    tokio::join!(
        carry(caller_reads, called_writes, delay),
        carry(called_reads, caller_writes, delay),
    );
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut waiting) = mpsc::channel(READS_MAX);
    let reads = async move {
        loop {
            let mut bytes = Vec::with_capacity(READ_BYTES);
            let is_end = !matches!(from.read_buf(&mut bytes).await, Ok(1..));
            let sent = (Instant::now(), bytes);
            if is_end || sender.send(sent).await.is_err() {
                return;
            }
        }
    };
    let writes = async move {
        while let Some((sent, bytes)) = waiting.recv().await {
            tokio::time::sleep_until(sent + delay).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await; // who receives may be gone as well
    };
    tokio::join!(reads, writes);
}
