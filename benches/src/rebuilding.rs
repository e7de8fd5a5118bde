//! How fast the rollup's state comes back from its base layer: twenty thousand transfers in ten certified and proven batches on
//! the embedded chain, read and applied by the code that `quorate base-layer rebuild` and `quorate sequencer --rebuild-from-l1`
//! run, to the root that the Rollup holds.
//!
//! The chain is in this process and answers at once, so the row beside it, words alone, shows what reading events and checking
//! headers costs here; a real node's answers take longer than either. The verifier takes every proof: none is checked in a
//! rebuild, since the contract has.

use std::time::Duration;

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use protocol::{
    Fr,
    account::{L1Address, Leaf},
    batch::{Pair, Usage, pair_groups},
    block::{BlockCore, BlockHeader, BlockId, L1Origin},
    checkpoint::{BatchCommitment, Checkpoint},
    genesis::Genesis,
    number::{Amount, BatchNumber, Epoch, Height, LeafIndex, Nonce, Round, TokenId},
    rebuild::apply_words,
    signature::{SecretKey, Signature},
    state::{Overlay, State},
    threaded::{FeeLeaves, Threaded},
    transaction::{Action, SignedTransaction, Transaction},
    transition::{Header, Operation, execute, open_block},
    validator::{ValidatorKey, ValidatorSet},
    words::{Words, absorb},
};
use settlement::{
    BaseLayer, BlockAt, EmbeddedChain, EmbeddedConfig, LogFilter, NonceAt, TransactionSigner,
    bindings::{Events, commit_batch, event, l1_address, prove_batch},
    deploy::{
        DeployPace, Deployment, DeploymentConfig, DeploymentFile, DeploymentPlan, VerifierCode,
        VerifierConfig, deploy,
    },
    rebuild::rebuild,
};

use crate::report::{Row, median_seconds};

/// Batches, near what one holds of transfers.
const BATCHES: u64 = 10;
/// Blocks of a batch.
const BLOCKS: u64 = 16;
/// Transfers of a block.
const BLOCK_TRANSFERS: u64 = 125;
/// Leaves of genesis: a rebuild hashes them too.
const LEAVES: u64 = 4_096;
/// What one transaction may take on the base layer.
const GAS: u64 = 16_000_000;
/// Code of a contract that returns one.
const TAKES_ALL: [u8; 8] = [0x60, 0x01, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];

/// A batch.
struct Made {
    start: Threaded,
    end: Threaded,
    words: Words,
    state: State,
}

/// The rollup before anything of it is on the base layer, and then its batches.
struct Maker {
    genesis: Genesis,
    validator: ValidatorKey,
    key: SecretKey,
    /// Stands in every transfer: it is not published, so nobody checks it here.
    signature: Signature,
    /// Transfers made.
    made: u64,
}

fn amount(value: u128) -> Amount {
    Amount::new(value).expect("small")
}

fn index(place: u64) -> LeafIndex {
    LeafIndex(u32::try_from(place).expect("few leaves"))
}

impl Maker {
    fn new(rollup: Address) -> Self {
        let key = SecretKey::from_seed(&[3; 32]);
        let validator = ValidatorKey::from_bytes(&[7; 32]).expect("a key");
        let leaf = |_| {
            let owner = L1Address([7; 20]);
            Leaf::new(key.public().into(), owner, TokenId(0), amount(1 << 60))
        };
        let genesis = Genesis {
            chain_id: settlement::DEVELOPMENT_CHAIN_ID,
            rollup: l1_address(rollup),
            reference_string: "insecure-development".to_owned(),
            validators: ValidatorSet::of_one(validator.address()),
            fee_leaves: FeeLeaves::new(&[LeafIndex(0)]).expect("one fee leaf"),
            timestamp_ms: 1_700_000_000_000,
            leaves: (0..LEAVES).map(leaf).collect(),
        };
        Self {
            genesis,
            validator,
            signature: key.sign(&Fr::from(1_u64)),
            key,
            made: 0,
        }
    }

