//! Validator keys and signatures on secp256k1, so that `ecrecover` can judge them on the base layer (`protocol.md`,
//! "Domain, keys, signatures"), and the weighted sets they form.
//!
//! Every signed message is `keccak256(abi.encode(name, words..))`, its first word the chain's domain: a contract
//! rebuilds the digest from calldata. What this module does not do: say what the messages mean (`vote`, `certificate`).

mod set;

use borsh::{BorshDeserialize, BorshSerialize};
use k256::{
    AffinePoint, ProjectivePoint, Scalar, U256,
    ecdsa::{Signature, SigningKey, VerifyingKey},
    elliptic_curve::{
        ops::{Invert, LinearCombination, Reduce},
        point::DecompressPoint,
        subtle::Choice,
    },
};

pub use set::{TOTAL_WEIGHT_MAX, VALIDATORS_MAX, Validator, ValidatorSet, ValidatorSetError};

use crate::{account::L1Address, codec::abi_encode_tagged, hash::keccak256};

/// r or s is out of range, s is in the upper half, the recovery id is not 0 or 1, or no key can be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed secp256k1 signature")]
pub struct MalformedSignature;

/// A secp256k1 signature: r, s (32 bytes big-endian each, s in the lower half), recovery id 0 or 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct ValidatorSignature(pub [u8; 65]);

impl std::fmt::Debug for ValidatorSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl ValidatorSignature {
    /// Address of the key that signed `digest`. Exactly one encoding per signature is accepted.
    ///
    /// # Errors
    /// [`MalformedSignature`].
    pub fn signer(&self, digest: &[u8; 32]) -> Result<L1Address, MalformedSignature> {
        let (body, recovery) = self.0.split_at(64);
        let signature = Signature::from_slice(body).map_err(|_| MalformedSignature)?;
        let is_odd = match recovery {
            [id @ (0 | 1)] => Choice::from(*id),
            _ => return Err(MalformedSignature),
        };
        if signature.normalize_s().is_some() {
            return Err(MalformedSignature);
        }
        recover(digest, &signature, is_odd).map(|key| address_of(&key))
    }

    /// Whether `validator` signed `digest`.
    #[must_use]
    pub fn is_by(&self, validator: &L1Address, digest: &[u8; 32]) -> bool {
        self.signer(digest).as_ref() == Ok(validator)
    }
}

/// A validator's signing key.
#[derive(Clone)]
pub struct ValidatorKey(SigningKey);

impl std::fmt::Debug for ValidatorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ValidatorKey({})", self.address())
    }
}

impl ValidatorKey {
    /// The key of a 32-byte big-endian scalar; `None` if it is 0 or not below the group order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    /// Its Ethereum address.
    #[must_use]
    pub fn address(&self) -> L1Address {
        address_of(self.0.verifying_key())
    }

    /// Signs a digest, deterministically (RFC 6979): the same message never gets a second signature.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> ValidatorSignature {
        let (signature, recovery) = self
            .0
            .sign_prehash_recoverable(digest)
            .expect("signing a 32-byte digest with a valid key cannot fail");
        let mut bytes = [0; 65];
        let (head, tail) = bytes.split_at_mut(64);
        head.copy_from_slice(&signature.to_bytes());
        tail.copy_from_slice(&[recovery.to_byte()]);
        ValidatorSignature(bytes)
    }
}

/// `Q = (s R - z G) / r` with `R` the point of x coordinate r (SEC 1, 4.1.6). `z/s G + r/s Q = R` for whatever comes out, so
/// the signature verifies under it: the library's own recovery does that over again, at the price of another recovery.
fn recover(
    digest: &[u8; 32],
    signature: &Signature,
    is_odd: Choice,
) -> Result<VerifyingKey, MalformedSignature> {
    let (r, s) = signature.split_scalars();
    let point: Option<AffinePoint> = AffinePoint::decompress(&r.to_bytes(), is_odd).into();
    let point = ProjectivePoint::from(point.ok_or(MalformedSignature)?);
    let z = <Scalar as Reduce<U256>>::reduce_bytes(&(*digest).into());
    let inverse = *r.invert_vartime();
    let (of_base, of_point) = (-(inverse * z), inverse * *s);
    let key = ProjectivePoint::lincomb(&ProjectivePoint::GENERATOR, &of_base, &point, &of_point);
    VerifyingKey::from_affine(key.to_affine()).map_err(|_| MalformedSignature)
}

fn address_of(key: &VerifyingKey) -> L1Address {
    let point = key.to_encoded_point(false);
    let digest = keccak256(point.as_bytes().get(1..).unwrap_or(&[]));
    let mut address = [0; 20];
    address.copy_from_slice(digest.split_at(12).1);
    L1Address(address)
}

