//! Words rebuild every leaf; words that no honest batch publishes are refused; no words panic.

use rand::{Rng, seq::SliceRandom};
use std::{collections::BTreeSet, sync::OnceLock};

use super::*;
use crate::{
    block::Block,
    codec::{from_bytes, to_bytes},
    number::{BatchNumber, Nonce, encode_amount, encode_fee},
    params::ITEM_WORDS,
    public_inputs::PublicInputs,
    testing::{Draft, Drafter, World, amount, generator, l1_owner, leaf, soak, trace_batch},
    transition::Operation,
    words::{WORD_BYTES, Word, WordCounts, evaluate},
};

fn bytes_of(state: &State) -> Vec<u8> {
    to_bytes(&state.leaves().to_vec())
}

fn published_height(blocks: &[Block], before: Height) -> Height {
    let last = blocks.iter().rfind(|block| !block.is_empty());
    last.map_or(before, |block| block.header.core.height)
}

/// Payer and action of every signed operation that words tell without a state; a withdrawal's amount is not in its slot.
fn told(words: &Words) -> Vec<(LeafIndex, Action)> {
    let operations = published(words).unwrap();
    for (number, operation) in (0..).zip(&operations) {
        let is_withdrawal = matches!(
            operation,
            PublishedOperation::Signed {
                action: Action::Withdraw { .. },
                ..
            }
        );
        match published_at(words, number) {
            Ok(found) => assert_eq!(found, *operation),
            Err(error) => {
                assert!(is_withdrawal);
                assert_eq!(error, PublishedError::Withdrawal(number));
            }
        }
    }
    let slots = u64::try_from(operations.len()).unwrap();
    assert_eq!(
        published_at(words, slots),
        Err(PublishedError::Beyond {
            number: slots,
            slots
        })
    );
    let signed = operations
        .into_iter()
        .filter_map(|operation| match operation {
            PublishedOperation::Signed { from, action, .. } => Some((from, action)),
            _ => None,
        });
    signed.collect()
}

/// The same of the blocks' own operations.
fn done(world: &World, blocks: &[Block]) -> Vec<(LeafIndex, Action)> {
    let operations = blocks
        .iter()
        .flat_map(|block| block.operations(&world.domain));
    let signed = operations.filter_map(|operation| match operation {
        Operation::Signed { transaction, .. } => {
            let transaction = transaction.transaction;
            let action = match transaction.action {
                Action::Withdraw { .. } => Action::Withdraw {
                    amount: Amount::ZERO,
                },
                action => action,
            };
            Some((transaction.from, action))
        }
        _ => None,
    });
    signed.collect()
}

#[test]
fn genesis_and_words_rebuild_every_leaf_over_several_batches() {
    let mut kinds = BTreeSet::new();
    let mut groups = 0;
    for seed in 0..soak(3) {
        let mut rng = generator(seed);
        let mut world = World::random(&mut rng, 24);
        let mut rebuilt = (world.genesis.state(), Height(0), 0);
        for _ in 0..3 {
            let (state, height, inbox_count) = (world.state.clone(), rebuilt.1, rebuilt.2);
            let blocks = world.grow(&mut rng, 5, 12);
            for operation in blocks
                .iter()
                .flat_map(|block| block.operations(&world.domain))
            {
                kinds.insert(operation.kind());
                groups += u64::from(matches!(
                    operation,
                    Operation::Signed { group: Some(_), .. }
                ));
            }
            let traced = trace_batch(world.domain, (state, height, inbox_count), &blocks).unwrap();
            let end = traced.finished.end;
            assert_eq!(
                traced.finished.state.root(),
                world.state.root(),
                "trace and blocks agree"
            );
            assert_eq!(end.inbox_count, world.tip.inbox_count);
            assert_eq!(end.height, published_height(&blocks, height));
            let words: Words = from_bytes(&to_bytes(&traced.finished.words)).unwrap();
            assert_eq!(told(&words), done(&world, &blocks));
            rebuilt = apply_words(rebuilt, &words).unwrap();
            assert_eq!(bytes_of(&rebuilt.0), bytes_of(&world.state));
            assert_eq!(rebuilt.0.tree().levels(), world.state.tree().levels());
            assert_eq!(
                (rebuilt.0.root(), rebuilt.1, rebuilt.2),
                (end.root, end.height, end.inbox_count)
            );
        }
    }
    let all: BTreeSet<OperationKind> = OperationKind::ALL
        .into_iter()
        .filter(|kind| !matches!(kind, OperationKind::Noop | OperationKind::Block))
        .collect();
    assert_eq!(kinds, all, "the campaign published every kind");
    assert!(groups > 0);
}

