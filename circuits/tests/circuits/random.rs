//! Random chunks of the protocol's own generators, and random operations that its rules refuse.
//!
//! Blocks of every kind of operation are traced pair by pair and cut anywhere - inside blocks and groups
//! too - into small chunks; every constraint is evaluated in every row.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use circuits::chunk::{Cell, ChunkShape, signature};
use circuits::convert::to_circuit;
use circuits::gadgets::edwards::Point;
use circuits::gadgets::signature::{ROWS, SignatureValues, assign};
use circuits::trace::{Block, at};
use halo2curves::bn256::Fr;
use protocol::account::LeafKey;
use protocol::batch::pairs_of_block;
use protocol::number::Height;
use protocol::state::State;
use protocol::testing::{BlockShape, Drafter, World, generator, soak};
use protocol::threaded::Threaded;
use protocol::transaction::OperationKind;
use protocol::transition::{Executed, Header, InvalidOperation, Operation, execute, open_block};
use protocol::witness::{AccessWitness, BatchTrace, ChunkWitness, PairWitness};
use rand::seq::SliceRandom;
use rand::{Rng, rngs::StdRng};
use rayon::prelude::*;

use crate::checker::Checker;
use crate::forger::{Forger, Forgery};
use crate::ledger::{Ledger, START_HEIGHT};

const PAIRS_MAX: usize = 4;

/// One checker for each capacity.
fn checker(shape: &ChunkShape) -> &'static Checker {
    static ALL: [OnceLock<Checker>; PAIRS_MAX + 1] = [const { OnceLock::new() }; PAIRS_MAX + 1];
    ALL[shape.pairs].get_or_init(|| Checker::new(&shape.circuit()))
}

/// Cuts between two pairs: the pairs since the last cut, the threaded state there and a read of leaf 0.
fn cut(trace: &mut BatchTrace) -> (Vec<PairWitness>, (Threaded, AccessWitness)) {
    let chunk = trace.cut();
    (chunk.pairs, (chunk.after, chunk.idle))
}

/// Pairs in a row, and what lies before, between and after them.
pub(crate) struct Traced {
    world: World,
    pairs: Vec<PairWitness>,
    cuts: Vec<(Threaded, AccessWitness)>,
}

impl Traced {
    pub(crate) fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// The chunk of some of the pairs.
    pub(crate) fn chunk(&self, start: usize, len: usize) -> ChunkWitness {
        ChunkWitness {
            domain: self.world.domain,
            before: self.cuts[start].0,
            after: self.cuts[start + len].0,
            pairs: self.pairs[start..start + len].to_vec(),
            idle: self.cuts[start + len].1.clone(),
        }
    }
}

/// Traces random blocks.
pub(crate) fn traced(rng: &mut StdRng) -> Traced {
    let leaves = rng.gen_range(6..40);
    let mut world = World::random(rng, leaves);
    let grown = rng.gen_range(0..3);
    world.grow(rng, grown, 4);
    let (height, inbox_count) = (world.tip.height, rng.gen_range(0..1 << 40));
    let mut trace = BatchTrace::new(world.domain, world.state.clone(), height, inbox_count);
    let (mut pairs, start) = cut(&mut trace);
    let mut cuts = vec![start];
    let domain = world.domain;
    for _ in 0..rng.gen_range(1..4) {
        let shape = BlockShape::random(rng, 5);
        let block = world.random_block(rng, &shape);
        world.apply(&block);
        let published = (trace.threaded().height, trace.threaded().fee_leaves);
        for pair in pairs_of_block(&block, published, &domain) {
            assert!(
                trace.push(&pair).unwrap().is_none(),
                "small blocks fill no chunk"
            );
            let (cut_off, place) = cut(&mut trace);
            pairs.extend(cut_off);
            cuts.push(place);
        }
    }
    assert_eq!(pairs.len() + 1, cuts.len());
    Traced { world, pairs, cuts }
}

/// What the campaign has seen.
pub(crate) type Seen = BTreeMap<String, usize>;

