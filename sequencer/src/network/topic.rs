//! What may be gossiped: seven topics, their stable tags and names, and how long a message of each may be.
//!
//! A topic's name carries the chain, so two chains on one machine never share a mesh. It does not say what the
//! bytes mean: the caller judges them.

/// A kind of message. The tags are part of the wire and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Signed operations on their way to a proposer.
    Submissions,
    /// Builders' signed bids.
    Bids,
    /// Payload parts revealed after a proposal.
    Reveals,
    /// Conflicting signatures of one validator.
    Evidence,
    /// What validators sign beside votes: commitments to batches, promises.
    Checkpoints,
    /// Validity proofs of batches.
    Proofs,
    /// Blocks of the soft chain and their signatures.
    Soft,
}

/// Longest message that travels inside the mesh itself; a longer one is announced and fetched, so that the mesh's
/// redundancy costs an announcement instead of the message.
pub(crate) const INLINE_BYTES_MAX: usize = 4 << 10;

/// Longest message of any topic.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;

impl Topic {
    /// Every topic, in the order of tags.
    pub const ALL: [Self; 7] = [
        Self::Submissions,
        Self::Bids,
        Self::Reveals,
        Self::Evidence,
        Self::Checkpoints,
        Self::Proofs,
        Self::Soft,
    ];

    /// The byte that names this topic on the wire.
    pub const fn tag(self) -> u8 {
        match self {
            Self::Submissions => 0,
            Self::Bids => 1,
            Self::Reveals => 2,
            Self::Evidence => 3,
            Self::Checkpoints => 4,
            Self::Proofs => 5,
            Self::Soft => 6,
        }
    }

    /// The topic of a tag, if there is one.
    pub fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.tag() == tag)
    }

    /// The word used in the topic's name and as a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submissions => "submissions",
            Self::Bids => "bids",
            Self::Reveals => "reveals",
            Self::Evidence => "evidence",
            Self::Checkpoints => "checkpoints",
            Self::Proofs => "proofs",
            Self::Soft => "soft",
        }
    }

    /// Longest message, in bytes; one byte more is the sender's fault.
    pub const fn bytes_max(self) -> usize {
        match self {
            // Twice the largest admitted operation, for a bundle.
            Self::Submissions => 256 << 10,
            // A header with its certificate: 100 signers with a 4 KiB extension each.
            Self::Bids => 512 << 10,
            // A whole payload.
            Self::Reveals => MESSAGE_BYTES_MAX,
            // A block of the soft chain, which has 128 KiB, with its signature.
            Self::Soft => 256 << 10,
            // A payload that breaks a promise, and the proof of membership.
            Self::Evidence => MESSAGE_BYTES_MAX,
            // One statement of one validator: less than a kilobyte.
            Self::Checkpoints => 4 << 10,
            // One aggregated proof with its public inputs.
            Self::Proofs => 64 << 10,
        }
    }

    /// `quorate/<first 8 bytes of the chain's hash, hex>/<name>/1`.
    pub fn full_name(self, chain: &[u8; 32]) -> String {
        let prefix: String = chain
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("quorate/{prefix}/{}/1", self.name())
    }
}

/// What the caller thinks of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Right: forwarded to the other peers.
    Accept,
    /// Not wanted, but nobody's fault (stale, already known, cannot be decided here): not forwarded.
    Ignore,
    /// Wrong in a way that every honest node sees: not forwarded, and whoever sent it pays.
    Reject,
}

impl Acceptance {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Ignore => "ignore",
            Self::Reject => "reject",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_their_topic_and_no_other() {
        for topic in Topic::ALL {
            assert_eq!(Topic::from_tag(topic.tag()), Some(topic));
            assert!(topic.bytes_max() <= MESSAGE_BYTES_MAX);
        }
        assert_eq!(Topic::from_tag(7), None);
    }

    #[test]
    fn names_carry_the_chain() {
        let mut chain = [0xab; 32];
        assert_eq!(
            Topic::Bids.full_name(&chain),
            "quorate/abababababababab/bids/1"
        );
        chain[0] = 1;
        assert_eq!(
            Topic::Bids.full_name(&chain),
            "quorate/01ababababababab/bids/1"
        );
    }
}
