//! EdDSA with Poseidon over Baby Jubjub, circomlib-compatible: the one verifier of account signatures.
//!
//! Curve `168700 x^2 + y^2 = 1 + 168696 x^2 y^2` over the BN254 scalar field, B8 circomlib's base point, l the
//! prime subgroup order. A signature (R8, S) of M under A is valid iff all coordinates and M are canonical,
//! `0 <= S < l`, A and R8 are on the curve, the x coordinate of 8A is not 0, and with
//! `c = Poseidon(R8x, R8y, Ax, Ay, M)` as an integer (not reduced mod l) `8 (S B8 - R8 - c (8A)) = O`
//! (`protocol.md`, "Domain, keys, signatures"; review finding C3).
//!
//! Canonicity is in the types: field elements decode canonically, [`PublicKey`] and [`Signature`] cannot be built
//! from points off the curve. What this module does not do: bind a message to a chain (see `transaction`).

use ark_bn254::Fr;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup, VariableBaseMSM, twisted_edwards::TECurveConfig};
use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField, Zero};
use blake_hash::{Blake512, Digest};
use borsh::{BorshDeserialize, BorshSerialize};
use taceo_ark_babyjubjub::{EdwardsAffine, EdwardsConfig, EdwardsProjective, Fr as Scalar};

use crate::{
    codec::{borsh_field, field_to_le_bytes},
    hash::{keccak256, poseidon},
};

/// Why a key or signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The point does not satisfy the curve equation.
    #[error("point is not on Baby Jubjub")]
    NotOnCurve,
    /// 8A has x = 0: everybody could sign for it, and the circuit cannot prove it.
    #[error("public key has small order")]
    SmallOrderKey,
    /// S is l or more: a second encoding of the same signature.
    #[error("signature scalar is not below the subgroup order")]
    ScalarTooLarge,
    /// The equation does not hold.
    #[error("signature does not match the message and key")]
    Mismatch,
}

/// A point of Baby Jubjub by its affine coordinates; on the curve by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    x: Fr,
    y: Fr,
}

impl Point {
    /// The point with these coordinates.
    ///
    /// # Errors
    /// [`SignatureError::NotOnCurve`].
    pub fn new(x: Fr, y: Fr) -> Result<Self, SignatureError> {
        let (xx, yy) = (x.square(), y.square());
        if EdwardsConfig::COEFF_A * xx + yy == Fr::ONE + EdwardsConfig::COEFF_D * xx * yy {
            Ok(Self { x, y })
        } else {
            Err(SignatureError::NotOnCurve)
        }
    }

    /// Affine x.
    #[must_use]
    pub fn x(&self) -> Fr {
        self.x
    }

    /// Affine y.
    #[must_use]
    pub fn y(&self) -> Fr {
        self.y
    }

    fn affine(self) -> EdwardsAffine {
        EdwardsAffine::new_unchecked(self.x, self.y)
    }

    fn from_projective(point: EdwardsProjective) -> Self {
        let affine = point.into_affine();
        Self {
            x: affine.x,
            y: affine.y,
        }
    }
}

/// A key that can sign: on the curve, and 8A is not of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(Point);

impl PublicKey {
    /// The key with these coordinates.
    ///
    /// # Errors
    /// [`SignatureError::NotOnCurve`] or [`SignatureError::SmallOrderKey`].
    pub fn new(x: Fr, y: Fr) -> Result<Self, SignatureError> {
        let point = Point::new(x, y)?;
        let eight = point.affine().into_group().double().double().double();
        // x = X / Z, and Z is never 0 on this curve: no inversion is needed to see that x is 0.
        if eight.x.is_zero() {
            Err(SignatureError::SmallOrderKey)
        } else {
            Ok(Self(point))
        }
    }

    /// The point.
    #[must_use]
    pub fn point(&self) -> Point {
        self.0
    }
}

/// A signature whose R8 is on the curve and whose S is below l.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    r8: Point,
    s: Scalar,
}

impl Signature {
    /// The signature with these parts; `s` is 32 bytes little-endian.
    ///
    /// # Errors
    /// [`SignatureError::ScalarTooLarge`].
    pub fn new(r8: Point, s: &[u8; 32]) -> Result<Self, SignatureError> {
        let s = Scalar::from_bigint(crate::codec::integer_from_le_bytes(s))
            .ok_or(SignatureError::ScalarTooLarge)?;
        Ok(Self { r8, s })
    }

    /// The commitment point.
    #[must_use]
    pub fn r8(&self) -> Point {
        self.r8
    }