pub(crate) fn note(seen: &mut Seen, witness: &ChunkWitness, capacity: usize) {
    let mut add = |name: String| *seen.entry(name).or_default() += 1;
    for pair in &witness.pairs {
        for slot in &pair.slots {
            add(format!("{:?}", slot.operation.kind()));
            if let Operation::Inbox(item) = &slot.operation {
                let changed = slot
                    .accesses
                    .iter()
                    .any(|access| access.access.before != access.access.after);
                add(format!("{:?}, effective: {changed}", item.request().kind));
            }
            if let Operation::Signed { group: Some(_), .. } = &slot.operation {
                add("group member".to_owned());
            }
        }
        if pair.header.is_some() {
            add("header".to_owned());
        }
    }
    if witness.before.group.is_open() {
        add("starts inside a group".to_owned());
    }
    if capacity > witness.pairs.len() {
        add("empty pairs".to_owned());
    }
}

/// All small chunks that one seed gives.
fn chunks(seed: u64) -> Result<(usize, Seen), String> {
    let rng = &mut generator(seed);
    let traced = traced(rng);
    let mut seen = Seen::new();
    let (mut done, mut start) = (0, 0);
    while start < traced.pairs() {
        let len = rng.gen_range(1..=PAIRS_MAX - 1).min(traced.pairs() - start);
        let witness = traced.chunk(start, len);
        let shape = ChunkShape {
            pairs: len + usize::from(rng.gen_range(0..4) == 0),
        };
        let (circuit, inputs) = shape
            .prove(&witness)
            .map_err(|error| format!("seed {seed}, pair {start}: {error}"))?;
        if inputs != witness.public_inputs().map(to_circuit) {
            return Err(format!("seed {seed}, pair {start}: other public inputs"));
        }
        let broken = checker(&shape).violations(circuit.trace().unwrap(), &inputs);
        if !broken.is_empty() {
            return Err(format!("seed {seed}, pair {start}: {broken:?}"));
        }
        note(&mut seen, &witness, shape.pairs);
        (done, start) = (done + 1, start + len);
    }
    Ok((done, seen))
}

#[test]
fn random_chunks_satisfy_every_constraint() {
    let results: Vec<_> = (0..soak(110)).into_par_iter().map(chunks).collect();
    let (mut total, mut seen) = (0, Seen::new());
    for result in results {
        let (done, some) = result.unwrap();
        total += done;
        for (name, count) in some {
            *seen.entry(name).or_default() += count;
        }
    }
    assert!(total >= 200, "{total} chunks");
    all_seen(&seen);
}

/// Every kind of operation, of item and of cut occurred.
pub(crate) fn all_seen(seen: &Seen) {
    for name in [
        "Transfer",
        "TransferToNew",
        "Withdraw",
        "ChangeKey",
        "Lock",
        "BidPay",
        "BidBurn",
        "Inbox",
        "Noop",
        "header",
        "group member",
        "starts inside a group",
        "empty pairs",
        "None, effective: false",
        "Some(Deposit), effective: true",
        "Some(Deposit), effective: false",
        "Some(ForcedTransfer), effective: true",
        "Some(ForcedTransfer), effective: false",
        "Some(ForcedTransferToNew), effective: true",
        "Some(ForcedTransferToNew), effective: false",
        "Some(ForcedWithdraw), effective: true",
        "Some(ForcedWithdraw), effective: false",
        "Some(ForcedChangeKey), effective: true",
        "Some(ForcedChangeKey), effective: false",
        "Some(ForcedExit), effective: true",
        "Some(ForcedExit), effective: false",
    ] {
        assert!(seen.contains_key(name), "no '{name}' in {seen:?}");
    }
}

/// What a key may sign by itself.
pub(crate) const KINDS: [OperationKind; 5] = [
    OperationKind::Transfer,
    OperationKind::TransferToNew,
    OperationKind::Withdraw,
    OperationKind::ChangeKey,
    OperationKind::Lock,
];

