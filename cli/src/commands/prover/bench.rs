//! `quorate prover bench`: how fast this machine proves, and what fits its memory.
//!
//! One chunk, full of transfers between two parties each that appear nowhere else in it, is proven a few times by the
//! prover that a worker has, its check of the proof included. What this does not do: talk to a queue, or measure
//! aggregation.

use std::path::PathBuf;
use std::time::Instant;

use api::jobs::JobKind;
use clap::Args;
use protocol::account::Leaf;
use protocol::batch::Pair;
use protocol::codec::to_bytes;
use protocol::number::{Amount, Height, LeafIndex, Nonce, TokenId};
use protocol::signature::SecretKey;
use protocol::state::State;
use protocol::threaded::FeeLeaves;
use protocol::transaction::{Action, Domain, SignedTransaction, Transaction};
use protocol::transition::{Header, Operation};
use protocol::witness::{BatchTrace, ChunkWitness};
use prover::progress::ignore_progress;
use prover::worker::JobProver;
use serde::Serialize;

use super::{CHUNK_MEMORY_MB, limit_threads, load, memory_mb};
use crate::config::{Sources, flag};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::{development, files, process};

/// Parties of the workload. A chunk of more than half as many transfers meets some of them again.
const PARTIES: u32 = 4_096;
/// What each party holds, in base units.
const BALANCE: u128 = 1 << 100;
/// Fee of a transfer, in base units.
const FEE: u128 = 1_000_000_000;

/// Arguments of `quorate prover bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Proofs to make; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Memory that workers may use, in MiB [default: what is available]
    #[arg(long, value_name = "MIB")]
    memory_mb: Option<u64>,
    /// Threads [default: all of the machine's]
    #[arg(long)]
    threads: Option<usize>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Prove under the INSECURE development string; it takes the same time
    #[arg(long)]
    dev: bool,
}

/// What was measured, and what fits.
#[derive(Debug, Serialize)]
struct Measured {
    /// Transfers in the chunk: its capacity.
    transactions: u64,
    threads: usize,
    /// Of each run, in order.
    seconds: Vec<f64>,
    /// The median run's.
    seconds_per_proof: f64,
    transactions_per_second: f64,
    /// The most memory this process has had, keys included.
    peak_memory_mb: Option<u64>,
    /// What workers may use.
    memory_mb: u64,
    /// Kinds of jobs that a single worker with all of this memory takes.
    kinds: Vec<JobKind>,
    /// Workers for chunks and data that fit beside each other.
    workers: u64,
}

impl Measured {
    fn describe(&self) -> String {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
        let kinds = match kinds.is_empty() {
            true => "none".to_owned(),
            false => kinds.join(", "),
        };
        let peak = self.peak_memory_mb;
        let peak = peak.map_or_else(|| "not known here".to_owned(), |mb| format!("{mb} MiB"));
        pairs(&[
            ("transactions in a chunk", self.transactions.to_string()),
            ("threads", self.threads.to_string()),
            ("proofs made", self.seconds.len().to_string()),
            (
                "seconds per proof",
                format!("{:.2} (median)", self.seconds_per_proof),
            ),
            (
                "transactions per second",
                format!("{:.2}", self.transactions_per_second),
            ),
            ("peak memory", peak),
            ("memory for workers", format!("{} MiB", self.memory_mb)),
            ("kinds that fit one worker", kinds),
            ("workers that fit", self.workers.to_string()),
        ])
    }
}

