//! Requests: ours to peers, theirs to us.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::request_response::{
    Event, InboundFailure, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
};
use tokio::sync::oneshot;

use super::peering::fault;
use super::{Asked, Done, Driver};
use crate::network::frame::{Request, Response};
use crate::network::topic::MESSAGE_BYTES_MAX;

/// Requests of ours under way, in all: answers of the caller's requests may be 4 MiB each.
const ASKED_MAX: usize = 64;
/// Of them to one peer, which drops streams above its limits.
const ASKED_PER_PEER_MAX: usize = 16;

/// Answers being made for peers, in all and for one.
const SERVING_MAX: usize = 64;
const SERVING_PER_PEER_MAX: usize = 8;

/// Time the caller has for an answer; the peer waits ten seconds.
const SERVE_TIME_MAX: Duration = Duration::from_secs(5);

impl Driver {
    /// Sends a request to a connected peer; false if it cannot be.
    pub(super) fn ask(&mut self, peer: &PeerId, request: Request, asked: Asked) -> bool {
        // The library would dial a peer that is not connected; that is the book's to decide.
        if !self.swarm.is_connected(peer) {
            return false;
        }
        let requests = &mut self.swarm.behaviour_mut().requests;
        let id = requests.send_request(peer, request);
        self.asked.insert(id, (*peer, asked));
        true
    }

    /// A request of the caller.
    pub(super) fn call(
        &mut self,
        peer: PeerId,
        request: &Bytes,
        reply: oneshot::Sender<Option<Bytes>>,
    ) {
        let is_ready = self.peers.get(&peer).is_some_and(super::Peer::is_ready);
        let of_peer = self.asked.values().filter(|(to, _)| *to == peer).count();
        let room = self.asked.len() < ASKED_MAX && of_peer < ASKED_PER_PEER_MAX;
        // A dropped reply is an answer of nothing.
        if is_ready && room && !reply.is_closed() {
            self.ask(&peer, Request::Call(request.to_vec()), Asked::Call(reply));
        }
    }

