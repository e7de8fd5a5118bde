//! Witnesses are self-contained: each chunk re-executes from its own content alone, and chunks chain.

use ark_ff::Zero;

use super::*;
use crate::{
    account::{LeafKey, leaf_hash},
    batch::{Usage, pairs_of_block},
    block::{Block, Entry},
    codec::{from_bytes, to_bytes},
    inbox::{InboxKind, InboxRequest},
    number::{Amount, BatchNumber, Height, Nonce, TokenId},
    params::{
        BATCH_ABSORPTIONS_MAX, CHUNK_PAIRS, INBOX_PER_BATCH_MAX, ITEM_WORDS,
        WITHDRAWALS_PER_BATCH_MAX,
    },
    public_inputs::PublicInputs,
    state::LeafView,
    testing::{
        Draft, Drafter, World, amount, generator, l1_owner, leaf, soak, trace_batch,
        trace_in_chunks,
    },
    threaded::FeeLeaves,
    transaction::{Action, Transaction},
    tree::root_of_path,
};

/// What a slot's own accesses tell about leaves, each read answered by the latest access of the slot.
struct SlotView<'a>(&'a SlotWitness);

impl LeafView for SlotView<'_> {
    fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        let mut accesses = self.0.accesses.iter();
        let found = accesses.find(|witness| witness.access.index == index)?;
        found.access.before
    }
}

/// Walks one path: the leaf before leads to `root`; returns the root after.
fn walk(witness: &AccessWitness, root: Fr) -> Fr {
    let Access {
        index,
        before,
        after,
    } = witness.access;
    assert_eq!(
        root_of_path(index, leaf_hash(before.as_ref()), &witness.siblings),
        root
    );
    root_of_path(index, leaf_hash(after.as_ref()), &witness.siblings)
}

/// Does what the chunk circuit does, from nothing but the witness.
fn check_chunk(chunk: &ChunkWitness, size: ChunkSize) {
    let mut threaded = chunk.before;
    assert!(!chunk.pairs.is_empty());
    let mut load = ChunkLoad::default();
    for pair in &chunk.pairs {
        if let Some(header) = &pair.header {
            open_block(&mut threaded, header).unwrap();
        }
        let executed = [0, 1].map(|place| {
            let slot = &pair.slots[place];
            let root = threaded.root;
            let executed = execute(
                &SlotView(slot),
                &mut threaded,
                &chunk.domain,
                &slot.operation,
            )
            .unwrap();
            let witnessed = [0, 1, 2].map(|place| slot.accesses[place].access);
            assert_eq!(executed.accesses, witnessed);
            threaded.root = slot
                .accesses
                .iter()
                .fold(root, |root, access| walk(access, root));
            executed
        });
        let rebuilt = Pair {
            header: pair.header.clone(),
            slots: [pair.slots[0].operation, pair.slots[1].operation],
        };
        assert_eq!(pair_groups(&rebuilt, &executed), pair.groups);
        load.take(pair);
        for group in &pair.groups {
            threaded.h = absorb(&threaded.h, group);
            threaded.counts.count(group);
        }
    }
    assert!(size.has_room(&load.used(), &ChunkSize::default()));
    assert_eq!(threaded, chunk.after);
    assert_eq!(
        walk(&chunk.idle, threaded.root),
        threaded.root,
        "an idle read changes nothing"
    );
    assert_eq!(chunk.idle.access.index, LeafIndex(0));
    let [domain, before, after] = chunk.public_inputs();
    assert_eq!(domain, chunk.domain.0);
    assert_eq!((before, after), (chunk.before.digest(), threaded.digest()));
}

fn check_batch(world: &World, before: (State, Height, u64), blocks: &[Block]) -> Vec<ChunkWitness> {
    check_in_chunks(ChunkSize::PROTOCOL, world, before, blocks)
}

fn check_in_chunks(
    size: ChunkSize,
    world: &World,
    before: (State, Height, u64),
    blocks: &[Block],
) -> Vec<ChunkWitness> {
    let traced = trace_in_chunks(size, world.domain, before, blocks).unwrap();
    let (chunks, finished) = (traced.chunks, traced.finished);
    let mut expected = finished.start;
    assert!(expected.is_batch_start());
    for chunk in &chunks {
        assert_eq!(chunk.before.digest(), expected.digest(), "digests chain");
        assert_eq!(chunk.before, expected);
        check_chunk(chunk, size);
        expected = chunk.after;
    }
    assert_eq!(expected, finished.end);
    assert!(finished.end.is_batch_end());
    assert_eq!(finished.end.root, finished.state.root());
    assert_eq!(finished.state.root(), world.state.root());
    check_data(&finished);
    chunks
}

