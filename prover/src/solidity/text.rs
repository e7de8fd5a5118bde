//! Text with indentation, and numbers as Solidity writes them.
//!
//! Field elements and points come from key descriptions over arkworks and from halo2curves; both
//! pass through canonical bytes, most significant byte first in the text.

use halo2curves::bn256::{Fr, G2Affine};
use halo2curves::ff::PrimeField;
use verifier::field::{Scalar, scalar_to_le};
use verifier::points::{FirstGroupPoint, SecondGroupPoint, g1_to_pair, g2_to_pair};

/// Lines, indented by the blocks they stand in.
#[derive(Default)]
pub(super) struct Text {
    lines: String,
    depth: usize,
}

impl Text {
    /// One line.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        if !line.is_empty() {
            for _ in 0..self.depth {
                self.lines.push_str("    ");
            }
        }
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    /// Lines that are written already, indented among themselves.
    pub(super) fn lines(&mut self, lines: &str) {
        for line in lines.lines() {
            self.line(line);
        }
    }

    /// A line that opens a block.
    pub(super) fn open(&mut self, head: &str) {
        self.line(if head.is_empty() {
            "{".to_owned()
        } else {
            format!("{head} {{")
        });
        self.depth += 1;
    }

    /// The end of a block.
    pub(super) fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.lines
    }
}

/// An address or a length.
pub(super) fn hex(number: usize) -> String {
    format!("{number:#06x}")
}

/// A word, least significant byte first, without leading zeros.
fn word(little_endian: &[u8]) -> String {
    let digits: String = little_endian
        .iter()
        .rev()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let digits = digits.trim_start_matches('0');
    // A literal of 40 digits would be taken for an address and its capitals checked.
    match digits.len() {
        0 => "0x00".to_owned(),
        len if len == 40 || len % 2 == 1 => format!("0x0{digits}"),
        _ => format!("0x{digits}"),
    }
}

/// A scalar computed here.
pub(super) fn scalar(value: &Fr) -> String {
    word(&value.to_repr())
}

/// A scalar of the key.
pub(super) fn key_scalar(value: &Scalar) -> String {
    word(&scalar_to_le(value))
}

/// A point of the first group: x, y.
pub(super) fn first_group_point(point: &FirstGroupPoint) -> [String; 2] {
    words(&g1_to_pair(point))
}

/// A point of the second group as the pairing precompile reads it: of each coordinate first the
/// factor of the root, then the other.
pub(super) fn second_group_point(point: &SecondGroupPoint) -> [String; 4] {
    let [x0, x1, y0, y1] = words(&g2_to_pair(point));
    [x1, x0, y1, y0]
}

/// The generator of the second group, in the same order.
pub(super) fn second_group_generator() -> [String; 4] {
    let point = G2Affine::generator();
    [point.x.c1, point.x.c0, point.y.c1, point.y.c0].map(|coordinate| word(&coordinate.to_repr()))
}

fn words<const N: usize>(bytes: &[u8]) -> [String; N] {
    let mut words = bytes.as_chunks::<32>().0.iter();
    std::array::from_fn(|_| words.next().map_or_else(|| word(&[]), |bytes| word(bytes)))
}

#[cfg(test)]
mod tests {
    use super::{Text, scalar, word};
    use halo2curves::bn256::Fr;

    #[test]
    fn words_have_whole_bytes_and_never_look_like_addresses() {
        assert_eq!(word(&[]), "0x00");
        assert_eq!(word(&[0, 1]), "0x0100");
        assert_eq!(word(&[5, 0, 0]), "0x05");
        assert_eq!(word(&[0xff; 20]).len(), 43);
        assert_eq!(scalar(&Fr::from(0x1234)), "0x1234");
    }

    #[test]
    fn blocks_are_indented_and_empty_lines_are_empty() {
        let mut text = Text::default();
        text.open("a");
        text.open("");
        text.lines("b\n\nc");
        text.close();
        text.close();
        assert_eq!(
            text.finish(),
            "a {\n    {\n        b\n\n        c\n    }\n}\n"
        );
    }
}
