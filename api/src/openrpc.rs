//! The OpenRPC document (`rpc.discover`): every method with its parameters, result and errors.
//!
//! A test of the node holds the list equal to what the server has registered.

use serde_json::{Value, json};

use crate::error::ErrorCode;

/// Name of the method that returns this document.
pub const DISCOVER: &str = "rpc.discover";

/// A parameter or result: name and name of its schema; `?` at the end of the schema makes a parameter optional.
type Field = (&'static str, &'static str);

/// One method of the node.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Full name.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    params: &'static [Field],
    result: Field,
}

/// Methods on the node's public address.
pub const METHODS: &[Method] = &[
    Method {
        name: "quorate_sendTransaction",
        summary: "Accepts a signed operation; when it returns, the operation is on disk.",
        params: &[("transaction", "SignedTransaction")],
        result: ("id", "Hash"),
    },
    Method {
        name: "quorate_sendAtomicGroup",
        summary: "Accepts 2 to 16 operations that apply together or not at all.",
        params: &[("transactions", "SignedTransactions")],
        result: ("ids", "Hashes"),
    },
    Method {
        name: "quorate_simulate",
        summary: "What would happen to these operations in the next block.",
        params: &[("transactions", "SimulationMembers")],
        result: ("simulation", "Simulation"),
    },
    Method {
        name: "quorate_transactionStatus",
        summary: "How far an operation has come, with evidence.",
        params: &[("id", "Hash")],
        result: ("status", "TransactionStatus"),
    },
    Method {
        name: "quorate_preconfirm",
        summary: "The next proposer's signed promise that a pending operation will stand in its block.",
        params: &[("id", "Hash")],
        result: ("preconfirmation", "Preconfirmation"),
    },
    Method {
        name: "quorate_leaf",
        summary: "A leaf with its Merkle proof.",
        params: &[("index", "Index")],
        result: ("leaf", "LeafProof"),
    },
    Method {
        name: "quorate_resolveLeaf",
        summary: "The first leaf of a payment address.",
        params: &[
            ("key", "Point"),
            ("l1_owner", "Address"),
            ("token", "Index"),
        ],
        result: ("leaf", "Leaf"),
    },
    Method {
        name: "quorate_leavesOfOwner",
        summary: "All leaves of a key and base-layer owner, by token and index.",
        params: &[
            ("key", "Point"),
            ("l1_owner", "Address"),
            ("cursor", "Cursor?"),
            ("limit", "Limit?"),
        ],
        result: ("page", "LeafPage"),
    },
    Method {
        name: "quorate_transactionsOfLeaf",
        summary: "Operations that named a leaf as sender or recipient, newest first.",
        params: &[
            ("index", "Index"),
            ("cursor", "Cursor?"),
            ("limit", "Limit?"),
        ],
        result: ("page", "TransactionPage"),
    },
    Method {
        name: "quorate_block",
        summary: "A certified block; the newest without a height.",
        params: &[("height", "Integer?")],
        result: ("block", "Block"),
    },
    Method {
        name: "quorate_batch",
        summary: "A batch with its timeline; the open one without a number.",
        params: &[("number", "Integer?")],
        result: ("batch", "Batch"),
    },
    Method {
        name: "quorate_bundle",
        summary: "The bundle of a proven batch: a file that `quorate verify` accepts.",
        params: &[("number", "Integer")],
        result: ("bundle", "Bundle"),
    },
    Method {
        name: "quorate_checkpoint",
        summary: "The validators' certificate over a sealed batch: a file that `quorate verify checkpoint` accepts.",
        params: &[("number", "Integer")],
        result: ("checkpoint", "Checkpoint"),
    },
    Method {
        name: "quorate_chain",
        summary: "What the chain is: domain, chain id, fee leaves, least fee, circuit version.",
        params: &[],
        result: ("chain", "Chain"),
    },
    Method {
        name: "quorate_status",
        summary: "What the node is doing.",
        params: &[],
        result: ("status", "NodeStatus"),
    },
    Method {
        name: "quorate_validators",
        summary: "The set of the newest height: weights, next proposer, what each validator did.",
        params: &[],
        result: ("validators", "Validators"),
    },
    Method {
        name: "quorate_inclusion",
        summary: "How long operations waited for a block, by proposer and by builder.",
        params: &[],
        result: ("inclusion", "Inclusion"),
    },
    Method {
        name: "quorate_softChain",
        summary: "The soft chains above the newest certified block that this node knows.",
        params: &[],
        result: ("soft_chain", "SoftChain"),
    },
    Method {
        name: "quorate_bids",
        summary: "Bids at recent heights, and what became of them.",
        params: &[],
        result: ("bids", "Bids"),
    },
    Method {
        name: "quorate_subscribe",
        summary: "Notices about an operation, blocks or batches, sent as quorate_subscription (WebSocket only).",
        params: &[("topic", "Topic")],
        result: ("subscription", "SubscriptionId"),
    },
    Method {
        name: "quorate_unsubscribe",
        summary: "Ends a subscription.",
        params: &[("subscription", "SubscriptionId")],
        result: ("ended", "Boolean"),
    },
    Method {
        name: DISCOVER,
        summary: "This document.",
        params: &[],
        result: ("document", "Document"),
    },
];

/// The document.
#[must_use]
pub fn document() -> Value {
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let errors: Vec<Value> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let data =
                json!({"hint": code.hint(), "docs": format!("docs/rpc.md#{}", code.anchor())});
            json!({"code": code.number(), "message": code.message(), "data": data})
        })
        .collect();
    let methods: Vec<Value> = METHODS
        .iter()
        .map(|method| {
            let params: Vec<Value> = method
                .params
                .iter()
                .map(|(name, shape)| {
                    let (shape, required) = match shape.strip_suffix('?') {
                        Some(shape) => (shape, false),
                        None => (*shape, true),
                    };
                    json!({"name": name, "required": required, "schema": schema(shape)})
                })
                .collect();
            json!({
                "name": method.name,
                "summary": method.summary,
                "paramStructure": "either",
                "params": params,
                "result": {"name": method.result.0, "schema": schema(method.result.1)},
                "errors": if method.params.is_empty() { json!([]) } else { json!(errors) },
            })
        })
        .collect();
    json!({
        "openrpc": "1.2.6",
        "info": {
            "title": "Quorate node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Hex is 0x and lower-case digits, amounts are decimal strings. See docs/rpc.md.",
        },
        "methods": methods,
        "components": {"schemas": schemas()},
    })
}

fn schemas() -> Value {
    serde_json::from_str(include_str!("openrpc/schemas.json"))
        .expect("the schemas are part of the program and a test reads them")
}

#[cfg(test)]
mod tests;
