//! Strangers at every door of a running set: blocks keep their pace, and no node's memory grows with what it is sent.
//!
//! The attackers share the machine's processors with the set, so each has a rate; how the doors stand unlimited floods
//! from hostile peers is tested where the doors are (`sequencer/src/network/tests`).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::error::{ApiError, ErrorCode};
use api::operation::SignedTransactionJson;
use api::rpc::QuorateClient;
use async_trait::async_trait;
use bytes::Bytes;
use jsonrpsee::core::ClientError;
use jsonrpsee::http_client::HttpClient;
use libp2p::PeerId;
use protocol::codec::to_bytes;
use protocol::number::{Amount, Height, LeafIndex, Nonce};
use protocol::transaction::{Action, Domain, SignedTransaction, Submission, Transaction};
use sequencer::network::{
    Acceptance, Gossip, GossipConfig, GossipHandler, GossipLimits, Topic, load_or_make_identity,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::heckler::heckle;
use crate::node::funded_key;
use crate::payer::{CHAIN_ID, Load};
use crate::set::Set;
use crate::{ACCOUNTS, FOUR};

/// Blocks whose intervals give a pace.
const BLOCKS: u64 = 20;
/// Flood and quiet may differ so much.
const SLOWER_MAX: u64 = 2;
/// Comparisons, of which one must hold: other tests begin and end meanwhile.
const TRIALS: usize = 3;
/// Most memory of a node, whatever it is sent: four times what a quiet one holds, for allocators and slow machines.
const MEMORY_KB_MAX: u64 = 256 << 10;
/// Between two badly signed operations to one node's RPC.
const RPC_PAUSE: Duration = Duration::from_millis(10);
/// Between two volleys of one gossiping stranger.
const GOSSIP_PAUSE: Duration = Duration::from_millis(50);
/// Volleys before a stranger takes a new name: long banned by then.
const VOLLEYS: u32 = 20;
/// Badly signed operations in a volley.
const SUBMISSIONS: u64 = 8;
/// Between two connections that talk nonsense.
const NONSENSE_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of nonsense: longer than any frame.
const NONSENSE_BYTES: usize = 8 << 20;
/// Connections to each port that say nothing.
const IDLE: usize = 100;

/// Says that everything is fine, and gives nothing.
struct Stranger;

#[async_trait]
impl GossipHandler for Stranger {
    async fn judge(&self, _: Topic, _: PeerId, _: Bytes) -> Acceptance {
        Acceptance::Accept
    }

    async fn serve(&self, _: PeerId, _: Bytes) -> Option<Bytes> {
        None
    }

    fn is_validator_proof(&self, _: PeerId, _: &[u8]) -> Option<[u8; 20]> {
        None
    }
}

/// An operation that only its signature tells from a good one.
fn badly_signed(domain: &Domain, salt: u64) -> SignedTransaction {
    let transaction = Transaction {
        from: LeafIndex(1),
        nonce: Nonce(salt % 64),
        valid_until: Height(1 << 40),
        fee: Amount::ZERO,
        action: Action::Transfer {
            to: LeafIndex(2),
            amount: Amount::new(1 + u128::from(salt)).expect("below 2^120"),
        },
    };
    let thief = funded_key(1);
    SignedTransaction {
        transaction,
        key: funded_key(0).public(),
        signature: thief.sign(&transaction.message(domain, false)),
    }
}

/// Offers badly signed operations to a node's RPC; each must be refused.
async fn flood_rpc(client: HttpClient, domain: Domain) {
    for salt in 0.. {
        let signed = SignedTransactionJson::new(CHAIN_ID, &badly_signed(&domain, salt));
        match client.send_transaction(signed).await {
            Ok(id) => panic!("{id} was taken"),
            Err(ClientError::Call(refusal)) => {
                let code = ApiError::from_object(&refusal).map(|error| error.code);
                assert_ne!(code, Some(ErrorCode::Internal), "{refusal:?}");
            }
            Err(_) => {} // too many at the door
        }
        tokio::time::sleep(RPC_PAUSE).await;
    }
}

/// Gossips badly signed operations and nonsense under one name after the other, all from this machine's address.
async fn flood_gossip(peers: Vec<SocketAddr>, chain: [u8; 32], domain: Domain, names: Arc<Path>) {
    let mut salt = 0;
    for name in 0_u32.. {
        let cancelled = CancellationToken::new();
        let _stop = cancelled.clone().drop_guard();
        let file = names.join(format!("name-{name}"));
        let config = GossipConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            peers: peers.clone(),
            identity: load_or_make_identity(&file).expect("a key"),
            chain,
            validator_proof: None,
            limits: GossipLimits::default(),
        };
        let started = Gossip::start(config, Arc::new(Stranger), cancelled).await;
        let (gossip, _) = started.expect("a free port");
        for _ in 0..VOLLEYS {
            let mut told = Vec::new();
            for _ in 0..SUBMISSIONS {
                salt += 1;
                told.push(Submission::Single(badly_signed(&domain, salt)));
            }
            // Errors say that its own queue is full.
            let _ = gossip.publish(Topic::Submissions, to_bytes(&told).into());
            for topic in Topic::ALL {
                let mut nonsense = vec![0xa5; 3_000];
                nonsense.extend_from_slice(&salt.to_le_bytes());
                let _ = gossip.publish(topic, nonsense.into());
            }
            tokio::time::sleep(GOSSIP_PAUSE).await;
        }
    }
}

