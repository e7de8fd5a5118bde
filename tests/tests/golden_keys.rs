//! The list of accepted keys (`verifier/golden/keys.txt`) against keys made from the circuits.
//!
//! A circuit that changes gets another key; this test says so, and `make golden` writes the new list on purpose. The
//! keys come from the same cache as the node's (`QUORATE_CACHE`, else `~/.cache/quorate`), which is found by the
//! circuit's digest: a changed circuit never meets an old key.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ark_ec::AffineRepr;
use protocol::params::CIRCUIT_VERSION;
use prover::Prover;
use prover::aggregate::Aggregator;
use prover::srs::StringKind;
use verifier::KeyDescription;
use verifier::golden::{self, CircuitName};

fn cache() -> PathBuf {
    let home = || {
        std::env::home_dir()
            .expect("a home directory")
            .join(".cache/quorate")
    };
    std::env::var_os("QUORATE_CACHE").map_or_else(home, PathBuf::from)
}

fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/golden/keys.txt")
}

#[test]
fn golden_keys_are_those_of_the_circuits() {
    let kind = StringKind::InsecureDevelopment;
    let prover = Prover::load(&cache(), kind).expect("keys under the development string");
    let circuits = [CircuitName::Chunk, CircuitName::Data];
    let digests = circuits.map(|circuit| (circuit, prover.description(circuit).digest()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = std::fs::read_to_string(list()).expect("the list is readable");
        let mut updated: String = text
            .lines()
            .filter(|line| line.starts_with('#') || !line.contains(&kind.to_string()))
            .map(|line| format!("{line}\n"))
            .collect();
        for (circuit, digest) in digests {
            let digest = hex::encode(digest);
            writeln!(
                updated,
                "{circuit} {CIRCUIT_VERSION} {kind} insecure {digest}"
            )
            .expect("text");
        }
        std::fs::write(list(), updated).expect("the list is writable");
        return;
    }
    for (circuit, digest) in digests {
        let golden = golden::keys().iter().find(|key| {
            (key.circuit, key.version) == (circuit, CIRCUIT_VERSION)
                && key.reference_string == kind.to_string()
        });
        let golden = golden.unwrap_or_else(|| panic!("no {circuit} key in the list: make golden"));
        assert!(
            golden.is_insecure,
            "the development string's secret is public"
        );
        assert_eq!(
            hex::encode(golden.digest),
            hex::encode(digest),
            "the {circuit} circuit has changed; if that was on purpose: make golden"
        );
    }
}

/// Where the descriptions of the aggregation circuits are.
fn description(kind: StringKind, stage: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../verifier/golden/aggregation")
        .join(format!("{kind}-{stage}.key"))
}

#[test]
fn golden_aggregation_keys_are_those_of_the_circuits() {
    let is_update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if !is_update && std::env::var_os("QUORATE_SOAK").is_none() {
        return; // minutes and four gigabytes of keys: make golden and make soak
    }
    let kind = StringKind::InsecureDevelopment;
    let prover = Prover::load(&cache(), kind).expect("keys under the development string");
    let protocols = [CircuitName::Chunk, CircuitName::Data];
    let [chunk, data] = protocols.map(|circuit| prover.inner_protocol(circuit));
    drop(prover);
    let aggregator = Aggregator::load(&cache(), kind, (chunk, data)).expect("keys of the tree");
    for (stage, key) in aggregator.keys() {
        let (path, encoded) = (description(kind, stage), key.encode());
        if is_update {
            std::fs::write(path, encoded).expect("a description is writable");
        } else {
            let golden = std::fs::read(&path).expect("a description is readable");
            assert!(
                golden == encoded,
                "the {stage} circuit has changed; if that was on purpose: make golden"
            );
        }
    }
}

#[test]
fn golden_aggregation_keys_are_compiled_in_and_the_last_is_the_one_that_contracts_are_written_from()
{
    let kind = StringKind::InsecureDevelopment;
    let keys = golden::aggregation(&kind.to_string()).expect("keys under the development string");
    let stages = ["level-0", "level-1", "level-2", "level-3", "top", "final"];
    for (key, stage) in keys.iter().zip(stages) {
        let file = std::fs::read(description(kind, stage)).expect("a description is readable");
        assert!(*key == file, "{stage}");
        let decoded = KeyDescription::decode(key).expect("a description");
        let inputs = match stage {
            "top" => 24,
            "final" => 25,
            _ => 15,
        };
        assert_eq!(decoded.parts().instance_lens, [inputs], "{stage}");
        let commitments = decoded.parts().fixed_commitments.iter();
        let empty = commitments.filter(|one| one.is_zero()).count();
        // the top takes keys of levels as witnesses, and no witness is the identity
        assert!(
            empty == 0 || !stage.starts_with("level"),
            "{stage}: {empty}"
        );
    }
    let settlement = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/final.key");
    let settlement = std::fs::read(settlement).expect("the key of the contract is readable");
    assert!(keys[5] == settlement);
    assert_eq!(golden::aggregation("another"), None);
}

#[test]
fn no_golden_key_under_the_development_string_counts_as_secure() {
    for key in golden::keys() {
        let is_development = key.reference_string == StringKind::InsecureDevelopment.to_string();
        assert!(!is_development || key.is_insecure, "{} key", key.circuit);
    }
}
