//! Votes, proposals and certificates, and what the engine's log holds: one private mirror for each message, so that a
//! change of the engine's types changes no byte.

use arc_malachitebft_app::{
    consensus::LivenessMsg,
    types::{ProposedValue, SignedConsensusMsg},
};
use arc_malachitebft_core_types::{
    self as engine, NilOrVal, PolkaCertificate, PolkaSignature, RoundCertificate,
    RoundCertificateType, RoundSignature, SignedExtension, Validity, Vote as _, VoteType,
};
use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    account::L1Address,
    block::BlockId,
    number::{Height, Round},
    validator::{VALIDATORS_MAX, ValidatorSignature},
    vote::{SignedProposal, SignedVote, Step},
};

use super::{
    super::{
        Agreement, BlockValue, EngineHeight, SeatAddress, VoteExtension,
        conversion::{to_engine_round, to_protocol_round},
    },
    CERTIFICATE_BYTES_MAX, SMALL_BYTES_MAX, Wire, WireError,
    list::{Checked, List},
};

const NIL_ROUND: WireError = WireError::Meaning("it belongs to the nil round");

pub(super) fn defined(round: engine::Round) -> Result<Round, WireError> {
    to_protocol_round(round).ok_or(NIL_ROUND)
}

fn to_step(step: VoteType) -> Step {
    match step {
        VoteType::Prevote => Step::Prevote,
        VoteType::Precommit => Step::Precommit,
    }
}

fn from_step(step: Step) -> VoteType {
    match step {
        Step::Prevote => VoteType::Prevote,
        Step::Precommit => VoteType::Precommit,
    }
}

fn to_block(block: NilOrVal<BlockId>) -> Option<BlockId> {
    match block {
        NilOrVal::Nil => None,
        NilOrVal::Val(block) => Some(block),
    }
}

