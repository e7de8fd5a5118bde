//! The chunk circuit in lanes beside the naive one: the real transfers, again and again with fresh parties, scattered
//! over 1,048,576 leaves (`proving.md`, "Budgets"). Both prove the first transfers of the same sequence, each as many
//! as fill it; each in a child process of its own, so that peaks of memory are theirs.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use circuits::chunk::ChunkShape;
use circuits::lanes::LaneShape;
use protocol::{
    account::{L1Address, Leaf},
    batch::Pair,
    chunk::{ChunkLoad, ChunkSize},
    hash::keccak256,
    number::{Amount, Height, LeafIndex, Nonce, TokenId},
    signature::SecretKey,
    state::State,
    threaded::FeeLeaves,
    transaction::{Action, Domain, SignedTransaction, Transaction},
    transition::{Header, Operation},
    witness::{BatchTrace, ChunkWitness},
};
use serde::{Deserialize, Serialize};

use super::chunk::{BALANCE, FEE, Holder, Payment, payments};
use super::{Ready, peak_mb, peers};
use crate::report::{Row, median};

/// The argument that makes this program the child.
pub(crate) const CHILD: &str = "prove-lanes";
/// log2 of the rows of the circuit in lanes.
const K: u32 = 15;
/// Leaves that exist.
const LEAVES: u32 = 1 << 20;
/// Proofs of each circuit; the median counts.
const RUNS: usize = 3;

/// What the child writes to its stdout.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Proven {
    transfers: usize,
    leaves: usize,
    nodes: usize,
    seconds: Vec<f64>,
    peak_mb: f64,
    proof_bytes: usize,
}

/// A transfer between two places.
#[derive(Clone, Copy, Debug)]
struct Planned {
    from: u32,
    to: u32,
    payment: Payment,
}

/// Scatters consecutive numbers over the leaves: an odd factor is a bijection modulo a power of two.
fn scattered(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b1) % LEAVES
}

/// The first `count` transfers: each repetition of the list has parties of its own. Leaf 0 collects fees.
fn plan(count: usize) -> Vec<Planned> {
    let payments = payments();
    let mut places: BTreeMap<(usize, Holder), u32> = BTreeMap::new();
    (0..count)
        .map(|number| {
            let (round, payment) = (number / payments.len(), payments[number % payments.len()]);
            let mut place = |holder: Holder| {
                let next = u32::try_from(places.len() + 1).expect("fewer than leaves");
                *places.entry((round, holder)).or_insert(scattered(next))
            };
            Planned {
                from: place(payment.from),
                to: place(payment.to),
                payment,
            }
        })
        .collect()
}

fn key(place: u32) -> SecretKey {
    SecretKey::from_seed(&keccak256(&place.to_le_bytes()))
}

/// A full chunk of this size on a state of all leaves.
fn witness(size: ChunkSize) -> ChunkWitness {
    let plan = plan(2 * size.pairs);
    let balance = Amount::new(BALANCE).expect("below 2^120");
    let leaf =
        |key: &SecretKey, token| Leaf::new(key.public().into(), L1Address([1; 20]), token, balance);
    let nobody = SecretKey::from_seed(&[7; 32]);
    let mut leaves = vec![leaf(&nobody, TokenId(0)); LEAVES as usize];
    for transfer in &plan {
        let (_, token) = transfer.payment.from;
        leaves[transfer.from as usize] = leaf(&key(transfer.from), token);
        leaves[transfer.to as usize] = leaf(&key(transfer.to), token);
    }
    let domain = Domain::new(31_337, L1Address([0xee; 20]), [2; 32], 1);
    let mut trace = BatchTrace::with_chunks(size, domain, State::new(leaves), Height(0), 0);
    let mut header = Some(Header {
        height_delta: 1,
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]),
        bid: false,
    });
    let mut nonces: BTreeMap<u32, u64> = BTreeMap::new();
    let mut operation = |transfer: &Planned| {
        let nonce = nonces.entry(transfer.from).or_default();
        let has_fee = transfer.payment.from.1 == TokenId(0);
        let transaction = Transaction {
            from: LeafIndex(transfer.from),
            nonce: Nonce(*nonce),
            valid_until: Height(1_000),
            fee: Amount::new(if has_fee { FEE } else { 0 }).expect("small"),
            action: Action::Transfer {
                to: LeafIndex(transfer.to),
                amount: transfer.payment.amount,
            },
        };
        *nonce += 1;
        let secret = key(transfer.from);
        Operation::Signed {
            transaction: SignedTransaction {
                transaction,
                key: secret.public(),
                signature: secret.sign(&transaction.message(&domain, false)),
            },
            fee_leaf: 0,
            group: None,
        }
    };
    let full = plan.chunks_exact(2).find_map(|pair| {
        let pair = Pair {
            header: header.take(),
            slots: [operation(&pair[0]), operation(&pair[1])],
        };
        trace.push(&pair).expect("every payment is covered")
    });
    full.expect("so many pairs fill a chunk")
}

/// What a chunk uses.
fn used(chunk: &ChunkWitness) -> ChunkSize {
    let mut load = ChunkLoad::default();
    chunk.pairs.iter().for_each(|pair| load.take(pair));
    load.used()
}

/// What the child proves: a circuit's name, log2 of the rows of the one in lanes, and how often.
#[derive(Clone, Copy, Debug)]
struct Task {
    circuit: &'static str,
    k: u32,
    runs: usize,
}

