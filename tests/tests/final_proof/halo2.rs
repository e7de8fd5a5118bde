//! halo2's own verifier on the final proof, the third opinion beside ours and the contract's.
//!
//! Its key is read by halo2 from the commitments in the committed key description, with the columns and gates of today's
//! circuit; that halo2's digest of the result is the description's shows that it is the same key. The accumulator is decided
//! with halo2curves' pairing. The development string's secret is one for every length, so a short one says what decides: the
//! generator and two points of the second group.

use circuits::aggregation::{ACCUMULATOR_LIMBS, ThinCircuit};
use halo2_proofs::SerdeFormat;
use halo2_proofs::halo2curves::bn256::{Bn256, Fq, Fr, G1Affine, G2Affine};
use halo2_proofs::plonk::VerifyingKey;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::CurveAffine;
use halo2curves::ff::PrimeField;
use halo2curves::group::Group;
use halo2curves::group::prime::PrimeCurveAffine;
use halo2curves::pairing::{Engine, MillerLoopResult, MultiMillerLoop};
use halo2curves::serde::SerdeObject;
use prover::aggregate::FINAL_SHAPE;
use prover::srs::ReferenceString;
use tests::halo2::accepts;
use tests::keccak::KeccakReader;
use verifier::KeyDescription;
use verifier::field::scalar_to_le;
use verifier::points::g1_to_pair;

/// log2 of a string that is long enough for its points of the second group.
const STRING_K: u32 = 4;
/// Bits of a limb, and its bytes.
const LIMBS: [(usize, usize); 3] = [(88, 11), (88, 11), (78, 10)];

/// halo2 with the key of the final circuit.
pub(crate) struct Halo2 {
    params: ParamsKZG<Bn256>,
    key: VerifyingKey<G1Affine>,
}

impl Halo2 {
    /// Of the description.
    pub(crate) fn new(description: &KeyDescription) -> Self {
        let parts = description.parts();
        let count = u32::try_from(parts.fixed_commitments.len()).expect("few columns");
        // as halo2 writes a key whose selectors are columns of their own
        let mut bytes = vec![2];
        bytes.extend(parts.k.to_le_bytes());
        bytes.push(0);
        bytes.extend(count.to_le_bytes());
        let commitments = parts.fixed_commitments.iter();
        for commitment in commitments.chain(&parts.permutation_commitments) {
            let pair = g1_to_pair(commitment);
            let (x, y) = pair.split_at(32);
            let [x, y] = [x, y].map(|number| Fq::from_repr(number.try_into().expect("32 bytes")));
            let point = G1Affine::from_xy(x.expect("canonical"), y.expect("canonical"));
            let point = point.expect("on the curve");
            point.write_raw(&mut bytes).expect("bytes in memory");
        }
        let columns = FINAL_SHAPE.params();
        let key = VerifyingKey::from_bytes::<ThinCircuit>(&bytes, SerdeFormat::RawBytes, columns);
        let key = key.expect("a key of the final circuit");
        let digest: Fr = key.transcript_repr();
        assert_eq!(
            digest.to_repr(),
            scalar_to_le(&parts.transcript_repr),
            "halo2 has read another key than the description's"
        );
        let string = ReferenceString::insecure_development(STRING_K).expect("a short string");
        let (short, generator) = (string.params(), vec![G1Affine::generator()]);
        let (g2, s_g2) = (short.g2(), short.s_g2());
        // as many rows as the key has: halo2 takes their number from here
        let params = short.from_parts(parts.k, generator, Some(Vec::new()), g2, s_g2);
        Self { params, key }
    }

    /// Its verdict on instance and proof, the accumulator included.
    pub(crate) fn decide(&self, instance: &[Fr], proof: &[u8]) -> bool {
        let mut reader = KeccakReader::new(proof);
        accepts(&self.params, &self.key, &[instance.to_vec()], &mut reader)
            && reader.is_at_end()
            && self.pairs(instance)
    }

    /// Whether `e(lhs, [1]_2) = e(rhs, [s]_2)`.
    fn pairs(&self, instance: &[Fr]) -> bool {
        let Some(limbs) = instance.first_chunk::<ACCUMULATOR_LIMBS>() else {
            return false;
        };
        let (lhs, rhs) = limbs.split_at(ACCUMULATOR_LIMBS / 2);
        let (Some(lhs), Some(rhs)) = (point(lhs), point(rhs)) else {
            return false;
        };
        let one = <Bn256 as Engine>::G2Affine::generator();
        let s: G2Affine = self.params.s_g2();
        let terms = [(&lhs, &one.into()), (&-rhs, &s.into())];
        let product = Bn256::multi_miller_loop(&terms).final_exponentiation();
        bool::from(product.is_identity())
    }
}

fn point(limbs: &[Fr]) -> Option<G1Affine> {
    let (x, y) = limbs.split_at(LIMBS.len());
    let point: Option<G1Affine> = G1Affine::from_xy(coordinate(x)?, coordinate(y)?).into();
    point.filter(|point| !bool::from(point.is_identity()))
}

fn coordinate(limbs: &[Fr]) -> Option<Fq> {
    let mut bytes = Vec::new();
    for (limb, (bits, length)) in limbs.iter().zip(LIMBS) {
        let limb = limb.to_repr();
        let last = limb.iter().rposition(|byte| *byte != 0);
        let used = last.map_or(0, |last| 8 * last + 8 - limb[last].leading_zeros() as usize);
        if used > bits {
            return None;
        }
        bytes.extend_from_slice(&limb[..length]);
    }
    Fq::from_repr(bytes.try_into().ok()?).into()
}
