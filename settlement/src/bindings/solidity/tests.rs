//! The interfaces against the committed artifacts: names and types of everything, by selector.
//!
//! Nothing runs here; `tests/contracts.rs` runs the contracts.

use std::collections::BTreeSet;

use alloy_primitives::{B256, keccak256};
use alloy_sol_types::SolInterface;
use serde_json::Value;

use super::*;

const ARTIFACTS: [&str; 7] = [
    include_str!("../../../../contracts/artifacts/Rollup.json"),
    include_str!("../../../../contracts/artifacts/Inbox.json"),
    include_str!("../../../../contracts/artifacts/Bridge.json"),
    include_str!("../../../../contracts/artifacts/ValidatorRegistry.json"),
    include_str!("../../../../contracts/artifacts/VerifierRegistry.json"),
    include_str!("../../../../contracts/artifacts/DesertExit.json"),
    include_str!("../../../../contracts/artifacts/Timelock.json"),
];

/// The type of a parameter, tuples spelled out.
fn canonical(parameter: &Value) -> String {
    let kind = parameter["type"].as_str().expect("a type");
    match kind.strip_prefix("tuple") {
        Some(rest) => format!("({}){rest}", list(&parameter["components"])),
        None => kind.to_owned(),
    }
}

fn list(parameters: &Value) -> String {
    let parameters = parameters.as_array().expect("parameters");
    let kinds: Vec<String> = parameters.iter().map(canonical).collect();
    kinds.join(",")
}

/// Hashes of the signatures of one kind of thing (function, event, error) in an artifact.
fn hashes(artifact: &str, kind: &str) -> BTreeSet<B256> {
    let json: Value = serde_json::from_str(artifact).expect("json");
    let entries = json["abi"].as_array().expect("an abi");
    let of_kind = entries.iter().filter(|entry| entry["type"] == kind);
    let signatures = of_kind.map(|entry| {
        let name = entry["name"].as_str().expect("a name");
        keccak256(format!("{name}({})", list(&entry["inputs"])))
    });
    signatures.collect()
}

fn selectors(artifact: &str, kind: &str) -> BTreeSet<[u8; 4]> {
    let hashes = hashes(artifact, kind).into_iter();
    hashes
        .map(|hash| [hash[0], hash[1], hash[2], hash[3]])
        .collect()
}

fn of<I: SolInterface>() -> BTreeSet<[u8; 4]> {
    I::selectors().collect()
}

#[test]
fn every_function_here_is_one_of_its_contract() {
    let [rollup, inbox, bridge, validators, verifiers, desert, _] = ARTIFACTS;
    let here = [
        (rollup, of::<Rollup::RollupCalls>()),
        (inbox, of::<Inbox::InboxCalls>()),
        (bridge, of::<Bridge::BridgeCalls>()),
        (
            validators,
            of::<ValidatorRegistry::ValidatorRegistryCalls>(),
        ),
        (verifiers, of::<VerifierRegistry::VerifierRegistryCalls>()),
        (desert, of::<DesertExit::DesertExitCalls>()),
    ];
    for (artifact, here) in here {
        assert!(here.is_subset(&selectors(artifact, "function")));
    }
}

#[test]
fn errors_are_those_of_all_contracts() {
    let all = ARTIFACTS.into_iter();
    let all: BTreeSet<_> = all.flat_map(|one| selectors(one, "error")).collect();
    assert_eq!(of::<Reverts::RevertsErrors>(), all);
}

#[test]
fn events_are_those_of_all_contracts() {
    let all = ARTIFACTS.into_iter();
    let all: BTreeSet<B256> = all.flat_map(|one| hashes(one, "event")).collect();
    let here: BTreeSet<B256> = Events::EventsEvents::SELECTORS
        .iter()
        .map(|topic| B256::from(*topic))
        .collect();
    assert_eq!(here, all);
}
