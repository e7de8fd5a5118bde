//! Every message comes back from its bytes, and nothing else decodes.

use std::fmt::Debug;

use arc_malachitebft_app::{
    consensus::LivenessMsg,
    streaming::{StreamContent, StreamId, StreamMessage},
    types::{
        PeerId, ProposedValue, SignedConsensusMsg,
        codec::{ConsensusCodec, SyncCodec, WalCodec},
        sync::{RawDecidedValue, Request, Status},
    },
};
use arc_malachitebft_core_types::{
    Context, ExtendedCommitCertificate, ExtendedCommitSignature, NilOrVal, PolkaCertificate,
    PolkaSignature, Round, RoundCertificate, RoundCertificateType, RoundSignature, SignedExtension,
    SignedProposal, SignedVote, ValidatorProof, Validity, Vote as _, VoteType,
};
use arc_malachitebft_sync::{ValueRequest, ValueResponse};
use protocol::{
    account::L1Address,
    block::{BLOCK_OPERATIONS_MAX, BlockHeader, BlockId, Entry, Payload},
    number::Height,
    testing::{BlockShape, World, generator},
    transaction::{BidHash, Domain, ListHash, Submission},
    validator::{VALIDATORS_MAX, ValidatorSignature},
    vote::{self, Extension, Proposal, ProposalKind, Report, Withheld},
};
use rand::{Rng, rngs::StdRng};

use super::{
    super::{BlockValue, EngineHeight, EngineVote, Part, SeatAddress, VoteExtension},
    *,
};

fn array<const N: usize>(rng: &mut StdRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill(&mut bytes[..]);
    bytes
}

fn agreement() -> Agreement {
    let domain = Domain(protocol::Fr::from(9_u64));
    Agreement { domain }
}

fn signature(rng: &mut StdRng) -> ValidatorSignature {
    ValidatorSignature(array(rng))
}

fn seat(rng: &mut StdRng) -> SeatAddress {
    SeatAddress(L1Address(array(rng)))
}

fn height(rng: &mut StdRng) -> EngineHeight {
    EngineHeight(Height(rng.r#gen()))
}

fn round(rng: &mut StdRng) -> Round {
    Round::new(rng.r#gen())
}

fn maybe_round(rng: &mut StdRng) -> Round {
    match rng.r#gen() {
        true => Round::Nil,
        false => round(rng),
    }
}

fn block(rng: &mut StdRng) -> BlockId {
    BlockId(array(rng))
}

fn maybe_block(rng: &mut StdRng) -> NilOrVal<BlockId> {
    match rng.r#gen() {
        true => NilOrVal::Nil,
        false => NilOrVal::Val(block(rng)),
    }
}

fn extension(rng: &mut StdRng) -> SignedExtension<Agreement> {
    let mut hashes: Vec<_> = (0..rng.gen_range(0..4))
        .map(|_| ListHash(array(rng)))
        .collect();
    hashes.sort_unstable();
    let reports = (0..rng.gen_range(0..3)).map(|place| Report {
        height: Height(place),
        bid: BidHash(array(rng)),
        builder: L1Address(array(rng)),
        block: block(rng),
        fault: match rng.r#gen() {
            true => Withheld::Missing,
            false => Withheld::Invalid,
        },
    });
    let reports = reports.collect();
    let extension = Extension {
        hashes,
        time_ms: rng.r#gen(),
        reports,
    };
    SignedExtension::new(VoteExtension(extension), signature(rng))
}

fn vote(rng: &mut StdRng) -> SignedVote<Agreement> {
    let place = (height(rng), round(rng));
    let (block, seat) = (maybe_block(rng), seat(rng));
    let vote = match rng.r#gen() {
        true => agreement().new_prevote(place.0, place.1, block, seat),
        false => agreement().new_precommit(place.0, place.1, block, seat),
    };
    let may_extend = vote.step == VoteType::Precommit && block != NilOrVal::Nil;
    let vote = match may_extend && rng.r#gen() {
        true => vote.extend(extension(rng)),
        false => vote,
    };
    SignedVote::new(vote, signature(rng))
}

fn consensus(rng: &mut StdRng) -> SignedConsensusMsg<Agreement> {
    if rng.gen_range(0..3) > 0 {
        return SignedConsensusMsg::Vote(vote(rng));
    }
    let value = BlockValue(block(rng));
    let proposal =
        agreement().new_proposal(height(rng), round(rng), value, maybe_round(rng), seat(rng));
    SignedConsensusMsg::Proposal(SignedProposal::new(proposal, signature(rng)))
}

