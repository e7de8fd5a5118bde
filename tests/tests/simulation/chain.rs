//! One node's application: the chain it has decided, blocks it builds, and the vote rule applied to blocks of others.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::LazyLock,
};

use protocol::{
    account::{L1Address, Leaf},
    block::{
        Block, BlockEffects, BlockExecution, BlockHeader, BlockId, Entry, Payload, apply_block,
    },
    certificate::{ExtendedCertificate, ExtendedSignature},
    number::{Height, LeafIndex, Nonce, Round},
    params::{EPOCH_HEIGHTS, INBOX_PER_BATCH_MAX},
    testing::{Draft, Drafter, World, amount, leaf},
    threaded::{FeeLeaves, Threaded},
    transaction::{Action, BidHash, ListHash, SignedBid, Submission, Transaction},
    transition::Operation,
    validator::{ValidatorKey, ValidatorSet, ValidatorSignature},
    validity::{
        BaseLayerView, DecidedPrefix, OriginStatus, Verdict, check_header, listed, timestamp_ms,
        verdict,
    },
    vote::{Extension, Step, Vote},
};

use crate::{
    layer::{BaseLayer, Sets, View, origin},
    plan::Plan,
};

/// Collateral of the builder.
const COLLATERAL: LeafIndex = LeafIndex(4);
/// Transactions of each of the two clients.
const NONCES: u64 = 24;
/// Submissions that a block takes at most, beside the listed ones.
const ENTRIES_MAX: usize = 6;
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
    leaves[4].lock_until = Height(5 * EPOCH_HEIGHTS);
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

/// All that a verdict depends on.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    block: BlockId,
    payload: [u8; 32],
    certificate: [u8; 32],
    tip: BlockId,
    state: protocol::Fr,
    origin: bool,
    sets: [[u8; 32]; 2],
}

type Claim = ([u8; 32], ValidatorSignature, L1Address);

thread_local! {
    static VERDICTS: RefCell<BTreeMap<Question, Verdict>> = const { RefCell::new(BTreeMap::new()) };
    static AUTHENTIC: RefCell<BTreeSet<Claim>> = const { RefCell::new(BTreeSet::new()) };
    static SIGNED: RefCell<BTreeMap<(L1Address, [u8; 32]), ValidatorSignature>> =
        const { RefCell::new(BTreeMap::new()) };
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Begins a run: it works out every verdict itself. What a signature says depends on its bytes alone, so the two runs
/// of a seed make and recover each signature once.
pub(crate) fn forget(seed: u64) {
    VERDICTS.with_borrow_mut(BTreeMap::clear);
    if SEED.replace(Some(seed)) != Some(seed) {
        AUTHENTIC.with_borrow_mut(BTreeSet::clear);
        SIGNED.with_borrow_mut(BTreeMap::clear);
    }
}

/// Whether `by` signed the digest.
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

/// The signature of this key, which is always the same.
pub(crate) fn sign(key: &ValidatorKey, by: L1Address, digest: [u8; 32]) -> ValidatorSignature {
    let known = SIGNED.with_borrow(|signed| signed.get(&(by, digest)).copied());
    known.unwrap_or_else(|| {
        let signature = key.sign(&digest);
        SIGNED.with_borrow_mut(|signed| signed.insert((by, digest), signature));
        signature
    })
}

/// What is wrong with a block that a liar builds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    Timestamp,
    Author,
    Operation,
    Listed,
    /// No inbox items, also if some are overdue.
    Overdue,
    /// An inbox item that the origin has not enqueued.
    Early,
}

/// How a block is to be built.
#[derive(Clone, Copy, Default)]
pub(crate) struct Order {
    pub(crate) bid: bool,
    pub(crate) empty: bool,
    /// Whether inbox items stand in it before they are due.
    pub(crate) eager: bool,
    pub(crate) flaw: Option<Flaw>,
}

/// The decided chain and its state.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) world: World,
    /// Height before the first block in `decided`.
    start: Height,
    pub(crate) decided: Vec<(Block, ExtendedCertificate)>,
    pub(crate) view: View,
    pub(crate) sets: Rc<Sets>,
}

/// Keys of the validators, in the order of their addresses.
fn keys(count: usize) -> Vec<ValidatorKey> {
    let seeds = (1_u8..).take(count);
    let mut keys: Vec<_> = seeds
        .map(|seed| ValidatorKey::from_bytes(&[seed; 32]).unwrap())
        .collect();
    keys.sort_by_key(ValidatorKey::address);
    keys
}

