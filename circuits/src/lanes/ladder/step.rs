//! One step of the ladder, and one window of the fixed base.

use std::sync::OnceLock;

use halo2curves::bn256::Fr;

use super::{FIRST_WINDOW, WINDOW_BITS, WINDOW_CELLS, WINDOW_SHIFTS, step_cell};
use crate::algebra::{Algebra, sum};
use crate::gadgets::edwards::{A, D, Point, divide};
use crate::window::{Hintable, Pos, Window, pos};

fn known<V: Hintable, const N: usize>(values: [&V; N]) -> Option<[Fr; N]> {
    let mut out = [Fr::zero(); N];
    for (slot, value) in out.iter_mut().zip(values) {
        *slot = value.known()?;
    }
    Some(out)
}

/// The quotients `numerators / denominators` as a point in two cells.
fn quotient<W: Window>(
    window: &mut W,
    name: &str,
    cells: [Pos; 2],
    numerators: [W::Value; 2],
    denominators: [W::Value; 2],
) -> Point<W::Value>
where
    W::Value: Hintable,
{
    if let (Some(above), Some(below)) =
        (known(numerators.each_ref()), known(denominators.each_ref()))
    {
        let point = divide(above, below);
        window.hint(cells[0], |_| point.x);
        window.hint(cells[1], |_| point.y);
    }
    let out = Point {
        x: window.get(cells[0]),
        y: window.get(cells[1]),
    };
    let [x_above, y_above] = numerators;
    let [x_below, y_below] = denominators;
    window.equal(name, out.x.clone() * x_below, x_above);
    window.equal(name, out.y.clone() * y_below, y_above);
    out
}

/// The point of the table that two bits choose, `O` for none, with the product of its coordinates.
fn choose<V: Algebra>(entries: &[[V; 3]; 3], v: &V, u: &V) -> [V; 3] {
    let both = v.clone() * u.clone();
    let (only_v, only_u) = (v.clone() - both.clone(), u.clone() - both.clone());
    let origin = [0, 1, 0].map(V::number);
    std::array::from_fn(|part| {
        let from = |weight: &V, entry: &V| weight.clone() * (entry.clone() - origin[part].clone());
        from(&only_v, &entries[0][part])
            + from(&only_u, &entries[1][part])
            + from(&both, &entries[2][part])
            + origin[part].clone()
    })
}

/// `2 last + T` in the cells of `step`.
pub(super) fn double_and_add<W: Window>(
    window: &mut W,
    entries: &[[W::Value; 3]; 3],
    last: &Point<W::Value>,
    step: usize,
) -> Point<W::Value>
where
    W::Value: Hintable,
{
    let (v, u) = (
        window.get(step_cell(step, 0)),
        window.get(step_cell(step, 1)),
    );
    let [x, y, product] = choose(entries, &v, &u);
    let (xx, yy) = (last.x.squared() * Fr::from(A), last.y.squared());
    let d1 = xx.clone() + yy.clone();
    let d2 = W::Value::number(2) - d1.clone();
    let n1 = last.x.clone() * last.y.clone() * Fr::from(2);
    let n2 = yy - xx;
    let (x_part, y_part) = (n1.clone() * d2.clone(), n2.clone() * d1.clone());
    let below = d1 * d2;
    let cross = n1 * n2 * Fr::from(D) * product;
    quotient(
        window,
        "sum",
        [step_cell(step, 2), step_cell(step, 3)],
        [
            x_part.clone() * y.clone() + y_part.clone() * x.clone(),
            y_part * y - x_part * x * Fr::from(A),
        ],
        [below.clone() + cross.clone(), below - cross],
    )
}

/// Coefficients of the multilinear polynomials that give x, y and x y of `digit * base` from the
/// digit's bits; coefficient m belongs to the product of the bits of m.
fn coefficients(window: usize) -> &'static [[Fr; 1 << WINDOW_BITS]; 3] {
    static TABLES: OnceLock<Vec<[[Fr; 1 << WINDOW_BITS]; 3]>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| {
        let mut base = Point::base();
        let mut doubled = 0;
        WINDOW_SHIFTS
            .iter()
            .map(|shift| {
                while doubled < *shift {
                    base = base.double();
                    doubled += 1;
                }
                let mut multiple = Point::identity();
                let multiples: [Point<Fr>; 1 << WINDOW_BITS] = std::array::from_fn(|_| {
                    let point = multiple;
                    multiple = multiple.add(&base);
                    point
                });
                let mut table = [
                    multiples.map(|point| point.x),
                    multiples.map(|point| point.y),
                    multiples.map(|point| point.x * point.y),
                ];
                for values in &mut table {
                    for bit in 0..WINDOW_BITS {
                        for digit in 0..1 << WINDOW_BITS {
                            if digit >> bit & 1 == 1 {
                                let below = values[digit ^ 1 << bit];
                                values[digit] -= below;
                            }
                        }
                    }
                }
                table
            })
            .collect()
    });
    &tables[window]
}

/// Bit `i` of window `index`.
pub(super) fn window_bit(index: usize, i: usize) -> Pos {
    pos(0, FIRST_WINDOW + WINDOW_CELLS * index + i)
}

/// `last + digit * 2^shift B8` in the cells of window `index`.
pub(super) fn add_window<W: Window>(
    window: &mut W,
    index: usize,
    last: &Point<W::Value>,
) -> Point<W::Value>
where
    W::Value: Hintable,
{
    let bits: [W::Value; WINDOW_BITS] = std::array::from_fn(|i| {
        window.boolean("bit of w", window_bit(index, i));
        window.get(window_bit(index, i))
    });
    let mut monomials = vec![W::Value::number(1)];
    for bit in &bits {
        let more: Vec<W::Value> = monomials.iter().map(|m| m.clone() * bit.clone()).collect();
        monomials.extend(more);
    }
    let [x, y, product] = coefficients(index).each_ref().map(|table| {
        let terms = monomials.iter().zip(table).skip(1);
        let moving = sum(terms.map(|(m, factor)| m.clone() * *factor));
        moving + W::Value::constant(table[0])
    });
    let cross = last.x.clone() * last.y.clone() * product * Fr::from(D);
    let one = W::Value::number(1);
    quotient(
        window,
        "multiple of B8",
        [
            window_bit(index, WINDOW_BITS),
            window_bit(index, WINDOW_BITS + 1),
        ],
        [
            last.x.clone() * y.clone() + last.y.clone() * x.clone(),
            last.y.clone() * y - last.x.clone() * x * Fr::from(A),
        ],
        [one.clone() + cross.clone(), one - cross],
    )
}
