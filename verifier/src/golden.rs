//! Keys this program accepts: circuit, version, reference string and digest of the key description.
//!
//! The list is `verifier/golden/keys.txt`, compiled in. A line is
//! `circuit version reference-string insecure|ceremony digest`; `#` starts a comment. `make golden` regenerates it
//! when a circuit changes on purpose; a test compares it with keys made afresh. The digest covers `[s]_2`.

use std::sync::OnceLock;

/// The circuits whose proofs a bundle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CircuitName {
    /// A run of operations.
    Chunk,
    /// The words of a batch.
    Data,
}

impl std::fmt::Display for CircuitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Chunk => "chunk",
            Self::Data => "data",
        })
    }
}

/// One accepted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoldenKey {
    /// Which circuit.
    pub circuit: CircuitName,
    /// Its version.
    pub version: u64,
    /// Name of the reference string, as genesis names it.
    pub reference_string: String,
    /// Whether that string's secret is public.
    pub is_insecure: bool,
    /// keccak256 of the key description.
    pub digest: [u8; 32],
}

/// Encoded descriptions of the keys of aggregation under a reference string: the four levels, the top, the final circuit.
///
/// They are compiled in, since a node that checks aggregated proofs should not make gigabytes of proving keys for them;
/// `make golden` writes `verifier/golden/aggregation`, and a test compares it with keys made afresh.
#[must_use]
pub fn aggregation(reference_string: &str) -> Option<&'static [&'static [u8]; 6]> {
    const DEVELOPMENT: [&[u8]; 6] = [
        include_bytes!("../golden/aggregation/insecure-development-level-0.key"),
        include_bytes!("../golden/aggregation/insecure-development-level-1.key"),
        include_bytes!("../golden/aggregation/insecure-development-level-2.key"),
        include_bytes!("../golden/aggregation/insecure-development-level-3.key"),
        include_bytes!("../golden/aggregation/insecure-development-top.key"),
        include_bytes!("../golden/aggregation/insecure-development-final.key"),
    ];
    (reference_string == "insecure-development").then_some(&DEVELOPMENT)
}

/// The compiled-in list.
#[must_use]
pub fn keys() -> &'static [GoldenKey] {
    static KEYS: OnceLock<Vec<GoldenKey>> = OnceLock::new();
    KEYS.get_or_init(|| {
        include_str!("../golden/keys.txt")
            .lines()
            .filter_map(|line| parse(line.split('#').next().unwrap_or("")))
            .collect()
    })
}

fn parse(line: &str) -> Option<GoldenKey> {
    let mut fields = line.split_whitespace();
    let circuit = match fields.next()? {
        "chunk" => CircuitName::Chunk,
        "data" => CircuitName::Data,
        _ => return None,
    };
    let version = fields.next()?.parse().ok()?;
    let reference_string = fields.next()?.to_owned();
    let is_insecure = fields.next()? != "ceremony"; // anything unknown counts as insecure
    let hex = fields.next()?;
    let mut digest = [0; 32];
    if hex.len() != 64 || fields.next().is_some() {
        return None;
    }
    for (place, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(GoldenKey {
        circuit,
        version,
        reference_string,
        is_insecure,
        digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_a_key() {
        let lines = include_str!("../golden/keys.txt")
            .lines()
            .filter(|line| !line.split('#').next().unwrap_or("").trim().is_empty())
            .count();
        assert_eq!(keys().len(), lines);
    }

    #[test]
    fn malformed_lines_are_no_keys() {
        let digest = "ab".repeat(32);
        assert!(
            parse(&format!("chunk 1 name ceremony {digest}")).is_some_and(|key| !key.is_insecure)
        );
        assert!(parse(&format!("chunk 1 name secure {digest}")).is_some_and(|key| key.is_insecure));
        assert_eq!(parse(&format!("other 1 name ceremony {digest}")), None);
        assert_eq!(parse(&format!("chunk 1 name ceremony {digest}ab")), None);
        assert_eq!(parse("chunk 1 name ceremony"), None);
    }
}
