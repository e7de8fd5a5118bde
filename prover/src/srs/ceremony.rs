//! The trusted setups this project accepts, by the one value that identifies a string: `[s]_2`.
//!
//! Once the importer has checked that a list starts at the generator and that each point is s times
//! the one before, every point of the string is determined by `[s]_2`. Pinning that point therefore
//! pins the whole string for every k, whatever file it came in, and a name or a hash of a file
//! cannot lend trust to other points. `verify` and the contracts hold the same value.
//!
//! Where the value comes from: it is in published verifying keys made with the ceremony's files by
//! two independent tools, as `X_2` of snarkjs PLONK and fflonk keys (among them power 24 of the
//! Polygon zkEVM) and as `s_g2` of halo2 Solidity verifiers. `prover/CEREMONY.md` names the files
//! and their published hashes.

use ff::PrimeField;
use halo2curves::bn256::{Fq, Fq2, G2Affine};

use super::StringKind;
use super::development;
use super::point::canonical_g2;

/// `[s]_2` of the perpetual powers of tau after contribution 54 and the beacon, decimal `x.c0,
/// x.c1, y.c0, y.c1`.
const PERPETUAL_POWERS_OF_TAU: [&str; 4] = [
    "21831381940315734285607113342023901060522397560371972897001948545212302161822",
    "17231025384763736816414546592865244497437017442647097510447326538965263639101",
    "2388026358213174446665280700919698872609886601280537296205114254867301080648",
    "11507326595632554467052522095592665270651932854513688777769618397986436103170",
];

/// `[s]_2` of the accepted ceremony.
pub(super) fn perpetual_powers_of_tau() -> G2Affine {
    let [x0, x1, y0, y1] = PERPETUAL_POWERS_OF_TAU
        .map(|text| Fq::from_str_vartime(text).expect("the constants are field elements"));
    G2Affine {
        x: Fq2 { c0: x0, c1: x1 },
        y: Fq2 { c0: y0, c1: y1 },
    }
}

/// What is known about the string with this `[s]_2`.
pub(super) fn classify(s_g2: &G2Affine) -> StringKind {
    if *s_g2 == perpetual_powers_of_tau() {
        StringKind::PerpetualPowersOfTau
    } else if *s_g2 == development::s_g2() {
        StringKind::InsecureDevelopment
    } else {
        StringKind::Unattested
    }
}

/// Canonical bytes of the accepted ceremony's `[s]_2`, in the layout of
/// [`ReferenceString::s_g2_bytes`](super::ReferenceString::s_g2_bytes).
pub fn ceremony_s_g2_bytes() -> [u8; 128] {
    canonical_g2(&perpetual_powers_of_tau())
}

#[cfg(test)]
mod tests {
    use halo2curves::CurveAffine;
    use halo2curves::group::prime::PrimeCurveAffine;

    use super::{StringKind, classify, perpetual_powers_of_tau};
    use crate::srs::development;
    use crate::srs::ratio::is_in_subgroup;

    #[test]
    fn pinned_point_is_a_point_of_the_right_group() {
        let point = perpetual_powers_of_tau();
        assert!(bool::from(point.is_on_curve()));
        assert!(is_in_subgroup(&point.to_curve()));
        assert!(!bool::from(point.is_identity()));
    }

    #[test]
    fn kinds_are_told_apart_by_their_point_alone() {
        assert_eq!(
            classify(&perpetual_powers_of_tau()),
            StringKind::PerpetualPowersOfTau
        );
        assert_eq!(
            classify(&development::s_g2()),
            StringKind::InsecureDevelopment
        );
        assert_eq!(
            classify(&-perpetual_powers_of_tau()),
            StringKind::Unattested
        );
    }
}
