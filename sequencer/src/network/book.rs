//! The address book: whom to dial, and when next.
//!
//! Persistent addresses come from the configuration and are dialled for ever, with a growing pause. Others come
//! from peers, are tried a few times and forgotten. The book is bounded, also by who told us, so one peer cannot
//! fill it. It does not dial.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;

/// Addresses learnt from peers: a few for each of a full set.
const LEARNT_MAX: usize = 512;
/// Of them from one peer: two full answers.
const LEARNT_PER_PEER_MAX: usize = 32;
/// Attempts at an address learnt from a peer.
const ATTEMPTS_MAX: u32 = 3;

#[derive(Debug)]
struct Entry {
    /// Who answers there, once known.
    peer: Option<PeerId>,
    /// Who told us; `None` for a persistent address.
    source: Option<PeerId>,
    /// Since the last success, counting the attempt under way.
    attempts: u32,
    next: Instant,
    dialling: Option<ConnectionId>,
}

/// All addresses.
#[derive(Debug)]
pub(crate) struct AddressBook {
    entries: BTreeMap<SocketAddr, Entry>,
    pause_min: Duration,
    pause_max: Duration,
}

impl AddressBook {
    pub(crate) fn new(
        persistent: &[SocketAddr],
        pause_min: Duration,
        pause_max: Duration,
        now: Instant,
    ) -> Self {
        let entry = |address: &SocketAddr| {
            let entry = Entry {
                peer: None,
                source: None,
                attempts: 0,
                next: now,
                dialling: None,
            };
            (*address, entry)
        };
        Self {
            entries: persistent.iter().map(entry).collect(),
            pause_min,
            pause_max,
        }
    }

    /// Takes an address another peer told us, if there is room.
    pub(crate) fn learn(
        &mut self,
        peer: PeerId,
        address: SocketAddr,
        source: PeerId,
        now: Instant,
    ) {
        let learnt = || self.entries.values().filter(|entry| entry.source.is_some());
        let known = self.entries.contains_key(&address)
            || learnt().any(|entry| entry.peer == Some(peer))
            || learnt().count() >= LEARNT_MAX
            || learnt()
                .filter(|entry| entry.source == Some(source))
                .count()
                >= LEARNT_PER_PEER_MAX;
        if known {
            return;
        }
        let entry = Entry {
            peer: Some(peer),
            source: Some(source),
            attempts: 0,
            next: now,
            dialling: None,
        };
        self.entries.insert(address, entry);
    }

    /// Addresses to dial now: persistent ones, and at most `learnt_max` learnt ones.
    pub(crate) fn due(
        &self,
        now: Instant,
        learnt_max: usize,
        is_connected: impl Fn(&PeerId) -> bool,
    ) -> Vec<(SocketAddr, Option<PeerId>)> {
        let due = |entry: &Entry| {
            entry.dialling.is_none()
                && entry.next <= now
                && !entry.peer.as_ref().is_some_and(&is_connected)
        };
        let pick = |persistent: bool| {
            self.entries
                .iter()
                .filter(move |(_, entry)| entry.source.is_none() == persistent && due(entry))
                // A persistent address may get a new identity: whoever answers there is right.
                .map(move |(address, entry)| (*address, entry.peer.filter(|_| !persistent)))
        };
        pick(true).chain(pick(false).take(learnt_max)).collect()
    }

