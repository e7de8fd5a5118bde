//! What peers tell each other apart from votes: who they are, where they stand, and blocks for who was away.

use arc_malachitebft_app::types::{
    PeerId,
    sync::{RawDecidedValue, Request, Response, Status},
};
use arc_malachitebft_core_types::{
    ExtendedCommitCertificate, ExtendedCommitSignature, SignedExtension, ValidatorProof,
};
use arc_malachitebft_sync::{ValueRequest, ValueResponse};
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use protocol::{
    account::L1Address,
    block::BlockId,
    number::{Height, Round},
    validator::{VALIDATORS_MAX, ValidatorSignature},
};

use super::{
    super::{Agreement, EngineHeight, SeatAddress, conversion::to_engine_round},
    PEER_ID_BYTES_MAX, RESPONSE_BYTES_MAX, RESPONSE_VALUES_MAX, SMALL_BYTES_MAX, VALUE_BYTES_MAX,
    Wire, WireError,
    list::{Blob, List},
    vote::{ExtensionBody, defined},
};

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
pub(super) struct ValueBody {
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
