//! The vote rule, clause by clause: what it accepts, and each single thing it refuses.

use super::*;
use crate::{
    account::Leaf,
    block::{BLOCK_OPERATIONS_MAX, BlockId},
    number::{LeafIndex, Nonce},
    params::{EPOCH_HEIGHTS, ITEM_WORDS},
    testing::{Draft, Drafter, World, amount, leaf, secret_key},
    threaded::{FeeLeaves, Threaded},
    transaction::{Action, SignedBid, Transaction},
    vote::{Extension, Report, Withheld},
    words::Word,
};

const COLLATERAL: LeafIndex = LeafIndex(4);

/// Leaves of token 0 (keys 0 to 3), collateral at 4; one block has been decided.
fn world() -> World {
    let mut leaves: Vec<Leaf> = (0..5)
        .map(|number| leaf(number, 0, 1_000_000_000))
        .collect();
    leaves[4].balance = amount(1 << 60);
    leaves[4].lock_until = Height(3 * EPOCH_HEIGHTS);
    let mut world = World::new(leaves, 5);
    world.genesis.fee_leaves = FeeLeaves::new(&[LeafIndex(0), LeafIndex(1)]).unwrap();
    let first = world.plain_block(vec![], vec![]);
    world.apply(&first);
    world
}

fn judge_in(world: &World, block: &Block) -> Verdict {
    verdict(block, &world.prefix(&NoBaseLayer))
}

fn refused(world: &World, block: &Block) -> InvalidBlock {
    match judge_in(world, block) {
        Verdict::Invalid(reason) => reason,
        other => panic!("expected an invalid block: {other:?}"),
    }
}

/// Transfer of 10 from leaf `from` to leaf 3, with a fee of 20 to fee leaf 1.
fn submission(world: &World, from: u32, nonce: u64) -> Submission {
    match entry(world, from, nonce, 1) {
        Entry::Submission { submission, .. } => submission,
        Entry::BidBurn(_) => unreachable!(),
    }
}

fn entry(world: &World, from: u32, nonce: u64, fee_leaf: u8) -> Entry {
    let threaded = Threaded::batch_start(world.state.root(), 5, world.tip.height, 0);
    let drafter = Drafter {
        view: &world.state,
        threaded: &threaded,
        domain: &world.domain,
        keyring: &world.keyring,
    };
    drafter.entry(&Draft {
        transaction: Transaction {
            from: LeafIndex(from),
            nonce: Nonce(nonce),
            valid_until: Height(100),
            fee: amount(20),
            action: Action::Transfer {
                to: LeafIndex(3),
                amount: amount(10),
            },
        },
        fee_leaf,
    })
}

fn plain(world: &World) -> Block {
    world.plain_block(vec![], vec![entry(world, 1, 0, 1)])
}

/// Certifies the last block again, with these extensions by seat.
fn certify(world: &mut World, extensions: &[(usize, Extension)]) {
    let signed = world.certify((world.tip.height, world.tip.id), extensions);
    world.certificate = Some(signed);
}

fn at(time_ms: u64) -> Extension {
    Extension {
        time_ms,
        ..Extension::default()
    }
}

#[test]
fn an_honest_block_is_valid_and_does_what_replay_does() {
    let mut world = world();
    for _ in 0..4 {
        let nonce = world.state.leaves()[1].nonce.0;
        let block = world.plain_block(vec![], vec![entry(&world, 1, nonce, 1)]);
        let Verdict::Valid(effects) = judge_in(&world, &block) else {
            panic!("{:?}", judge_in(&world, &block));
        };
        assert_eq!(*effects, world.apply(&block));
    }
}