const NAIVE: Task = Task {
    circuit: "naive",
    k: K,
    runs: 1,
};
const LANES: Task = Task {
    circuit: "lanes",
    k: K,
    runs: RUNS,
};
/// A smaller one, for workers with one thread.
const SMALL: Task = Task {
    circuit: "lanes",
    k: 13,
    runs: 1,
};

/// What the child does: proves with one of the circuits and writes JSON to stdout.
///
/// # Errors
/// If nobody reads.
pub(crate) fn child() -> std::io::Result<()> {
    let mut words = std::env::args().skip(2);
    let is_naive = words.next().as_deref() == Some(NAIVE.circuit);
    let mut number = |default: u32| {
        let word = words.next().and_then(|word| word.parse().ok());
        word.unwrap_or(default)
    };
    let shape = LaneShape::fullest(number(K));
    let runs = number(1);
    let size = if is_naive {
        ChunkSize {
            pairs: ChunkShape::FULLEST.pairs,
            ..ChunkSize::PROTOCOL
        }
    } else {
        shape.size()
    };
    let witness = witness(size);
    let used = used(&witness);
    let (mut seconds, mut proof_bytes) = (Vec::new(), 0);
    let ready = if is_naive {
        let shape = ChunkShape::FULLEST;
        Ready::load("naive", shape.k(), &shape.circuit())
    } else if shape == LaneShape::protocol() {
        Ready::chunk()
    } else {
        Ready::load("lanes", shape.k(), &shape.circuit())
    };
    for _ in 0..runs {
        let (proof, time) = if is_naive {
            ready.prove(|| ChunkShape::FULLEST.prove(&witness).expect("a true witness"))
        } else {
            ready.prove(|| shape.prove(&witness).expect("a true witness"))
        };
        seconds.push(time);
        proof_bytes = proof.len();
    }
    let proven = Proven {
        transfers: 2 * used.pairs,
        leaves: used.leaves,
        nodes: used.nodes,
        seconds,
        peak_mb: peak_mb(),
        proof_bytes,
    };
    serde_json::to_writer(std::io::stdout().lock(), &proven)?;
    Ok(())
}

/// Starts a child; `threads` of `None` are all of the machine's.
fn start(task: Task, threads: Option<usize>) -> Child {
    let program = std::env::current_exe().expect("a path to this program");
    let mut command = Command::new(program);
    command
        .args([CHILD, task.circuit])
        .args([task.k.to_string(), task.runs.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    if let Some(threads) = threads {
        command.env("RAYON_NUM_THREADS", threads.to_string());
    }
    command.spawn().expect("this program runs")
}

fn finished(child: Child) -> Proven {
    let output = child.wait_with_output().expect("the child ends");
    assert!(output.status.success(), "the proving child failed");
    serde_json::from_slice(&output.stdout).expect("the child's own JSON")
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn each(proven: &Proven) -> f64 {
    median(proven.seconds.clone()) * 1_000.0 / proven.transfers as f64
}

/// How much faster two workers of one thread prove two chunks than one worker.
fn two_workers_speedup() -> f64 {
    let seconds = |proven: Proven| median(proven.seconds);
    let alone = seconds(finished(start(SMALL, Some(1))));
    let both = [(); 2].map(|()| start(SMALL, Some(1)));
    let slower = both.map(|child| seconds(finished(child))).into_iter();
    2.0 * alone / slower.fold(0.0, f64::max)
}

/// Time of each transfer in our circuits and in the peers', and what the one in lanes needs.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) fn rows() -> Vec<Row> {
    let (naive, lanes) = (finished(start(NAIVE, None)), finished(start(LANES, None)));
    let ratio = lanes.leaves as f64 / lanes.transfers as f64;
    let peer = |name: &str, figure: Option<f64>, text: &str| {
        figure.map(|figure| Row::beside(name, "ms", each(&lanes), figure, text))
    };
    let circom = peer(
        "chunk_ms_per_transfer_vs_circom_groth16",
        peers::median_ms(
            "circom",
            "circom_groth16_proof_with_witness_ms_per_transfer",
        ),
        "circom, ark-groth16 (benches/peers)",
    );
    let narrow = peer(
        "chunk_ms_per_transfer_vs_narrow_halo2",
        peers::median_ms("narrow", "narrow_halo2_proof_with_witness_ms_per_transfer"),
        "38 rows a permutation, halo2-axiom (benches/peers)",
    );
    let own = vec![
        Row::beside(
            "chunk_ms_per_transfer_vs_naive_circuit",
            "ms",
            each(&lanes),
            each(&naive),
            "our naive circuit, one run",
        ),
        Row::alone("chunk_transfers", "transfers", lanes.transfers as f64),
        Row::alone("chunk_leaves_per_transfer", "leaves", ratio),
        Row::alone(
            "chunk_nodes_per_transfer",
            "nodes",
            lanes.nodes as f64 / lanes.transfers as f64,
        ),
        Row::beside(
            "chunk_peak_memory_mb",
            "MiB",
            lanes.peak_mb,
            naive.peak_mb,
            "our naive circuit",
        ),
        Row::alone("chunk_proof_bytes", "bytes", lanes.proof_bytes as f64),
        Row::alone("two_workers_speedup", "times", two_workers_speedup()),
    ];
    circom.into_iter().chain(narrow).chain(own).collect()
}
