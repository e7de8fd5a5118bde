//! EthereumJS on the bench: a real execution client, whose head, safe and finalized blocks are chosen over the
//! Engine API by the consensus client that this file plays, and the facts that such a chain shows.
//!
//! One process serves all tests of a run, one after the other, because it starts slowly: each test begins a new branch
//! on the genesis block, and after a test that fails the process is replaced. It ends with the test program, however
//! that ends (`process.rs`). A reorganisation is what it is on Ethereum: blocks of another branch are
//! delivered and executed, and one forkchoice moves the head from branch to branch.
//!
//! Not here: blobs, withdrawals, and consensus itself.

#[path = "ethereumjs/door.rs"]
mod door;
#[path = "ethereumjs/engine.rs"]
mod engine;
#[path = "ethereumjs/process.rs"]
mod process;

use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{B256, U256};
use async_trait::async_trait;
use jsonrpsee::core::ClientError;
use jsonrpsee::http_client::HttpClientBuilder;
use settlement::{
    BaseLayer, BlockAt, BlockMark, DEVELOPMENT_CHAIN_ID, EthereumClient, EthereumConfig,
    FollowEvent, Follower, FollowerError, LogFilter,
};
use tokio::sync::{Mutex, MutexGuard};

use crate::bench::{self, Bench, deploy, load, store};
use door::Door;
use engine::{Engine, Forkchoice, Payload, SLOT_SECONDS, Updated, VALID};
use process::Process;

/// How long an answer may take on a machine that is busy.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The process of this run, once a test has wanted it.
static SHARED: Mutex<Option<Running>> = Mutex::const_new(None);

struct Running {
    process: Process,
    /// Branches begun so far; each has a mark of its own.
    branches: u64,
}

pub(crate) struct EthereumJs {
    client: Arc<EthereumClient>,
    engine: Engine,
    chosen: Mutex<Chosen>,
    _door: Door,
    running: MutexGuard<'static, Option<Running>>,
}

/// What the consensus client has decided.
struct Chosen {
    choice: Forkchoice,
    /// Time of the head: the client does not show a block before it is chosen.
    time: u64,
    /// The payload that the client was told to begin on the head.
    payload: String,
    branches: u64,
}

impl EthereumJs {
    /// Takes the process, or starts it, and begins a chain.
    pub(crate) async fn start() -> Self {
        let mut running = SHARED.lock().await;
        if !running
            .as_mut()
            .is_some_and(|running| running.process.lives())
        {
            *running = None;
        }
        let held = running.get_or_insert_with(|| Running {
            process: Process::start(),
            branches: 0,
        });
        let url = held.process.url();
        let engine = Engine::new(url.clone(), held.process.secret());
        let branches = held.branches;
        let node = HttpClientBuilder::default()
            .request_timeout(TIMEOUT)
            .build(url);
        let door = Door::open(node.expect("a client")).await;
        let config = EthereumConfig {
            url: door.url(),
            chain_id: DEVELOPMENT_CHAIN_ID,
            timeout: TIMEOUT,
        };
        let client = EthereumClient::connect(&config).await.expect("it answers");
        let choice = Forkchoice {
            head: B256::ZERO,
            safe: B256::ZERO,
            finalized: B256::ZERO,
        };
        let chosen = Chosen {
            choice,
            time: 0,
            payload: String::new(),
            branches,
        };
        let bench = Self {
            client: Arc::new(client),
            engine,
            chosen: Mutex::new(chosen),
            _door: door,
            running,
        };
        bench.begin_again().await;
        bench
    }

    /// Begins another chain on the genesis block, with an empty block, and forgets what was final.
    async fn begin_again(&self) {
        let genesis = self.header(BlockAt::Number(0)).await.expect("genesis");
        let choice = Forkchoice {
            head: genesis.hash(),
            safe: B256::ZERO,
            finalized: B256::ZERO,
        };
        self.choose(choice, genesis.timestamp).await;
        self.mine().await;
    }

    /// A forkchoice that the client must accept; it also begins the next payload.
    async fn choose(&self, choice: Forkchoice, time: u64) {
        let answer = self.try_choose(choice, time).await;
        let answer = answer.expect("a valid forkchoice");
        assert_eq!(answer.payload_status.status, VALID, "{choice:?}");
        let mut chosen = self.chosen.lock().await;
        chosen.choice = choice;
        chosen.time = time;
        chosen.payload = answer.payload_id.expect("attributes begin a payload");
    }

