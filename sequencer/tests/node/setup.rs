//! A tiny chain and its keys.

use std::{path::Path, sync::Arc, time::Duration};

use api::{
    jobs::{ACCUMULATOR_LIMBS, AggregationWitness, Circuit, JobKind, Lease, StatedProof},
    operation::SignedTransactionJson,
    rpc::QuorateClient,
    status::{Stage, TransactionStatus},
    text::HashText,
};
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use protocol::{
    Fr,
    account::{L1Address, Leaf},
    codec::{field_to_le_bytes, from_bytes},
    genesis::Genesis,
    hash::keccak256,
    number::{Amount, Height, LeafIndex, Nonce, TokenId},
    signature::SecretKey,
    threaded::FeeLeaves,
    transaction::{Action, Domain, SignedTransaction, Transaction},
    validator::{Validator, ValidatorKey, ValidatorSet},
    witness::{ChunkWitness, DataWitness},
};
use sequencer::{Node, NodeConfig, ProofVerifier};

pub(crate) const CHAIN_ID: u64 = 31_337;

/// Logs as `RUST_LOG` wants them.
pub(crate) fn show_logs() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_test_writer();
    let _ = logs.try_init(); // another test of this process may have done it
}

/// The one valid proof is the hash of the public inputs.
struct HashVerifier;

fn hash_proof(instances: &[[u8; 32]]) -> Vec<u8> {
    keccak256(&instances.concat()).to_vec()
}

/// The proof that the nodes of these tests accept, from the lease's witness alone.
pub(crate) fn proof_for(lease: &Lease) -> Vec<u8> {
    let inputs = match lease.kind {
        JobKind::Chunk => from_bytes::<ChunkWitness>(&lease.witness)
            .unwrap()
            .public_inputs()
            .to_vec(),
        JobKind::Data => from_bytes::<DataWitness>(&lease.witness)
            .unwrap()
            .public_inputs()
            .to_vec(),
        JobKind::Join | JobKind::Close | JobKind::Finish => {
            let witness = AggregationWitness::decode(lease.kind, &lease.witness).unwrap();
            return aggregated(&witness, REWARDED).encode();
        }
    };
    hash_proof(&inputs.iter().map(field_to_le_bytes).collect::<Vec<_>>())
}

/// The address that these workers have rewarded.
pub(crate) const REWARDED: L1Address = L1Address([0xa5; 20]);

/// What the verifier accepts of a job of aggregation: with an accumulator of zeros, which it does not look at.
pub(crate) fn aggregated(witness: &AggregationWitness, rewarded: L1Address) -> StatedProof {
    let mut instance = vec![Fr::from(0_u64); ACCUMULATOR_LIMBS];
    instance.extend(witness.statement().unwrap());
    if witness.circuit() == Circuit::Final {
        instance.push(rewarded.to_field());
    }
    let numbers: Vec<_> = instance.iter().map(field_to_le_bytes).collect();
    let proof = hash_proof(&numbers);
    StatedProof { instance, proof }
}

impl ProofVerifier for HashVerifier {
    fn verify(&self, _: Circuit, instances: &[[u8; 32]], proof: &[u8]) -> Result<(), String> {
        if proof == hash_proof(instances) {
            Ok(())
        } else {
            Err("another hash".into())
        }
    }

    fn is_aggregating(&self) -> bool {
        true
    }
}

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

pub(crate) fn owner(number: u8) -> L1Address {
    L1Address([number + 1; 20])
}

fn validator() -> ValidatorKey {
    validator_number(0)
}

/// Key of a validator of a set.
pub(crate) fn validator_number(number: u8) -> ValidatorKey {
    ValidatorKey::from_bytes(&[7 + number; 32]).unwrap()
}

/// The chain with a set of `count` validators of equal weight.
pub(crate) fn genesis_of(count: u8) -> Genesis {
    let validators = (0..count).map(|number| Validator {
        address: validator_number(number).address(),
        weight: 1,
    });
    Genesis {
        validators: ValidatorSet::new(validators.collect()).unwrap(),
        ..genesis()
    }
}

pub(crate) fn genesis() -> Genesis {
    let leaf = |number: u8, token| {
        let balance = Amount::new(1_000_000).unwrap();
        Leaf::new(
            key(number).public().into(),
            owner(number),
            TokenId(token),
            balance,
        )
    };
    Genesis {
        chain_id: CHAIN_ID,
        rollup: L1Address([0xee; 20]),
        reference_string: "test".into(),
        validators: ValidatorSet::of_one(validator().address()),
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]).unwrap(),
        timestamp_ms: 1_000,
        leaves: vec![leaf(0, 0), leaf(1, 0), leaf(2, 0), leaf(3, 9)],
    }
}

pub(crate) fn config(dir: &Path, block_interval: Duration) -> NodeConfig {
    let keys = (vec![1], vec![2]);
    let dir = dir.join("db");
    let mut config = NodeConfig::new(genesis(), dir, validator(), keys, Arc::new(HashVerifier));
    config.block_interval = block_interval;
    config.rpc.listen.set_port(0);
    config.jobs.listen.set_port(0);
    config
}

pub(crate) async fn start(dir: &Path, block_interval: Duration) -> (Node, HttpClient) {
    let node = Node::start(config(dir, block_interval)).await.unwrap();
    let url = format!("http://{}", node.rpc_address());
    (node, HttpClientBuilder::default().build(url).unwrap())
}

pub(crate) fn transfer(from: u8, to: u32, nonce: u64, amount: u128) -> Transaction {
    Transaction {
        from: LeafIndex(from.into()),
        nonce: Nonce(nonce),
        valid_until: Height(1 << 40),
        fee: Amount::ZERO,
        action: Action::Transfer {
            to: LeafIndex(to),
            amount: Amount::new(amount).unwrap(),
        },
    }
}

pub(crate) fn sign(transaction: Transaction) -> SignedTransactionJson {
    sign_for(&genesis().domain(), transaction)
}

pub(crate) fn sign_for(domain: &Domain, transaction: Transaction) -> SignedTransactionJson {
    let key = key(u8::try_from(transaction.from.0).unwrap());
    let signature = key.sign(&transaction.message(domain, false));
    let signed = SignedTransaction {
        transaction,
        key: key.public(),
        signature,
    };
    SignedTransactionJson::new(CHAIN_ID, &signed)
}

/// Waits until the operation reaches a stage.
pub(crate) async fn wait_for(
    client: &HttpClient,
    id: &HashText,
    stage: Stage,
) -> TransactionStatus {
    for _ in 0..600 {
        let status = client.transaction_status(id.clone()).await.unwrap();
        if status.stage == stage {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} never became {stage:?}");
}