/// A batch of random blocks: the state before it, its words and public inputs.
fn random_batch(seed: u64) -> (Rebuilt, Words, PublicInputs, WordCounts) {
    let mut rng = generator(seed);
    let mut world = World::random(&mut rng, 20);
    let before = (world.genesis.state(), Height(0), 0);
    let blocks = world.grow(&mut rng, 4, 10);
    let traced = trace_batch(world.domain, before.clone(), &blocks).unwrap();
    let finished = traced.finished;
    let inputs = PublicInputs::new(
        world.domain,
        BatchNumber(1),
        (&finished.start, &finished.end),
        &finished.words,
        l1_owner(1),
    );
    (before, finished.words, inputs, finished.end.counts)
}

fn sequence_mut(words: &mut Words, place: usize) -> &mut Vec<Word> {
    match place {
        0 => &mut words.ops,
        1 => &mut words.withdrawals,
        _ => &mut words.inbox,
    }
}

/// Counts as the contract takes them, and the three evaluations: what a verifier compares.
fn verdict(words: &Words, z: &crate::Fr) -> ([usize; 3], [crate::Fr; 3]) {
    (
        [words.ops.len(), words.withdrawals.len(), words.inbox.len()],
        [
            evaluate(&words.ops, z),
            evaluate(&words.withdrawals, z),
            evaluate(&words.inbox, z),
        ],
    )
}

/// Review C1, C2: whatever is changed in the words, counts or an evaluation change; most changes are refused outright,
/// and none panics.
#[test]
fn changed_words_are_refused_or_evaluate_differently() {
    let (mut refused, mut tried) = (0, 0);
    for seed in 0..soak(2) {
        let (before, words, inputs, counts) = random_batch(seed);
        let honest = verdict(&words, &inputs.z);
        assert_eq!(
            honest.1,
            [inputs.y_ops, inputs.y_withdrawals, inputs.y_inbox]
        );
        let lengths = [counts.ops, counts.withdrawals, counts.inbox];
        assert_eq!(honest.0.map(|count| u64::try_from(count).unwrap()), lengths);
        let mut rng = generator(seed + 1_000);
        for _ in 0..120 {
            let mut changed = words.clone();
            tamper(&mut rng, &mut changed);
            if changed == words {
                continue;
            }
            tried += 1;
            assert_ne!(verdict(&changed, &inputs.z), honest);
            refused += u64::from(apply_words(before.clone(), &changed).is_err());
        }
    }
    assert!(refused * 10 > tried * 7, "{refused} of {tried} refused");
}

