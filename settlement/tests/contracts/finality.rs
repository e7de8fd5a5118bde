//! The finality bundle of the batch with its real proof: what it shows offline, and that nothing of it can be changed.

use alloy_primitives::{B256, U256};
use protocol::account::L1Address;
use protocol::number::BatchNumber;
use protocol::rebuild::PublishedOperation;
use settlement::deploy::DeploymentFile;
use settlement::finality::{FinalityBundleError, finality_bundle};
use settlement::{BaseLayer, BlockAt};
use verifier::bundle::{BundleError, Trust};
use verifier::finality::{AccountEvidence, FinalityBundle, RollupMode, stored_batch_hash};
use verifier::golden;

use crate::batch::prover;
use crate::settled::{proof, verifier};
use crate::stage::Stage;

const FIRST: BatchNumber = BatchNumber(1);

/// The chain after the batch was proven, its bundle, and the hash of the block under which it was looked at.
async fn settled() -> (Stage, FinalityBundle, B256) {
    let stage = Stage::with_verifier(|_| verifier()).await;
    stage.enqueue_items().await;
    let committed = stage.commit().await;
    let early = make(&stage, None).await.expect_err("not proven yet");
    assert!(
        matches!(early, FinalityBundleError::NotProven { .. }),
        "{early}"
    );
    assert!(
        stage
            .prove_by(&committed, prover(), &proof())
            .await
            .succeeded
    );
    let bundle = make(&stage, Some(0)).await.expect("it is proven");
    let head = stage.head().await;
    (stage, bundle, head)
}

async fn make(stage: &Stage, slot: Option<u64>) -> Result<FinalityBundle, FinalityBundleError> {
    let file = DeploymentFile::new(31_337, 1, stage.plan.deployment());
    let string = &stage.batch.world.genesis.reference_string;
    let head = stage.head().await;
    finality_bundle(&stage.chain, &file, string, FIRST, (head, slot)).await
}

fn why(refused: Result<verifier::finality::VerifiedFinality, BundleError>) -> String {
    refused.expect_err("it is changed").to_string()
}

#[tokio::test]
async fn a_settled_batch_is_shown_offline_under_a_trusted_block() {
    let (stage, bundle, block) = settled().await;
    let genesis = &stage.batch.world.genesis;
    let trust = Trust {
        keys: golden::keys(),
        genesis: Some(genesis),
        development: true,
    };
    let bytes = bundle.encode();
    let bundle = FinalityBundle::decode(&bytes).expect("its own bytes");
    let shown = bundle.verify(&trust, Some(block)).expect("it holds");
    assert_eq!(shown.inputs, stage.batch.inputs);
    assert_eq!((shown.proven_count, shown.mode), (1, RollupMode::Active));
    assert!(shown.is_insecure && shown.is_anchored_in_genesis && shown.is_block_trusted);
    assert_eq!(shown.block.hash, block);
    let header = stage.chain.header(BlockAt::Latest).await;
    let header = header.expect("it answers").expect("a head");
    assert_eq!(
        (
            shown.block.number,
            shown.block.timestamp,
            shown.block.state_root
        ),
        (header.number, header.timestamp, header.state_root)
    );
    let first = protocol::rebuild::published(&bundle.words).expect("words")[0];
    assert!(!matches!(first, PublishedOperation::Noop));
    assert_eq!(shown.operation, Some((0, first)));

    // what the contract hashes is what the verifier hashes
    let stored = settlement::bindings::stored_batch(
        &bundle.inputs,
        &bundle.words.withdrawals,
        bundle.commit_time,
        bundle.circuit_version,
    );
    let stored = stored.expect("an even number of words");
    let native = stored_batch_hash(
        &bundle.inputs,
        stored.withdrawalRoot.0,
        bundle.commit_time,
        bundle.circuit_version,
    );
    let encoded = alloy_sol_types::SolValue::abi_encode(&stored);
    assert_eq!(native, alloy_primitives::keccak256(encoded).0);

    // a reader who trusts no block learns that nobody vouches for it
    assert!(
        !bundle
            .verify(&trust, None)
            .expect("it holds")
            .is_block_trusted
    );
    let other = bundle.verify(&trust, Some(B256::repeat_byte(1)));
    assert!(why(other).contains("not of the trusted block"));
    let careful = Trust {
        development: false,
        ..trust
    };
    let refused = bundle.verify(&careful, Some(block));
    assert!(matches!(refused, Err(BundleError::Insecure(_))));
}

fn golden_file() -> std::path::PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join("tests/fixtures/golden/settled.finality")
}

