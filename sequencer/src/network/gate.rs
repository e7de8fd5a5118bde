//! Decides who may connect, before anything is read from them.
//!
//! It counts connections by address and in total, remembers bans, and keeps room for validators: a peer id that
//! once proved a validator's key enters when others are full; anyone else may enter a few places beyond the limit
//! to say Hello, and leaves again if that shows no validator. Every table has a bound. It does not judge what peers
//! say; the driver bans.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::core::{Endpoint, transport::PortUse};
use libp2p::swarm::{
    ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished, dummy,
};
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;

use super::bucket::Bucket;
use super::frame::to_socket_address;

/// How long a banned peer or address stays away.
pub(crate) const BAN_TIME: Duration = Duration::from_secs(600);

/// Bans remembered; the soonest to end is forgotten first.
const BANS_MAX: usize = 4_096;

/// Peer ids remembered as validators': a full set twice over.
const VALIDATORS_MAX: usize = 256;

/// Addresses watched; more are turned away until some are forgotten.
const ADDRESSES_MAX: usize = 8_192;

/// Places beyond the limit in which a stranger may say Hello, and as many again for known validators.
pub(crate) const PROBATION_PLACES: usize = 16;

/// Bans from one address that close the address: a new identity costs its owner nothing.
const STRIKES_MAX: u32 = 4;

/// New connections per second from one address, and at once: a restart with a few retries fits.
const ARRIVALS_PER_SECOND: u64 = 2;
const ARRIVALS_BURST: u64 = 32;

/// Why a connection is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    #[error("peer is banned")]
    Banned,
    #[error("address is closed after bans from it")]
    ClosedAddress,
    #[error("too many connections from this address")]
    CrowdedAddress,
    #[error("too many new connections from this address")]
    HastyAddress,
    #[error("all places are taken")]
    Full,
    #[error("not an address of this transport")]
    StrangeAddress,
}

#[derive(Debug)]
struct Visitor {
    connections: usize,
    strikes: u32,
    closed_until: Option<Instant>,
    arrivals: Bucket,
}

/// The doorkeeper's memory.
pub(crate) struct Gate {
    peers_max: usize,
    per_address_max: usize,
    exempt_loopback: bool,
    bans: BTreeMap<PeerId, Instant>,
    validators: BTreeMap<PeerId, [u8; 20]>,
    addresses: BTreeMap<IpAddr, Visitor>,
    connections: usize,
}

/// Addresses one owner has for free count as one: IPv6 by its /64.
fn owner(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}

impl Gate {
    pub(crate) fn new(peers_max: usize, per_address_max: usize, exempt_loopback: bool) -> Self {
        Self {
            peers_max,
            per_address_max,
            exempt_loopback,
            bans: BTreeMap::new(),
            validators: BTreeMap::new(),
            addresses: BTreeMap::new(),
            connections: 0,
        }
    }

    /// Keeps a peer away for [`BAN_TIME`]; enough of them close their address.
    pub(crate) fn ban(&mut self, peer: PeerId, ip: Option<IpAddr>, now: Instant) {
        self.validators.remove(&peer);
        if self.bans.len() >= BANS_MAX
            && let Some(soonest) = self.bans.iter().min_by_key(|(_, until)| **until)
        {
            let soonest = *soonest.0;
            self.bans.remove(&soonest);
        }
        self.bans.insert(peer, now + BAN_TIME);
        let Some(ip) = ip.filter(|ip| !self.is_exempt(*ip)) else {
            return;
        };
        if let Some(visitor) = self.addresses.get_mut(&owner(ip)) {
            visitor.strikes = visitor.strikes.saturating_add(1);
            if visitor.strikes >= STRIKES_MAX {
                visitor.closed_until = Some(now + BAN_TIME);
            }
        }
    }

    pub(crate) fn is_banned(&self, peer: &PeerId, now: Instant) -> bool {
        self.bans.get(peer).is_some_and(|until| *until > now)
    }

