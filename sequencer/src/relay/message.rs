//! Bytes of what nodes tell and ask: Borsh, with a limit on every list.

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    account::L1Address,
    block::BlockId,
    checkpoint::SignedCommitment,
    handover::Handover,
    number::{Epoch, Height},
    preconfirmation::SignedPreconfirmation,
    soft::SoftHash,
    transaction::{BidHash, ListHash, Submission},
};

/// Submissions told at once: 64 KiB of transfers.
pub(super) const SUBMISSIONS_MAX: usize = 256;

/// Handovers told at once: a block is read for each, to whoever asks.
pub(super) const HANDOVERS_MAX: usize = 16;

/// Submissions.
#[derive(Clone, Debug, BorshSerialize)]
pub(super) struct Told(pub(super) Vec<Submission>);

impl BorshDeserialize for Told {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let count = u32::deserialize_reader(reader)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > SUBMISSIONS_MAX {
            let what = format!("{count} submissions, at most {SUBMISSIONS_MAX} are told at once");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
        }
        let submissions = (0..count).map(|_| Submission::deserialize_reader(reader));
        submissions.collect::<Result<_, _>>().map(Self)
    }
}

/// Handovers of consecutive epochs.
#[derive(Clone, Debug, BorshSerialize)]
pub(super) struct Links(pub(super) Vec<Handover>);

impl BorshDeserialize for Links {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let count = u32::deserialize_reader(reader)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > HANDOVERS_MAX {
            let what = format!("{count} handovers, at most {HANDOVERS_MAX} are told at once");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
        }
        let links = (0..count).map(|_| Handover::deserialize_reader(reader));
        links.collect::<Result<_, _>>().map(Self)
    }
}

/// What a validator has signed beside votes.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub(super) enum Statement {
    /// What a sealed batch says of itself.
    Commitment(Box<SignedCommitment>),
    /// What its next block will hold.
    Promise(SignedPreconfirmation),
}

/// A proof of a job that every node makes by itself.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct Proven {
    pub(super) job: [u8; 32],
    pub(super) proof: Vec<u8>,
}

/// What a node asks another.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub(super) enum Question {
    /// Listed submissions that are not here. A request is at most a few kilobytes, which bounds the names.
    Listed(Vec<ListHash>),
    /// The bundle of a batch whose proofs did not come.
    Bundle(u64),
    /// The certificate of the newest block.
    Tip,
    /// Where the validator asked wants bids paid.
    BidLeaf,
    /// A bid that somebody reported, for the block that must burn it.
    Bid(BidHash),
    /// Header and payload of a valid block, decided or not.
    Block(Height, BlockId),
    /// Handovers from an epoch on: proofs of the sets after it.
    Handovers(Epoch),
    /// The newest message of agreement that this validator has signed.
    Signed(L1Address),
    /// Soft blocks on this block, beyond the chains that end in these.
    Soft(BlockId, Vec<SoftHash>),
    /// The height of the first block that is kept.
    First,
    /// The final proof of a batch that did not come.
    Final(u64),
}

#[cfg(test)]
mod tests {
    use protocol::codec::{from_bytes, to_bytes};

    use super::*;
    use crate::fixture::{sign, transfer};

    #[test]
    fn submissions_are_told_in_bounded_lists() {
        let one = sign(transfer(1, 2, 0, 10, 2));
        let most = to_bytes(&Told(vec![one.clone(); SUBMISSIONS_MAX]));
        assert_eq!(from_bytes::<Told>(&most).unwrap().0.len(), SUBMISSIONS_MAX);
        let more = to_bytes(&Told(vec![one; SUBMISSIONS_MAX + 1]));
        assert!(from_bytes::<Told>(&more).is_err());
        assert!(from_bytes::<Told>(&[0xff; 4]).is_err());
    }
}
