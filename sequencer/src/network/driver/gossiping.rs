//! Messages: from the mesh or a fetch into the line, from the verdict to the mesh.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};

use super::peering::fault;
use super::{Asked, Done, Driver};
use crate::network::fetching::Noted;
use crate::network::frame::{Announcement, ContentHash, GossipFrame, Request, content_hash};
use crate::network::judging::{Job, Origin};
use crate::network::topic::{Acceptance, INLINE_BYTES_MAX, Topic};

/// Time for a verdict. The mesh forgets a message after ten seconds; later verdicts forward nothing.
const JUDGE_TIME_MAX: Duration = Duration::from_secs(5);

fn dropped(topic: Topic, reason: &'static str) {
    ::metrics::counter!(
        "sequencer_gossip_dropped_total",
        "topic" => topic.name(),
        "reason" => reason
    )
    .increment(1);
}

impl Driver {
    /// Puts a message of this node into the mesh.
    pub(super) fn publish(&mut self, topic: Topic, bytes: Bytes) {
        if bytes.len() <= INLINE_BYTES_MAX {
            self.publish_frame(topic, &GossipFrame::Inline(bytes));
            return;
        }
        let hash = content_hash(topic, &bytes);
        self.announce(topic, hash, bytes);
    }

    /// Holds a long message and says so.
    fn announce(&mut self, topic: Topic, hash: ContentHash, bytes: Bytes) {
        let Ok(len_bytes) = u32::try_from(bytes.len()) else {
            return;
        };
        self.fetching.hold(hash, bytes);
        let announcement = Announcement {
            hash,
            len_bytes,
            announcer: self.local,
        };
        self.publish_frame(topic, &GossipFrame::Announcement(announcement));
    }

    fn publish_frame(&mut self, topic: Topic, frame: &GossipFrame) {
        let name = topic.full_name(&self.hello.chain);
        let name = gossipsub::TopicHash::from_raw(name);
        match self
            .swarm
            .behaviour_mut()
            .mesh
            .publish(name, frame.encode())
        {
            // A duplicate is on its way already.
            Ok(_) | Err(gossipsub::PublishError::Duplicate) => {}
            Err(error) => {
                // No peer yet, or every peer's queue is full: gossip promises nothing.
                tracing::debug!(%error, topic = topic.name(), "a message reached nobody");
                dropped(topic, "unsent");
            }
        }
    }

    /// A message or an announcement from the mesh.
    pub(super) fn on_message(
        &mut self,
        from: PeerId,
        id: MessageId,
        message: gossipsub::Message,
        now: Instant,
    ) {
        let Some(topic) = self.topics.get(&message.topic).copied() else {
            // The filter lets no other topic in.
            self.report(&id, &from, Acceptance::Ignore);
            return;
        };
        let hasty = self
            .peers
            .get_mut(&from)
            .is_some_and(|known| !known.messages.take(1, now));
        if hasty {
            dropped(topic, "hasty");
            self.report(&id, &from, Acceptance::Ignore);
            self.blame(&from, fault::HASTY, now);
            return;
        }
        match GossipFrame::decode(topic, &Bytes::from(message.data)) {
            Some(GossipFrame::Inline(bytes)) => {
                let job = Job {
                    topic,
                    from,
                    bytes,
                    origin: Origin::Mesh(id.clone()),
                };
                if !self.judging.push(job) {
                    dropped(topic, "full");
                    self.report(&id, &from, Acceptance::Ignore);
                }
                self.start_judging();
            }
            // It goes one hop, in the announcer's own name.
            Some(GossipFrame::Announcement(said)) if said.announcer == from => {
                self.report(&id, &from, Acceptance::Ignore);
                match self.fetching.note(topic, &said, now) {
                    Noted::Pending => self.start_fetches(),
                    Noted::Known => {}
                    Noted::KnownBad => self.blame(&from, fault::REJECTED, now),
                    Noted::Full => dropped(topic, "full"),
                }
            }
            _ => {
                dropped(topic, "malformed");
                self.report(&id, &from, Acceptance::Reject);
                self.check_score(&from, now);
            }
        }
    }

