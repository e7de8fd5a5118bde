//! Preconfirmations over the RPC: asked, signed, told to all, kept; and what becomes of a proposer that does not keep them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{
    preconfirmation::PreconfirmationJson,
    rpc::QuorateClient,
    status::{Evidence, Stage, Tier, TransactionStatus},
    text::HashText,
};
use libp2p::identity::Keypair;
use protocol::{
    codec::to_bytes,
    evidence::Offence,
    number::{Height, Round},
    preconfirmation::{Preconfirmation, SignedPreconfirmation},
    transaction::TransactionId,
    validator::ValidatorSignature,
};
use sequencer::network::{Gossip, GossipConfig, GossipLimits, Topic};
use tokio_util::sync::CancellationToken;
use verifier::evidence::verify_evidence;

use crate::{
    bridge::Deaf,
    set::{COUNT, Set},
    setup::{genesis, genesis_of, sign, sign_for, start, transfer, validator_number, wait_for},
};

/// Long enough to ask twice between two blocks.
const SLOW: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_promise_over_the_rpc_is_signed_and_kept() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), SLOW).await;
    // the second block follows the first at once, because genesis is old; from there on there is time between two
    let mut heights = node.heights();
    heights
        .wait_for(|height| *height >= Height(2))
        .await
        .unwrap();

    let unknown = client.preconfirm([7; 32].into()).await.unwrap_err();
    assert!(
        unknown.to_string().contains("not preconfirmed"),
        "{unknown}"
    );

    let first = client.send_transaction(sign(transfer(1, 2, 0, 10)));
    let first = first.await.unwrap();
    let second = client.send_transaction(sign(transfer(2, 1, 0, 10)));
    let second = second.await.unwrap();
    let promise = client.preconfirm(second.clone()).await.unwrap();
    let validator = validator_number(0).address();
    assert_eq!(promise.proposer, validator.into());
    let worth = format!("preconfirmed by {validator}, can be broken; it then loses its stake");
    assert_eq!(promise.tier, worth);
    let signed = SignedPreconfirmation {
        preconfirmation: Preconfirmation {
            height: Height(promise.height),
            place: promise.place,
            transaction: TransactionId(promise.id.parse().unwrap()),
        },
        proposer: validator,
        signature: ValidatorSignature(promise.signature.parse().unwrap().try_into().unwrap()),
    };
    assert!(signed.is_authentic(&genesis().domain()));

    wait_for(&client, &second, Stage::Certified).await;
    wait_for(&client, &first, Stage::Certified).await;
    let block = client.block(Some(promise.height)).await.unwrap();
    let entry = serde_json::to_string(&block.entries[0]).unwrap();
    assert!(entry.contains(&second.0), "{entry}");
    node.stop().await.unwrap();
}

/// Time to hear a decision, tell an operation and ask every node.
const UNHURRIED: Duration = Duration::from_millis(1_500);
/// Heights at which to try: on a busy machine a block may be built before its proposer is asked.
const TRIES: u64 = 20;

/// Number of the first proposer of a height.
fn proposer(height: u64) -> u8 {
    let set = genesis_of(COUNT).validators;
    let address = set.proposer(Height(height), Round(0));
    let mut numbers = 0..COUNT;
    let is_its = |number: &u8| validator_number(*number).address() == *address;
    numbers.find(is_its).unwrap()
}

impl Set {
    /// Sends an operation to node 0 and waits until another has it too; nothing if it was ordered first.
    async fn spread(&self, nonce: u64, to: u8) -> Option<HashText> {
        let signed = sign_for(&self.domain, transfer(1, 2, nonce, 10));
        let id = self.client(0).send_transaction(signed).await.unwrap();
        loop {
            let status = self.client(to).transaction_status(id.clone()).await;
            match status.unwrap().stage {
                Stage::Pending => return Some(id),
                Stage::UnknownHere => tokio::time::sleep(Duration::from_millis(10)).await,
                _ => return None,
            }
        }
    }

