//! Which bid is taken, and until when a payload counts as in time.

use super::*;
use crate::{
    builder::rig::{BidRig, COLLATERAL, PROPOSER_LEAF},
    config::RoundTimeouts,
};

fn pace() -> Pace {
    Pace {
        block_interval: Duration::from_millis(200),
        timeouts: RoundTimeouts::default(),
        delay_bound: Duration::from_millis(200),
        skew_bound: Duration::from_millis(100),
    }
}

/// The fees of the own block go to the very leaf that bids pay: four times 100, less the burned tenth.
#[test]
fn a_bid_is_taken_if_it_pays_more_than_the_own_block() {
    let mut rig = BidRig::new();
    rig.decide_own(0, None);
    rig.send(4, 100);
    let local = rig.propose();
    let own = rig.rig.executor.local_income(&local.block, PROPOSER_LEAF);
    let choose = |rig: &BidRig, leaf| choose(&rig.rig.executor, &rig.exchange, leaf, &local);
    assert_eq!(choose(&rig, PROPOSER_LEAF), None, "none is there");
    let equal = rig.bid(COLLATERAL[0], own);
    rig.exchange.take_bid(equal);
    assert_eq!(choose(&rig, PROPOSER_LEAF), None, "as much");
    let better = rig.bid(COLLATERAL[1], own + 1);
    rig.exchange.take_bid(better.clone());
    assert_eq!(choose(&rig, PROPOSER_LEAF), Some(Box::new(better)));
    assert_eq!(choose(&rig, COLLATERAL[0]), None, "pays another leaf");
}

/// A payload revealed at the last moment, to an Init at the last moment, is with everybody one skew before T_propose.
#[test]
fn what_is_revealed_in_time_is_nowhere_reported() {
    let pace = pace();
    for round in [0, 3] {
        let length = pace.propose_timeout(Round(round));
        let report_from = length - pace.reveal_time(); // T_c
        let reveal_until = length - pace.reveal_time() / 2; // T_c + D + S
        let one_way = pace.delay_bound + pace.skew_bound;
        assert_eq!(report_from + one_way, reveal_until);
        assert_eq!(reveal_until + one_way, length);
    }
    assert_eq!(pace.propose_timeout(Round(3)), Duration::from_secs(3));
}

#[test]
fn a_round_is_due_once_and_a_new_height_forgets_it() {
    let mut watch = Watch::default();
    assert_eq!(watch.wake_at(), None);
    let now = Instant::now();
    watch.start_round(Round(1), now, &pace());
    assert_eq!(watch.wake_at(), Some(now + Duration::from_secs(2)));
    watch.start_height();
    assert_eq!((watch.wake_at(), watch.started), (None, None));
}