impl Chain {
    /// The plan's chain before its first height.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut world = GENESIS.clone();
        world.validators = keys(plan.weights.len());
        let mut weights = vec![plan.weights.clone()];
        weights.extend(plan.next_weights.clone());
        let sets = Sets::new(&world.validators, &weights);
        world.genesis.validators = sets.of_epoch(0).clone();
        world.tip = world.genesis.tip();
        assert_eq!(world.domain, world.genesis.domain());
        let view = View {
            number: 0,
            layer: Rc::new(BaseLayer::new(&plan.inbox)),
        };
        let mut chain = Self {
            world,
            start: Height(plan.start),
            decided: Vec::new(),
            view,
            sets: Rc::new(sets),
        };
        if plan.start > 0 {
            chain.skip_to(chain.start);
        }
        chain
    }

    /// Stands on an empty block of this height, certified by all, as if the heights before had been like it: a run
    /// cannot go through a whole epoch. State, tip, history and certificate are what they would be, but for ids.
    fn skip_to(&mut self, height: Height) {
        self.world.tip.height = Height(height.0 - 1);
        let block = self.block(Payload::default(), self.world.genesis.fee_leaves);
        let world = &mut self.world;
        let (state, tip, chain_id) = (&world.state, &world.tip, world.genesis.chain_id);
        let effects = apply_block(state, tip, &world.domain, chain_id, &block).unwrap();
        world.state.commit(&effects.changes);
        world.tip = effects.tip;
        let set = self.sets.at(height);
        world.history.push(&block, set, &world.domain);
        let members = world.validators.iter().enumerate();
        let members = members.filter(|(_, key)| set.weight_of(&key.address()) > 0);
        let extension = Extension {
            time_ms: world.tip.timestamp_ms,
            ..Extension::default()
        };
        let signers: Vec<(usize, Extension)> =
            members.map(|(seat, _)| (seat, extension.clone())).collect();
        let certificate = world.certify((world.tip.height, world.tip.id), &signers);
        world.certificate = Some(certificate);
    }

    /// The set that decides the next height.
    pub(crate) fn set(&self) -> &ValidatorSet {
        self.sets.at(self.next())
    }

    /// Height being agreed on.
    pub(crate) fn next(&self) -> Height {
        Height(self.world.tip.height.0 + 1)
    }

    /// The decided block above this height, and what proves it.
    pub(crate) fn above(&self, height: Height) -> Option<&(Block, ExtendedCertificate)> {
        let place = height.0.checked_sub(self.start.0)?;
        self.decided.get(usize::try_from(place).ok()?)
    }

    fn prefix(&self) -> DecidedPrefix<'_> {
        DecidedPrefix {
            set: self.set(),
            next_set_hash: self.sets.after(self.next()).hash(),
            ..self.world.prefix(&self.view)
        }
    }

    /// The next block with this payload, under this height's sets.
    fn block(&self, payload: Payload, fee_leaves: FeeLeaves) -> Block {
        let mut block = self.world.block(payload, fee_leaves);
        let prefix = self.prefix();
        let core = &mut block.header.core;
        core.next_set_hash = prefix.next_set_hash;
        core.timestamp_ms = timestamp_ms(block.header.certificate.as_ref(), &prefix);
        core.author = *prefix.set.proposer(core.height, Round(0));
        block
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
            sets: [self.set(), self.sets.after(self.next())].map(ValidatorSet::hash),
        };
        let known = VERDICTS.with_borrow(|verdicts| verdicts.get(&key).cloned());
        known.unwrap_or_else(|| {
            let answer = verdict(block, &self.prefix());
            VERDICTS.with_borrow_mut(|verdicts| verdicts.insert(key, answer.clone()));
            answer
        })
    }

    pub(crate) fn judge_header(
        &self,
        header: &BlockHeader,
    ) -> Result<(), protocol::validity::Refusal> {
        check_header(header, &self.prefix())
    }

    pub(crate) fn listed(&self) -> BTreeSet<ListHash> {
        listed(self.world.certificate.as_ref(), &self.prefix())
    }

    /// Whether the transaction could still be executed some day.
    pub(crate) fn is_pending(&self, client: &Client) -> bool {
        let place = usize::try_from(client.from.0).unwrap();
        self.world.state.leaves()[place].nonce.0 <= client.nonce
    }

    /// A block for this round from these transactions, some of which may not apply any more: listed ones first,
    /// excused if they do not apply.
    ///
    /// # Errors
    /// Listed transactions whose bytes are not here.
    pub(crate) fn build(
        &self,
        round: Round,
        author: L1Address,
        pool: &BTreeMap<usize, Height>,
        bids: &BTreeMap<BidHash, SignedBid>,
        order: Order,
    ) -> Result<Block, BTreeSet<usize>> {
        let world = &self.world;
        let listed = self.listed();
        let absent: BTreeSet<usize> = CLIENTS
            .iter()
            .enumerate()
            .filter(|(place, client)| listed.contains(&client.hash) && !pool.contains_key(place))
            .map(|(place, _)| place)
            .collect();
        if !absent.is_empty() {
            return Err(absent);
        }
        let fee_leaves = world.genesis.fee_leaves;
        let mut execution = BlockExecution::new(&world.state, &world.tip, &fee_leaves, false);
        let mut payload = Payload::default();
        let number = self.view.number.max(world.tip.l1_origin.number);
        for item in self.inbox_items(number, order) {
            execution
                .push(&world.domain, &Operation::Inbox(item))
                .expect("inbox items never fail");
            payload.inbox.push(item);
        }
        for due in world.history.due_burns(self.next()) {
            let signed = bids.get(&due.bid).expect("reported bids are served");
            let burn = Entry::BidBurn(*signed);
            execution
                .push_entry(&world.domain, &burn)
                .expect("the collateral is locked");
            payload.entries.push(burn);
        }
        let mut taken = 0;
        for (place, client) in CLIENTS.iter().enumerate() {
            let is_listed = listed.contains(&client.hash);
            let is_chosen = pool.contains_key(&place)
                && self.is_pending(client)
                && !order.empty
                && taken < ENTRIES_MAX;
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
                let last = &CLIENTS[CLIENTS.len() - 1]; // its nonce is far ahead
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
        let mut block = self.block(payload, fee_leaves);
        let core = &mut block.header.core;
        core.birth_round = round;
        core.author = author;
        core.l1_origin = origin(number);
        match order.flaw {
            Some(Flaw::Timestamp) => core.timestamp_ms += 1,
            Some(Flaw::Author) => core.author = L1Address([1; 20]),
            _ => {}
        }
        if order.bid {
            world.seal_bid(&mut block, COLLATERAL, amount(5_000));
        }
        Ok(block)
    }

    /// Inbox items for a block that names this block of the base layer.
    fn inbox_items(&self, number: u64, order: Order) -> Vec<protocol::inbox::InboxItem> {
        let mut items = Vec::new();
        let most = usize::try_from(INBOX_PER_BATCH_MAX).unwrap();
        if matches!(order.flaw, Some(Flaw::Overdue)) {
            return items;
        }
        let queue = (self.world.tip.inbox_count..).map_while(|index| {
            let place = usize::try_from(index).ok()?;
            self.view.layer.items.get(place)
        });
        for queued in queue.take(most) {
            let is_early = matches!(order.flaw, Some(Flaw::Early));
            let is_wanted = order.eager || queued.due_at <= number;
            if !is_early && (queued.enqueued_at > number || !is_wanted) {
                break;
            }
            items.push(queued.item);
        }
        items
    }

    /// Finding H1: gives the block another certificate of its parent, in which `key` lists this transaction too.
    /// The bid stays as the builder signed it, for the certificate it knew; or, as in the first draft, it covers no
    /// certificate and goes with any.
    pub(crate) fn swap_certificate(
        &self,
        block: &mut Block,
        key: &ValidatorKey,
        hash: ListHash,
        is_bid_bound: bool,
    ) {
        let Some(mut certificate) = self.world.certificate.clone() else {
            return;
        };
        let (height, round, id) = (certificate.height, certificate.round, certificate.block);
        let domain = &self.world.domain;
        let by = key.address();
        let vote = Vote {
            height,
            round,
            step: Step::Precommit,
            block: Some(id),
        };
        let extension = Extension {
            hashes: vec![hash],
            time_ms: block.header.core.timestamp_ms,
            reports: Vec::new(),
        };
        let second = ExtendedSignature {
            validator: by,
            signature: key.sign(&vote.digest(domain)),
            extension_signature: key.sign(&extension.digest(domain, height, round, id)),
            extension,
        };
        certificate.signatures.retain(|one| one.validator != by);
        certificate.signatures.push(second);
        certificate.signatures.sort_by_key(|one| one.validator);
        let core = &mut block.header.core;
        core.certificate_hash = certificate.hash();
        core.timestamp_ms = timestamp_ms(Some(&certificate), &self.prefix());
        block.header.certificate = Some(certificate);
        if !is_bid_bound {
            self.world.seal_bid(block, COLLATERAL, amount(5_000));
        }
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
        let set = self.sets.at(block.header.core.height);
        world.history.push(&block, set, &world.domain);
        world.certificate = Some(certificate.clone());
        self.decided.push((block, certificate));
    }
}
