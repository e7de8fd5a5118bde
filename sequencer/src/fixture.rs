//! A small chain for the tests of this crate: five leaves, no network, blocks on demand.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use api::{
    ApiError,
    jobs::{ACCUMULATOR_LIMBS, AggregationWitness, Circuit, JobKind, Lease, StatedProof},
};
use protocol::{
    Fr,
    account::{L1Address, Leaf},
    block::Block,
    certificate::{ExtendedCertificate, ExtendedSignature},
    checkpoint::{BatchCommitment, Checkpoint},
    chunk::ChunkSize,
    codec::{field_to_le_bytes, from_bytes},
    genesis::Genesis,
    hash::keccak256,
    number::{Amount, BatchNumber, Height, LeafIndex, Nonce, Round, TokenId},
    params::BATCH_AGE_MS_MAX,
    signature::SecretKey,
    threaded::FeeLeaves,
    transaction::{
        Action, Bid, Domain, ListHash, SignedBid, SignedTransaction, Submission, Transaction,
        TransactionId, group_hash,
    },
    validator::{Validator, ValidatorKey, ValidatorSet},
    validity::Verdict,
    vote::{Extension, Step, Vote},
    witness::{ChunkWitness, DataWitness},
};
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};

use crate::{
    batcher::Batcher,
    chain::{Chain, ChainConstants},
    config::{JobsConfig, MempoolConfig, Mode},
    events::Events,
    executor::{Decided, Executor, Judged},
    mempool::{Admission, AdmissionRequest, Entry, Mempool, Origin},
    proving::{ProofVerifier, RocksQueue},
    relay::Outlet,
    sets::{GenesisSet, SetSource, SetsError},
    soft::SoftRules,
    storage::{CheckpointRecord, StorageError, Store},
};

/// Stands where the circuits' verifier stands: the one valid proof is the hash of the public inputs.
#[derive(Clone, Copy, Default)]
pub(crate) struct HashVerifier {
    /// Whether batches are aggregated.
    pub(crate) is_aggregating: bool,
}

/// The proof that [`HashVerifier`] accepts.
fn hash_proof(instances: &[[u8; 32]]) -> Vec<u8> {
    keccak256(&instances.concat()).to_vec()
}

/// The same, from a lease's witness alone.
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

/// Chunks of batches in tests: a small part of the protocol's, so that a batch has several.
pub(crate) const CHUNK: ChunkSize = ChunkSize {
    pairs: 98,
    ..ChunkSize::PROTOCOL
};
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
        self.is_aggregating
    }
}

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

pub(crate) fn validator() -> ValidatorKey {
    ValidatorKey::from_bytes(&[7; 32]).unwrap()
}

/// The Rollup that development account 0 deploys first on a development base layer.
pub(crate) fn rollup() -> L1Address {
    let deployer = settlement::TransactionSigner::development(0).unwrap();
    let deployment = settlement::deploy::Deployment::foretold(deployer.address(), 0);
    settlement::bindings::l1_address(deployment.rollup)
}

/// Leaf 0 collects fees in token 0; leaves 1 to 3 hold a million of it; leaf 4 holds token 9, which nobody collects.
pub(crate) fn genesis() -> Genesis {
    let leaf = |number: u8, token| {
        let balance = Amount::new(1_000_000).unwrap();
        Leaf::new(
            key(number).public().into(),
            L1Address([number + 1; 20]),
            TokenId(token),
            balance,
        )
    };
    Genesis {
        chain_id: 31_337,
        rollup: rollup(),
        reference_string: "test".into(),
        validators: ValidatorSet::of_one(validator().address()),
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]).unwrap(),
        timestamp_ms: 1_000,
        leaves: vec![leaf(0, 0), leaf(1, 0), leaf(2, 0), leaf(3, 0), leaf(4, 9)],
    }
}

pub(crate) fn domain() -> Domain {
    genesis().domain()
}

