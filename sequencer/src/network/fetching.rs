//! Long messages: which are announced and by whom, which are being fetched, which are held to be served.
//!
//! A message is fetched from one announcer at a time and judged once, however many announce it; if one does not
//! deliver, the next is asked. What was judged is remembered for a while, so an announcement of it costs nothing.
//! All tables are bounded. Asking and punishing is the driver's.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::PeerId;

use super::frame::{Announcement, ContentHash};
use super::topic::{Acceptance, Topic};

/// Messages announced and not yet fetched; of them first announced by one peer.
const PENDING_MAX: usize = 512;
const PENDING_PER_PEER_MAX: usize = 32;
/// Fetches at once, in all and from one peer: at 4 MiB each, 64 MiB of answers.
const ACTIVE_MAX: usize = 16;
const ACTIVE_PER_PEER_MAX: usize = 4;
/// Announcers remembered for one message.
const ANNOUNCERS_MAX: usize = 8;
/// How long a message may stay announced and not fetched.
const PENDING_TIME: Duration = Duration::from_secs(30);
/// Bytes of long messages held to be served.
const HELD_BYTES_MAX: usize = 64 << 20;
/// Verdicts remembered, and for how long: as long as the mesh remembers an id.
const SETTLED_MAX: usize = 8_192;
const SETTLED_TIME: Duration = Duration::from_secs(120);

/// A message that is announced.
#[derive(Debug)]
struct Fetch {
    topic: Topic,
    len_bytes: u32,
    /// Not yet asked.
    waiting: VecDeque<PeerId>,
    /// Everyone who vouched, in order.
    announcers: Vec<PeerId>,
    active: Option<PeerId>,
    since: Instant,
}

/// What an announcement led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// To be fetched, or one more place to fetch it from.
    Pending,
    /// Held or judged already.
    Known,
    /// Judged already and wrong.
    KnownBad,
    /// No room.
    Full,
}

/// A fetched message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) topic: Topic,
    pub(crate) len_bytes: u32,
    pub(crate) announcers: Vec<PeerId>,
}

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Fetching {
    pending: BTreeMap<ContentHash, Fetch>,
    held: BTreeMap<ContentHash, Bytes>,
    held_order: VecDeque<ContentHash>,
    held_bytes: usize,
    settled: BTreeMap<ContentHash, Acceptance>,
    settled_order: VecDeque<(Instant, ContentHash)>,
    active: usize,
}

impl Fetching {
    /// Takes note of an announcement whose lengths are within the limits.
    pub(crate) fn note(&mut self, topic: Topic, said: &Announcement, now: Instant) -> Noted {
        if self.held.contains_key(&said.hash) {
            return Noted::Known;
        }
        match self.settled.get(&said.hash) {
            Some(Acceptance::Reject) => return Noted::KnownBad,
            Some(_) => return Noted::Known,
            None => {}
        }
        if let Some(fetch) = self.pending.get_mut(&said.hash) {
            // The hash covers topic and bytes, so of two that differ here one announcer lies. Whoever came first
            // is asked first; the other gets its turn when that fails.
            if fetch.topic != topic || fetch.len_bytes != said.len_bytes {
                return Noted::Full;
            }
            if fetch.announcers.contains(&said.announcer) {
                return Noted::Pending;
            }
            if fetch.announcers.len() >= ANNOUNCERS_MAX {
                return Noted::Full;
            }
            fetch.announcers.push(said.announcer);
            fetch.waiting.push_back(said.announcer);
            return Noted::Pending;
        }
        let first = |fetch: &&Fetch| fetch.announcers.first() == Some(&said.announcer);
        if self.pending.len() >= PENDING_MAX
            || self.pending.values().filter(first).count() >= PENDING_PER_PEER_MAX
        {
            return Noted::Full;
        }
        let fetch = Fetch {
            topic,
            len_bytes: said.len_bytes,
            waiting: VecDeque::from([said.announcer]),
            announcers: vec![said.announcer],
            active: None,
            since: now,
        };
        self.pending.insert(said.hash, fetch);
        Noted::Pending
    }

