//! The campaign: lives of one node on one directory, each ended by a kill, each checked by the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::jobs::{JobId, JobKind, JobQueue, RemoteQueue, Submitted, WorkerInfo};
use api::ledger::BatchJson;
use api::rpc::QuorateClient;
use api::status::{Stage, TransactionStatus};
use api::text::HashText;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::BatchRequestBuilder;
use jsonrpsee::http_client::HttpClient;
use jsonrpsee::rpc_params;
use nix::sys::signal::Signal;
use prover::Prover;
use prover::progress::ignore_progress;
use prover::srs::StringKind;
use prover::worker::JobProver;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;

use crate::client::{Driver, FUNDING, settle};
use crate::node::{Chain, Node};

/// Senders; each signs for two leaves.
const DRIVERS: u32 = 4;
/// Funded leaves.
const FUNDED: u32 = 2 * DRIVERS;
/// Longest life under load.
const LIFE_MS_MAX: u64 = 200;
/// Age of the open batch from which a failpoint at its sealing is the next life.
const SEAL_SOON_MS: u64 = 8_000;
/// Longest wait for an armed failpoint, or for the last operations.
const PATIENCE: Duration = Duration::from_secs(60);
/// One in so many of the operations that have come to their end is asked for again in each life; all in the end.
const STRIDE: usize = 50;
/// Requests in one call; the node's limit.
const IDS_PER_CALL: usize = 100;

/// How a life ends.
#[derive(Clone, Copy, Debug)]
enum Life {
    /// SIGKILL so long after the process started, ready or not.
    KilledEarly(u64),
    /// SIGKILL so long after the load began.
    Killed(u64),
    /// By its own hand, at the n-th pass of a point in a write path.
    Point(&'static str, u32),
}

/// A valid proof of a data job, which any life accepts.
struct Proven {
    job: JobId,
    token: u64,
    bytes: Vec<u8>,
}

/// Everything that outlives the node.
pub(crate) struct Campaign {
    chain: Chain,
    runtime: tokio::runtime::Runtime,
    rng: StdRng,
    drivers: Vec<Driver>,
    /// Ends inside write paths that wait for their moment.
    seals: Vec<Life>,
    proofs: Vec<Life>,
    proving: Option<Receiver<Proven>>,
    proven: Option<Proven>,
    /// The proof was on disk when the node died.
    is_proof_stored: bool,
    starts: Vec<Duration>,
    points: BTreeMap<&'static str, u32>,
    kills: u64,
    sealed: u64,
}

/// What was measured.
pub(crate) struct Figures {
    kills: u64,
    points: BTreeMap<&'static str, u32>,
    starts: Vec<Duration>,
    operations: usize,
    failed: usize,
    unanswered: usize,
    batches: u64,
    elapsed: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |place: usize| self.starts.get(place).map_or(0, Duration::as_millis);
        write!(
            f,
            "{} kills, {} at failpoints {:?}; {} operations acknowledged ({} replaced), {} requests without answer; \
             {} batches sealed; restart to serving: median {} ms, longest {} ms; {:.1} s",
            self.kills,
            self.points.values().sum::<u32>(),
            self.points,
            self.operations,
            self.failed,
            self.unanswered,
            self.batches,
            milliseconds(self.starts.len() / 2),
            milliseconds(self.starts.len().saturating_sub(1)),
            self.elapsed.as_secs_f64(),
        )
    }
}

/// Directory of reference strings and keys, by the rule of the program.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("QUORATE_CACHE").map_or_else(
        || std::env::home_dir().expect("a home").join(".cache/quorate"),
        PathBuf::from,
    )
}

fn point(name: &str) -> &'static str {
    let mut points = sequencer::FAILPOINTS.iter();
    points.find(|point| **point == name).expect("a failpoint")
}

impl Campaign {
    pub(crate) fn new(seed: u64) -> Self {
        let chain = Chain::new(FUNDED, &[("block_interval_ms", 25)]);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let node = chain.start();
        let info = runtime.block_on(node.client().chain()).expect("the chain");
        let domain = protocol::transaction::Domain(info.domain.parse().expect("a field element"));
        node.stop();
        let once = |name| Life::Point(point(name), 1);
        Self {
            drivers: (0..DRIVERS)
                .map(|index| Driver::new(seed, index, FUNDED, domain))
                .collect(),
            chain,
            runtime,
            rng: StdRng::seed_from_u64(seed),
            seals: ["batch.before_seal", "batch.after_seal"]
                .map(once)
                .repeat(2),
            proofs: vec![
                once("proof.after_write"), // the last one
                once("proof.before_write"),
                once("proof.before_write"),
                once("proof.before_write"),
            ],
            proving: None,
            proven: None,
            is_proof_stored: false,
            starts: Vec::new(),
            points: BTreeMap::new(),
            kills: 0,
            sealed: 0,
        }
    }

