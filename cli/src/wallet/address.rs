//! Payment addresses in print.
//!
//! A payment address is a key, a base-layer owner and a token (`protocol.md`, "State"). In print:
//!
//! ```text
//! qr1 | key x, y (32 bytes little-endian each) | l1_owner (20) | token (4, big-endian) | checksum (4)   in hex
//! ```
//!
//! The checksum is the start of keccak256("QUORATE/cli/address/v1" and the 88 bytes). There is one text per address:
//! lower case, coordinates below p. A key that nobody could sign for (off the curve, of small order, null) is
//! refused: money sent to it could be recovered by its l1_owner only.

use std::fmt;
use std::str::FromStr;

use protocol::{
    account::L1Address,
    codec::{field_from_le_bytes, field_to_le_bytes},
    hash::keccak256,
    number::TokenId,
    signature::PublicKey,
};

/// First letters of every address.
const PREFIX: &str = "qr1";
/// Bytes of key, owner and token.
const PAYLOAD_BYTES: usize = 88;
/// Bytes of the checksum.
const CHECKSUM_BYTES: usize = 4;

/// Where a payment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PaymentAddress {
    /// Who will sign.
    pub(crate) key: PublicKey,
    /// Who is paid by withdrawals.
    pub(crate) l1_owner: L1Address,
    /// What is paid.
    pub(crate) token: TokenId,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// Prefix, length or letters.
    #[error("an address is {PREFIX} and {} lower-case hex digits", 2 * (PAYLOAD_BYTES + CHECKSUM_BYTES))]
    Form,
    /// The checksum does not fit: a letter is wrong.
    #[error("the checksum does not match: at least one letter is wrong")]
    Checksum,
    /// The key cannot sign.
    #[error("the key in it is not usable: {0}")]
    Key(String),
    /// The zero address owns nothing.
    #[error("its l1_owner is the zero address")]
    Owner,
}

fn checksum(payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = keccak256(&[b"QUORATE/cli/address/v1", payload].concat());
    let mut start = [0; CHECKSUM_BYTES];
    start.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    start
}

impl fmt::Display for PaymentAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(PAYLOAD_BYTES + CHECKSUM_BYTES);
        bytes.extend_from_slice(&field_to_le_bytes(&self.key.point().x()));
        bytes.extend_from_slice(&field_to_le_bytes(&self.key.point().y()));
        bytes.extend_from_slice(&self.l1_owner.0);
        bytes.extend_from_slice(&self.token.0.to_be_bytes());
        bytes.extend_from_slice(&checksum(&bytes));
        write!(formatter, "{PREFIX}{}", hex::encode(bytes))
    }
}

impl FromStr for PaymentAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(PREFIX).ok_or(AddressError::Form)?;
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(AddressError::Form);
        }
        let mut bytes = [0; PAYLOAD_BYTES + CHECKSUM_BYTES];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| AddressError::Form)?;
        let (payload, sum) = bytes.split_at(PAYLOAD_BYTES);
        if checksum(payload) != sum {
            return Err(AddressError::Checksum);
        }
        let (x, rest) = payload.split_at(32);
        let (y, rest) = rest.split_at(32);
        let (owner, token) = rest.split_at(20);
        let field = |bytes: &[u8]| {
            field_from_le_bytes(bytes.try_into().expect("32 bytes were split off"))
                .map_err(|error| AddressError::Key(error.to_string()))
        };
        let key = PublicKey::new(field(x)?, field(y)?)
            .map_err(|error| AddressError::Key(error.to_string()))?;
        let l1_owner = L1Address(owner.try_into().expect("20 bytes were split off"));
        if l1_owner == L1Address::ZERO {
            return Err(AddressError::Owner);
        }
        let token = TokenId(u32::from_be_bytes(
            token.try_into().expect("four bytes are left"),
        ));
        Ok(Self {
            key,
            l1_owner,
            token,
        })
    }
}

