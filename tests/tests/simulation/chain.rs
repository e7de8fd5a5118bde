//! One node's application: the chain it has decided, blocks it builds, and the vote rule applied to blocks of others.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use protocol::{
    account::{L1Address, Leaf},
    block::{Block, BlockEffects, BlockExecution, BlockHeader, BlockId, Entry, L1Origin, Payload},
    certificate::ExtendedCertificate,
    number::{Height, LeafIndex, Nonce, Round},
    params::EPOCH_HEIGHTS,
    testing::{Draft, Drafter, World, amount, leaf},
    threaded::{FeeLeaves, Threaded},
    transaction::{Action, BidHash, ListHash, SignedBid, Submission, Transaction},
    validator::{Validator, ValidatorKey, ValidatorSet, ValidatorSignature},
    validity::{BaseLayerView, OriginStatus, QueuedItem, Verdict, check_header, listed, verdict},
};

/// Collateral of the builder.
const COLLATERAL: LeafIndex = LeafIndex(4);
/// Transactions of each of the two clients.
const NONCES: u64 = 24;
/// Submissions that a block takes at most, beside the listed ones.
const ENTRIES_MAX: usize = 6;
/// Milliseconds from one final block of the base layer to the next.
pub(crate) const BASE_BLOCK_MS: u64 = 150;

/// A client's transaction: what it says and how lists name it.
pub(crate) struct Client {
    pub(crate) from: LeafIndex,
    pub(crate) nonce: u64,
    pub(crate) hash: ListHash,
    pub(crate) submission: Submission,
}

static GENESIS: LazyLock<World> = LazyLock::new(|| {
    let mut leaves: Vec<Leaf> = (0..5)
        .map(|number| leaf(number, 0, 1_000_000_000))
        .collect();
    leaves[4].balance = amount(1 << 60);
    leaves[4].lock_until = Height(3 * EPOCH_HEIGHTS);
    let mut world = World::new(leaves, 5);
    world.genesis.fee_leaves = FeeLeaves::new(&[LeafIndex(0), LeafIndex(1)]).unwrap();
    world
});

/// Everything that clients will ever send: transfers of 10 from leaves 1 and 2 to leaf 3, with a fee of 20.
pub(crate) static CLIENTS: LazyLock<Vec<Client>> = LazyLock::new(|| {
    let world = &*GENESIS;
    let threaded = Threaded::batch_start(world.state.root(), 5, Height(0), 0);
    let drafter = Drafter {
        view: &world.state,
        threaded: &threaded,
        domain: &world.domain,
        keyring: &world.keyring,
    };
    let places = (0..NONCES).flat_map(|nonce| [1, 2].map(|from| (from, nonce)));
    places
        .map(|(from, nonce)| {
            let from = LeafIndex(from);
            let action = Action::Transfer {
                to: LeafIndex(3),
                amount: amount(10),
            };
            let entry = drafter.entry(&Draft {
                transaction: Transaction {
                    from,
                    nonce: Nonce(nonce),
                    valid_until: Height(1_000_000),
                    fee: amount(20),
                    action,
                },
                fee_leaf: 1,
            });
            let Entry::Submission { submission, .. } = entry else {
                unreachable!("a draft is a submission")
            };
            Client {
                from,
                nonce,
                hash: submission.list_hash(&world.domain),
                submission,
            }
        })
        .collect()
});

/// A node's view of the base layer: every block up to a number is final.
#[derive(Clone, Copy, Default)]
pub(crate) struct View(pub(crate) u64);

pub(crate) fn origin(number: u64) -> L1Origin {
    let mut hash = [0; 32];
    hash[24..].copy_from_slice(&number.to_be_bytes());
    L1Origin { number, hash }
}

impl BaseLayerView for View {
    fn status(&self, named: &L1Origin) -> OriginStatus {
        if named.number > self.0 {
            OriginStatus::Unknown
        } else if *named == origin(named.number) {
            OriginStatus::Final
        } else {
            OriginStatus::Conflicting
        }
    }

