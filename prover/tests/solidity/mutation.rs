//! Everything one can do to the bytes of a claim without knowing more than their layout.
//!
//! Every byte is flipped once; every word becomes zero, one, its successor, itself plus r and plus
//! q, all ones; words and points change places, points become the identity, their negatives, the
//! generator and points off the curve; words are dropped and doubled, ends cut off and added; and
//! garbage. None of them may be accepted. The campaign of the `tests` crate cannot be used here: it
//! knows no accumulators, and no contract.

use halo2curves::bn256::{Fq, Fr, G1Affine};
use halo2curves::ff::{Field, PrimeField};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use verifier::key::ProofField;

use super::case::{Claim, Keys, Word, word};

/// Claims that are not the honest one, each with what was done.
pub(crate) fn mutations(keys: &Keys, honest: &Claim) -> Vec<(String, Claim)> {
    let mut campaign = Campaign {
        honest,
        found: Vec::new(),
    };
    campaign.flip_bytes();
    campaign.replace_inputs();
    let mut at = honest.proof.len() - keys.description.proof_bytes();
    for limb in (0..at).step_by(32) {
        campaign.replace_word(limb);
    }
    for field in keys.description.proof_layout() {
        match field {
            ProofField::Point => {
                campaign.replace_point(at);
                campaign.replace_word(at);
                campaign.replace_word(at + 32);
                at += 64;
            }
            ProofField::Scalar => {
                campaign.replace_word(at);
                at += 32;
            }
        }
    }
    assert_eq!(at, honest.proof.len());
    campaign.change_length();
    campaign.garbage();
    campaign.found
}

struct Campaign<'a> {
    honest: &'a Claim,
    found: Vec<(String, Claim)>,
}

