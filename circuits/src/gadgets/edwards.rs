//! Baby Jubjub in affine coordinates: `a x^2 + y^2 = 1 + d x^2 y^2`, a = 168700, d = 168696.
//!
//! a is a square and d is not, so the addition law is complete: on the curve no denominator is 0, and
//! each constraint below fixes its result uniquely.
//!
//! | constraint | equation | degree over the coordinates |
//! |---|---|---|
//! | on curve | `a x^2 + y^2 - 1 - d x^2 y^2 = 0` | 4 |
//! | double x | `x3 (a x^2 + y^2) = 2 x y` | 3 |
//! | double y | `y3 (2 - a x^2 - y^2) = y^2 - a x^2` | 3 |
//! | add x | `x3 (1 + d x1 x2 y1 y2) = x1 y2 + y1 x2` | 5 |
//! | add y | `y3 (1 - d x1 x2 y1 y2) = y1 y2 - a x1 x2` | 5 |

use ff::PrimeField;
use halo2curves::bn256::Fr;

use crate::algebra::Algebra;
use crate::window::{Hintable, Pos, Window, invert_or_zero};

/// Curve coefficient a.
pub(crate) const A: u64 = 168_700;
/// Curve coefficient d.
pub(crate) const D: u64 = 168_696;

/// A point: x and y, values or expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point<V> {
    /// Affine x.
    pub x: V,
    /// Affine y.
    pub y: V,
}

impl Point<Fr> {
    /// The neutral element.
    #[must_use]
    pub fn identity() -> Self {
        Point {
            x: Fr::zero(),
            y: Fr::one(),
        }
    }

    /// circomlib's base point B8, of prime order.
    #[must_use]
    pub fn base() -> Self {
        let parse = |text| Fr::from_str_vartime(text).expect("a decimal constant below p");
        Point {
            x: parse(
                "5299619240641551281634865583518297030282874472190772894086521144482721001553",
            ),
            y: parse(
                "16950150798460657717958625567821834550301663161624707787222815936182638968203",
            ),
        }
    }

    /// `2 self`, for a point of the curve.
    #[must_use]
    pub fn double(&self) -> Self {
        let (xx, yy) = (self.x.square() * Fr::from(A), self.y.square());
        divide(
            [(self.x * self.y).double(), yy - xx],
            [xx + yy, Fr::from(2) - xx - yy],
        )
    }

    /// `self + other`, for points of the curve.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let (xx, yy) = (self.x * other.x, self.y * other.y);
        let product = xx * yy * Fr::from(D);
        divide(
            [self.x * other.y + self.y * other.x, yy - xx * Fr::from(A)],
            [Fr::one() + product, Fr::one() - product],
        )
    }

    /// `-self`.
    #[must_use]
    pub fn negated(&self) -> Self {
        Point {
            x: -self.x,
            y: self.y,
        }
    }
}

/// Both quotients with one inversion. A denominator of 0 (off the curve only) gives zeros, which the
/// constraints then refuse.
pub(crate) fn divide(numerators: [Fr; 2], denominators: [Fr; 2]) -> Point<Fr> {
    let inverse = invert_or_zero(denominators[0] * denominators[1]);
    Point {
        x: numerators[0] * inverse * denominators[1],
        y: numerators[1] * inverse * denominators[0],
    }
}

/// Demands that a point is on the curve.
pub fn constrain_on_curve<W: Window>(window: &mut W, name: &str, point: &Point<W::Value>) {
    let (xx, yy) = (point.x.squared(), point.y.squared());
    let left = xx.clone() * Fr::from(A) + yy.clone();
    window.equal(name, left, W::Value::number(1) + xx * yy * Fr::from(D));
}

/// Demands `result = 2 point`.
pub fn constrain_double<W: Window>(
    window: &mut W,
    name: &str,
    point: &Point<W::Value>,
    result: Point<W::Value>,
) {
    let (xx, yy) = (point.x.squared() * Fr::from(A), point.y.squared());
    let cross = point.x.clone() * point.y.clone() * Fr::from(2);
    window.equal(
        &format!("{name} x"),
        result.x * (xx.clone() + yy.clone()),
        cross,
    );
    let below = W::Value::number(2) - xx.clone() - yy.clone();
    window.equal(&format!("{name} y"), result.y * below, yy - xx);
}

/// Demands `result = left + right`.
pub fn constrain_add<W: Window>(
    window: &mut W,
    name: &str,
    left: &Point<W::Value>,
    right: &Point<W::Value>,
    result: Point<W::Value>,
) {
    let (xx, yy) = (
        left.x.clone() * right.x.clone(),
        left.y.clone() * right.y.clone(),
    );
    let cross = left.x.clone() * right.y.clone() + left.y.clone() * right.x.clone();
    let product = xx.clone() * yy.clone() * Fr::from(D);
    window.equal(
        &format!("{name} x"),
        result.x * (W::Value::number(1) + product.clone()),
        cross,
    );
    window.equal(
        &format!("{name} y"),
        result.y * (W::Value::number(1) - product),
        yy - xx * Fr::from(A),
    );
}

/// The point in two cells.
pub fn point<W: Window>(window: &mut W, cells: [Pos; 2]) -> Point<W::Value> {
    Point {
        x: window.get(cells[0]),
        y: window.get(cells[1]),
    }
}

/// Cells `result` hold `2 point`; fills them in a witness.
pub fn double<W: Window>(
    window: &mut W,
    name: &str,
    value: &Point<W::Value>,
    result: [Pos; 2],
) -> Point<W::Value>
where
    W::Value: Hintable,
{
    if let Some(known) = known(value) {
        let doubled = known.double();
        window.hint(result[0], |_| doubled.x);
        window.hint(result[1], |_| doubled.y);
    }
    let out = point(window, result);
    constrain_double(window, name, value, out.clone());
    out
}

/// Cells `result` hold `left + right`; fills them in a witness.
pub fn add<W: Window>(
    window: &mut W,
    name: &str,
    left: &Point<W::Value>,
    right: &Point<W::Value>,
    result: [Pos; 2],
) -> Point<W::Value>
where
    W::Value: Hintable,
{
    if let (Some(left), Some(right)) = (known(left), known(right)) {
        let total = left.add(&right);
        window.hint(result[0], |_| total.x);
        window.hint(result[1], |_| total.y);
    }
    let out = point(window, result);
    constrain_add(window, name, left, right, out.clone());
    out
}

fn known<V: Hintable>(point: &Point<V>) -> Option<Point<Fr>> {
    Some(Point {
        x: point.x.known()?,
        y: point.y.known()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_point_has_the_prime_order_of_the_subgroup() {
        let base = Point::base();
        let mut sum = Point::identity();
        let order = super::super::signature::subgroup_order();
        for bit in (0..254).rev() {
            sum = sum.double();
            if crate::convert::bits(&order, bit, 1) == 1 {
                sum = sum.add(&base);
            }
        }
        assert_eq!(sum, Point::identity());
        assert_eq!(base.add(&base), base.double());
        assert_eq!(base.add(&base.negated()), Point::identity());
    }
}
