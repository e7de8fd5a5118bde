//! Signed operations in JSON.

use protocol::{
    account::LeafKey,
    number::{Height, LeafIndex, Nonce},
    params::{GROUP_MEMBERS_MAX, GROUP_MEMBERS_MIN},
    signature::{Point, PublicKey, Signature, SignatureError},
    transaction::{Action, SignedTransaction, Submission, Transaction},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ApiError, ErrorCode},
    text::{AddressText, AmountText, FieldText},
};

/// A point of Baby Jubjub, or the null key (0, 0).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointJson {
    /// Affine x.
    pub x: FieldText,
    /// Affine y.
    pub y: FieldText,
}

impl PointJson {
    /// As the key field of a leaf: any two field elements.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`] or [`ErrorCode::NonCanonicalField`].
    pub fn parse_leaf_key(&self) -> Result<LeafKey, ApiError> {
        Ok(LeafKey {
            x: self.x.parse()?,
            y: self.y.parse()?,
        })
    }

    /// As a key that can sign.
    ///
    /// # Errors
    /// Also [`ErrorCode::InvalidPoint`] or [`ErrorCode::SmallOrderKey`].
    pub fn parse_public_key(&self) -> Result<PublicKey, ApiError> {
        PublicKey::new(self.x.parse()?, self.y.parse()?).map_err(signature_error)
    }

    fn parse_point(&self) -> Result<Point, ApiError> {
        Point::new(self.x.parse()?, self.y.parse()?).map_err(signature_error)
    }
}

fn signature_error(error: SignatureError) -> ApiError {
    let code = match error {
        SignatureError::NotOnCurve => ErrorCode::InvalidPoint,
        SignatureError::SmallOrderKey => ErrorCode::SmallOrderKey,
        SignatureError::ScalarTooLarge => ErrorCode::NonCanonicalField,
        SignatureError::Mismatch => ErrorCode::InvalidSignature,
    };
    ApiError::new(code, error.to_string())
}

impl From<Point> for PointJson {
    fn from(point: Point) -> Self {
        Self {
            x: point.x().into(),
            y: point.y().into(),
        }
    }
}

impl From<PublicKey> for PointJson {
    fn from(key: PublicKey) -> Self {
        key.point().into()
    }
}

impl From<LeafKey> for PointJson {
    fn from(key: LeafKey) -> Self {
        Self {
            x: key.x.into(),
            y: key.y.into(),
        }
    }
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ActionJson {
    /// Moves an amount to an existing leaf of the same token.
    Transfer {
        /// Recipient's leaf.
        to: u32,
        /// Base units.
        amount: AmountText,
    },
    /// Creates the next leaf, holding the amount.
    TransferToNew {
        /// Key of the new leaf.
        key: PointJson,
        /// Base-layer owner of the new leaf.
        l1_owner: AddressText,
        /// Base units.
        amount: AmountText,
    },
    /// Pays the leaf's base-layer owner.
    Withdraw {
        /// Base units.
        amount: AmountText,
    },
    /// Replaces the leaf's key.
    ChangeKey {
        /// The new key.
        key: PointJson,
    },
    /// Raises the leaf's `lock_until`.
    Lock {
        /// Height.
        until: u64,
    },
}

/// An operation before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionJson {
    /// Leaf that pays.
    pub from: u32,
    /// The leaf's next nonce.
    pub nonce: u64,
    /// Last height at which the operation may stand in a block.
    pub valid_until: u64,
    /// Base units of the leaf's token.
    pub fee: AmountText,
    /// What it does.
    pub action: ActionJson,
}

impl TransactionJson {
    /// The protocol's form.
    ///
    /// # Errors
    /// The first field that is not canonical.
    pub fn parse(&self) -> Result<Transaction, ApiError> {
        let action = match &self.action {
            ActionJson::Transfer { to, amount } => Action::Transfer {
                to: LeafIndex(*to),
                amount: amount.parse()?,
            },
            ActionJson::TransferToNew {
                key,
                l1_owner,
                amount,
            } => Action::TransferToNew {
                key: key.parse_leaf_key()?,
                l1_owner: l1_owner.parse()?,
                amount: amount.parse()?,
            },
            ActionJson::Withdraw { amount } => Action::Withdraw {
                amount: amount.parse()?,
            },
            ActionJson::ChangeKey { key } => Action::ChangeKey {
                key: key.parse_leaf_key()?,
            },
            ActionJson::Lock { until } => Action::Lock {
                until: Height(*until),
            },
        };
        if self.nonce >> 40 != 0 {
            let reason = format!("nonce {} has more than 40 bits", self.nonce);
            return Err(ApiError::new(ErrorCode::NonceGap, reason));
        }
        Ok(Transaction {
            from: LeafIndex(self.from),
            nonce: Nonce(self.nonce),
            valid_until: Height(self.valid_until),
            fee: self.fee.parse()?,
            action,
        })
    }
}

