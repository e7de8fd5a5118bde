//! The gadget as snark-verifier's loader sees it: `EccInstructions`, `NativeEncoding` and
//! `LimbsEncodingInstructions`.
//!
//! A loader's point is a sum that is not computed yet: points of the tape, each with a factor or
//! without. Sums of sums multiply factors, which is cheap, and a sum is laid out once, when its
//! coordinates are asked for. So all the sums of a verifier share their doublings, and a point that
//! occurs in several of them is added once. A sum that is laid out is a point like any other.
//!
//! What it does not do: lay points out. Whatever does is a [`Points`]: the tape here, or `vertical` in halo2-base's own columns.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use halo2_base::AssignedValue;
use halo2_base::QuantumCell::{Constant, Existing};
use halo2_base::gates::{GateChip, GateInstructions, RangeChip};
use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::group::prime::PrimeCurveAffine;
use snark_verifier::Error;
use snark_verifier::loader::halo2::EccInstructions;
use snark_verifier::pcs::kzg::LimbsEncodingInstructions;
use snark_verifier::system::halo2::transcript::halo2::NativeEncoding;

use super::integer::{LIMB_BITS, LIMBS, integer_of, power, residue};
use super::limbs::{INSTANCE_LIMB_BITS, INSTANCE_LIMBS, point_of_limbs, split};
use super::tape::{Manager, PointId, Tape};

/// Points by number, and sums of their multiples, laid out in a circuit.
pub trait Points: Debug {
    /// The value of a point.
    fn value(&self, id: PointId) -> G1Affine;

    /// Whether a point is a constant of the circuit.
    fn is_constant(&self, id: PointId) -> bool;

    /// Coordinates modulo r, if cells hold them already.
    fn native(&self, id: PointId) -> Option<[AssignedValue<Fr>; 2]>;

    /// Remembers cells that hold the coordinates modulo r.
    fn set_native(&mut self, id: PointId, cells: [AssignedValue<Fr>; 2]);

    /// A constant point; the same one for equal constants.
    fn constant(&mut self, point: G1Affine) -> PointId;

    /// A witness point: on the curve, both coordinates below q.
    fn load(&mut self, context: &mut Manager, point: G1Affine) -> PointId;

    /// Limbs of both canonical coordinates, x first.
    fn fetch(&mut self, context: &mut Manager, id: PointId) -> [AssignedValue<Fr>; 2 * LIMBS];

    /// `sum scalar * point + sum point`, a new point.
    fn sum(
        &mut self,
        context: &mut Manager,
        scaled: &[(AssignedValue<Fr>, PointId)],
        plain: &[PointId],
    ) -> PointId;
}

/// A point with its factor; none means 1.
#[derive(Clone, Debug)]
struct Term {
    id: PointId,
    factor: Option<AssignedValue<Fr>>,
}

/// A sum of multiples of points, laid out when its coordinates are needed.
#[derive(Clone, Debug, Default)]
pub struct ForeignPoint {
    terms: Vec<Term>,
    settled: Arc<OnceLock<PointId>>,
}

impl ForeignPoint {
    fn new(terms: Vec<Term>) -> Self {
        ForeignPoint {
            terms,
            settled: Arc::default(),
        }
    }

    fn one(id: PointId) -> Self {
        ForeignPoint::new(vec![Term { id, factor: None }])
    }

    /// What it adds to a sum: itself, once it is laid out, and its terms before.
    fn terms(&self) -> Vec<Term> {
        match self.settled.get() {
            Some(id) => vec![Term {
                id: *id,
                factor: None,
            }],
            None => self.terms.clone(),
        }
    }
}

/// Operations on shared points.
#[derive(Debug)]
pub struct ForeignChip<P = Tape> {
    points: Arc<Mutex<P>>,
    range: RangeChip<Fr>,
}

impl<P> Clone for ForeignChip<P> {
    fn clone(&self) -> Self {
        ForeignChip {
            points: Arc::clone(&self.points),
            range: self.range.clone(),
        }
    }
}

impl ForeignChip {
    /// A chip with an empty tape. `range` is the host's, for limbs of instances.
    #[must_use]
    pub fn new(range: RangeChip<Fr>) -> Self {
        ForeignChip::over(Tape::new(), range)
    }