    fn item(&self, _index: u64) -> Option<QueuedItem> {
        None
    }
}

/// All that a verdict depends on.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    block: BlockId,
    payload: [u8; 32],
    certificate: [u8; 32],
    tip: BlockId,
    state: protocol::Fr,
    origin: bool,
    set: [u8; 32],
}

type Claim = ([u8; 32], ValidatorSignature, L1Address);

thread_local! {
    static VERDICTS: RefCell<BTreeMap<Question, Verdict>> = const { RefCell::new(BTreeMap::new()) };
    static AUTHENTIC: RefCell<BTreeSet<Claim>> = const { RefCell::new(BTreeSet::new()) };
}

/// Forgets all answers: each run works out its own.
pub(crate) fn forget() {
    VERDICTS.with_borrow_mut(BTreeMap::clear);
    AUTHENTIC.with_borrow_mut(BTreeSet::clear);
}

/// Whether `by` signed the digest; each good signature is recovered once in a run.
pub(crate) fn is_authentic(digest: [u8; 32], by: L1Address, signature: ValidatorSignature) -> bool {
    let claim = (digest, signature, by);
    if AUTHENTIC.with_borrow(|known| known.contains(&claim)) {
        return true;
    }
    let is_good = signature.is_by(&by, &digest);
    if is_good {
        AUTHENTIC.with_borrow_mut(|known| known.insert(claim));
    }
    is_good
}

/// What is wrong with a block that a liar builds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    Timestamp,
    Author,
    Operation,
    Listed,
}

/// How a block is to be built.
#[derive(Clone, Copy, Default)]
pub(crate) struct Order {
    pub(crate) bid: bool,
    pub(crate) empty: bool,
    pub(crate) flaw: Option<Flaw>,
}

/// The decided chain and its state.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) world: World,
    pub(crate) decided: Vec<(Block, ExtendedCertificate)>,
    pub(crate) view: View,
}

/// Keys of the validators, in the order of their addresses.
pub(crate) fn keys(count: usize) -> Vec<ValidatorKey> {
    let seeds = (1_u8..).take(count);
    let mut keys: Vec<_> = seeds
        .map(|seed| ValidatorKey::from_bytes(&[seed; 32]).unwrap())
        .collect();
    keys.sort_by_key(ValidatorKey::address);
    keys
}

impl Chain {
    /// Genesis of a set with these weights.
    pub(crate) fn new(weights: &[u64]) -> Self {
        let mut world = GENESIS.clone();
        world.validators = keys(weights.len());
        let seats = world.validators.iter().zip(weights);
        let seats = seats.map(|(key, weight)| Validator {
            address: key.address(),
            weight: *weight,
        });
        world.genesis.validators = ValidatorSet::new(seats.collect()).unwrap();
        world.tip = world.genesis.tip();
        assert_eq!(world.domain, world.genesis.domain());
        Self {
            world,
            decided: Vec::new(),
            view: View::default(),
        }
    }

    pub(crate) fn set(&self) -> &ValidatorSet {
        &self.world.genesis.validators
    }

    /// Height being agreed on.
    pub(crate) fn next(&self) -> Height {
        Height(self.world.tip.height.0 + 1)
    }

    /// The vote rule. It is a pure function, so nodes on one prefix share the answer: whatever it depends on is in
    /// the key, the base layer by what the view says of the named block.
    pub(crate) fn judge(&self, block: &Block) -> Verdict {
        let core = &block.header.core;
        let certificate = block.header.certificate.as_ref();
        let key = Question {
            block: block.id(),
            payload: block.payload.root(),
            certificate: certificate.map_or([0; 32], ExtendedCertificate::hash),
            tip: self.world.tip.id,
            state: self.world.state.root(),
            origin: self.view.status(&core.l1_origin) == OriginStatus::Final,
            set: self.set().hash(),
        };
        let known = VERDICTS.with_borrow(|verdicts| verdicts.get(&key).cloned());
        known.unwrap_or_else(|| {
            let answer = verdict(block, &self.world.prefix(&self.view));
            VERDICTS.with_borrow_mut(|verdicts| verdicts.insert(key, answer.clone()));
            answer
        })
    }

