//! Amounts as people type them: decimal base units, and the rule of published floats explained.

use protocol::number::{Amount, encode_amount, encode_fee, floor_amount, floor_fee};

/// A decimal number of base units below 2^120; digits may be grouped by `_`.
///
/// # Errors
/// A text for people.
pub(crate) fn parse_units(text: &str) -> Result<Amount, String> {
    let digits: String = text.chars().filter(|letter| *letter != '_').collect();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(format!("{text:?} is not a whole number of base units"));
    }
    digits
        .parse()
        .ok()
        .and_then(Amount::new)
        .ok_or_else(|| format!("{text} is 2^120 or more"))
}

/// An amount that a transfer can publish, rounded down if `round_down`.
///
/// # Errors
/// A text that names the nearest amounts below.
pub(crate) fn publishable_amount(amount: Amount, round_down: bool) -> Result<Amount, String> {
    let floor = floor_amount(amount);
    if encode_amount(amount).is_some() || round_down {
        return Ok(floor);
    }
    Err(format!(
        "{amount} cannot be published: a transfer carries at most nine significant digits (below 2^30) times a \
         power of ten; the nearest below is {floor}, and {} would be left",
        amount.get() - floor.get()
    ))
}

/// A fee that a transfer can publish.
///
/// # Errors
/// A text that names the nearest fee below.
pub(crate) fn publishable_fee(fee: Amount) -> Result<Amount, String> {
    if encode_fee(fee).is_some() {
        return Ok(fee);
    }
    let floor = floor_fee(fee);
    Err(format!(
        "{fee} cannot be published: a fee is at most 255 times a power of ten; the nearest below is {floor}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_base_units_below_the_limit_are_amounts() {
        assert_eq!(parse_units("1_000").map(Amount::get), Ok(1_000));
        for text in [
            "",
            "_",
            "1.5",
            "-1",
            "+1",
            "1e9",
            "0x10",
            " 1",
            &(1_u128 << 120).to_string(),
        ] {
            assert!(parse_units(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn unpublishable_amounts_are_explained_or_rounded_down() {
        let amount = Amount::new(12_345_678_901).expect("small");
        let error = publishable_amount(amount, false).expect_err("eleven digits");
        assert!(
            error.contains("12345678900") && error.contains(" 1 would be left"),
            "{error}"
        );
        assert_eq!(
            publishable_amount(amount, true).map(Amount::get),
            Ok(12_345_678_900)
        );
        let exact = Amount::new((1 << 30) - 1).expect("small");
        assert_eq!(publishable_amount(exact, false), Ok(exact));
        assert!(publishable_fee(Amount::new(257).expect("small")).is_err());
        assert!(publishable_fee(Amount::new(2_550).expect("small")).is_ok());
    }
}