    /// The tape.
    pub fn tape(&self) -> MutexGuard<'_, Tape> {
        self.points()
    }
}

impl<P: Points> ForeignChip<P> {
    /// A chip over points. `range` is the host's, for limbs of instances.
    #[must_use]
    pub fn over(points: P, range: RangeChip<Fr>) -> Self {
        ForeignChip {
            points: Arc::new(Mutex::new(points)),
            range,
        }
    }

    fn points(&self) -> MutexGuard<'_, P> {
        self.points
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    /// The value of a point; lays its sum out if that has not happened yet.
    pub fn value(&self, context: &mut Manager, point: &ForeignPoint) -> G1Affine {
        let id = self.settle(context, point);
        self.points().value(id)
    }

    /// The coordinates as canonical integers, three limbs of 88 bits each, x first, lowest first.
    pub fn to_instance_limbs(
        &self,
        context: &mut Manager,
        point: &ForeignPoint,
    ) -> [AssignedValue<Fr>; 2 * INSTANCE_LIMBS] {
        let limbs = self.limbs(context, point);
        let mut out = limbs
            .chunks_exact(LIMBS)
            .flat_map(|limbs| split(&self.range, context.main(), limbs));
        std::array::from_fn(|_| out.next().expect("six limbs of eight"))
    }

    /// A point on the curve whose canonical coordinates are these limbs.
    pub fn from_instance_limbs(
        &self,
        context: &mut Manager,
        limbs: &[AssignedValue<Fr>; 2 * INSTANCE_LIMBS],
    ) -> ForeignPoint {
        let point = point_of_limbs(&limbs.map(|limb| *limb.value()));
        let point = self.assign_point(context, point);
        for (own, given) in self.to_instance_limbs(context, &point).iter().zip(limbs) {
            context.main().constrain_equal(own, given);
        }
        point
    }

    /// Limbs of 68 bits of the canonical coordinates.
    fn limbs(&self, context: &mut Manager, point: &ForeignPoint) -> [AssignedValue<Fr>; 2 * LIMBS] {
        let id = self.settle(context, point);
        self.points().fetch(context, id)
    }

    /// The point that a sum is.
    fn settle(&self, context: &mut Manager, point: &ForeignPoint) -> PointId {
        if let [Term { id, factor: None }] = point.terms.as_slice() {
            return *id;
        }
        *point.settled.get_or_init(|| {
            let mut merged: BTreeMap<PointId, (u64, Vec<AssignedValue<Fr>>)> = BTreeMap::new();
            for term in &point.terms {
                let (ones, factors) = merged.entry(term.id).or_default();
                match term.factor {
                    Some(factor) => factors.push(factor),
                    None => *ones += 1,
                }
            }
            let (mut scaled, mut plain) = (Vec::new(), Vec::new());
            for (id, (ones, factors)) in merged {
                match (ones, factors.as_slice()) {
                    (1, []) => plain.push(id),
                    (0, [factor]) => scaled.push((*factor, id)),
                    _ => {
                        let ones = (ones > 0).then(|| Constant(Fr::from(ones)));
                        let cells = factors.into_iter().map(Existing).chain(ones);
                        scaled.push((self.range.gate.sum(context.main(), cells), id));
                    }
                }
            }
            self.points().sum(context, &scaled, &plain)
        })
    }
}

impl<P: Points> EccInstructions<G1Affine> for ForeignChip<P> {
    type Context = Manager;
    type ScalarChip = GateChip<Fr>;
    type AssignedCell = AssignedValue<Fr>;
    type AssignedScalar = AssignedValue<Fr>;
    type AssignedEcPoint = ForeignPoint;

    fn scalar_chip(&self) -> &Self::ScalarChip {
        &self.range.gate
    }

    fn assign_constant(&self, _: &mut Self::Context, point: G1Affine) -> ForeignPoint {
        if bool::from(point.is_identity()) {
            ForeignPoint::default()
        } else {
            ForeignPoint::one(self.points().constant(point))
        }
    }

    fn assign_point(&self, context: &mut Self::Context, point: G1Affine) -> ForeignPoint {
        ForeignPoint::one(self.points().load(context, point))
    }