fn polka(rng: &mut StdRng, signers: usize) -> PolkaCertificate<Agreement> {
    PolkaCertificate {
        height: height(rng),
        round: round(rng),
        value_id: block(rng),
        polka_signatures: (0..signers)
            .map(|_| PolkaSignature::new(seat(rng), signature(rng)))
            .collect(),
    }
}

fn round_certificate(rng: &mut StdRng, signers: usize) -> RoundCertificate<Agreement> {
    let signatures = (0..signers).map(|_| {
        let step = match rng.r#gen() {
            true => VoteType::Prevote,
            false => VoteType::Precommit,
        };
        RoundSignature::new(step, maybe_block(rng), seat(rng), signature(rng))
    });
    let signatures = signatures.collect();
    RoundCertificate {
        height: height(rng),
        round: round(rng),
        cert_type: match rng.r#gen() {
            true => RoundCertificateType::Skip,
            false => RoundCertificateType::Precommit,
        },
        round_signatures: signatures,
    }
}

fn liveness(rng: &mut StdRng) -> LivenessMsg<Agreement> {
    let signers = rng.gen_range(0..5);
    match rng.gen_range(0..3) {
        0 => LivenessMsg::Vote(vote(rng)),
        1 => LivenessMsg::PolkaCertificate(polka(rng, signers)),
        _ => LivenessMsg::SkipRoundCertificate(round_certificate(rng, signers)),
    }
}

