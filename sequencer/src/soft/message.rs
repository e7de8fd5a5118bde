//! Bytes of what nodes tell each other of soft chains: Borsh, with a limit on every list.

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::soft::{SignedSoftVote, SoftProposal};

/// Messages in one answer: blocks of 1 MiB hold at least one transfer each, and every validator has one vote.
const TOLD_MAX: usize = 4_096;

/// What is gossiped.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum SoftMessage {
    /// A soft block, under its author's signature.
    Proposal(SoftProposal),
    /// A validator's signature below a soft block.
    Vote(SignedSoftVote),
}

/// An answer: blocks that the asker does not know, parents first, and then everybody's newest votes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub(crate) struct SoftNews(pub(crate) Vec<SoftMessage>);

impl BorshDeserialize for SoftNews {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let count = u32::deserialize_reader(reader)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > TOLD_MAX {
            let what = format!("{count} soft messages, at most {TOLD_MAX} are told at once");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
        }
        let messages = (0..count).map(|_| SoftMessage::deserialize_reader(reader));
        messages.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use protocol::codec::{from_bytes, to_bytes};

    use super::*;
    use crate::fixture::{domain, seat_key};

    #[test]
    fn answers_are_bounded_lists() {
        let vote = protocol::soft::SoftVote {
            base_height: protocol::number::Height(1),
            base: protocol::block::BlockId([1; 32]),
            number: 1,
            block: protocol::soft::SoftHash([2; 32]),
        };
        let one = SoftMessage::Vote(vote.sign(&domain(), &seat_key(1)));
        let most = SoftNews(vec![one.clone(); TOLD_MAX]);
        assert_eq!(from_bytes::<SoftNews>(&to_bytes(&most)), Ok(most));
        let more = to_bytes(&SoftNews(vec![one; TOLD_MAX + 1]));
        assert!(from_bytes::<SoftNews>(&more).is_err());
        assert!(from_bytes::<SoftNews>(&[0xff; 4]).is_err());
    }
}