/// Rules that a drawn transaction may break.
pub(crate) const BREAKABLE: [&str; 11] = [
    "SenderMissing",
    "KeyMismatch",
    "NonceMismatch",
    "Expired",
    "FeeNotFloat",
    "AmountNotFloat",
    "InsufficientBalance",
    "RecipientMissing",
    "FeeLeafSelector",
    "LockNotRaised",
    "LockTooFar",
];

/// A drawn operation that is claimed, the rule that refuses it natively, and the witness of a forger who claims it: over
/// the effects of a valid operation if it is refused, over its own if not.
pub(crate) struct Drawn {
    pub(crate) refused: Option<String>,
    pub(crate) witness: ChunkWitness,
}

/// A random world in which a block has just been opened.
pub(crate) struct Opened {
    pub(crate) world: World,
    pub(crate) header: Header,
    pub(crate) threaded: Threaded,
}

impl Opened {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        let world = World::random(rng, 12);
        let header = Header {
            height_delta: 1,
            fee_leaves: Some(world.genesis.fee_leaves),
            bid: false,
        };
        let (root, count) = (world.state.root(), world.state.leaf_count());
        let mut threaded = Threaded::batch_start(root, count, Height(START_HEIGHT), 5);
        open_block(&mut threaded, &header).unwrap();
        Self {
            world,
            header,
            threaded,
        }
    }

    pub(crate) fn drafter(&self) -> Drafter<'_, State> {
        Drafter {
            view: &self.world.state,
            threaded: &self.threaded,
            domain: &self.world.domain,
            keyring: &self.world.keyring,
        }
    }

    /// What the operation does next.
    pub(crate) fn execute(&self, operation: &Operation) -> Result<Executed, InvalidOperation> {
        let mut threaded = self.threaded;
        execute(
            &self.world.state,
            &mut threaded,
            &self.world.domain,
            operation,
        )
    }

    /// A forger at the same place; the block is his to open.
    pub(crate) fn forger(&self) -> Forger {
        Forger::on(self.world.state.clone(), self.world.domain)
    }
}

/// Draws a valid transaction and breaks it, nearly always; `None` if there is none to draw.
pub(crate) fn drawn(seed: u64) -> Option<Drawn> {
    let rng = &mut generator(seed ^ 0x5eed_0000);
    let opened = Opened::new(rng);
    let drafter = opened.drafter();
    let kind = *KINDS.choose(rng).unwrap();
    let draft = drafter.transaction(rng, kind)?;
    let mut broken = drafter.broken(rng, &draft);
    broken.fee_leaf &= 3; // words and circuit have two bits for it
    let broken = drafter.operation(&broken);
    let refused = opened.execute(&broken).err().map(|rule| {
        let name = format!("{rule:?}");
        name.split([' ', '{']).next().unwrap_or_default().to_owned()
    });
    let executed = match refused {
        Some(_) => drafter.operation(&draft),
        None => broken,
    };
    let mut forger = opened.forger();
    let slots = [
        Forgery::swap(broken, executed),
        Forgery::honest(Operation::Noop),
    ];
    let header = Some(opened.header);
    forger.pair(header.clone(), header, slots);
    let witness = forger.finish();
    Some(Drawn { refused, witness })
}

/// The rule that refuses a drawn operation natively; an error if the constraints do not refuse it too.
fn forced_in(seed: u64) -> Result<Option<String>, String> {
    let Some(Drawn {
        refused: Some(rule),
        witness,
    }) = drawn(seed)
    else {
        return Ok(None);
    };
    let shape = ChunkShape { pairs: 1 };
    let (circuit, inputs, errors) = shape.fill(&witness).unwrap();
    let refused = checker(&shape).violations(circuit.trace().unwrap(), &inputs);
    if errors.is_empty() || refused.is_empty() {
        return Err(format!("seed {seed}: {rule}: {errors:?} {refused:?}"));
    }
    Ok(Some(rule))
}

#[test]
fn random_operations_that_the_rules_refuse_are_refused() {
    let results: Vec<_> = (0..soak(300)).into_par_iter().map(forced_in).collect();
    let mut seen = Seen::new();
    for result in results {
        if let Some(rule) = result.unwrap() {
            *seen.entry(rule).or_default() += 1;
        }
    }
    assert!(seen.values().sum::<usize>() >= 150, "{seen:?}");
    for rule in BREAKABLE {
        assert!(seen.contains_key(rule), "no '{rule}' in {seen:?}");
    }
}

