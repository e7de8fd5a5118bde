//! A campaign of malformed proofs: everything one can do to the bytes of a proof and its public
//! inputs without knowing anything but their layout.
//!
//! [`mutations`] enumerates, for one honest proof under a key description:
//!
//! * every byte flipped, `flips_per_byte` times with different masks;
//! * every point replaced by the identity, its negative, the generator, its neighbour, a string off
//!   the curve, and a coordinate raised by the modulus of its field where that fits;
//! * every scalar replaced by 0, 1, its negative, its successor, its neighbour, and itself plus the
//!   modulus;
//! * a field dropped or doubled anywhere, bytes cut off and added at the end, garbage;
//! * every public input changed, values and columns added, dropped, swapped and moved.
//!
//! None of them may be accepted, and no two verifiers may differ on one, except where halo2 is known
//! to be lax ([`Laxity`]). [`for_each_mutation`] makes them one at a time, since all mutations of a
//! large proof together are gigabytes.

use halo2_proofs::halo2curves::bn256::{Fq, Fr, G1Affine};
use halo2curves::CurveAffine;
use halo2curves::ff::{Field, PrimeField};
use halo2curves::group::GroupEncoding;
use halo2curves::group::prime::PrimeCurveAffine;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use verifier::key::ProofField;
use verifier::{KeyDescription, TranscriptKind};

/// Ways in which halo2-axiom 0.5.3 accepts what the independent verifier refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Laxity {
    /// halo2 stops reading at the end of the proof and does not look at what follows.
    TrailingBytes,
    /// halo2curves ignores the identity flag of a compressed point with x other than zero, and the
    /// parity flag of the identity: the bytes differ but decode to the same point.
    SecondSpelling,
}

/// One malformed proof with its public inputs.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// What was done, for the message of a failing test.
    pub name: String,
    /// The sort of thing that was done: the same for every byte, field or public input.
    pub kind: &'static str,
    /// The field of the proof that was changed, dropped, doubled or cut off, if it was one.
    pub field: Option<usize>,
    /// Public inputs, one list a column.
    pub instances: Vec<Vec<Fr>>,
    /// The bytes.
    pub proof: Vec<u8>,
    /// Whether halo2 is known to accept this one.
    pub laxity: Option<Laxity>,
}

/// One field of a proof, and where it lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    field: ProofField,
    start: usize,
    end: usize,
}

/// An honest proof whose neighbourhood is explored.
#[derive(Debug)]
pub struct Campaign<'a> {
    /// The key the proof is for.
    pub key: &'a KeyDescription,
    /// Its public inputs.
    pub instances: &'a [Vec<Fr>],
    /// Its bytes.
    pub proof: &'a [u8],
    /// How many times each byte is flipped.
    pub flips_per_byte: usize,
    /// Where the random masks and garbage come from.
    pub seed: u64,
}

/// Where mutations go, one at a time.
type Visit<'a> = &'a mut dyn FnMut(Mutation);

