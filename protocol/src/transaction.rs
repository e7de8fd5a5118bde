//! Signed operations: what an account signs, its message, and atomic groups (`protocol.md`, "Operations").
//!
//! `M = Poseidon(domain, type | from<<8 | to<<40 | nonce<<72 | valid_until<<112 | in_group<<176,
//! amount | fee<<120, ext0, ext1)`. The id of an operation is (M, A): a signature is not part of it.

use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::{L1Address, LeafKey, shifted},
    codec::{
        abi_encode_tagged, abi_word, borsh_field, display_hex, field_to_be_bytes, field_to_le_bytes,
    },
    hash::{keccak256, keccak256_mod_p, poseidon, tag},
    number::{Amount, Height, LeafIndex, Nonce},
    params::{GROUP_MEMBERS_MAX, GROUP_MEMBERS_MIN},
    signature::{Claim, PublicKey, Signature},
    validator::{ValidatorKey, ValidatorSignature, address_word, digest},
};

/// First field of every signed message, of the data challenge and of the public inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Domain(
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub Fr,
);

impl Domain {
    /// `keccak256(abi.encode("QUORATE/protocol/domain/v1", chainid, rollup, params_hash, circuit_version)) mod p`.
    #[must_use]
    pub fn new(
        chain_id: u64,
        rollup: L1Address,
        params_hash: [u8; 32],
        circuit_version: u64,
    ) -> Self {
        let words = [
            abi_word(u128::from(chain_id)),
            field_to_be_bytes(&rollup.to_field()),
            params_hash,
            abi_word(u128::from(circuit_version)),
        ];
        Self(keccak256_mod_p(&abi_encode_tagged(
            "QUORATE/protocol/domain/v1",
            &words,
        )))
    }
}

/// What a signed operation does; the common fields are in [`Transaction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Action {
    /// Moves `amount` to an existing leaf of the same token. `to = from` changes only fee and nonce.
    Transfer {
        /// Recipient.
        to: LeafIndex,
        /// Base units; must be a published float.
        amount: Amount,
    },
    /// Creates the next leaf with this owner and the sender's token, holding `amount`.
    TransferToNew {
        /// Key of the new leaf; may be null.
        key: LeafKey,
        /// Base-layer owner of the new leaf; not zero.
        l1_owner: L1Address,
        /// Base units; must be a published float.
        amount: Amount,
    },
    /// Pays an exact amount to the leaf's `l1_owner` on the base layer.
    Withdraw {
        /// Base units, exact.
        amount: Amount,
    },
    /// Replaces the leaf's key.
    ChangeKey {
        /// The new key; may be null.
        key: LeafKey,
    },
    /// Raises the leaf's `lock_until`.
    Lock {
        /// New value: above the old one, at most `LOCK_HEIGHTS_MAX` ahead of the block.
        until: Height,
    },
}

impl Action {
    /// The type number, as in published slots and messages.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Transfer { .. } => OperationKind::Transfer,
            Self::TransferToNew { .. } => OperationKind::TransferToNew,
            Self::Withdraw { .. } => OperationKind::Withdraw,
            Self::ChangeKey { .. } => OperationKind::ChangeKey,
            Self::Lock { .. } => OperationKind::Lock,
        }
    }

    /// `to` as signed and published: the recipient of a Transfer, else 0.
    #[must_use]
    pub fn to(&self) -> LeafIndex {
        match self {
            Self::Transfer { to, .. } => *to,
            _ => LeafIndex(0),
        }
    }

    /// Amount as signed; 0 where unused.
    #[must_use]
    pub fn amount(&self) -> Amount {
        match self {
            Self::Transfer { amount, .. }
            | Self::TransferToNew { amount, .. }
            | Self::Withdraw { amount } => *amount,
            Self::ChangeKey { .. } | Self::Lock { .. } => Amount::ZERO,
        }
    }

    /// The key stated by the operation, if it states one.
    #[must_use]
    pub fn stated_key(&self) -> Option<LeafKey> {
        match self {
            Self::TransferToNew { key, .. } | Self::ChangeKey { key } => Some(*key),
            _ => None,
        }
    }

    /// `ext0`: digest of a new key, else 0.
    #[must_use]
    pub fn ext0(&self) -> Fr {
        self.stated_key().map_or(Fr::ZERO, |key| key.digest())
    }

    /// `ext1`: new `l1_owner` (TransferToNew) or new `lock_until` (Lock), else 0.
    #[must_use]
    pub fn ext1(&self) -> Fr {
        match self {
            Self::TransferToNew { l1_owner, .. } => l1_owner.to_field(),
            Self::Lock { until } => Fr::from(until.0),
            _ => Fr::ZERO,
        }
    }
}

