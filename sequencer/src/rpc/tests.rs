//! The document and the server name the same methods.

use std::{collections::BTreeSet, sync::Arc};

use api::openrpc::{METHODS, document};
use tokio::sync::mpsc;

use super::{PublicApi, public_module};
use crate::{
    MempoolConfig, NodeConfig,
    builder::Exchange,
    fixture::{HashVerifier, Rig, genesis, validator},
    soft::{Soft, SoftRules},
};

fn module() -> jsonrpsee::RpcModule<PublicApi> {
    let rig = Rig::new(MempoolConfig::default());
    let dir = rig.dir.path().join("db");
    let keys = (vec![1], vec![2]);
    let config = NodeConfig::new(
        genesis(),
        dir,
        validator(),
        keys,
        Arc::new(HashVerifier::default()),
    );
    let (requests, _) = mpsc::channel(1);
    let (exchange, _) = Exchange::new(Arc::clone(&rig.executor));
    let soft = Soft::new(Arc::clone(&rig.executor), None, SoftRules::new(&config));
    public_module(PublicApi::new(
        &config,
        rig.shared().clone(),
        (Arc::clone(&rig.queue), Arc::new(exchange), Arc::new(soft)),
        requests,
    ))
}

#[test]
fn the_openrpc_document_lists_exactly_the_registered_methods() {
    let module = module();
    let registered: BTreeSet<&str> = module.method_names().collect();
    let documented: BTreeSet<&str> = METHODS.iter().map(|method| method.name).collect();
    assert_eq!(registered, documented);
}

#[tokio::test]
async fn discover_returns_the_document() {
    let module = module();
    let answer: serde_json::Value = module
        .call("rpc.discover", jsonrpsee::core::EmptyServerParams::new())
        .await
        .unwrap();
    assert_eq!(answer, document());
}
