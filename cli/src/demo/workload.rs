//! The 168 `eth` and `erc20` transfers of three Ethereum mainnet blocks, as payments of a development chain.
//!
//! The rules, all of them:
//!
//! * **Parties.** Each address is a party with one key: seed = keccak256("QUORATE/cli/demo/party/v1" and the 20
//!   bytes). The address itself is the `l1_owner`. A party has one leaf for each token it touches.
//! * **Tokens.** `eth` is token 0; token contracts are numbered from 1 in the order of their first transfer.
//! * **Amounts.** An amount of 2^110 or more is divided by 10, rounding down, until it is below; then it is rounded
//!   down to the nearest amount that a transfer can publish (30-bit mantissa, power of ten).
//! * **Fees.** [`FEE`] for token 0, which the fee leaf collects; 0 for the others.
//! * **Balances.** Genesis gives each leaf the sum of all that it will send, fees included: whatever the order, it is
//!   covered. So no total reaches 2^120.
//! * **New leaves.** The first [`FRESH_RECIPIENTS`] (party, token) pairs that only ever receive have no leaf in
//!   genesis: their first payment creates it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{
    account::{L1Address, Leaf},
    hash::keccak256,
    number::{Amount, LeafIndex, TokenId, encode_amount, floor_amount},
    signature::SecretKey,
};
use serde::Deserialize;

/// The decoded transactions; carried in the binary.
const ROWS: &str = include_str!("../../../tests/fixtures/mainnet-transfers.csv");
/// First amount that is scaled down: a hundred thousand of them still are below 2^120.
const AMOUNT_LIMIT: u128 = 1 << 110;
/// Fee of a payment in token 0: one gwei.
pub(crate) const FEE: u128 = 1_000_000_000;
/// Recipients that have no leaf in genesis.
pub(crate) const FRESH_RECIPIENTS: usize = 20;

/// A party's leaf of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Holder {
    /// The party's address.
    pub(crate) party: L1Address,
    /// What it holds.
    pub(crate) token: TokenId,
}

/// One payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    /// Who pays.
    pub(crate) from: L1Address,
    /// Who is paid.
    pub(crate) to: L1Address,
    /// In what.
    pub(crate) token: TokenId,
    /// Base units; a transfer can publish it.
    pub(crate) amount: Amount,
    /// Base units of the same token.
    pub(crate) fee: Amount,
    /// Place among the payments of its sender's leaf.
    pub(crate) nonce: u64,
}

impl Payment {
    /// The leaf that pays.
    pub(crate) fn sender(&self) -> Holder {
        Holder {
            party: self.from,
            token: self.token,
        }
    }

    /// The leaf that is paid.
    pub(crate) fn recipient(&self) -> Holder {
        Holder {
            party: self.to,
            token: self.token,
        }
    }
}

/// Payments in mainnet's order, and the leaves they start from.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// In order.
    pub(crate) payments: Vec<Payment>,
    /// Leaves in genesis: who, and what it holds there.
    pub(crate) funded: Vec<(Holder, Amount)>,
    /// Recipients without a leaf in genesis.
    pub(crate) fresh: BTreeSet<Holder>,
}

/// Key of a party.
pub(crate) fn party_key(party: &L1Address) -> SecretKey {
    SecretKey::from_seed(&keccak256(
        &[b"QUORATE/cli/demo/party/v1", party.0.as_slice()].concat(),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "every column of the file is named, so that a changed file is noticed"
)]
struct Row {
    block: u64,
    index: u64,
    kind: String,
    from: String,
    to: String,
    token: String,
    amount: String,
}

/// Why the file is not the workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row} of the transfers: {why}")]
pub(crate) struct WorkloadError {
    row: usize,
    why: String,
}

impl Workload {
    /// The first `limit` payments.
    pub(crate) fn load(limit: usize) -> Result<Self, WorkloadError> {
        Self::parse(ROWS, limit)
    }

    fn parse(text: &str, limit: usize) -> Result<Self, WorkloadError> {
        let mut tokens: BTreeMap<String, TokenId> = BTreeMap::new();
        let mut nonces: BTreeMap<Holder, u64> = BTreeMap::new();
        let mut payments = Vec::new();
        for (number, row) in csv::Reader::from_reader(text.as_bytes())
            .deserialize()
            .enumerate()
        {
            let failed = |why: String| WorkloadError {
                row: number + 1,
                why,
            };
            let row: Row = row.map_err(|error| failed(error.to_string()))?;
            let token = match row.kind.as_str() {
                "eth" => TokenId(0),
                "erc20" => {
                    let next = TokenId(u32::try_from(tokens.len() + 1).unwrap_or(u32::MAX));
                    *tokens.entry(row.token.clone()).or_insert(next)
                }
                _ => continue,
            };
            if payments.len() == limit {
                break;
            }
            let mut payment = Payment {
                from: address(&row.from).map_err(failed)?,
                to: address(&row.to).map_err(failed)?,
                token,
                amount: scaled(&row.amount).map_err(failed)?,
                fee: Amount::new(if token == TokenId(0) { FEE } else { 0 }).expect("small"),
                nonce: 0,
            };
            let nonce = nonces.entry(payment.sender()).or_default();
            payment.nonce = *nonce;
            *nonce += 1;
            payments.push(payment);
        }
        Ok(Self::around(payments))
    }

    /// Chooses the new leaves and funds the others.
    fn around(payments: Vec<Payment>) -> Self {
        let senders: BTreeSet<Holder> = payments.iter().map(Payment::sender).collect();
        let mut fresh = BTreeSet::new();
        for recipient in payments.iter().map(Payment::recipient) {
            if fresh.len() < FRESH_RECIPIENTS && !senders.contains(&recipient) {
                fresh.insert(recipient);
            }
        }
        let mut places: BTreeMap<Holder, usize> = BTreeMap::new();
        let mut funded: Vec<(Holder, Amount)> = Vec::new();
        for payment in &payments {
            for (holder, needs) in [
                (payment.sender(), payment.amount.get() + payment.fee.get()),
                (payment.recipient(), 0),
            ] {
                if fresh.contains(&holder) {
                    continue;
                }
                let place = *places.entry(holder).or_insert_with(|| {
                    funded.push((holder, Amount::ZERO));
                    funded.len() - 1
                });
                let total = funded[place].1.get() + needs;
                funded[place].1 = Amount::new(total).expect("168 amounts below 2^110");
            }
        }
        Self {
            payments,
            funded,
            fresh,
        }
    }

    /// The leaves for genesis, in order.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = Leaf> + '_ {
        self.funded.iter().map(|(holder, balance)| {
            let key = party_key(&holder.party).public().into();
            Leaf::new(key, holder.party, holder.token, *balance)
        })
    }

    /// Where the funded leaves stand if the first is at `offset`.
    pub(crate) fn indices(&self, offset: u32) -> BTreeMap<Holder, LeafIndex> {
        self.funded
            .iter()
            .map(|(holder, _)| *holder)
            .zip((offset..).map(LeafIndex))
            .collect()
    }
}