/// Type of an operation slot, 4 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum OperationKind {
    /// Changes and publishes nothing; a chunk's suffix, or the second half of a lone pair.
    Noop = 0,
    /// See [`Action::Transfer`].
    Transfer = 1,
    /// See [`Action::TransferToNew`].
    TransferToNew = 2,
    /// See [`Action::Withdraw`].
    Withdraw = 3,
    /// See [`Action::ChangeKey`].
    ChangeKey = 4,
    /// See [`Action::Lock`].
    Lock = 5,
    /// Pays a bid from its collateral leaf to the first fee leaf.
    BidPay = 6,
    /// Burns a withheld bid's collateral.
    BidBurn = 7,
    /// Marks the place of an inbox item.
    Inbox = 8,
    /// Opens a block; only as a header slot.
    Block = 9,
}

impl OperationKind {
    /// Every kind an operation slot may hold, in order of its number.
    pub const ALL: [Self; 10] = [
        Self::Noop,
        Self::Transfer,
        Self::TransferToNew,
        Self::Withdraw,
        Self::ChangeKey,
        Self::Lock,
        Self::BidPay,
        Self::BidBurn,
        Self::Inbox,
        Self::Block,
    ];

    /// The type number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Noop => 0,
            Self::Transfer => 1,
            Self::TransferToNew => 2,
            Self::Withdraw => 3,
            Self::ChangeKey => 4,
            Self::Lock => 5,
            Self::BidPay => 6,
            Self::BidBurn => 7,
            Self::Inbox => 8,
            Self::Block => 9,
        }
    }

    /// The kind of a type number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// An operation before it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Transaction {
    /// Leaf that pays and whose key signs.
    pub from: LeafIndex,
    /// Must equal the leaf's nonce.
    pub nonce: Nonce,
    /// Last height at which the operation may stand in a block.
    pub valid_until: Height,
    /// Base units of the leaf's token, paid on top; must be a published fee float.
    pub fee: Amount,
    /// What it does.
    pub action: Action,
}

impl Transaction {
    /// The message M; `in_group` is part of it, so a group member is never valid alone.
    #[must_use]
    pub fn message(&self, domain: &Domain, in_group: bool) -> Fr {
        let header = Fr::from(self.action.kind().number())
            + shifted(u128::from(self.from.0), 8)
            + shifted(u128::from(self.action.to().0), 40)
            + shifted(u128::from(self.nonce.0), 72)
            + shifted(u128::from(self.valid_until.0), 112)
            + shifted(u128::from(in_group), 176);
        let amounts = Fr::from(self.action.amount().get()) + shifted(self.fee.get(), 120);
        poseidon([
            domain.0,
            header,
            amounts,
            self.action.ext0(),
            self.action.ext1(),
        ])
    }
}

/// Name of an operation: keccak256(M, Ax, Ay), 32 bytes each little-endian.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct TransactionId(pub [u8; 32]);

impl TransactionId {
    /// Id of message `message` under `key`.
    #[must_use]
    pub fn new(message: &Fr, key: &PublicKey) -> Self {
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(&field_to_le_bytes(message));
        bytes.extend_from_slice(&field_to_le_bytes(&key.point().x()));
        bytes.extend_from_slice(&field_to_le_bytes(&key.point().y()));
        Self(keccak256(&bytes))
    }
}

impl std::fmt::Display for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::codec::display_hex(&self.0, f)
    }
}

/// A transaction with the key and signature that authorize it. Not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedTransaction {
    /// What is signed.
    pub transaction: Transaction,
    /// Key of the `from` leaf.
    pub key: PublicKey,
    /// Over M, or over the group's hash for a member of a group.
    pub signature: Signature,
}

/// Named constant: where the running hash of a group starts.
#[must_use]
pub fn tag_group() -> Fr {
    tag("QUORATE/protocol/group/v1")
}

/// `acc_i = Poseidon(acc_{i-1}, M_i)`.
#[must_use]
pub fn group_step(accumulator: &Fr, message: &Fr) -> Fr {
    poseidon([*accumulator, *message])
}

/// `G = Poseidon(acc_n, n)`: what each member of a group of `members` signs.
#[must_use]
pub fn group_close(accumulator: &Fr, members: u64) -> Fr {
    poseidon([*accumulator, Fr::from(members)])
}

/// Hash G of a group with these member messages, in order.
#[must_use]
pub fn group_hash(messages: &[Fr]) -> Fr {
    let accumulator = messages.iter().fold(tag_group(), |accumulator, message| {
        group_step(&accumulator, message)
    });
    group_close(
        &accumulator,
        u64::try_from(messages.len()).unwrap_or(u64::MAX),
    )
}