    /// Remembers that this peer proved a validator's key. Which of several peer ids of one key came last counts.
    pub(crate) fn remember_validator(&mut self, peer: PeerId, validator: [u8; 20]) {
        self.validators.retain(|_, known| *known != validator);
        if self.validators.len() < VALIDATORS_MAX {
            self.validators.insert(peer, validator);
        }
    }

    /// Forgets what has run out.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.bans.retain(|_, until| *until > now);
        self.addresses.retain(|_, visitor| {
            if visitor.closed_until.is_some_and(|until| until <= now) {
                visitor.closed_until = None;
                visitor.strikes = 0;
            }
            visitor.connections > 0 || visitor.strikes > 0 || !visitor.arrivals.is_full(now)
        });
    }

    fn is_exempt(&self, ip: IpAddr) -> bool {
        self.exempt_loopback && ip.to_canonical().is_loopback()
    }

    fn check_arrival(&mut self, remote: &Multiaddr, now: Instant) -> Result<(), Refusal> {
        let ip = to_socket_address(remote)
            .ok_or(Refusal::StrangeAddress)?
            .ip();
        if self.connections >= self.peers_max.saturating_add(2 * PROBATION_PLACES) {
            return Err(Refusal::Full);
        }
        if self.is_exempt(ip) {
            return Ok(());
        }
        let ip = owner(ip);
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&ip) {
            return Err(Refusal::CrowdedAddress);
        }
        let visitor = visitor(&mut self.addresses, ip, now);
        if visitor.closed_until.is_some_and(|until| until > now) {
            return Err(Refusal::ClosedAddress);
        }
        if visitor.connections >= self.per_address_max {
            return Err(Refusal::CrowdedAddress);
        }
        if !visitor.arrivals.take(1, now) {
            return Err(Refusal::HastyAddress);
        }
        Ok(())
    }

    fn check_peer(&self, peer: &PeerId, remote: &Multiaddr, now: Instant) -> Result<(), Refusal> {
        if self.is_banned(peer, now) {
            return Err(Refusal::Banned);
        }
        let places = if self.validators.contains_key(peer) {
            2 * PROBATION_PLACES
        } else {
            PROBATION_PLACES
        };
        if self.connections >= self.peers_max.saturating_add(places) {
            return Err(Refusal::Full);
        }
        // Again, because several may have arrived together.
        let ip = to_socket_address(remote)
            .ok_or(Refusal::StrangeAddress)?
            .ip();
        let count = self
            .addresses
            .get(&owner(ip))
            .map_or(0, |visitor| visitor.connections);
        if !self.is_exempt(ip) && count >= self.per_address_max {
            return Err(Refusal::CrowdedAddress);
        }
        Ok(())
    }

    fn count(&mut self, remote: &Multiaddr, opened: bool, now: Instant) {
        self.connections = shift(self.connections, opened);
        if let Some(address) = to_socket_address(remote) {
            let visitor = visitor(&mut self.addresses, owner(address.ip()), now);
            visitor.connections = shift(visitor.connections, opened);
        }
    }
}

fn shift(count: usize, up: bool) -> usize {
    if up {
        count.saturating_add(1)
    } else {
        count.saturating_sub(1)
    }
}

fn visitor(addresses: &mut BTreeMap<IpAddr, Visitor>, ip: IpAddr, now: Instant) -> &mut Visitor {
    addresses.entry(ip).or_insert_with(|| Visitor {
        connections: 0,
        strikes: 0,
        closed_until: None,
        arrivals: Bucket::new(ARRIVALS_PER_SECOND, ARRIVALS_BURST, now),
    })
}