#[test]
fn each_header_field_is_judged() {
    let world = world();
    let with = |alter: &dyn Fn(&mut BlockHeader)| {
        let mut block = plain(&world);
        alter(&mut block.header);
        assert_ne!(block.id(), plain(&world).id());
        refused(&world, &block)
    };
    let is_core = |reason: InvalidBlock, part: &str| match reason {
        InvalidBlock::Core(text) => assert!(text.contains(part), "{text}"),
        other => panic!("{part}: {other}"),
    };
    is_core(with(&|header| header.core.chain_id = 1), "chain id");
    is_core(with(&|header| header.core.height = Height(9)), "height");
    is_core(with(&|header| header.core.epoch = Epoch(1)), "epoch");
    is_core(
        with(&|header| header.core.next_set_hash = [1; 32]),
        "next validator set",
    );
    is_core(with(&|header| header.core.author.0[0] ^= 1), "author");
    is_core(with(&|header| header.core.birth_round = Round(1)), "author");
    is_core(
        with(&|header| header.core.parent = BlockId([1; 32])),
        "parent",
    );
    is_core(
        with(&|header| header.core.certificate_hash = [1; 32]),
        "hash of the parent's certificate",
    );
    is_core(
        with(&|header| header.core.l1_origin.number = 1),
        "base-layer origin",
    );
    is_core(with(&|header| header.core.timestamp_ms += 1), "median");
    is_core(with(&|header| header.core.timestamp_ms -= 1), "median");
    is_core(
        with(&|header| header.core.state_root_before += crate::Fr::from(1_u64)),
        "state root",
    );
    is_core(
        with(&|header| header.core.fee_leaves = FeeLeaves::NONE),
        "fee leaves",
    );
    is_core(
        with(&|header| header.core.usage.operations += 1),
        "resources",
    );
    assert_eq!(
        with(&|header| header.core.payload_root = [0; 32]),
        InvalidBlock::PayloadRoot
    );
}

/// Review finding C1: a block born in a later round has that round's author, and what was born stays valid.
#[test]
fn the_author_proposes_in_the_birth_round_and_no_other_round_is_asked() {
    let world = world();
    for round in 0..8 {
        let mut block = plain(&world);
        block.header.core.birth_round = Round(round);
        block.header.core.author = *world.genesis.validators.proposer(Height(2), Round(round));
        assert!(judge_in(&world, &block).is_valid(), "born in {round}");
    }
}

#[test]
fn the_parents_certificate_is_judged_by_the_parents_set() {
    let mut world = world();
    let reseal = |world: &World, alter: &dyn Fn(&mut Block)| {
        let mut block = plain(world);
        alter(&mut block);
        let certificate = block.header.certificate.as_ref();
        block.header.core.certificate_hash = certificate.map_or([0; 32], |one| one.hash());
        judge_in(world, &block)
    };
    assert!(reseal(&world, &|_| {}).is_valid());
    let missing = reseal(&world, &|block| block.header.certificate = None);
    assert!(matches!(missing, Verdict::Invalid(InvalidBlock::Core(_))));
    let cut = reseal(&world, &|block| {
        block
            .header
            .certificate
            .as_mut()
            .unwrap()
            .signatures
            .truncate(2);
    });
    assert!(matches!(
        cut,
        Verdict::Invalid(InvalidBlock::Certificate(_))
    ));
    let other = reseal(&world, &|block| {
        block.header.certificate.as_mut().unwrap().block = BlockId([9; 32]);
    });
    assert!(matches!(other, Verdict::Invalid(InvalidBlock::Core(_))));
    // any quorum will do: the proposer chooses
    certify(&mut world, &[(0, at(5)), (2, at(5)), (3, at(5))]);
    assert!(judge_in(&world, &plain(&world)).is_valid());
    // the first block has none
    let mut fresh = World::new(world.genesis.leaves.clone(), 5);
    fresh.genesis.fee_leaves = world.genesis.fee_leaves;
    let first = plain(&fresh);
    assert!(judge_in(&fresh, &first).is_valid());
    let mut early = first;
    early.header.certificate.clone_from(&world.certificate);
    assert!(matches!(refused(&fresh, &early), InvalidBlock::Core(_)));
}