    fn report(&mut self, id: &MessageId, from: &PeerId, acceptance: Acceptance) {
        let acceptance = match acceptance {
            Acceptance::Accept => MessageAcceptance::Accept,
            Acceptance::Ignore => MessageAcceptance::Ignore,
            Acceptance::Reject => MessageAcceptance::Reject,
        };
        let mesh = &mut self.swarm.behaviour_mut().mesh;
        // False if the verdict came too late to forward.
        mesh.report_message_validation_result(id, from, acceptance);
    }

    /// Asks for as many verdicts as may be asked at once.
    pub(super) fn start_judging(&mut self) {
        while let Some(job) = self.judging.start() {
            let handler = Arc::clone(&self.handler);
            self.tasks.spawn(async move {
                let verdict = handler.judge(job.topic, job.from, job.bytes.clone());
                let acceptance = tokio::time::timeout(JUDGE_TIME_MAX, verdict)
                    .await
                    .unwrap_or(Acceptance::Ignore);
                Done::Judged(job, acceptance)
            });
        }
    }

    pub(super) fn on_judged(&mut self, job: Job, acceptance: Acceptance, now: Instant) {
        self.judging.finish(&job.from, job.bytes.len());
        ::metrics::counter!(
            "sequencer_gossip_messages_total",
            "topic" => job.topic.name(),
            "verdict" => acceptance.name()
        )
        .increment(1);
        match job.origin {
            Origin::Mesh(id) => {
                self.report(&id, &job.from, acceptance);
                if acceptance == Acceptance::Reject {
                    self.check_score(&job.from, now);
                }
            }
            Origin::Fetched { hash, announcers } => {
                self.fetching.settle(hash, acceptance, now);
                match acceptance {
                    Acceptance::Accept => self.announce(job.topic, hash, job.bytes),
                    Acceptance::Ignore => {}
                    // An honest node announces only what it accepted.
                    Acceptance::Reject => {
                        for peer in announcers {
                            self.blame(&peer, fault::REJECTED, now);
                        }
                    }
                }
            }
        }
        self.start_judging();
    }

    /// Fetches announced messages from peers that are ready.
    pub(super) fn start_fetches(&mut self) {
        let peers = &self.peers;
        let is_ready = |peer: &PeerId| peers.get(peer).is_some_and(super::Peer::is_ready);
        for (hash, peer) in self.fetching.start(is_ready) {
            if !self.ask(&peer, Request::Fetch(hash), Asked::Fetch(hash)) {
                self.fetching.fail(&hash);
            }
        }
    }

    /// What an announcer answered; `None` if it has no such message.
    pub(super) fn on_fetched(
        &mut self,
        from: PeerId,
        hash: ContentHash,
        answer: Option<Vec<u8>>,
        now: Instant,
    ) {
        let Some((topic, len_bytes)) = self.fetching.pending(&hash) else {
            return;
        };
        let Some(bytes) = answer else {
            self.blame(&from, fault::NOT_DELIVERED, now);
            self.on_fetch_failed(&hash);
            return;
        };
        let is_right =
            u32::try_from(bytes.len()) == Ok(len_bytes) && content_hash(topic, &bytes) == hash;
        if !is_right {
            self.blame(&from, fault::MALFORMED, now);
            self.on_fetch_failed(&hash);
            return;
        }
        let Some(fetched) = self.fetching.succeed(&hash) else {
            return;
        };
        // Published by this node meanwhile: judged already.
        if self.fetching.held(&hash).is_none() {
            let job = Job {
                topic,
                from,
                bytes: Bytes::from(bytes),
                origin: Origin::Fetched {
                    hash,
                    announcers: fetched.announcers,
                },
            };
            if !self.judging.push(job) {
                dropped(topic, "full");
            }
        }
        self.start_judging();
        self.start_fetches();
    }

    pub(super) fn on_fetch_failed(&mut self, hash: &ContentHash) {
        self.fetching.fail(hash);
        self.start_fetches();
    }
}