/// Groups, words, counts and both twins' public inputs agree.
fn check_data(finished: &FinishedBatch) {
    let (words, counts) = (&finished.words, finished.end.counts);
    let lengths = [words.ops.len(), words.withdrawals.len(), words.inbox.len()];
    let lengths = lengths.map(|length| u64::try_from(length).unwrap());
    assert_eq!(lengths, [counts.ops, counts.withdrawals, counts.inbox]);
    assert_eq!(
        words.len_bytes(),
        lengths.iter().map(|length| *length as usize).sum::<usize>() * 31
    );
    let inputs = PublicInputs::new(
        crate::transaction::Domain(Fr::from(3_u64)),
        BatchNumber(4),
        (&finished.start, &finished.end),
        words,
        l1_owner(1),
    );
    let data = DataWitness {
        groups: finished.groups.clone(),
        z: inputs.z,
    };
    let unsigned = WordCounts {
        signed_operations: 0,
        ..counts
    };
    assert_eq!(
        data.public_inputs(),
        [
            inputs.h,
            inputs.z,
            inputs.y_ops,
            inputs.y_withdrawals,
            inputs.y_inbox,
            unsigned.to_field()
        ]
    );
    let back: DataWitness = from_bytes(&to_bytes(&data)).unwrap();
    assert_eq!(back, data);
}

#[test]
fn random_batches_are_self_contained_and_chain() {
    for seed in 0..soak(2) {
        let mut rng = generator(seed);
        let mut world = World::random(&mut rng, 24);
        let mut height = Height(0);
        for _ in 0..2 {
            let before = (world.state.clone(), height, world.tip.inbox_count);
            let blocks = world.grow(&mut rng, 4, 16);
            check_batch(&world, before, &blocks);
            let last = blocks.iter().rfind(|block| !block.is_empty());
            height = last.map_or(height, |block| block.header.core.height);
        }
    }
}

#[test]
fn a_chunk_is_cut_by_whatever_is_used_up_first() {
    let more = ChunkSize::PAIR_MAX;
    let whole = ChunkSize::PROTOCOL;
    let tight: [fn(&mut ChunkSize, usize); 5] = [
        |size, pairs| size.pairs = pairs,
        |size, pairs| size.leaves = ChunkSize::PAIR_MAX.leaves + 2 * pairs,
        |size, pairs| size.nodes = ChunkSize::PAIR_MAX.nodes + TREE_LEVELS + pairs,
        |size, pairs| size.wide_hashes = ChunkSize::PAIR_MAX.wide_hashes + 4 * pairs,
        |size, pairs| size.short_hashes = ChunkSize::PAIR_MAX.short_hashes + pairs,
    ];
    for (seed, tighten) in (0..).zip(tight) {
        let mut rng = generator(seed);
        let mut world = World::random(&mut rng, 60);
        let before = (world.state.clone(), Height(0), world.tip.inbox_count);
        let blocks = world.grow(&mut rng, 6, 16);
        let mut counts = Vec::new();
        for pairs in [3, 8] {
            let mut size = whole;
            tighten(&mut size, pairs);
            assert!(size.has_room(&ChunkSize::default(), &more));
            counts.push(check_in_chunks(size, &world, before.clone(), &blocks).len());
        }
        assert!(counts[0] > counts[1] && counts[1] > 1, "{seed}: {counts:?}");
    }
}

/// Slots of a full chunk.
const CHUNK_SLOTS: u64 = 2 * CHUNK_PAIRS as u64;

/// Transfers from key 1 to key 2, nonces from `nonce`.
fn transfers(world: &World, nonce: u64, count: u64) -> Vec<Draft> {
    (0..count)
        .map(|place| Draft {
            transaction: Transaction {
                from: LeafIndex(1),
                nonce: Nonce(world.state.leaves()[1].nonce.0 + nonce + place),
                valid_until: Height(1_000),
                fee: Amount::ZERO,
                action: Action::Transfer {
                    to: LeafIndex(2),
                    amount: amount(1),
                },
            },
            fee_leaf: 0,
        })
        .collect()
}