    fn sum_with_const(
        &self,
        context: &mut Self::Context,
        values: &[impl Deref<Target = ForeignPoint>],
        constant: G1Affine,
    ) -> ForeignPoint {
        let mut terms = self.assign_constant(context, constant).terms;
        terms.extend(values.iter().flat_map(|value| value.terms()));
        ForeignPoint::new(terms)
    }

    fn fixed_base_msm(
        &mut self,
        context: &mut Self::Context,
        pairs: &[(impl Deref<Target = AssignedValue<Fr>>, G1Affine)],
    ) -> ForeignPoint {
        let constants: Vec<(&AssignedValue<Fr>, ForeignPoint)> = pairs
            .iter()
            .map(|(scalar, point)| (scalar.deref(), self.assign_constant(context, *point)))
            .collect();
        let pairs: Vec<_> = constants
            .iter()
            .map(|(scalar, point)| (*scalar, point))
            .collect();
        self.variable_base_msm(context, &pairs)
    }

    fn variable_base_msm(
        &mut self,
        context: &mut Self::Context,
        pairs: &[(
            impl Deref<Target = AssignedValue<Fr>>,
            impl Deref<Target = ForeignPoint>,
        )],
    ) -> ForeignPoint {
        let mut terms = Vec::new();
        for (scalar, point) in pairs {
            for term in point.terms() {
                let factor = match term.factor {
                    None => *scalar.deref(),
                    Some(factor) => self.range.gate.mul(context.main(), **scalar, factor),
                };
                terms.push(Term {
                    id: term.id,
                    factor: Some(factor),
                });
            }
        }
        ForeignPoint::new(terms)
    }

    fn assert_equal(&self, context: &mut Self::Context, left: &ForeignPoint, right: &ForeignPoint) {
        let left = self.limbs(context, left);
        let right = self.limbs(context, right);
        for (left, right) in left.iter().zip(&right) {
            context.main().constrain_equal(left, right);
        }
    }
}

impl<P: Points> NativeEncoding<G1Affine> for ForeignChip<P> {
    /// x mod r and y mod r of the canonical coordinates, as the native transcript absorbs them.
    fn encode(
        &self,
        context: &mut Self::Context,
        point: &ForeignPoint,
    ) -> Result<Vec<AssignedValue<Fr>>, Error> {
        let id = self.settle(context, point);
        let known = self.points().native(id);
        if let Some(native) = known {
            return Ok(native.to_vec());
        }
        let native = if self.points().is_constant(id) {
            let point = self.points().value(id);
            [point.x, point.y].map(|coordinate| {
                let value = residue(&integer_of(coordinate).into());
                context.main().load_constant(value)
            })
        } else {
            let limbs = self.points().fetch(context, id);
            let bases: [Fr; LIMBS] = std::array::from_fn(|limb| residue(&power(limb * LIMB_BITS)));
            let mut sums = limbs.chunks_exact(LIMBS).map(|limbs| {
                self.range.gate.inner_product(
                    context.main(),
                    limbs.iter().map(|limb| Existing(*limb)),
                    bases.map(Constant),
                )
            });
            std::array::from_fn(|_| sums.next().expect("two coordinates"))
        };
        self.points().set_native(id, native);
        Ok(native.to_vec())
    }
}

impl<P: Points> LimbsEncodingInstructions<G1Affine, INSTANCE_LIMBS, INSTANCE_LIMB_BITS>
    for ForeignChip<P>
{
    fn assign_ec_point_from_limbs(
        &self,
        context: &mut Self::Context,
        limbs: &[impl Deref<Target = AssignedValue<Fr>>],
    ) -> ForeignPoint {
        assert_eq!(limbs.len(), 2 * INSTANCE_LIMBS, "limbs of one point");
        let limbs = std::array::from_fn(|limb| *limbs[limb].deref());
        self.from_instance_limbs(context, &limbs)
    }

    fn assign_ec_point_to_limbs(
        &self,
        context: &mut Self::Context,
        point: impl Deref<Target = ForeignPoint>,
    ) -> Vec<AssignedValue<Fr>> {
        self.to_instance_limbs(context, &point).to_vec()
    }
}