fn tamper(rng: &mut impl Rng, words: &mut Words) {
    let place = *[0, 0, 0, 1, 2].choose(rng).unwrap();
    let count = sequence_mut(words, place).len();
    if count == 0 {
        sequence_mut(words, place).push(Word::default());
        return;
    }
    let at = rng.gen_range(0..count);
    match rng.gen_range(0..7) {
        0 => drop(sequence_mut(words, place).remove(at)),
        1 => sequence_mut(words, place).insert(at, Word::default()),
        2 => sequence_mut(words, place).swap(at, 0),
        3 => {
            let word = sequence_mut(words, place)[at];
            sequence_mut(words, place).insert(at, word);
        }
        4 => {
            // a word moves to another sequence: the boundaries shift, the bytes stay
            let word = sequence_mut(words, place).remove(at);
            sequence_mut(words, (place + 1) % 3).push(word);
        }
        5 => rng.fill(&mut sequence_mut(words, place)[at].0[..]),
        _ => {
            let bit: usize = rng.gen_range(0..8 * WORD_BYTES);
            sequence_mut(words, place)[at].0[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn garbage_never_panics() {
    let (before, words, ..) = random_batch(9);
    let mut rng = generator(77);
    for round in 0..soak(300) {
        let mut garbage = Words::default();
        for place in 0..3 {
            for _ in 0..rng.gen_range(0..12) {
                let mut word = Word::default();
                rng.fill(&mut word.0[..]);
                if rng.r#gen() {
                    // near-sense: a known type in the first slot, few bits elsewhere
                    word = Word::from_slots(
                        rng.gen_range(0..11)
                            | (rng.r#gen::<u128>() & 0x1f0)
                            | (rng.r#gen::<u128>() & 0x1f << 36),
                        rng.gen_range(0..11),
                    );
                }
                sequence_mut(&mut garbage, place).push(word);
            }
        }
        let alone = apply_words(before.clone(), &garbage);
        assert!(alone.is_err() || garbage == Words::default() || garbage.ops.is_empty());
        if round % 8 != 0 {
            continue;
        }
        // garbage behind a valid prefix
        let mut tail = words.clone();
        tail.ops.extend(garbage.ops);
        tail.withdrawals.extend(garbage.withdrawals);
        tail.inbox.extend(garbage.inbox);
        let _ = apply_words(before.clone(), &tail);
    }
}

/// Four leaves of token 0, keys 0 to 3, far from any boundary.
fn small_world() -> World {
    World::new((0..4).map(|number| leaf(number, 0, 1_000_000)).collect(), 4)
}

/// `{kind, from, to, amount, fee}` and the upper 8 bits.
fn slot(
    kind: OperationKind,
    (from, to): (u128, u128),
    value: u128,
    fee: u128,
    flags: u128,
) -> u128 {
    let value = encode_amount(amount(value)).unwrap();
    let fee = encode_fee(amount(fee)).unwrap();
    u128::from(kind.number())
        | (from << 4)
        | (to << 36)
        | (u128::from(value) << 68)
        | (u128::from(fee) << 103)
        | (flags << 116)
}

const IN_GROUP: u128 = 1 << 6;
const LAST: u128 = 1 << 7;

/// A block header word: height delta 1, fee leaf 0.
fn opening(bid: bool) -> Word {
    Word::from_slots(9 | (1 << 4) | (1 << 44) | (u128::from(bid) << 47), 0)
}

fn pay() -> u128 {
    slot(OperationKind::Transfer, (1, 2), 10, 0, 0)
}

fn ops(words: &[Word]) -> Words {
    Words {
        ops: words.to_vec(),
        ..Words::default()
    }
}

fn apply(words: &Words) -> Result<Rebuilt, RebuildError> {
    static STATE: OnceLock<State> = OnceLock::new();
    let state = STATE.get_or_init(|| small_world().state);
    apply_words((state.clone(), Height(7), 3), words)
}

#[track_caller]
fn expect_malformed(words: &[Word], part: &str) {
    match apply(&ops(words)) {
        Err(RebuildError::Malformed { reason, .. }) => assert!(reason.contains(part), "{reason}"),
        other => panic!(
            "expected a malformed word ({part}): {:?}",
            other.map(|_| ())
        ),
    }
}

#[track_caller]
fn expect_invalid(words: &Words, expected: InvalidOperation) {
    match apply(words) {
        Err(RebuildError::Invalid { reason, .. }) => assert_eq!(reason, expected),
        other => panic!("expected {expected:?}: {:?}", other.map(|_| ())),
    }
}

#[test]
fn a_hand_written_transfer_is_read() {
    let (state, height, inbox_count) =
        apply(&ops(&[opening(false), Word::from_slots(pay(), 0)])).unwrap();
    assert_eq!((height, inbox_count), (Height(8), 3));
    assert_eq!(state.leaves()[1].balance, amount(999_990));
    assert_eq!(state.leaves()[1].nonce, Nonce(1));
    assert_eq!(state.leaves()[2].balance, amount(1_000_010));
    let (state, ..) = apply(&Words::default()).unwrap();
    assert_eq!(state.root(), small_world().state.root());
}

/// The circuit only decodes: an exponent that is not the smallest gives the same operation (and other words).
#[test]
fn any_float_that_decodes_is_read() {
    let kind = u128::from(OperationKind::Transfer.number()) | (1 << 4) | (2 << 36);
    let (plain, wide) = (10_u128 << 5, 1_u128 << 5 | 1);
    let root = |value: u128| {
        let words = ops(&[opening(false), Word::from_slots(kind | (value << 68), 0)]);
        apply(&words).unwrap().0.root()
    };
    assert_eq!(root(plain), root(wide));
}

#[test]
fn malformed_slots_are_refused() {
    for number in 10..16 {
        expect_malformed(
            &[opening(false), Word::from_slots(number, 0)],
            "unknown type",
        );
        expect_malformed(
            &[opening(false), Word::from_slots(pay(), number)],
            "unknown type",
        );
    }
    expect_malformed(&[opening(false), Word::default()], "never empty");
    expect_malformed(&[opening(false), Word::from_slots(0, pay())], "never empty");
    expect_malformed(&[opening(false), opening(false)], "only on a word");
    expect_malformed(
        &[opening(false), Word::from_slots(pay(), 9)],
        "only on a word",
    );
    // Noop and Inbox carry nothing but their type
    for kind in [0, 8] {
        for bit in 4..124 {
            expect_malformed(
                &[opening(false), Word::from_slots(pay(), kind | 1 << bit)],
                "",
            );
        }
    }
    // fields a kind does not use
    for kind in [
        OperationKind::Withdraw,
        OperationKind::ChangeKey,
        OperationKind::Lock,
    ] {
        for bit in 36..103 {
            let bits = slot(kind, (1, 0), 0, 0, 0) | 1 << bit;
            expect_malformed(&[opening(false), Word::from_slots(bits, 0)], "");
        }
    }
    for bit in 36..68 {
        let bits = slot(OperationKind::TransferToNew, (1, 0), 5, 0, 0) | 1 << bit;
        expect_malformed(&[opening(false), Word::from_slots(bits, 0)], "must be zero");
    }
    for kind in [OperationKind::BidPay, OperationKind::BidBurn] {
        for bit in 36..124 {
            let bits = slot(kind, (1, 0), 0, 0, 0) | 1 << bit;
            expect_malformed(&[opening(false), Word::from_slots(bits, 0)], "");
        }
    }
    // a float of 133 bits
    let huge = pay() | ((1 << 30) - 1) << 73 | 31 << 68;
    expect_malformed(&[opening(false), Word::from_slots(huge, 0)], "2^120");
}

#[test]
fn nonce_bits_must_be_the_leafs() {
    for flags in 1..16 {
        let bits = slot(OperationKind::Transfer, (1, 2), 10, 0, flags);
        expect_malformed(&[opening(false), Word::from_slots(bits, 0)], "nonce");
    }
    let second = slot(OperationKind::Transfer, (1, 2), 10, 0, 1);
    assert!(apply(&ops(&[opening(false), Word::from_slots(pay(), second)])).is_ok());
}

#[test]
fn malformed_headers_are_refused() {
    let pair = Word::from_slots(pay(), 0);
    let header =
        |slot: u128, leaves: u128| expect_malformed(&[Word::from_slots(slot, leaves), pair], "");
    let base = 9 | 1 << 4;
    for count in 5..8 {
        header(base | count << 44, 0);
    }
    for bit in 48..124 {
        header(base | 1 << 44 | 1 << bit, 0);
    }
    for bit in 32..124 {
        header(base | 1 << 44, 1 << bit); // leaves beyond the count, spare bits
    }
    header(base, 1); // "as before" names none
    let four = Word::from_slots(base | 4 << 44, 0);
    for bit in 32..248 {
        let spare = if bit < 124 {
            Word::from_slots(1 << bit, 0)
        } else {
            Word::from_slots(0, 1 << (bit - 124))
        };
        expect_malformed(&[four, spare, pair], "fee leaves");
    }
    assert!(apply(&ops(&[four, Word::from_slots(3, 0), pair])).is_ok());
    // a batch's first block names its fee leaves; the height rises
    expect_invalid(
        &ops(&[Word::from_slots(base, 0), pair]),
        InvalidOperation::NoFeeLeaves,
    );
    expect_invalid(
        &ops(&[Word::from_slots(9 | 1 << 44, 0), pair]),
        InvalidOperation::HeightDelta,
    );
}

#[test]
fn sequences_may_be_neither_short_nor_long() {
    let pair = Word::from_slots(pay(), 0);
    let short = |words: &Words, name: &str| match apply(words) {
        Err(RebuildError::Short(sequence)) => assert_eq!(sequence, name),
        other => panic!("expected a short {name}: {:?}", other.map(|_| ())),
    };
    short(&ops(&[opening(false)]), "ops");
    let inbox = Word::from_slots(8, 0);
    short(&ops(&[opening(false), inbox]), "inbox");
    let withdraw = Word::from_slots(slot(OperationKind::Withdraw, (1, 0), 0, 0, 0), 0);
    short(&ops(&[opening(false), withdraw]), "withdrawals");
    let change = Word::from_slots(slot(OperationKind::ChangeKey, (1, 0), 0, 0, 0), 0);
    short(
        &ops(&[opening(false), change, Word::default(), Word::default()]),
        "ops",
    );
    let one_too_many = [Word::default()];
    let good = ops(&[opening(false), pair]);
    let trailing = [
        Words {
            withdrawals: one_too_many.to_vec(),
            ..good.clone()
        },
        Words {
            inbox: one_too_many.to_vec(),
            ..good
        },
    ];
    for words in trailing {
        assert!(matches!(apply(&words), Err(RebuildError::Trailing(_))));
    }
    let mut item = ops(&[opening(false), inbox]);
    item.inbox = vec![Word::default(); ITEM_WORDS];
    assert_eq!(apply(&item).unwrap().2, 4);
    item.inbox.pop();
    short(&item, "inbox");
}

#[test]
fn withdrawal_words_must_be_the_operations() {
    let withdraw = Word::from_slots(slot(OperationKind::Withdraw, (1, 0), 0, 0, 0), 0);
    let mut world = small_world();
    let drafter = Drafter {
        view: &world.state,
        threaded: &Threaded::batch_start(world.state.root(), 4, Height(0), 0),
        domain: &world.domain,
        keyring: &world.keyring,
    };
    let entry = drafter.entry(&Draft {
        transaction: crate::transaction::Transaction {
            from: LeafIndex(1),
            nonce: Nonce(0),
            valid_until: Height(9),
            fee: Amount::ZERO,
            action: Action::Withdraw { amount: amount(77) },
        },
        fee_leaf: 0,
    });
    let block = world.plain_block(vec![], vec![entry]);
    let before = (world.state.clone(), Height(0), 0);
    world.apply(&block);
    let words = trace_batch(world.domain, before.clone(), &[block])
        .unwrap()
        .finished
        .words;
    assert_eq!(words.ops, vec![opening(false), withdraw]);
    assert!(apply_words(before.clone(), &words).is_ok());
    // owner, token, leaf, and each bit above them
    for bit in 0..248 {
        let mut other = words.clone();
        other.withdrawals[0].0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            apply_words(before.clone(), &other).err(),
            Some(RebuildError::Withdrawal { place: 1 })
        );
    }
    // the amount is published only there: another amount is another operation, spare bits are refused
    let mut other = words.clone();
    other.withdrawals[1].0[30] ^= 1;
    let (state, ..) = apply_words(before.clone(), &other).unwrap();
    assert_ne!(state.root(), world.state.root());
    let mut spare = words.clone();
    spare.withdrawals[1].0[0] = 1;
    assert!(matches!(
        apply_words(before.clone(), &spare),
        Err(RebuildError::Malformed { .. })
    ));
    let mut half = words;
    half.withdrawals.pop();
    assert!(apply_words(before, &half).is_err());
}

/// Review H8: no decoder reduces mod p.
#[test]
fn keys_and_extension_words_are_canonical() {
    let change = Word::from_slots(slot(OperationKind::ChangeKey, (1, 0), 0, 0, 0), 0);
    let full = Word([0xff; WORD_BYTES]);
    let zero = Word::default();
    let high = |x: u128, y: u128| Word::from_slots(x | y << 6, 0);
    let key = |words: [Word; 3]| [&[opening(false), change][..], &words[..]].concat();
    assert!(apply(&ops(&key([full, full, high(0x2f, 0x2f)]))).is_ok());
    expect_malformed(&key([full, zero, high(0x30, 0)]), "key"); // x = 0x30ff... >= p
    expect_malformed(&key([zero, full, high(0, 0x30)]), "key");
    expect_malformed(&key([zero, zero, high(0x3f, 0)]), "key");
    expect_malformed(&key([zero, zero, Word::from_slots(1 << 12, 0)]), "key"); // owner of no new leaf
    let lock = Word::from_slots(slot(OperationKind::Lock, (1, 0), 0, 0, 0), 0);
    let until = |bits: u128| [opening(false), lock, Word::from_slots(bits, 0)];
    assert!(apply(&ops(&until(100 << 12))).is_ok());
    expect_malformed(&until(100 << 12 | 1), "extension");
    expect_malformed(&until(1 << 76), "extension");
    // TransferToNew without an owner is a rule's business
    let new = Word::from_slots(slot(OperationKind::TransferToNew, (1, 0), 5, 0, 0), 0);
    expect_invalid(
        &ops(&[opening(false), new, zero, zero, zero]),
        InvalidOperation::ZeroOwner,
    );
}

#[test]
fn inbox_items_stand_where_blocks_put_them() {
    let inbox = slot(OperationKind::Inbox, (0, 0), 0, 0, 0);
    let with_item = |words: &[Word]| Words {
        inbox: vec![Word::default(); ITEM_WORDS],
        ..ops(words)
    };
    let outside = with_item(&[Word::from_slots(inbox, 0)]);
    expect_invalid(&outside, InvalidOperation::InboxOutOfPlace);
    let late = with_item(&[opening(false), Word::from_slots(pay(), inbox)]);
    expect_invalid(&late, InvalidOperation::InboxOutOfPlace);
    let first = with_item(&[opening(false), Word::from_slots(inbox, pay())]);
    assert!(apply(&first).is_ok());
    expect_invalid(
        &ops(&[Word::from_slots(pay(), 0)]),
        InvalidOperation::NoBlock,
    );
}

#[test]
fn groups_close_inside_their_block() {
    let member = |from: u128, flags: u128| slot(OperationKind::Transfer, (from, 0), 1, 0, flags);
    let pair = |a: u128, b: u128| Word::from_slots(a, b);
    let open = member(1, IN_GROUP);
    let closed = member(2, IN_GROUP | LAST);
    assert!(apply(&ops(&[opening(false), pair(open, closed)])).is_ok());
    expect_malformed(&[opening(false), pair(open, member(2, LAST))], "no group");
    let refused = |words: &[Word], expected| expect_invalid(&ops(words), expected);
    refused(
        &[opening(false), pair(closed, 0)],
        InvalidOperation::GroupMismatch,
    );
    refused(
        &[opening(false), pair(open, 0)],
        InvalidOperation::GroupOpen,
    ); // the end of the batch
    refused(
        &[
            opening(false),
            pair(open, 0),
            opening(false),
            pair(closed, 0),
        ],
        InvalidOperation::GroupOpen,
    );
    refused(
        &[opening(false), pair(open, member(2, 0))],
        InvalidOperation::GroupOpen,
    );
    // refused where it stands: the group would close behind it
    let burn = slot(OperationKind::BidBurn, (2, 0), 0, 0, 0);
    refused(
        &[
            opening(false),
            pair(open, burn),
            Word::default(),
            pair(closed, 0),
        ],
        InvalidOperation::GroupOpen,
    );
    let many: Vec<Word> = (0..9)
        .map(|place| pair(member(1, IN_GROUP | place), member(2, IN_GROUP | place)))
        .collect();
    let mut sixteen = [&[opening(false)], &many[..8]].concat();
    refused(
        &[&[opening(false)], &many[..]].concat(),
        InvalidOperation::GroupMismatch,
    );
    sixteen[8] = pair(member(1, IN_GROUP | 7), member(2, IN_GROUP | LAST | 7));
    assert!(apply(&ops(&sixteen)).is_ok());
}

#[test]
fn a_promised_bid_comes_first_and_only_if_promised() {
    let paid = Word::from_slots(slot(OperationKind::BidPay, (1, 0), 0, 0, 0), 0);
    let value = Word::from_slots(5 << 12, 0);
    let (state, ..) = apply(&ops(&[opening(true), paid, value])).unwrap();
    assert_eq!(state.leaves()[0].balance, amount(1_000_005));
    expect_invalid(
        &ops(&[opening(false), paid, value]),
        InvalidOperation::BidOutOfPlace,
    );
    let pair = Word::from_slots(pay(), 0);
    expect_invalid(&ops(&[opening(true), pair]), InvalidOperation::BidMissing);
    // only an inbox item, then the batch ends
    let mut unpaid = ops(&[opening(true), Word::from_slots(8, 0)]);
    unpaid.inbox = vec![Word::default(); ITEM_WORDS];
    expect_invalid(&unpaid, InvalidOperation::BidMissing);
}
