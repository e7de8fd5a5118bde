//! Golden challenges, printed by snark-verifier 0.2.7's `PoseidonTranscript` (width 3, rate 2, 8 and
//! 57 rounds, `SECURE_MDS` 0) and `EvmTranscript`, both over the `NativeLoader`.
//!
//! The calls were: absorb 7, draw two; write 5 G and -3, draw one; write -5 G, 1 and 2, draw three.

use ark_bn254::{Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};

use super::*;
use crate::field::{reversed, scalar_to_le};

const POSEIDON_PROOF: [&str; 5] = [
    "a93f16faa7a849e89ca35389d8dee46243772b760402bc66f7e0fe0edf39c117",
    "feffffef93f5e1439170b97948e833285d588181b64550b829a031e1724e6430",
    "a93f16faa7a849e89ca35389d8dee46243772b760402bc66f7e0fe0edf39c157",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0200000000000000000000000000000000000000000000000000000000000000",
];

const POSEIDON_CHALLENGES: [&str; 6] = [
    "264daa77d09fa945dbb7b86643494e83ce7fc6622091765b61edb8562c36fb87",
    "10a9081e725ef4f436d2d062fe48fd3ab2861cf1a5e84f4c64d48ecfd4beaeec",
    "1dde9a0b7f3218251b065f60b022263c2bf6e7b1fa32b3ca69d837f547255cb3",
    "1a7fa7931c98cb3ed03af7ce1dc6c6a0e5f88e6d0c75313ca296171dd0a0ae42",
    "0d2fabf52971937b50f7b537f0a112990774df6b150ea8161fef95de7e4ccbfe",
    "175f51f143534d54538275557a0a281ca2dd02b2a9ba37834a9ceecadd9a918a",
];

const KECCAK_PROOF: [&str; 7] = [
    "17c139df0efee0f766bc0204762b774362e4ded88953a39ce849a8a7fa163fa9",
    "01e0559bacb160664764a357af8a9fe70baa9258e0b959273ffc5718c6d4cc7c",
    "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593effffffe",
    "17c139df0efee0f766bc0204762b774362e4ded88953a39ce849a8a7fa163fa9",
    "2e83f8d734803fc370eba25ed1f6b8768bd6d83887b87165fc2434fe11a830cb",
    "0000000000000000000000000000000000000000000000000000000000000001",
    "0000000000000000000000000000000000000000000000000000000000000002",
];

const KECCAK_CHALLENGES: [&str; 6] = [
    "2a3f92cc60e387e8839433c297b16373a8cb2d8e5b1970a1a817521b5e3a13ca",
    "3039f28f6853e30de98d3eb4486bebad2efc13c15527c893b197b270206e7dcf",
    "1eb280f248121f33d9d31dc2e8895f49c56cc9bd7c4bcabae9c7be428d64f72e",
    "030ae200b277900403a221cf4ee8b7fadf778b8aa982f4490d046b9da9a05e2e",
    "1cedd87d51c4f4f998deff904ba18baab86b7241a8212ca52fd471b90fcf84e1",
    "2af1cbfb83097513cbd9e86db74fa0c430833b655095a49d878c11bb02af548b",
];

fn bytes(words: &[&str]) -> Vec<u8> {
    let digits = words.concat();
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn check(kind: TranscriptKind, proof: &[&str], challenges: &[&str]) {
    let proof = bytes(proof);
    let point = (G1Affine::generator() * Fr::from(5_u64)).into_affine();
    let mut transcript = Transcript::new(kind, &proof).unwrap();
    let mut drawn = Vec::new();
    transcript.absorb_scalar(&Fr::from(7_u64));
    drawn.extend([transcript.challenge(), transcript.challenge()]);
    assert_eq!(transcript.read_point(), Ok(point));
    assert_eq!(transcript.read_scalar(), Ok(-Fr::from(3_u64)));
    drawn.push(transcript.challenge());
    assert_eq!(transcript.read_points(1), Ok(vec![-point]));
    assert!(transcript.finish().is_err());
    assert_eq!(
        transcript.read_scalars(2),
        Ok(vec![Fr::from(1_u64), Fr::from(2_u64)])
    );
    drawn.extend([
        transcript.challenge(),
        transcript.challenge(),
        transcript.challenge(),
    ]);
    assert_eq!(transcript.finish(), Ok(()));
    let drawn: Vec<u8> = drawn
        .iter()
        .flat_map(|c| reversed(&scalar_to_le(c)))
        .collect();
    assert_eq!(drawn, bytes(challenges));
    // Nothing is left.
    assert!(matches!(
        transcript.read_scalar(),
        Err(PlonkError::InvalidLength { .. })
    ));
}

#[test]
fn the_poseidon_transcript_is_snark_verifiers() {
    check(
        TranscriptKind::Poseidon,
        &POSEIDON_PROOF,
        &POSEIDON_CHALLENGES,
    );
}

#[test]
fn the_keccak_transcript_is_snark_verifiers() {
    check(TranscriptKind::Keccak, &KECCAK_PROOF, &KECCAK_CHALLENGES);
}