    /// Fetches to begin now, each from a peer for which `is_ready` holds; every one must end in
    /// [`Fetching::succeed`] or [`Fetching::fail`].
    pub(crate) fn start(
        &mut self,
        is_ready: impl Fn(&PeerId) -> bool,
    ) -> Vec<(ContentHash, PeerId)> {
        let mut busy: BTreeMap<PeerId, usize> = BTreeMap::new();
        for peer in self.pending.values().filter_map(|fetch| fetch.active) {
            *busy.entry(peer).or_default() += 1;
        }
        let mut started = Vec::new();
        for (hash, fetch) in &mut self.pending {
            if self.active >= ACTIVE_MAX {
                break;
            }
            if fetch.active.is_some() {
                continue;
            }
            let free = |peer: &PeerId| {
                is_ready(peer) && busy.get(peer).copied().unwrap_or(0) < ACTIVE_PER_PEER_MAX
            };
            let Some(index) = fetch.waiting.iter().position(free) else {
                continue;
            };
            if let Some(peer) = fetch.waiting.remove(index) {
                *busy.entry(peer).or_default() += 1;
                fetch.active = Some(peer);
                self.active += 1;
                started.push((*hash, peer));
            }
        }
        started
    }

    /// The message is here: nothing is pending any more.
    pub(crate) fn succeed(&mut self, hash: &ContentHash) -> Option<Fetched> {
        let fetch = self.pending.remove(hash)?;
        if fetch.active.is_some() {
            self.active = self.active.saturating_sub(1);
        }
        Some(Fetched {
            topic: fetch.topic,
            len_bytes: fetch.len_bytes,
            announcers: fetch.announcers,
        })
    }

    /// What was asked for.
    pub(crate) fn pending(&self, hash: &ContentHash) -> Option<(Topic, u32)> {
        let fetch = self.pending.get(hash)?;
        Some((fetch.topic, fetch.len_bytes))
    }

    /// The peer asked did not deliver; the next announcer is asked, and without one the message is forgotten until
    /// it is announced again.
    pub(crate) fn fail(&mut self, hash: &ContentHash) {
        let Some(fetch) = self.pending.get_mut(hash) else {
            return;
        };
        if let Some(peer) = fetch.active.take() {
            self.active = self.active.saturating_sub(1);
            fetch.announcers.retain(|announcer| *announcer != peer);
        }
        if fetch.waiting.is_empty() {
            self.pending.remove(hash);
        }
    }

    /// Remembers the verdict.
    pub(crate) fn settle(&mut self, hash: ContentHash, acceptance: Acceptance, now: Instant) {
        if self.settled.insert(hash, acceptance).is_none() {
            self.settled_order.push_back((now, hash));
        }
        while self.settled.len() > SETTLED_MAX
            && let Some((_, oldest)) = self.settled_order.pop_front()
        {
            self.settled.remove(&oldest);
        }
    }

    /// Holds an accepted message, in place of the oldest if need be.
    pub(crate) fn hold(&mut self, hash: ContentHash, bytes: Bytes) {
        let len = bytes.len();
        if self.held.insert(hash, bytes).is_some() {
            return;
        }
        self.held_order.push_back(hash);
        self.held_bytes = self.held_bytes.saturating_add(len);
        while self.held_bytes > HELD_BYTES_MAX
            && let Some(oldest) = self.held_order.pop_front()
        {
            let freed = self.held.remove(&oldest).map_or(0, |bytes| bytes.len());
            self.held_bytes = self.held_bytes.saturating_sub(freed);
        }
    }

    /// A held message.
    pub(crate) fn held(&self, hash: &ContentHash) -> Option<Bytes> {
        self.held.get(hash).cloned()
    }