fn proposed(rng: &mut StdRng) -> ProposedValue<Agreement> {
    ProposedValue {
        height: height(rng),
        round: maybe_round(rng),
        valid_round: maybe_round(rng),
        proposer: seat(rng),
        value: BlockValue(block(rng)),
        validity: Validity::from_bool(rng.r#gen()),
    }
}

fn init(rng: &mut StdRng, header: BlockHeader) -> Part {
    let proposal = Proposal {
        height: Height(rng.r#gen()),
        round: protocol::number::Round(rng.r#gen()),
        pol_round: None,
        block: header.id(),
    };
    let signed = vote::SignedProposal {
        proposal,
        kind: ProposalKind::Init,
        proposer: L1Address(array(rng)),
        signature: signature(rng),
    };
    Part::Init {
        signed,
        header: Box::new(header),
    }
}

/// Parts of a real block whose header carries a certificate with these extensions.
fn parts(rng: &mut StdRng, extensions: &[Extension]) -> [Part; 2] {
    let world = World::random(rng, 12);
    let shape = BlockShape {
        inbox: 2,
        entries: 3,
        bid: true,
    };
    let mut real = world.random_block(rng, &shape);
    let signers: Vec<_> = extensions
        .iter()
        .map(|extension| (0, extension.clone()))
        .collect();
    let place = (Height(1), block(rng));
    real.header.certificate = Some(world.certify(place, &signers));
    [
        init(rng, real.header),
        Part::Payload(Box::new(real.payload)),
    ]
}

fn part(rng: &mut StdRng) -> Part {
    let extension = extension(rng).message.0;
    let [init, payload] = parts(rng, &[extension]);
    match rng.r#gen() {
        true => init,
        false => payload,
    }
}

fn streamed(rng: &mut StdRng) -> StreamMessage<Part> {
    let content = match rng.gen_range(0..4) {
        0 => StreamContent::Fin,
        _ => StreamContent::Data(part(rng)),
    };
    let id = array::<20>(rng).to_vec();
    StreamMessage::new(StreamId::new(id.into()), rng.r#gen(), content)
}

fn proof(rng: &mut StdRng) -> ValidatorProof<Agreement> {
    let key = array::<20>(rng).to_vec();
    ValidatorProof::new(key, array::<38>(rng).to_vec(), signature(rng))
}

/// The id of an ed25519 key, as libp2p makes it.
fn peer(rng: &mut StdRng) -> PeerId {
    let mut bytes = vec![0x00, 36, 0x08, 0x01, 0x12, 32];
    bytes.extend_from_slice(&array::<32>(rng));
    PeerId::from_bytes(&bytes).unwrap()
}

fn status(rng: &mut StdRng) -> Status<Agreement> {
    Status {
        peer_id: peer(rng),
        tip_height: height(rng),
        history_min_height: height(rng),
    }
}

fn request(rng: &mut StdRng) -> Request<Agreement> {
    Request::ValueRequest(ValueRequest::new(height(rng)..=height(rng)))
}

fn decided(rng: &mut StdRng, value_bytes: usize) -> RawDecidedValue<Agreement> {
    let mut signatures = Vec::new();
    for _ in 0..rng.gen_range(0..4) {
        signatures.push(ExtendedCommitSignature::new(
            seat(rng),
            signature(rng),
            match rng.r#gen() {
                true => None,
                false => Some(extension(rng)),
            },
        ));
    }
    let certificate = ExtendedCommitCertificate {
        height: height(rng),
        round: round(rng),
        value_id: block(rng),
        commit_signatures: signatures,
    };
    RawDecidedValue::new(vec![7; value_bytes].into(), certificate)
}

fn response(rng: &mut StdRng) -> Response<Agreement> {
    let values = (0..rng.gen_range(0..3)).map(|_| {
        let value_bytes = rng.gen_range(0..50);
        decided(rng, value_bytes)
    });
    let values = values.collect();
    Response::ValueResponse(ValueResponse::new(height(rng), values))
}

fn encode<T>(message: &T) -> Result<Bytes, WireError>
where
    WireCodec: Codec<T, Error = WireError>,
{
    WireCodec.encode(message)
}

fn decode<T>(bytes: &[u8]) -> Result<T, WireError>
where
    WireCodec: Codec<T, Error = WireError>,
{
    WireCodec.decode(Bytes::copy_from_slice(bytes))
}

/// Round trip; no prefix and nothing longer decodes; what decodes after a flip encodes to the flipped bytes.
fn check<T: PartialEq + Debug>(message: &T)
where
    WireCodec: Codec<T, Error = WireError>,
{
    let bytes = encode(message).unwrap();
    assert_eq!(decode::<T>(&bytes).as_ref(), Ok(message));
    for cut in 0..bytes.len() {
        assert!(decode::<T>(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for trailing in [0, 1, 0xff] {
        let longer = [&bytes[..], &[trailing]].concat();
        assert!(decode::<T>(&longer).is_err());
    }
    let mut flipped = bytes.to_vec();
    for index in 0..bytes.len() {
        for change in [0x01, 0x02, 0x10, 0x80, 0xff] {
            flipped[index] ^= change;
            if let Ok(other) = decode::<T>(&flipped) {
                assert_ne!(other, *message);
                assert_eq!(encode(&other).unwrap(), flipped, "byte {index}");
            }
            flipped[index] ^= change;
        }
    }
}

#[test]
fn every_message_has_one_encoding() {
    let rng = &mut generator(1);
    for _ in 0..40 {
        check(&consensus(rng));
        check(&liveness(rng));
        check(&polka(rng, 3));
        check(&proposed(rng));
        check(&proof(rng));
        check(&status(rng));
        check(&request(rng));
        check(&response(rng));
    }
}

#[test]
fn every_part_has_one_encoding() {
    let rng = &mut generator(2);
    let extension = extension(rng).message.0;
    for part in parts(rng, &[extension]) {
        check(&part);
    }
    for _ in 0..4 {
        check(&part(rng));
        check(&streamed(rng));
    }
}

#[test]
fn the_engine_takes_the_codec_for_all_three_of_its_uses() {
    fn takes<C: ConsensusCodec<Agreement> + SyncCodec<Agreement> + WalCodec<Agreement>>(_: C) {}
    takes(WireCodec);
    let rng = &mut generator(3);
    for _ in 0..20 {
        let response = response(rng);
        let len = WireCodec.encoded_len(&response).unwrap();
        assert_eq!(len, encode(&response).unwrap().len());
    }
}

#[test]
fn another_version_or_kind_is_refused() {
    let rng = &mut generator(4);
    let bytes = encode(&polka(rng, 2)).unwrap();
    let mut newer = bytes.to_vec();
    newer[0] = 2;
    let answer = decode::<PolkaCertificate<Agreement>>(&newer);
    assert_eq!(answer, Err(WireError::Version(2)));
    let answer = decode::<LivenessMsg<Agreement>>(&bytes);
    let expected = WireError::Kind {
        expected: 3,
        got: 2,
    };
    assert_eq!(answer, Err(expected));
    assert_eq!(decode::<Status<Agreement>>(&[1]), Err(WireError::Short(1)));
}

#[test]
fn what_nobody_signs_is_refused_both_ways() {
    let rng = &mut generator(5);
    let nil_round = agreement().new_prevote(height(rng), Round::Nil, NilOrVal::Nil, seat(rng));
    let nil_round = SignedVote::new(nil_round, signature(rng));
    let meaningless = |vote: SignedVote<Agreement>| {
        let answer = encode(&SignedConsensusMsg::Vote(vote));
        assert!(matches!(answer, Err(WireError::Meaning(_))), "{answer:?}");
    };
    meaningless(nil_round);
    let extended = |vote: EngineVote, rng: &mut StdRng| {
        SignedVote::new(vote.extend(extension(rng)), signature(rng))
    };
    let place = (height(rng), round(rng), seat(rng));
    let prevote = agreement().new_prevote(place.0, place.1, NilOrVal::Val(block(rng)), place.2);
    let nil = agreement().new_precommit(place.0, place.1, NilOrVal::Nil, place.2);
    let good = agreement().new_precommit(place.0, place.1, NilOrVal::Val(block(rng)), place.2);
    meaningless(extended(prevote, rng));
    meaningless(extended(nil, rng));
    // the same in bytes: version, kind, vote, height, round, then the step
    let good = SignedConsensusMsg::Vote(extended(good, rng));
    let mut bytes = encode(&good).unwrap().to_vec();
    let step = 2 + 1 + 8 + 4;
    assert_eq!(bytes[step], 1, "a precommit");
    bytes[step] = 0;
    let answer = decode::<SignedConsensusMsg<Agreement>>(&bytes);
    assert!(matches!(answer, Err(WireError::Meaning(_))), "{answer:?}");
}

#[test]
fn a_proposal_is_no_init_and_an_init_no_proposal() {
    let rng = &mut generator(6);
    let [mut init, _] = parts(rng, &[]);
    let good = encode(&init).unwrap();
    if let Part::Init { signed, .. } = &mut init {
        signed.kind = ProposalKind::Proposal;
    }
    assert!(matches!(encode(&init), Err(WireError::Meaning(_))));
    // version, kind, Init, height, round, no polka, block
    let kind = 2 + 1 + 8 + 4 + 1 + 32;
    let mut bytes = good.to_vec();
    assert_eq!(bytes[kind], 1);
    bytes[kind] = 0;
    let answer = decode::<Part>(&bytes);
    assert!(matches!(answer, Err(WireError::Meaning(_))), "{answer:?}");
    let proposal = loop {
        let message = consensus(rng);
        if let SignedConsensusMsg::Proposal(proposal) = &message
            && proposal.pol_round == Round::Nil
        {
            break message;
        }
    };
    let mut bytes = encode(&proposal).unwrap().to_vec();
    assert_eq!(bytes[kind], 0);
    bytes[kind] = 1;
    let answer = decode::<SignedConsensusMsg<Agreement>>(&bytes);
    assert!(matches!(answer, Err(WireError::Meaning(_))), "{answer:?}");
}

#[test]
fn lists_above_their_limits_are_refused_both_ways() {
    let rng = &mut generator(7);
    let full = polka(rng, VALIDATORS_MAX);
    let bytes = encode(&full).unwrap();
    assert!(decode::<PolkaCertificate<Agreement>>(&bytes).is_ok());
    assert!(encode(&polka(rng, VALIDATORS_MAX + 1)).is_err());
    let full = LivenessMsg::SkipRoundCertificate(round_certificate(rng, VALIDATORS_MAX));
    assert!(encode(&full).is_ok());
    // one more signer than a set has, in bytes: the count stands behind height, round and block
    let count = 2 + 8 + 4 + 32;
    let mut longer = bytes.to_vec();
    longer[count] += 1;
    longer.extend_from_slice(&[0; 85]);
    let answer = decode::<PolkaCertificate<Agreement>>(&longer);
    assert!(matches!(answer, Err(WireError::Body(_))), "{answer:?}");

    let too_long = Response::ValueResponse(ValueResponse::new(
        height(rng),
        vec![decided(rng, 0); RESPONSE_VALUES_MAX + 1],
    ));
    assert!(encode(&too_long).is_err());
    let too_long = decided(rng, VALUE_BYTES_MAX + 1);
    let too_long = Response::ValueResponse(ValueResponse::new(height(rng), vec![too_long]));
    assert!(encode(&too_long).is_err());
    assert!(WireCodec.encoded_len(&too_long).is_err());
    let longest = decided(rng, VALUE_BYTES_MAX);
    let longest = Response::ValueResponse(ValueResponse::new(height(rng), vec![longest]));
    let bytes = encode(&longest).unwrap();
    assert_eq!(decode(&bytes), Ok(longest));

    let id = StreamId::new(vec![1; STREAM_ID_BYTES_MAX + 1].into());
    let too_long = StreamMessage::<Part>::new(id, 0, StreamContent::Fin);
    assert!(encode(&too_long).is_err());
    let peer = vec![1; PEER_ID_BYTES_MAX + 1];
    let too_long = ValidatorProof::<Agreement>::new(vec![1; 20], peer, signature(rng));
    assert!(encode(&too_long).is_err());
    let long_key = ValidatorProof::<Agreement>::new(vec![1; 33], vec![1], signature(rng));
    assert!(encode(&long_key).is_err());
}

#[test]
fn malformed_extensions_are_refused_wherever_they_stand() {
    let rng = &mut generator(8);
    let long = Extension {
        hashes: (0..97).map(|place| ListHash([place; 32])).collect(),
        ..Extension::default()
    };
    let disordered = Extension {
        hashes: vec![ListHash([2; 32]), ListHash([1; 32])],
        ..Extension::default()
    };
    for bad in [long, disordered] {
        let [init, _] = parts(rng, std::slice::from_ref(&bad));
        assert!(encode(&init).is_err());
        let block = NilOrVal::Val(block(rng));
        let vote = agreement().new_precommit(height(rng), round(rng), block, seat(rng));
        let signed = SignedExtension::new(VoteExtension(bad), signature(rng));
        let vote = SignedVote::new(vote.extend(signed), signature(rng));
        assert!(encode(&SignedConsensusMsg::Vote(vote)).is_err());
    }
    // the same in bytes: two hashes that ascend, swapped
    let good = Extension {
        hashes: vec![ListHash([1; 32]), ListHash([2; 32])],
        ..Extension::default()
    };
    let [init, _] = parts(rng, std::slice::from_ref(&good));
    let bytes = encode(&init).unwrap();
    let ascending = [[1; 32], [2; 32]].concat();
    let found = bytes.windows(64).position(|window| window == ascending);
    let mut bytes = bytes.to_vec();
    let place = found.unwrap();
    bytes[place..place + 64].rotate_left(32);
    let answer = decode::<Part>(&bytes);
    assert!(matches!(answer, Err(WireError::Meaning(_))), "{answer:?}");
    let crowd = vec![good; VALIDATORS_MAX + 1];
    let [init, _] = parts(rng, &crowd);
    assert!(encode(&init).is_err());
}

#[test]
fn a_payload_of_empty_entries_buys_no_memory() {
    let empty = Entry::Submission {
        submission: Submission::Group(Vec::new()),
        fee_leaves: Vec::new(),
    };
    let with = |count| {
        let entries = vec![empty.clone(); count];
        Part::Payload(Box::new(Payload {
            entries,
            ..Payload::default()
        }))
    };
    let full = with(BLOCK_OPERATIONS_MAX);
    let bytes = encode(&full).unwrap();
    assert_eq!(decode(&bytes), Ok(full));
    let flood = with(BLOCK_OPERATIONS_MAX + 1);
    assert!(matches!(encode(&flood), Err(WireError::Meaning(_))));
    let mut bytes = vec![VERSION, Part::KIND, 1];
    let Part::Payload(payload) = flood else {
        return;
    };
    payload.serialize(&mut bytes).unwrap();
    let answer = decode::<Part>(&bytes);
    assert!(matches!(answer, Err(WireError::Body(_))), "{answer:?}");
}

#[test]
fn messages_above_their_size_are_refused_before_they_are_read() {
    let payload = Part::Payload(Box::default());
    let mut bytes = encode(&payload).unwrap().to_vec();
    bytes.resize(PART_BYTES_MAX + 1, 0);
    let expected = WireError::Long {
        max: PART_BYTES_MAX,
        got: PART_BYTES_MAX + 1,
    };
    assert_eq!(decode::<Part>(&bytes), Err(expected));
    let rng = &mut generator(9);
    let mut bytes = encode(&vote_message(rng)).unwrap().to_vec();
    bytes.resize(SMALL_BYTES_MAX + 1, 0);
    let answer = decode::<SignedConsensusMsg<Agreement>>(&bytes);
    assert!(matches!(answer, Err(WireError::Long { .. })), "{answer:?}");
}

fn vote_message(rng: &mut StdRng) -> SignedConsensusMsg<Agreement> {
    SignedConsensusMsg::Vote(vote(rng))
}

#[test]
fn a_peer_id_with_a_second_spelling_is_refused() {
    let rng = &mut generator(10);
    let status = status(rng);
    let bytes = encode(&status).unwrap();
    // version, kind, length, then the multihash: its code 0 may be spelt 0x80 0x00
    let id = 2 + 4;
    assert_eq!((bytes[id - 4], bytes[id]), (38, 0));
    let mut other = bytes.to_vec();
    other[id - 4] = 39;
    other.splice(id..=id, [0x80, 0x00]);
    assert!(decode::<Status<Agreement>>(&other).is_err());
}
