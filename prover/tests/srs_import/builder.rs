//! Small `.ptau` files made here, sound or with one thing wrong.

use ff::Field;
use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2curves::group::Curve;
use halo2curves::serde::SerdeObject;

/// The parts of a file, to be bent before [`Ptau::bytes`].
pub(crate) struct Ptau {
    /// Powers of s in G1, G2, times alpha, times beta.
    pub(crate) tau_g1: Vec<G1Affine>,
    pub(crate) tau_g2: Vec<G2Affine>,
    pub(crate) alpha_g1: Vec<G1Affine>,
    pub(crate) beta_g1: Vec<G1Affine>,
    pub(crate) beta_g2: G2Affine,
    /// Declared powers.
    pub(crate) power: u32,
    pub(crate) ceremony_power: u32,
    /// Section 1 without the powers: element size and modulus.
    pub(crate) field: Vec<u8>,
    /// Whole contributions section; made from the points if `None`.
    pub(crate) contributions: Option<Vec<u8>>,
    /// Further sections.
    pub(crate) extra: Vec<(u32, Vec<u8>)>,
}

/// Modulus of the base field in little-endian bytes.
pub(crate) fn modulus() -> Vec<u8> {
    let hex = "30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";
    let mut bytes = hex::decode(hex).expect("hexadecimal");
    bytes.reverse();
    bytes
}

impl Ptau {
    /// A sound file of one contribution with the secrets `s`, `alpha = s + 5`, `beta = s + 7`.
    pub(crate) fn new(power: u32, s: Fr) -> Self {
        let (alpha, beta) = (s + Fr::from(5), s + Fr::from(7));
        let powers = |count: usize, first: Fr| {
            std::iter::successors(Some(first), move |power| Some(power * s)).take(count)
        };
        let g1 = |count, first| {
            powers(count, first)
                .map(|x| (G1Affine::generator() * x).to_affine())
                .collect()
        };
        let n = 1usize << power;
        let mut field = 32u32.to_le_bytes().to_vec();
        field.extend(modulus());
        Self {
            tau_g1: g1(2 * n - 1, Fr::ONE),
            tau_g2: powers(n, Fr::ONE)
                .map(|x| (G2Affine::generator() * x).to_affine())
                .collect(),
            alpha_g1: g1(n, alpha),
            beta_g1: g1(n, beta),
            beta_g2: (G2Affine::generator() * beta).to_affine(),
            power,
            ceremony_power: power,
            field,
            contributions: None,
            extra: Vec::new(),
        }
    }

    /// The sections in file order.
    pub(crate) fn sections(&self) -> Vec<(u32, Vec<u8>)> {
        let mut header = self.field.clone();
        header.extend(self.power.to_le_bytes());
        header.extend(self.ceremony_power.to_le_bytes());
        let contributions = self
            .contributions
            .clone()
            .unwrap_or_else(|| self.contribution());
        let mut sections = vec![
            (1, header),
            (2, raw(&self.tau_g1)),
            (3, raw(&self.tau_g2)),
            (4, raw(&self.alpha_g1)),
            (5, raw(&self.beta_g1)),
            (6, self.beta_g2.to_raw_bytes()),
            (7, contributions),
        ];
        sections.extend(self.extra.clone());
        sections
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        assemble(&self.sections())
    }

    /// One contribution that left the file's points.
    pub(crate) fn contribution(&self) -> Vec<u8> {
        let g1 = [G1Affine::generator(); 6];
        let g2 = [G2Affine::generator(); 3];
        let mut bytes = 1u32.to_le_bytes().to_vec();
        bytes.extend(raw(&self.tau_g1[1..2]));
        bytes.extend(raw(&self.tau_g2[1..2]));
        bytes.extend(raw(&self.alpha_g1[..1]));
        bytes.extend(raw(&self.beta_g1[..1]));
        bytes.extend(self.beta_g2.to_raw_bytes());
        bytes.extend(raw(&g1));
        bytes.extend(raw(&g2));
        bytes.extend([0x11; 216 + 64]);
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(6u32.to_le_bytes());
        bytes.extend(b"\x01\x04name");
        bytes
    }
}

/// Puts sections into a file with a matching table.
pub(crate) fn assemble(sections: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"ptau\x01\x00\x00\x00".to_vec();
    bytes.extend((sections.len() as u32).to_le_bytes());
    for (id, content) in sections {
        bytes.extend(id.to_le_bytes());
        bytes.extend((content.len() as u64).to_le_bytes());
        bytes.extend(content);
    }
    bytes
}

fn raw<P: SerdeObject>(points: &[P]) -> Vec<u8> {
    points.iter().flat_map(SerdeObject::to_raw_bytes).collect()
}
