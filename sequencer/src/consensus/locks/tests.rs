//! What is kept of what is heard.

use arc_malachitebft_core_types::{
    Context as _, Round as EngineRound, SignedExtension, SignedMessage, Vote as _,
    VoteExtensionScope,
};
use protocol::vote::Extension;

use super::*;
use crate::{
    agreement::VoteExtension,
    fixture::{domain, seat_key as key, set_of_four as set},
};

const BLOCK: BlockId = BlockId([4; 32]);
const HEIGHT: Height = Height(3);

fn agreement() -> Agreement {
    Agreement { domain: domain() }
}

fn prevote(number: u8, block: BlockId) -> SignedConsensusMsg<Agreement> {
    let address = SeatAddress(key(number).address());
    let round = EngineRound::new(0);
    let vote = agreement().new_prevote(EngineHeight(HEIGHT), round, NilOrVal::Val(block), address);
    let signature = key(number).sign(&agreement().vote_digest(&vote).unwrap());
    SignedConsensusMsg::Vote(SignedMessage::new(vote, signature))
}

fn precommit(number: u8, time_ms: u64) -> SignedConsensusMsg<Agreement> {
    let address = SeatAddress(key(number).address());
    let round = EngineRound::new(0);
    let extension = VoteExtension(Extension {
        time_ms,
        ..Extension::default()
    });
    let scope = VoteExtensionScope::new(EngineHeight(HEIGHT), round, BLOCK, address);
    let digest = agreement().extension_digest(&scope, &extension).unwrap();
    let signed = SignedExtension::new(extension, key(number).sign(&digest));
    let vote = agreement()
        .new_precommit(EngineHeight(HEIGHT), round, NilOrVal::Val(BLOCK), address)
        .extend(signed);
    let signature = key(number).sign(&agreement().vote_digest(&vote).unwrap());
    SignedConsensusMsg::Vote(SignedMessage::new(vote, signature))
}

#[test]
fn a_polka_is_prevotes_of_a_quorum_that_verify() {
    let mut heard = Heard::new(agreement(), HEIGHT);
    let mut forged = prevote(3, BLOCK);
    if let SignedConsensusMsg::Vote(vote) = &mut forged {
        vote.signature.0[3] ^= 1;
    }
    heard.take(&prevote(1, BLOCK), &set());
    heard.take(&prevote(2, BLOCK), &set());
    heard.take(&forged, &set());
    assert!(heard.polka(Round(0), BLOCK, &set()).is_none());
    heard.take(&prevote(3, BLOCK), &set());
    let polka = heard.polka(Round(0), BLOCK, &set()).unwrap();
    let seats = crate::agreement::Seats::from(set());
    assert!(
        agreement()
            .verify_polka(&polka, &seats, Default::default())
            .is_ok()
    );
    assert!(heard.polka(Round(1), BLOCK, &set()).is_none());
}

#[test]
fn strangers_and_other_heights_are_not_kept() {
    let mut heard = Heard::new(agreement(), HEIGHT);
    heard.take(&prevote(9, BLOCK), &set());
    assert!(heard.prevotes.is_empty());
    heard.start_height(Height(4));
    heard.take(&prevote(1, BLOCK), &set());
    assert!(heard.prevotes.is_empty() && heard.choices.is_empty());
}

#[test]
fn a_validator_has_two_choices_a_round_at_most() {
    let mut heard = Heard::new(agreement(), HEIGHT);
    for block in 0..10 {
        heard.take(&prevote(1, BlockId([block; 32])), &set());
    }
    assert_eq!(heard.prevotes.len(), 2);
}

#[test]
fn two_extensions_of_one_precommit_are_evidence() {
    let mut heard = Heard::new(agreement(), HEIGHT);
    assert!(heard.take(&precommit(1, 7), &set()).is_none());
    assert!(
        heard.take(&precommit(1, 7), &set()).is_none(),
        "the same again"
    );
    let evidence = heard.take(&precommit(1, 8), &set()).unwrap();
    let finding = evidence.verify(&domain(), &set()).unwrap();
    assert_eq!(finding.offender, key(1).address());
    assert!(heard.take(&precommit(2, 8), &set()).is_none());
}