#[test]
fn time_is_the_signers_median_and_rises() {
    let mut world = world();
    let start = world.tip.timestamp_ms;
    let mut time = |times: [u64; 4]| {
        let extensions: Vec<_> = (0..4).zip(times.map(at)).collect();
        certify(&mut world, &extensions);
        let block = plain(&world);
        assert!(judge_in(&world, &block).is_valid());
        block.header.core.timestamp_ms - start
    };
    assert_eq!(time([1, 2, 3, 4].map(|step| start + step * 100)), 200);
    assert_eq!(time([start + 7, u64::MAX, start + 5, 0]), 5);
    assert_eq!(
        time([0; 4]),
        1,
        "a clock behind the parent does not stop the chain"
    );
}

fn bid_block(world: &World) -> Block {
    let mut block = plain(world);
    world.seal_bid(&mut block, COLLATERAL, amount(5_000));
    block
}

fn bid_refusal(world: &World, block: &Block, part: &str) {
    match refused(world, block) {
        InvalidBlock::Bid(reason) => assert!(reason.contains(part), "{reason}"),
        other => panic!("{part}: {other}"),
    }
}

#[test]
fn a_bid_pays_the_proposer_and_leaves_it_no_fees() {
    let mut world = world();
    let block = bid_block(&world);
    assert!(judge_in(&world, &block).is_valid());
    let greedy_entry = entry(&world, 1, 0, 0);
    let mut greedy = world.plain_block(vec![], vec![greedy_entry]);
    world.seal_bid(&mut greedy, COLLATERAL, amount(5_000));
    bid_refusal(&world, &greedy, "fee leaf 0");
    let mut alone = plain(&world);
    alone.payload.entries.clear();
    alone.header.core.fee_leaves = FeeLeaves::new(&[LeafIndex(0)]).unwrap();
    world.seal_bid(&mut alone, COLLATERAL, amount(5_000));
    bid_refusal(&world, &alone, "needs another");
    let before = world.state.leaves()[0].balance.get();
    world.apply(&block);
    assert_eq!(world.state.leaves()[0].balance.get(), before + 5_000);
}

#[test]
fn bids_are_void_in_later_rounds_small_sets_and_suspension() {
    let world = world();
    let mut late = plain(&world);
    late.header.core.birth_round = Round(1);
    late.header.core.author = *world.genesis.validators.proposer(Height(2), Round(1));
    world.seal_bid(&mut late, COLLATERAL, amount(5_000));
    bid_refusal(&world, &late, "round 0");
    // review finding C2: a set in which one validator alone is a third
    let mut seats = world.genesis.validators.validators().to_vec();
    seats[0].weight = 2;
    let heavy = ValidatorSet::new(seats).unwrap();
    let mut block = plain(&world);
    block.header.core.author = *heavy.proposer(Height(2), Round(0));
    world.seal_bid(&mut block, COLLATERAL, amount(5_000));
    let prefix = DecidedPrefix {
        set: &heavy,
        ..world.prefix(&NoBaseLayer)
    };
    let verdict = verdict(&block, &prefix);
    assert_eq!(
        verdict,
        Verdict::Invalid(InvalidBlock::Bid("this validator set takes none"))
    );
}

/// A bid of height 2 that was withheld, and the world at height `2 + after` with these seats' reports embedded.
fn withheld(reporters: &[usize]) -> (World, SignedBid) {
    let mut world = world();
    let withheld = bid_block(&world);
    let signed = withheld.header.bid.unwrap();
    let local = world.plain_block(vec![], vec![]);
    world.apply(&local);
    let report = Report {
        height: Height(2),
        bid: signed.hash(&world.domain),
        builder: signed.builder,
        block: withheld.id(),
        fault: Withheld::Missing,
    };
    let time_ms = world.tip.timestamp_ms;
    let extensions: Vec<_> = (0..4)
        .map(|seat| {
            let mut extension = at(time_ms);
            if reporters.contains(&seat) {
                extension.reports.push(report);
            }
            (seat, extension)
        })
        .collect();
    certify(&mut world, &extensions);
    let next = world.plain_block(vec![], vec![]);
    assert!(judge_in(&world, &next).is_valid());
    world.apply(&next);
    (world, signed)
}

