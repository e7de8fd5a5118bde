//! Parts of blocks, one by one and as a stream.

use arc_malachitebft_app::streaming::{StreamContent, StreamId, StreamMessage};
use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    block::{BLOCK_OPERATIONS_MAX, BlockHeader, Entry, Payload},
    inbox::InboxItem,
    transaction::Submission,
    validator::VALIDATORS_MAX,
    vote::{ProposalKind, SignedProposal},
};

use super::{
    super::Part,
    PART_BYTES_MAX, STREAM_ID_BYTES_MAX, Wire, WireError,
    list::{Blob, List},
};

/// A part to be written: it may be megabytes, so it is not copied first.
#[derive(BorshSerialize)]
enum PartView<'a> {
    Init {
        signed: &'a SignedProposal,
        header: &'a BlockHeader,
    },
    Payload(&'a Payload),
}

impl<'a> From<&'a Part> for PartView<'a> {
    fn from(part: &'a Part) -> Self {
        match part {
            Part::Init { signed, header } => Self::Init { signed, header },
            Part::Payload(payload) => Self::Payload(payload),
        }
    }
}

#[derive(BorshDeserialize)]
pub(super) enum PartBody {
    Init {
        signed: SignedProposal,
        header: Box<BlockHeader>,
    },
    Payload(PayloadBody),
}

/// A payload as Borsh writes it, with no more elements than a valid one has: an entry without members takes ten bytes
/// here and hundreds in memory.
#[derive(BorshDeserialize)]
pub(super) struct PayloadBody {
    inbox: List<InboxItem, BLOCK_OPERATIONS_MAX>,
    entries: List<Entry, BLOCK_OPERATIONS_MAX>,
    excuses: List<Submission, BLOCK_OPERATIONS_MAX>,
}

impl From<PayloadBody> for Payload {
    fn from(body: PayloadBody) -> Self {
        Self {
            inbox: body.inbox.0,
            entries: body.entries.0,
            excuses: body.excuses.0,
        }
    }
}

fn check_payload(payload: &Payload) -> Result<(), WireError> {
    let Payload {
        inbox,
        entries,
        excuses,
    } = payload;
    let longest = inbox.len().max(entries.len()).max(excuses.len());
    if longest > BLOCK_OPERATIONS_MAX {
        return Err(WireError::Meaning("more operations than a block holds"));
    }
    Ok(())
}

fn check_part(part: &Part) -> Result<(), WireError> {
    let (signed, header) = match part {
        Part::Init { signed, header } => (signed, header),
        Part::Payload(payload) => return check_payload(payload),
    };
    if signed.kind != ProposalKind::Init {
        return Err(WireError::Meaning("a proposal is no Init"));
    }
    let certificate = header.certificate.as_ref();
    let signatures = certificate
        .map(|one| one.signatures.as_slice())
        .unwrap_or_default();
    let restart = header.restart.as_ref();
    let restarting = restart.map_or(0, |one| one.signatures.len());
    if signatures.len().max(restarting) > VALIDATORS_MAX {
        return Err(WireError::Meaning("more signers than a set has"));
    }
    if signatures.iter().any(|one| one.extension.check().is_err()) {
        return Err(WireError::Meaning("a malformed extension"));
    }
    Ok(())
}

impl PartBody {
    fn open(self) -> Result<Part, WireError> {
        let part = match self {
            Self::Init { signed, header } => Part::Init { signed, header },
            Self::Payload(payload) => Part::Payload(Box::new(payload.into())),
        };
        check_part(&part)?;
        Ok(part)
    }
}

impl Wire for Part {
    const KIND: u8 = 5;
    const BYTES_MAX: usize = PART_BYTES_MAX;
    type Body = PartBody;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        check_part(self)?;
        Ok(PartView::from(self))
    }

    fn from_body(body: PartBody) -> Result<Self, WireError> {
        body.open()
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct StreamBody<P> {
    stream: Blob<STREAM_ID_BYTES_MAX>,
    sequence: u64,
    part: Option<P>,
}

impl Wire for StreamMessage<Part> {
    const KIND: u8 = 6;
    const BYTES_MAX: usize = PART_BYTES_MAX;
    type Body = StreamBody<PartBody>;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        let part = self.content.as_data();
        part.map_or(Ok(()), check_part)?;
        Ok(StreamBody {
            stream: Blob(self.stream_id.to_bytes()),
            sequence: self.sequence,
            part: part.map(PartView::from),
        })
    }

    fn from_body(body: StreamBody<PartBody>) -> Result<Self, WireError> {
        let content = match body.part {
            None => StreamContent::Fin,
            Some(part) => StreamContent::Data(part.open()?),
        };
        let stream = StreamId::new(body.stream.0);
        Ok(Self::new(stream, body.sequence, content))
    }
}