fn address(text: &str) -> Result<L1Address, String> {
    crate::wallet::address::parse_l1_address(text)
}

/// The amount rule of the module.
fn scaled(text: &str) -> Result<Amount, String> {
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(format!("{text:?} is not a decimal amount"));
    }
    // Dividing by 10 and rounding down is dropping the last digit; more than 39 digits are no u128.
    let mut digits = text.trim_start_matches('0');
    let value = loop {
        let value = if digits.is_empty() {
            Ok(0)
        } else {
            digits.parse::<u128>()
        };
        match value {
            Ok(value) if value < AMOUNT_LIMIT => break value,
            _ => digits = &digits[..digits.len() - 1],
        }
    };
    let amount = floor_amount(Amount::new(value).expect("below 2^110"));
    debug_assert!(encode_amount(amount).is_some());
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workload_is_the_168_transfers_with_twenty_new_leaves() {
        let workload = Workload::load(usize::MAX).expect("the carried file");
        assert_eq!(workload.payments.len(), 168);
        assert_eq!(workload.fresh.len(), FRESH_RECIPIENTS);
        let coins = workload
            .payments
            .iter()
            .filter(|payment| payment.token == TokenId(0))
            .count();
        assert_eq!(coins, 103, "fixtures/README.md counts 103 eth and 65 erc20");
        let holders: BTreeSet<Holder> = workload.funded.iter().map(|(holder, _)| *holder).collect();
        assert_eq!(
            holders.len(),
            workload.funded.len(),
            "one leaf for each party and token"
        );
        assert!(holders.is_disjoint(&workload.fresh));
        for payment in &workload.payments {
            assert!(encode_amount(payment.amount).is_some());
            assert!(holders.contains(&payment.sender()), "a sender has a leaf");
        }
        // Some new leaf is paid again later: the resolved index is used.
        let again = workload.fresh.iter().any(|holder| {
            workload
                .payments
                .iter()
                .filter(|payment| payment.recipient() == *holder)
                .count()
                > 1
        });
        assert!(again);
        assert_eq!(
            Workload::load(8).expect("the start").payments,
            workload.payments[..8]
        );
    }

    #[test]
    fn balances_cover_everything_in_any_order() {
        let workload = Workload::load(usize::MAX).expect("the carried file");
        for (holder, balance) in &workload.funded {
            let sent: u128 = workload
                .payments
                .iter()
                .filter(|payment| payment.sender() == *holder)
                .map(|payment| payment.amount.get() + payment.fee.get())
                .sum();
            assert_eq!(balance.get(), sent);
        }
    }

    #[test]
    fn amounts_follow_the_documented_rule() {
        let units = |text: &str| scaled(text).map(Amount::get);
        assert_eq!(units("479602910000000000"), Ok(479_602_910_000_000_000));
        assert_eq!(units("12345678901"), Ok(12_345_678_900));
        assert_eq!(units("0"), Ok(0));
        assert_eq!(units("007"), Ok(7));
        let most = AMOUNT_LIMIT - 1; // 1298074214633706907132624082305023
        assert_eq!(units(&most.to_string()), Ok(129_807_421 * 10_u128.pow(25)));
        assert_eq!(
            units(&AMOUNT_LIMIT.to_string()),
            Ok(129_807_421 * 10_u128.pow(24))
        );
        let huge = "9".repeat(78);
        assert_eq!(units(&huge), Ok(999_999_999 * 10_u128.pow(24)));
        for text in ["", "-1", "1.0", "0x1"] {
            assert!(units(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn malformed_rows_are_named() {
        let header = "block,index,kind,from,to,token,amount\n";
        let row = format!("1,0,eth,0x{},0x{},,x\n", "1".repeat(40), "2".repeat(40));
        let error = Workload::parse(&format!("{header}{row}"), 9).expect_err("no amount");
        assert!(error.to_string().contains("row 1"), "{error}");
        assert!(Workload::parse("a,b\n1,2\n", 9).is_err());
    }
}
