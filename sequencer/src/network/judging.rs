//! The line of messages waiting for the caller's verdict.
//!
//! Each peer has a line of its own and the lines take turns, so a peer that floods waits behind itself. Lines are
//! bounded by count and bytes, one by one and together; what does not fit is ignored, never kept. Bytes count until
//! the verdict is in.
//!
//! Known limit: the mesh remembers an ignored message as seen, so a peer with a full line can make this one node
//! miss a message by sending it first. Other nodes have it, and the caller fetches what it needs by request.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use libp2p::{PeerId, gossipsub::MessageId};

use super::frame::ContentHash;
use super::topic::Topic;

/// Verdicts asked for at once: enough to keep the caller's batches full, few enough to answer each in time.
pub(crate) const RUNNING_MAX: usize = 256;
/// Of them from one peer.
const RUNNING_PER_PEER_MAX: usize = 64;
/// Messages waiting, in all and of one peer: a second of the target rate from each of several neighbours.
pub(crate) const COUNT_MAX: usize = 16_384;
pub(crate) const COUNT_PER_PEER_MAX: usize = 2_048;
/// Bytes waiting or being judged, in all and of one peer: the longest message twice.
pub(crate) const BYTES_MAX: usize = 32 << 20;
pub(crate) const BYTES_PER_PEER_MAX: usize = 8 << 20;

/// How a message came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the mesh; the mesh waits for the verdict under this id.
    Mesh(MessageId),
    /// Announced and fetched; `announcers` all vouched for it.
    Fetched {
        hash: ContentHash,
        announcers: Vec<PeerId>,
    },
}

/// A message to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) topic: Topic,
    pub(crate) from: PeerId,
    pub(crate) bytes: Bytes,
    pub(crate) origin: Origin,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Job>,
    /// Of waiting and running jobs.
    bytes: usize,
    running: usize,
}

/// All lines.
#[derive(Debug, Default)]
pub(crate) struct Judging {
    lines: BTreeMap<PeerId, Line>,
    /// Peers with waiting jobs, each once, in the order of their turns.
    turns: VecDeque<PeerId>,
    waiting: usize,
    bytes: usize,
    running: usize,
}

impl Judging {
    /// Puts a job at the end of its peer's line; false if there is no room and it is dropped.
    #[must_use]
    pub(crate) fn push(&mut self, job: Job) -> bool {
        let len = job.bytes.len();
        if self.waiting >= COUNT_MAX || self.bytes.saturating_add(len) > BYTES_MAX {
            return false;
        }
        let peer = job.from;
        let (count, bytes) = self
            .lines
            .get(&peer)
            .map_or((0, 0), |line| (line.waiting.len(), line.bytes));
        if count >= COUNT_PER_PEER_MAX || bytes.saturating_add(len) > BYTES_PER_PEER_MAX {
            return false;
        }
        let line = self.lines.entry(peer).or_default();
        if line.waiting.is_empty() {
            self.turns.push_back(peer);
        }
        line.waiting.push_back(job);
        line.bytes += len;
        self.bytes += len;
        self.waiting += 1;
        true
    }

    /// The next job whose verdict may be asked for at present; [`Judging::finish`] must follow.
    pub(crate) fn start(&mut self) -> Option<Job> {
        if self.running >= RUNNING_MAX {
            return None;
        }
        for _ in 0..self.turns.len() {
            let peer = self.turns.pop_front()?;
            let Some(line) = self.lines.get_mut(&peer) else {
                continue;
            };
            if line.running >= RUNNING_PER_PEER_MAX {
                self.turns.push_back(peer);
                continue;
            }
            let Some(job) = line.waiting.pop_front() else {
                continue;
            };
            line.running += 1;
            self.running += 1;
            self.waiting = self.waiting.saturating_sub(1);
            if !line.waiting.is_empty() {
                self.turns.push_back(peer);
            }
            return Some(job);
        }
        None
    }

    /// The verdict on a job of `len_bytes` from `peer` is in.
    pub(crate) fn finish(&mut self, peer: &PeerId, len_bytes: usize) {
        self.running = self.running.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(len_bytes);
        if let Some(line) = self.lines.get_mut(peer) {
            line.running = line.running.saturating_sub(1);
            line.bytes = line.bytes.saturating_sub(len_bytes);
            if line.running == 0 && line.waiting.is_empty() {
                self.lines.remove(peer);
            }
        }
    }

    /// Takes a banned peer's waiting jobs away; those running finish.
    pub(crate) fn drop_waiting(&mut self, peer: &PeerId) {
        let Some(line) = self.lines.get_mut(peer) else {
            return;
        };
        let bytes = line
            .waiting
            .iter()
            .map(|job| job.bytes.len())
            .sum::<usize>();
        self.waiting = self.waiting.saturating_sub(line.waiting.len());
        self.bytes = self.bytes.saturating_sub(bytes);
        line.bytes = line.bytes.saturating_sub(bytes);
        line.waiting.clear();
        self.turns.retain(|turn| turn != peer);
        if line.running == 0 {
            self.lines.remove(peer);
        }
    }

    /// Messages waiting, and bytes waiting or being judged.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.waiting, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(from: PeerId, len_bytes: usize) -> Job {
        Job {
            topic: Topic::Submissions,
            from,
            bytes: Bytes::from(vec![1; len_bytes]),
            origin: Origin::Mesh(MessageId::new(b"id")),
        }
    }

    #[test]
    fn flood_of_one_peer_delays_nobody_else() {
        let mut judging = Judging::default();
        let (flooder, honest) = (PeerId::random(), PeerId::random());
        let taken = (0..5_000)
            .filter(|_| judging.push(job(flooder, 100)))
            .count();
        assert_eq!(taken, COUNT_PER_PEER_MAX);
        assert!(judging.push(job(honest, 100)));
        let started = [judging.start(), judging.start()].map(|job| job.expect("job").from);
        assert!(started.contains(&honest));
    }

    #[test]
    fn one_peer_runs_only_its_share_at_once() {
        let mut judging = Judging::default();
        let peer = PeerId::random();
        for _ in 0..100 {
            assert!(judging.push(job(peer, 1)));
        }
        let started = std::iter::from_fn(|| judging.start()).count();
        assert_eq!(started, RUNNING_PER_PEER_MAX);
        judging.finish(&peer, 1);
        assert!(judging.start().is_some() && judging.start().is_none());
    }

    #[test]
    fn bytes_stay_below_the_caps_and_come_back() {
        let mut judging = Judging::default();
        let peers: Vec<PeerId> = (0..8).map(|_| PeerId::random()).collect();
        for peer in &peers {
            while judging.push(job(*peer, 1 << 20)) {}
        }
        assert_eq!(judging.load().1, BYTES_MAX);
        while let Some(job) = judging.start() {
            judging.finish(&job.from, job.bytes.len());
        }
        assert_eq!(judging.load(), (0, 0));
        assert!(judging.lines.is_empty() && judging.turns.is_empty());
    }

    #[test]
    fn banned_peer_leaves_nothing_behind() {
        let mut judging = Judging::default();
        let peer = PeerId::random();
        for _ in 0..3 {
            assert!(judging.push(job(peer, 10)));
        }
        let running = judging.start().expect("job");
        judging.drop_waiting(&peer);
        assert_eq!(judging.load(), (0, 10));
        judging.finish(&running.from, 10);
        assert_eq!(judging.load(), (0, 0));
        assert!(judging.lines.is_empty() && judging.start().is_none());
    }
}
