//! The JSON twin of `protocol::genesis::Genesis`: what operators and auditors keep in a file.
//!
//! Strict: unknown fields are refused, every value has one text, and the result passes `Genesis::check`. The hash of
//! genesis is over the protocol's own bytes, never over this text.

use std::path::Path;

use api::ledger::ValidatorJson;
use api::operation::PointJson;
use api::text::{AddressText, AmountText};
use protocol::{
    account::Leaf,
    genesis::Genesis,
    number::{Height, LeafIndex, Nonce, TokenId},
    threaded::FeeLeaves,
    validator::ValidatorSet,
};
use serde::{Deserialize, Serialize};

use crate::exit::{CliError, Exit};
use crate::files;

/// Bytes of a file at most: some hundred thousand leaves.
const FILE_BYTES_MAX: usize = 256 << 20;

/// A genesis in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenesisJson {
    /// Chain id of the base layer.
    pub(crate) chain_id: u64,
    /// Address of the Rollup contract.
    pub(crate) rollup: AddressText,
    /// Name of the reference string.
    pub(crate) reference_string: String,
    /// Validators who certify blocks.
    pub(crate) validators: Vec<ValidatorJson>,
    /// Leaves that collect fees, one to four.
    pub(crate) fee_leaves: Vec<u32>,
    /// Milliseconds since 1970.
    pub(crate) timestamp_ms: u64,
    /// Leaves 0..n.
    pub(crate) leaves: Vec<GenesisLeaf>,
}

/// One leaf of genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenesisLeaf {
    /// Who signs.
    pub(crate) key: PointJson,
    /// Who is paid by withdrawals.
    pub(crate) l1_owner: AddressText,
    /// What is held.
    pub(crate) token: u32,
    /// Base units held.
    pub(crate) balance: AmountText,
    /// First nonce; 0 unless the chain continues another.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) nonce: u64,
    /// Locked while the height is at most this.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) lock_until: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl From<&Genesis> for GenesisJson {
    fn from(genesis: &Genesis) -> Self {
        let leaf = |leaf: &Leaf| GenesisLeaf {
            key: leaf.key.into(),
            l1_owner: leaf.l1_owner.into(),
            token: leaf.token.0,
            balance: leaf.balance.into(),
            nonce: leaf.nonce.0,
            lock_until: leaf.lock_until.0,
        };
        Self {
            chain_id: genesis.chain_id,
            rollup: genesis.rollup.into(),
            reference_string: genesis.reference_string.clone(),
            validators: genesis
                .validators
                .validators()
                .iter()
                .map(Into::into)
                .collect(),
            fee_leaves: genesis.fee_leaves.iter().map(|index| index.0).collect(),
            timestamp_ms: genesis.timestamp_ms,
            leaves: genesis.leaves.iter().map(leaf).collect(),
        }
    }
}

impl GenesisLeaf {
    fn parse(&self) -> Result<Leaf, String> {
        if self.nonce > protocol::params::NONCE_LAST {
            return Err(format!("nonce {} has more than 40 bits", self.nonce));
        }
        let text = |error: api::ApiError| error.to_string();
        Ok(Leaf {
            key: self.key.parse_leaf_key().map_err(text)?,
            l1_owner: self.l1_owner.parse().map_err(text)?,
            token: TokenId(self.token),
            nonce: Nonce(self.nonce),
            balance: self.balance.parse().map_err(text)?,
            lock_until: Height(self.lock_until),
        })
    }
}

