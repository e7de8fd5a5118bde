//! The engine's keys: what signs for this validator, and what checks the others.
//!
//! [`GuardedSigner`] signs nothing itself: the signing guard does, once it is on disk. [`RecoveringVerifier`] recovers
//! the signer and compares addresses. A message of the nil round is never signed and never valid.
//!
//! *Deviation from the engine's contract*: a validator proof is signed over our own digest
//! ([`validator_proof_digest`]), which names the chain, instead of the engine's bytes, which do not: one key on two
//! chains proves nothing about the other. Nothing in the engine rebuilds these bytes.
//!
//! What this module does not do: decide what may be signed (`guard`), or count weight. Certificates are judged by the
//! engine's `VerifierExt`, which asks this verifier for each signature.

use std::sync::Arc;

use arc_malachitebft_core_types::{SignedMessage, ValidatorProof, VoteExtensionScope};
use arc_malachitebft_signing::{Error, Signer, VerificationResult, Verifier};
use async_trait::async_trait;
use protocol::{
    account::L1Address,
    validator::ValidatorSignature,
    vote::{Extension, ProposalKind},
};

use super::{
    Agreement, EngineProposal, EngineVote, SeatAddress, VoteExtension,
    conversion::{to_protocol_proposal, to_protocol_round, to_protocol_vote},
};
use crate::guard::{GuardError, GuardRequest, SigningGuard, validator_proof_digest};

/// Why the signer was not even asked the guard's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// There is no digest for such a message.
    #[error("nothing of the nil round is signed")]
    NilRound,
    /// The message is another validator's.
    #[error("asked to sign for {asked} with the key of {ours}")]
    Stranger {
        /// Whose message it is.
        asked: L1Address,
        /// Whose key this is.
        ours: L1Address,
    },
    /// The proof is for a key that is not ours.
    #[error("asked to prove a key that is not that of {0}")]
    StrangeKey(L1Address),
}

fn refuse(error: SignerError) -> Error {
    Error::from_source(error)
}

/// Signs the engine's messages through the guard. Clones share it.
#[derive(Clone, Debug)]
pub struct GuardedSigner {
    guard: Arc<SigningGuard>,
}

impl GuardedSigner {
    /// A signer over this guard.
    #[must_use]
    pub fn new(guard: Arc<SigningGuard>) -> Self {
        Self { guard }
    }

    /// The guard, for what the engine does not sign: Inits, batches, restarts.
    #[must_use]
    pub fn guard(&self) -> &Arc<SigningGuard> {
        &self.guard
    }

    fn check_author(&self, asked: SeatAddress) -> Result<(), Error> {
        let ours = self.guard.address();
        if asked.0 == ours {
            return Ok(());
        }
        let asked = asked.0;
        Err(refuse(SignerError::Stranger { asked, ours }))
    }

    /// Asks the guard where it may wait for the disk.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&SigningGuard) -> Result<T, GuardError> + Send + 'static,
    ) -> Result<T, Error> {
        let guard = Arc::clone(&self.guard);
        match tokio::task::spawn_blocking(move || question(&guard)).await {
            Ok(answer) => answer.map_err(Error::from_source),
            Err(stopped) => Err(Error::from_source(stopped)),
        }
    }

    async fn sign(&self, request: GuardRequest) -> Result<ValidatorSignature, Error> {
        self.ask(move |guard| guard.sign(&request)).await
    }
}

