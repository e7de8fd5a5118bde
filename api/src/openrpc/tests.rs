//! The schemas describe what is really sent: samples of every answer are held against them, both ways.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{METHODS, document};
use crate::{
    error::ErrorCode,
    ledger::{
        BatchJob, BatchJson, BatchOnBaseLayer, BatchStage, BidJson, BlockJson, BundleJson,
        CertificateJson, CheckpointJson, EntryJson, LeafProofJson,
    },
    operation::{SignedTransactionJson, SimulationJson},
    preconfirmation::PreconfirmationJson,
    set::{AuthorInclusion, BidStatus, BidsJson, InclusionJson, ValidatorsJson},
    soft::SoftChainJson,
    status::{BaseLayerStatus, ChainInfo, NodeStatus, Notice, PlaceJson, Topic, TransactionStatus},
};

/// Complaints about `value` under `schema`; knows the words the schemas use.
fn complaints(schema: &Value, value: &Value, schemas: &Value, place: &str) -> Vec<String> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap();
        return match schemas.get(name) {
            Some(schema) => complaints(schema, value, schemas, place),
            None => vec![format!("{place}: schema {name} is missing")],
        };
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(choices) = schema.get(word).and_then(Value::as_array) {
            let tried: Vec<Vec<String>> = choices
                .iter()
                .map(|choice| complaints(choice, value, schemas, place))
                .collect();
            return if tried.iter().any(Vec::is_empty) {
                vec![]
            } else {
                tried.concat()
            };
        }
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        let fits = allowed.contains(value);
        return if fits {
            vec![]
        } else {
            vec![format!("{place}: {value} is none of {allowed:?}")]
        };
    }
    if let Some(constant) = schema.get("const") {
        return if constant == value {
            vec![]
        } else {
            vec![format!("{place}: not {constant}")]
        };
    }
    let wrong = |what: &str| vec![format!("{place}: {value} is no {what}")];
    match schema["type"].as_str().unwrap() {
        "object" => object_complaints(schema, value, schemas, place),
        "array" => value.as_array().map_or_else(
            || wrong("array"),
            |items| {
                let all = items.iter().enumerate();
                all.flat_map(|(at, item)| {
                    complaints(&schema["items"], item, schemas, &format!("{place}/{at}"))
                })
                .collect()
            },
        ),
        "string" if value.is_string() => vec![],
        "integer" if value.is_i64() || value.is_u64() => vec![],
        "boolean" if value.is_boolean() => vec![],
        "null" if value.is_null() => vec![],
        other => wrong(other),
    }
}

fn object_complaints(schema: &Value, value: &Value, schemas: &Value, place: &str) -> Vec<String> {
    let Some(object) = value.as_object() else {
        return vec![format!("{place}: no object")];
    };
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return vec![];
    };
    let described: BTreeSet<&String> = properties.keys().collect();
    let sent: BTreeSet<&String> = object.keys().collect();
    let mut found: Vec<String> = described
        .symmetric_difference(&sent)
        .map(|name| format!("{place}/{name}: in the schema or in the value, not in both"))
        .collect();
    for (name, schema) in properties {
        if let Some(value) = object.get(name) {
            found.extend(complaints(
                schema,
                value,
                schemas,
                &format!("{place}/{name}"),
            ));
        }
    }
    found
}

