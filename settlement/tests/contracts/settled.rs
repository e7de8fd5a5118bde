//! The batch with its real final proof, on the bytecode of the real verifier: committed, proven, and its money paid out.
//!
//! `tests/fixtures/golden/settled.final` is the proof, as the contract takes it; `make golden` makes it anew
//! (tests/tests/final_proof.rs).

use alloy_primitives::{Address, Bytes, U256, hex};
use settlement::BaseLayerError;
use settlement::bindings::{Reverts, Rollup, integer, prove_batch, revert};
use settlement::deploy::VerifierCode;

use crate::batch::prover;
use crate::stage::Stage;

/// What verifying may cost, all in.
const GAS_MAX: u64 = 620_000;

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The committed code of the final verifier.
pub(crate) fn verifier() -> VerifierCode {
    let path = root().join("prover/golden/solidity/FinalVerifier.json");
    let text = std::fs::read_to_string(path).expect("the artifact");
    let artifact: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let code = artifact["bytecode"].as_str().expect("creation code");
    VerifierCode::Creation(hex::decode(code).expect("hexadecimal").into())
}

pub(crate) fn proof() -> Bytes {
    let bytes = std::fs::read(root().join("tests/fixtures/golden/settled.final"));
    bytes.expect("the golden proof; run `make golden`").into()
}

#[tokio::test]
async fn a_batch_with_its_real_proof_is_settled_and_paid_out() {
    let stage = Stage::with_verifier(|_| verifier()).await;
    let made = *stage.plan.deployment();
    assert_eq!(stage.batch.chunks.len(), 1, "a tree of one leaf");
    for receipt in stage.enqueue_items().await {
        assert!(receipt.succeeded);
    }
    let committed = stage.commit().await;
    assert!(committed.succeeded);
    let stored = stage.stored(&committed).await;

    let refusal = async |by: Address, proof: &Bytes| {
        let input = prove_batch(&stored, by, proof);
        match stage.ask(made.rollup, &input).await {
            Err(BaseLayerError::Reverted { data }) => revert(&data),
            other => panic!("not refused: {other:?}"),
        }
    };
    let is_refused = |error: Option<Reverts::RevertsErrors>| {
        matches!(error, Some(Reverts::RevertsErrors::ProofRefused(_)))
    };
    // a proof pays the prover that it names and nobody else
    assert!(
        is_refused(refusal(Address::repeat_byte(0x78), &proof()).await),
        "stolen"
    );
    let proof = proof();
    for place in [0, 31, 383, 384, 400, proof.len() / 2, proof.len() - 1] {
        let mut flipped = proof.to_vec();
        flipped[place] ^= 1;
        let error = refusal(prover(), &flipped.into()).await;
        assert!(is_refused(error), "byte {place}");
    }
    for cut in [&proof[..0], &proof[..384], &proof[..proof.len() - 1]] {
        let error = refusal(prover(), &cut.to_vec().into()).await;
        assert!(is_refused(error), "{} bytes", cut.len());
    }

    let proven = stage.prove_by(&committed, prover(), &proof).await;
    assert!(proven.succeeded);
    let root = stage.view(made.rollup, &Rollup::provenRootCall {}).await;
    assert_eq!(root, integer(&stage.batch.finished.end.root));
    assert!(proven.gas_used < GAS_MAX, "{} gas", proven.gas_used);
    let again = stage.prove_by(&committed, prover(), &proof).await;
    assert!(!again.succeeded, "proven once");

    for index in 0..2 {
        let claim = stage.batch.claim(index);
        let owner = settlement::bindings::address(claim.withdrawal.owner);
        let before = stage.balance(owner).await;
        let receipt = stage
            .transact(4, made.bridge, U256::ZERO, &claim.input)
            .await;
        assert!(receipt.succeeded);
        let paid = stage.balance(owner).await - before;
        assert_eq!(paid, U256::from(claim.withdrawal.amount.get()));
    }
}
