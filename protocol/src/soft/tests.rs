//! Fork choice counts each validator once, and what is forged, foreign, too much or out of place is refused.

use super::*;
use crate::{
    Fr,
    codec::from_bytes,
    number::{Amount, LeafIndex, Nonce},
    signature::SecretKey,
    transaction::{Action, SignedTransaction, Transaction},
    validator::{Validator, ValidatorSet},
};

const BASE: (Height, BlockId) = (Height(7), BlockId([0x77; 32]));

fn domain() -> Domain {
    Domain(Fr::from(1_u64))
}

fn key(number: u8) -> ValidatorKey {
    ValidatorKey::from_bytes(&[number; 32]).unwrap()
}

/// Validators 1 to 4, of weights 1, 1, 1 and 2.
fn set() -> ValidatorSet {
    let validators = (1..=4).map(|number| Validator {
        address: key(number).address(),
        weight: if number == 4 { 2 } else { 1 },
    });
    ValidatorSet::new(validators.collect()).unwrap()
}

fn submission(nonce: u64) -> Submission {
    let secret = SecretKey::from_seed(&[9; 32]);
    let transaction = Transaction {
        from: LeafIndex(1),
        nonce: Nonce(nonce),
        valid_until: Height(100),
        fee: Amount::ZERO,
        action: Action::Transfer {
            to: LeafIndex(2),
            amount: Amount::new(1).unwrap(),
        },
    };
    Submission::Single(SignedTransaction {
        transaction,
        key: secret.public(),
        signature: secret.sign(&transaction.message(&domain(), false)),
    })
}

fn block(author: u8, number: u64, parent: SoftHash) -> SoftBlock {
    SoftBlock {
        base_height: BASE.0,
        base: BASE.1,
        number,
        parent,
        author: key(author).address(),
        time_ms: 5,
        submissions: vec![submission(number)],
    }
}

fn propose(block: SoftBlock, author: u8) -> SoftProposal {
    let signature = block.vote().sign(&domain(), &key(author)).signature;
    SoftProposal { block, signature }
}

/// A tree with helpers that know set and domain.
struct Grove(SoftTree);

impl Grove {
    fn new() -> Self {
        Self(SoftTree::new(BASE.0, BASE.1))
    }

    fn grow(&mut self, author: u8, number: u64, parent: SoftHash) -> SoftHash {
        let proposal = propose(block(author, number, parent), author);
        self.0.insert(proposal, &domain(), &set()).unwrap()
    }

    fn refuse(&mut self, proposal: SoftProposal) -> SoftRefusal {
        self.0.insert(proposal, &domain(), &set()).unwrap_err()
    }

    fn vote(&mut self, validator: u8, hash: SoftHash) -> Result<(), SoftRefusal> {
        let vote = self.0.get(&hash).unwrap().proposal.block.vote();
        let signed = vote.sign(&domain(), &key(validator));
        self.0.vote(signed, &domain(), &set())
    }

    fn head(&self) -> Option<SoftHash> {
        self.0.choose(&set()).head
    }

    fn weight(&self, hash: SoftHash) -> u128 {
        let weights = self.0.choose(&set()).weights;
        weights.get(&hash).copied().unwrap_or(0)
    }
}

#[test]
fn the_heaviest_chain_is_the_head_and_then_the_lower_hash() {
    let mut grove = Grove::new();
    let root = grove.0.root();
    assert_eq!(grove.head(), None);
    let one = grove.grow(1, 1, root);
    assert_eq!(grove.head(), Some(one));
    let two = grove.grow(2, 1, root);
    assert_eq!(grove.head(), Some(one.min(two)), "one vote each");
    let light = one.min(two);
    let heavy = one.max(two);
    grove.vote(3, heavy).unwrap();
    assert_eq!(grove.head(), Some(heavy));
    // 4 weighs as much as both
    grove.vote(4, light).unwrap();
    assert_eq!((grove.weight(light), grove.weight(heavy)), (3, 2));
    assert_eq!(grove.head(), Some(light));
}