fn refused(refusal: Refusal) -> ConnectionDenied {
    ::metrics::counter!("sequencer_gossip_refused_connections_total").increment(1);
    ConnectionDenied::new(refusal)
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.check_arrival(remote, Instant::now()).map_err(refused)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check_peer(&peer, remote, Instant::now())
            .map_err(refused)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        // Whom this node dials is its own choice; only a ban stands.
        if self.is_banned(&peer, Instant::now()) {
            return Err(refused(Refusal::Banned));
        }
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let now = Instant::now();
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { endpoint, .. }) => {
                self.count(endpoint.get_remote_address(), true, now);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { endpoint, .. }) => {
                self.count(endpoint.get_remote_address(), false, now);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        super::super::frame::to_multiaddr(text.parse().expect("address"))
    }

    #[test]
    fn one_address_has_so_many_places_and_loopback_as_many_as_it_likes() {
        let now = Instant::now();
        let mut gate = Gate::new(100, 2, true);
        let (remote, own) = (address("192.0.2.1:9"), address("127.0.0.1:9"));
        for _ in 0..2 {
            assert_eq!(gate.check_arrival(&remote, now), Ok(()));
            gate.count(&remote, true, now);
            gate.count(&own, true, now);
        }
        let refusal = Err(Refusal::CrowdedAddress);
        assert_eq!(gate.check_arrival(&remote, now), refusal);
        assert_eq!(gate.check_peer(&PeerId::random(), &remote, now), refusal);
        assert_eq!(gate.check_arrival(&own, now), Ok(()));
        assert_eq!(gate.check_arrival(&address("192.0.2.2:9"), now), Ok(()));
        gate.count(&remote, false, now);
        assert_eq!(gate.check_arrival(&remote, now), Ok(()));
    }

    #[test]
    fn network_of_one_owner_counts_as_one_address() {
        let now = Instant::now();
        let mut gate = Gate::new(100, 1, true);
        gate.count(&address("[2001:db8:1:2::1]:9"), true, now);
        assert_eq!(
            gate.check_arrival(&address("[2001:db8:1:2:3::4]:9"), now),
            Err(Refusal::CrowdedAddress)
        );
        assert_eq!(
            gate.check_arrival(&address("[2001:db8:1:3::1]:9"), now),
            Ok(())
        );
    }

    #[test]
    fn fresh_identities_after_bans_close_their_address_until_the_ban_ends() {
        let now = Instant::now();
        let mut gate = Gate::new(100, 8, true);
        let remote = address("192.0.2.1:9");
        let ip = "192.0.2.1".parse().ok();
        for _ in 0..STRIKES_MAX {
            assert_eq!(gate.check_arrival(&remote, now), Ok(()));
            gate.ban(PeerId::random(), ip, now);
        }
        assert_eq!(
            gate.check_arrival(&remote, now),
            Err(Refusal::ClosedAddress)
        );
        gate.prune(now + BAN_TIME);
        assert!(gate.bans.is_empty());
        assert_eq!(gate.check_arrival(&remote, now + BAN_TIME), Ok(()));
    }

    #[test]
    fn validator_enters_when_strangers_do_not() {
        let now = Instant::now();
        let mut gate = Gate::new(0, 1_000, true);
        let validator = PeerId::random();
        gate.remember_validator(validator, [1; 20]);
        let remote = address("127.0.0.1:9");
        for _ in 0..PROBATION_PLACES {
            assert_eq!(gate.check_peer(&PeerId::random(), &remote, now), Ok(()));
            gate.count(&remote, true, now);
        }
        let refusal = Err(Refusal::Full);
        assert_eq!(gate.check_peer(&PeerId::random(), &remote, now), refusal);
        assert_eq!(gate.check_peer(&validator, &remote, now), Ok(()));
        // The key moved to another identity: the old one is a stranger.
        gate.remember_validator(PeerId::random(), [1; 20]);
        assert_eq!(gate.check_peer(&validator, &remote, now), refusal);
    }

    #[test]
    fn tables_stay_at_their_cap() {
        let now = Instant::now();
        let mut gate = Gate::new(10, 10, true);
        for index in 0..(BANS_MAX + 10) {
            gate.ban(PeerId::random(), None, now);
            assert!(gate.bans.len() <= BANS_MAX, "{index}");
        }
        for index in 0_u32..9_000 {
            let ip = std::net::Ipv4Addr::from(0x0a00_0000 + index);
            let _ = gate.check_arrival(&address(&format!("{ip}:1")), now);
        }
        assert_eq!(gate.addresses.len(), ADDRESSES_MAX);
        gate.prune(now + Duration::from_secs(10));
        assert!(gate.addresses.is_empty());
    }
}
