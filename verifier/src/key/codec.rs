//! The bytes of a key description, version 1.
//!
//! All integers are little-endian and of fixed width, scalars 32 bytes and points pairs of
//! coordinates as in [`crate::points`]. A list is its length as u32, then its entries.
//!
//! | field | bytes |
//! |---|---|
//! | magic `QUORATVK` | 8 |
//! | version, 1 | u32 |
//! | transcript: 1 Poseidon, 2 Keccak | u8 |
//! | k, degree, blinded rows | u32 each |
//! | transcript digest of the halo2 key | scalar |
//! | phases of advice columns; phases of challenges | two lists of u8 |
//! | public inputs of each instance column | list of u32 |
//! | advice, instance and fixed queries | three lists of (column u32, rotation i32) |
//! | nodes | list of (tag u8, operands), see below |
//! | constraints | list of u32, positions of nodes |
//! | lookups | list of (list of u32 inputs, list of u32 tables) |
//! | permutation columns | list of (kind u8: 1 advice, 2 fixed, 3 instance; column u32) |
//! | commitments to fixed columns; to permutation columns | two lists of first-group points |
//! | generator; `[s]_2` | one point of each group |
//!
//! Nodes: 1 constant (scalar), 2 fixed, 3 advice, 4 instance query (u32), 5 challenge (u32),
//! 6 negative (u32), 7 sum, 8 product (two u32).
//!
//! Decoding checks each length against its limit and against the bytes that are left before it
//! allocates. Together with the rules of `validity.rs` the encoding is canonical.

use ark_bn254::G1Affine;

use super::limits;
use super::{ColumnKind, KeyError, KeyParts, Lookup, Node, PermutationColumn, Query, index};
use crate::field::{EncodingError, scalar_from_le, scalar_to_le};
use crate::points::{G1_PAIR_BYTES, g1_from_pair, g1_to_pair, g2_from_pair, g2_to_pair};
use crate::transcript::TranscriptKind;

const MAGIC: [u8; 8] = *b"QUORATVK";
const VERSION: u32 = 1;

pub(super) fn encode(parts: &KeyParts) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC);
    put_u32(&mut out, VERSION);
    out.push(match parts.transcript {
        TranscriptKind::Poseidon => 1,
        TranscriptKind::Keccak => 2,
    });
    for number in [parts.k, parts.degree, parts.blinding_factors] {
        put_u32(&mut out, number);
    }
    out.extend(scalar_to_le(&parts.transcript_repr));
    put_list(&mut out, &parts.advice_phases, |out, phase| {
        out.push(*phase)
    });
    put_list(&mut out, &parts.challenge_phases, |out, phase| {
        out.push(*phase)
    });
    put_list(&mut out, &parts.instance_lens, |out, len| {
        put_u32(out, *len)
    });
    for queries in [
        &parts.advice_queries,
        &parts.instance_queries,
        &parts.fixed_queries,
    ] {
        put_list(&mut out, queries, |out, query| {
            put_u32(out, query.column);
            out.extend(query.rotation.to_le_bytes());
        });
    }
    put_list(&mut out, &parts.nodes, put_node);
    put_list(&mut out, &parts.gates, |out, node| put_u32(out, *node));
    put_list(&mut out, &parts.lookups, |out, lookup| {
        put_list(out, &lookup.inputs, |out, node| put_u32(out, *node));
        put_list(out, &lookup.tables, |out, node| put_u32(out, *node));
    });
    put_list(&mut out, &parts.permutation, |out, column| {
        out.push(match column.kind {
            ColumnKind::Advice => 1,
            ColumnKind::Fixed => 2,
            ColumnKind::Instance => 3,
        });
        put_u32(out, column.column);
    });
    put_list(&mut out, &parts.fixed_commitments, |out, point| {
        out.extend(g1_to_pair(point))
    });
    put_list(&mut out, &parts.permutation_commitments, |out, point| {
        out.extend(g1_to_pair(point))
    });
    out.extend(g1_to_pair(&parts.g1));
    out.extend(g2_to_pair(&parts.s_g2));
    out
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

/// Lengths are below the limits, far below `u32::MAX`, in every checked key.
fn put_list<T>(out: &mut Vec<u8>, items: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    put_u32(out, u32::try_from(items.len()).unwrap_or(u32::MAX));
    for item in items {
        put(out, item);
    }
}