impl From<&Transaction> for TransactionJson {
    fn from(transaction: &Transaction) -> Self {
        let action = match transaction.action {
            Action::Transfer { to, amount } => ActionJson::Transfer {
                to: to.0,
                amount: amount.into(),
            },
            Action::TransferToNew {
                key,
                l1_owner,
                amount,
            } => ActionJson::TransferToNew {
                key: key.into(),
                l1_owner: l1_owner.into(),
                amount: amount.into(),
            },
            Action::Withdraw { amount } => ActionJson::Withdraw {
                amount: amount.into(),
            },
            Action::ChangeKey { key } => ActionJson::ChangeKey { key: key.into() },
            Action::Lock { until } => ActionJson::Lock { until: until.0 },
        };
        Self {
            from: transaction.from.0,
            nonce: transaction.nonce.0,
            valid_until: transaction.valid_until.0,
            fee: transaction.fee.into(),
            action,
        }
    }
}

/// R8 and S.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureJson {
    /// Commitment point.
    pub r8: PointJson,
    /// Response below the subgroup order: `0x` and 64 digits, big-endian.
    pub s: FieldText,
}

impl SignatureJson {
    /// The protocol's form.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`], [`ErrorCode::NonCanonicalField`] or [`ErrorCode::InvalidPoint`].
    pub fn parse(&self) -> Result<Signature, ApiError> {
        let r8 = self.r8.parse_point()?;
        let s = protocol::codec::field_to_le_bytes(&self.s.parse()?); // l < p
        Signature::new(r8, &s).map_err(signature_error)
    }
}

impl From<&Signature> for SignatureJson {
    fn from(signature: &Signature) -> Self {
        let mut s = signature.s();
        s.reverse();
        Self {
            r8: signature.r8().into(),
            s: FieldText(format!("0x{}", hex::encode(s))),
        }
    }
}

/// A signed operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTransactionJson {
    /// Chain it is meant for; the signature binds the whole domain.
    pub chain_id: u64,
    /// What is signed.
    pub transaction: TransactionJson,
    /// Key of the sender's leaf.
    pub key: PointJson,
    /// Over the message, or over the group's hash for a member of a group.
    pub signature: SignatureJson,
}

impl SignedTransactionJson {
    /// JSON of a signed transaction for the chain with this id.
    #[must_use]
    pub fn new(chain_id: u64, signed: &SignedTransaction) -> Self {
        Self {
            chain_id,
            transaction: (&signed.transaction).into(),
            key: signed.key.into(),
            signature: (&signed.signature).into(),
        }
    }

    /// The protocol's form. The signature is not checked.
    ///
    /// # Errors
    /// The first field that is not canonical, or [`ErrorCode::WrongChain`].
    pub fn parse(&self, chain_id: u64) -> Result<SignedTransaction, ApiError> {
        if self.chain_id != chain_id {
            let reason = format!("it names chain {}, this is chain {chain_id}", self.chain_id);
            return Err(ApiError::new(ErrorCode::WrongChain, reason));
        }
        Ok(SignedTransaction {
            transaction: self.transaction.parse()?,
            key: self.key.parse_public_key()?,
            signature: self.signature.parse()?,
        })
    }
}

/// Members of an atomic group, in order.
///
/// # Errors
/// The first member that cannot be parsed, or [`ErrorCode::GroupSize`].
pub fn parse_group(
    members: &[SignedTransactionJson],
    chain_id: u64,
) -> Result<Submission, ApiError> {
    let count = u64::try_from(members.len()).unwrap_or(u64::MAX);
    if !(GROUP_MEMBERS_MIN..=GROUP_MEMBERS_MAX).contains(&count) {
        return Err(ApiError::new(
            ErrorCode::GroupSize,
            format!("{count} were sent"),
        ));
    }
    members
        .iter()
        .map(|member| member.parse(chain_id))
        .collect::<Result<Vec<_>, _>>()
        .map(Submission::Group)
}

/// An unsigned operation to simulate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulationMember {
    /// The operation.
    pub transaction: TransactionJson,
    /// Key that would sign.
    pub key: PointJson,
}

