//! Bounded pieces of message bodies. A length prefix buys no memory: lists and bytes grow as they are read.

use std::io::{Error, ErrorKind, Read, Result, Write};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use protocol::vote::Extension;

fn invalid(reason: String) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

fn write_len<W: Write>(len: usize, max: usize, writer: &mut W) -> Result<()> {
    if len > max {
        return Err(invalid(format!("length {len} is above {max}")));
    }
    let len = u32::try_from(len).map_err(|_| invalid(format!("length {len} is above u32")))?;
    len.serialize(writer)
}

fn read_len<R: Read>(max: usize, reader: &mut R) -> Result<u32> {
    let len = u32::deserialize_reader(reader)?;
    if usize::try_from(len).is_ok_and(|len| len <= max) {
        Ok(len)
    } else {
        Err(invalid(format!("length {len} is above {max}")))
    }
}

/// At most `MAX` elements; written as Borsh writes a `Vec`.
pub(super) struct List<T, const MAX: usize>(pub(super) Vec<T>);

impl<T, const MAX: usize> FromIterator<T> for List<T, MAX> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl<T: BorshSerialize, const MAX: usize> BorshSerialize for List<T, MAX> {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        write_len(self.0.len(), MAX, writer)?;
        self.0
            .iter()
            .try_for_each(|element| element.serialize(writer))
    }
}

impl<T: BorshDeserialize, const MAX: usize> BorshDeserialize for List<T, MAX> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let mut elements = Vec::new();
        for _ in 0..read_len(MAX, reader)? {
            elements.push(T::deserialize_reader(reader)?);
        }
        Ok(Self(elements))
    }
}

/// At most `MAX` bytes; written as Borsh writes a `Vec<u8>`.
pub(super) struct Blob<const MAX: usize>(pub(super) Bytes);

impl<const MAX: usize> BorshSerialize for Blob<MAX> {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        write_len(self.0.len(), MAX, writer)?;
        writer.write_all(&self.0)
    }
}

impl<const MAX: usize> BorshDeserialize for Blob<MAX> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let len = u64::from(read_len(MAX, reader)?);
        let mut bytes = Vec::new();
        let got = reader.by_ref().take(len).read_to_end(&mut bytes)?;
        if u64::try_from(got) != Ok(len) {
            return Err(invalid(format!("{got} bytes where {len} are due")));
        }
        Ok(Self(bytes.into()))
    }
}

/// An extension within its bounds and in its order.
pub(super) struct Checked(pub(super) Extension);

impl Checked {
    fn check(&self) -> Result<()> {
        self.0.check().map_err(|error| invalid(error.to_string()))
    }
}

impl BorshSerialize for Checked {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.check()?;
        self.0.serialize(writer)
    }
}

impl BorshDeserialize for Checked {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let checked = Self(Extension::deserialize_reader(reader)?);
        checked.check()?;
        Ok(checked)
    }
}