/// Runs the command.
///
/// # Errors
/// Why there are no keys, or `Bug` if an honest chunk cannot be proven.
pub(super) fn run(args: BenchArgs, sources: &Sources, output: Output) -> Outcome {
    let settings = sources
        .load([
            flag("prover.memory_mb", args.memory_mb),
            flag("prover.threads", args.threads),
            flag("prover.cache", args.cache),
        ])?
        .prover;
    // Before this process takes its own share.
    let available = process::available_memory_mb();
    let mib = settings.memory_mb.or(available).unwrap_or(CHUNK_MEMORY_MB);
    limit_threads(settings.threads)?;
    let cache = settings.cache.unwrap_or_else(files::cache);
    let prover = load(&cache, args.dev)?;
    let (witness, transactions) = full_chunk();
    let witness = to_bytes(&witness);
    let bar = output.progress(args.runs.into(), "proving");
    let mut seconds = Vec::new();
    for _ in 0..args.runs {
        let start = Instant::now();
        prover
            .prove(JobKind::Chunk, &witness, &ignore_progress)
            .map_err(|error| {
                let todo = "report it, with this program's version";
                CliError::new(Exit::Bug, "the chunk was not proven", error, todo)
            })?;
        seconds.push(start.elapsed().as_secs_f64());
        bar.inc(1);
    }
    bar.finish_and_clear();
    let peak_memory_mb = process::peak_memory_mb();
    let median = median(&seconds);
    let need = CHUNK_MEMORY_MB.max(peak_memory_mb.unwrap_or(0));
    let measured = Measured {
        transactions,
        threads: rayon::current_num_threads(),
        seconds_per_proof: median,
        #[expect(
            clippy::cast_precision_loss,
            reason = "a chunk holds thousands at most"
        )]
        transactions_per_second: transactions as f64 / median,
        seconds,
        peak_memory_mb,
        memory_mb: mib,
        kinds: JobKind::ALL
            .into_iter()
            .filter(|kind| mib >= memory_mb(*kind))
            .collect(),
        workers: mib / need,
    };
    output.data(&measured, Measured::describe);
    Ok(Exit::Success)
}

/// The middle value, or the upper of the two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn party(index: u32) -> SecretKey {
    development::key_of(&format!("QUORATE/cli/bench/party/{index}/v1")).secret
}

/// Transfers in order until a chunk is cut, and how many it holds.
fn full_chunk() -> (ChunkWitness, u64) {
    let leaf = |key: &SecretKey, balance| {
        let balance = Amount::new(balance).expect("below 2^120");
        let owner = protocol::account::L1Address([1; 20]);
        Leaf::new(key.public().into(), owner, TokenId(0), balance)
    };
    let keys: Vec<SecretKey> = (0..PARTIES).map(party).collect();
    let collector = leaf(&party(PARTIES), 0);
    let leaves = keys.iter().map(|key| leaf(key, BALANCE));
    let state = State::new(std::iter::once(collector).chain(leaves).collect());
    let genesis = development::genesis(development::validators(1), 0, [], 0);
    let domain = genesis.domain();
    let mut trace = BatchTrace::new(domain, state, Height(0), 0);
    let mut header = Some(Header {
        height_delta: 1,
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]),
        bid: false,
    });
    let mut transfers = (0_u32..).map(|number| transfer(&keys, &domain, number));
    let mut transfer = || transfers.next().expect("numbers do not end");
    loop {
        let pair = Pair {
            header: header.take(),
            slots: [transfer(), transfer()],
        };
        if let Some(chunk) = trace.push(&pair).expect("every transfer is covered") {
            return (chunk, trace.threaded().counts.signed_operations);
        }
    }
}

/// Transfer `number`: from the party of this number to the one half way round.
fn transfer(keys: &[SecretKey], domain: &Domain, number: u32) -> Operation {
    let place = number % PARTIES;
    let key = &keys[place as usize];
    let transaction = Transaction {
        from: LeafIndex(1 + place),
        nonce: Nonce(u64::from(number / PARTIES)),
        valid_until: Height(1_000),
        fee: Amount::new(FEE).expect("small"),
        action: Action::Transfer {
            to: LeafIndex(1 + (place + PARTIES / 2) % PARTIES),
            amount: Amount::new(1_000_000 + u128::from(number)).expect("small"),
        },
    };
    let signature = key.sign(&transaction.message(domain, false));
    Operation::Signed {
        transaction: SignedTransaction {
            transaction,
            key: key.public(),
            signature,
        },
        fee_leaf: 0,
        group: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_fills_a_chunk_with_two_parties_for_each_transfer() {
        let (chunk, transfers) = full_chunk();
        assert_eq!(usize::try_from(transfers), Ok(2 * chunk.pairs.len()));
        assert!(transfers < u64::from(PARTIES / 2), "nobody appears twice");
        let mut leaves: Vec<u32> = chunk
            .pairs
            .iter()
            .flat_map(|pair| &pair.slots)
            .flat_map(|slot| &slot.accesses[..2])
            .map(|access| access.access.index.0)
            .collect();
        leaves.sort_unstable();
        leaves.dedup();
        assert_eq!(u64::try_from(leaves.len()), Ok(2 * transfers));
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0]), 2.0);
    }
}