#[test]
fn a_withheld_bid_is_burned_in_the_next_block_once() {
    let (mut world, signed) = withheld(&[0, 2]);
    let none = world.plain_block(vec![], vec![]);
    assert!(matches!(refused(&world, &none), InvalidBlock::Burn(_)));
    let burn = world.plain_block(vec![], vec![Entry::BidBurn(signed)]);
    assert!(judge_in(&world, &burn).is_valid());
    let twice = world.plain_block(vec![], vec![Entry::BidBurn(signed), Entry::BidBurn(signed)]);
    assert!(matches!(refused(&world, &twice), InvalidBlock::Burn(_)));
    let mut forged = signed;
    forged.signature.0[0] ^= 1;
    let forged = world.plain_block(vec![], vec![Entry::BidBurn(forged)]);
    assert!(matches!(refused(&world, &forged), InvalidBlock::Burn(_)));
    let balance = world.state.leaves()[4].balance.get();
    world.apply(&burn);
    assert!(world.state.leaves()[4].balance.get() < balance);
    let again = world.plain_block(vec![], vec![Entry::BidBurn(signed)]);
    assert!(matches!(refused(&world, &again), InvalidBlock::Burn(_)));
    assert!(judge_in(&world, &world.plain_block(vec![], vec![])).is_valid());
}

#[test]
fn a_third_of_the_reports_burns_nothing_and_more_than_two_thirds_suspend() {
    let (world, signed) = withheld(&[1]);
    assert!(judge_in(&world, &world.plain_block(vec![], vec![])).is_valid());
    let burn = world.plain_block(vec![], vec![Entry::BidBurn(signed)]);
    assert!(matches!(refused(&world, &burn), InvalidBlock::Burn(_)));
    let (world, signed) = withheld(&[0, 1, 3]);
    let mut block = world.plain_block(vec![], vec![Entry::BidBurn(signed)]);
    world.seal_bid(&mut block, COLLATERAL, amount(5_000));
    bid_refusal(&world, &block, "suspended");
}

/// A world whose last certificate lists these submissions, by these seats.
fn listing(submissions: &[Submission], listers: &[usize]) -> World {
    let mut world = world();
    let mut hashes: Vec<_> = submissions
        .iter()
        .map(|submission| submission.list_hash(&world.domain))
        .collect();
    hashes.sort_unstable();
    let time_ms = world.tip.timestamp_ms;
    let extensions: Vec<_> = (0..4)
        .map(|seat| {
            let mut extension = at(time_ms);
            if listers.contains(&seat) {
                extension.hashes.clone_from(&hashes);
            }
            (seat, extension)
        })
        .collect();
    certify(&mut world, &extensions);
    world
}

fn with_excuses(world: &World, entries: Vec<Entry>, excuses: Vec<Submission>) -> Block {
    let mut block = world.plain_block(vec![], entries);
    block.payload.excuses = excuses;
    block
        .payload
        .excuses
        .sort_by_key(|one| one.list_hash(&world.domain));
    world.seal(&mut block);
    block
}

#[test]
fn what_more_than_a_third_list_is_in_the_block() {
    let base = world();
    let listed = submission(&base, 1, 0);
    let world = listing(std::slice::from_ref(&listed), &[0, 3]);
    assert!(judge_in(&world, &plain(&world)).is_valid());
    let name = listed.list_hash(&world.domain);
    let empty = world.plain_block(vec![], vec![]);
    assert_eq!(refused(&world, &empty), InvalidBlock::ListedMissing(name));
    // one lister of four is not enough
    let weak = listing(&[listed], &[0]);
    assert!(judge_in(&weak, &weak.plain_block(vec![], vec![])).is_valid());
}

