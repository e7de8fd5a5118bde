//! Batches as the stream commits them: most are good; of the others each is wrong in one thing.
//!
//! Roots are those of small real trees, so that leaves of a proven state can exit; the words are random bytes, because the
//! contracts read no operations. What is changed before signing is signed, what is changed after it is not.

use alloy_primitives::{Address, B256, Bytes, U256};
use protocol::number::{Epoch, Height};
use protocol::params::{INBOX_PER_BATCH_MAX, ITEM_WORDS, WITHDRAWAL_WORDS};
use protocol::validator::{ValidatorKey, ValidatorSet};
use protocol::words::{WORD_BYTES, WordWriter, sequence_bytes};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use settlement::bindings::{Certificate, Header, Rollup, Words, integer, l1_address, pack_seats};

use super::certificate::digest;
use super::rollup::proof_of;
use super::stream::Cast;
use super::world::{World, height, inbox_count};

/// How many things may be wrong with a commit.
const WRONGS: u32 = 26;

/// A batch before it is signed.
struct Draft {
    header: Header,
    words: Words,
    last: (u64, B256),
}

fn counters(leaves: u64, height: u64, inbox: u64) -> U256 {
    U256::from_limbs([leaves, height, inbox, 0])
}

fn random_words(rng: &mut ChaCha8Rng, most: usize) -> Bytes {
    let mut bytes = vec![0; rng.gen_range(0..=most) * WORD_BYTES];
    rng.fill(&mut bytes[..]);
    bytes.into()
}

