//! Connections: Hello, places, faults and bans, dialling and discovery.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use libp2p::request_response::ResponseChannel;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use rand::seq::SliceRandom;

use super::{Asked, Driver, Peer};
use crate::network::bucket::Bucket;
use crate::network::frame::{
    ADDRESSES_PER_ANSWER, Hello, PROTOCOL_VERSION, PeerAddress, Request, Response,
    VALIDATOR_PROOF_BYTES_MAX, to_multiaddr, to_socket_address,
};
use crate::network::scoring::GRAYLIST;

/// Requests a peer may make, per second and at once.
const REQUESTS_PER_SECOND: u64 = 50;
const REQUESTS_BURST: u64 = 200;

/// Bytes of answers a peer may have, per second and at once: two longest messages, in advance or in debt.
const ANSWER_BYTES_PER_SECOND: u64 = 16 << 20;
const ANSWER_BYTES_BURST: u64 = 32 << 20;

/// New messages a peer may bring, per second and at once: four times the target rate of the whole network. It
/// bounds what the mesh's memory of ids can grow to.
const MESSAGES_PER_SECOND: u64 = 8_000;
const MESSAGES_BURST: u64 = 16_000;

/// Peers that hold validators' places with one key: a change of machine, not a crowd.
const PEERS_PER_VALIDATOR_MAX: usize = 2;

/// What is left of a fault after a second: half after two minutes.
const FAULT_DECAY_PER_SECOND: f64 = 0.994;

/// Addresses dialled at once because a peer told them.
const LEARNT_DIALS_MAX: usize = 4;

/// Points of a fault; at 160 a peer with no merit is banned.
pub(super) mod fault {
    /// What every honest node rejects: as much as in the mesh.
    pub(crate) const REJECTED: f64 = 100.0;
    /// Bytes that are no frame of this protocol, or not the announced message.
    pub(crate) const MALFORMED: f64 = 100.0;
    /// An announced message it does not have.
    pub(crate) const NOT_DELIVERED: f64 = 40.0;
    /// An announced message that did not come in time, which a slow link explains.
    pub(crate) const LATE: f64 = 20.0;
    /// More requests or messages than allowed.
    pub(crate) const HASTY: f64 = 0.5;
}

impl Driver {
    pub(super) fn on_connected(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
        now: Instant,
    ) {
        let dialled = self.book.connected(connection, peer);
        let Some(address) = to_socket_address(endpoint.get_remote_address()) else {
            // The gate and the book know only TCP addresses.
            self.disconnect(&peer);
            return;
        };
        if let Some(known) = self.peers.get_mut(&peer) {
            known.reachable = dialled.or(known.reachable);
            return;
        }
        let known = Peer {
            address,
            outbound: endpoint.is_dialer(),
            reachable: dialled,
            since: now,
            hello: None,
            welcomed: false,
            faults: 0.0,
            requests: Bucket::new(REQUESTS_PER_SECOND, REQUESTS_BURST, now),
            answer_bytes: Bucket::new(ANSWER_BYTES_PER_SECOND, ANSWER_BYTES_BURST, now),
            messages: Bucket::new(MESSAGES_PER_SECOND, MESSAGES_BURST, now),
            serving: 0,
        };
        self.peers.insert(peer, known);
        self.ask(&peer, Request::Hello(self.hello.clone()), Asked::Hello);
    }

    pub(super) fn on_disconnected(&mut self, peer: &PeerId, now: Instant) {
        self.peers.remove(peer);
        self.book.disconnected(peer, now);
        self.publish_status();
    }

    pub(super) fn on_dial_failed(&mut self, id: ConnectionId, error: &DialError, now: Instant) {
        tracing::debug!(%error, "a peer could not be reached");
        if matches!(error, DialError::LocalPeerId { .. }) {
            self.book.forget(id);
        } else {
            self.book.failed(id, now);
        }
    }