/// Verdict of a simulation, by the code that executes blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulationJson {
    /// Height of the block it would stand in at the earliest.
    pub height: u64,
    /// Whether all members would be applied.
    pub is_valid: bool,
    /// One per member up to the first that fails.
    pub members: Vec<SimulatedMember>,
}

/// Verdict on one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedMember {
    /// Message to sign; for a member of a group see `group_hash`.
    pub message: FieldText,
    /// Base units paid as fee.
    pub fee: AmountText,
    /// Part of the fee that is burned.
    pub burned: AmountText,
    /// Leaf the operation creates.
    pub new_leaf: Option<u32>,
    /// Why it is invalid: code and reason.
    pub error: Option<Verdict>,
}

/// Why an operation is invalid or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Error code, as a request would get it.
    pub code: i32,
    /// What is wrong, with values.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

impl From<ApiError> for Verdict {
    fn from(error: ApiError) -> Self {
        Self {
            code: error.code.number(),
            hint: error.code.hint().to_owned(),
            reason: error.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Fr, account::L1Address, number::Amount, signature::SecretKey};

    use super::*;

    fn signed(action: Action) -> SignedTransaction {
        let key = SecretKey::from_seed(&[3; 32]);
        let transaction = Transaction {
            from: LeafIndex(1),
            nonce: Nonce(2),
            valid_until: Height(u64::MAX),
            fee: Amount::new(7).unwrap(),
            action,
        };
        SignedTransaction {
            transaction,
            key: key.public(),
            signature: key.sign(&Fr::from(9_u64)),
        }
    }

    #[test]
    fn every_action_round_trips_through_json() {
        let amount = Amount::new(1 << 100).unwrap();
        let key = LeafKey::from(SecretKey::from_seed(&[4; 32]).public());
        let actions = [
            Action::Transfer {
                to: LeafIndex(u32::MAX),
                amount,
            },
            Action::TransferToNew {
                key,
                l1_owner: L1Address([9; 20]),
                amount,
            },
            Action::Withdraw { amount },
            Action::ChangeKey { key: LeafKey::NULL },
            Action::Lock {
                until: Height(u64::MAX),
            },
        ];
        for action in actions {
            let signed = signed(action);
            let text = serde_json::to_string(&SignedTransactionJson::new(5, &signed)).unwrap();
            let back: SignedTransactionJson = serde_json::from_str(&text).unwrap();
            assert_eq!(back.parse(5), Ok(signed));
            assert_eq!(back.parse(6).unwrap_err().code, ErrorCode::WrongChain);
        }
    }

    #[test]
    fn unknown_fields_are_refused_everywhere() {
        let good = SignedTransactionJson::new(5, &signed(Action::ChangeKey { key: LeafKey::NULL }));
        let good = serde_json::to_value(&good).unwrap();
        for path in [
            "",
            "/transaction",
            "/transaction/action",
            "/key",
            "/signature",
            "/signature/r8",
        ] {
            let mut bad = good.clone();
            let object = bad.pointer_mut(path).unwrap().as_object_mut().unwrap();
            object.insert("surprise".into(), 1.into());
            assert!(
                serde_json::from_value::<SignedTransactionJson>(bad).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn small_order_keys_points_off_the_curve_and_large_s_are_named() {
        let good = SignedTransactionJson::new(5, &signed(Action::Lock { until: Height(1) }));
        let zero = FieldText::from(Fr::from(0_u64));
        let one = FieldText::from(Fr::from(1_u64));
        let mut bad = good.clone();
        bad.key = PointJson {
            x: zero.clone(),
            y: one.clone(),
        };
        assert_eq!(bad.parse(5).unwrap_err().code, ErrorCode::SmallOrderKey);
        bad.key = PointJson {
            x: one.clone(),
            y: one.clone(),
        };
        assert_eq!(bad.parse(5).unwrap_err().code, ErrorCode::InvalidPoint);
        let mut bad = good.clone();
        bad.signature.r8 = PointJson {
            x: one.clone(),
            y: zero,
        };
        assert_eq!(bad.parse(5).unwrap_err().code, ErrorCode::InvalidPoint);
        let mut bad = good.clone();
        // The subgroup order itself.
        bad.signature.s =
            FieldText("0x060c89ce5c263405370a08b6d0302b0bab3eedb83920ee0a677297dc392126f1".into());
        assert_eq!(bad.parse(5).unwrap_err().code, ErrorCode::NonCanonicalField);
        let mut bad = good;
        bad.transaction.nonce = 1 << 40;
        assert_eq!(bad.parse(5).unwrap_err().code, ErrorCode::NonceGap);
    }
}