/// A base-layer address: `0x` and 40 hex digits. Mixed case must be a correct EIP-55 checksum.
///
/// # Errors
/// A text for people.
pub(crate) fn parse_l1_address(text: &str) -> Result<L1Address, String> {
    let digits = text.strip_prefix("0x").unwrap_or("");
    let mut bytes = [0; 20];
    hex::decode_to_slice(digits, &mut bytes)
        .map_err(|_| format!("{text:?} is not 0x and 40 hex digits"))?;
    let is_upper = digits.bytes().any(|digit| digit.is_ascii_uppercase());
    let is_lower = digits.bytes().any(|digit| digit.is_ascii_lowercase());
    if is_upper && is_lower && digits != eip55(&bytes) {
        return Err(format!(
            "the capital letters of {text:?} do not match: a letter is wrong (EIP-55)"
        ));
    }
    let address = L1Address(bytes);
    if address == L1Address::ZERO {
        Err("the zero address owns nothing".to_owned())
    } else {
        Ok(address)
    }
}

/// Digits with EIP-55's capitals.
fn eip55(bytes: &[u8; 20]) -> String {
    let digits = hex::encode(bytes);
    let digest = hex::encode(keccak256(digits.as_bytes()));
    let capital = |(digit, nibble): (char, char)| {
        if nibble >= '8' {
            digit.to_ascii_uppercase()
        } else {
            digit
        }
    };
    digits.chars().zip(digest.chars()).map(capital).collect()
}

#[cfg(test)]
mod tests {
    use protocol::signature::SecretKey;

    use super::*;

    fn address() -> PaymentAddress {
        PaymentAddress {
            key: SecretKey::from_seed(&[7; 32]).public(),
            l1_owner: L1Address([0xab; 20]),
            token: TokenId(3),
        }
    }

    #[test]
    fn addresses_have_one_text_and_every_wrong_letter_is_noticed() {
        let text = address().to_string();
        assert_eq!(text.parse(), Ok(address()));
        assert_eq!(
            text.to_uppercase().parse::<PaymentAddress>(),
            Err(AddressError::Form)
        );
        assert_eq!(
            text[..text.len() - 2].parse::<PaymentAddress>(),
            Err(AddressError::Form)
        );
        for place in PREFIX.len()..text.len() {
            let mut letters: Vec<u8> = text.bytes().collect();
            letters[place] = if letters[place] == b'0' { b'1' } else { b'0' };
            let wrong = String::from_utf8(letters).expect("ASCII");
            assert_eq!(
                wrong.parse::<PaymentAddress>(),
                Err(AddressError::Checksum),
                "{place}"
            );
        }
    }

    #[test]
    fn keys_that_cannot_sign_and_owners_that_own_nothing_are_refused() {
        let with = |x: [u8; 32], y: [u8; 32], owner: [u8; 20]| {
            let mut bytes = [x.as_slice(), &y, &owner, &[0; 4]].concat();
            bytes.extend_from_slice(&checksum(&bytes));
            format!("{PREFIX}{}", hex::encode(bytes)).parse::<PaymentAddress>()
        };
        let one = {
            let mut bytes = [0; 32];
            bytes[0] = 1;
            bytes
        };
        assert!(
            matches!(with([0; 32], [0; 32], [1; 20]), Err(AddressError::Key(_))),
            "null key"
        );
        assert!(
            matches!(with([0; 32], one, [1; 20]), Err(AddressError::Key(_))),
            "small order"
        );
        assert!(
            matches!(with([0xff; 32], one, [1; 20]), Err(AddressError::Key(_))),
            "x >= p"
        );
        let key = address().key.point();
        let (x, y) = (field_to_le_bytes(&key.x()), field_to_le_bytes(&key.y()));
        assert_eq!(with(x, y, [0; 20]), Err(AddressError::Owner));
    }

    #[test]
    fn capitals_of_base_layer_addresses_are_a_checksum() {
        // The examples of EIP-55.
        let good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert!(parse_l1_address(good).is_ok());
        assert!(parse_l1_address(&good.to_lowercase()).is_ok());
        assert!(parse_l1_address(&good.replace("5aA", "5AA")).is_err());
        for text in [
            "",
            "0x",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            &format!("0x{}", "0".repeat(40)),
        ] {
            assert!(parse_l1_address(text).is_err(), "{text}");
        }
    }
}