    /// The response below l, 32 bytes little-endian.
    #[must_use]
    pub fn s(&self) -> [u8; 32] {
        scalar_to_le_bytes(&self.s)
    }
}

fn scalar_to_le_bytes(scalar: &Scalar) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (target, limb) in bytes.chunks_exact_mut(8).zip(scalar.into_bigint().0) {
        target.copy_from_slice(&limb.to_le_bytes());
    }
    bytes
}

fn invalid_data(error: SignatureError) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string())
}

impl BorshSerialize for Point {
    fn serialize<W: std::io::Write>(&self, writer: &mut W) -> std::io::Result<()> {
        borsh_field::serialize(&self.x, writer)?;
        borsh_field::serialize(&self.y, writer)
    }
}

impl BorshDeserialize for Point {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let (x, y) = (
            borsh_field::deserialize(reader)?,
            borsh_field::deserialize(reader)?,
        );
        Self::new(x, y).map_err(invalid_data)
    }
}

impl BorshSerialize for PublicKey {
    fn serialize<W: std::io::Write>(&self, writer: &mut W) -> std::io::Result<()> {
        self.0.serialize(writer)
    }
}

impl BorshDeserialize for PublicKey {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let point = Point::deserialize_reader(reader)?;
        Self::new(point.x, point.y).map_err(invalid_data)
    }
}

impl BorshSerialize for Signature {
    fn serialize<W: std::io::Write>(&self, writer: &mut W) -> std::io::Result<()> {
        self.r8.serialize(writer)?;
        writer.write_all(&self.s())
    }
}

impl BorshDeserialize for Signature {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let r8 = Point::deserialize_reader(reader)?;
        let mut s = [0; 32];
        reader.read_exact(&mut s)?;
        Self::new(r8, &s).map_err(invalid_data)
    }
}

/// A signing key by circomlib's expansion of a 32-byte seed.
#[derive(Clone)]
pub struct SecretKey {
    scalar: BigInt<4>,
    nonce_prefix: [u8; 32],
    public: PublicKey,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public)
    }
}

impl SecretKey {
    /// Expands a seed: BLAKE-512, the low half pruned as in Ed25519, `A = (s / 8) B8`.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let expanded = Blake512::digest(seed);
        let (mut low, mut high) = ([0_u8; 32], [0_u8; 32]);
        for ((low, high), (a, b)) in low
            .iter_mut()
            .zip(&mut high)
            .zip(expanded.iter().zip(expanded.iter().skip(32)))
        {
            (*low, *high) = (*a, *b);
        }
        low[0] &= 0xf8;
        low[31] = (low[31] & 0x7f) | 0x40;
        let scalar = crate::codec::integer_from_le_bytes(&low);
        let public = EdwardsProjective::generator().mul_bigint(scalar >> 3);
        Self {
            scalar,
            nonce_prefix: high,
            public: PublicKey(Point::from_projective(public)),
        }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// circomlib's deterministic signature of `message`.
    #[must_use]
    pub fn sign(&self, message: &Fr) -> Signature {
        let mut hasher = Blake512::new();
        hasher.update(self.nonce_prefix);
        hasher.update(field_to_le_bytes(message));
        let r = Scalar::from_le_bytes_mod_order(&hasher.finalize());
        let r8 = Point::from_projective(EdwardsProjective::generator().mul_bigint(r.into_bigint()));
        let c = challenge(&r8, &self.public, message);
        let s = r + reduce(&c) * Scalar::from_le_bytes_mod_order(&self.scalar.to_bytes_le());
        Signature { r8, s }
    }
}

/// `c = Poseidon(R8x, R8y, Ax, Ay, M)`; as an integer it is not reduced mod l.
#[must_use]
pub fn challenge(r8: &Point, key: &PublicKey, message: &Fr) -> Fr {
    poseidon([r8.x, r8.y, key.0.x, key.0.y, *message])
}

/// The challenge mod l: allowed where its multiple is cleared of the cofactor afterwards.
fn reduce(c: &Fr) -> Scalar {
    Scalar::from_le_bytes_mod_order(&field_to_le_bytes(c))
}

/// Accepts `signature` of `message` under `key`, or says why not.
///
/// # Errors
/// [`SignatureError::Mismatch`]; the other conditions are in the argument types.
pub fn verify(key: &PublicKey, message: &Fr, signature: &Signature) -> Result<(), SignatureError> {
    let c = reduce(&challenge(&signature.r8, key, message));
    let sum = multi_scalar(
        &[EdwardsAffine::generator(), key.0.affine()],
        &[signature.s, -(c * Scalar::from(8_u64))],
    ) - signature.r8.affine();
    if is_cleared(sum) {
        Ok(())
    } else {
        Err(SignatureError::Mismatch)
    }
}