#[async_trait]
impl Signer<Agreement> for GuardedSigner {
    async fn sign_vote(
        &self,
        vote: EngineVote,
    ) -> Result<SignedMessage<Agreement, EngineVote>, Error> {
        self.check_author(vote.validator)?;
        let content = to_protocol_vote(&vote).ok_or_else(|| refuse(SignerError::NilRound))?;
        let signature = self.sign(GuardRequest::Vote(content)).await?;
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(
        &self,
        proposal: EngineProposal,
    ) -> Result<SignedMessage<Agreement, EngineProposal>, Error> {
        self.check_author(proposal.proposer)?;
        let content =
            to_protocol_proposal(&proposal).ok_or_else(|| refuse(SignerError::NilRound))?;
        let request = GuardRequest::Proposal(content, ProposalKind::Proposal);
        let signature = self.sign(request).await?;
        Ok(SignedMessage::new(proposal, signature))
    }

    /// The extension that comes back is the one that was signed first for this precommit, which may not be the one
    /// that was passed.
    async fn sign_vote_extension(
        &self,
        scope: VoteExtensionScope<Agreement>,
        extension: VoteExtension,
    ) -> Result<SignedMessage<Agreement, VoteExtension>, Error> {
        self.check_author(scope.validator_address)?;
        let round = to_protocol_round(scope.round).ok_or_else(|| refuse(SignerError::NilRound))?;
        let (height, block) = (scope.height.0, scope.value_id);
        let signed: (Extension, ValidatorSignature) = self
            .ask(move |guard| guard.sign_extension(height, round, block, extension.0))
            .await?;
        let (extension, signature) = signed;
        Ok(SignedMessage::new(VoteExtension(extension), signature))
    }

    async fn sign_validator_proof(
        &self,
        public_key: Vec<u8>,
        peer_id: Vec<u8>,
    ) -> Result<ValidatorProof<Agreement>, Error> {
        let ours = self.guard.address();
        if public_key != ours.0 {
            return Err(refuse(SignerError::StrangeKey(ours)));
        }
        let signature = self.guard.sign_validator_proof(&peer_id);
        Ok(ValidatorProof::new(public_key, peer_id, signature))
    }
}

/// Checks signatures by recovering who made them.
#[derive(Clone, Copy, Debug)]
pub struct RecoveringVerifier {
    agreement: Agreement,
}

impl RecoveringVerifier {
    /// A verifier for one chain.
    #[must_use]
    pub fn new(agreement: Agreement) -> Self {
        Self { agreement }
    }
}

fn judge(
    digest: Option<[u8; 32]>,
    signature: &ValidatorSignature,
    signer: &L1Address,
) -> VerificationResult {
    let is_valid = digest.is_some_and(|digest| signature.is_by(signer, &digest));
    VerificationResult::from_bool(is_valid)
}

#[async_trait]
impl Verifier<Agreement> for RecoveringVerifier {
    async fn verify_signed_vote(
        &self,
        vote: &EngineVote,
        signature: &ValidatorSignature,
        public_key: &L1Address,
    ) -> Result<VerificationResult, Error> {
        // the digest does not name the validator, the message does
        let digest = self.agreement.vote_digest(vote);
        let digest = digest.filter(|_| vote.validator.0 == *public_key);
        Ok(judge(digest, signature, public_key))
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &EngineProposal,
        signature: &ValidatorSignature,
        public_key: &L1Address,
    ) -> Result<VerificationResult, Error> {
        let digest = self.agreement.proposal_digest(proposal);
        let digest = digest.filter(|_| proposal.proposer.0 == *public_key);
        Ok(judge(digest, signature, public_key))
    }

    async fn verify_signed_vote_extension(
        &self,
        scope: &VoteExtensionScope<Agreement>,
        extension: &VoteExtension,
        signature: &ValidatorSignature,
        public_key: &L1Address,
    ) -> Result<VerificationResult, Error> {
        let is_well_formed =
            extension.0.check().is_ok() && scope.validator_address.0 == *public_key;
        let digest = self.agreement.extension_digest(scope, extension);
        let digest = digest.filter(|_| is_well_formed);
        Ok(judge(digest, signature, public_key))
    }

    async fn verify_validator_proof(
        &self,
        proof: &ValidatorProof<Agreement>,
    ) -> Result<VerificationResult, Error> {
        let Ok(public_key) = proof.decoded_public_key() else {
            return Ok(VerificationResult::Invalid);
        };
        let digest = validator_proof_digest(&self.agreement.domain, &proof.peer_id);
        Ok(judge(Some(digest), &proof.signature, &public_key))
    }
}

#[cfg(test)]
mod tests {
    use arc_malachitebft_core_types::{
        CommitCertificate, Context, NilOrVal, Round, ThresholdParams, Vote as _,
    };
    use arc_malachitebft_signing::VerifierExt;
    use protocol::{
        block::BlockId,
        number::Height,
        transaction::Domain,
        validator::{ValidatorKey, ValidatorSet},
    };