/// What was done to a field: its kind, and where.
type Label = (&'static str, Option<usize>);

/// All mutations of a campaign, in a fixed order that depends on nothing but its content.
#[must_use]
pub fn mutations(campaign: &Campaign<'_>) -> Vec<Mutation> {
    let mut all = Vec::new();
    for_each_mutation(campaign, &mut |mutation| all.push(mutation));
    all
}

/// Visits what [`mutations`] returns, in the same order.
pub fn for_each_mutation(campaign: &Campaign<'_>, visit: Visit<'_>) {
    let places = places(campaign.key);
    campaign.flip_bytes(&places, visit);
    for (position, place) in places.iter().enumerate() {
        campaign.replace_field(position, place, &places, visit);
    }
    campaign.change_length(&places, visit);
    campaign.replace_everything(visit);
    campaign.change_instances(visit);
}

fn places(key: &KeyDescription) -> Vec<Place> {
    let kind = key.parts().transcript;
    let mut start = 0;
    let mut places = Vec::new();
    for field in key.proof_layout() {
        let len = match field {
            ProofField::Point => kind.point_bytes(),
            ProofField::Scalar => kind.scalar_bytes(),
        };
        places.push(Place {
            field,
            start,
            end: start + len,
        });
        start += len;
    }
    places
}

impl Campaign<'_> {
    fn kind(&self) -> TranscriptKind {
        self.key.parts().transcript
    }

    fn push(
        &self,
        visit: Visit<'_>,
        (kind, field): Label,
        name: String,
        proof: Vec<u8>,
        laxity: Option<Laxity>,
    ) {
        if proof != self.proof {
            visit(Mutation {
                name,
                kind,
                field,
                instances: self.instances.to_vec(),
                proof,
                laxity,
            });
        }
    }

    fn push_instances(
        &self,
        visit: Visit<'_>,
        kind: &'static str,
        name: String,
        instances: Vec<Vec<Fr>>,
    ) {
        if instances != self.instances {
            visit(Mutation {
                name,
                kind,
                field: None,
                instances,
                proof: self.proof.to_vec(),
                laxity: None,
            });
        }
    }

    fn flip_bytes(&self, places: &[Place], visit: Visit<'_>) {
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        for (position, place) in places.iter().enumerate() {
            for at in place.start..place.end {
                for flip in 0..self.flips_per_byte {
                    // The flags of a point are in the high bits, parity of a scalar in the low one.
                    let mask = match flip {
                        0 => [0x01, 0x40, 0x80][at % 3],
                        1 => 0x80,
                        _ => rng.gen_range(1..=255),
                    };
                    let mut proof = self.proof.to_vec();
                    proof[at] ^= mask;
                    let laxity = self.second_spelling(place, &proof);
                    let name = format!("byte {at} ^ {mask:#04x}");
                    self.push(visit, ("flip", Some(position)), name, proof, laxity);
                }
            }
        }
    }

    /// Whether the place still decodes, by halo2curves, to what it was.
    fn second_spelling(&self, place: &Place, proof: &[u8]) -> Option<Laxity> {
        let compressed = self.kind() == TranscriptKind::Poseidon;
        if place.field != ProofField::Point || !compressed {
            return None;
        }
        let was = decompress(&self.proof[place.start..place.end]);
        let is = decompress(&proof[place.start..place.end]);
        (is.is_some() && is == was).then_some(Laxity::SecondSpelling)
    }

    fn replace_field(&self, position: usize, place: &Place, places: &[Place], visit: Visit<'_>) {
        let old = &self.proof[place.start..place.end];
        let mut candidates = match place.field {
            ProofField::Point => self.other_points(old),
            ProofField::Scalar => self.other_scalars(old),
        };
        // A neighbour of the same kind: two honest values in each other's place.
        let neighbour = places[position + 1..]
            .iter()
            .find(|other| other.field == place.field);
        if let Some(other) = neighbour {
            let mut proof = self.proof.to_vec();
            proof[place.start..place.end].copy_from_slice(&self.proof[other.start..other.end]);
            proof[other.start..other.end].copy_from_slice(old);
            let name = format!("field {position} swapped with its neighbour");
            self.push(visit, ("swap", Some(position)), name, proof, None);
            candidates.push(("neighbour", self.proof[other.start..other.end].to_vec()));
        }
        for (what, bytes) in candidates {
            let mut proof = self.proof.to_vec();
            proof[place.start..place.end].copy_from_slice(&bytes);
            let laxity = self.second_spelling(place, &proof);
            let name = format!("field {position} replaced by: {what}");
            self.push(visit, (what, Some(position)), name, proof, laxity);
        }
    }

    fn other_points(&self, old: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let decoded = self.decode_point(old);
        let mut others = vec![
            ("identity", self.encode_point(&G1Affine::identity())),
            ("generator", self.encode_point(&G1Affine::generator())),
            ("negative", self.encode_point(&-decoded)),
            ("all ones", vec![0xff; old.len()]),
            ("off the curve", self.off_curve(&decoded)),
        ];
        match self.kind() {
            TranscriptKind::Poseidon => {
                // Two bits are free above x: x + q fits for some x only.
                if let Some(mut bytes) = plus_modulus::<Fq>(&decoded.x.to_repr())
                    && bytes[31] & 0xc0 == 0
                {
                    bytes[31] |= old[31] & 0xc0;
                    others.push(("x + q", bytes.to_vec()));
                }
                let mut bytes = old.to_vec();
                bytes[31] ^= 0xc0;
                others.push(("both flags flipped", bytes));
            }
            TranscriptKind::Keccak => {
                for (at, name) in [(0, "x + q"), (32, "y + q")] {
                    let mut word: [u8; 32] = old[at..at + 32].try_into().expect("a word");
                    word.reverse();
                    if let Some(mut raised) = plus_modulus::<Fq>(&word) {
                        raised.reverse();
                        let mut bytes = old.to_vec();
                        bytes[at..at + 32].copy_from_slice(&raised);
                        others.push((name, bytes));
                    }
                }
            }
        }
        others
    }

    fn other_scalars(&self, old: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let big_endian = self.kind() == TranscriptKind::Keccak;
        let turned = |mut bytes: [u8; 32]| {
            if big_endian {
                bytes.reverse();
            }
            bytes
        };
        let repr = turned(
            old.try_into()
                .expect("a scalar of an honest proof has 32 bytes"),
        );
        let value = Fr::from_repr(repr).expect("a scalar of an honest proof is canonical");
        let mut others = vec![("all ones", vec![0xff; 32])];
        for (name, other) in [
            ("zero", Fr::ZERO),
            ("one", Fr::ONE),
            ("negative", -value),
            ("successor", value + Fr::ONE),
            ("double", value.double()),
        ] {
            others.push((name, turned(other.to_repr()).to_vec()));
        }
        if let Some(raised) = plus_modulus::<Fr>(&repr) {
            others.push(("s + r", turned(raised).to_vec()));
        }
        others
    }

    fn decode_point(&self, bytes: &[u8]) -> G1Affine {
        let point = match self.kind() {
            TranscriptKind::Poseidon => decompress(bytes),
            TranscriptKind::Keccak => {
                let coordinate = |word: &[u8]| {
                    let mut repr: [u8; 32] = word.try_into().expect("a word");
                    repr.reverse();
                    Option::<Fq>::from(Fq::from_repr(repr))
                };
                let (x, y) = (coordinate(&bytes[..32]), coordinate(&bytes[32..]));
                x.zip(y)
                    .and_then(|(x, y)| Option::from(G1Affine::from_xy(x, y)))
            }
        };
        point.expect("a point of an honest proof is valid")
    }

    fn encode_point(&self, point: &G1Affine) -> Vec<u8> {
        match self.kind() {
            TranscriptKind::Poseidon => point.to_bytes().as_ref().to_vec(),
            TranscriptKind::Keccak => words(point.x, point.y),
        }
    }

    /// Bytes that are canonical numbers but name no point: for a compressed point the next x whose
    /// right-hand side is not a square, for a pair the same x with the next y.
    fn off_curve(&self, point: &G1Affine) -> Vec<u8> {
        match self.kind() {
            TranscriptKind::Poseidon => {
                let mut x = point.x + Fq::ONE;
                while bool::from((x.square() * x + Fq::from(3)).sqrt().is_some()) {
                    x += Fq::ONE;
                }
                x.to_repr().to_vec()
            }
            TranscriptKind::Keccak => words(point.x, point.y + Fq::ONE),
        }
    }

    fn change_length(&self, places: &[Place], visit: Visit<'_>) {
        for (name, tail) in [
            ("a zero byte", vec![0]),
            ("a word", vec![0; 32]),
            ("a word and a bit", vec![7; 33]),
            ("itself", self.proof.to_vec()),
        ] {
            let proof = [self.proof, tail.as_slice()].concat();
            let laxity = Some(Laxity::TrailingBytes);
            let name = format!("followed by {name}");
            self.push(visit, ("trailing", None), name, proof, laxity);
        }
        let name = "led by a zero byte".to_owned();
        let proof = [&[0], self.proof].concat();
        self.push(visit, ("leading", None), name, proof, None);
        for (position, place) in places.iter().enumerate() {
            let (before, field) = (
                &self.proof[..place.start],
                &self.proof[place.start..place.end],
            );
            let after = &self.proof[place.end..];
            let here = Some(position);
            let name = format!("cut off before field {position}");
            self.push(visit, ("cut before", here), name, before.to_vec(), None);
            let inside = self.proof[..place.end - 1].to_vec();
            let name = format!("cut off inside field {position}");
            self.push(visit, ("cut inside", here), name, inside, None);
            let dropped = [before, after].concat();
            let name = format!("without field {position}");
            self.push(visit, ("dropped", here), name, dropped, None);
            let doubled = [before, field, field, after].concat();
            // The last field doubled is the proof with bytes behind it.
            let laxity = after.is_empty().then_some(Laxity::TrailingBytes);
            let name = format!("field {position} doubled");
            self.push(visit, ("doubled", here), name, doubled, laxity);
        }
    }

    fn replace_everything(&self, visit: Visit<'_>) {
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed ^ 0x6172_6261_6765);
        let label = ("garbage", None);
        for byte in [0x00, 0x01, 0x80, 0xff] {
            let proof = vec![byte; self.proof.len()];
            let name = format!("nothing but {byte:#04x}");
            self.push(visit, label, name, proof, None);
        }
        for round in 0..16 {
            let mut proof = vec![0; self.proof.len()];
            rng.fill_bytes(&mut proof);
            self.push(visit, label, format!("garbage {round}"), proof, None);
            let from = rng.gen_range(0..self.proof.len());
            let mut proof = self.proof.to_vec();
            rng.fill_bytes(&mut proof[from..]);
            let name = format!("garbage from byte {from}");
            self.push(visit, label, name, proof, None);
        }
    }

    fn change_instances(&self, visit: Visit<'_>) {
        let (changed, moved) = ("public input changed", "public inputs moved");
        for (column, values) in self.instances.iter().enumerate() {
            for (row, value) in values.iter().enumerate() {
                let place = format!("public input {row} of column {column}");
                for (what, other) in [
                    ("zero", Fr::ZERO),
                    ("one", Fr::ONE),
                    ("its negative", -value),
                    ("its successor", value + Fr::ONE),
                    (
                        "a random value",
                        Fr::random(ChaCha20Rng::seed_from_u64(self.seed)),
                    ),
                ] {
                    let mut instances = self.instances.to_vec();
                    instances[column][row] = other;
                    self.push_instances(visit, changed, format!("{place} is {what}"), instances);
                }
                let mut instances = self.instances.to_vec();
                instances[column].remove(row);
                self.push_instances(visit, moved, format!("{place} is missing"), instances);
                let mut instances = self.instances.to_vec();
                instances[column].rotate_left(row);
                self.push_instances(visit, moved, format!("{place} is first"), instances);
            }
            let mut instances = self.instances.to_vec();
            instances[column].push(Fr::ZERO);
            let name = format!("column {column} has a zero more");
            self.push_instances(visit, moved, name, instances);
            let mut instances = self.instances.to_vec();
            instances[column].resize(1 << self.key.parts().k, Fr::ONE);
            let name = format!("column {column} fills the domain");
            self.push_instances(visit, moved, name, instances);
            if column > 0 {
                // The transcript absorbs the same values in the same order.
                let mut instances = self.instances.to_vec();
                let lent = instances[column].remove(0);
                instances[column - 1].push(lent);
                let name = format!("column {column} lent a value");
                self.push_instances(visit, moved, name, instances);
            }
            let mut instances = self.instances.to_vec();
            instances.remove(column);
            let name = format!("column {column} is missing");
            self.push_instances(visit, moved, name, instances);
        }
        let mut instances = self.instances.to_vec();
        instances.push(Vec::new());
        self.push_instances(visit, moved, "an empty column more".into(), instances);
    }
}

