//! Additions and doublings of a running point, whose y is not a cell until it is asked for.
//!
//! Behind an addition or doubling y is the expression `slope (x2 - x3) - s y2` over the point that was added, or that was
//! doubled: the next addition takes it as it is, so that an addition has two identities instead of three.

use halo2curves::bn256::G1Affine;
use num_bigint::BigInt;

use super::cells::{Cells, Factor, Number, Summand};
use super::identity::Identity;
use crate::gadgets::foreign::block::Line;
use crate::gadgets::foreign::curve;
use crate::gadgets::foreign::equations::Step;
use crate::gadgets::foreign::integer::{Form, integer_of, number};

/// A point whose coordinates are cells, or constants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The point.
    pub(super) point: G1Affine,
    /// x, below `2^254`.
    pub(super) x: Number,
    /// y.
    pub(super) y: Number,
}

impl Known {
    /// A point of the circuit.
    pub(super) fn constant(point: G1Affine) -> Self {
        Known {
            point,
            x: Number::constant(point.x),
            y: Number::constant(point.y),
        }
    }

    /// The point as a summand.
    pub(super) fn addend(&self) -> Addend {
        Addend {
            point: self.point,
            negative: false,
            x: self.x.factor,
            y: self.y.factor.sum,
        }
    }
}

/// A point to be added.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addend {
    /// The point before its sign.
    pub(super) point: G1Affine,
    /// Whether the sign is -1.
    pub(super) negative: bool,
    /// x.
    pub(super) x: Factor,
    /// y with the sign.
    pub(super) y: Summand,
}

/// The sum so far.
#[derive(Clone, Debug)]
pub(super) enum Running {
    /// With y.
    Known(Box<Known>),
    /// Behind a step.
    Stepped(Box<Stepped>),
}

/// What a step leaves.
#[derive(Clone, Debug)]
pub(super) struct Stepped {
    point: G1Affine,
    x: Number,
    slope: Number,
    /// `x2 - x3`.
    across: Factor,
    /// `s y2`.
    y: Summand,
    step: Step<BigInt>,
}

impl Running {
    pub(super) fn point(&self) -> G1Affine {
        match self {
            Running::Known(known) => known.point,
            Running::Stepped(stepped) => stepped.point,
        }
    }

    fn x(&self) -> &Number {
        match self {
            Running::Known(known) => &known.x,
            Running::Stepped(stepped) => &stepped.x,
        }
    }

    /// y by value.
    fn y(&self) -> Form<BigInt> {
        match self {
            Running::Known(known) => number(known.point.y),
            Running::Stepped(stepped) => stepped.step.result_y(),
        }
    }

    /// Puts y into an identity.
    fn plus_y(&self, identity: Identity) -> Identity {
        match self {
            Running::Known(known) => identity.plus(&known.y.factor.sum),
            Running::Stepped(stepped) => {
                let identity = identity.product(&stepped.slope, &stepped.across);
                identity.less(&stepped.y)
            }
        }
    }
}

impl Cells<'_> {
    /// `from + right`: `slope (x2 - x1) = s y2 - y1` and `slope^2 = x1 + x2 + x3`, `x1 != x2`.
    pub(super) fn add(&mut self, from: &Running, right: &Addend) -> Running {
        let signed = match right.negative {
            true => curve::negated(right.point),
            false => right.point,
        };
        let (slope, sum) = curve::add(from.point(), signed);
        let line = Line {
            slope,
            from_x: from.point().x,
            right: right.point,
            negative: right.negative,
            x: sum.x,
        };
        let step = line.step();
        let difference = self.difference(&right.x, &from.x().factor);
        self.differ(&difference);
        let slope = self.number(&integer_of(slope).into());
        let value = step.slope_of_addition(&number(from.point().x), from.y());
        let identity = Identity::default().product(&slope, &difference);
        from.plus_y(identity).close(self, &value, &right.y);
        self.meet(from, right, slope, sum, step)
    }

    /// Twice a point: `2 y slope = 3 x^2`.
    pub(super) fn double(&mut self, known: &Known) -> Running {
        let (slope, twice) = curve::double(known.point);
        let line = Line {
            slope,
            from_x: known.point.x,
            right: known.point,
            negative: false,
            x: twice.x,
        };
        let step = line.step();
        let slope = self.number(&integer_of(slope).into());
        let value = step.slope_of_doubling();
        let twice_y = self.times(&known.y.factor, 2);
        let minus_x = self.times(&known.x.factor, -3);
        let zero = Number::of_form(&Form::integer(&BigInt::from(0)));
        Identity::default()
            .product(&slope, &twice_y)
            .product(&known.x, &minus_x)
            .close(self, &value, &zero.factor.sum);
        let from = Running::Known(Box::new(*known));
        self.meet(&from, &known.addend(), slope, twice, step)
    }

    /// x of the third point on a line: `slope^2 = x1 + x2 + x3`.
    fn meet(
        &mut self,
        from: &Running,
        right: &Addend,
        slope: Number,
        point: G1Affine,
        step: Step<BigInt>,
    ) -> Running {
        let x = self.x(&integer_of(point.x).into());
        let value = step.result_x() - number(from.point().x);
        Identity::default()
            .product(&slope, &slope.factor)
            .less(&from.x().factor.sum)
            .less(&right.x.sum)
            .close(self, &value, &x.factor.sum);
        let across = self.difference(&right.x, &x.factor);
        Running::Stepped(Box::new(Stepped {
            point,
            x,
            slope,
            across,
            y: right.y,
            step,
        }))
    }

    /// The running point with y as cells.
    pub(super) fn finish(&mut self, running: &Running) -> Known {
        let stepped = match running {
            Running::Known(known) => return **known,
            Running::Stepped(stepped) => stepped,
        };
        let y = self.number(&integer_of(stepped.point.y).into());
        let value = stepped.step.result_y() - number(stepped.point.y);
        running
            .plus_y(Identity::default())
            .close(self, &value, &y.factor.sum);
        Known {
            point: stepped.point,
            x: stepped.x,
            y,
        }
    }

    /// A witness point: `y^2 = w x + 3` with `w = x^2`, both coordinates below q.
    pub(super) fn load(&mut self, point: G1Affine) -> Known {
        let (x, y) = (
            self.x(&integer_of(point.x).into()),
            self.number(&integer_of(point.y).into()),
        );
        let square = point.x.square();
        let w = self.number(&integer_of(square).into());
        let [x_form, y_form, w_form] = [point.x, point.y, square].map(number);
        let value = x_form.clone() * x_form.clone() - w_form.clone();
        Identity::default()
            .product(&x, &x.factor)
            .close(self, &value, &w.factor.sum);
        let three = Form::integer(&BigInt::from(3));
        let value = y_form.clone() * y_form - w_form * x_form - three.clone();
        let minus_x = self.times(&x.factor, -1);
        Identity::default()
            .product(&y, &y.factor)
            .product(&w, &minus_x)
            .close(self, &value, &Number::of_form(&three).factor.sum);
        let known = Known { point, x, y };
        self.canonical(&known);
        known
    }

    /// Constrains both coordinates to be below q.
    pub(super) fn canonical(&mut self, known: &Known) {
        self.below_q(&known.x, &integer_of(known.point.x).into());
        self.below_q(&known.y, &integer_of(known.point.y).into());
    }
}
