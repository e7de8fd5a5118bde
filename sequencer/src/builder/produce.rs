//! The builder of this node: at every height it bids for the block of the proposer of round 0, and reveals the payload when
//! that proposer has signed it.
//!
//! Invariants: a payload is on the shelf before the next Init is looked at, and for [`HEIGHTS_KEPT`] heights; it is revealed only
//! while every honest validator still gets it in time (rule 6), never later. What this module does not do: choose
//! operations (`executor`), or judge.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use protocol::{
    Fr,
    account::L1Address,
    block::{BlockHeader, Payload},
    number::{Amount, Height, Round},
    transaction::{Bid, Domain, SignedBid},
};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Exchange, Leaves, Reveal};
use crate::{
    config::BuilderConfig,
    executor::{Executor, Offer, OfferOrder, ProposeError},
    network::{Acceptance, Gossip},
    relay::Relay,
};

/// Bids made at one height: what others take of one builder.
const BIDS_MAX: u32 = 4;
/// Between two looks at whether the pool is worth another bid.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Between two attempts to build what lacks something.
const FETCH_PAUSE: Duration = Duration::from_millis(100);
/// Heights for which payloads are remembered.
const HEIGHTS_KEPT: u64 = 4;
/// Payloads remembered: every bid of those heights.
const PAYLOADS_MAX: usize = 4 * 4;

/// What the builder works with.
pub(crate) struct Producer {
    pub(crate) config: BuilderConfig,
    pub(crate) executor: Arc<Executor>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) leaves: Arc<Leaves>,
    pub(crate) relay: Arc<Relay>,
    pub(crate) gossip: Gossip,
}

/// What was done at the present height.
#[derive(Default)]
struct Turn {
    height: Height,
    bids: u32,
    value: Amount,
    /// The pool when it was looked at last.
    pool: Option<(u64, usize)>,
    /// What was lacking is being fetched until then.
    pause: Option<Instant>,
}

/// The payment of a bid whose value and core are to come.
pub(super) fn payment(config: &BuilderConfig, height: Height) -> Bid {
    let key = &config.collateral_key;
    Bid {
        leaf: config.collateral_leaf,
        height,
        value: Amount::ZERO,
        core_hash: Fr::from(0_u64),
        key: key.public(),
        signature: key.sign(&Fr::from(0_u64)),
    }
}

/// Signs an offer with both keys: what is told as a bid.
pub(super) fn sign(
    config: &BuilderConfig,
    domain: &Domain,
    payment: Bid,
    offer: &Offer,
) -> BlockHeader {
    let mut bid = Bid {
        value: offer.value,
        core_hash: offer.core.bid_hash(),
        ..payment
    };
    bid.signature = config.collateral_key.sign(&bid.message(domain));
    BlockHeader {
        core: offer.core.clone(),
        bid: Some(SignedBid::new(bid, domain, &config.key)),
        certificate: offer.certificate.clone(),
        restart: None,
    }
}

impl Producer {
    fn order(&self, height: Height) -> Option<OfferOrder> {
        let decided = self.executor.decided();
        let author: L1Address = *decided.term.set.proposer(height, Round(0));
        let can_bid = decided.term.set.may_take_bids()
            && !decided.history.is_suspended(&self.config.key.address());
        can_bid.then_some(())?;
        Some(OfferOrder {
            height,
            author,
            proposer_leaf: self.leaves.of(&author)?,
            fee_leaf: self.config.fee_leaf,
            strategy: self.config.strategy,
            share_percent: self.config.share_percent.min(100),
            payment: payment(&self.config, height),
        })
    }