/// `keccak256(abi.encode(name, words..))`: what validators and builders sign.
#[must_use]
pub(crate) fn digest(name: &str, words: &[[u8; 32]]) -> [u8; 32] {
    keccak256(&abi_encode_tagged(name, words))
}

/// An address as a 32-byte big-endian word.
pub(crate) fn address_word(address: &L1Address) -> [u8; 32] {
    let mut word = [0; 32];
    word.split_at_mut(12).1.copy_from_slice(&address.0);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_ethereums() {
        // Published first account of the "test test ... junk" mnemonic.
        let key = ValidatorKey::from_bytes(
            &hex::decode("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
                .unwrap()
                .try_into()
                .unwrap(),
        )
        .unwrap();
        assert_eq!(
            key.address().to_string(),
            "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
        );
    }

    #[test]
    fn signature_binds_digest_and_key() {
        let key = ValidatorKey::from_bytes(&[5; 32]).unwrap();
        let message = digest("QUORATE/protocol/test/v1", &[[1; 32]]);
        let good = key.sign(&message);
        assert!(good.is_by(&key.address(), &message));
        assert_eq!(good, key.sign(&message), "signing is deterministic");
        assert!(!good.is_by(&key.address(), &[7; 32]));
        assert!(!good.is_by(&L1Address([7; 20]), &message));
        for byte in 0..65 {
            let mut bad = good;
            bad.0[byte] ^= 1;
            assert!(!bad.is_by(&key.address(), &message), "byte {byte}");
        }
    }

    /// By the library, which verifies under what it has recovered.
    fn by_library(signature: &ValidatorSignature, digest: &[u8; 32]) -> Option<L1Address> {
        let (body, recovery) = signature.0.split_at(64);
        let body = Signature::from_slice(body).ok()?;
        let recovery =
            k256::ecdsa::RecoveryId::from_byte(recovery[0]).filter(|id| !id.is_x_reduced())?;
        if body.normalize_s().is_some() {
            return None;
        }
        let key = VerifyingKey::recover_from_prehash(digest, &body, recovery);
        key.ok().map(|key| address_of(&key))
    }

    proptest::proptest! {
        #[test]
        fn recovery_equals_the_librarys(seed in 1_u8.., digest: [u8; 32], byte in 0_usize..65, flip: u8) {
            let key = ValidatorKey::from_bytes(&[seed.min(0xfe); 32]).unwrap();
            let mut signature = key.sign(&digest);
            proptest::prop_assert_eq!(signature.signer(&digest), Ok(key.address()));
            signature.0[byte] ^= flip;
            proptest::prop_assert_eq!(signature.signer(&digest).ok(), by_library(&signature, &digest));
        }
    }

    #[test]
    fn what_no_key_can_have_signed_recovers_to_none() {
        let ones = |r: [u8; 32], id| {
            let mut bytes = [0; 65];
            bytes[..32].copy_from_slice(&r);
            bytes[63] = 1;
            bytes[64] = id;
            ValidatorSignature(bytes)
        };
        // the x coordinate of the generator: with s = 1 and z = 1 the key would be the point at infinity
        let generator = AffinePoint::GENERATOR;
        let x = k256::elliptic_curve::sec1::ToEncodedPoint::to_encoded_point(&generator, true);
        let x: [u8; 32] = x.as_bytes()[1..].try_into().unwrap();
        let mut one = [0; 32];
        one[31] = 1;
        for id in 0..=3 {
            let signature = ones(x, id);
            assert_eq!(signature.signer(&one).ok(), by_library(&signature, &one));
        }
        assert!(ones(x, 0).signer(&one).is_err());
        for r in [[0; 32], [0xff; 32], {
            let mut five = [0; 32];
            five[31] = 5;
            five
        }] {
            assert!(ones(r, 0).signer(&one).is_err(), "{r:?}");
        }
    }

    #[test]
    fn the_second_spelling_of_a_signature_is_refused() {
        let key = ValidatorKey::from_bytes(&[5; 32]).unwrap();
        let good = key.sign(&[9; 32]);
        let body = Signature::from_slice(&good.0[..64]).unwrap();
        let (r, s) = body.split_scalars();
        let high = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
        let mut other = good;
        other.0[..64].copy_from_slice(&high.to_bytes());
        other.0[64] ^= 1;
        assert_eq!(other.signer(&[9; 32]), Err(MalformedSignature));
        let mut shifted = good;
        shifted.0[64] += 27;
        assert_eq!(shifted.signer(&[9; 32]), Err(MalformedSignature));
    }
}