    /// The next transfer, between leaves scattered over all.
    fn transfer(&mut self) -> Operation {
        let stride = 1_597; // has no divisor in common with the number of leaves but one
        let place = |i: u64| index(1 + i * stride % (LEAVES - 1));
        let i = self.made;
        self.made += 1;
        let transaction = Transaction {
            from: place(i),
            nonce: Nonce(i / (LEAVES - 1)),
            valid_until: Height(1_000),
            fee: amount(10),
            action: Action::Transfer {
                to: place(i + 7),
                amount: amount(1_000),
            },
        };
        Operation::Signed {
            transaction: SignedTransaction {
                transaction,
                key: self.key.public(),
                signature: self.signature,
            },
            fee_leaf: 0,
            group: None,
        }
    }

    /// The next batch, by the rules alone: a witness would take a hundred times as long, and nobody proves it here.
    fn batch(&mut self, mut state: State, height: Height) -> Made {
        let domain = self.genesis.domain();
        let start = Threaded::batch_start(state.root(), state.leaf_count(), height, 0);
        let (mut end, mut words) = (start, Words::default());
        let mut leaves = Overlay::new(&state);
        for block in 0..BLOCKS {
            let operations: Vec<_> = (0..BLOCK_TRANSFERS).map(|_| self.transfer()).collect();
            let header = Header {
                height_delta: 1,
                fee_leaves: (block == 0).then_some(self.genesis.fee_leaves),
                bid: false,
            };
            open_block(&mut end, &header).expect("the next block");
            let mut header = Some(header);
            for slots in operations.chunks(2) {
                let second = slots.get(1).copied().unwrap_or(Operation::Noop);
                let pair = Pair {
                    header: header.take(),
                    slots: [slots[0], second],
                };
                let executed = pair.slots.map(|operation| {
                    let done = execute(&leaves, &mut end, &domain, &operation);
                    let done = done.expect("a valid transfer");
                    for access in &done.accesses {
                        if let Some(leaf) = access.after {
                            leaves.write(access.index, leaf);
                        }
                    }
                    done
                });
                for group in pair_groups(&pair, &executed) {
                    end.h = absorb(&end.h, &group);
                    words.extend(&group);
                }
            }
        }
        let changes = leaves.into_changes();
        state.commit(&changes);
        end.root = state.root();
        Made {
            start,
            end,
            words,
            state,
        }
    }

    /// The batch as its one validator certifies it.
    fn certify(&self, number: u64, finished: &Made) -> Checkpoint {
        let core = BlockCore {
            chain_id: self.genesis.chain_id,
            height: finished.end.height,
            epoch: Epoch::of(finished.end.height),
            next_set_hash: self.genesis.validators.hash(),
            birth_round: Round(0),
            author: self.validator.address(),
            parent: BlockId::default(),
            payload_root: [0; 32],
            fee_leaves: self.genesis.fee_leaves,
            certificate_hash: [0; 32],
            l1_origin: L1Origin::default(),
            timestamp_ms: 0,
            state_root_before: finished.start.root,
            usage: Usage::default(),
        };
        let last = BlockHeader {
            core,
            bid: None,
            certificate: None,
            restart: None,
        };
        let ends = (&finished.start, &finished.end);
        let number = BatchNumber(number);
        let commitment = BatchCommitment::new(number, ends, &finished.words, &last, 0);
        let signed = commitment
            .clone()
            .sign(&self.genesis.domain(), &self.validator);
        Checkpoint::assemble(commitment, &[signed])
    }
}

/// Sends a call by the development account that deployed, and returns the hash of its block.
async fn send(chain: &EmbeddedChain, to: Address, input: Bytes) -> B256 {
    let signer = TransactionSigner::development(0).expect("there are ten");
    let nonce = chain.nonce(signer.address(), NonceAt::Pending).await;
    let signed = signer.sign(TxEip1559 {
        chain_id: chain.chain_id(),
        nonce: nonce.expect("it answers"),
        gas_limit: GAS,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(to),
        input,
        ..TxEip1559::default()
    });
    let signed = signed.expect("a development chain");
    chain.send(&signed.raw).await.expect("it is taken");
    let receipt = chain.receipt(signed.hash).await.expect("it answers");
    let receipt = receipt.expect("every send is mined");
    assert!(receipt.succeeded, "the Rollup refuses a batch");
    receipt.block
}