/// A transfer by the key of leaf `from`, valid for ever.
pub(crate) fn transfer(from: u8, to: u32, nonce: u64, amount: u128, fee: u128) -> Transaction {
    Transaction {
        from: LeafIndex(from.into()),
        nonce: Nonce(nonce),
        valid_until: Height(u64::MAX),
        fee: Amount::new(fee).unwrap(),
        action: Action::Transfer {
            to: LeafIndex(to),
            amount: Amount::new(amount).unwrap(),
        },
    }
}

/// Signed by the key of its leaf.
pub(crate) fn sign(transaction: Transaction) -> Submission {
    let key = key(u8::try_from(transaction.from.0).unwrap());
    let signature = key.sign(&transaction.message(&domain(), false));
    Submission::Single(SignedTransaction {
        transaction,
        key: key.public(),
        signature,
    })
}

pub(crate) fn sign_group(transactions: &[Transaction]) -> Submission {
    let messages: Vec<_> = transactions
        .iter()
        .map(|transaction| transaction.message(&domain(), true))
        .collect();
    let hash = group_hash(&messages);
    let sign = |transaction: &Transaction| {
        let key = key(u8::try_from(transaction.from.0).unwrap());
        SignedTransaction {
            transaction: *transaction,
            key: key.public(),
            signature: key.sign(&hash),
        }
    };
    Submission::Group(transactions.iter().map(sign).collect())
}

/// A bid of this value for no core in particular, by leaf 1's key.
pub(crate) fn bid_of(height: Height, value: Amount) -> SignedBid {
    let mut bid = Bid {
        leaf: LeafIndex(1),
        height,
        value,
        core_hash: protocol::Fr::from(7_u64),
        key: key(1).public(),
        signature: key(1).sign(&protocol::Fr::from(0_u64)),
    };
    bid.signature = key(1).sign(&bid.message(&domain()));
    SignedBid::new(
        bid,
        &domain(),
        &ValidatorKey::from_bytes(&[0xbb; 32]).unwrap(),
    )
}

/// Soft blocks as soon as there is something to put in.
pub(crate) fn soft_rules(mode: Mode) -> SoftRules {
    SoftRules {
        mode,
        patience: Duration::ZERO,
        pace: Duration::ZERO,
        stagger: Duration::ZERO,
    }
}

/// Key of the `number`-th validator of [`set_of_four`], from 1.
pub(crate) fn seat_key(number: u8) -> ValidatorKey {
    ValidatorKey::from_bytes(&[number; 32]).unwrap()
}

/// Four validators of equal weight.
pub(crate) fn set_of_four() -> ValidatorSet {
    let validators = (1..=4).map(|number| Validator {
        address: seat_key(number).address(),
        weight: 1,
    });
    ValidatorSet::new(validators.collect()).unwrap()
}

/// The certificate of a validator whose weight is all there is.
pub(crate) fn certify(block: &Block, key: &ValidatorKey, time_ms: u64) -> ExtendedCertificate {
    certify_by(block, std::slice::from_ref(key), time_ms)
}

/// The certificate of these validators, who sit in this order.
pub(crate) fn certify_by(
    block: &Block,
    keys: &[ValidatorKey],
    time_ms: u64,
) -> ExtendedCertificate {
    certify_listing(block, keys, time_ms, Vec::new())
}

/// [`certify_by`], by validators that list these.
pub(crate) fn certify_listing(
    block: &Block,
    keys: &[ValidatorKey],
    time_ms: u64,
    hashes: Vec<ListHash>,
) -> ExtendedCertificate {
    let (height, round, id) = (
        block.header.core.height,
        block.header.core.birth_round,
        block.id(),
    );
    let vote = Vote {
        height,
        round,
        step: Step::Precommit,
        block: Some(id),
    };
    let extension = Extension {
        time_ms,
        hashes,
        ..Extension::default()
    };
    let digest = extension.digest(&domain(), height, round, id);
    let signatures = keys.iter().map(|key| ExtendedSignature {
        validator: key.address(),
        signature: key.sign(&vote.digest(&domain())),
        extension_signature: key.sign(&digest),
        extension: extension.clone(),
    });
    ExtendedCertificate {
        height,
        round,
        block: id,
        signatures: signatures.collect(),
    }
}