    /// Lives that can come at any time, in a random order.
    fn plan(&mut self, kills: u64) -> Vec<Life> {
        let names = [
            "admission.before_write",
            "admission.after_write",
            "block.before_write",
            "block.after_write",
        ];
        let mut plan: Vec<Life> = names
            .map(point)
            .repeat(3)
            .into_iter()
            .map(|name| Life::Point(name, self.rng.gen_range(1..=12)))
            .collect();
        for kill in 0..kills {
            let moment = self.rng.gen_range(0..LIFE_MS_MAX);
            let is_early = kill % 10 == 9;
            plan.push(if is_early {
                Life::KilledEarly(moment)
            } else {
                Life::Killed(moment)
            });
        }
        plan.shuffle(&mut self.rng);
        plan
    }

    /// Kills the node as often as asked and at every failpoint; checks after each restart and in the end.
    pub(crate) fn run(mut self, kills: u64) -> Figures {
        let started = Instant::now();
        let mut plan = self.plan(kills);
        let mut is_seal_near = false;
        loop {
            if let Some(proving) = &self.proving
                && let Ok(proven) = proving.try_recv()
            {
                self.proven = Some(proven);
            }
            let is_proof_ready = self.proven.is_some();
            let life = if is_seal_near && !self.seals.is_empty() {
                self.seals.pop()
            } else if is_proof_ready && !self.proofs.is_empty() {
                self.proofs.pop()
            } else if let Some(life) = plan.pop() {
                Some(life)
            } else if !self.seals.is_empty() {
                self.seals.pop()
            } else if self.proofs.is_empty() {
                None
            } else if let Some(proving) = &self.proving {
                let proven = proving.recv_timeout(Duration::from_secs(300));
                self.proven = Some(proven.expect("a proof of a data job"));
                self.proofs.pop()
            } else {
                Some(Life::Killed(LIFE_MS_MAX)) // a life that starts the proof
            };
            let Some(life) = life else { break };
            is_seal_near = self.live(life);
        }
        self.finish(started)
    }

    /// One life; whether a batch is about to be sealed.
    fn live(&mut self, life: Life) -> bool {
        let armed = match life {
            Life::Point(name, pass) => Some(format!("{name}:{pass}")),
            Life::Killed(_) | Life::KilledEarly(_) => None,
        };
        let mut process = self.chain.spawn(armed.as_deref());
        if let Life::KilledEarly(moment) = life {
            std::thread::sleep(Duration::from_millis(moment));
            process.kill();
            self.kills += 1;
            return false;
        }
        let Some((mut node, start)) = process.serving() else {
            // Going on where it died, the batcher may seal before anything else happens.
            let log = self.chain.log();
            let Life::Point(name, _) = life else {
                panic!("{life:?}: no start: {log}")
            };
            assert!(log.contains("FAILPOINT: aborting"), "{life:?}: {log}");
            *self.points.entry(name).or_default() += 1;
            return false;
        };
        self.starts.push(start);
        let client = node.client();
        let asked = self
            .check(&client, STRIDE)
            .and_then(|_| self.check_batches(&client));
        let batch = match (asked, life) {
            (Ok(batch), _) => batch,
            // Blocks and seals pass their points without any load, also while the node is being asked.
            (Err(_), Life::Point(name, _)) => {
                self.expect_abort(&mut node, name);
                return false;
            }
            (Err(error), _) => panic!("{life:?}: {error}"),
        };
        if self.sealed > 0 && self.proving.is_none() && armed.is_none() {
            self.start_proving(&node);
        }
        let stop = CancellationToken::new();
        let drivers: Vec<_> = std::mem::take(&mut self.drivers)
            .into_iter()
            .map(|driver| self.runtime.spawn(driver.run(client.clone(), stop.clone())))
            .collect();
        match life {
            Life::Point(name, _) => {
                if name.starts_with("proof.") {
                    self.submit(&node, name);
                }
                self.expect_abort(&mut node, name);
            }
            Life::Killed(moment) | Life::KilledEarly(moment) => {
                std::thread::sleep(Duration::from_millis(moment));
                node.process.kill();
                self.kills += 1;
            }
        }
        stop.cancel();
        let log = self.chain.log();
        assert!(!log.contains("panicked"), "{life:?}: {log}");
        self.join(drivers);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        let now_ms = u64::try_from(now.as_millis()).expect("a time");
        batch
            .opened_ms
            .is_some_and(|opened| opened + SEAL_SOON_MS < now_ms)
    }