#[test]
fn only_what_does_not_apply_is_excused() {
    let base = world();
    let (good, gapped) = (submission(&base, 1, 0), submission(&base, 2, 7));
    let world = listing(&[good.clone(), gapped.clone()], &[0, 1, 2]);
    let block = |entries, excuses: &[&Submission]| {
        let excuses = excuses.iter().map(|one| (*one).clone()).collect();
        with_excuses(&world, entries, excuses)
    };
    let honest = block(vec![entry(&world, 1, 0, 1)], &[&gapped]);
    assert!(judge_in(&world, &honest).is_valid());
    // it applies
    let censored = block(vec![], &[&good, &gapped]);
    assert!(matches!(
        refused(&world, &censored),
        InvalidBlock::Excuse { .. }
    ));
    // it stands in the block
    let double = block(vec![entry(&world, 1, 0, 1)], &[&good, &gapped]);
    assert!(matches!(
        refused(&world, &double),
        InvalidBlock::Excuse { .. }
    ));
    // nobody listed it
    let strange = submission(&world, 3, 9);
    let block_of_stranger = block(vec![entry(&world, 1, 0, 1)], &[&strange]);
    assert!(matches!(
        refused(&world, &block_of_stranger),
        InvalidBlock::Excuse { .. }
    ));
    let many = block(vec![entry(&world, 1, 0, 1)], &[&gapped, &gapped, &gapped]);
    assert!(matches!(refused(&world, &many), InvalidBlock::Payload(_)));
    let repeated = block(vec![entry(&world, 1, 0, 1)], &[&gapped, &gapped]);
    assert!(matches!(
        refused(&world, &repeated),
        InvalidBlock::Excuse { .. }
    ));
}

/// Names do not cover signatures: breaking one must not turn a listed transaction into an excuse.
#[test]
fn an_excuse_with_a_broken_signature_is_refused() {
    let base = world();
    let good = submission(&base, 1, 0);
    let world = listing(std::slice::from_ref(&good), &[0, 1, 2]);
    let Submission::Single(mut broken) = good else {
        unreachable!()
    };
    broken.signature = secret_key(2).sign(&crate::Fr::from(1_u64));
    let broken = Submission::Single(broken);
    let block = with_excuses(&world, vec![], vec![broken]);
    assert_eq!(refused(&world, &block), InvalidBlock::Signature);
}

/// A full block excuses a listed transaction only if what fills it is listed too.
#[test]
fn stuffing_a_block_does_not_excuse() {
    let base = world();
    let victim = submission(&base, 2, 0);
    let world = listing(std::slice::from_ref(&victim), &[0, 1, 2]);
    // two transfers absorb once
    let transfers = 0..2 * BATCH_ABSORPTIONS_MAX;
    let stuffing: Vec<Entry> = transfers.map(|nonce| entry(&world, 1, nonce, 1)).collect();
    assert!(stuffing.len() < BLOCK_OPERATIONS_MAX);
    let block = with_excuses(&world, stuffing, vec![victim]);
    assert!(
        !Usage::of(&block.operations(&world.domain))
            .with(&block.operations(&world.domain)[0])
            .fits()
    );
    assert!(matches!(
        refused(&world, &block),
        InvalidBlock::Excuse { .. }
    ));
}

#[test]
fn room_is_the_blocks_or_the_lists_share() {
    let world = world();
    let one = submission(&world, 1, 0);
    let usage = |absorptions| Usage {
        absorptions,
        operations: 2,
        ..Usage::default()
    };
    let room = |total, listed| has_room(usage(total), usage(listed), &one, &world.domain);
    let (full, share) = (BATCH_ABSORPTIONS_MAX, BATCH_ABSORPTIONS_MAX / LIST_SHARE);
    assert!(room(full - 1, full - 1), "it fits the block");
    assert!(room(full, share - 1), "it fits the list's share");
    assert!(!room(full, share));
}

/// A base layer whose blocks up to `final_block` are final, with these items.
struct Given {
    final_block: u64,
    items: Vec<QueuedItem>,
}

impl BaseLayerView for Given {
    fn status(&self, origin: &L1Origin) -> OriginStatus {
        if origin.number > self.final_block {
            OriginStatus::Unknown
        } else if origin.hash == hash_of(origin.number) {
            OriginStatus::Final
        } else {
            OriginStatus::Conflicting
        }
    }

    fn item(&self, index: u64) -> Option<QueuedItem> {
        self.items.get(usize::try_from(index).unwrap()).copied()
    }
}

