//! Signatures: recoverable secp256k1 over `protocol`'s digests.
//!
//! Nothing here panics on what a stranger sent: a message for which there is no digest (a vote of the nil round) has
//! no valid signature.

use arc_malachitebft_core_types::{self as engine, SignedMessage, VoteExtensionScope};
use protocol::{
    account::L1Address,
    validator::{ValidatorKey, ValidatorSignature},
    vote::ProposalKind,
};

use super::{
    Agreement,
    conversion::{to_protocol_proposal, to_protocol_round, to_protocol_vote},
    message::{EngineProposal, EngineVote, VoteExtension},
};

/// Bytes that are no signature or address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {expected} bytes, not {got}")]
pub struct MalformedBytes {
    what: &'static str,
    expected: usize,
    got: usize,
}

/// secp256k1 with recovery: the public key is the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secp256k1;

fn array<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<[u8; N], MalformedBytes> {
    bytes.try_into().map_err(|_| MalformedBytes {
        what,
        expected: N,
        got: bytes.len(),
    })
}

impl engine::SigningScheme for Secp256k1 {
    type DecodingError = MalformedBytes;
    type Signature = ValidatorSignature;
    type PublicKey = L1Address;
    type PrivateKey = ValidatorKey;

    fn decode_signature(bytes: &[u8]) -> Result<ValidatorSignature, MalformedBytes> {
        array("a signature", bytes).map(ValidatorSignature)
    }

    fn encode_signature(signature: &ValidatorSignature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<L1Address, MalformedBytes> {
        array("an address", bytes).map(L1Address)
    }

    fn encode_public_key(public_key: &L1Address) -> Vec<u8> {
        public_key.0.to_vec()
    }
}

impl Agreement {
    /// What a vote's signature covers: `protocol::vote::Vote::digest`, without the extension. `None` in the nil round.
    #[must_use]
    pub fn vote_digest(&self, vote: &EngineVote) -> Option<[u8; 32]> {
        to_protocol_vote(vote).map(|vote| vote.digest(&self.domain))
    }

    /// What a proposal's signature covers. `None` in the nil round.
    #[must_use]
    pub fn proposal_digest(&self, proposal: &EngineProposal) -> Option<[u8; 32]> {
        to_protocol_proposal(proposal)
            .map(|proposal| proposal.digest(ProposalKind::Proposal, &self.domain))
    }

    /// What an extension's signature covers: the extension, and the precommit it belongs to. The validator is not in
    /// it; recovery names it. `None` in the nil round.
    #[must_use]
    pub fn extension_digest(
        &self,
        scope: &VoteExtensionScope<Self>,
        extension: &VoteExtension,
    ) -> Option<[u8; 32]> {
        let round = to_protocol_round(scope.round)?;
        let digest = extension
            .0
            .digest(&self.domain, scope.height.0, round, scope.value_id);
        Some(digest)
    }

    /// Whether `validator` signed this vote.
    #[must_use]
    pub fn is_vote_by(
        &self,
        vote: &SignedMessage<Self, EngineVote>,
        validator: &L1Address,
    ) -> bool {
        self.vote_digest(&vote.message)
            .is_some_and(|digest| vote.signature.is_by(validator, &digest))
    }

    /// Whether `validator` signed this proposal.
    #[must_use]
    pub fn is_proposal_by(
        &self,
        proposal: &SignedMessage<Self, EngineProposal>,
        validator: &L1Address,
    ) -> bool {
        self.proposal_digest(&proposal.message)
            .is_some_and(|digest| proposal.signature.is_by(validator, &digest))
    }

    /// Whether an extension is well-formed and signed by the validator of its scope. Syntax only: what it lists or
    /// reports is never a reason to refuse the vote (review finding M4).
    #[must_use]
    pub fn is_extension_valid(
        &self,
        scope: &VoteExtensionScope<Self>,
        extension: &SignedMessage<Self, VoteExtension>,
    ) -> bool {
        let digest = self.extension_digest(scope, &extension.message);
        extension.message.0.check().is_ok()
            && digest.is_some_and(|digest| {
                extension
                    .signature
                    .is_by(&scope.validator_address.0, &digest)
            })
    }
}