    /// The node must end by its own hand, at this point.
    fn expect_abort(&mut self, node: &mut Node, name: &'static str) {
        let status = node.process.wait(PATIENCE);
        let log = self.chain.log();
        let status = status.unwrap_or_else(|| panic!("{name} was never passed: {log}"));
        assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{log}");
        assert!(log.contains("FAILPOINT: aborting"), "{name}: {log}");
        *self.points.entry(name).or_default() += 1;
    }

    fn join(&mut self, drivers: Vec<tokio::task::JoinHandle<Driver>>) {
        for driver in drivers {
            let ended = self.runtime.block_on(driver);
            self.drivers.push(ended.expect("a driver does not panic"));
        }
    }

    /// Asks the node for what had no answer and for everything acknowledged that has not come to its end, with one in
    /// `stride` of all the rest; returns how many are pending.
    fn check(&mut self, client: &HttpClient, stride: usize) -> Result<usize, ClientError> {
        let mut pending = 0;
        let first = self.rng.gen_range(0..stride);
        for driver in &mut self.drivers {
            let unsure = driver.unsure();
            let known: Vec<bool> = self
                .runtime
                .block_on(statuses(client, &unsure))?
                .iter()
                .map(|status| status.stage != Stage::UnknownHere)
                .collect();
            driver.settle(&known);
            let mut asked: Vec<_> = driver
                .acknowledged
                .iter_mut()
                .enumerate()
                .filter(|(place, operation)| !operation.has_ended() || place % stride == first)
                .map(|(_, operation)| operation)
                .collect();
            let ids: Vec<_> = asked.iter().map(|operation| operation.id.clone()).collect();
            let statuses = self.runtime.block_on(statuses(client, &ids))?;
            for (operation, status) in asked.iter_mut().zip(&statuses) {
                operation.learn(status);
                pending += usize::from(status.stage == Stage::Pending);
            }
        }
        Ok(pending)
    }

    /// Checks that no sealed batch and no stored proof is gone; returns the open batch.
    fn check_batches(&mut self, client: &HttpClient) -> Result<BatchJson, ClientError> {
        let open = self.runtime.block_on(client.batch(None))?;
        let sealed = open.number - 1;
        assert!(sealed >= self.sealed, "a sealed batch is gone");
        self.sealed = sealed;
        if sealed > 0 && self.is_proof_stored {
            let first = self.runtime.block_on(client.batch(Some(1)))?;
            let data = first.jobs.iter().find(|job| job.kind == JobKind::Data);
            assert!(data.is_some_and(|job| job.proven_ms.is_some()), "{first:?}");
        }
        Ok(open)
    }

    /// Proves the data job of the first batch, for real, while the kills go on: a node takes a proof whenever it comes.
    fn start_proving(&mut self, node: &Node) {
        let queue = RemoteQueue::new(&node.jobs).expect("a URL");
        let worker = WorkerInfo {
            name: "campaign".into(),
            memory_mb: 1 << 16,
            kinds: vec![JobKind::Data],
        };
        let lease = self.runtime.block_on(queue.lease(&worker));
        let lease = lease.expect("a queue").expect("a data job");
        let (sender, receiver) = sync_channel(1);
        std::thread::spawn(move || {
            let prover = Prover::load(&cache(), StringKind::InsecureDevelopment).expect("keys");
            let proof = prover.prove(lease.kind, &lease.witness, &ignore_progress);
            let proven = Proven {
                job: lease.job,
                token: lease.token,
                bytes: proof.expect("a proof"),
            };
            let _ = sender.send(proven); // the test may have failed
        });
        self.proving = Some(receiver);
    }

    /// Hands the proof in; the node dies of it.
    fn submit(&mut self, node: &Node, name: &str) {
        let proven = self.proven.as_ref().expect("a proof");
        let queue = RemoteQueue::new(&node.jobs).expect("a URL");
        let answer =
            self.runtime
                .block_on(queue.submit(proven.job, proven.token, proven.bytes.clone()));
        assert!(answer.is_err(), "{name} was not passed: {answer:?}");
        self.is_proof_stored = name == "proof.after_write";
    }