    pub(crate) fn judge_header(
        &self,
        header: &BlockHeader,
    ) -> Result<(), protocol::validity::Refusal> {
        check_header(header, &self.world.prefix(&self.view))
    }

    pub(crate) fn listed(&self) -> BTreeSet<ListHash> {
        listed(
            self.world.certificate.as_ref(),
            &self.world.prefix(&self.view),
        )
    }

    /// Whether the transaction could still be executed some day.
    pub(crate) fn is_pending(&self, client: &Client) -> bool {
        let place = usize::try_from(client.from.0).unwrap();
        self.world.state.leaves()[place].nonce.0 <= client.nonce
    }

    /// A block for this round from these transactions: listed ones first, excused if they do not apply.
    pub(crate) fn build(
        &self,
        round: Round,
        author: L1Address,
        pool: &BTreeMap<usize, Height>,
        bids: &BTreeMap<BidHash, SignedBid>,
        order: Order,
    ) -> Option<Block> {
        let world = &self.world;
        let listed = self.listed();
        let fee_leaves = world.genesis.fee_leaves;
        let mut execution = BlockExecution::new(&world.state, &world.tip, &fee_leaves, false);
        let mut payload = Payload::default();
        for due in world.history.due_burns(self.next()) {
            let burn = Entry::BidBurn(*bids.get(&due.bid)?);
            execution.push_entry(&world.domain, &burn).ok()?;
            payload.entries.push(burn);
        }
        let mut taken = 0;
        for (place, client) in CLIENTS.iter().enumerate() {
            let is_listed = listed.contains(&client.hash);
            let is_chosen = pool.contains_key(&place) && !order.empty && taken < ENTRIES_MAX;
            if !is_listed && !is_chosen {
                continue;
            }
            let entry = Entry::Submission {
                submission: client.submission.clone(),
                fee_leaves: vec![1],
            };
            if execution.push_entry(&world.domain, &entry).is_ok() {
                payload.entries.push(entry);
                taken += 1;
            } else if is_listed {
                payload.excuses.push(client.submission.clone());
            }
        }
        let domain = world.domain;
        payload.excuses.sort_by_key(|one| one.list_hash(&domain));
        match order.flaw {
            Some(Flaw::Operation) => {
                let last = CLIENTS.last()?; // its nonce is far ahead
                payload.entries.push(Entry::Submission {
                    submission: last.submission.clone(),
                    fee_leaves: vec![1],
                });
            }
            Some(Flaw::Listed) => payload.entries.retain(|entry| match entry {
                Entry::BidBurn(_) => true,
                Entry::Submission { submission, .. } => {
                    !listed.contains(&submission.list_hash(&domain))
                }
            }),
            _ => {}
        }
        let mut block = world.block(payload, fee_leaves);
        let core = &mut block.header.core;
        core.birth_round = round;
        core.author = author;
        core.l1_origin = origin(self.view.0.max(world.tip.l1_origin.number));
        match order.flaw {
            Some(Flaw::Timestamp) => core.timestamp_ms += 1,
            Some(Flaw::Author) => core.author = L1Address([1; 20]),
            _ => {}
        }
        if order.bid {
            world.seal_bid(&mut block, COLLATERAL, amount(5_000));
        }
        Some(block)
    }

    /// Moves on by a block that has been judged valid.
    pub(crate) fn advance(
        &mut self,
        block: Block,
        effects: &BlockEffects,
        certificate: ExtendedCertificate,
    ) {
        let world = &mut self.world;
        world.state.commit(&effects.changes);
        world.tip = effects.tip;
        world
            .history
            .push(&block, &world.genesis.validators, &world.domain);
        world.certificate = Some(certificate.clone());
        self.decided.push((block, certificate));
    }
}