    /// Takes a Hello, or has the peer leave.
    pub(super) fn on_hello(
        &mut self,
        peer: PeerId,
        hello: Hello,
        channel: ResponseChannel<Response>,
    ) {
        let Some(known) = self.peers.get(&peer) else {
            return;
        };
        if known.hello.is_some() {
            self.answer(channel, Response::Welcome);
            return;
        }
        if hello.chain != self.hello.chain || hello.version != PROTOCOL_VERSION {
            tracing::info!(
                %peer,
                version = hello.version,
                same_chain = hello.chain == self.hello.chain,
                "peer of another network is turned away"
            );
            self.disconnect(&peer);
            return;
        }
        let validator = hello
            .validator_proof
            .filter(|proof| proof.len() <= VALIDATOR_PROOF_BYTES_MAX)
            .and_then(|proof| self.handler.is_validator_proof(peer, &proof));
        let listens = (hello.port != 0).then(|| SocketAddr::new(known.ip(), hello.port));
        let reachable = known.reachable.or(listens);
        self.book.proved(peer, reachable);
        if !self.has_place(&peer, validator) {
            tracing::debug!(%peer, "no place is left for this peer");
            self.disconnect(&peer);
            return;
        }
        if let Some(validator) = validator {
            let gate = &mut self.swarm.behaviour_mut().gate;
            gate.remember_validator(peer, validator);
        }
        if let Some(known) = self.peers.get_mut(&peer) {
            known.hello = Some(validator);
            known.reachable = reachable;
        }
        self.answer(channel, Response::Welcome);
        self.on_maybe_ready();
    }

