//! The transfers that both peers prove: fresh parties each time, scattered over a tree of 2^24 places.
//!
//! Both peers prove the same rules over the same amounts and places. Their hashes of leaves, messages and challenges
//! differ ([`Hashing`]), so roots and signatures do as well. Everything follows from the seed.

use std::collections::BTreeSet;

use ark_bn254::Fr;
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{PrimeField, UniformRand};
use protocol::codec::field_to_le_bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use taceo_ark_babyjubjub::{EdwardsProjective, Fr as Scalar};

use crate::{
    LEVELS, chain,
    field::Point,
    poseidon::poseidon,
    tree::{Siblings, Tree},
};

/// How leaves, messages and challenges are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashing {
    /// circomlib's Poseidon of four and five inputs.
    Circomlib,
    /// Chains of the permutation of width three ([`chain`]).
    Chained,
}

impl Hashing {
    /// The leaf of an account.
    #[must_use]
    pub fn leaf(self, account: &Account) -> Fr {
        let [x, y] = account.key;
        let inputs = [x, y, account.balance.into(), account.nonce.into()];
        match self {
            Self::Circomlib => poseidon(&inputs),
            Self::Chained => chain::hash(chain::LEAF, &inputs),
        }
    }

    /// What a sender signs.
    #[must_use]
    pub fn message(self, from: u32, to: u32, amount: u64, fee: u64, nonce: u32) -> Fr {
        let inputs = [
            from.into(),
            to.into(),
            amount.into(),
            fee.into(),
            nonce.into(),
        ];
        match self {
            Self::Circomlib => poseidon(&inputs),
            Self::Chained => chain::hash(chain::MESSAGE, &inputs),
        }
    }

    /// The challenge of a signature.
    #[must_use]
    pub fn challenge(self, r8: Point, key: Point, message: Fr) -> Fr {
        let inputs = [r8[0], r8[1], key[0], key[1], message];
        match self {
            Self::Circomlib => poseidon(&inputs),
            Self::Chained => chain::hash(chain::CHALLENGE, &inputs),
        }
    }
}

/// What a leaf holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The public key.
    pub key: Point,
    /// What it owns.
    pub balance: u64,
    /// Transfers it has sent.
    pub nonce: u32,
}

/// EdDSA with Poseidon: `s B8 = r8 + challenge (8 key)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The commitment.
    pub r8: Point,
    /// The response, below the subgroup's order, which is below the field's.
    pub s: Fr,
}

/// One transfer with all that a witness needs.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// The sender's place.
    pub from: u32,
    /// The sender before the transfer.
    pub sender: Account,
    /// Siblings of the sender's leaf, before and after its change.
    pub from_siblings: Siblings,
    /// The recipient's place.
    pub to: u32,
    /// The recipient before the transfer.
    pub recipient: Account,
    /// Siblings of the recipient's leaf after the sender's change.
    pub to_siblings: Siblings,
    /// What moves.
    pub amount: u64,
    /// What the sender pays for it.
    pub fee: u64,
    /// The sender's signature.
    pub signature: Signature,
}

/// A chain of transfers and the roots around it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The root before the first transfer.
    pub old_root: Fr,
    /// The root after the last one.
    pub new_root: Fr,
    /// Sum of the fees.
    pub fees: u64,
    /// The transfers, in order.
    pub transfers: Vec<Transfer>,
}

struct Key {
    secret: Scalar,
    public: Point,
}

fn times_base(scalar: Scalar) -> Point {
    let point = EdwardsProjective::generator().mul_bigint(scalar.into_bigint());
    let affine = point.into_affine();
    [affine.x, affine.y]
}

impl Key {
    fn draw(rng: &mut ChaCha20Rng) -> Self {
        let secret = Scalar::rand(rng);
        let public = times_base(secret);
        Self { secret, public }
    }

    fn sign(&self, hashing: Hashing, message: Fr, rng: &mut ChaCha20Rng) -> Signature {
        let nonce = Scalar::rand(rng);
        let r8 = times_base(nonce);
        let challenge = hashing.challenge(r8, self.public, message);
        let reduced = Scalar::from_le_bytes_mod_order(&field_to_le_bytes(&challenge));
        let s = nonce + Scalar::from(8_u64) * reduced * self.secret;
        let s = Fr::from_bigint(s.into_bigint()).unwrap_or_default(); // l is below p
        Signature { r8, s }
    }
}

