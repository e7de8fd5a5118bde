//! The list of accepted keys (`verifier/golden/keys.txt`) against keys made from the circuits.
//!
//! A circuit that changes gets another key; this test says so, and `make golden` writes the new list on purpose. The
//! keys come from the same cache as the node's (`QUORATE_CACHE`, else `~/.cache/quorate`), which is found by the
//! circuit's digest: a changed circuit never meets an old key.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use api::jobs::JobKind;
use protocol::params::CIRCUIT_VERSION;
use prover::Prover;
use prover::aggregate::Aggregator;
use prover::srs::StringKind;
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
    let circuits = [
        (CircuitName::Chunk, JobKind::Chunk),
        (CircuitName::Data, JobKind::Data),
    ];
    let digests = circuits.map(|(circuit, job)| (circuit, prover.description(job).digest()));
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
    let protocols = [JobKind::Chunk, JobKind::Data].map(|kind| prover.inner_protocol(kind));
    drop(prover);
    let [chunk, data] = protocols;
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
fn no_golden_key_under_the_development_string_counts_as_secure() {
    for key in golden::keys() {
        let is_development = key.reference_string == StringKind::InsecureDevelopment.to_string();
        assert!(!is_development || key.is_insecure, "{} key", key.circuit);
    }
}
