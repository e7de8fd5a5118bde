//! A proposer that has sold its block unseen and goes away before the payload is revealed: when it is back, it proposes
//! the same block again, and nothing else.

use std::time::{Duration, Instant};

use protocol::number::{Height, Round};

use crate::{
    market::{COLLATERAL, Market, VALIDATORS, genesis, is_sold},
    setup::validator_number,
    thief::{Mode, Thief},
};

/// Nobody gives up on the sold block while the proposer is away.
const PROPOSE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proposer_of_a_sold_block_proposes_it_again_after_a_restart() {
    let mut market = Market::new(1);
    market.propose = Some(PROPOSE);
    for place in 0..=VALIDATORS {
        market.launch(place);
    }
    market.serving().await;
    let thief = Thief::start(&market.gossip_of(|_| true), &genesis(), COLLATERAL[2]).await;
    market.pay_until(1, is_sold).await;
    thief.set(Mode::Withhold);
    let deadline = Instant::now() + 5 * PROPOSE;
    while thief.sold().is_empty() {
        assert!(Instant::now() < deadline, "nobody buys from the thief");
        market.pay().await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let proposal = thief.sold()[0];
    assert_eq!(proposal.round, Round(0));
    let validators = genesis().validators;
    let author = validators.proposer(proposal.height, Round(0));
    let mut places = 0..VALIDATORS;
    let is_author = |place: &u8| validator_number(*place).address() == *author;
    let place = places.find(is_author).unwrap();
    market.stop_one(place).await;
    // Without a neighbour the node waits for it a moment before it proposes: time to meet who watches.
    market.stop_one(VALIDATORS).await;
    let watcher = Thief::start(
        &market.gossip_of(|one| one == place),
        &genesis(),
        COLLATERAL[2],
    )
    .await;
    market.launch(place);
    market.serving().await;
    let deadline = Instant::now() + PROPOSE;
    while watcher.sold().is_empty() {
        assert!(Instant::now() < deadline, "it proposes nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(watcher.sold().iter().all(|again| *again == proposal));
    for place in 0..VALIDATORS {
        assert_eq!(market.height_of(place).await, proposal.height.0 - 1);
        assert_eq!(market.evidence(place), 0, "place {place}");
    }
    assert_eq!(proposal.height, Height(market.height_of(0).await + 1));
    thief.stop();
    watcher.stop();
    market.stop().await;
}