    /// An attempt begins.
    pub(crate) fn dialling(&mut self, address: SocketAddr, id: ConnectionId) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.dialling = Some(id);
            entry.attempts = entry.attempts.saturating_add(1);
        }
    }

    /// An attempt failed, or could not begin.
    pub(crate) fn failed(&mut self, id: ConnectionId, now: Instant) {
        let Some((address, entry)) = self.by_attempt(id) else {
            return;
        };
        entry.dialling = None;
        let (attempts, learnt) = (entry.attempts, entry.source.is_some());
        if learnt && attempts >= ATTEMPTS_MAX {
            self.entries.remove(&address);
        } else {
            let pause = self.pause(attempts);
            if let Some(entry) = self.entries.get_mut(&address) {
                entry.next = now + pause;
            }
        }
    }

    /// An attempt led to `peer`; gives the address.
    pub(crate) fn connected(&mut self, id: ConnectionId, peer: PeerId) -> Option<SocketAddr> {
        let (address, entry) = self.by_attempt(id)?;
        entry.dialling = None;
        entry.peer = Some(peer);
        Some(address)
    }

    fn by_attempt(&mut self, id: ConnectionId) -> Option<(SocketAddr, &mut Entry)> {
        self.entries
            .iter_mut()
            .find(|(_, entry)| entry.dialling == Some(id))
            .map(|(address, entry)| (*address, entry))
    }

    /// `peer` is one of ours and listens at `address`: attempts count from nothing again.
    pub(crate) fn proved(&mut self, peer: PeerId, address: Option<SocketAddr>) {
        for (known, entry) in &mut self.entries {
            if Some(*known) == address {
                entry.peer = Some(peer);
            }
            if entry.peer == Some(peer) {
                entry.attempts = 0;
            }
        }
    }

    /// The last connection to `peer` is gone.
    pub(crate) fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        let spent = |entry: &Entry| entry.source.is_some() && entry.attempts >= ATTEMPTS_MAX;
        self.entries
            .retain(|_, entry| entry.peer != Some(*peer) || !spent(entry));
        let (pause_min, pause_max) = (self.pause_min, self.pause_max);
        for entry in self.entries.values_mut() {
            if entry.peer == Some(*peer) {
                entry.next = now + pause(pause_min, pause_max, entry.attempts);
            }
        }
    }

    /// Never dial this address again: this node listens there, or strangers do.
    pub(crate) fn forget(&mut self, id: ConnectionId) {
        if let Some((address, _)) = self.by_attempt(id) {
            self.entries.remove(&address);
        }
    }

    /// Whether `peer` answers at a configured address.
    pub(crate) fn is_persistent(&self, peer: &PeerId) -> bool {
        self.entries
            .values()
            .any(|entry| entry.source.is_none() && entry.peer == Some(*peer))
    }

    fn pause(&self, attempts: u32) -> Duration {
        pause(self.pause_min, self.pause_max, attempts)
    }
}

/// Doubles with each attempt, up to the cap.
fn pause(pause_min: Duration, pause_max: Duration, attempts: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(attempts.saturating_sub(1).min(20))
        .unwrap_or(u32::MAX);
    pause_min.saturating_mul(factor).min(pause_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(100);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn book(persistent: &[SocketAddr], now: Instant) -> AddressBook {
        AddressBook::new(persistent, PAUSE, Duration::from_secs(1), now)
    }

    #[test]
    fn persistent_address_is_redialled_for_ever_with_a_capped_pause() {
        let mut now = Instant::now();
        let mut book = book(&[address(1)], now);
        for attempt in 0..20 {
            let id = ConnectionId::new_unchecked(attempt);
            assert_eq!(book.due(now, 0, |_| false), vec![(address(1), None)]);
            book.dialling(address(1), id);
            assert_eq!(book.due(now, 0, |_| false), vec![]);
            book.failed(id, now);
            assert_eq!(book.due(now, 0, |_| false), vec![]);
            now += if attempt == 0 {
                PAUSE
            } else {
                Duration::from_secs(1)
            };
        }
        // A restart of a peer that was there is met soon.
        let (id, peer) = (ConnectionId::new_unchecked(99), PeerId::random());
        book.dialling(address(1), id);
        assert_eq!(book.connected(id, peer), Some(address(1)));
        book.proved(peer, None);
        assert!(book.is_persistent(&peer));
        assert_eq!(book.due(now, 0, |_| true), vec![]);
        book.disconnected(&peer, now);
        assert_eq!(book.due(now + PAUSE, 0, |_| false).len(), 1);
    }

    #[test]
    fn learnt_address_is_forgotten_after_a_few_attempts() {
        let mut now = Instant::now();
        let mut book = book(&[], now);
        let peer = PeerId::random();
        book.learn(peer, address(1), PeerId::random(), now);
        for attempt in 0..3 {
            let id = ConnectionId::new_unchecked(attempt);
            assert_eq!(book.due(now, 1, |_| false), vec![(address(1), Some(peer))]);
            book.dialling(address(1), id);
            book.failed(id, now);
            now += Duration::from_secs(1);
        }
        assert!(book.entries.is_empty());
    }

    #[test]
    fn one_peer_cannot_fill_the_book() {
        let now = Instant::now();
        let mut book = book(&[], now);
        let liar = PeerId::random();
        for port in 1..1_000 {
            book.learn(PeerId::random(), address(port), liar, now);
        }
        assert_eq!(book.entries.len(), LEARNT_PER_PEER_MAX);
        for port in 1_000..3_000 {
            book.learn(PeerId::random(), address(port), PeerId::random(), now);
        }
        assert_eq!(book.entries.len(), LEARNT_MAX);
        assert_eq!(book.due(now, 4, |_| false).len(), 4);
    }
}