/// The words of so many withdrawals, owed to somebody that is watched.
fn random_withdrawals(rng: &mut ChaCha8Rng, people: &[Address], count: usize) -> Bytes {
    let mut words = Vec::with_capacity(count * WITHDRAWAL_WORDS);
    for _ in 0..count {
        let mut first = WordWriter::default();
        first.put_address(&l1_address(people[rng.gen_range(0..people.len())]));
        first.put(rng.gen_range(0..4), 32);
        first.put(u128::from(rng.r#gen::<u32>()), 32);
        let mut second = WordWriter::default();
        // most are payable; a proof of nonsense cannot take what is not there
        let bits = if rng.gen_bool(0.9) { 40 } else { 119 };
        second.put(rng.gen_range(0..1_u128 << bits), 120);
        words.extend([first.finish(), second.finish()]);
    }
    sequence_bytes(&words).into()
}

/// Draws a batch on top of the last committed one.
fn draft(rng: &mut ChaCha8Rng, cast: &Cast, world: &World) -> Draft {
    let state = &cast.states[rng.gen_range(0..cast.states.len())];
    let before = world.committed_counters;
    let from = inbox_count(before);
    let open = (world.item_count() - from).min(INBOX_PER_BATCH_MAX);
    let items = if rng.gen_bool(0.7) {
        open
    } else {
        rng.gen_range(0..=open)
    };
    let mut inbox = Vec::new();
    for number in from..from + items {
        inbox.extend(sequence_bytes(&world.item(number).expect("open").item.0));
    }
    let step = if rng.gen_bool(0.04) {
        14_400
    } else {
        rng.gen_range(1..30)
    };
    let top = height(before) + step;
    let last = top + rng.gen_range(0..3);
    let next = if rng.gen_bool(0.9) { 0 } else { 1 };
    let pairs = if rng.gen_bool(0.5) {
        rng.gen_range(1..5)
    } else {
        0
    };
    Draft {
        header: Header {
            batchNumber: world.committed + 1,
            rootBefore: world.committed_root,
            rootAfter: integer(&state.root()),
            countersBefore: before,
            countersAfter: counters(state.leaf_count(), top, from + items),
            h: U256::from(rng.r#gen::<u128>()),
            signedOps: rng.gen_range(0..20),
            epoch: Epoch::of(Height(last)).0,
            nextSetHash: B256::from(cast.sets[next].hash()),
            l1OriginTime: world.now.saturating_sub(rng.gen_range(0..400)),
            circuitVersion: 1,
        },
        words: Words {
            ops: random_words(rng, 6),
            withdrawals: random_withdrawals(rng, &cast.people, pairs),
            inbox: inbox.into(),
        },
        last: (last, B256::from(rng.r#gen::<[u8; 32]>())),
    }
}

fn cut(bytes: &mut Bytes, by: usize) {
    let end = bytes.len().saturating_sub(by);
    *bytes = bytes.slice(..end);
}

fn flip(rng: &mut ChaCha8Rng, bytes: &mut Bytes) {
    let mut changed = bytes.to_vec();
    if !changed.is_empty() {
        let place = rng.gen_range(0..changed.len());
        changed[place] ^= 1 << rng.gen_range(0..8);
    }
    *bytes = changed.into();
}

/// Makes one thing wrong that validators then sign.
fn spoil(rng: &mut ChaCha8Rng, cast: &Cast, draft: &mut Draft, wrong: u32) {
    let header = &mut draft.header;
    let item = ITEM_WORDS * WORD_BYTES;
    match wrong {
        0 => header.batchNumber += 1,
        1 => header.rootBefore = header.rootBefore.wrapping_add(U256::from(1)),
        2 => header.countersBefore ^= U256::from(1),
        3 => header.countersAfter ^= U256::from(1) << 192,
        4 => header.countersAfter += U256::from(1) << 128,
        5 => {
            let limbs = header.countersAfter.as_limbs();
            let before = height(header.countersBefore);
            header.countersAfter = counters(limbs[0], before, limbs[2]);
        }
        6 => header.circuitVersion = 2,
        7 => header.epoch += 1,
        8 => header.nextSetHash = B256::ZERO,
        9 => header.rootAfter = U256::MAX,
        10 => header.h = U256::MAX - U256::from(1),
        11 => header.signedOps = u64::MAX,
        12 => draft.words.ops = vec![7; WORD_BYTES + 1].into(),
        13 => draft.words.withdrawals = vec![0; WORD_BYTES].into(),
        14 => cut(&mut draft.words.inbox, 1),
        15 => flip(rng, &mut draft.words.inbox),
        16 => {
            draft.words.inbox = Bytes::new();
            let limbs = header.countersAfter.as_limbs();
            let from = inbox_count(header.countersBefore);
            header.countersAfter = counters(limbs[0], limbs[1], from);
        }
        17 => draft.last.0 = height(header.countersAfter).saturating_sub(1),
        18 => draft.words.inbox = [&draft.words.inbox[..], &vec![0; item]].concat().into(),
        19 => draft.words.withdrawals = random_withdrawals(rng, &cast.people, 513),
        _ => {}
    }
}

/// Signs, and makes one thing wrong that nobody signed.
fn certify(
    rng: &mut ChaCha8Rng,
    cast: &Cast,
    world: &World,
    (draft, wrong): (&Draft, u32),
) -> Certificate {
    let hash = world.epochs.get(&draft.header.epoch).map(|(hash, _)| *hash);
    let known = cast
        .sets
        .iter()
        .position(|set| Some(B256::from(set.hash())) == hash);
    let set = &cast.sets[if wrong == 20 { 2 } else { known.unwrap_or(0) }];
    let domain = integer(&world.rules.domain(draft.header.circuitVersion).0);
    let digest = digest(domain, &draft.header, &draft.words, draft.last);
    let mut signatures = signatures(&cast.keys, set, &digest);
    match wrong {
        21 => signatures.truncate(66 * 2),
        22 => signatures.truncate(66 * 3 - 1),
        23 => signatures[0] = 9,
        24 => signatures[65] = 3,
        25 => signatures[40] ^= 1,
        _ => {}
    }
    let mut validators = pack_seats(set);
    if wrong == 20 && rng.r#gen() {
        cut(&mut validators, 1);
    }
    Certificate {
        lastHeight: draft.last.0,
        lastBlock: draft.last.1,
        validators,
        signatures: signatures.into(),
    }
}

/// All seats of a set sign, as the contract takes it.
fn signatures(keys: &[ValidatorKey], set: &ValidatorSet, digest: &[u8; 32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (seat, validator) in (0_u8..).zip(set.validators()) {
        let key = keys.iter().find(|key| key.address() == validator.address);
        bytes.push(seat);
        bytes.extend_from_slice(&key.expect("a key of every seat").sign(digest).0);
    }
    bytes
}

/// A commit; about two of three are good.
pub(super) fn commit(rng: &mut ChaCha8Rng, cast: &Cast, world: &World) -> Rollup::commitBatchCall {
    let wrong = rng.gen_range(0..WRONGS * 3);
    let mut draft = draft(rng, cast, world);
    spoil(rng, cast, &mut draft, wrong);
    let certificate = certify(rng, cast, world, (&draft, wrong));
    Rollup::commitBatchCall {
        header: draft.header,
        words: draft.words,
        certificate,
    }
}

/// A commit with its proof: certified or of inbox items alone.
pub(super) fn settle(
    rng: &mut ChaCha8Rng,
    cast: &Cast,
    world: &World,
    prover: Address,
) -> Rollup::commitAndProveCall {
    let wrong = rng.gen_range(0..WRONGS * 3);
    let mut draft = draft(rng, cast, world);
    let certificate = if rng.gen_bool(0.3) {
        spoil(rng, cast, &mut draft, wrong);
        certify(rng, cast, world, (&draft, wrong))
    } else {
        let header = &mut draft.header;
        let limbs = header.countersAfter.as_limbs();
        let top = height(header.countersBefore) + 1;
        header.countersAfter = counters(limbs[0], top, limbs[2]);
        (header.signedOps, header.epoch, header.l1OriginTime) = (0, 0, 0);
        header.nextSetHash = B256::ZERO;
        let last = if rng.gen_bool(0.05) { 1 } else { 0 };
        spoil(rng, cast, &mut draft, wrong);
        Certificate {
            lastHeight: last,
            lastBlock: B256::ZERO,
            validators: Bytes::new(),
            signatures: Bytes::new(),
        }
    };
    let inputs = world
        .stored(&draft.header, &draft.words)
        .map(|made| made.inputs);
    let proof = inputs.map_or(B256::ZERO, |inputs| proof_of(&inputs, prover));
    Rollup::commitAndProveCall {
        header: draft.header,
        words: draft.words,
        certificate,
        prover,
        proof: proof.to_vec().into(),
    }
}