/// A base layer with a settled history, and what is needed to read it.
struct Settled {
    chain: EmbeddedChain,
    file: DeploymentFile,
    genesis: Genesis,
    last: B256,
    words: Vec<Words>,
    root: Fr,
}

async fn settled() -> Settled {
    let chain = EmbeddedChain::start(EmbeddedConfig::default());
    let deployer = TransactionSigner::development(0).expect("there are ten");
    let foretold = Deployment::foretold(deployer.address(), 0);
    let mut maker = Maker::new(foretold.rollup);
    let verifier = VerifierConfig {
        code: VerifierCode::Runtime(Bytes::copy_from_slice(&TAKES_ALL)),
        key_hash: B256::with_last_byte(1),
        circuit_hash: B256::with_last_byte(2),
        reference_hash: B256::with_last_byte(3),
        is_insecure: true,
    };
    let config = DeploymentConfig {
        fund_wei: U256::ZERO,
        ..DeploymentConfig::suggested(deployer.address(), verifier)
    };
    let plan = DeploymentPlan::new(&maker.genesis, deployer.address(), &config);
    let pace = DeployPace {
        poll: Duration::from_millis(1),
        polls: 3,
        fee_max_wei: 1_000_000_000_000,
    };
    let made = deploy(&chain, &deployer, &plan.expect("a good plan"), &pace).await;
    let rollup = made.expect("it is deployed").rollup;
    let (mut state, mut height) = (maker.genesis.state(), Height(0));
    let (mut words, mut last) = (Vec::new(), B256::ZERO);
    for number in 1..=BATCHES {
        let finished = maker.batch(state, height);
        let checkpoint = maker.certify(number, &finished);
        let set = &maker.genesis.validators;
        let input = commit_batch(&checkpoint, &finished.words, set).expect("it is signed");
        let block = send(&chain, rollup, input).await;
        let logs = chain.logs(block, &LogFilter::default()).await;
        let stored = logs.expect("it answers").iter().find_map(|log| {
            let read = event::<Events::BatchCommitted>(log).expect("well formed");
            read.map(|read| read.batch)
        });
        let prover = Address::repeat_byte(0x77);
        let input = prove_batch(&stored.expect("a commit"), prover, &Bytes::new());
        last = send(&chain, rollup, input).await;
        height = finished.end.height;
        words.push(finished.words);
        state = finished.state;
    }
    let head = chain.header(BlockAt::Latest).await.expect("it answers");
    assert_eq!(head.expect("a head").hash(), last);
    Settled {
        file: DeploymentFile::new(chain.chain_id(), 1, &foretold),
        root: state.root(),
        genesis: maker.genesis,
        chain,
        last,
        words,
    }
}

/// Transfers rebuilt in a second.
#[must_use]
pub(crate) fn rows() -> Vec<Row> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let settled = runtime.block_on(settled());
    let whole = median_seconds(
        || (),
        |()| {
            let Settled {
                chain,
                file,
                genesis,
                last,
                ..
            } = &settled;
            let rebuilt = runtime.block_on(rebuild(chain, file, genesis, *last));
            let rebuilt = rebuilt.expect("the Rollup's root");
            assert_eq!(rebuilt.state.root(), settled.root);
        },
    );
    let words = median_seconds(
        || (),
        |()| {
            let mut at = (settled.genesis.state(), Height(0), 0);
            for batch in &settled.words {
                at = apply_words(at, batch).expect("valid words");
            }
            assert_eq!(at.0.root(), settled.root);
        },
    );
    let transfers = u32::try_from(BATCHES * BLOCKS * BLOCK_TRANSFERS).expect("few");
    vec![Row::beside(
        "rebuild_transfers_per_second",
        "transfers/s",
        f64::from(transfers) / whole,
        f64::from(transfers) / words,
        "the same words without a chain",
    )]
}