    /// `time` is that of the head.
    async fn try_choose(&self, choice: Forkchoice, time: u64) -> Result<Updated, ClientError> {
        let mark = self.mark().await;
        let next = time + SLOT_SECONDS;
        self.engine.choose(choice, next, mark).await
    }

    /// A number that no branch has had.
    async fn mark(&self) -> B256 {
        let mut chosen = self.chosen.lock().await;
        chosen.branches += 1;
        B256::from(U256::from(chosen.branches))
    }

    async fn header(&self, at: BlockAt) -> Option<Sealed<Header>> {
        self.client.header(at).await.expect("it answers")
    }

    async fn number(&self, at: BlockAt) -> u64 {
        self.header(at).await.expect("there is one").number
    }

    /// Delivers `count` empty blocks of a new branch on a block, which the client executes; the last of them.
    async fn branch(&self, from: Sealed<Header>, count: u64) -> Sealed<Header> {
        let mark = self.mark().await;
        let mut tip = from;
        for _ in 0..count {
            let (payload, header) = Payload::empty(&tip, mark);
            let verdict = self.engine.deliver(&payload).await.expect("it answers");
            assert_eq!(verdict.status, VALID, "block {}", header.number);
            tip = header;
        }
        tip
    }

    /// Says which blocks are safe and finalized, by height, and leaves the head where it is.
    async fn settle(&self, safe: u64, finalized: u64) {
        let hash = async |number| {
            self.header(BlockAt::Number(number))
                .await
                .expect("below the head")
                .hash()
        };
        let (mut choice, time) = self.chosen().await;
        choice.safe = hash(safe).await;
        choice.finalized = hash(finalized).await;
        self.choose(choice, time).await;
    }

    /// The forkchoice, and the head's time.
    async fn chosen(&self) -> (Forkchoice, u64) {
        let chosen = self.chosen.lock().await;
        (chosen.choice, chosen.time)
    }
}

impl Drop for EthereumJs {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Whatever the test has left in its pool would be another test's.
            *self.running = None;
        } else if let Some(running) = self.running.as_mut() {
            running.branches = self.chosen.get_mut().branches;
        }
    }
}

#[async_trait]
impl Bench for EthereumJs {
    fn layer(&self) -> &dyn BaseLayer {
        &*self.client
    }

    async fn mine(&self) {
        let (id, mut choice) = {
            let chosen = self.chosen.lock().await;
            (chosen.payload.clone(), chosen.choice)
        };
        let payload = self.engine.payload(&id).await.expect("it was begun");
        let verdict = self.engine.deliver(&payload).await.expect("it answers");
        assert_eq!(verdict.status, VALID, "its own block");
        choice.head = payload.hash();
        self.choose(choice, payload.time()).await;
    }

    async fn reorg(&self, depth: u64) {
        let head = bench::head(self).await;
        let fork = self.header(BlockAt::Number(head.number - depth)).await;
        let tip = self.branch(fork.expect("below the head"), depth).await;
        let (mut choice, _) = self.chosen().await;
        choice.head = tip.hash();
        self.choose(choice, tip.timestamp).await;
    }
}

