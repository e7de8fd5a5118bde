//! The bytes of a snapshot: frames, each bound to all before it, so that a file of any length is read piece by piece and
//! nothing of a damaged one is decoded.
//!
//! ```text
//! magic (8) | format version u32 | frame ...
//! frame: body length u32 | kind u8 | body (Borsh) | link (32)
//! link  = keccak256(link before | kind | body); before the first: keccak256(magic | format version)
//! ```
//!
//! Integers are little-endian. The last frame has no body, and its link is the hash of the contents; nothing follows
//! it. What this module does not do: know what the frames mean.

use std::{
    io::{Read, Write},
    path::Path,
};

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    codec::{from_bytes, to_bytes},
    hash::keccak256,
};

use super::{SnapshotError, files};

const MAGIC: [u8; 8] = *b"QRSNAPSH";
const VERSION: u32 = 1;
const LINK_BYTES: usize = 32;

/// Bytes of a body: a block of 4 MiB with two certificates of a hundred validators that list all they may.
const BODY_BYTES_MAX: usize = 16 << 20;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Head,
    Handover,
    Block,
    Leaves,
    End,
}

impl Kind {
    fn tag(self) -> u8 {
        match self {
            Self::Head => 0,
            Self::Handover => 1,
            Self::Block => 2,
            Self::Leaves => 3,
            Self::End => 4,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Head => "its head",
            Self::Handover => "a handover",
            Self::Block => "a block",
            Self::Leaves => "its leaves",
            Self::End => "its end",
        }
    }
}

fn start() -> ([u8; 12], [u8; 32]) {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..].copy_from_slice(&VERSION.to_le_bytes());
    (bytes, keccak256(&bytes))
}

/// The link, and in front of the body what it covers beside it.
fn covered(link: &[u8; 32], kind: Kind) -> Vec<u8> {
    let mut bytes = link.to_vec();
    bytes.push(kind.tag());
    bytes
}

/// Writes frames.
pub(super) struct FrameWriter<'a> {
    to: &'a mut dyn Write,
    path: &'a Path,
    link: [u8; 32],
}

impl<'a> FrameWriter<'a> {
    pub(super) fn new(to: &'a mut dyn Write, path: &'a Path) -> Result<Self, SnapshotError> {
        let (bytes, link) = start();
        to.write_all(&bytes).map_err(files(path))?;
        Ok(Self { to, path, link })
    }

    pub(super) fn write<T: BorshSerialize>(
        &mut self,
        kind: Kind,
        body: &T,
    ) -> Result<(), SnapshotError> {
        let mut bytes = covered(&self.link, kind);
        bytes.extend_from_slice(&to_bytes(body));
        self.link = keccak256(&bytes);
        let framed = bytes.get(LINK_BYTES..).unwrap_or(&[]);
        let length = framed.len().saturating_sub(1);
        if length > BODY_BYTES_MAX {
            let what = format!(
                "{} has {length} bytes, at most {BODY_BYTES_MAX} fit",
                kind.noun()
            );
            return Err(SnapshotError::Inconsistent(what));
        }
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.to
            .write_all(&length.to_le_bytes())
            .and_then(|()| self.to.write_all(framed))
            .and_then(|()| self.to.write_all(&self.link))
            .map_err(files(self.path))
    }
}

/// Reads frames.
pub(super) struct FrameReader<'a> {
    from: &'a mut dyn Read,
    path: &'a Path,
    link: [u8; 32],
    bytes: u64,
}

impl<'a> FrameReader<'a> {
    /// Reads the beginning.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`] for what is no snapshot, [`SnapshotError::Version`].
    pub(super) fn new(from: &'a mut dyn Read, path: &'a Path) -> Result<Self, SnapshotError> {
        let (_, link) = start();
        let mut reader = Self {
            from,
            path,
            link,
            bytes: 0,
        };
        let magic = reader.exactly(MAGIC.len(), "its first bytes")?;
        if magic != MAGIC {
            let what = "it does not begin as a snapshot".to_owned();
            return Err(SnapshotError::Damaged(what));
        }
        let found = u32::from_le_bytes(reader.array("its format")?);
        if found != VERSION {
            return Err(SnapshotError::Version {
                found,
                expected: VERSION,
            });
        }
        Ok(reader)
    }

    /// So many bytes; memory grows only with what is there.
    fn exactly(&mut self, length: usize, what: &str) -> Result<Vec<u8>, SnapshotError> {
        let wanted = u64::try_from(length).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        Read::take(&mut self.from, wanted)
            .read_to_end(&mut bytes)
            .map_err(files(self.path))?;
        if bytes.len() != length {
            return Err(SnapshotError::Damaged(format!("{what} is cut off")));
        }
        self.bytes = self.bytes.saturating_add(wanted);
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], SnapshotError> {
        let bytes = self.exactly(N, what)?;
        let cut = |_| SnapshotError::Damaged(format!("{what} is cut off"));
        <[u8; N]>::try_from(bytes.as_slice()).map_err(cut)
    }

    /// The next frame, which must be of this kind.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`].
    pub(super) fn read<T: BorshDeserialize>(&mut self, kind: Kind) -> Result<T, SnapshotError> {
        let noun = kind.noun();
        let length = u32::from_le_bytes(self.array(noun)?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > BODY_BYTES_MAX {
            let what =
                format!("{noun} claims {length} bytes, at most {BODY_BYTES_MAX} are allowed");
            return Err(SnapshotError::Damaged(what));
        }
        let [tag] = self.array(noun)?;
        if tag != kind.tag() {
            let what = format!("{noun} is expected, and something else is there");
            return Err(SnapshotError::Damaged(what));
        }
        let body = self.exactly(length, noun)?;
        let mut bytes = covered(&self.link, kind);
        bytes.extend_from_slice(&body);
        let link = keccak256(&bytes);
        if link != self.array::<LINK_BYTES>(noun)? {
            let what = format!("{noun} does not match its checksum");
            return Err(SnapshotError::Damaged(what));
        }
        self.link = link;
        from_bytes(&body)
            .map_err(|error| SnapshotError::Damaged(format!("{noun} does not decode: {error}")))
    }

    /// Reads the end: bytes of the file and hash of its contents.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`].
    pub(super) fn finish(mut self) -> Result<(u64, [u8; 32]), SnapshotError> {
        let () = self.read(Kind::End)?;
        let mut more = [0];
        if self.from.read(&mut more).map_err(files(self.path))? > 0 {
            let what = "something follows its end".to_owned();
            return Err(SnapshotError::Damaged(what));
        }
        Ok((self.bytes, self.link))
    }
}