fn entries(world: &World, singles: u64, group: u64) -> Vec<Entry> {
    let threaded = Threaded::batch_start(world.state.root(), 4, world.tip.height, 0);
    let drafter = Drafter {
        view: &world.state,
        threaded: &threaded,
        domain: &world.domain,
        keyring: &world.keyring,
    };
    let mut entries: Vec<Entry> = transfers(world, 0, singles)
        .iter()
        .map(|draft| drafter.entry(draft))
        .collect();
    if group > 0 {
        entries.push(drafter.group(&transfers(world, singles, group)));
    }
    entries
}

fn small_world() -> World {
    World::new((0..4).map(|number| leaf(number, 0, 1_000_000)).collect(), 4)
}

#[test]
fn a_group_may_cross_a_chunk_and_blocks_may_too() {
    let mut world = small_world();
    let before = (world.state.clone(), Height(0), 0);
    // a batch of transfers is no more than one full chunk: smaller ones, then
    let size = ChunkSize {
        pairs: 8,
        ..ChunkSize::PROTOCOL
    };
    let block = world.plain_block(vec![], entries(&world, 14, 4));
    world.apply(&block);
    let next = world.plain_block(vec![], entries(&world, 3, 0));
    world.apply(&next);
    let chunks = check_in_chunks(size, &world, before, &[block, next]);
    assert_eq!(
        chunks
            .iter()
            .map(|chunk| chunk.pairs.len())
            .collect::<Vec<_>>(),
        [8, 3]
    );
    let crossing = chunks[0].after.group;
    assert_eq!(crossing.members, 2);
    assert!(!crossing.hash.is_zero());
    assert!(!chunks[0].after.is_batch_end());
}

#[test]
fn a_batch_that_ends_with_a_full_chunk_has_no_empty_one() {
    let mut world = small_world();
    let before = (world.state.clone(), Height(0), 0);
    let block = world.plain_block(vec![], entries(&world, CHUNK_SLOTS, 0));
    world.apply(&block);
    let chunks = check_batch(&world, before.clone(), &[block]);
    assert_eq!(chunks.len(), 1);
    let nothing = trace_batch(world.domain, before, &[]).unwrap();
    assert!(nothing.chunks.is_empty());
    assert_eq!(nothing.finished.start, nothing.finished.end);
}

#[test]
fn chunk_witnesses_round_trip_and_refuse_short_or_long_bytes() {
    let mut rng = generator(3);
    let mut world = World::random(&mut rng, 24);
    let before = (world.state.clone(), Height(0), 0);
    let blocks = world.grow(&mut rng, 3, 12);
    for chunk in check_batch(&world, before, &blocks) {
        let bytes = to_bytes(&chunk);
        assert_eq!(from_bytes::<ChunkWitness>(&bytes).as_ref(), Ok(&chunk));
        for cut in [0, 1, 31, bytes.len() / 2, bytes.len() - 1] {
            assert!(from_bytes::<ChunkWitness>(&bytes[..cut]).is_err());
        }
        assert!(from_bytes::<ChunkWitness>(&[&bytes[..], &[0]].concat()).is_err());
        let mut huge = bytes.clone();
        let at = 32 + to_bytes(&chunk.before).len() * 2;
        huge[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes()); // four billion pairs
        assert!(from_bytes::<ChunkWitness>(&huge).is_err());
        let mut reduced = bytes;
        reduced[..32].copy_from_slice(&[0xff; 32]);
        assert!(
            from_bytes::<ChunkWitness>(&reduced).is_err(),
            "no field element is reduced"
        );
    }
}

/// Review C8: whatever the items are, `INBOX_PER_BATCH_MAX` of them fit one batch alone, in words, absorptions and
/// withdrawals; the bound that blocks are metered by is met exactly.
#[test]
fn the_worst_inbox_mix_fits_one_batch() {
    let mut world = small_world();
    let before = (world.state.clone(), Height(0), 0);
    let exit = InboxRequest {
        kind: Some(InboxKind::ForcedExit),
        from: LeafIndex(1),
        to: LeafIndex(0),
        token: TokenId(0),
        amount: Amount::ZERO,
        owner: l1_owner(1),
        l1_owner: l1_owner(1),
        key: LeafKey::NULL,
    };
    let count = usize::try_from(INBOX_PER_BATCH_MAX).unwrap();
    let block = world.plain_block(vec![exit.to_item(); count], vec![]);
    let effects = world.apply(&block);
    assert!(
        effects
            .executed
            .iter()
            .all(|executed| executed.withdrawal.is_some())
    );
    let traced = trace_batch(world.domain, before.clone(), std::slice::from_ref(&block)).unwrap();
    let usage = Usage::of(&block.operations(&world.domain));
    let absorbed = u64::try_from(traced.finished.groups.len()).unwrap();
    assert_eq!(usage.absorptions, absorbed);
    assert!(absorbed <= BATCH_ABSORPTIONS_MAX);
    let counts = traced.finished.end.counts;
    assert_eq!(counts.withdrawals, 2 * INBOX_PER_BATCH_MAX);
    assert!(counts.withdrawals <= 2 * WITHDRAWALS_PER_BATCH_MAX);
    assert_eq!(counts.inbox, INBOX_PER_BATCH_MAX * ITEM_WORDS as u64);
    check_batch(&world, before, &[block]);
}