#[test]
fn a_vote_supports_the_whole_chain_below_it_and_moves_with_its_validator() {
    let mut grove = Grove::new();
    let root = grove.0.root();
    let one = grove.grow(1, 1, root);
    let other = grove.grow(2, 1, root);
    let two = grove.grow(3, 2, one);
    let three = grove.grow(4, 5, two);
    assert_eq!(grove.head(), Some(three));
    assert_eq!([one, two, three].map(|hash| grove.weight(hash)), [4, 3, 2]);
    let chain: Vec<SoftHash> = grove.0.chain(Some(three)).iter().map(|one| one.0).collect();
    assert_eq!(chain, [one, two, three]);
    // 3 and 4 change their minds
    let next = grove.grow(3, 6, other);
    grove.vote(4, next).unwrap();
    assert_eq!([one, two, three].map(|hash| grove.weight(hash)), [1, 0, 0]);
    assert_eq!((grove.weight(other), grove.head()), (4, Some(next)));
    let tips: Vec<SoftHash> = grove.0.tips().map(|one| one.0).collect();
    assert_eq!(tips, [next, three]);
}

#[test]
fn a_vote_may_come_before_its_block_and_an_older_one_changes_nothing() {
    let mut grove = Grove::new();
    let root = grove.0.root();
    let one = grove.grow(1, 1, root);
    let later = block(1, 2, one);
    let early = later.vote().sign(&domain(), &key(2));
    grove.0.vote(early, &domain(), &set()).unwrap();
    assert_eq!(grove.weight(one), 1);
    let two = grove.0.insert(propose(later, 1), &domain(), &set());
    assert_eq!(grove.weight(two.unwrap()), 2);
    assert_eq!(grove.vote(2, one), Err(SoftRefusal::Known));
}

#[test]
fn who_signs_two_blocks_with_one_number_counts_for_none() {
    let mut grove = Grove::new();
    let root = grove.0.root();
    let one = grove.grow(1, 1, root);
    let two = grove.grow(2, 1, root);
    grove.vote(4, one).unwrap();
    grove.vote(4, two).unwrap();
    assert_eq!((grove.weight(one), grove.weight(two)), (1, 1));
    assert_eq!(grove.vote(4, one), Err(SoftRefusal::Known));
    assert_eq!(grove.0.votes().count(), 2);
    // and so does an author
    let mut twin = block(1, 1, root);
    twin.time_ms += 1;
    grove.0.insert(propose(twin, 1), &domain(), &set()).unwrap();
    assert_eq!(grove.head(), Some(two));
}

#[test]
fn what_is_forged_or_of_a_stranger_is_refused() {
    let mut grove = Grove::new();
    let root = grove.0.root();
    let good = propose(block(1, 1, root), 1);
    let mut moved = good.clone();
    moved.block.time_ms += 1;
    let refusal = grove.refuse(moved);
    assert_eq!(refusal, SoftRefusal::Signature(key(1).address()));
    let refusal = grove.refuse(propose(block(5, 1, root), 5));
    assert_eq!(refusal, SoftRefusal::Stranger(key(5).address()));
    assert!(refusal.is_fault());
    let elsewhere = block(1, 1, root).vote();
    let elsewhere = SoftProposal {
        block: block(1, 1, root),
        signature: elsewhere.sign(&Domain(Fr::from(2_u64)), &key(1)).signature,
    };
    assert!(matches!(grove.refuse(elsewhere), SoftRefusal::Signature(_)));
    let hash = grove.0.insert(good, &domain(), &set()).unwrap();
    let mut stolen = block(1, 1, root).vote().sign(&domain(), &key(2));
    stolen.validator = key(3).address();
    let refused = grove.0.vote(stolen, &domain(), &set());
    assert_eq!(refused, Err(SoftRefusal::Signature(key(3).address())));
    assert_eq!(grove.weight(hash), 1);
}