/// What a user submits: one operation, or 2 to 16 that apply together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every submission is a single operation: a box would cost an allocation for each"
)]
pub enum Submission {
    /// One operation, signed over M.
    Single(SignedTransaction),
    /// Members of an atomic group in order, each signed over G.
    Group(Vec<SignedTransaction>),
}

impl Submission {
    /// The members in order; one for a single operation.
    #[must_use]
    pub fn members(&self) -> &[SignedTransaction] {
        match self {
            Self::Single(transaction) => std::slice::from_ref(transaction),
            Self::Group(members) => members,
        }
    }

    /// Whether this is a group.
    #[must_use]
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Group(_))
    }

    /// Whether a group has 2 to 16 members; true for a single operation.
    #[must_use]
    pub fn has_valid_size(&self) -> bool {
        let count = u64::try_from(self.members().len()).unwrap_or(u64::MAX);
        !self.is_group() || (GROUP_MEMBERS_MIN..=GROUP_MEMBERS_MAX).contains(&count)
    }

    /// Messages M of the members, in order.
    #[must_use]
    pub fn messages(&self, domain: &Domain) -> Vec<Fr> {
        self.members()
            .iter()
            .map(|member| member.transaction.message(domain, self.is_group()))
            .collect()
    }

    /// Ids of the members, in order.
    #[must_use]
    pub fn ids(&self, domain: &Domain) -> Vec<TransactionId> {
        self.messages(domain)
            .iter()
            .zip(self.members())
            .map(|(message, member)| TransactionId::new(message, &member.key))
            .collect()
    }

    /// Name of the whole submission in inclusion lists: keccak256 of the tagged ids of its members. Like an id it does
    /// not cover signatures, so two encodings of one submission have one name.
    #[must_use]
    pub fn list_hash(&self, domain: &Domain) -> ListHash {
        self.list_hash_of(&self.ids(domain))
    }

    /// [`Submission::list_hash`] from the ids of the members, which cost a Poseidon hash each.
    #[must_use]
    pub fn list_hash_of(&self, ids: &[TransactionId]) -> ListHash {
        let mut bytes = b"QUORATE/protocol/listed/v1".to_vec();
        bytes.push(u8::from(self.is_group()));
        for id in ids {
            bytes.extend_from_slice(&id.0);
        }
        ListHash(keccak256(&bytes))
    }

    /// The signatures to check, in order of the members.
    #[must_use]
    pub fn claims(&self, domain: &Domain) -> Vec<Claim> {
        self.ids_and_claims(domain).1
    }

    /// [`Submission::ids`] and [`Submission::claims`], hashing each message once: the hash is a good part of what
    /// admission costs.
    #[must_use]
    pub fn ids_and_claims(&self, domain: &Domain) -> (Vec<TransactionId>, Vec<Claim>) {
        let messages = self.messages(domain);
        let group = self.is_group().then(|| group_hash(&messages));
        self.members()
            .iter()
            .zip(messages)
            .map(|(member, message)| {
                let id = TransactionId::new(&message, &member.key);
                let claim = (member.key, group.unwrap_or(message), member.signature);
                (id, claim)
            })
            .unzip()
    }
}

/// A builder's offer as the state transition sees it: value, height, and the collateral leaf's signature over
/// `Poseidon(domain, BID, leaf | height << 32, value, core_hash)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Bid {
    /// Collateral leaf.
    pub leaf: LeafIndex,
    /// Height the bid is for.
    pub height: Height,
    /// Base units offered.
    pub value: Amount,
    /// keccak256(core) mod p.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub core_hash: Fr,
    /// Key of the collateral leaf.
    pub key: PublicKey,
    /// Over [`Bid::message`].
    pub signature: Signature,
}

/// Named constant BID >= 2^177, so no operation's message equals a bid's.
#[must_use]
pub fn tag_bid() -> Fr {
    tag("QUORATE/protocol/bid/v1")
}

impl Bid {
    /// What the collateral leaf signs.
    #[must_use]
    pub fn message(&self, domain: &Domain) -> Fr {
        let place = Fr::from(self.leaf.0) + shifted(u128::from(self.height.0), 32);
        poseidon([
            domain.0,
            tag_bid(),
            place,
            Fr::from(self.value.get()),
            self.core_hash,
        ])
    }

    /// The signature to check.
    #[must_use]
    pub fn claim(&self, domain: &Domain) -> Claim {
        (self.key, self.message(domain), self.signature)
    }
}

/// Name of a submission in inclusion lists.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct ListHash(pub [u8; 32]);

impl std::fmt::Display for ListHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        display_hex(&self.0, f)
    }
}

/// Name of a signed bid.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct BidHash(pub [u8; 32]);