fn put_node(out: &mut Vec<u8>, node: &Node) {
    let (tag, operands): (u8, [Option<u32>; 2]) = match *node {
        Node::Constant(constant) => {
            out.push(1);
            out.extend(scalar_to_le(&constant));
            return;
        }
        Node::Fixed(query) => (2, [Some(query), None]),
        Node::Advice(query) => (3, [Some(query), None]),
        Node::Instance(query) => (4, [Some(query), None]),
        Node::Challenge(challenge) => (5, [Some(challenge), None]),
        Node::Negated(a) => (6, [Some(a), None]),
        Node::Sum(a, b) => (7, [Some(a), Some(b)]),
        Node::Product(a, b) => (8, [Some(a), Some(b)]),
    };
    out.push(tag);
    for operand in operands.into_iter().flatten() {
        put_u32(out, operand);
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<KeyParts, KeyError> {
    let mut reader = Reader { rest: bytes };
    if reader.take::<8>("magic") != Ok(MAGIC) {
        return Err(KeyError::InvalidMagic);
    }
    let version = reader.u32("version")?;
    if version != VERSION {
        return Err(KeyError::UnsupportedVersion {
            found: version,
            supported: VERSION,
        });
    }
    let transcript = match reader.u8("transcript")? {
        1 => TranscriptKind::Poseidon,
        2 => TranscriptKind::Keccak,
        tag => {
            return Err(KeyError::InvalidTag {
                what: "transcript",
                tag,
            });
        }
    };
    // Fields of a struct expression are evaluated in the order they are written.
    let parts = KeyParts {
        transcript,
        k: reader.u32("k")?,
        degree: reader.u32("degree")?,
        blinding_factors: reader.u32("number of blinded rows")?,
        transcript_repr: reader.scalar("transcript digest")?,
        advice_phases: reader.phases("advice phases")?,
        challenge_phases: reader.phases("challenge phases")?,
        instance_lens: reader.list("instance lengths", limits::COLUMNS_MAX, 4, |reader| {
            reader.u32("number of public inputs")
        })?,
        advice_queries: reader.queries("advice queries")?,
        instance_queries: reader.queries("instance queries")?,
        fixed_queries: reader.queries("fixed queries")?,
        nodes: reader.list("nodes", limits::NODES_MAX, 5, Reader::node)?,
        gates: reader.positions("constraints", limits::GATES_MAX)?,
        lookups: reader.list("lookups", limits::LOOKUPS_MAX, 8, |reader| {
            Ok(Lookup {
                inputs: reader.positions("lookup inputs", limits::LOOKUP_WIDTH_MAX)?,
                tables: reader.positions("lookup tables", limits::LOOKUP_WIDTH_MAX)?,
            })
        })?,
        permutation: reader.permutation()?,
        fixed_commitments: reader.points("fixed commitments", limits::COLUMNS_MAX)?,
        permutation_commitments: reader.points(
            "permutation commitments",
            limits::COLUMNS_MAX.saturating_mul(3),
        )?,
        g1: reader.point("generator")?,
        s_g2: reader
            .take::<128>("[s]_2")
            .and_then(|bytes| named("[s]_2", g2_from_pair(&bytes)))?,
    };
    match reader.rest.len() {
        0 => Ok(parts),
        count => Err(KeyError::TrailingBytes { count }),
    }
}

fn named<T>(what: &'static str, result: Result<T, EncodingError>) -> Result<T, KeyError> {
    result.map_err(|source| KeyError::InvalidEncoding { what, source })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], KeyError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(KeyError::Truncated { what })?;
        self.rest = rest;
        Ok(*head)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, KeyError> {
        self.take::<1>(what).map(|[byte]| byte)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, KeyError> {
        self.take(what).map(u32::from_le_bytes)
    }

    fn scalar(&mut self, what: &'static str) -> Result<ark_bn254::Fr, KeyError> {
        let bytes = self.take(what)?;
        named(what, scalar_from_le(&bytes))
    }

    fn point(&mut self, what: &'static str) -> Result<G1Affine, KeyError> {
        let bytes = self.take(what)?;
        named(what, g1_from_pair(&bytes))
    }

    /// A list of at most `max` entries, each of at least `min_bytes` bytes.
    fn list<T>(
        &mut self,
        what: &'static str,
        max: u32,
        min_bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, KeyError>,
    ) -> Result<Vec<T>, KeyError> {
        let count = self.u32(what)?;
        if count > max {
            let (found, max) = (count.into(), max.into());
            return Err(KeyError::OutOfLimits {
                what,
                found,
                min: 0,
                max,
            });
        }
        let count = index(count);
        if count.saturating_mul(min_bytes) > self.rest.len() {
            return Err(KeyError::Truncated { what });
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn phases(&mut self, what: &'static str) -> Result<Vec<u8>, KeyError> {
        self.list(what, limits::COLUMNS_MAX, 1, |reader| reader.u8(what))
    }

    fn positions(&mut self, what: &'static str, max: u32) -> Result<Vec<u32>, KeyError> {
        self.list(what, max, 4, |reader| reader.u32(what))
    }

    fn points(&mut self, what: &'static str, max: u32) -> Result<Vec<G1Affine>, KeyError> {
        self.list(what, max, G1_PAIR_BYTES, |reader| reader.point(what))
    }

    fn queries(&mut self, what: &'static str) -> Result<Vec<Query>, KeyError> {
        self.list(what, limits::QUERIES_MAX, 8, |reader| {
            Ok(Query {
                column: reader.u32(what)?,
                rotation: i32::from_le_bytes(reader.take(what)?),
            })
        })
    }

    fn permutation(&mut self) -> Result<Vec<PermutationColumn>, KeyError> {
        let what = "permutation columns";
        self.list(what, limits::COLUMNS_MAX.saturating_mul(3), 5, |reader| {
            let kind = match reader.u8(what)? {
                1 => ColumnKind::Advice,
                2 => ColumnKind::Fixed,
                3 => ColumnKind::Instance,
                tag => return Err(KeyError::InvalidTag { what, tag }),
            };
            Ok(PermutationColumn {
                kind,
                column: reader.u32(what)?,
            })
        })
    }

    fn node(&mut self) -> Result<Node, KeyError> {
        let what = "expression node";
        Ok(match self.u8(what)? {
            1 => Node::Constant(self.scalar(what)?),
            2 => Node::Fixed(self.u32(what)?),
            3 => Node::Advice(self.u32(what)?),
            4 => Node::Instance(self.u32(what)?),
            5 => Node::Challenge(self.u32(what)?),
            6 => Node::Negated(self.u32(what)?),
            7 => Node::Sum(self.u32(what)?, self.u32(what)?),
            8 => Node::Product(self.u32(what)?, self.u32(what)?),
            tag => return Err(KeyError::InvalidTag { what, tag }),
        })
    }
}

#[cfg(test)]
mod tests;
