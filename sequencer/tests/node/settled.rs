//! A chain that no node runs: its batches are made by `protocol`, signed by the set's keys, and settled on a stage whose verifier
//! takes every proof.

use alloy_primitives::{Address, Bytes, U256};
use protocol::{
    block::{Block, Entry},
    checkpoint::{BatchCommitment, Checkpoint},
    genesis::Genesis,
    inbox::InboxRequest,
    number::{BatchNumber, Height},
    testing::{TracedBatch, World, trace_batch},
    transaction::{SignedTransaction, Submission, Transaction},
    validator::ValidatorKey,
};
use settlement::{
    BaseLayer, BlockAt, LogFilter,
    bindings::{Events, commit_batch, event, prove_batch},
    deploy::DeploymentFile,
};

use crate::{
    setup::key,
    stage::{Stage, owner_account},
};

/// The development account that settles.
const SETTLER: usize = 4;

/// The chain and where it settles.
pub(crate) struct Settled {
    pub(crate) stage: Stage,
    pub(crate) world: World,
    /// Items that are enqueued.
    items: Vec<InboxRequest>,
    batches: u64,
    /// Height of the last published block.
    pub(crate) published: Height,
}

impl Settled {
    pub(crate) async fn start(genesis: Genesis, mut keys: Vec<ValidatorKey>) -> Self {
        keys.sort_by_key(ValidatorKey::address);
        let world = World {
            validators: keys,
            domain: genesis.domain(),
            state: genesis.state(),
            tip: genesis.tip(),
            genesis,
            ..World::new(Vec::new(), 1)
        };
        Self {
            stage: Stage::deployed(&world.genesis).await,
            published: world.tip.height,
            world,
            items: Vec::new(),
            batches: 0,
        }
    }

    pub(crate) fn deployment_file(&self) -> DeploymentFile {
        DeploymentFile::new(self.world.genesis.chain_id, 1, &self.stage.deployment)
    }

    /// Enqueues an item by a development account.
    pub(crate) async fn enqueue(&mut self, from: usize, request: InboxRequest) {
        self.stage.enqueue(from, &request).await;
        // the Inbox notes who sent it
        let owner = owner_account(from);
        self.items.push(InboxRequest { owner, ..request });
    }

    fn entry(&self, transaction: Transaction) -> Entry {
        let key = key(u8::try_from(transaction.from.0).unwrap());
        let signature = key.sign(&transaction.message(&self.world.domain, false));
        Entry::Submission {
            submission: Submission::Single(SignedTransaction {
                transaction,
                key: key.public(),
                signature,
            }),
            fee_leaves: vec![0],
        }
    }

    /// A batch of three blocks: the first holds all items that wait, the second nothing, the third these transactions.
    /// It is committed and proven.
    pub(crate) async fn batch(&mut self, transactions: Vec<Transaction>) {
        let (state, consumed) = (self.world.state.clone(), self.world.tip.inbox_count);
        let start = usize::try_from(consumed).unwrap();
        let items = self.items[start..].iter().map(InboxRequest::to_item);
        let items = items.collect();
        let entries: Vec<_> = transactions
            .into_iter()
            .map(|one| self.entry(one))
            .collect();
        let mut blocks: Vec<Block> = Vec::new();
        for (items, entries) in [
            (items, Vec::new()),
            Default::default(),
            (Vec::new(), entries),
        ] {
            let block = self.world.plain_block(items, entries);
            self.world.apply(&block);
            blocks.push(block);
        }
        let before = (state, self.published, consumed);
        let TracedBatch { finished, .. } = trace_batch(self.world.domain, before, &blocks).unwrap();
        self.batches += 1;
        self.published = finished.end.height;
        let (number, last) = (BatchNumber(self.batches), &blocks[2].header);
        let ends = (&finished.start, &finished.end);
        let commitment = BatchCommitment::new(number, ends, &finished.words, last, 0);
        let domain = &self.world.domain;
        let keys = self.world.validators.iter();
        let signed: Vec<_> = keys
            .map(|key| commitment.clone().sign(domain, key))
            .collect();
        let checkpoint = Checkpoint::assemble(commitment, &signed);
        let set = &self.world.genesis.validators;
        let input = commit_batch(&checkpoint, &finished.words, set).unwrap();
        self.send(input).await;
        self.prove(self.batches).await;
    }

    async fn send(&self, input: Bytes) {
        let rollup = self.stage.deployment.rollup;
        let receipt = self
            .stage
            .transact(SETTLER, rollup, U256::ZERO, input)
            .await;
        assert!(receipt.succeeded, "the Rollup refuses it");
    }

    /// Proves a batch that was committed; no verifier looks at the proof.
    pub(crate) async fn prove(&self, batch: u64) {
        let (chain, mut number) = (&self.stage.chain, self.stage.head().await.number);
        let stored = loop {
            let header = chain.header(BlockAt::Number(number)).await.unwrap();
            let block = header.expect("a batch is committed").hash();
            let logs = chain.logs(block, &LogFilter::default()).await.unwrap();
            let mut read = logs
                .iter()
                .map(|log| event::<Events::BatchCommitted>(log).unwrap());
            let is_it = |found: &Events::BatchCommitted| found.batchNumber == batch;
            if let Some(found) = read.find_map(|found| found.filter(is_it)) {
                break found.batch;
            }
            number -= 1;
        };
        let prover = Address::repeat_byte(0x77);
        self.send(prove_batch(&stored, prover, &Bytes::new())).await;
    }
}