    fn finish(mut self, started: Instant) -> Figures {
        let node = self.chain.start();
        let client = node.client();
        // Each sender tries once more what had no answer; then nobody writes, and everything must come to its end.
        self.check(&client, STRIDE).expect("the node answers");
        let stop = CancellationToken::new();
        stop.cancel();
        let drivers: Vec<_> = std::mem::take(&mut self.drivers)
            .into_iter()
            .map(|driver| self.runtime.spawn(driver.run(client.clone(), stop.clone())))
            .collect();
        self.join(drivers);
        let until = Instant::now() + PATIENCE;
        while self.check(&client, 1).expect("the node answers") > 0 {
            assert!(
                Instant::now() < until,
                "operations stay pending: {}",
                self.chain.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        self.check_arithmetic(&client);
        self.check_chain_of_batches(&client);
        if let Some(proven) = &self.proven {
            let queue = RemoteQueue::new(&node.jobs).expect("a URL");
            let again = queue.submit(proven.job, proven.token, proven.bytes.clone());
            assert_eq!(self.runtime.block_on(again), Ok(Submitted::Duplicate));
        }
        node.stop();
        for name in sequencer::FAILPOINTS {
            assert!(self.points.contains_key(name), "{name} killed nobody");
        }
        assert_eq!(self.points.values().sum::<u32>(), 20);
        self.starts.sort_unstable();
        let all = || self.drivers.iter().flat_map(|driver| &driver.acknowledged);
        Figures {
            kills: self.kills,
            operations: all().count(),
            failed: all().filter(|operation| operation.failed).count(),
            unanswered: self.drivers.iter().map(|driver| driver.unanswered).sum(),
            points: self.points,
            starts: self.starts,
            batches: self.sealed,
            elapsed: started.elapsed(),
        }
    }

    /// Every leaf holds what plain arithmetic says, and no money was made or lost.
    fn check_arithmetic(&self, client: &HttpClient) {
        let expected = settle(&self.drivers, FUNDED);
        let nonces: BTreeMap<u32, u64> = self.drivers.iter().flat_map(Driver::nonces).collect();
        let count = self
            .runtime
            .block_on(client.status())
            .expect("a status")
            .leaf_count;
        let genesis = usize::try_from(FUNDED + 1).expect("a count");
        assert_eq!(
            usize::try_from(count).expect("a count"),
            genesis + expected.made.len()
        );
        let mut total = 0;
        for index in 0..u32::try_from(count).expect("a count") {
            let answer = self.runtime.block_on(client.leaf(index)).expect("a leaf");
            let leaf = answer.verify().expect("a Merkle proof");
            total += leaf.balance.get();
            if let Some(balance) = expected.balances.get(&index) {
                assert_eq!(leaf.balance.get(), *balance, "leaf {index}");
                let nonce = nonces.get(&index).copied().unwrap_or(0);
                assert_eq!(leaf.nonce.0, nonce, "leaf {index}");
            }
        }
        for ((payer, owner), amount) in &expected.made {
            let key = self.drivers.iter().find_map(|driver| driver.key(*payer));
            let page = client.leaves_of_owner(key.expect("a key"), (*owner).into(), None, None);
            let page = self.runtime.block_on(page).expect("a page");
            let held: Vec<_> = page
                .entries
                .iter()
                .map(|leaf| leaf.balance.0.clone())
                .collect();
            assert_eq!(held, [amount.to_string()], "made by {payer} for {owner:?}");
        }
        assert_eq!(total + expected.burned, FUNDING * u128::from(FUNDED));
    }

    /// Batches cover the heights without gap, and no job is in two of them.
    fn check_chain_of_batches(&self, client: &HttpClient) {
        let (mut next, mut root, mut jobs) = (1, None, BTreeSet::new());
        for number in 1..=self.sealed {
            let batch = self.runtime.block_on(client.batch(Some(number)));
            let batch = batch.expect("a sealed batch");
            assert_eq!(batch.first_height, next, "{batch:?}");
            assert!(
                root.is_none() || root == Some(batch.root_before.clone()),
                "{batch:?}"
            );
            next = batch.last_height.expect("a sealed batch ends") + 1;
            assert!(batch.jobs.len() >= 2, "{batch:?}");
            root = batch.root_after;
            for job in batch.jobs {
                assert!(jobs.insert(job.id.clone()), "twice: {job:?}");
            }
        }
    }
}

/// What the node says of these operations, in order.
async fn statuses(
    client: &HttpClient,
    ids: &[HashText],
) -> Result<Vec<TransactionStatus>, ClientError> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS_PER_CALL) {
        let mut calls = BatchRequestBuilder::new();
        for id in ids {
            let method = "quorate_transactionStatus";
            calls
                .insert(method, rpc_params![id])
                .expect("an id is JSON");
        }
        let answers = client.batch_request::<TransactionStatus>(calls).await?;
        found.extend(answers.into_iter().map(|answer| answer.expect("a status")));
    }
    Ok(found)
}