/// A node without network or threads.
pub(crate) struct Rig {
    pub(crate) executor: Arc<Executor>,
    pub(crate) queue: Arc<RocksQueue>,
    pub(crate) dir: Arc<TempDir>,
    pub(crate) now_ms: u64,
}

impl Rig {
    pub(crate) fn new(mempool: MempoolConfig) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        Self::open(dir, mempool, JobsConfig::default()).unwrap()
    }

    pub(crate) fn open(
        dir: Arc<TempDir>,
        mempool: MempoolConfig,
        jobs: JobsConfig,
    ) -> Result<Self, StorageError> {
        Self::open_chain(&genesis(), dir, mempool, jobs)
    }

    pub(crate) fn open_chain(
        genesis: &Genesis,
        dir: Arc<TempDir>,
        mempool: MempoolConfig,
        jobs: JobsConfig,
    ) -> Result<Self, StorageError> {
        Self::open_epochs(genesis, Arc::new(GenesisSet), dir, (mempool, jobs)).map_err(|error| {
            match error {
                SetsError::Storage(error) => error,
                SetsError::Other(other) => panic!("{other}"),
            }
        })
    }

    /// A chain whose sets come from this source.
    pub(crate) fn open_epochs(
        genesis: &Genesis,
        sets: Arc<dyn SetSource>,
        dir: Arc<TempDir>,
        configs: (MempoolConfig, JobsConfig),
    ) -> Result<Self, SetsError> {
        let is_aggregating = false;
        Self::open_proving(genesis, sets, dir, configs, HashVerifier { is_aggregating })
    }

    /// A chain whose proofs are judged like this.
    pub(crate) fn open_proving(
        genesis: &Genesis,
        sets: Arc<dyn SetSource>,
        dir: Arc<TempDir>,
        (mempool, jobs): (MempoolConfig, JobsConfig),
        verifier: HashVerifier,
    ) -> Result<Self, SetsError> {
        let store = Arc::new(Store::open(&dir.path().join("db"), genesis)?);
        store.read_for_start()?;
        let (state, tip) = store.load_state(genesis)?;
        let constants = ChainConstants::new(genesis);
        let decided = Decided::load(&store, &constants.domain, &*sets, (&tip, &state))?;
        let events = Events::new();
        let queue = Arc::new(RocksQueue::load(
            Arc::clone(&store),
            jobs,
            (vec![1], vec![2]),
            constants.clone(),
            Arc::new(verifier),
            events.clone(),
            Outlet::new().0,
        )?);
        let mut pool = Mempool::new(mempool);
        for (sequence, pending) in store.pending()? {
            let ids = pending.submission.ids(&constants.domain);
            pool.restore(Entry::new(
                sequence,
                pending.submission,
                ids,
                pending.received_ms,
            ));
        }
        let (tip_height, _) = watch::channel(tip.height);
        let chain = Arc::new(Chain::new(constants, state, tip));
        let shared = Admission {
            chain,
            pool: Arc::new(Mutex::new(pool)),
            store,
            events,
            outlet: Outlet::new().0,
        };
        Ok(Self {
            executor: Arc::new(Executor::new(shared, (decided, sets), tip_height)),
            queue,
            dir,
            now_ms: tip.timestamp_ms,
        })
    }

    pub(crate) fn shared(&self) -> &Admission {
        &self.executor.shared
    }

    /// Admits submissions in one round; the verdicts in order.
    pub(crate) fn send(
        &self,
        submissions: Vec<Submission>,
    ) -> Vec<Result<Vec<TransactionId>, ApiError>> {
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        for submission in submissions {
            let (reply, answer) = oneshot::channel();
            let origin = Origin::Sender;
            requests.push(AdmissionRequest {
                submission,
                origin,
                reply,
            });
            answers.push(answer);
        }
        self.shared().round(requests).unwrap();
        answers
            .into_iter()
            .map(|mut answer| answer.try_recv().unwrap().map(|taken| taken.ids))
            .collect()
    }

    pub(crate) fn send_one(&self, submission: Submission) -> Result<TransactionId, ApiError> {
        self.send(vec![submission]).remove(0).map(|ids| ids[0])
    }

    /// Makes the next block, 200 ms later.
    pub(crate) fn block(&mut self) {
        self.block_after(200);
    }

    pub(crate) fn block_after(&mut self, ms: u64) {
        self.now_ms += ms;
        let judged = self.propose();
        self.commit(judged);
    }

    /// The block that this node would propose.
    pub(crate) fn propose(&self) -> Judged {
        let height = Height(self.shared().chain.view().tip.height.0 + 1);
        let author = validator().address();
        self.executor.propose(height, Round(0), author).unwrap()
    }

    /// Decides a block by the only validator's signature.
    pub(crate) fn commit(&self, judged: Judged) {
        let certificate = certify(&judged.block, &validator(), self.now_ms);
        self.executor
            .commit(judged, certificate, self.now_ms)
            .unwrap();
    }

    /// Commits the blocks that another node has decided, from this one's tip on, under the vote rule.
    pub(crate) fn catch_up(&mut self, other: &Self) {
        let tips = (self.executor.tip().height.0, other.executor.tip().height.0);
        for height in tips.0 + 1..=tips.1 {
            let stored = other.shared().store.block(Height(height)).unwrap().unwrap();
            let verdict = self.executor.judge(&stored.block).unwrap();
            let Verdict::Valid(effects) = verdict else {
                panic!("{verdict:?}");
            };
            let judged = Judged {
                block: stored.block.into(),
                effects: Arc::new(*effects),
            };
            self.executor
                .commit(judged, stored.certificate, other.now_ms)
                .unwrap();
        }
        self.now_ms = other.now_ms;
    }

    /// Stores the checkpoint of a sealed batch, signed by these keys.
    pub(crate) fn certify_batch(&self, number: u64, keys: &[ValidatorKey]) {
        let store = &self.shared().store;
        let record = store.batch(BatchNumber(number)).unwrap().unwrap();
        let last = store.block(record.last_height).unwrap().unwrap();
        let ends = (&record.start, &record.end);
        let header = &last.block.header;
        let commitment = BatchCommitment::new(record.number, ends, &record.words, header, 0);
        let domain = self.shared().chain.constants.domain;
        let signed = keys
            .iter()
            .map(|key| commitment.clone().sign(&domain, key))
            .collect::<Vec<_>>();
        let checkpoint = Checkpoint::assemble(commitment, &signed);
        let record = CheckpointRecord {
            time_ms: self.now_ms,
            checkpoint,
        };
        store.write_checkpoint(&record).unwrap();
    }

    /// Lets the open batch grow old and seals it with the next payment, by leaf 1 with this nonce; another block follows.
    pub(crate) fn seal(&mut self, nonce: u64) {
        self.block_after(2 * BATCH_AGE_MS_MAX);
        self.block();
        self.send_one(sign(transfer(1, 2, nonce, 10, 2))).unwrap();
        self.block();
        self.batcher();
    }

    /// A batcher that has followed the chain to its tip.
    pub(crate) fn batcher(&self) -> Batcher {
        let shared = self.shared();
        let state = shared.chain.state().state.clone();
        let mut batcher = Batcher::new(
            Arc::clone(&shared.chain),
            Arc::clone(&shared.store),
            Arc::clone(&self.queue),
            shared.events.clone(),
            (state, CHUNK),
        )
        .unwrap();
        let tip = shared.chain.view().tip.height;
        batcher.follow(tip, &|| false).unwrap();
        batcher
    }

    pub(crate) fn balance(&self, index: u32) -> u128 {
        use protocol::state::LeafView;
        self.shared()
            .chain
            .view()
            .leaf(LeafIndex(index))
            .unwrap()
            .balance
            .get()
    }
}
