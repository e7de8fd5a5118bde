//! The bytes peers exchange: what travels in the mesh, and the requests beside it.
//!
//! Every decoder is total: any bytes give a value or nothing. In the mesh a frame is either a message of at most
//! [`INLINE_BYTES_MAX`] bytes or an announcement of a longer one. An announcement names its announcer, goes one hop
//! and is never forwarded: a peer that has fetched and accepted the message announces it in its own name. So a
//! node learns of every neighbour that holds a message, and one that announces without holding it is known.

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use protocol::hash::keccak256;
use std::net::{IpAddr, SocketAddr};

use super::topic::{INLINE_BYTES_MAX, Topic};

/// Version of everything in this file; a Hello with another is refused.
pub(crate) const PROTOCOL_VERSION: u16 = 1;

/// Longest proof of a validator's key in a Hello: a signature and its statement fit ten times.
pub(crate) const VALIDATOR_PROOF_BYTES_MAX: usize = 1 << 10;

/// Addresses in one answer to [`Request::Peers`].
pub(crate) const ADDRESSES_PER_ANSWER: usize = 16;

const TAG_INLINE: u8 = 0;
const TAG_ANNOUNCEMENT: u8 = 1;

/// Identity of a message, equal at every node.
pub(crate) type ContentHash = [u8; 32];

/// keccak256 of the topic's tag and the bytes.
pub(crate) fn content_hash(topic: Topic, bytes: &[u8]) -> ContentHash {
    let mut input = Vec::with_capacity(bytes.len().saturating_add(1));
    input.push(topic.tag());
    input.extend_from_slice(bytes);
    keccak256(&input)
}

/// What one mesh message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GossipFrame {
    /// The message itself.
    Inline(Bytes),
    /// A longer message that `announcer` holds.
    Announcement(Announcement),
}

/// Where a long message can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) hash: ContentHash,
    pub(crate) len_bytes: u32,
    pub(crate) announcer: PeerId,
}

impl GossipFrame {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Inline(bytes) => {
                let mut out = Vec::with_capacity(bytes.len().saturating_add(1));
                out.push(TAG_INLINE);
                out.extend_from_slice(bytes);
                out
            }
            Self::Announcement(announcement) => {
                let mut out = vec![TAG_ANNOUNCEMENT];
                out.extend_from_slice(&announcement.hash);
                out.extend_from_slice(&announcement.len_bytes.to_le_bytes());
                out.extend_from_slice(&announcement.announcer.to_bytes());
                out
            }
        }
    }

    /// `None` is the sender's fault: unknown tag, a length against the topic's limits, or no peer id.
    pub(crate) fn decode(topic: Topic, bytes: &Bytes) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        match *tag {
            TAG_INLINE if rest.len() <= INLINE_BYTES_MAX.min(topic.bytes_max()) => {
                Some(Self::Inline(bytes.slice(1..)))
            }
            TAG_ANNOUNCEMENT => {
                let (hash, rest) = rest.split_first_chunk::<32>()?;
                let (length, peer) = rest.split_first_chunk::<4>()?;
                let len_bytes = u32::from_le_bytes(*length);
                let length = usize::try_from(len_bytes).ok()?;
                (INLINE_BYTES_MAX < length && length <= topic.bytes_max()).then_some(())?;
                Some(Self::Announcement(Announcement {
                    hash: *hash,
                    len_bytes,
                    announcer: PeerId::from_bytes(peer).ok()?,
                }))
            }
            _ => None,
        }
    }
}

/// First words on a connection, said by both sides.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Hello {
    pub(crate) chain: [u8; 32],
    pub(crate) version: u16,
    /// The port this node listens on; the address is what the other side sees. 0: none.
    pub(crate) port: u16,
    /// Signature of a validator's key over the peer id.
    pub(crate) validator_proof: Option<Vec<u8>>,
}

/// What a peer asks.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Request {
    Hello(Hello),
    /// Addresses of other peers.
    Peers,
    /// An announced message.
    Fetch(ContentHash),
    /// The caller's own request.
    Call(Vec<u8>),
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Response {
    /// The Hello was taken.
    Welcome,
    Peers(Vec<PeerAddress>),
    /// Bytes, or that there are none.
    Bytes(Option<Vec<u8>>),
    /// Not now: too many requests, or no Hello yet.
    Refused,
}

/// A peer and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct PeerAddress {
    peer: Vec<u8>,
    address: SocketAddr,
}

impl PeerAddress {
    pub(crate) fn new(peer: PeerId, address: SocketAddr) -> Self {
        let peer = peer.to_bytes();
        Self { peer, address }
    }

    /// `None` if the bytes are no peer id or the address cannot be dialled.
    pub(crate) fn parts(&self) -> Option<(PeerId, SocketAddr)> {
        let ip = self.address.ip();
        let dialable = self.address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast();
        dialable.then_some(())?;
        Some((PeerId::from_bytes(&self.peer).ok()?, self.address))
    }
}

/// The TCP form of a socket address.
pub(crate) fn to_multiaddr(address: SocketAddr) -> Multiaddr {
    let host = match address.ip() {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    Multiaddr::empty()
        .with(host)
        .with(Protocol::Tcp(address.port()))
}

/// The socket address at the start of a TCP address.
pub(crate) fn to_socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => ip.to_canonical(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(len_bytes: u32) -> GossipFrame {
        GossipFrame::Announcement(Announcement {
            hash: [7; 32],
            len_bytes,
            announcer: PeerId::random(),
        })
    }

    #[test]
    fn frames_come_back_as_they_were() {
        for frame in [
            GossipFrame::Inline(Bytes::new()),
            GossipFrame::Inline(Bytes::from(vec![3; INLINE_BYTES_MAX])),
            announcement(5_000),
        ] {
            let bytes = Bytes::from(frame.encode());
            assert_eq!(GossipFrame::decode(Topic::Submissions, &bytes), Some(frame));
        }
    }

    #[test]
    fn lengths_against_the_limits_are_refused() {
        let limit = u32::try_from(Topic::Bids.bytes_max()).expect("limit");
        let decode = |frame: GossipFrame| GossipFrame::decode(Topic::Bids, &frame.encode().into());
        assert!(decode(announcement(limit)).is_some());
        assert_eq!(decode(announcement(limit + 1)), None);
        assert_eq!(decode(announcement(4_096)), None);
        let long = Bytes::from(vec![0; INLINE_BYTES_MAX + 1]);
        assert_eq!(decode(GossipFrame::Inline(long)), None);
        for junk in [&b""[..], b"\x01", b"\x02abc", &[1; 40], &[1; 36]] {
            assert_eq!(
                GossipFrame::decode(Topic::Soft, &Bytes::copy_from_slice(junk)),
                None
            );
        }
    }

    #[test]
    fn same_bytes_in_two_topics_are_two_messages() {
        assert_ne!(
            content_hash(Topic::Bids, b"x"),
            content_hash(Topic::Proofs, b"x")
        );
    }

    #[test]
    fn undialable_addresses_are_dropped() {
        let peer = PeerId::random();
        let parts = |text: &str| PeerAddress::new(peer, text.parse().expect("address")).parts();
        assert!(parts("10.0.0.1:1").is_some());
        assert!(parts("10.0.0.1:0").is_none());
        assert!(parts("0.0.0.0:5").is_none());
        assert!(parts("224.0.0.1:5").is_none());
    }
}