    use super::*;
    use crate::agreement::{BlockValue, EngineHeight, Seats};

    const HEIGHT: EngineHeight = EngineHeight(Height(3));
    const BLOCK: BlockId = BlockId([4; 32]);

    fn agreement() -> Agreement {
        let domain = Domain(protocol::Fr::from(9_u64));
        Agreement { domain }
    }

    fn key() -> ValidatorKey {
        ValidatorKey::from_bytes(&[5; 32]).unwrap()
    }

    fn signer(directory: &tempfile::TempDir) -> GuardedSigner {
        let path = directory.path().join("guard");
        let guard = SigningGuard::open(&path, key(), agreement().domain).unwrap();
        GuardedSigner::new(Arc::new(guard))
    }

    fn us() -> SeatAddress {
        SeatAddress(key().address())
    }

    fn other() -> SeatAddress {
        SeatAddress(L1Address([7; 20]))
    }

    fn extension(time_ms: u64) -> VoteExtension {
        VoteExtension(Extension {
            time_ms,
            ..Extension::default()
        })
    }

    fn scope(round: Round) -> VoteExtensionScope<Agreement> {
        VoteExtensionScope::new(HEIGHT, round, BLOCK, us())
    }

    #[tokio::test]
    async fn what_is_signed_verifies_for_its_author_only() {
        let directory = tempfile::tempdir().unwrap();
        let (signer, verifier) = (signer(&directory), RecoveringVerifier::new(agreement()));
        let round = Round::new(0);
        let vote = agreement().new_precommit(HEIGHT, round, NilOrVal::Val(BLOCK), us());
        let signed = signer.sign_vote(vote.clone()).await.unwrap();
        let ours = key().address();
        let votes = [(&vote, ours, true), (&vote, other().0, false)];
        for (vote, public_key, expected) in votes {
            let verdict = verifier
                .verify_signed_vote(vote, &signed.signature, &public_key)
                .await;
            assert_eq!(verdict.unwrap().is_valid(), expected);
        }
        let claimed = agreement().new_precommit(HEIGHT, round, NilOrVal::Val(BLOCK), other());
        let verdict = verifier
            .verify_signed_vote(&claimed, &signed.signature, &ours)
            .await;
        assert!(verdict.unwrap().is_invalid());

        let proposal = agreement().new_proposal(HEIGHT, round, BlockValue(BLOCK), Round::Nil, us());
        let signed = signer.sign_proposal(proposal).await.unwrap();
        let later =
            agreement().new_proposal(HEIGHT, Round::new(1), BlockValue(BLOCK), Round::Nil, us());
        for (proposal, expected) in [(proposal, true), (later, false)] {
            let verdict = verifier
                .verify_signed_proposal(&proposal, &signed.signature, &ours)
                .await;
            assert_eq!(verdict.unwrap().is_valid(), expected);
        }

        let signed = signer
            .sign_vote_extension(scope(round), extension(1))
            .await
            .unwrap();
        for (round, expected) in [(round, true), (Round::new(1), false), (Round::Nil, false)] {
            let verdict = verifier
                .verify_signed_vote_extension(
                    &scope(round),
                    &signed.message,
                    &signed.signature,
                    &ours,
                )
                .await;
            assert_eq!(verdict.unwrap().is_valid(), expected);
        }
    }