impl Campaign<'_> {
    fn push(&mut self, name: String, claim: Claim) {
        if claim != *self.honest {
            self.found.push((name, claim));
        }
    }

    /// The proof with other bytes from `at`.
    fn overwrite(&mut self, name: String, at: usize, bytes: &[u8]) {
        let mut claim = self.honest.clone();
        claim.proof[at..at + bytes.len()].copy_from_slice(bytes);
        self.push(name, claim);
    }

    fn flip_bytes(&mut self) {
        for at in 0..self.honest.proof.len() {
            let byte = self.honest.proof[at] ^ [0x01, 0x40, 0x80, 0x10][at % 4];
            self.overwrite(format!("byte {at} flipped"), at, &[byte]);
        }
        for input in 0..self.honest.inputs.len() {
            for at in 0..32 {
                let mut claim = self.honest.clone();
                claim.inputs[input][at] ^= [0x01, 0x40, 0x80, 0x10][at % 4];
                self.push(format!("byte {at} of input {input} flipped"), claim);
            }
        }
    }

    fn replace_inputs(&mut self) {
        let count = self.honest.inputs.len();
        for input in 0..count {
            for (what, other) in other_words(&self.honest.inputs[input]) {
                let mut claim = self.honest.clone();
                claim.inputs[input] = other;
                self.push(format!("input {input}: {what}"), claim);
            }
            let mut claim = self.honest.clone();
            claim.inputs.swap(input, (input + 1) % count);
            self.push(format!("input {input} swapped with the next"), claim);
        }
    }

    fn replace_word(&mut self, at: usize) {
        let old: Word = self.honest.proof[at..at + 32].try_into().expect("a word");
        for (what, other) in other_words(&old) {
            self.overwrite(format!("word at {at}: {what}"), at, &other);
        }
        if let Some(next) = self.honest.proof.get(at + 32..at + 64) {
            let swapped = [next, &old].concat();
            self.overwrite(format!("word at {at} swapped with the next"), at, &swapped);
        }
        let (before, after) = (&self.honest.proof[..at], &self.honest.proof[at + 32..]);
        let inputs = &self.honest.inputs;
        for (what, proof) in [
            ("dropped", [before, after].concat()),
            ("doubled", [before, &old, &old, after].concat()),
        ] {
            let inputs = inputs.clone();
            self.push(format!("word at {at} {what}"), Claim { inputs, proof });
        }
    }

    fn replace_point(&mut self, at: usize) {
        let (x, y) = (self.coordinate(at), self.coordinate(at + 32));
        let generator = G1Affine::generator();
        for (what, x, y) in [
            ("identity", Fq::ZERO, Fq::ZERO),
            ("negative", x, -y),
            ("generator", generator.x, generator.y),
            ("off the curve", x, y + Fq::ONE),
            ("at x = 0", Fq::ZERO, y),
        ] {
            let bytes = [word(&x), word(&y)].concat();
            self.overwrite(format!("point at {at}: {what}"), at, &bytes);
        }
        if let Some(next) = self.honest.proof.get(at + 64..at + 128) {
            let swapped = [next, &self.honest.proof[at..at + 64]].concat();
            self.overwrite(
                format!("point at {at} swapped with what follows"),
                at,
                &swapped,
            );
        }
    }

    fn coordinate(&self, at: usize) -> Fq {
        let mut bytes: Word = self.honest.proof[at..at + 32].try_into().expect("a word");
        bytes.reverse();
        Option::from(Fq::from_repr(bytes)).expect("a coordinate of an honest proof")
    }

    fn change_length(&mut self) {
        let (inputs, proof) = (&self.honest.inputs, &self.honest.proof);
        let mut others = Vec::new();
        for len in [
            0,
            1,
            31,
            32,
            proof.len() - 64,
            proof.len() - 32,
            proof.len() - 1,
        ] {
            others.push((format!("cut to {len} bytes"), proof[..len].to_vec()));
        }
        for tail in [&[0][..], &[7], &[0; 32], &[0; 64], proof] {
            let name = format!("followed by {} bytes", tail.len());
            others.push((name, [proof, tail].concat()));
        }
        others.push((
            "led by a zero".to_owned(),
            [&[0], proof.as_slice()].concat(),
        ));
        let others = others.into_iter().map(|(name, proof)| {
            let inputs = inputs.clone();
            (name, Claim { inputs, proof })
        });
        self.found.extend(others);
    }

    fn garbage(&mut self) {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let len = self.honest.proof.len();
        for byte in [0x00, 0x01, 0x80, 0xff] {
            self.overwrite(format!("nothing but {byte:#04x}"), 0, &vec![byte; len]);
        }
        for round in 0..32 {
            let from = rng.gen_range(0..len);
            let mut bytes = vec![0; len - from];
            rng.fill_bytes(&mut bytes);
            self.overwrite(format!("garbage {round} from {from}"), from, &bytes);
        }
    }
}

/// Words in place of one: canonical as scalars or coordinates, or not.
fn other_words(old: &Word) -> Vec<(&'static str, Word)> {
    let mut others = vec![("zero", [0; 32]), ("all ones", [0xff; 32])];
    let one = word(&Fr::ONE);
    others.push(("one", one));
    others.extend(sum(old, &one).map(|sum| ("successor", sum)));
    for (what, modulus) in [("plus r", modulus::<Fr>()), ("plus q", modulus::<Fq>())] {
        others.extend(sum(old, &modulus).map(|sum| (what, sum)));
    }
    others
}

/// The modulus of a field; its last digit is no 0xff, so that one more than minus one does not carry.
pub(crate) fn modulus<F: PrimeField<Repr = Word>>() -> Word {
    let mut modulus = word(&-F::ONE);
    modulus[31] += 1;
    modulus
}

/// The sum of two numbers, if it fits.
pub(crate) fn sum(a: &Word, b: &Word) -> Option<Word> {
    let mut sum = [0; 32];
    let mut carry = 0_u16;
    for at in (0..32).rev() {
        let total = u16::from(a[at]) + u16::from(b[at]) + carry;
        [_, sum[at]] = total.to_be_bytes();
        carry = total >> 8;
    }
    (carry == 0).then_some(sum)
}