async fn mined(blocks: u64) -> EthereumJs {
    let bench = EthereumJs::start().await;
    for _ in 1..blocks {
        bench.mine().await;
    }
    assert_eq!(bench.number(BlockAt::Latest).await, blocks);
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn safe_and_finalized_are_what_the_consensus_client_says() {
    let bench = mined(10).await;
    bench.settle(8, 4).await;
    for (at, number) in [(BlockAt::Safe, 8), (BlockAt::Finalized, 4)] {
        let named = bench.header(at).await.expect("it was named");
        let there = bench.header(BlockAt::Number(number)).await.expect("mined");
        assert_eq!(named, there);
    }
    // Finality stalls: the head goes on alone.
    for _ in 0..5 {
        bench.mine().await;
    }
    assert_eq!(bench.number(BlockAt::Latest).await, 15);
    assert_eq!(bench.number(BlockAt::Safe).await, 8);
    assert_eq!(bench.number(BlockAt::Finalized).await, 4);
    // And catches up at once.
    bench.settle(15, 14).await;
    assert_eq!(bench.number(BlockAt::Safe).await, 15);
    assert_eq!(bench.number(BlockAt::Finalized).await, 14);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_reorganisation_down_to_the_finalized_block_leaves_it_and_all_below() {
    let bench = EthereumJs::start().await;
    let probe = deploy(&bench, 0).await;
    let kept = store(&bench, 0, probe, 1, 7).await;
    let undone = store(&bench, 0, probe, 1, 8).await;
    bench.mine().await;
    bench.settle(kept.block_number, kept.block_number).await;
    bench.reorg(2).await;
    let finalized = bench.header(BlockAt::Finalized).await.expect("named");
    assert_eq!(finalized.hash(), kept.block);
    let receipt = async |hash| bench.layer().receipt(hash).await.expect("answers");
    assert_eq!(receipt(kept.transaction).await, Some(kept));
    assert_eq!(receipt(undone.transaction).await, None);
    let head = bench::head(&bench).await;
    assert_eq!(load(&bench, head.hash(), probe, 1).await, U256::from(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_branch_without_the_finalized_block_cannot_be_chosen_with_it() {
    let bench = mined(10).await;
    let fork = bench.header(BlockAt::Number(4)).await.expect("mined");
    let tip = bench.branch(fork, 8).await;
    bench.settle(6, 6).await;
    let head = bench.header(BlockAt::Latest).await;
    let (mut choice, _) = bench.chosen().await;
    choice.head = tip.hash();
    let answer = bench.try_choose(choice, tip.timestamp).await;
    assert!(
        !answer
            .as_ref()
            .is_ok_and(|answer| answer.payload_status.status == VALID),
        "{answer:?}"
    );
    assert_eq!(bench.header(BlockAt::Latest).await, head);
    assert_eq!(bench.number(BlockAt::Finalized).await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_engine_answers_nobody_without_the_secret() {
    let bench = EthereumJs::start().await;
    let url = bench.running.as_ref().expect("it runs").process.url();
    let stranger = Engine::new(url, B256::repeat_byte(7));
    let (choice, _) = bench.chosen().await;
    let refused = stranger.choose(choice, u64::MAX, B256::ZERO).await;
    let words = refused.expect_err("no token, no answer").to_string();
    assert!(words.contains("401"), "{words}");
}

/// What a follower says until it has nothing more to say: heights, and how many logs.
async fn follow(follower: &mut Follower) -> Vec<(&'static str, u64, usize)> {
    let mut said = Vec::new();
    while let Some(event) = follower.next().await.expect("nothing is wrong") {
        said.push(match event {
            FollowEvent::Applied { block, logs } => ("applied", block.number, logs.len()),
            FollowEvent::Undone { block } => ("undone", block.number, 0),
            FollowEvent::Safe { block } => ("safe", block.number, 0),
            FollowEvent::Finalized { block } => ("finalized", block.number, 0),
        });
    }
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_follower_undoes_what_was_reorganised_and_halts_when_finality_is_broken() {
    let bench = EthereumJs::start().await;
    let genesis = bench.header(BlockAt::Number(0)).await.expect("genesis");
    let layer: Arc<dyn BaseLayer> = bench.client.clone();
    let start = BlockMark::from(&genesis);
    let mut follower = Follower::new(layer, LogFilter::default(), start, Vec::new());
    let probe = deploy(&bench, 0).await;
    for slot in 0..3 {
        store(&bench, 0, probe, slot, 7).await;
    }
    let applied = [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1)].map(|(at, logs)| ("applied", at, logs));
    assert_eq!(follow(&mut follower).await, applied);

    bench.settle(4, 3).await;
    let pointers = follow(&mut follower).await;
    assert!(pointers.contains(&("safe", 4, 0)), "{pointers:?}");
    assert!(pointers.contains(&("finalized", 3, 0)), "{pointers:?}");

    bench.settle(3, 3).await;
    bench.reorg(2).await;
    let moved = follow(&mut follower).await;
    let expected = [("undone", 5), ("undone", 4), ("applied", 4), ("applied", 5)];
    assert_eq!(moved, expected.map(|(what, at)| (what, at, 0)));

    // The consensus breaks its word: another chain, whose block 3 is final.
    bench.begin_again().await;
    for _ in 1..6 {
        bench.mine().await;
    }
    bench.settle(3, 3).await;
    let mut undone = Vec::new();
    let halted = loop {
        match follower.next().await {
            Ok(Some(FollowEvent::Undone { block })) => undone.push(block.number),
            Ok(event) => panic!("{event:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(undone, [5, 4], "what is final stays");
    assert!(
        matches!(halted, FollowerError::FinalizedReplaced { number: 3, .. }),
        "{halted}"
    );
}
