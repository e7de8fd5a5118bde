//! Certificates as the ValidatorRegistry judges them: epochs, sets, signatures of more than two thirds of the weight.
//!
//! Set hashes, weights and signatures are `protocol`'s; the digest is Solidity's encoding, because a stream signs integers
//! too that are no field elements. Of two reasons the contract's first one is expected.

use alloy_primitives::{B256, U256, keccak256};
use alloy_sol_types::{SolValue, sol};
use protocol::account::L1Address;
use protocol::number::{Epoch, Height};
use protocol::validator::{Validator, ValidatorSet, ValidatorSignature};
use settlement::bindings::{Certificate, Header, Reverts, Words, address, integer};

use super::world::{Done, World, height, refuse};

sol! {
    struct WordHashes {
        bytes32 ops;
        bytes32 withdrawals;
        bytes32 inbox;
    }
}

/// What validators sign of a batch, whatever its integers are.
pub(super) fn digest(domain: U256, header: &Header, words: &Words, last: (u64, B256)) -> [u8; 32] {
    let name = "QUORATE/protocol/checkpoint/v1".to_owned();
    let hashes = WordHashes {
        ops: keccak256(&words.ops),
        withdrawals: keccak256(&words.withdrawals),
        inbox: keccak256(&words.inbox),
    };
    let (height, block) = last;
    keccak256((name, domain, header.clone(), hashes, height, block).abi_encode_params()).0
}

impl World {
    /// Accepts a batch's certificate, which may begin its epoch and names the next one's set.
    pub(super) fn check_certificate(
        &mut self,
        header: &Header,
        words: &Words,
        certificate: &Certificate,
    ) -> Done {
        let (epoch, last) = (header.epoch, certificate.lastHeight);
        if last < height(header.countersAfter) || Epoch::of(Height(last)).0 != epoch {
            return refuse(Reverts::WrongEpoch {
                epoch,
                height: last,
            });
        }
        let domain = integer(&self.rules.domain(header.circuitVersion).0);
        let digest = digest(domain, header, words, (last, certificate.lastBlock));
        let (seats, rest) = certificate.validators.as_chunks::<28>();
        if !rest.is_empty() || seats.is_empty() || seats.len() > 100 {
            let length = U256::from(certificate.validators.len());
            return refuse(Reverts::BrokenSet { length });
        }
        let seats = seats.iter().map(|seat| {
            let (address, weight) = seat.split_at(20);
            Validator {
                address: L1Address(address.try_into().expect("20 bytes")),
                weight: u64::from_be_bytes(weight.try_into().expect("8 bytes")),
            }
        });
        let set = ValidatorSet::new(seats.collect()).expect("the stream sends sets");
        let given = B256::from(set.hash());
        let (expected, began) = self.epochs.get(&epoch).copied().unwrap_or_default();
        if given != expected {
            return refuse(Reverts::WrongSet {
                epoch,
                given,
                expected,
            });
        }
        let next_began = self.epochs.get(&(epoch + 1)).map_or(0, |(_, began)| *began);
        let until = next_began + self.rules.handover_seconds;
        if next_began != 0 && self.now > until {
            return refuse(Reverts::EpochOver { epoch, until });
        }
        check_quorum(&digest, &set, &certificate.signatures)?;
        if began == 0 {
            self.epochs.insert(epoch, (expected, self.now));
        }
        if header.nextSetHash == B256::ZERO {
            return refuse(Reverts::Zero {});
        }
        let next = self.epochs.entry(epoch + 1).or_default();
        next.0 = header.nextSetHash;
        Ok(())
    }
}

/// More than two thirds of the weight, each seat once and in order.
fn check_quorum(digest: &[u8; 32], set: &ValidatorSet, signatures: &[u8]) -> Done {
    let (signers, rest) = signatures.as_chunks::<66>();
    if !rest.is_empty() {
        let length = U256::from(signatures.len());
        return refuse(Reverts::BrokenSignatures { length });
    }
    let (mut signed, mut lowest) = (0_u128, 0);
    for signer in signers {
        let place = usize::from(signer[0]);
        let seat = U256::from(place);
        let validator = set.validators().get(place).filter(|_| place >= lowest);
        let Some(validator) = validator else {
            return refuse(Reverts::SignerOrder { seat });
        };
        lowest = place + 1;
        let signature = ValidatorSignature(signer[1..].try_into().expect("65 bytes"));
        match signature.signer(digest) {
            Err(_) => {
                let length = U256::from(65);
                return refuse(Reverts::BrokenSignatures { length });
            }
            Ok(by) if address(by) != address(validator.address) => {
                return refuse(Reverts::WrongSignature { seat });
            }
            Ok(_) => signed += u128::from(validator.weight),
        }
    }
    if !set.is_quorum(signed) {
        let (signed, total) = (U256::from(signed), U256::from(set.total()));
        return refuse(Reverts::NoQuorum { signed, total });
    }
    Ok(())
}
