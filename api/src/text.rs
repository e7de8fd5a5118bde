//! Texts of bytes, field elements and amounts: exactly one per value.
//!
//! Bytes are `0x` and lower-case hex. A field element is its 32 bytes big-endian, 64 digits, below p: the integer as
//! Ethereum tools write it (the protocol's own encodings are little-endian; this is JSON). Amounts are decimal.
//!
//! These types hold any string when they come from outside, so that a wrong one gets a typed error that names the
//! field and not a parser's complaint; `parse` is the only way to the value.

use protocol::{
    Fr,
    account::L1Address,
    block::BlockId,
    codec::{field_from_be_bytes, field_to_be_bytes},
    number::Amount,
    transaction::TransactionId,
};
use serde::{Deserialize, Serialize};

use crate::error::{ApiError, ErrorCode};

fn malformed(what: &str, expected: &str) -> ApiError {
    // Long input is cut: an error must not echo a megabyte.
    let shown: String = what.chars().take(80).collect();
    ApiError::new(
        ErrorCode::MalformedText,
        format!("{shown:?} is not {expected}"),
    )
}

/// Bytes of a text of `0x` and lower-case digits.
fn parse_hex(text: &str, expected: &str) -> Result<Vec<u8>, ApiError> {
    let digits = text
        .strip_prefix("0x")
        .ok_or_else(|| malformed(text, expected))?;
    if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return Err(malformed(text, expected));
    }
    hex::decode(digits).map_err(|_| malformed(text, expected))
}

fn parse_array<const N: usize>(text: &str, expected: &str) -> Result<[u8; N], ApiError> {
    parse_hex(text, expected)?
        .try_into()
        .map_err(|_| malformed(text, expected))
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text!(
    /// A field element: `0x` and 64 digits, big-endian, below p.
    FieldText
);
text!(
    /// 32 bytes: a hash, an id.
    HashText
);
text!(
    /// A base-layer address: 20 bytes.
    AddressText
);
text!(
    /// Any number of bytes.
    BytesText
);
text!(
    /// A decimal integer below 2^120, without sign or leading zeros.
    AmountText
);

impl FieldText {
    /// The field element.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`] or [`ErrorCode::NonCanonicalField`].
    pub fn parse(&self) -> Result<Fr, ApiError> {
        let bytes = parse_array(&self.0, "0x and 64 lower-case hex digits")?;
        field_from_be_bytes(&bytes).map_err(|error| {
            ApiError::new(ErrorCode::NonCanonicalField, format!("{}: {error}", self.0))
        })
    }
}

impl From<Fr> for FieldText {
    fn from(value: Fr) -> Self {
        Self(format!("0x{}", hex::encode(field_to_be_bytes(&value))))
    }
}

impl HashText {
    /// The 32 bytes.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`].
    pub fn parse(&self) -> Result<[u8; 32], ApiError> {
        parse_array(&self.0, "0x and 64 lower-case hex digits")
    }

    /// The transaction id.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`].
    pub fn parse_id(&self) -> Result<TransactionId, ApiError> {
        self.parse().map(TransactionId)
    }
}

impl From<[u8; 32]> for HashText {
    fn from(bytes: [u8; 32]) -> Self {
        Self(format!("0x{}", hex::encode(bytes)))
    }
}

impl From<TransactionId> for HashText {
    fn from(id: TransactionId) -> Self {
        id.0.into()
    }
}

impl From<BlockId> for HashText {
    fn from(id: BlockId) -> Self {
        id.0.into()
    }
}

impl AddressText {
    /// The address.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`].
    pub fn parse(&self) -> Result<L1Address, ApiError> {
        parse_array(&self.0, "0x and 40 lower-case hex digits").map(L1Address)
    }
}

impl From<L1Address> for AddressText {
    fn from(address: L1Address) -> Self {
        Self(format!("0x{}", hex::encode(address.0)))
    }
}

impl BytesText {
    /// The bytes.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`].
    pub fn parse(&self) -> Result<Vec<u8>, ApiError> {
        parse_hex(&self.0, "0x and lower-case hex digits")
    }
}

impl From<&[u8]> for BytesText {
    fn from(bytes: &[u8]) -> Self {
        Self(format!("0x{}", hex::encode(bytes)))
    }
}

impl AmountText {
    /// The amount.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`] or [`ErrorCode::AmountOutOfRange`].
    pub fn parse(&self) -> Result<Amount, ApiError> {
        let text = &self.0;
        let is_decimal = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        if !is_decimal || (text.len() > 1 && text.starts_with('0')) {
            return Err(malformed(text, "a decimal integer without leading zeros"));
        }
        text.parse().ok().and_then(Amount::new).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            ApiError::new(
                ErrorCode::AmountOutOfRange,
                format!("{shown} is 2^120 or more"),
            )
        })
    }
}

impl From<Amount> for AmountText {
    fn from(amount: Amount) -> Self {
        Self(amount.get().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_elements_have_one_text() {
        let five = FieldText::from(Fr::from(5_u64));
        assert_eq!(five.0, format!("0x{:064x}", 5));
        assert_eq!(five.parse(), Ok(Fr::from(5_u64)));
        // The modulus itself, one digit short, upper case, no prefix.
        let modulus = "0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
        let refused = [
            (modulus.to_owned(), ErrorCode::NonCanonicalField),
            (
                format!("0x{}", "f".repeat(64)),
                ErrorCode::NonCanonicalField,
            ),
            (format!("0x{:063x}", 5), ErrorCode::MalformedText),
            (format!("0x{:064X}", 10), ErrorCode::MalformedText),
            (format!("{:064x}", 5), ErrorCode::MalformedText),
            ("0xzz".to_owned(), ErrorCode::MalformedText),
            (String::new(), ErrorCode::MalformedText),
        ];
        for (text, code) in refused {
            assert_eq!(
                FieldText(text.clone()).parse().unwrap_err().code,
                code,
                "{text}"
            );
        }
    }

    #[test]
    fn amounts_are_canonical_decimals_below_two_to_the_120() {
        let max = (1_u128 << 120) - 1;
        assert_eq!(
            AmountText(max.to_string()).parse().map(Amount::get),
            Ok(max)
        );
        assert_eq!(AmountText("0".into()).parse(), Ok(Amount::ZERO));
        for text in ["", "01", "+1", "-1", "1.0", "0x1", " 1", "1e3"] {
            let error = AmountText(text.into()).parse().unwrap_err();
            assert_eq!(error.code, ErrorCode::MalformedText, "{text}");
        }
        for text in [(1_u128 << 120).to_string(), "9".repeat(5_000)] {
            let error = AmountText(text).parse().unwrap_err();
            assert_eq!(error.code, ErrorCode::AmountOutOfRange);
            assert!(error.reason.len() < 200);
        }
    }

    #[test]
    fn bytes_round_trip_and_long_garbage_is_not_echoed() {
        let address = L1Address([0xab; 20]);
        assert_eq!(AddressText::from(address).parse(), Ok(address));
        assert_eq!(BytesText::from(&b"hi"[..]).parse(), Ok(b"hi".to_vec()));
        assert_eq!(HashText::from([7; 32]).parse(), Ok([7; 32]));
        let error = HashText("z".repeat(1 << 20)).parse().unwrap_err();
        assert!(error.reason.len() < 300);
    }
}