fn check<T: serde::Serialize + serde::de::DeserializeOwned>(name: &str, sample: Value) {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let parsed: T = serde_json::from_value(sample)
        .unwrap_or_else(|error| panic!("the sample of {name} is no value of its type: {error}"));
    let sent = serde_json::to_value(&parsed).unwrap();
    let found = complaints(&json!({"$ref": format!("/{name}")}), &sent, schemas, name);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn samples_of_every_answer_fit_their_schema() {
    let hash = format!("0x{}", "ab".repeat(32));
    let address = format!("0x{}", "cd".repeat(20));
    let point = json!({"x": hash, "y": hash});
    let transaction = |action: Value| json!({"from": 1, "nonce": 2, "valid_until": 3, "fee": "4", "action": action});
    let actions = [
        json!({"type": "transfer", "to": 1, "amount": "5"}),
        json!({"type": "transfer_to_new", "key": point, "l1_owner": address, "amount": "5"}),
        json!({"type": "withdraw", "amount": "5"}),
        json!({"type": "change_key", "key": point}),
        json!({"type": "lock", "until": 9}),
    ];
    for action in &actions {
        let signature = json!({"r8": point, "s": hash});
        let sample = json!({"chain_id": 1, "transaction": transaction(action.clone()), "key": point, "signature": signature});
        check::<SignedTransactionJson>("SignedTransaction", sample);
    }
    let verdict = json!({"code": -32100, "reason": "r", "hint": "h"});
    for error in [Value::Null, verdict.clone()] {
        let member =
            json!({"message": hash, "fee": "0", "burned": "0", "new_leaf": null, "error": error});
        check::<SimulationJson>(
            "Simulation",
            json!({"height": 1, "is_valid": true, "members": [member]}),
        );
    }
    let signed = json!({"round": 0, "signatures": [{"validator": address, "signature": "0x00"}]});
    check::<CertificateJson>("Certificate", signed.clone());
    let certificate = json!({"type": "certificate", "height": 1, "place": 0, "block": hash, "certificate": signed});
    let soft = json!({"type": "soft", "base_height": 1, "number": 2, "block": hash, "weight_signed": 2, "weight_total": 4});
    let place = json!({"number": 5, "block": hash, "transaction": hash});
    check::<PlaceJson>("Place", place.clone());
    let reached = json!([
        {"stage": "pending", "time_ms": 1, "evidence": {"type": "mempool"}},
        {"stage": "soft", "time_ms": 1, "evidence": soft},
        {"stage": "certified", "time_ms": 1, "evidence": certificate},
        {"stage": "certified", "time_ms": 1, "evidence": {"type": "record", "height": 1, "place": 0}},
        {"stage": "committed", "time_ms": 1, "evidence": {"type": "base_layer", "batch": 1, "place": place}},
        {"stage": "proven", "time_ms": 1, "evidence": {"type": "bundle", "batch": 1, "hash": hash}},
        {"stage": "finalized", "time_ms": 1, "evidence": {"type": "base_layer", "batch": 1, "place": place}},
    ]);
    let failure = json!({"time_ms": 1, "verdict": verdict});
    let weights = json!({"total": 4, "faulty_max": 1, "quorum": 3});
    let tier = |tier: &str, weights: &Value, signed: &Value| {
        json!({
            "tier": tier, "time_ms": 1, "since_received_ms": 0, "since_previous_ms": 0, "weights": weights,
            "weight_signed": signed, "revertible_by": "x", "preconfirmation": null,
        })
    };
    let promise = json!({"id": hash, "height": 1, "place": 0, "proposer": address, "signature": "0x00", "tier": "x"});
    let mut promised = tier("preconfirmed", &Value::Null, &Value::Null);
    promised["preconfirmation"] = promise;
    let tiers = json!([
        tier("pending", &Value::Null, &Value::Null),
        promised,
        tier("soft", &weights, &json!(2)),
        tier("certified", &weights, &json!(3)),
        tier("batch_certified", &weights, &json!(4)),
        tier("proven", &weights, &Value::Null),
        tier("committed", &weights, &Value::Null),
        tier("finalized", &weights, &Value::Null),
    ]);
    let status = json!({"id": hash, "stage": "failed", "reached": reached, "tiers": tiers, "revertible_by": "x", "failure": failure});
    check::<TransactionStatus>("TransactionStatus", status.clone());
    let leaf = json!({"index": 1, "key": point, "l1_owner": address, "token": 0, "pending_nonce": 1, "nonce": 0, "balance": "1", "lock_until": 0});
    let siblings = json!([[hash, hash, hash]]);
    check::<LeafProofJson>(
        "LeafProof",
        json!({"leaf": leaf, "height": 1, "root": hash, "siblings": siblings}),
    );
    let operation =
        json!({"id": hash, "transaction": transaction(actions[0].clone()), "fee_leaf": 0});
    let bid = json!({"leaf": 1, "height": 3, "value": "2", "builder": address});
    check::<BidJson>("Bid", bid.clone());
    let entries = json!([
        {"type": "submission", "is_group": false, "operations": [operation]},
        {"type": "bid_burn", "bid": bid},
    ]);
    for entry in entries.as_array().unwrap() {
        check::<EntryJson>("Entry", entry.clone());
    }
    check::<BlockJson>(
        "Block",
        json!({
            "height": 1, "id": hash, "parent": hash, "timestamp_ms": 1, "author": address, "fee_leaves": [0],
            "payload_root": hash, "state_root_before": hash, "header": "0x", "bid": bid, "certificate": signed, "inbox": ["0x00"],
            "entries": entries, "batch": 1,
        }),
    );
    let job = json!({"id": hash, "kind": "chunk", "index": 0, "created_ms": 1, "leased_ms": 1, "proven_ms": null, "attempts": 1, "worker": "w", "phase": "p", "percent": 1});
    for kind in crate::jobs::JobKind::ALL {
        let mut job = job.clone();
        job["kind"] = json!(kind);
        check::<BatchJob>("BatchJob", job);
    }
    for proven in [Value::Null, place.clone()] {
        let on = json!({"committed": place, "proven": proven, "is_final": false});
        check::<BatchOnBaseLayer>("BatchOnBaseLayer", on);
    }
    check::<BatchJson>(
        "Batch",
        json!({
            "number": 1, "stage": "sealed", "first_height": 1, "last_height": 2, "root_before": hash, "root_after": hash,
            "signed_operations": 1, "published_bytes": 31, "jobs": [job], "opened_ms": 1, "sealed_ms": 2, "proven_ms": null,
            "bundle_bytes": null, "bundle_hash": null, "final_proof_ms": 3, "base_layer": null,
        }),
    );
    check::<BundleJson>("Bundle", json!({"number": 1, "bytes": "0x00"}));
    check::<CheckpointJson>("Checkpoint", json!({"number": 1, "bytes": "0x00"}));
    check::<PreconfirmationJson>(
        "Preconfirmation",
        json!({
            "id": hash, "height": 2, "place": 0, "proposer": address, "signature": "0x00", "tier": "preconfirmed",
        }),
    );
    check::<ChainInfo>(
        "Chain",
        json!({
            "chain_id": 1, "rollup": address, "domain": hash, "genesis_hash": hash, "params_hash": hash, "circuit_version": 1,
            "reference_string": "r", "validators": [{"address": address, "weight": 1}], "fee_leaves": [{"index": 0, "token": 0}], "fee_min": "0",
            "block_interval_ms": 200, "is_development": true,
        }),
    );
    let base_layer = json!({
        "latest": 9, "safe": 8, "finalized": 7, "origin": 6, "inbox_items": 2, "alarm": null, "trouble": "down",
    });
    check::<BaseLayerStatus>("BaseLayerStatus", base_layer.clone());
    check::<NodeStatus>(
        "NodeStatus",
        json!({
            "version": "0", "height": 1, "block": hash, "timestamp_ms": 1, "root": hash, "leaf_count": 1, "inbox_count": 0, "base_layer": base_layer,
            "mempool_operations": 0, "mempool_bytes": 0, "validators": 4, "weight_total": 4, "weight_faulty_max": 1,
            "weight_quorum": 3, "finality": "halt", "since_block_ms": 1, "role": "observer", "observes_until": 7, "round": 0, "peers": 3,
            "batch_certified": 0, "blocks_from": 1, "rebuilt": {"batch": 2, "base_layer_block": 9}, "peers_keep_from": null, "batch_open": 1, "batch_sealed": 0, "batch_proven": 0,
            "jobs_queued": 0, "jobs_leased": 0, "uptime_ms": 1,
        }),
    );
    let spread = json!({"sum": 3, "max": 2, "p50": 1, "p90": 2, "p99": 2});
    let delay = json!({"entries": 2, "heights": spread, "milliseconds": spread, "left_out": 1});
    let author = json!({"address": address, "blocks": 1, "delay": delay});
    check::<AuthorInclusion>("AuthorInclusion", author.clone());
    check::<InclusionJson>(
        "Inclusion",
        json!({"first_height": 1, "last_height": null, "heights_max": 9, "proposers": [author], "builders": [author]}),
    );
    let seat = json!({
        "address": address, "weight": 1, "share_millionths": 250_000, "is_this_node": true, "is_next_proposer": false,
        "blocks": 1, "rounds_lost": 0, "last_signed_height": null, "delay": delay,
    });
    check::<ValidatorsJson>(
        "Validators",
        json!({
            "height": 1, "epoch": 0, "weights": weights, "next_proposer": address, "first_height": 1, "validators": [seat],
        }),
    );
    let seen = json!({
        "height": 1, "bid": hash, "block": hash, "builder": address, "leaf": 5, "value": "7", "is_chosen": true,
        "is_revealed": false, "is_decided": false, "reporters": 3, "weight_reported": 3, "burned_at": 4, "is_suspended": true,
    });
    check::<BidStatus>("BidStatus", seen.clone());
    check::<BidsJson>(
        "Bids",
        json!({"height": 1, "heights_max": 64, "may_take_bids": true, "bids": [seen]}),
    );
    let head = json!({
        "block": hash, "number": 2, "author": address, "time_ms": 1, "blocks": 2, "operations": 3, "signers": [address],
        "weight_signed": 2, "weight_rooted": 2,
    });
    for chosen in [json!(hash), Value::Null] {
        let sample = json!({
            "mode": "available", "is_active": true, "base_height": 1, "base": hash, "weight_total": 4, "head": chosen,
            "heads": [head],
        });
        check::<SoftChainJson>("SoftChain", sample);
    }
    for topic in [
        json!({"type": "transaction", "id": hash}),
        json!({"type": "blocks"}),
        json!({"type": "batches"}),
    ] {
        check::<Topic>("Topic", topic);
    }
    for stage in [BatchStage::Open, BatchStage::Sealed, BatchStage::Proven] {
        check::<Notice>(
            "Notice",
            json!({"type": "batch", "number": 1, "stage": stage, "time_ms": 1}),
        );
    }
    check::<Notice>(
        "Notice",
        json!({"type": "block", "height": 1, "id": hash, "timestamp_ms": 1, "operations": 0}),
    );
    check::<Notice>("Notice", json!({"type": "transaction", "status": status}));
    let last = json!({"type": "final_proof", "number": 1, "time_ms": 1});
    check::<Notice>("Notice", last);
    check::<Notice>("Notice", json!({"type": "lagged", "missed": 3}));
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document = document();
    let text = document.to_string();
    let names: BTreeSet<&str> = text
        .split("#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(names.len() > 20);
    for name in names {
        assert!(
            document["components"]["schemas"].get(name).is_some(),
            "{name}"
        );
    }
}

#[test]
fn the_page_documents_every_method_and_every_code() {
    let page = include_str!("../../../docs/rpc.md");
    for method in METHODS
        .iter()
        .filter(|method| method.name != super::DISCOVER)
    {
        assert!(
            page.contains(&format!("| `{}` | {} |", method.name, method.summary)),
            "{}",
            method.name
        );
    }
    for code in ErrorCode::ALL {
        let entry = format!(
            "### {}\n`{}` {}.",
            code.anchor(),
            code.number(),
            code.message()
        );
        assert!(page.contains(&entry), "{entry}");
        assert!(page.contains(code.hint()), "{}", code.hint());
    }
}
