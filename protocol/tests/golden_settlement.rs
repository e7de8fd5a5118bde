//! Golden file shared with the contracts, `tests/vectors/settlement.json`: whatever a contract computes, as this crate
//! computes it. The forge test `Golden.t.sol` reads the same file, so contract and Rust are equal or one of the two
//! fails. Deterministic from one seed; `UPDATE_GOLDEN=1` rewrites the file on purpose.
//!
//! Invariant: numbers that Solidity reads as one word are hex strings of 32 bytes; byte strings are hex too. What it does
//! not hold: anything that only one side computes.

use ark_ff::UniformRand;
use protocol::{
    Fr,
    account::{L1Address, Leaf, LeafKey},
    batch::Usage,
    block::{BlockCore, BlockId, L1Origin},
    certificate::CommitCertificate,
    checkpoint::{BatchCommitment, Checkpoint},
    codec::{abi_encode_tagged, abi_word, field_to_be_bytes, to_bytes},
    epoch::STAKE_MAX,
    handover::Handover,
    hash::keccak256,
    inbox::{InboxItem, InboxKind, InboxRequest},
    number::{Amount, BatchNumber, Epoch, Height, LeafIndex, Nonce, Round, TokenId},
    params,
    public_inputs::data_challenge,
    threaded::FeeLeaves,
    transaction::Domain,
    tree::{Tree, root_of_path},
    validator::{VALIDATORS_MAX, Validator, ValidatorKey, ValidatorSet, ValidatorSignature},
    vote::{Step, Vote},
    withdrawal::WithdrawalTree,
    words::{Word, WordCounts, Words, evaluate, sequence_bytes},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/vectors/settlement.json"
);

/// The chain id and the Rollup's address that the forge test sets up.
const CHAIN_ID: u64 = 31_337;
const ROLLUP: L1Address = L1Address([0x51; 20]);

