//! Native rules, execution with a state root, and signature checks; one core unless the name says otherwise.

use protocol::{
    account::{L1Address, Leaf, LeafKey},
    block::{BlockExecution, BlockId, L1Origin, Tip},
    number::{Amount, Height, LeafIndex, Nonce, TokenId},
    signature::{Claim, SecretKey, verify, verify_batch},
    state::State,
    threaded::FeeLeaves,
    transaction::{Action, Domain, SignedTransaction, Transaction},
    transition::Operation,
};

use crate::report::{Row, median_seconds};

/// Transfers of the rules measurement.
const TRANSFERS: u32 = 20_000;
/// Transfers of one block in the execution measurement.
const BLOCK_TRANSFERS: u32 = 128;
/// Blocks of the execution measurement.
const BLOCKS: u32 = 8;
/// log2 of the leaves that exist.
const LEAVES_LOG2: u32 = 20;
/// Signatures checked at once.
const SIGNATURES: usize = 1_024;

fn amount(value: u128) -> Amount {
    Amount::new(value).expect("benchmark amounts are below 2^120")
}

fn domain() -> Domain {
    Domain::new(31_337, L1Address([1; 20]), [2; 32], 1)
}

/// Leaves with a shared key, so that setting up a million of them takes no million key derivations.
fn leaves(key: &SecretKey, count: u32) -> Vec<Leaf> {
    let key = LeafKey::from(key.public());
    (0..count)
        .map(|_| Leaf::new(key, L1Address([7; 20]), TokenId(0), amount(1 << 60)))
        .collect()
}

/// Transfers between fresh parties scattered over `count` leaves; unsigned work is what is measured, so one valid
/// signature of another message stands in every transaction and is never checked here.
fn transfers(key: &SecretKey, count: u32, number: u32) -> Vec<Operation> {
    let signature = key.sign(&domain().0);
    let stride = 2_654_435_761_u64; // Knuth's multiplicative hash: an odd number, so places do not repeat
    let place = |i: u64| {
        LeafIndex(u32::try_from(1 + i * stride % u64::from(count - 1)).expect("below count"))
    };
    (0..u64::from(number))
        .map(|i| Operation::Signed {
            transaction: SignedTransaction {
                transaction: Transaction {
                    from: place(2 * i),
                    nonce: Nonce(0),
                    valid_until: Height(1_000),
                    fee: amount(10),
                    action: Action::Transfer {
                        to: place(2 * i + 1),
                        amount: amount(1_000),
                    },
                },
                key: key.public(),
                signature,
            },
            fee_leaf: 0,
            group: None,
        })
        .collect()
}

fn tip() -> Tip {
    Tip {
        height: Height(0),
        id: BlockId([0; 32]),
        timestamp_ms: 0,
        inbox_count: 0,
        l1_origin: L1Origin::default(),
    }
}

fn execute<'a>(state: &'a State, operations: &[Operation]) -> BlockExecution<'a> {
    let fee_leaves = FeeLeaves::new(&[LeafIndex(0)]).expect("one fee leaf");
    let mut block = BlockExecution::new(state, &tip(), &fee_leaves, false);
    for operation in operations {
        // A place may send twice across blocks; within one run of the stride it does not.
        block
            .push(&domain(), operation)
            .expect("benchmark transfers are valid");
    }
    block
}

/// All rows of this file.
#[must_use]
pub(crate) fn rows() -> Vec<Row> {
    let key = SecretKey::from_seed(&[3; 32]);
    let state = State::new(leaves(&key, 1 << LEAVES_LOG2));
    let operations = transfers(&key, 1 << LEAVES_LOG2, TRANSFERS);
    let rules = median_seconds(|| (), |()| execute(&state, &operations).finish());

    let blocks: Vec<&[Operation]> = operations
        .chunks(usize::try_from(BLOCK_TRANSFERS).expect("small"))
        .take(usize::try_from(BLOCKS).expect("small"))
        .collect();
    let execution = median_seconds(
        || state.clone(),
        |mut state| {
            for block in &blocks {
                let (changes, _) = execute(&state, block).finish().expect("no group is open");
                state.commit(&changes);
            }
            state.root()
        },
    );

    let claims: Vec<Claim> = (0..SIGNATURES)
        .map(|i| {
            let message = protocol::Fr::from(u64::try_from(i).expect("small"));
            (key.public(), message, key.sign(&message))
        })
        .collect();
    let batched = median_seconds(|| (), |()| assert!(verify_batch(&claims)));
    let single = median_seconds(
        || (),
        |()| {
            claims
                .iter()
                .take(64)
                .for_each(|(key, message, signature)| {
                    verify(key, message, signature).expect("benchmark signatures are valid");
                })
        },
    );
    let count = |value: usize| f64::from(u32::try_from(value).expect("small"));
    vec![
        Row::alone(
            "native_rules_per_second_per_core",
            "transfers/s",
            f64::from(TRANSFERS) / rules,
        ),
        Row::alone(
            "native_execution_root_per_block_2p20_leaves",
            "transfers/s",
            f64::from(BLOCKS * BLOCK_TRANSFERS) / execution,
        ),
        Row::beside(
            "signature_checks_batched_per_second",
            "checks/s",
            count(claims.len()) / batched,
            64.0 / single,
            "the same signatures one by one",
        ),
    ]
}