    pub(super) fn on_requests(&mut self, event: Event<Request, Response>, now: Instant) {
        match event {
            Event::Message { peer, message, .. } => match message {
                Message::Request {
                    request, channel, ..
                } => self.on_request(peer, request, channel, now),
                Message::Response {
                    request_id,
                    response,
                } => self.on_response(peer, request_id, response, now),
            },
            Event::OutboundFailure {
                peer,
                request_id,
                error,
                ..
            } => self.on_request_failed(peer, request_id, &error, now),
            Event::InboundFailure {
                peer,
                error: InboundFailure::Io(error),
                ..
            } if error.kind() == io::ErrorKind::InvalidData => {
                self.blame(&peer, fault::MALFORMED, now);
            }
            Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    pub(super) fn answer(&mut self, channel: ResponseChannel<Response>, response: Response) {
        let requests = &mut self.swarm.behaviour_mut().requests;
        // An error says that the peer no longer waits.
        let _ = requests.send_response(channel, response);
    }

    fn on_request(
        &mut self,
        peer: PeerId,
        request: Request,
        channel: ResponseChannel<Response>,
        now: Instant,
    ) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        if !known.requests.take(1, now) {
            self.answer(channel, Response::Refused);
            self.blame(&peer, fault::HASTY, now);
            return;
        }
        let said_hello = known.hello.is_some();
        // Not in debt for earlier answers.
        let may_have_bytes = known.answer_bytes.take(1, now);
        match request {
            Request::Hello(hello) => self.on_hello(peer, hello, channel),
            Request::Peers if said_hello => {
                let addresses = self.addresses_for(&peer);
                self.answer(channel, Response::Peers(addresses));
            }
            Request::Fetch(hash) if said_hello && may_have_bytes => {
                let answer = self.fetching.held(&hash);
                self.give(peer, channel, answer, now);
            }
            Request::Call(request) if said_hello && may_have_bytes => {
                self.serve(peer, request, channel);
            }
            Request::Peers | Request::Fetch(_) | Request::Call(_) => {
                self.answer(channel, Response::Refused);
            }
        }
    }

    /// Has the caller answer, if not too many answers are being made.
    fn serve(&mut self, peer: PeerId, request: Vec<u8>, channel: ResponseChannel<Response>) {
        let room = self.serving < SERVING_MAX
            && self
                .peers
                .get(&peer)
                .is_some_and(|known| known.serving < SERVING_PER_PEER_MAX);
        if !room {
            self.answer(channel, Response::Refused);
            return;
        }
        self.serving += 1;
        if let Some(known) = self.peers.get_mut(&peer) {
            known.serving += 1;
        }
        let handler = Arc::clone(&self.handler);
        self.tasks.spawn(async move {
            let answer = handler.serve(peer, Bytes::from(request));
            let answer = tokio::time::timeout(SERVE_TIME_MAX, answer)
                .await
                .ok()
                .flatten();
            Done::Served {
                peer,
                channel,
                answer,
            }
        });
    }

    pub(super) fn on_served(
        &mut self,
        peer: PeerId,
        channel: ResponseChannel<Response>,
        answer: Option<Bytes>,
        now: Instant,
    ) {
        self.serving = self.serving.saturating_sub(1);
        if let Some(known) = self.peers.get_mut(&peer) {
            known.serving = known.serving.saturating_sub(1);
        }
        let answer = answer.filter(|bytes| {
            let fits = bytes.len() <= MESSAGE_BYTES_MAX;
            if !fits {
                tracing::warn!(
                    len_bytes = bytes.len(),
                    max = MESSAGE_BYTES_MAX,
                    "an answer is too long to be sent: serve it in parts"
                );
            }
            fits
        });
        self.give(peer, channel, answer, now);
    }

    fn give(
        &mut self,
        peer: PeerId,
        channel: ResponseChannel<Response>,
        answer: Option<Bytes>,
        now: Instant,
    ) {
        let len_bytes = answer.as_ref().map_or(0, Bytes::len);
        if let Some(known) = self.peers.get_mut(&peer) {
            let price = u64::try_from(len_bytes).unwrap_or(u64::MAX);
            known.answer_bytes.charge(price, now);
        }
        let outcome = if answer.is_some() { "given" } else { "nothing" };
        ::metrics::counter!("sequencer_gossip_answers_total", "outcome" => outcome).increment(1);
        self.answer(channel, Response::Bytes(answer.map(|bytes| bytes.to_vec())));
    }

    fn on_response(
        &mut self,
        peer: PeerId,
        id: OutboundRequestId,
        response: Response,
        now: Instant,
    ) {
        let Some((_, asked)) = self.asked.remove(&id) else {
            return;
        };
        match (asked, response) {
            (Asked::Hello, Response::Welcome) => self.on_welcome(&peer),
            (Asked::Peers, Response::Peers(told)) => self.on_addresses(peer, &told, now),
            (Asked::Fetch(hash), Response::Bytes(answer)) => {
                self.on_fetched(peer, hash, answer, now);
            }
            (Asked::Fetch(hash), Response::Refused) => self.on_fetch_failed(&hash),
            (Asked::Call(reply), Response::Bytes(answer)) => {
                // An error says that the caller no longer waits.
                let _ = reply.send(answer.map(Bytes::from));
            }
            // Dropping the reply of a call answers nothing.
            (_, Response::Refused) => {}
            (asked, _) => {
                if let Asked::Fetch(hash) = asked {
                    self.on_fetch_failed(&hash);
                }
                self.blame(&peer, fault::MALFORMED, now);
            }
        }
    }

    fn on_request_failed(
        &mut self,
        peer: PeerId,
        id: OutboundRequestId,
        error: &OutboundFailure,
        now: Instant,
    ) {
        let Some((_, asked)) = self.asked.remove(&id) else {
            return;
        };
        match error {
            OutboundFailure::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.blame(&peer, fault::MALFORMED, now);
            }
            OutboundFailure::Timeout if matches!(asked, Asked::Fetch(_)) => {
                self.blame(&peer, fault::LATE, now);
            }
            OutboundFailure::UnsupportedProtocols => self.disconnect(&peer),
            _ => {}
        }
        match asked {
            Asked::Fetch(hash) => self.on_fetch_failed(&hash),
            Asked::Hello => self.disconnect(&peer),
            // Dropping the reply answers nothing.
            Asked::Peers | Asked::Call(_) => {}
        }
    }
}
