//! Four validators that have lost their databases go on from a restart certificate.

use api::{rpc::QuorateClient, status::Stage};
use protocol::{number::Height, restart::RestartCertificate};
use sequencer::{RestartPoint, RestartRefusal, make_restarted, sign_restart};

use crate::{
    set::{COUNT, Set},
    setup::{genesis_of, sign_for, transfer, validator_number, wait_for},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_validators_that_lost_their_databases_go_on_from_a_restart_certificate() {
    let mut set = Set::start(COUNT).await;
    let lost = sign_for(&set.domain, transfer(1, 2, 0, 10));
    let id = set.client(0).send_transaction(lost.clone()).await.unwrap();
    wait_for(set.client(0), &id, Stage::Certified).await;
    set.wait_for_height(0, 5).await;
    let mut highest = 0;
    for number in 0..COUNT {
        highest = highest.max(set.height(number).await);
        set.stop_one(number).await;
    }

    let genesis = genesis_of(COUNT);
    // no batch is proven: the chain goes on from genesis, above everything that was signed
    let point = RestartPoint::genesis(&genesis);
    let last = Height(highest + 10);
    let mut signed = Vec::new();
    for number in 0..COUNT {
        let data = set.data_dir(number);
        set.lose_database(number);
        let sign = |last| {
            let key = validator_number(number);
            sign_restart(&data, (&genesis, key), &point, (last, genesis.hash()))
        };
        let too_low = sign(Height(2));
        assert!(
            matches!(too_low, Err(RestartRefusal::Guard(_))),
            "{too_low:?}"
        );
        signed.push(sign(last).unwrap());
    }
    // three of four are enough, and everybody takes the same
    let certificate = RestartCertificate::assemble(signed[0].restart, &signed[..3]);
    for number in 0..COUNT {
        make_restarted(&set.data_dir(number), &genesis, &point, &certificate).unwrap();
    }
    set.start_all().await;

    for number in 0..COUNT {
        set.wait_for_height(number, last.0 + 5).await;
    }
    let first = set.client(0).block(Some(last.0 + 1)).await.unwrap();
    assert_eq!(first.parent, genesis.hash().into());
    for at in last.0 + 1..=last.0 + 5 {
        let id = set.client(0).block(Some(at)).await.unwrap().id;
        for number in 1..COUNT {
            let same = set.client(number).block(Some(at)).await.unwrap().id;
            assert_eq!(id, same, "height {at}, node {number}");
        }
    }
    // a payment that was certified before, and lost with the databases, can be made again
    let id = set.client(1).send_transaction(lost).await.unwrap();
    wait_for(set.client(1), &id, Stage::Certified).await;

    // one that was away while the others went on catches up from the restart by their certificates
    set.stop_one(3).await;
    let away = set.height(0).await + 10;
    set.wait_for_height(0, away).await;
    set.lose_database(3);
    make_restarted(&set.data_dir(3), &genesis, &point, &certificate).unwrap();
    set.start_one(3).await;
    let target = set.height(0).await + 5;
    set.wait_for_height(3, target).await;
    set.stop().await;
}