/// A builder's offer: the bid that its collateral leaf signed, under the builder's own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedBid {
    /// Leaf, height, value, core; signed by the collateral leaf.
    pub bid: Bid,
    /// Address of the builder's secp256k1 key, which reveals the payload and answers for it.
    pub builder: L1Address,
    /// Of the builder, over [`SignedBid::hash`].
    pub signature: ValidatorSignature,
}

impl SignedBid {
    /// `keccak256(abi.encode("QUORATE/protocol/signed_bid/v1", domain, height, core_hash, value, builder, leaf))`.
    #[must_use]
    pub fn hash(&self, domain: &Domain) -> BidHash {
        let words = [
            field_to_be_bytes(&domain.0),
            abi_word(u128::from(self.bid.height.0)),
            field_to_be_bytes(&self.bid.core_hash),
            abi_word(self.bid.value.get()),
            address_word(&self.builder),
            abi_word(u128::from(self.bid.leaf.0)),
        ];
        BidHash(digest("QUORATE/protocol/signed_bid/v1", &words))
    }

    /// Signs a bid as its builder.
    #[must_use]
    pub fn new(bid: Bid, domain: &Domain, key: &ValidatorKey) -> Self {
        let mut signed = Self {
            bid,
            builder: key.address(),
            signature: ValidatorSignature([0; 65]),
        };
        signed.signature = key.sign(&signed.hash(domain).0);
        signed
    }

    /// Whether the builder signed it. The collateral's signature is [`Bid::claim`].
    #[must_use]
    pub fn is_authentic(&self, domain: &Domain) -> bool {
        self.signature.is_by(&self.builder, &self.hash(domain).0)
    }
}

#[cfg(test)]
mod tests {
    use ark_ff::{BigInteger, PrimeField};

    use super::*;
    use crate::signature::{SecretKey, verify};

    fn transfer(nonce: u64) -> Transaction {
        Transaction {
            from: LeafIndex(1),
            nonce: Nonce(nonce),
            valid_until: Height(100),
            fee: Amount::new(3).unwrap(),
            action: Action::Transfer {
                to: LeafIndex(2),
                amount: Amount::new(10).unwrap(),
            },
        }
    }

    fn domain() -> Domain {
        Domain::new(31_337, L1Address([1; 20]), [2; 32], 1)
    }

    #[test]
    fn bid_tag_is_too_large_for_an_operation_header() {
        assert!(tag_bid().into_bigint().num_bits() >= 178);
    }

    #[test]
    fn every_signed_field_changes_the_message() {
        let base = transfer(7);
        let message = base.message(&domain(), false);
        let other = |transaction: Transaction| transaction.message(&domain(), false);
        assert_ne!(message, base.message(&domain(), true));
        assert_ne!(
            message,
            base.message(&Domain::new(1, L1Address([1; 20]), [2; 32], 1), false)
        );
        assert_ne!(
            message,
            other(Transaction {
                from: LeafIndex(3),
                ..base
            })
        );
        assert_ne!(
            message,
            other(Transaction {
                nonce: Nonce(8),
                ..base
            })
        );
        assert_ne!(
            message,
            other(Transaction {
                valid_until: Height(101),
                ..base
            })
        );
        assert_ne!(
            message,
            other(Transaction {
                fee: Amount::ZERO,
                ..base
            })
        );
        assert_ne!(
            message,
            other(Transaction {
                action: Action::Withdraw {
                    amount: Amount::ZERO
                },
                ..base
            })
        );
    }

    #[test]
    fn group_members_sign_the_group_only() {
        let keys = [
            SecretKey::from_seed(&[1; 32]),
            SecretKey::from_seed(&[2; 32]),
        ];
        let transactions = [transfer(0), transfer(1)];
        let messages: Vec<Fr> = transactions
            .iter()
            .map(|t| t.message(&domain(), true))
            .collect();
        let hash = group_hash(&messages);
        let members = keys
            .iter()
            .zip(transactions)
            .map(|(key, transaction)| SignedTransaction {
                transaction,
                key: key.public(),
                signature: key.sign(&hash),
            })
            .collect();
        let group = Submission::Group(members);
        for (key, message, signature) in group.claims(&domain()) {
            assert_eq!(verify(&key, &message, &signature), Ok(()));
        }
        let alone = Submission::Single(group.members()[0]);
        let (key, message, signature) = alone.claims(&domain())[0];
        assert!(verify(&key, &message, &signature).is_err());
        assert_ne!(
            group_hash(&messages),
            group_hash(&[messages[1], messages[0]])
        );
    }

    #[test]
    fn kinds_round_trip() {
        for kind in OperationKind::ALL {
            assert_eq!(OperationKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(OperationKind::from_number(10), None);
    }
}