/// A signature to check: key, message, signature.
pub type Claim = (PublicKey, Fr, Signature);

/// Whether every claim is valid, by one random linear combination with 128-bit weights.
///
/// Weights come from a hash of all claims, so the function is pure and the weights cannot be known before the
/// signatures. Wrong with probability below 2^-127 per combination tried. With an invalid claim use
/// [`invalid_claims`] to find it.
#[must_use]
pub fn verify_batch(claims: &[Claim]) -> bool {
    let mut transcript = Vec::with_capacity(claims.len() * 160);
    let challenges: Vec<Fr> = claims
        .iter()
        .map(|(key, message, signature)| {
            let c = challenge(&signature.r8, key, message);
            transcript.extend_from_slice(&field_to_le_bytes(&c)); // binds R8, A and M
            transcript.extend_from_slice(&signature.s());
            c
        })
        .collect();
    let seed = keccak256(&transcript);
    // 8 (sum z R8 + 8 (sum z c A - (sum z S / 8) B8)) = O. A's multiples are reduced mod l, which the factors of 8
    // permit, and B8 has order l. R8's multiples stay the 128-bit integers they are: half the work.
    let mut base = Scalar::ZERO;
    let mut r8_points = Vec::with_capacity(claims.len());
    let mut r8_weights = Vec::with_capacity(claims.len());
    let mut keys = Vec::with_capacity(claims.len() + 1);
    let mut key_weights = Vec::with_capacity(claims.len() + 1);
    for (index, ((key, _, signature), c)) in (0_u64..).zip(claims.iter().zip(&challenges)) {
        let integer = weight(&seed, index);
        let weight = Scalar::from(integer);
        base += weight * signature.s;
        r8_points.push(signature.r8.affine());
        r8_weights.push(integer);
        keys.push(key.0.affine());
        key_weights.push(weight * reduce(c));
    }
    let eighth = Scalar::from(8_u64)
        .inverse()
        .expect("8 is not a multiple of l");
    keys.push(EdwardsAffine::generator());
    key_weights.push(-(base * eighth));
    let keys_sum = multi_scalar(&keys, &key_weights).double().double().double();
    is_cleared(keys_sum + multi_weight(&r8_points, &r8_weights))
}

/// Indices of the invalid claims, ascending: bisection over [`verify_batch`], single checks at the leaves.
#[must_use]
pub fn invalid_claims(claims: &[Claim]) -> Vec<usize> {
    fn search(claims: &[Claim], offset: usize, found: &mut Vec<usize>) {
        match claims {
            [] => {}
            [(key, message, signature)] => {
                if verify(key, message, signature).is_err() {
                    found.push(offset);
                }
            }
            _ if verify_batch(claims) => {}
            _ => {
                let (left, right) = claims.split_at(claims.len() / 2);
                search(left, offset, found);
                search(right, offset + left.len(), found);
            }
        }
    }
    let mut found = Vec::new();
    search(claims, 0, &mut found);
    found
}

fn weight(seed: &[u8; 32], index: u64) -> u128 {
    let mut preimage = [0; 40];
    let (head, tail) = preimage.split_at_mut(32);
    head.copy_from_slice(seed);
    tail.copy_from_slice(&index.to_le_bytes());
    let digest = keccak256(&preimage);
    digest
        .iter()
        .take(16)
        .rev()
        .fold(0, |weight, byte| (weight << 8) | u128::from(*byte))
}

/// Sum of the points times 128-bit weights, in two halves of 64 bits.
fn multi_weight(points: &[EdwardsAffine], weights: &[u128]) -> EdwardsProjective {
    let half = |shift: u32| -> Vec<u64> {
        let low = |weight: &u128| u64::try_from((weight >> shift) & u128::from(u64::MAX));
        weights
            .iter()
            .map(|weight| low(weight).unwrap_or(0)) // masked to 64 bits
            .collect()
    };
    let mut sum = EdwardsProjective::msm_u64(points, &half(64));
    for _ in 0..64 {
        sum.double_in_place();
    }
    sum + EdwardsProjective::msm_u64(points, &half(0))
}

fn multi_scalar(points: &[EdwardsAffine], scalars: &[Scalar]) -> EdwardsProjective {
    let integers: Vec<_> = scalars.iter().map(|scalar| scalar.into_bigint()).collect();
    EdwardsProjective::msm_bigint(points, &integers)
}

fn is_cleared(point: EdwardsProjective) -> bool {
    point.double().double().double().is_zero()
}

#[cfg(test)]
mod tests;