/// Points whose order divides 8, and the neutral element's mirror images off the subgroup: keys that the
/// admission refuses to parse.
fn small_order_keys() -> Vec<Point<Fr>> {
    let mut keys = crate::signature::small_order();
    keys.retain(|key| {
        let native = |value: Fr| circuits::convert::to_native(value);
        protocol::signature::PublicKey::new(native(key.x), native(key.y)).is_err()
    });
    assert_eq!(keys.len(), 8, "the native rules refuse all of them");
    keys
}

/// A leaf may hold such a key (nobody checks the key of a new leaf), and then anybody could sign for it:
/// 8 (S B8 - S B8 - c 8A) = O for every message. One constraint refuses it, and only that one.
#[test]
fn leaves_with_a_small_order_key_cannot_be_spent_from() {
    let shape = ChunkShape { pairs: 1 };
    for key in small_order_keys() {
        let native = |value: Fr| circuits::convert::to_native(value);
        let weak = LeafKey {
            x: native(key.x),
            y: native(key.y),
        };
        let mut leaves = Forger::new(false).state.leaves().to_vec();
        leaves[1].key = weak;
        let root = State::new(leaves).root();
        let mut forger = Forger::new(false).starting_with(|threaded| threaded.root = root);
        let slot = Forgery::tweak(Ledger::new().transfer(1, 2, 1_000), move |done, _| {
            for leaf in [&mut done.accesses[0].before, &mut done.accesses[0].after] {
                leaf.as_mut().unwrap().key = weak;
            }
        });
        let header = Ledger::header(&[3], 1, false);
        forger.pair(
            header.clone(),
            header,
            [slot, Forgery::honest(Operation::Noop)],
        );
        let (mut circuit, inputs, _) = shape.fill(&forger.finish()).unwrap();

        let message = circuit.trace().unwrap().get(shape.cell(0, Cell::Message));
        let base = Point::base();
        let values = SignatureValues {
            key,
            commitment: base, // S = 1
            response: Fr::one(),
            message,
        };
        let mut block = Block::new(ROWS);
        assert!(assign(&mut block, 0, &values).is_err());
        let trace = circuit.trace_mut().unwrap();
        let first = shape.slot_row(0);
        trace.place(first + signature().row, &block);
        trace.set(shape.cell(0, Cell::SignatureX), key.x);
        trace.set(shape.cell(0, Cell::SignatureY), key.y);
        let (low, high) = signature().ranges();
        for place in low.into_iter().chain(high) {
            refill(trace, first, place);
        }
        let checker = checker(&shape);
        let broken: Vec<String> = checker
            .violations(trace, &inputs)
            .into_iter()
            .map(|violation| match violation {
                crate::checker::Violation::Polynomial(index, _) => checker.name(index).to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(broken, ["signature head: x(8A) is not 0"], "{key:?}");
    }
}

/// Fills the range group that checks a cell of the first slot again.
fn refill(trace: &mut circuits::trace::Trace, first: usize, place: circuits::trace::At) {
    let shape = ChunkShape { pairs: 1 };
    let place = at(place.column, place.row + first);
    let value = trace.get(place);
    let wiring = shape.wiring();
    let copies = wiring.copies.iter();
    let ranged = copies
        .filter(|(left, _)| *left == place)
        .map(|(_, right)| *right);
    for target in ranged {
        let Some(pattern) = circuits::chunk::range_pattern(target.row - first) else {
            continue;
        };
        let count = pattern.groups().len();
        let mut values: Vec<Fr> = (0..count).map(|i| trace.get(at(i, target.row))).collect();
        values[target.column] = value;
        let mut block = Block::new(1);
        circuits::gadgets::range::assign(block.row_mut(0), pattern, &values).unwrap();
        trace.place(target.row, &block);
    }
}