fn hex0(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn field(value: &Fr) -> String {
    hex0(&field_to_be_bytes(value))
}

fn word(value: impl Into<u128>) -> String {
    hex0(&abi_word(value.into()))
}

fn address(value: &L1Address) -> String {
    hex0(&value.0)
}

fn random_address(rng: &mut StdRng) -> L1Address {
    L1Address(rng.r#gen())
}

fn random_words(rng: &mut StdRng, count: usize) -> Vec<Word> {
    (0..count).map(|_| Word(rng.r#gen())).collect()
}

fn domain() -> Domain {
    Domain::new(CHAIN_ID, ROLLUP, params::params_hash("golden"), 1)
}

/// Keys and their set, by address, weights 1, 2, 3, ..
fn validators(count: u8) -> (Vec<ValidatorKey>, ValidatorSet) {
    let mut keys: Vec<ValidatorKey> = (1..=count)
        .map(|number| ValidatorKey::from_bytes(&[number; 32]).unwrap())
        .collect();
    keys.sort_by_key(ValidatorKey::address);
    let seats = keys.iter().zip(1..).map(|(key, weight)| Validator {
        address: key.address(),
        weight,
    });
    let set = ValidatorSet::new(seats.collect()).unwrap();
    (keys, set)
}

/// 28 bytes a seat: what a certificate brings along.
fn seats(set: &ValidatorSet) -> Vec<u8> {
    let seats = set.validators().iter();
    seats
        .flat_map(|seat| [&seat.address.0[..], &seat.weight.to_be_bytes()].concat())
        .collect()
}

/// 66 bytes a signer: seat, then the signature.
fn signers<'a>(
    set: &ValidatorSet,
    signed: impl IntoIterator<Item = (L1Address, &'a ValidatorSignature)>,
) -> Vec<u8> {
    let seat_of = |address| {
        let place = set
            .validators()
            .iter()
            .position(|one| one.address == address);
        u8::try_from(place.unwrap()).unwrap()
    };
    signed
        .into_iter()
        .flat_map(|(address, signature)| [&[seat_of(address)], &signature.0[..]].concat())
        .collect()
}

fn domains(rng: &mut StdRng) -> Vec<Value> {
    let mut rows = vec![(CHAIN_ID, ROLLUP, params::params_hash("golden"), 1)];
    rows.extend((0..4).map(|_| (rng.r#gen(), random_address(rng), rng.r#gen(), rng.r#gen())));
    let row = |(chain_id, rollup, params_hash, version): (u64, L1Address, [u8; 32], u64)| {
        json!({
            "chainId": word(chain_id),
            "rollup": address(&rollup),
            "paramsHash": hex0(&params_hash),
            "circuitVersion": word(version),
            "domain": field(&Domain::new(chain_id, rollup, params_hash, version).0),
        })
    };
    rows.into_iter().map(row).collect()
}

fn commitment(rng: &mut StdRng, number: u64) -> BatchCommitment {
    let height = rng.gen_range(1..u64::from(u32::MAX));
    BatchCommitment {
        batch_number: BatchNumber(number),
        root_before: Fr::rand(rng),
        root_after: Fr::rand(rng),
        counters_before: Fr::rand(rng),
        counters_after: Fr::rand(rng),
        h: Fr::rand(rng),
        signed_operations: rng.r#gen(),
        epoch: Epoch::of(Height(height)),
        next_set_hash: rng.r#gen(),
        l1_origin_time: rng.r#gen(),
        circuit_version: params::CIRCUIT_VERSION,
        ops_hash: rng.r#gen(),
        withdrawals_hash: rng.r#gen(),
        inbox_hash: rng.r#gen(),
        last_height: Height(height),
        last_block: BlockId(rng.r#gen()),
    }
}

/// Signed by all but the lightest seats, as few as make a quorum.
fn commitments(rng: &mut StdRng) -> Vec<Value> {
    let rows = [(1, 1), (4, 3), (16, 12), (100, 60)].map(|(count, signing)| {
        let (keys, set) = validators(count);
        let made = commitment(rng, u64::from(count));
        let signed: Vec<_> = keys[keys.len() - signing..]
            .iter()
            .map(|key| made.clone().sign(&domain(), key))
            .collect();
        let checkpoint = Checkpoint::assemble(made, &signed);
        checkpoint.verify(&domain(), &set).unwrap();
        let (made, signatures) = (&checkpoint.commitment, &checkpoint.signatures);
        let packed = signatures.iter().map(|one| (one.validator, &one.signature));
        json!({
            "domain": field(&domain().0),
            "batchNumber": word(made.batch_number.0),
            "rootBefore": field(&made.root_before),
            "rootAfter": field(&made.root_after),
            "countersBefore": field(&made.counters_before),
            "countersAfter": field(&made.counters_after),
            "h": field(&made.h),
            "signedOps": word(made.signed_operations),
            "epoch": word(made.epoch.0),
            "nextSetHash": hex0(&made.next_set_hash),
            "l1OriginTime": word(made.l1_origin_time),
            "circuitVersion": word(made.circuit_version),
            "opsHash": hex0(&made.ops_hash),
            "withdrawalsHash": hex0(&made.withdrawals_hash),
            "inboxHash": hex0(&made.inbox_hash),
            "lastHeight": word(made.last_height.0),
            "lastBlock": hex0(&made.last_block.0),
            "digest": hex0(&made.digest(&domain())),
            "validators": hex0(&seats(&set)),
            "setHash": hex0(&set.hash()),
            "signatures": hex0(&signers(&set, packed)),
        })
    });
    rows.into()
}

/// From the set of four at epoch 0 to the one of sixteen, and on to that of five.
fn handovers(rng: &mut StdRng) -> Vec<Value> {
    let rows = [(0_u64, 4, 16), (1, 16, 5)].map(|(epoch, sitting, next)| {
        let ((keys, set), (_, next)) = (validators(sitting), validators(next));
        let core = BlockCore {
            chain_id: CHAIN_ID,
            height: Epoch(epoch).first_height(),
            epoch: Epoch(epoch),
            next_set_hash: next.hash(),
            birth_round: Round(0),
            author: keys[0].address(),
            parent: BlockId(rng.r#gen()),
            payload_root: rng.r#gen(),
            fee_leaves: FeeLeaves::new(&[LeafIndex(1)]).unwrap(),
            certificate_hash: rng.r#gen(),
            l1_origin: L1Origin::default(),
            timestamp_ms: rng.r#gen(),
            state_root_before: Fr::rand(rng),
            usage: Usage::default(),
        };
        let (height, round, block) = (core.height, Round(2), core.block_id(None));
        let vote = Vote {
            height,
            round,
            step: Step::Precommit,
            block: Some(block),
        };
        let signed = keys.iter().map(|key| vote.sign(&domain(), key));
        let certificate = CommitCertificate {
            height,
            round,
            block,
            signatures: signed.map(|one| (one.validator, one.signature)).collect(),
        };
        let bid = None;
        let bid_bytes = to_bytes(&bid);
        let link = Handover {
            core,
            bid,
            certificate,
            next,
        };
        link.verify(&domain(), Epoch(epoch), &set).unwrap();
        let signatures = &link.certificate.signatures;
        let packed = signatures.iter().map(|one| (one.validator, &one.signature));
        json!({
            "epoch": word(epoch),
            "core": hex0(&to_bytes(&link.core)),
            "bid": hex0(&bid_bytes),
            "round": word(round.0),
            "validators": hex0(&seats(&set)),
            "setHash": hex0(&set.hash()),
            "nextSetHash": hex0(&link.next.hash()),
            "signatures": hex0(&signers(&set, packed)),
        })
    });
    rows.into()
}

fn words(rng: &mut StdRng) -> Vec<Value> {
    let rows = [
        (0, 0, 0),
        (1, 0, 0),
        (87, 2, 5),
        (300, 26, 10),
        (3, 1024, 640),
    ]
    .map(|(ops, withdrawals, inbox)| {
        let words = Words {
            ops: random_words(rng, ops),
            withdrawals: random_words(rng, withdrawals),
            inbox: random_words(rng, inbox),
        };
        let count = |words: &[Word]| u64::try_from(words.len()).unwrap();
        let counts = WordCounts {
            ops: count(&words.ops),
            withdrawals: count(&words.withdrawals),
            inbox: count(&words.inbox),
            signed_operations: rng.gen_range(0..1_000),
        };
        let (batch, h) = (BatchNumber(rng.r#gen()), Fr::rand(rng));
        let z = data_challenge(&domain(), batch, &h, &counts, &words);
        let tree = WithdrawalTree::new(batch, &words.withdrawals).unwrap();
        let last = (count(&words.withdrawals) / 2).saturating_sub(1);
        let path = tree.path(last).unwrap_or_default();
        let path: Vec<String> = path.iter().map(|one| hex0(one)).collect();
        json!({
            "domain": field(&domain().0),
            "batchNumber": word(batch.0),
            "h": field(&h),
            "signedOps": word(counts.signed_operations),
            "ops": hex0(&sequence_bytes(&words.ops)),
            "withdrawals": hex0(&sequence_bytes(&words.withdrawals)),
            "inbox": hex0(&sequence_bytes(&words.inbox)),
            "wordCounts": field(&counts.to_field()),
            "z": field(&z),
            "yOps": field(&evaluate(&words.ops, &z)),
            "yWithdrawals": field(&evaluate(&words.withdrawals, &z)),
            "yInbox": field(&evaluate(&words.inbox, &z)),
            "withdrawalRoot": hex0(&tree.root()),
            "lastWithdrawal": word(last),
            "lastPath": path,
        })
    });
    rows.into()
}

/// Items of every kind, as one inbox.
fn items(rng: &mut StdRng) -> Vec<Value> {
    let mut rolling = [0; 32];
    let kinds = InboxKind::ALL.into_iter().chain([InboxKind::Deposit]);
    kinds
        .map(|kind| {
            let request = InboxRequest {
                kind: Some(kind),
                from: LeafIndex(rng.r#gen()),
                to: LeafIndex(rng.r#gen()),
                token: TokenId(rng.r#gen()),
                amount: Amount::new(rng.gen_range(0..params::BALANCE_LIMIT)).unwrap(),
                owner: random_address(rng),
                l1_owner: random_address(rng),
                key: LeafKey {
                    x: Fr::rand(rng),
                    y: Fr::rand(rng),
                },
            };
            let item: InboxItem = request.to_item();
            rolling = item.rolling_hash(&rolling);
            json!({
                "kind": word(kind.number()),
                "from": word(request.from.0),
                "to": word(request.to.0),
                "token": word(request.token.0),
                "amount": word(request.amount.get()),
                "owner": address(&request.owner),
                "l1Owner": address(&request.l1_owner),
                "keyX": field(&request.key.x),
                "keyY": field(&request.key.y),
                "words": hex0(&sequence_bytes(&item.0)),
                "rolling": hex0(&rolling),
            })
        })
        .collect()
}

/// A tree of 21 leaves; the ends of every field are among them.
fn tree(rng: &mut StdRng) -> Value {
    let mut leaves: Vec<Leaf> = (0..21)
        .map(|_| Leaf {
            key: LeafKey {
                x: Fr::rand(rng),
                y: Fr::rand(rng),
            },
            l1_owner: random_address(rng),
            token: TokenId(rng.gen_range(0..2)),
            nonce: Nonce(rng.gen_range(0..=params::NONCE_LAST)),
            balance: Amount::new(rng.gen_range(0..1_000_000_000_000_000_000)).unwrap(),
            lock_until: Height(rng.r#gen()),
        })
        .collect();
    leaves[3] = Leaf {
        key: LeafKey {
            x: -Fr::from(1_u64),
            y: -Fr::from(1_u64),
        },
        l1_owner: L1Address([0xff; 20]),
        token: TokenId(u32::MAX),
        nonce: Nonce(params::NONCE_LAST),
        balance: Amount::new(params::BALANCE_LIMIT - 1).unwrap(),
        lock_until: Height(u64::MAX),
    };
    leaves[4].key = LeafKey::NULL;
    let tree = Tree::new(leaves.iter().map(Leaf::hash).collect());
    let rows: Vec<Value> = (0..)
        .zip(&leaves)
        .map(|(index, leaf)| {
            let siblings = tree.siblings(LeafIndex(index));
            assert_eq!(
                root_of_path(LeafIndex(index), leaf.hash(), &siblings),
                tree.root()
            );
            let siblings: Vec<String> = siblings.iter().flatten().map(field).collect();
            json!({
                "index": word(index),
                "keyX": field(&leaf.key.x),
                "keyY": field(&leaf.key.y),
                "l1Owner": address(&leaf.l1_owner),
                "token": word(leaf.token.0),
                "nonce": word(leaf.nonce.0),
                "balance": word(leaf.balance.get()),
                "lockUntil": word(leaf.lock_until.0),
                "hash": field(&leaf.hash()),
                "siblings": siblings,
            })
        })
        .collect();
    json!({ "root": field(&tree.root()), "leaves": rows })
}

fn registrations(rng: &mut StdRng) -> Vec<Value> {
    (1_u8..4)
        .map(|number| {
            let key = ValidatorKey::from_bytes(&[number; 32]).unwrap();
            let (registry, staker) = (random_address(rng), random_address(rng));
            let padded = |address: &L1Address| field_to_be_bytes(&address.to_field());
            let digest = keccak256(&abi_encode_tagged(
                "QUORATE/settlement/registration/v1",
                &[
                    abi_word(u128::from(CHAIN_ID)),
                    padded(&registry),
                    padded(&staker),
                    padded(&key.address()),
                ],
            ));
            json!({
                "registry": address(&registry),
                "staker": address(&staker),
                "validator": address(&key.address()),
                "digest": hex0(&digest),
                "proof": hex0(&key.sign(&digest).0),
            })
        })
        .collect()
}

fn constants() -> Value {
    let count = |value: usize| word(u64::try_from(value).unwrap());
    json!({
        "itemWords": count(params::ITEM_WORDS),
        "withdrawalWords": count(params::WITHDRAWAL_WORDS),
        "withdrawalsPerBatchMax": word(params::WITHDRAWALS_PER_BATCH_MAX),
        "inboxPerBatchMax": word(params::INBOX_PER_BATCH_MAX),
        "epochHeights": word(params::EPOCH_HEIGHTS),
        "treeLevels": count(params::TREE_LEVELS),
        "balanceLimit": word(params::BALANCE_LIMIT),
        "validatorsMax": count(VALIDATORS_MAX),
        "stakeMax": word(STAKE_MAX),
        "modulusMinusOne": field(&-Fr::from(1_u64)),
    })
}

#[test]
fn settlement_vectors_are_the_golden_ones() {
    let mut rng = StdRng::seed_from_u64(18);
    let vectors = json!({
        "note": "What contracts compute, as the crate protocol computes it; written by protocol/tests/golden_settlement.rs.",
        "constants": constants(),
        "domains": domains(&mut rng),
        "commitments": commitments(&mut rng),
        "handovers": handovers(&mut rng),
        "words": words(&mut rng),
        "items": items(&mut rng),
        "tree": tree(&mut rng),
        "registrations": registrations(&mut rng),
    });
    let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    assert!(
        text == golden,
        "{GOLDEN} differs; run with UPDATE_GOLDEN=1 if the change is meant"
    );
}