impl GenesisJson {
    /// The protocol's form, checked.
    ///
    /// # Errors
    /// A text naming the field.
    pub(crate) fn parse(&self) -> Result<Genesis, String> {
        let text = |error: api::ApiError| error.to_string();
        let fee_leaves: Vec<LeafIndex> = self.fee_leaves.iter().copied().map(LeafIndex).collect();
        let leaves = self.leaves.iter().enumerate();
        let validators = self.validators.iter().map(ValidatorJson::parse);
        let validators = validators.collect::<Result<Vec<_>, _>>().map_err(text)?;
        let genesis = Genesis {
            chain_id: self.chain_id,
            rollup: self.rollup.parse().map_err(text)?,
            reference_string: self.reference_string.clone(),
            validators: ValidatorSet::new(validators).map_err(|error| error.to_string())?,
            fee_leaves: FeeLeaves::new(&fee_leaves).ok_or("fee_leaves names one to four leaves")?,
            timestamp_ms: self.timestamp_ms,
            leaves: leaves
                .map(|(place, leaf)| leaf.parse().map_err(|why| format!("leaf {place}: {why}")))
                .collect::<Result<_, _>>()?,
        };
        genesis.check().map_err(|error| error.to_string())?;
        Ok(genesis)
    }
}

/// Reads a genesis file.
///
/// # Errors
/// `Usage` if it cannot be read, `Corrupt` if it is not a genesis.
pub(crate) fn load(path: &Path) -> Result<Genesis, CliError> {
    let text = files::read_text(path, FILE_BYTES_MAX)?;
    serde_json::from_str(&text)
        .map_err(|error| error.to_string())
        .and_then(|json: GenesisJson| json.parse())
        .map_err(|why| {
            let what = format!("{} is not a genesis file", path.display());
            let todo =
                "compare it with the file the operators published, or make one: quorate genesis";
            CliError::new(Exit::Corrupt, what, why, todo)
        })
}

/// The text of a genesis file.
pub(crate) fn to_text(genesis: &Genesis) -> String {
    let json = GenesisJson::from(genesis);
    let mut text = serde_json::to_string_pretty(&json).expect("strings and numbers only");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use protocol::{
        account::{L1Address, LeafKey},
        number::Amount,
    };

    use super::*;

    fn genesis() -> Genesis {
        let balance = Amount::new(1 << 100).expect("small");
        let leaf = Leaf::new(LeafKey::NULL, L1Address([3; 20]), TokenId(4), balance);
        Genesis {
            chain_id: 31_337,
            rollup: L1Address([1; 20]),
            reference_string: "name".to_owned(),
            validators: ValidatorSet::of_one(L1Address([2; 20])),
            fee_leaves: FeeLeaves::new(&[LeafIndex(1)]).expect("one leaf"),
            timestamp_ms: 7,
            leaves: vec![
                leaf,
                Leaf {
                    nonce: Nonce(9),
                    lock_until: Height(8),
                    ..leaf
                },
            ],
        }
    }

    #[test]
    fn genesis_survives_its_json() {
        let json: GenesisJson = serde_json::from_str(&to_text(&genesis())).expect("JSON");
        let back = json.parse().expect("a genesis");
        assert_eq!((back.hash(), &back), (genesis().hash(), &genesis()));
    }

    #[test]
    fn every_defect_is_refused() {
        let whole = serde_json::to_value(GenesisJson::from(&genesis())).expect("JSON");
        let cases = [
            ("/rollup", serde_json::json!("0x00")),
            ("/fee_leaves", serde_json::json!([])),
            ("/fee_leaves", serde_json::json!([2])),
            ("/fee_leaves", serde_json::json!([0, 0, 0, 0, 0])),
            ("/leaves/0/balance", serde_json::json!("01")),
            ("/leaves/0/balance", serde_json::json!(1)),
            (
                "/leaves/0/l1_owner",
                serde_json::json!(format!("0x{}", "0".repeat(40))),
            ),
            ("/leaves/1/nonce", serde_json::json!(1_u64 << 40)),
            ("/leaves/0/key", serde_json::json!({"x": "0x0", "y": "0x0"})),
        ];
        for (pointer, value) in cases {
            let mut bad = whole.clone();
            *bad.pointer_mut(pointer).expect(pointer) = value;
            let parsed =
                serde_json::from_value::<GenesisJson>(bad).map_err(|error| error.to_string());
            assert!(parsed.and_then(|json| json.parse()).is_err(), "{pointer}");
        }
        let mut extra = whole;
        extra
            .as_object_mut()
            .expect("object")
            .insert("surprise".to_owned(), 1.into());
        assert!(serde_json::from_value::<GenesisJson>(extra).is_err());
    }
}