    /// Builds and bids once, if that beats what was bid before; returns the payload that is now for sale.
    fn bid(&self, turn: &mut Turn) -> Result<Option<Box<Payload>>, ProposeError> {
        let Some(order) = self.order(turn.height) else {
            return Ok(None);
        };
        let is_pausing = turn.pause.is_some_and(|until| Instant::now() < until);
        let pool = self.executor.shared.pool().version();
        if is_pausing || turn.bids >= BIDS_MAX || turn.pool == Some(pool) {
            return Ok(None);
        }
        let offer = self.executor.offer(&order)?;
        turn.pool = Some(pool);
        let Some(offer) = offer.filter(|offer| offer.value > turn.value) else {
            return Ok(None);
        };
        let domain = &self.executor.shared.chain.constants.domain;
        let header = sign(&self.config, domain, order.payment, &offer);
        let value = offer.value;
        if self.exchange.bid(header) != Acceptance::Accept {
            return Ok(None); // somebody bids more
        }
        (turn.bids, turn.value) = (turn.bids.saturating_add(1), value);
        tracing::debug!(height = turn.height.0, %value, "bid");
        ::metrics::counter!("sequencer_bids_total").increment(1);
        Ok(Some(Box::new(offer.payload)))
    }
}

/// Payloads on sale, by root.
#[derive(Default)]
struct Shelf(BTreeMap<[u8; 32], (Height, Box<Payload>)>);

impl Shelf {
    fn put(&mut self, height: Height, payload: Box<Payload>) {
        self.0.insert(payload.root(), (height, payload));
        while self.0.len() > PAYLOADS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, (height, _))| *height);
            let Some(root) = oldest.map(|(root, _)| *root) else {
                break;
            };
            self.0.remove(&root);
        }
    }

    fn turn(&mut self, height: Height) {
        let since = height.0.saturating_sub(HEIGHTS_KEPT);
        self.0.retain(|_, (height, _)| height.0 >= since);
    }

    /// The payload that is to be revealed, if it is on this shelf and there is still time.
    fn take(&self, reveal: &Reveal) -> Option<Box<Payload>> {
        let (_, payload) = self.0.get(&reveal.payload_root)?;
        let is_in_time = reveal.until.is_some_and(|until| Instant::now() <= until);
        if !is_in_time {
            tracing::warn!(
                height = reveal.height.0,
                "the proposer sold too late: not revealed"
            );
            return None;
        }
        Some(payload.clone())
    }
}

/// Fetches what a bid lacks, aside: an Init that comes meanwhile must not wait.
fn fetch(producer: &Arc<Producer>, lacking: ProposeError) {
    let producer = Arc::clone(producer);
    tokio::spawn(async move {
        let (relay, gossip) = (&producer.relay, &producer.gossip);
        match lacking {
            ProposeError::Unlisted(names) => relay.fetch(gossip, names).await,
            ProposeError::Unburnable(names) => relay.fetch_bids(gossip, names).await,
            ProposeError::Stale(_) => {}
            ProposeError::Storage(error) => tracing::error!(%error, "no bid"),
            ProposeError::Unopened(reason) => tracing::warn!(%reason, "no bid"),
        }
    });
}

/// Bids and reveals until cancelled.
pub(crate) async fn run_producer(
    producer: Producer,
    mut sold: mpsc::Receiver<Reveal>,
    cancelled: CancellationToken,
) {
    let producer = Arc::new(producer);
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tip = producer.executor.follow_tip();
    let (mut turn, mut shelf) = (Turn::default(), Shelf::default());
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return,
            reveal = sold.recv() => match reveal {
                Some(reveal) => {
                    if let Some(payload) = shelf.take(&reveal) {
                        producer.exchange.reveal(payload);
                    }
                    continue;
                }
                None => return,
            },
            changed = tip.changed() => if changed.is_err() {
                return;
            },
            _ = look.tick() => {}
        }
        let next = Height(tip.borrow_and_update().0.saturating_add(1));
        if turn.height != next {
            turn = Turn {
                height: next,
                ..Turn::default()
            };
            shelf.turn(next);
        }
        let worker = Arc::clone(&producer);
        let worked = tokio::task::spawn_blocking(move || {
            let result = worker.bid(&mut turn);
            (turn, result)
        });
        let result = match worked.await {
            Ok((worked, result)) => {
                turn = worked;
                result
            }
            // the program ends; a panic is passed on
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return,
            },
        };
        match result {
            Ok(Some(payload)) => shelf.put(turn.height, payload),
            Ok(None) => {}
            Err(lacking) => {
                turn.pause = Some(Instant::now() + FETCH_PAUSE);
                fetch(&producer, lacking);
            }
        }
    }
}
