//! Bodies: one private mirror for each message, so that a change of the engine's types changes no byte.

use arc_malachitebft_app::{
    consensus::LivenessMsg,
    streaming::{StreamContent, StreamId, StreamMessage},
    types::{
        PeerId, ProposedValue, SignedConsensusMsg,
        sync::{RawDecidedValue, Request, Response, Status},
    },
};
use arc_malachitebft_core_types::{
    self as engine, ExtendedCommitCertificate, ExtendedCommitSignature, NilOrVal, PolkaCertificate,
    PolkaSignature, RoundCertificate, RoundCertificateType, RoundSignature, SignedExtension,
    ValidatorProof, Validity, Vote as _, VoteType,
};
use arc_malachitebft_sync::{ValueRequest, ValueResponse};
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use protocol::{
    account::L1Address,
    block::{BlockHeader, BlockId, Payload},
    number::{Height, Round},
    validator::{VALIDATORS_MAX, ValidatorSignature},
    vote::{ProposalKind, SignedProposal, SignedVote, Step},
};

use super::{
    super::{
        Agreement, BlockValue, EngineHeight, Part, SeatAddress, VoteExtension,
        conversion::{to_engine_round, to_protocol_round},
    },
    CERTIFICATE_BYTES_MAX, PART_BYTES_MAX, PEER_ID_BYTES_MAX, RESPONSE_BYTES_MAX,
    RESPONSE_VALUES_MAX, SMALL_BYTES_MAX, STREAM_ID_BYTES_MAX, VALUE_BYTES_MAX, Wire, WireError,
    list::{Blob, Checked, List},
};

const NIL_ROUND: WireError = WireError::Meaning("it belongs to the nil round");

fn defined(round: engine::Round) -> Result<Round, WireError> {
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
struct ExtensionBody {
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
    Payload(Box<Payload>),
}

fn check_part(part: &Part) -> Result<(), WireError> {
    let Part::Init { signed, header } = part else {
        return Ok(());
    };
    if signed.kind != ProposalKind::Init {
        return Err(WireError::Meaning("a proposal is no Init"));
    }
    let signatures = header.certificate.iter().flat_map(|one| &one.signatures);
    if signatures.clone().count() > VALIDATORS_MAX {
        return Err(WireError::Meaning("more signers than a set has"));
    }
    if signatures
        .into_iter()
        .any(|one| one.extension.check().is_err())
    {
        return Err(WireError::Meaning("a malformed extension"));
    }
    Ok(())
}

impl PartBody {
    fn open(self) -> Result<Part, WireError> {
        let part = match self {
            Self::Init { signed, header } => Part::Init { signed, header },
            Self::Payload(payload) => Part::Payload(payload),
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

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct ProofBody {
    validator: L1Address,
    peer: Blob<PEER_ID_BYTES_MAX>,
    signature: ValidatorSignature,
}

impl Wire for ValidatorProof<Agreement> {
    const KIND: u8 = 7;
    const BYTES_MAX: usize = SMALL_BYTES_MAX;
    type Body = ProofBody;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        let validator = self
            .decoded_public_key()
            .map_err(|_| WireError::Meaning("a validator's key is its address"))?;
        Ok(ProofBody {
            validator,
            peer: Blob(Bytes::copy_from_slice(&self.peer_id)),
            signature: self.signature,
        })
    }

    fn from_body(body: ProofBody) -> Result<Self, WireError> {
        let (key, peer) = (body.validator.0.to_vec(), body.peer.0.to_vec());
        Ok(Self::new(key, peer, body.signature))
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) struct StatusBody {
    peer: Blob<PEER_ID_BYTES_MAX>,
    tip: Height,
    history_min: Height,
}

impl Wire for Status<Agreement> {
    const KIND: u8 = 8;
    const BYTES_MAX: usize = SMALL_BYTES_MAX;
    type Body = StatusBody;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        Ok(StatusBody {
            peer: Blob(self.peer_id.to_bytes().into()),
            tip: self.tip_height.0,
            history_min: self.history_min_height.0,
        })
    }

    fn from_body(body: StatusBody) -> Result<Self, WireError> {
        // a multihash has integers of variable length, and so more than one spelling
        let peer_id = PeerId::from_bytes(&body.peer.0)
            .ok()
            .filter(|peer| *peer.to_bytes() == *body.peer.0)
            .ok_or(WireError::Meaning("not a peer id"))?;
        Ok(Self {
            peer_id,
            tip_height: EngineHeight(body.tip),
            history_min_height: EngineHeight(body.history_min),
        })
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) enum RequestBody {
    Values { first: Height, last: Height },
}

impl Wire for Request<Agreement> {
    const KIND: u8 = 9;
    const BYTES_MAX: usize = SMALL_BYTES_MAX;
    type Body = RequestBody;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        let Self::ValueRequest(request) = self;
        Ok(RequestBody::Values {
            first: request.range.start().0,
            last: request.range.end().0,
        })
    }

    fn from_body(body: RequestBody) -> Result<Self, WireError> {
        let RequestBody::Values { first, last } = body;
        let range = EngineHeight(first)..=EngineHeight(last);
        Ok(Self::ValueRequest(ValueRequest::new(range)))
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
struct ExtendedSignerBody {
    validator: L1Address,
    signature: ValidatorSignature,
    extension: Option<ExtensionBody>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct ValueBody {
    value: Blob<VALUE_BYTES_MAX>,
    height: Height,
    round: Round,
    block: BlockId,
    signatures: List<ExtendedSignerBody, VALIDATORS_MAX>,
}

impl ValueBody {
    fn new(value: &RawDecidedValue<Agreement>) -> Result<Self, WireError> {
        let certificate = &value.certificate;
        let signatures = certificate
            .commit_signatures
            .iter()
            .map(|one| ExtendedSignerBody {
                validator: one.address.0,
                signature: one.signature,
                extension: one.extension.as_ref().map(ExtensionBody::from),
            });
        Ok(Self {
            value: Blob(value.value_bytes.clone()),
            height: certificate.height.0,
            round: defined(certificate.round)?,
            block: certificate.value_id,
            signatures: signatures.collect(),
        })
    }

    fn open(self) -> RawDecidedValue<Agreement> {
        let signatures = self.signatures.0.into_iter().map(|one| {
            ExtendedCommitSignature::new(
                SeatAddress(one.validator),
                one.signature,
                one.extension.map(SignedExtension::from),
            )
        });
        let certificate = ExtendedCommitCertificate {
            height: EngineHeight(self.height),
            round: to_engine_round(Some(self.round)),
            value_id: self.block,
            commit_signatures: signatures.collect(),
        };
        RawDecidedValue::new(self.value.0, certificate)
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
pub(super) enum ResponseBody {
    Values {
        first: Height,
        values: List<ValueBody, RESPONSE_VALUES_MAX>,
    },
}

impl Wire for Response<Agreement> {
    const KIND: u8 = 10;
    const BYTES_MAX: usize = RESPONSE_BYTES_MAX;
    type Body = ResponseBody;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError> {
        let Self::ValueResponse(response) = self;
        let values = response.values.iter().map(ValueBody::new);
        Ok(ResponseBody::Values {
            first: response.start_height.0,
            values: values.collect::<Result<_, WireError>>()?,
        })
    }

    fn from_body(body: ResponseBody) -> Result<Self, WireError> {
        let ResponseBody::Values { first, values } = body;
        let values = values.0.into_iter().map(ValueBody::open).collect();
        let response = ValueResponse::new(EngineHeight(first), values);
        Ok(Self::ValueResponse(response))
    }
}