#[test]
fn what_stands_on_nothing_or_has_a_wrong_number_is_refused() {
    let mut grove = Grove::new();
    let root = grove.0.root();
    let three = grove.grow(1, 3, root);
    assert_eq!(
        grove.refuse(propose(block(1, 3, root), 1)),
        SoftRefusal::Known
    );
    let refusal = grove.refuse(propose(block(2, 3, three), 2));
    assert_eq!(
        refusal,
        SoftRefusal::Number {
            number: 3,
            parent: 3
        }
    );
    let refusal = grove.refuse(propose(block(2, 4, SoftHash([1; 32])), 2));
    assert!(matches!(refusal, SoftRefusal::Unconnected(_)));
    assert!(!refusal.is_fault(), "its parent may come");
    let mut other = block(2, 1, root);
    other.base = BlockId([1; 32]);
    let refusal = grove.refuse(propose(other, 2));
    assert!(matches!(refusal, SoftRefusal::OtherBase(_)) && !refusal.is_fault());
    let mut vote = grove.0.get(&three).unwrap().proposal.block.vote();
    vote.number = 4;
    let refused = grove
        .0
        .vote(vote.sign(&domain(), &key(2)), &domain(), &set());
    let other_number = SoftRefusal::OtherNumber {
        voted: 4,
        number: 3,
    };
    assert_eq!(refused, Err(other_number));
}

#[test]
fn blocks_are_bounded() {
    let root = SoftHash(BASE.1.0);
    let good = block(1, SOFT_NUMBER_MAX, root);
    assert!(good.check().is_ok());
    assert_eq!(from_bytes(&to_bytes(&good)), Ok(good.clone()));
    for number in [0, SOFT_NUMBER_MAX + 1] {
        assert_eq!(
            block(1, number, root).check(),
            Err(SoftError::Number(number))
        );
    }
    let sized = |count| SoftBlock {
        submissions: vec![submission(0); count],
        ..good.clone()
    };
    assert!(sized(SOFT_SUBMISSIONS_MAX).check().is_ok());
    for count in [0, SOFT_SUBMISSIONS_MAX + 1] {
        assert_eq!(sized(count).check(), Err(SoftError::Submissions(count)));
    }
    let more = to_bytes(&sized(SOFT_SUBMISSIONS_MAX + 1));
    assert!(from_bytes::<SoftBlock>(&more).is_err());
    let one = submission(0).members()[0];
    let group = |members| SoftBlock {
        submissions: vec![Submission::Group(vec![one; members]); SOFT_SUBMISSIONS_MAX],
        ..good.clone()
    };
    assert_eq!(group(17).check(), Err(SoftError::GroupSize(0)));
    assert!(matches!(group(16).check(), Err(SoftError::Bytes(_))));
}

#[test]
fn an_author_has_a_share_of_the_tree_and_no_more() {
    let mut grove = Grove::new();
    let mut parent = grove.0.root();
    let share = 4_096 / 4;
    for number in 1..=share {
        parent = grove.grow(1, number, parent);
    }
    let refusal = grove.refuse(propose(block(1, share + 1, parent), 1));
    assert_eq!(refusal, SoftRefusal::Full(key(1).address()));
    grove.grow(2, share + 1, parent);
}

#[test]
fn what_another_does_not_know_is_told_in_order_and_within_bounds() {
    let mut grove = Grove::new();
    let root = grove.0.root();
    let one = grove.grow(1, 1, root);
    let two = grove.grow(2, 2, one);
    let other = grove.grow(3, 3, root);
    let told = |known: &[SoftHash], bytes| -> Vec<SoftHash> {
        let beyond = grove.0.beyond(known, bytes).into_iter();
        beyond.map(|proposal| proposal.block.hash()).collect()
    };
    assert_eq!(told(&[], 1 << 20), [one, two, other]);
    assert_eq!(told(&[one, SoftHash([9; 32])], 1 << 20), [two, other]);
    assert_eq!(told(&[two, other, one], 1 << 20), []);
    let size = grove.0.get(&one).unwrap().proposal.block.check().unwrap();
    assert_eq!(told(&[], 2 * size), [one, two]);
    assert_eq!(told(&[], size - 1), []);
}