    #[tokio::test]
    async fn the_guard_stands_behind_the_signer() {
        let directory = tempfile::tempdir().unwrap();
        let signer = signer(&directory);
        let round = Round::new(0);
        let prevote = |block| agreement().new_prevote(HEIGHT, round, block, us());
        let first = signer.sign_vote(prevote(NilOrVal::Nil)).await.unwrap();
        let again = signer.sign_vote(prevote(NilOrVal::Nil)).await.unwrap();
        assert_eq!(first, again);
        assert!(
            signer
                .sign_vote(prevote(NilOrVal::Val(BLOCK)))
                .await
                .is_err()
        );
        let stored = signer
            .sign_vote_extension(scope(round), extension(1))
            .await
            .unwrap();
        let rebuilt = signer
            .sign_vote_extension(scope(round), extension(2))
            .await
            .unwrap();
        assert_eq!(rebuilt, stored);
        assert_eq!(rebuilt.message, extension(1));
    }

    #[tokio::test]
    async fn nothing_is_signed_for_others_or_in_the_nil_round() {
        let directory = tempfile::tempdir().unwrap();
        let signer = signer(&directory);
        let nil = NilOrVal::Nil;
        let strange = agreement().new_prevote(HEIGHT, Round::new(0), nil, other());
        assert!(signer.sign_vote(strange).await.is_err());
        let roundless = agreement().new_prevote(HEIGHT, Round::Nil, nil, us());
        assert!(signer.sign_vote(roundless).await.is_err());
        let roundless =
            agreement().new_proposal(HEIGHT, Round::Nil, BlockValue(BLOCK), Round::Nil, us());
        assert!(signer.sign_proposal(roundless).await.is_err());
        let signed = signer.sign_vote_extension(scope(Round::Nil), extension(1));
        assert!(signed.await.is_err());
        let proof = signer.sign_validator_proof(vec![7; 20], b"peer".to_vec());
        assert!(proof.await.is_err());
        assert_eq!(signer.guard().highest_signed().unwrap(), Height(0));
    }

    #[tokio::test]
    async fn a_validator_proof_binds_key_peer_and_chain() {
        let directory = tempfile::tempdir().unwrap();
        let signer = signer(&directory);
        let address = key().address().0.to_vec();
        let proof = signer
            .sign_validator_proof(address.clone(), b"peer".to_vec())
            .await
            .unwrap();
        let elsewhere = Agreement {
            domain: Domain(protocol::Fr::from(10_u64)),
        };
        let with = |public_key: Vec<u8>, peer: &[u8]| {
            ValidatorProof::<Agreement>::new(public_key, peer.to_vec(), proof.signature)
        };
        let cases = [
            (agreement(), proof.clone(), true),
            (elsewhere, proof.clone(), false),
            (agreement(), with(address.clone(), b"pear"), false),
            (agreement(), with(vec![7; 20], b"peer"), false),
            (agreement(), with(vec![7; 33], b"peer"), false),
            (agreement(), with(Vec::new(), b"peer"), false),
        ];
        for (agreement, proof, expected) in cases {
            let verdict = RecoveringVerifier::new(agreement)
                .verify_validator_proof(&proof)
                .await;
            assert_eq!(verdict.unwrap().is_valid(), expected);
        }
    }

    #[tokio::test]
    async fn the_engine_judges_certificates_through_the_verifier() {
        let directory = tempfile::tempdir().unwrap();
        let (signer, verifier) = (signer(&directory), RecoveringVerifier::new(agreement()));
        let seats: Seats = ValidatorSet::of_one(key().address()).into();
        let round = Round::new(0);
        let vote = agreement().new_precommit(HEIGHT, round, NilOrVal::Val(BLOCK), us());
        let votes = vec![signer.sign_vote(vote).await.unwrap()];
        assert!(votes[0].message.extension().is_none());
        let mut certificate = CommitCertificate::new(HEIGHT, round, BLOCK, votes);
        let thresholds = ThresholdParams::default();
        let verdict = verifier
            .verify_commit_certificate(&agreement(), &certificate, &seats, thresholds)
            .await;
        assert_eq!(verdict, Ok(()));
        certificate.round = Round::new(1);
        let verdict = verifier
            .verify_commit_certificate(&agreement(), &certificate, &seats, thresholds)
            .await;
        assert!(verdict.is_err());
    }
}