fn from_block(block: Option<BlockId>) -> NilOrVal<BlockId> {
    block.map_or(NilOrVal::Nil, NilOrVal::Val)
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct ExtensionBody {
    extension: Checked,
    signature: ValidatorSignature,
}

impl From<&SignedExtension<Agreement>> for ExtensionBody {
    fn from(signed: &SignedExtension<Agreement>) -> Self {
        Self {
            extension: Checked(signed.message.0.clone()),
            signature: signed.signature,
        }
    }
}

impl From<ExtensionBody> for SignedExtension<Agreement> {
    fn from(body: ExtensionBody) -> Self {
        Self::new(VoteExtension(body.extension.0), body.signature)
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct VoteBody {
    vote: SignedVote,
    extension: Option<ExtensionBody>,
}

impl VoteBody {
    fn new(signed: &engine::SignedVote<Agreement>) -> Result<Self, WireError> {
        let body = Self {
            vote: Agreement::to_protocol_vote(signed).ok_or(NIL_ROUND)?,
            extension: signed.message.extension().map(ExtensionBody::from),
        };
        body.check()?;
        Ok(body)
    }

    fn check(&self) -> Result<(), WireError> {
        let vote = &self.vote.vote;
        let may_extend = vote.step == Step::Precommit && vote.block.is_some();
        if self.extension.is_some() && !may_extend {
            return Err(WireError::Meaning(
                "only a precommit of a block is extended",
            ));
        }
        Ok(())
    }

    fn open(self) -> Result<engine::SignedVote<Agreement>, WireError> {
        self.check()?;
        let signed = Agreement::to_engine_vote(&self.vote);
        Ok(match self.extension {
            None => signed,
            Some(extension) => signed.map(|vote| vote.extend(extension.into())),
        })
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) enum ConsensusBody {
    Vote(VoteBody),
    Proposal(SignedProposal),
}

impl Wire for SignedConsensusMsg<Agreement> {
    const KIND: u8 = 1;
    const BYTES_MAX: usize = SMALL_BYTES_MAX;
    type Body = ConsensusBody;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        Ok(match self {
            Self::Vote(vote) => ConsensusBody::Vote(VoteBody::new(vote)?),
            Self::Proposal(proposal) => {
                let proposal = Agreement::to_protocol_proposal(proposal).ok_or(NIL_ROUND)?;
                ConsensusBody::Proposal(proposal)
            }
        })
    }

    fn from_body(body: ConsensusBody) -> Result<Self, WireError> {
        match body {
            ConsensusBody::Vote(vote) => vote.open().map(Self::Vote),
            ConsensusBody::Proposal(proposal) => Agreement::to_engine_proposal(&proposal)
                .map(Self::Proposal)
                .ok_or(WireError::Meaning("an Init is no proposal")),
        }
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
struct SignerBody {
    validator: L1Address,
    signature: ValidatorSignature,
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct PolkaBody {
    height: Height,
    round: Round,
    block: BlockId,
    signatures: List<SignerBody, VALIDATORS_MAX>,
}

impl PolkaBody {
    fn new(certificate: &PolkaCertificate<Agreement>) -> Result<Self, WireError> {
        let signatures = certificate.polka_signatures.iter().map(|one| SignerBody {
            validator: one.address.0,
            signature: one.signature,
        });
        Ok(Self {
            height: certificate.height.0,
            round: defined(certificate.round)?,
            block: certificate.value_id,
            signatures: signatures.collect(),
        })
    }

    fn open(self) -> PolkaCertificate<Agreement> {
        let signatures = self.signatures.0.into_iter();
        let signatures =
            signatures.map(|one| PolkaSignature::new(SeatAddress(one.validator), one.signature));
        PolkaCertificate {
            height: EngineHeight(self.height),
            round: to_engine_round(Some(self.round)),
            value_id: self.block,
            polka_signatures: signatures.collect(),
        }
    }
}

impl Wire for PolkaCertificate<Agreement> {
    const KIND: u8 = 2;
    const BYTES_MAX: usize = CERTIFICATE_BYTES_MAX;
    type Body = PolkaBody;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        PolkaBody::new(self)
    }

    fn from_body(body: PolkaBody) -> Result<Self, WireError> {
        Ok(body.open())
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
struct RoundSignerBody {
    step: Step,
    block: Option<BlockId>,
    validator: L1Address,
    signature: ValidatorSignature,
}

#[derive(BorshSerialize, BorshDeserialize)]
enum RoundKind {
    Skip,
    Precommit,
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct RoundBody {
    height: Height,
    round: Round,
    kind: RoundKind,
    signatures: List<RoundSignerBody, VALIDATORS_MAX>,
}

impl RoundBody {
    fn new(certificate: &RoundCertificate<Agreement>) -> Result<Self, WireError> {
        let signatures = certificate
            .round_signatures
            .iter()
            .map(|one| RoundSignerBody {
                step: to_step(one.vote_type),
                block: to_block(one.value_id),
                validator: one.address.0,
                signature: one.signature,
            });
        Ok(Self {
            height: certificate.height.0,
            round: defined(certificate.round)?,
            kind: match certificate.cert_type {
                RoundCertificateType::Skip => RoundKind::Skip,
                RoundCertificateType::Precommit => RoundKind::Precommit,
            },
            signatures: signatures.collect(),
        })
    }

    fn open(self) -> RoundCertificate<Agreement> {
        let signatures = self.signatures.0.into_iter().map(|one| {
            RoundSignature::new(
                from_step(one.step),
                from_block(one.block),
                SeatAddress(one.validator),
                one.signature,
            )
        });
        RoundCertificate {
            height: EngineHeight(self.height),
            round: to_engine_round(Some(self.round)),
            cert_type: match self.kind {
                RoundKind::Skip => RoundCertificateType::Skip,
                RoundKind::Precommit => RoundCertificateType::Precommit,
            },
            round_signatures: signatures.collect(),
        }
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) enum LivenessBody {
    Vote(VoteBody),
    Polka(PolkaBody),
    Round(RoundBody),
}

impl Wire for LivenessMsg<Agreement> {
    const KIND: u8 = 3;
    const BYTES_MAX: usize = CERTIFICATE_BYTES_MAX;
    type Body = LivenessBody;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        Ok(match self {
            Self::Vote(vote) => LivenessBody::Vote(VoteBody::new(vote)?),
            Self::PolkaCertificate(polka) => LivenessBody::Polka(PolkaBody::new(polka)?),
            Self::SkipRoundCertificate(round) => LivenessBody::Round(RoundBody::new(round)?),
        })
    }

    fn from_body(body: LivenessBody) -> Result<Self, WireError> {
        Ok(match body {
            LivenessBody::Vote(vote) => Self::Vote(vote.open()?),
            LivenessBody::Polka(polka) => Self::PolkaCertificate(polka.open()),
            LivenessBody::Round(round) => Self::SkipRoundCertificate(round.open()),
        })
    }
}

/// A log entry, never sent: its rounds may be nil.
#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct ProposedBody {
    height: Height,
    round: Option<Round>,
    valid_round: Option<Round>,
    proposer: L1Address,
    block: BlockId,
    is_valid: bool,
}

impl Wire for ProposedValue<Agreement> {
    const KIND: u8 = 4;
    const BYTES_MAX: usize = SMALL_BYTES_MAX;
    type Body = ProposedBody;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        Ok(ProposedBody {
            height: self.height.0,
            round: to_protocol_round(self.round),
            valid_round: to_protocol_round(self.valid_round),
            proposer: self.proposer.0,
            block: self.value.0,
            is_valid: self.validity.is_valid(),
        })
    }

    fn from_body(body: ProposedBody) -> Result<Self, WireError> {
        Ok(Self {
            height: EngineHeight(body.height),
            round: to_engine_round(body.round),
            valid_round: to_engine_round(body.valid_round),
            proposer: SeatAddress(body.proposer),
            value: BlockValue(body.block),
            validity: Validity::from_bool(body.is_valid),
        })
    }
}