/// Connects, talks nonsense for longer than any frame is, and connects again.
async fn flood_port(port: u16) {
    let nonsense: Vec<u8> = (0..NONSENSE_BYTES)
        .map(|place| u8::try_from(place * 7 % 251).expect("below 251"))
        .collect();
    loop {
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            // The node hangs up long before the end.
            let _ = tokio::time::timeout(NONSENSE_PAUSE, stream.write_all(&nonsense)).await;
        }
        tokio::time::sleep(NONSENSE_PAUSE).await;
    }
}

/// Holds many connections to a port and says nothing; those that are closed come again.
async fn crowd_port(port: u16) {
    let mut crowd = Vec::new();
    loop {
        crowd.retain(|stream: &TcpStream| stream.try_read(&mut [0; 64]).is_err());
        while crowd.len() < IDLE {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                Ok(stream) => crowd.push(stream),
                Err(_) => break,
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Median time between blocks, of the next [`BLOCKS`], by the proposers' clocks, which are one.
async fn pace_ms(set: &mut Set) -> u64 {
    let first = set.highest().await;
    set.reach(first + BLOCKS).await;
    let client = set.client(0);
    let mut times = Vec::new();
    for height in first..=first + BLOCKS {
        let block = client.block(Some(height)).await.expect("a block");
        times.push(block.timestamp_ms);
    }
    let mut intervals: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    intervals.sort_unstable();
    intervals[intervals.len() / 2]
}

/// Attackers at every door of every node.
async fn attack(set: &Set, names: &Path, said: &Arc<AtomicU64>) -> JoinSet<()> {
    let info = set.client(0).chain().await.expect("the chain");
    let domain = set.domain().await;
    let chain = info.genesis_hash.parse().expect("a hash");
    let mut attackers = JoinSet::new();
    for number in 0..set.count() {
        attackers.spawn(flood_rpc(set.client(number), domain));
        let [rpc, engine, gossip] = set.ports(number);
        for port in [engine, gossip] {
            attackers.spawn(flood_port(port));
            attackers.spawn(crowd_port(port));
        }
        attackers.spawn(flood_port(rpc));
    }
    let doors = |service: usize| -> Vec<SocketAddr> {
        let ports = (0..set.count()).map(|number| set.ports(number)[service]);
        ports
            .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .collect()
    };
    attackers.spawn(heckle(doors(1), Arc::clone(said)));
    attackers.spawn(flood_gossip(doors(2), chain, domain, names.into()));
    attackers
}

#[expect(clippy::print_stderr, reason = "figures, for who changes a limit")]
#[tokio::test(flavor = "multi_thread")]
async fn floods_at_every_door_neither_halve_the_pace_nor_fill_the_memory_slow() {
    let mut set = Set::start(FOUR, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(5).await;
    let mut paces = Vec::new();
    for _ in 0..TRIALS {
        let names = tempfile::tempdir().expect("a temporary directory");
        let said = Arc::new(AtomicU64::new(0));
        let quiet = pace_ms(&mut set).await;
        let mut attackers = attack(&set, names.path(), &said).await;
        let flooded = pace_ms(&mut set).await;
        assert!(attackers.try_join_next().is_none(), "an attacker has ended");
        attackers.shutdown().await;
        let said = said.load(Ordering::Relaxed);
        if said <= BLOCKS {
            continue; // the crowds held the doors: no flood to compare with
        }
        paces.push((quiet, flooded));
        if flooded <= SLOWER_MAX * quiet {
            break;
        }
    }
    assert!(!paces.is_empty(), "the engines let nobody speak");
    let peaks = (0..set.count()).map(|number| set.peak_memory_kb(number));
    let peak = peaks.max().expect("four nodes");
    eprintln!("ms between blocks, quiet and flooded: {paces:?}; a node has held {peak} KiB");
    assert!(peak <= MEMORY_KB_MAX, "a node has held {peak} KiB");
    let kept = paces
        .iter()
        .any(|(quiet, flooded)| *flooded <= SLOWER_MAX * quiet);
    assert!(kept, "ms between blocks, quiet and flooded: {paces:?}");
    load.settle(&mut set).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}