    /// Our Hello was taken.
    pub(super) fn on_welcome(&mut self, peer: &PeerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.welcomed = true;
        }
        self.on_maybe_ready();
    }

    fn on_maybe_ready(&mut self) {
        self.publish_status();
        self.start_fetches();
    }

    fn has_place(&self, peer: &PeerId, validator: Option<[u8; 20]>) -> bool {
        if self.book.is_persistent(peer) {
            return true;
        }
        let others = || {
            self.peers
                .iter()
                .filter(move |(other, _)| *other != peer && !self.book.is_persistent(other))
                .filter_map(|(_, other)| other.hello)
        };
        if others().count() >= self.limits.peers_max {
            return false;
        }
        let of_same_key = || others().filter(|other| *other == validator).count();
        if validator.is_some() && of_same_key() < PEERS_PER_VALIDATOR_MAX {
            return true;
        }
        let strangers = others().filter(Option::is_none).count();
        strangers
            < self
                .limits
                .peers_max
                .saturating_sub(self.limits.validator_places)
    }

    /// Adds points against a peer; bans it when they are enough.
    pub(super) fn blame(&mut self, peer: &PeerId, points: f64, now: Instant) {
        let Some(known) = self.peers.get_mut(peer) else {
            return;
        };
        known.faults += points;
        let faults = known.faults;
        let mesh = &mut self.swarm.behaviour_mut().mesh;
        mesh.set_application_score(peer, -faults);
        self.check_score(peer, now);
    }

    /// Bans a peer whose score is too low.
    pub(super) fn check_score(&mut self, peer: &PeerId, now: Instant) {
        let score = self.swarm.behaviour().mesh.peer_score(peer);
        // Once only: verdicts on what it sent before keep coming in.
        if score.is_none_or(|score| score >= GRAYLIST)
            || self.swarm.behaviour().gate.is_banned(peer, now)
        {
            return;
        }
        let ip = self.peers.get(peer).map(Peer::ip);
        tracing::info!(%peer, score, "peer is banned for what it sent");
        ::metrics::counter!("sequencer_gossip_bans_total").increment(1);
        self.swarm.behaviour_mut().gate.ban(*peer, ip, now);
        self.judging.drop_waiting(peer);
        self.disconnect(peer);
    }

    pub(super) fn disconnect(&mut self, peer: &PeerId) {
        // An error says that it is not connected.
        let _ = self.swarm.disconnect_peer_id(*peer);
    }

    /// Deadlines of Hello, and once a second decay and scores.
    pub(super) fn check_peers(&mut self, now: Instant) {
        let late: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, known)| {
                let age = now.saturating_duration_since(known.since);
                !known.is_ready() && age >= self.limits.hello_time_max
            })
            .map(|(peer, _)| *peer)
            .collect();
        for peer in late {
            tracing::debug!(%peer, "peer said no Hello in time");
            self.disconnect(&peer);
        }
        if now.saturating_duration_since(self.decayed) < Duration::from_secs(1) {
            return;
        }
        self.decayed = now;
        self.swarm.behaviour_mut().gate.prune(now);
        for (peer, known) in &mut self.peers {
            known.faults *= FAULT_DECAY_PER_SECOND;
            let mesh = &mut self.swarm.behaviour_mut().mesh;
            mesh.set_application_score(peer, -known.faults);
        }
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.check_score(&peer, now);
        }
    }

    /// Dials who is due: configured peers always, others while there are too few.
    pub(super) fn dial(&mut self, now: Instant) {
        let missing = self.limits.peers_target.saturating_sub(self.peers.len());
        let due = self.book.due(now, missing.min(LEARNT_DIALS_MAX), |peer| {
            self.peers.contains_key(peer)
        });
        for (address, peer) in due {
            // A port of its own for each attempt: two peers that dial each other from their listening ports would
            // be one connection with two dialers.
            let options = match peer {
                Some(peer) => DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(vec![to_multiaddr(address)])
                    .allocate_new_port()
                    .build(),
                None => DialOpts::unknown_peer_id()
                    .address(to_multiaddr(address))
                    .allocate_new_port()
                    .build(),
            };
            let id = options.connection_id();
            self.book.dialling(address, id);
            if let Err(error) = self.swarm.dial(options) {
                self.on_dial_failed(id, &error, now);
            }
        }
    }

    /// Asks one peer for addresses while there are too few peers.
    pub(super) fn discover(&mut self, now: Instant) {
        let pause = now.saturating_duration_since(self.discovered);
        if self.peers.len() >= self.limits.peers_target || pause < self.limits.discovery_pause {
            return;
        }
        self.discovered = now;
        let ready: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, known)| known.is_ready())
            .map(|(peer, _)| *peer)
            .collect();
        if let Some(peer) = ready.choose(&mut rand::thread_rng()) {
            self.ask(peer, Request::Peers, Asked::Peers);
        }
    }

    /// Addresses to tell a peer: of others that said Hello, loopback ones only to loopback.
    pub(super) fn addresses_for(&self, asker: &PeerId) -> Vec<PeerAddress> {
        let Some(local) = self.peers.get(asker).map(|asker| asker.ip().is_loopback()) else {
            return Vec::new();
        };
        let mut addresses: Vec<PeerAddress> = self
            .peers
            .iter()
            .filter(|(peer, known)| *peer != asker && known.is_ready())
            .filter_map(|(peer, known)| Some((peer, known.reachable?)))
            .filter(|(_, address)| local || !address.ip().is_loopback())
            .map(|(peer, address)| PeerAddress::new(*peer, address))
            .collect();
        addresses.shuffle(&mut rand::thread_rng());
        addresses.truncate(ADDRESSES_PER_ANSWER);
        addresses
    }

    /// Takes addresses a peer told.
    pub(super) fn on_addresses(&mut self, source: PeerId, told: &[PeerAddress], now: Instant) {
        for (peer, address) in told
            .iter()
            .take(ADDRESSES_PER_ANSWER)
            .filter_map(PeerAddress::parts)
        {
            let wanted = peer != self.local
                && !self.peers.contains_key(&peer)
                && !self.swarm.behaviour().gate.is_banned(&peer, now);
            if wanted {
                self.book.learn(peer, address, source, now);
            }
        }
    }
}