/// The file that the tests of `quorate verify` use; `make golden` writes it anew.
#[tokio::test]
async fn golden_the_committed_finality_bundle_is_of_todays_circuits_and_contracts() {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let (_, bundle, _) = settled().await;
        std::fs::write(golden_file(), bundle.encode()).expect("a file");
    }
    let bytes = std::fs::read(golden_file()).expect("the golden file; run `make golden`");
    let bundle = FinalityBundle::decode(&bytes).expect("a finality bundle");
    let trust = Trust {
        keys: golden::keys(),
        genesis: None,
        development: true,
    };
    let shown = bundle.verify(&trust, None).expect("it holds");
    let block = shown.block.hash;
    assert!(
        bundle
            .verify(&trust, Some(block))
            .expect("it holds")
            .is_block_trusted
    );
}

#[tokio::test]
async fn nothing_in_a_finality_bundle_can_be_changed() {
    let (stage, bundle, block) = settled().await;
    let genesis = &stage.batch.world.genesis;
    let trust = Trust {
        keys: golden::keys(),
        genesis: Some(genesis),
        development: true,
    };
    let with = |change: &dyn Fn(&mut FinalityBundle)| {
        let mut other = bundle.clone();
        change(&mut other);
        why(other.verify(&trust, Some(block)))
    };
    let one = protocol::Fr::from(1_u64);
    type Change = fn(&mut FinalityBundle);
    let changes: [(&str, Change); 14] = [
        ("of another chain", |bundle| {
            bundle.inputs.batch_number = BatchNumber(2)
        }),
        ("another chain or contract", |bundle| {
            bundle.rollup = L1Address([1; 20])
        }),
        ("another chain or contract", |bundle| {
            bundle.chain_id = 1_337
        }),
        ("no final key", |bundle| bundle.reference_string.push('2')),
        ("number of words", |bundle| {
            bundle.words.ops.pop();
        }),
        ("not those that the proof", |bundle| {
            bundle.words.ops[0].0[30] ^= 1
        }),
        ("not those that the proof", |bundle| {
            bundle.words.withdrawals[1].0[30] ^= 1
        }),
        ("not those that the proof", |bundle| {
            bundle.words.inbox[0].0[30] ^= 1
        }),
        ("final proof is refused", |bundle| {
            bundle.inputs.prover_id = L1Address([2; 20])
        }),
        ("does not hold this batch", |bundle| bundle.commit_time += 1),
        ("does not hold this batch", |bundle| {
            bundle.account.nonce += 1
        }),
        ("does not hold this batch", |bundle| {
            bundle.account.counts[31] ^= 1
        }),
        ("does not hold this batch", |bundle| {
            bundle.account.batch_nodes.clear()
        }),
        ("no slot", |bundle| bundle.slot = Some(1_000)),
    ];
    for (expected, change) in changes {
        let error = with(&change);
        let is_other_batch = expected == "of another chain" && error.contains("not those");
        assert!(
            error.contains(expected) || is_other_batch,
            "{expected}: {error}"
        );
    }
    for root in [0, 1] {
        let error = with(&|bundle| match root {
            0 => bundle.inputs.root_before += one,
            _ => bundle.inputs.root_after += one,
        });
        assert!(error.contains("refused"), "{error}");
    }
    for place in [0, 31, 383, 384, 1_000, bundle.proof.len() - 1] {
        let error = with(&|bundle| bundle.proof[place] ^= 1);
        assert!(error.contains("invalid"), "byte {place}: {error}");
    }
    for place in [0, 3, 100, bundle.header.len() - 1] {
        let mut other = bundle.clone();
        other.header[place] ^= 1;
        assert!(other.verify(&trust, Some(block)).is_err(), "header {place}");
    }
    for (path, nodes) in [
        ("account", &bundle.account.nodes),
        ("counts", &bundle.account.counts_nodes),
    ] {
        for node in 0..nodes.len() {
            let error = with(&|bundle| match path {
                "account" => bundle.account.nodes[node][7] ^= 1,
                _ => bundle.account.counts_nodes[node][7] ^= 1,
            });
            assert!(
                error.contains("does not hold this batch"),
                "{path} {node}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_only_committed_is_not_final() {
    let (stage, bundle, _) = settled().await;
    // the state before the proof: the hash stands in its slot, the count is still 0
    let proven = stage.chain.header(BlockAt::Latest).await;
    let proven = proven.expect("it answers").expect("a head");
    let before = stage.chain.header(BlockAt::Hash(proven.parent_hash)).await;
    let before = before.expect("it answers").expect("its parent");
    let slots = AccountEvidence::slots(FIRST);
    let rollup = stage.plan.deployment().rollup;
    let state = stage.chain.proof(before.hash(), rollup, &slots).await;
    let state = state.expect("a proof");
    assert_ne!(state.slots[1].value, U256::ZERO);
    let early = FinalityBundle {
        header: alloy_rlp::encode(before.inner()),
        account: AccountEvidence::new(&state, FIRST).expect("the slots"),
        ..bundle
    };
    let trust = Trust {
        keys: golden::keys(),
        genesis: None,
        development: true,
    };
    let error = why(early.verify(&trust, Some(before.hash())));
    assert!(error.contains("not yet batch 1"), "{error}");
}