    /// Forgets what has run out.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.pending.retain(|_, fetch| {
            fetch.active.is_some() || now.saturating_duration_since(fetch.since) < PENDING_TIME
        });
        while let Some((settled, hash)) = self.settled_order.front().copied() {
            if now.saturating_duration_since(settled) < SETTLED_TIME {
                break;
            }
            self.settled_order.pop_front();
            self.settled.remove(&hash);
        }
    }

    /// Bytes held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(byte: u8, announcer: PeerId) -> Announcement {
        Announcement {
            hash: [byte; 32],
            len_bytes: 5_000,
            announcer,
        }
    }

    #[test]
    fn message_announced_twice_is_fetched_once_and_the_second_is_asked_after_a_failure() {
        let now = Instant::now();
        let mut fetching = Fetching::default();
        let (first, second) = (PeerId::random(), PeerId::random());
        assert_eq!(
            fetching.note(Topic::Bids, &said(1, first), now),
            Noted::Pending
        );
        assert_eq!(
            fetching.note(Topic::Bids, &said(1, second), now),
            Noted::Pending
        );
        assert_eq!(fetching.start(|_| true), vec![([1; 32], first)]);
        assert_eq!(fetching.start(|_| true), vec![]);
        fetching.fail(&[1; 32]);
        assert_eq!(fetching.start(|_| true), vec![([1; 32], second)]);
        let fetched = fetching.succeed(&[1; 32]).expect("pending");
        assert_eq!(fetched.announcers, vec![second]);
        assert_eq!(fetching.active, 0);
    }

    #[test]
    fn last_announcer_failing_forgets_the_message() {
        let now = Instant::now();
        let mut fetching = Fetching::default();
        let peer = PeerId::random();
        fetching.note(Topic::Bids, &said(1, peer), now);
        assert_eq!(fetching.start(|_| false), vec![]);
        assert_eq!(fetching.start(|_| true).len(), 1);
        fetching.fail(&[1; 32]);
        assert_eq!(fetching.pending(&[1; 32]), None);
        assert_eq!(fetching.active, 0);
    }

    #[test]
    fn judged_messages_are_not_fetched_again_until_forgotten() {
        let now = Instant::now();
        let mut fetching = Fetching::default();
        let peer = PeerId::random();
        fetching.settle([1; 32], Acceptance::Reject, now);
        fetching.settle([2; 32], Acceptance::Ignore, now);
        fetching.hold([3; 32], Bytes::from_static(b"held"));
        let mut note = |byte| fetching.note(Topic::Bids, &said(byte, peer), now);
        assert_eq!(
            [note(1), note(2), note(3)],
            [Noted::KnownBad, Noted::Known, Noted::Known]
        );
        fetching.prune(now + SETTLED_TIME);
        assert_eq!(
            fetching.note(Topic::Bids, &said(1, peer), now),
            Noted::Pending
        );
    }

    #[test]
    fn tables_stay_at_their_cap() {
        let now = Instant::now();
        let mut fetching = Fetching::default();
        for index in 0..2_000_u32 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&index.to_be_bytes());
            let announcement = Announcement {
                hash,
                len_bytes: 5_000,
                announcer: PeerId::random(),
            };
            fetching.note(Topic::Reveals, &announcement, now);
            fetching.hold(hash, Bytes::from(vec![0; 1 << 20]));
        }
        assert!(fetching.pending.len() <= PENDING_MAX);
        assert_eq!(fetching.held_bytes(), HELD_BYTES_MAX);
        assert_eq!(fetching.held.len(), fetching.held_order.len());
        for index in 0..10_000_u32 {
            let mut hash = [9; 32];
            hash[..4].copy_from_slice(&index.to_be_bytes());
            fetching.settle(hash, Acceptance::Ignore, now);
        }
        assert_eq!(fetching.settled.len(), SETTLED_MAX);
        assert_eq!(fetching.start(|_| true).len(), ACTIVE_MAX);
        fetching.prune(now + PENDING_TIME);
        assert_eq!(fetching.pending.len(), ACTIVE_MAX);
    }

    #[test]
    fn one_announcer_has_so_many_places() {
        let now = Instant::now();
        let mut fetching = Fetching::default();
        let peer = PeerId::random();
        let pending = (0..100)
            .filter(|byte| fetching.note(Topic::Bids, &said(*byte, peer), now) == Noted::Pending)
            .count();
        assert_eq!(pending, PENDING_PER_PEER_MAX);
        assert_eq!(fetching.start(|_| true).len(), ACTIVE_PER_PEER_MAX);
    }
}