impl Workload {
    /// `count` transfers between `2 count` accounts, scattered over the tree.
    #[must_use]
    pub fn new(hashing: Hashing, count: usize, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut taken = BTreeSet::new();
        let mut parties = Vec::with_capacity(2 * count);
        let mut tree = Tree::default();
        while parties.len() < 2 * count {
            let place = rng.gen_range(0..1_u32 << LEVELS);
            if taken.insert(place) {
                let key = Key::draw(&mut rng);
                let account = Account {
                    key: key.public,
                    balance: rng.gen_range(1 << 40..1 << 60),
                    nonce: rng.gen_range(0..1 << 20),
                };
                tree.set(place, hashing.leaf(&account));
                parties.push((place, key, account));
            }
        }
        let old_root = tree.root();
        let mut fees = 0;
        let transfers = parties
            .chunks_exact(2)
            .map(|pair| {
                let ((from, key, sender), (to, _, recipient)) = (&pair[0], &pair[1]);
                let (amount, fee) = (rng.gen_range(1..1 << 39), rng.gen_range(1..1 << 20));
                let message = hashing.message(*from, *to, amount, fee, sender.nonce);
                let signature = key.sign(hashing, message, &mut rng);
                fees += fee;
                let from_siblings = tree.siblings(*from);
                let after = Account {
                    balance: sender.balance - amount - fee,
                    nonce: sender.nonce + 1,
                    ..*sender
                };
                tree.set(*from, hashing.leaf(&after));
                let to_siblings = tree.siblings(*to);
                let after = Account {
                    balance: recipient.balance + amount,
                    ..*recipient
                };
                tree.set(*to, hashing.leaf(&after));
                Transfer {
                    from: *from,
                    sender: *sender,
                    from_siblings,
                    to: *to,
                    recipient: *recipient,
                    to_siblings,
                    amount,
                    fee,
                    signature,
                }
            })
            .collect();
        Self {
            old_root,
            new_root: tree.root(),
            fees,
            transfers,
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::signature;

    use super::*;
    use crate::{field, tree::root_of_path};

    #[test]
    fn signatures_are_valid_for_the_node() {
        for transfer in Workload::new(Hashing::Circomlib, 3, 1).transfers {
            let Transfer {
                from,
                to,
                amount,
                fee,
                sender,
                ..
            } = transfer;
            let message = Hashing::Circomlib.message(from, to, amount, fee, sender.nonce);
            let [x, y] = transfer.signature.r8;
            let s = field_to_le_bytes(&transfer.signature.s);
            let signature =
                signature::Signature::new(signature::Point::new(x, y).unwrap(), &s).unwrap();
            let key = signature::PublicKey::new(sender.key[0], sender.key[1]).unwrap();
            assert_eq!(signature::verify(&key, &message, &signature), Ok(()));
        }
    }

    #[test]
    fn chained_signatures_satisfy_their_equation() {
        let transfer = Workload::new(Hashing::Chained, 1, 2).transfers.remove(0);
        let Transfer {
            from,
            to,
            amount,
            fee,
            sender,
            ..
        } = transfer;
        let message = Hashing::Chained.message(from, to, amount, fee, sender.nonce);
        let challenge = Hashing::Chained.challenge(transfer.signature.r8, sender.key, message);
        let times = |point, scalar: &Fr| {
            let bits = field::bits(scalar, 254).into_iter().rev();
            bits.fold(field::neutral(), |sum, bit| {
                let double = field::add(sum, sum);
                if bit {
                    field::add(double, point)
                } else {
                    double
                }
            })
        };
        let eight = times(sender.key, &Fr::from(8_u64));
        assert_eq!(
            times(field::base(), &transfer.signature.s),
            field::add(transfer.signature.r8, times(eight, &challenge))
        );
    }

    #[test]
    fn transfers_lead_from_root_to_root() {
        for hashing in [Hashing::Circomlib, Hashing::Chained] {
            let workload = Workload::new(hashing, 4, 3);
            let mut root = workload.old_root;
            for step in &workload.transfers {
                let leaf = hashing.leaf(&step.sender);
                assert_eq!(root_of_path(step.from, leaf, &step.from_siblings), root);
                let paid = step.sender.balance - step.amount - step.fee;
                let after = Account {
                    balance: paid,
                    nonce: step.sender.nonce + 1,
                    ..step.sender
                };
                root = root_of_path(step.from, hashing.leaf(&after), &step.from_siblings);
                let leaf = hashing.leaf(&step.recipient);
                assert_eq!(root_of_path(step.to, leaf, &step.to_siblings), root);
                let got = step.recipient.balance + step.amount;
                let after = Account {
                    balance: got,
                    ..step.recipient
                };
                root = root_of_path(step.to, hashing.leaf(&after), &step.to_siblings);
            }
            assert_eq!(root, workload.new_root);
        }
    }
}
