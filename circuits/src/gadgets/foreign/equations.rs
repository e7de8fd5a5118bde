//! The identities modulo q, written once over any [`Ring`]: each form is 0 modulo q.
//!
//! A [`Step`] is what an X block knows of the addition or doubling that made its x: the slope, the point
//! that was added (for a doubling the doubled point, s = 1) and the new x.
//!
//! What it does not do: decide which identity a row holds (`gates`) or make witnesses (`block`).

use num_bigint::BigInt;

use super::integer::{Form, Ring};

/// The forms of an X block.
#[derive(Clone, Debug)]
pub struct Step<V> {
    /// Slope of the line.
    pub slope: Form<V>,
    /// x of the added point.
    pub x: Form<V>,
    /// y of the added point, before its sign.
    pub y: Form<V>,
    /// The sign: 1 or -1.
    pub sign: V,
    /// x of the result.
    pub result: Form<V>,
}

impl<V: Ring> Step<V> {
    /// y of the added point with its sign.
    #[must_use]
    pub fn signed_y(&self) -> Form<V> {
        self.y.clone().scaled(&self.sign)
    }

    /// y of the result: `slope (x2 - x3) - s y2`.
    #[must_use]
    pub fn result_y(&self) -> Form<V> {
        self.slope.clone() * (self.x.clone() - self.result.clone()) - self.signed_y()
    }

    /// Slope of an addition to `(x, y)`: `slope (x2 - x1) - s y2 + y1`.
    #[must_use]
    pub fn slope_of_addition(&self, x: &Form<V>, y: Form<V>) -> Form<V> {
        self.slope.clone() * (self.x.clone() - x.clone()) - self.signed_y() + y
    }

    /// Slope of a doubling: `2 y slope - 3 x^2`.
    #[must_use]
    pub fn slope_of_doubling(&self) -> Form<V> {
        (self.y.clone() * self.slope.clone()).times(2) - square(&self.x).times(3)
    }

    /// x of the result, without x of the first summand: `slope^2 - x2 - x3`.
    #[must_use]
    pub fn result_x(&self) -> Form<V> {
        square(&self.slope) - self.x.clone() - self.result.clone()
    }
}

/// `x^2`.
#[must_use]
pub fn square<V: Ring>(x: &Form<V>) -> Form<V> {
    x.clone() * x.clone()
}

/// The curve, with `w = x^2`: `y^2 - w x - 3`.
#[must_use]
pub fn curve<V: Ring>(x: &Form<V>, w: &Form<V>, y: &Form<V>) -> Form<V> {
    square(y) - w.clone() * x.clone() - Form::integer(&BigInt::from(3))
}