/// What builders meter is never less than what a batch takes.
#[test]
fn usage_bounds_what_a_batch_takes() {
    for seed in 0..soak(4) {
        let mut rng = generator(seed);
        let mut world = World::random(&mut rng, 24);
        let before = (world.state.clone(), Height(0), 0);
        let blocks = world.grow(&mut rng, 6, 12);
        let usage = blocks.iter().fold(Usage::default(), |usage, block| {
            usage.join(Usage::of(&block.operations(&world.domain)))
        });
        let traced = trace_batch(world.domain, before, &blocks).unwrap();
        let counts = traced.finished.end.counts;
        assert!(traced.finished.groups.len() as u64 <= usage.absorptions);
        assert!(counts.withdrawals <= 2 * usage.withdrawals);
        assert_eq!(counts.inbox, usage.inbox * ITEM_WORDS as u64);
        let pairs: usize = traced.chunks.iter().map(|chunk| chunk.pairs.len()).sum();
        assert_eq!(usage.operations.div_ceil(2), pairs as u64);
    }
}

#[test]
fn headers_name_fee_leaves_at_a_batchs_start_and_on_change_only() {
    let mut world = small_world();
    let fee_leaves = |leaves: &[u32]| {
        FeeLeaves::new(
            &leaves
                .iter()
                .map(|leaf| LeafIndex(*leaf))
                .collect::<Vec<_>>(),
        )
        .unwrap()
    };
    let mut blocks = Vec::new();
    for named in [&[0][..], &[0], &[], &[0, 1, 2, 3], &[0]] {
        let is_empty = named.is_empty();
        let leaves = if is_empty {
            fee_leaves(&[3])
        } else {
            fee_leaves(named)
        };
        let payload = crate::block::Payload {
            inbox: vec![],
            entries: if is_empty {
                vec![]
            } else {
                entries(&world, 1, 0)
            },
            excuses: vec![],
        };
        let block = world.block(payload, leaves);
        world.apply(&block);
        blocks.push(block);
    }
    let headers = |blocks: &[Block], mut height: Height| {
        let mut previous = FeeLeaves::NONE;
        let mut headers = Vec::new();
        for block in blocks {
            for pair in pairs_of_block(block, (height, previous), &world.domain) {
                let header = pair.header.unwrap();
                headers.push((
                    header.height_delta,
                    header.fee_leaves.map(|all| all.count()),
                ));
                (height, previous) = (block.header.core.height, block.header.core.fee_leaves);
            }
        }
        headers
    };
    // the empty block publishes nothing: its height is skipped and its fee leaves are not remembered
    let expected = [(1, Some(1)), (1, None), (2, Some(4)), (1, Some(1))];
    assert_eq!(headers(&blocks, Height(0)), expected);
    // a new batch names them again, whatever the batch before ended with
    assert_eq!(
        headers(&blocks[1..], Height(1)),
        [(1, Some(1)), (2, Some(4)), (1, Some(1))]
    );
}

/// Odd blocks are padded by one Noop; blocks start on a word.
#[test]
fn blocks_start_on_a_word() {
    let world = small_world();
    for count in 0..4 {
        let block = world.plain_block(vec![], entries(&world, count, 0));
        let pairs = pairs_of_block(&block, (Height(0), FeeLeaves::NONE), &world.domain);
        assert_eq!(pairs.len() as u64, count.div_ceil(2));
        for (place, pair) in pairs.iter().enumerate() {
            assert_eq!(pair.header.is_some(), place == 0);
            assert_ne!(pair.slots[0], Operation::Noop);
            let is_lone = count % 2 == 1 && place + 1 == pairs.len();
            assert_eq!(pair.slots[1] == Operation::Noop, is_lone);
        }
    }
}