fn decompress(bytes: &[u8]) -> Option<G1Affine> {
    let mut repr = <G1Affine as GroupEncoding>::Repr::default();
    repr.as_mut().copy_from_slice(bytes);
    Option::from(G1Affine::from_bytes(&repr))
}

fn words(x: Fq, y: Fq) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    for coordinate in [x, y] {
        bytes.extend(coordinate.to_repr().iter().rev());
    }
    bytes
}

/// The little-endian number plus the modulus of the field, if it fits 32 bytes.
fn plus_modulus<F: PrimeField<Repr = [u8; 32]>>(number: &[u8; 32]) -> Option<[u8; 32]> {
    // The modulus is one more than the representative of minus one.
    let mut carry = 1_u16;
    let mut sum = [0; 32];
    for ((digit, a), b) in sum.iter_mut().zip(number).zip((-F::ONE).to_repr()) {
        let total = u16::from(*a) + u16::from(b) + carry;
        *digit = total.to_le_bytes()[0];
        carry = total >> 8;
    }
    (carry == 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modulus_is_added_once() {
        let raised = plus_modulus::<Fr>(&Fr::from(5).to_repr()).unwrap();
        assert!(bool::from(Fr::from_repr(raised).is_none()));
        assert_eq!(raised[0], (-Fr::ONE).to_repr()[0] + 6);
        assert_eq!(plus_modulus::<Fr>(&[0xff; 32]), None);
    }
}
