//! What a plan refuses before anything is sent, and what it foretells. `tests/contracts.rs` carries plans out.

use alloy_primitives::{Bytes, address};
use protocol::account::L1Address;
use protocol::genesis::Genesis;
use protocol::testing::{World, leaf};

use super::*;

const DEPLOYER: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");

/// A verifier that returns one, which no test here calls.
fn config() -> DeploymentConfig {
    let verifier = VerifierConfig {
        code: VerifierCode::Runtime(Bytes::from_static(&[
            0x60, 0x01, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3,
        ])),
        key_hash: B256::with_last_byte(1),
        circuit_hash: B256::with_last_byte(2),
        reference_hash: B256::with_last_byte(3),
        is_insecure: true,
    };
    DeploymentConfig::suggested(DEPLOYER, verifier)
}

fn genesis(first_nonce: u64) -> Genesis {
    let mut genesis = World::new(vec![leaf(0, 0, 5)], 1).genesis;
    let rollup = Deployment::foretold(DEPLOYER, first_nonce).rollup;
    genesis.rollup = L1Address(rollup.into_array());
    genesis
}

#[test]
fn addresses_follow_from_the_first_nonce() {
    let config = DeploymentConfig {
        first_nonce: 7,
        ..config()
    };
    let plan = DeploymentPlan::new(&genesis(7), DEPLOYER, &config).expect("a good plan");
    let nonces: Vec<u64> = plan.steps().iter().map(|step| step.nonce).collect();
    assert_eq!(nonces, (7..16).collect::<Vec<_>>());
    for step in plan.steps() {
        assert_eq!(step.creates, Some(DEPLOYER.create(step.nonce)));
    }
    let other = DeploymentPlan::new(&genesis(8), DEPLOYER, &config);
    assert!(matches!(other, Err(DeployError::OtherRollup { .. })));
}

#[test]
fn runtime_code_of_the_verifier_stands_as_it_was_passed() {
    let plan = DeploymentPlan::new(&genesis(0), DEPLOYER, &config()).expect("a good plan");
    let verifier = plan.steps()[1].code_hash.expect("it makes a contract");
    let VerifierCode::Runtime(code) = config().verifier.code else {
        unreachable!("config() has runtime code");
    };
    assert_eq!(verifier, alloy_primitives::keccak256(code));
}

#[test]
fn insecure_reference_strings_are_refused_outside_development() {
    let refused = |chain_id: u64, name: &str, is_insecure: bool| {
        let mut genesis = genesis(0);
        genesis.chain_id = chain_id;
        genesis.reference_string = name.to_owned();
        let mut config = config();
        config.verifier.is_insecure = is_insecure;
        let plan = DeploymentPlan::new(&genesis, DEPLOYER, &config);
        matches!(plan, Err(DeployError::InsecureReference { .. }))
    };
    assert!(refused(1, "insecure-development", false));
    assert!(refused(1, "perpetual-powers-of-tau", true));
    assert!(!refused(1, "perpetual-powers-of-tau", false));
    assert!(!refused(31_337, "insecure-development", true));
    assert!(!refused(1_337, "insecure-development", true));
}

#[test]
fn a_verifier_without_code_is_refused() {
    let refusal = |code: VerifierCode| {
        let mut config = config();
        config.verifier.code = code;
        DeploymentPlan::new(&genesis(0), DEPLOYER, &config).map(|_| ())
    };
    for empty in [
        VerifierCode::Creation(Bytes::new()),
        VerifierCode::Runtime(Bytes::new()),
    ] {
        assert!(matches!(refusal(empty), Err(DeployError::EmptyVerifier)));
    }
    // creation code that stops and so leaves nothing: the registry's constructor notices
    let nothing = refusal(VerifierCode::Creation(Bytes::from_static(&[0x00])));
    assert!(
        matches!(&nothing, Err(DeployError::Refused { step: "VerifierRegistry", reason }) if reason.contains("NoCode")),
        "{nothing:?}"
    );
    let long = refusal(VerifierCode::Runtime(vec![0; 24_577].into()));
    assert!(matches!(long, Err(DeployError::LongVerifier(24_577))));
}

#[test]
fn parameters_that_contradict_each_other_are_refused_by_name() {
    let mut config = config();
    config.timing.desert = config.timing.enforced;
    let refused = DeploymentPlan::new(&genesis(0), DEPLOYER, &config).map(|_| ());
    assert!(
        matches!(&refused, Err(DeployError::Refused { step: "Rollup", reason }) if reason.contains("BadTiming")),
        "{refused:?}"
    );
}

#[test]
fn a_deployment_costs_what_the_documents_say() {
    let plan = DeploymentPlan::new(&genesis(0), DEPLOYER, &config()).expect("a good plan");
    let total: u64 = plan.transactions().map(|(_, gas)| gas).sum();
    assert!(total.abs_diff(15_842_229) <= 158_422, "{total}");
}