fn hash_of(number: u64) -> [u8; 32] {
    match number {
        0 => [0; 32],
        _ => [u8::try_from(number).unwrap(); 32],
    }
}

fn queued(byte: u8, enqueued_at: u64, due_at: u64) -> QueuedItem {
    QueuedItem {
        item: InboxItem([Word([byte; 31]); ITEM_WORDS]),
        enqueued_at,
        due_at,
    }
}

fn inbox_block(world: &World, origin: u64, items: &[QueuedItem]) -> Block {
    let inbox = items.iter().map(|queued| queued.item).collect();
    let mut block = world.plain_block(inbox, vec![]);
    block.header.core.l1_origin = L1Origin {
        number: origin,
        hash: hash_of(origin),
    };
    block
}

#[test]
fn inbox_items_are_the_next_ones_and_overdue_ones_stand() {
    let world = world();
    let items = vec![queued(1, 3, 9), queued(2, 3, 9), queued(3, 5, 20)];
    let view = Given {
        final_block: 10,
        items: items.clone(),
    };
    let judge = |origin: u64, chosen: &[QueuedItem]| {
        verdict(&inbox_block(&world, origin, chosen), &world.prefix(&view))
    };
    assert!(judge(2, &[]).is_valid());
    assert!(judge(4, &[]).is_valid(), "not due yet");
    assert!(judge(4, &items[..1]).is_valid());
    assert!(judge(4, &items[..2]).is_valid());
    assert!(judge(5, &items).is_valid());
    let inbox = |verdict: Verdict| {
        assert!(
            matches!(verdict, Verdict::Invalid(InvalidBlock::Inbox(_))),
            "{verdict:?}"
        );
    };
    inbox(judge(2, &items[..1]));
    inbox(judge(4, &items));
    inbox(judge(4, &items[1..2]));
    inbox(judge(9, &[]));
    inbox(judge(9, &items[..1]));
    assert!(judge(9, &items[..2]).is_valid());
}

#[test]
fn an_overdue_item_waits_only_for_a_full_block() {
    let world = world();
    let count = usize::try_from(INBOX_PER_BATCH_MAX).unwrap();
    let view = Given {
        final_block: 10,
        items: vec![queued(0xff, 1, 1); count + 1],
    };
    let judge = |chosen: usize| {
        let block = inbox_block(&world, 2, &view.items[..chosen]);
        verdict(&block, &world.prefix(&view)).is_valid()
    };
    assert!(judge(count));
    assert!(!judge(count - 1));
}

/// Review finding H5: a view that lags makes a block unknown, never invalid.
#[test]
fn an_origin_not_yet_final_here_is_unknown() {
    let world = world();
    let view = Given {
        final_block: 4,
        items: vec![],
    };
    let ahead = inbox_block(&world, 5, &[]);
    let Verdict::Unknown(missing) = verdict(&ahead, &world.prefix(&view)) else {
        panic!("a lagging view must not refuse");
    };
    assert_eq!(missing, Missing::Origin(ahead.header.core.l1_origin));
    let caught_up = Given {
        final_block: 5,
        items: vec![],
    };
    assert!(verdict(&ahead, &world.prefix(&caught_up)).is_valid());
    let mut forked = inbox_block(&world, 4, &[]);
    forked.header.core.l1_origin.hash = [9; 32];
    assert!(matches!(
        verdict(&forked, &world.prefix(&view)),
        Verdict::Invalid(InvalidBlock::Core(_))
    ));
}

#[test]
fn an_origin_never_falls() {
    let mut world = world();
    let view = Given {
        final_block: 9,
        items: vec![],
    };
    let high = inbox_block(&world, 7, &[]);
    assert!(verdict(&high, &world.prefix(&view)).is_valid());
    world.apply(&high);
    let low = inbox_block(&world, 6, &[]);
    assert!(!verdict(&low, &world.prefix(&view)).is_valid());
    let same = inbox_block(&world, 7, &[]);
    assert!(verdict(&same, &world.prefix(&view)).is_valid());
}