    /// The status of an operation at a node, as soon as it is ordered or was promised.
    async fn vouched(&self, number: u8, id: &HashText) -> TransactionStatus {
        loop {
            let status = self.client(number).transaction_status(id.clone()).await;
            let status = status.unwrap();
            if status.tiers.len() > 1 {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One operation promised by the proposer of the next height, and what another node says of it; nothing if a block
    /// came first.
    async fn promised(&self, nonce: u64) -> Option<(PreconfirmationJson, TransactionStatus)> {
        let next = self.height(0).await + 1;
        let maker = proposer(next);
        let id = self.spread(nonce, maker).await?;
        let other = (maker + 1) % COUNT;
        let refused = self.client(other).preconfirm(id.clone()).await.unwrap_err();
        let named = validator_number(maker).address();
        let names = format!("the next proposer (height {next}) is {named}");
        if !refused.to_string().contains(&names) {
            assert!(self.height(other).await >= next, "{refused}");
            return None;
        }
        let promise = self.client(maker).preconfirm(id.clone()).await.ok()?;
        let status = self.vouched(other, &id).await;
        (status.stage == Stage::Pending).then_some((promise, status))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_promise_of_the_next_proposer_is_seen_by_all_and_kept_at_exactly_its_place() {
    let set = Set::start_with(COUNT, UNHURRIED).await;
    set.wait_for_height(0, 2).await;
    let mut kept = 0;
    for nonce in 0..TRIES {
        let height = set.height(0).await;
        set.wait_for_height(0, height + 1).await;
        let Some((promise, status)) = set.promised(nonce).await else {
            continue;
        };
        let tier = status.tiers.last().unwrap();
        assert_eq!(tier.tier, Tier::Preconfirmed);
        assert_eq!(tier.preconfirmation.as_ref(), Some(&promise));
        assert!(status.revertible_by.contains("then it is pending again"));
        assert_eq!(status.revertible_by, tier.revertible_by);
        let after = wait_for(set.client(0), &promise.id, Stage::Certified).await;
        let tiers: Vec<Tier> = after.tiers.iter().map(|one| one.tier).collect();
        assert!(!tiers.contains(&Tier::Preconfirmed), "{tiers:?}");
        let block = set.client(0).block(Some(promise.height)).await.unwrap();
        if block.author != promise.proposer {
            continue; // another proposer's block was decided, and nobody is at fault
        }
        let Some(Evidence::Certificate { height, place, .. }) =
            after.reached.last().map(|reached| &reached.evidence)
        else {
            panic!("{after:?}");
        };
        assert_eq!((*height, *place), (promise.height, promise.place));
        kept += 1;
        if kept == 2 {
            break;
        }
    }
    assert_eq!(kept, 2, "no promise in {TRIES} heights");
    for number in 0..COUNT {
        assert_eq!(set.evidence(number).len(), 0, "node {number}");
    }
    set.stop().await;
}

/// Whose program promises what its blocks do not hold.
const LIAR: u8 = 3;

/// A second program with the key of a validator, which only promises.
async fn promise_in_the_name_of(set: &Set, heights: &mut u64, gossip: &Gossip) {
    let tip = set.height(0).await;
    if tip == *heights || proposer(tip + 1) != LIAR {
        return;
    }
    *heights = tip;
    for id in [1, 2] {
        let promise = Preconfirmation {
            height: Height(tip + 1),
            place: 0,
            transaction: TransactionId([id; 32]),
        };
        let signed = promise.sign(&set.domain, &validator_number(LIAR));
        let mut bytes = vec![1];
        bytes.extend_from_slice(&to_bytes(&signed));
        let _ = gossip.publish(Topic::Checkpoints, bytes.into()); // it may know nobody yet
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn broken_and_contradicting_promises_become_files_that_convict_their_maker_offline() {
    let set = Set::start_with(COUNT, Duration::from_millis(400)).await;
    let config = GossipConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        peers: set.gossip.clone(),
        identity: Keypair::generate_ed25519(),
        chain: genesis_of(COUNT).hash().0,
        validator_proof: None,
        limits: GossipLimits::default(),
    };
    let cancelled = CancellationToken::new();
    let (gossip, _) = Gossip::start(config, Arc::new(Deaf), cancelled.clone())
        .await
        .unwrap();
    let both = BTreeSet::from([
        Offence::DoublePreconfirmation,
        Offence::BrokenPreconfirmation,
    ]);
    let (mut heights, genesis) = (0, genesis_of(COUNT));
    let offences = |number| -> BTreeSet<Offence> {
        let files = set.evidence(number);
        let findings = files.iter().map(|file| {
            let finding = verify_evidence(file, Some(&genesis)).unwrap().finding;
            assert_eq!(finding.offender, validator_number(LIAR).address());
            finding.offence
        });
        findings.collect()
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    for number in 0..LIAR {
        while offences(number) != both {
            assert!(std::time::Instant::now() < deadline, "node {number}");
            promise_in_the_name_of(&set, &mut heights, &gossip).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    cancelled.cancel();
    set.stop().await;
}
