//! Provers who cheat and make everything else fit.

use halo2curves::bn256::{Fq, Fr, G1Affine};
use num_bigint::BigInt;
use snark_verifier::loader::halo2::EccInstructions;

use super::super::block::{Block, Grid, Line, signed};
use super::super::chip::Points;
use super::super::curve::{self, Digit};
use super::super::equations::{Step, curve as curve_equation};
use super::super::host::HostCircuit;
use super::super::integer::{
    Form, NUMBER_CHUNKS, chunks, foreign_modulus, integer_of, limbs_of, native_modulus, power,
    quotient_chunks, residue,
};
use super::super::layout::{
    BEFORE, BELOW_Y, FINISH, FINISHED, FIRST, FIRST_ROW, INDEX, INDEX_SHIFT, INDEX_SHIFTED,
    INVERSE, RESULT, RESULT_TOP, SECOND, WIDTH, X_ROWS,
};
use super::checker::Checker;
use super::{host, random_point, random_scalar, rng};
use crate::window::invert_or_zero;

/// A sum over two points, and its blocks.
fn circuit() -> (HostCircuit, Vec<Block>) {
    let mut rng = rng(1);
    let mut circuit = host(false);
    let mut chip = circuit.chip.clone();
    let manager = circuit.builder.pool(0);
    let scalars = [0; 2].map(|_| manager.main().load_witness(random_scalar(&mut rng)));
    let points = [0; 2].map(|_| random_point(&mut rng));
    let points = points.map(|point| chip.assign_point(manager, point));
    let pairs = [(&scalars[0], &points[0]), (&scalars[1], &points[1])];
    let sum = chip.variable_base_msm(manager, &pairs);
    chip.value(manager, &sum);
    let blocks = chip.tape().blocks().to_vec();
    (circuit, blocks)
}

fn failure(circuit: &HostCircuit, blocks: &[Block]) -> Option<String> {
    Checker::new(circuit).failure(&Grid::new(blocks))
}

/// The failure after one Add in the middle of the sum was changed.
fn failure_with(change: impl Fn(&mut Digit, &mut Line)) -> Option<String> {
    let (circuit, mut blocks) = circuit();
    let mut adds = blocks.iter_mut().rev().filter_map(|block| match block {
        Block::Add { digit, line, .. } => Some((digit, line)),
        _ => None,
    });
    let (digit, line) = adds.nth(4).expect("a sum has many additions");
    change(digit, line);
    failure(&circuit, &blocks)
}

#[test]
fn honest_blocks_are_accepted() {
    assert_eq!(failure_with(|_, _| ()), None);
}

#[test]
fn wrong_slope_is_refused() {
    let failure = failure_with(|_, line| {
        line.slope += Fq::one();
        line.x = line.slope.square() - line.from_x - line.right.x;
    });
    assert_eq!(failure.as_deref(), Some("slope modulo r"));
}

#[test]
fn wrong_x_is_refused() {
    let failure = failure_with(|_, line| line.x += Fq::one());
    assert_eq!(failure.as_deref(), Some("x modulo r"));
    let failure = failure_with(|_, line| line.from_x += Fq::one());
    assert_eq!(failure.as_deref(), Some("x modulo r"));
}

/// Changes the last-but-`back` addition and makes slopes and results after it fit.
fn failure_with_fitting(back: usize, change: impl Fn(&mut Digit, &mut Line)) -> Option<String> {
    let (circuit, mut blocks) = circuit();
    let last = blocks
        .iter()
        .rposition(|block| matches!(block, Block::Add { .. }));
    let first = last.expect("a sum has additions") - back;
    let Block::Add { line, .. } = &blocks[first - 1] else {
        panic!("additions follow additions");
    };
    let y = line.slope * (line.right.x - line.x) - signed(line.right, line.negative).y;
    let mut running = G1Affine { x: line.x, y };
    for (index, block) in blocks.iter_mut().enumerate().skip(first) {
        match block {
            Block::Add { digit, line, .. } => {
                if index == first {
                    change(digit, line);
                }
                let (slope, sum) = curve::add(running, signed(line.right, line.negative));
                (line.slope, line.from_x, line.x) = (slope, running.x, sum.x);
                running = sum;
            }
            Block::Finish { y, .. } => *y = running.y,
            _ => panic!("a sum ends in additions and y"),
        }
    }
    failure(&circuit, &blocks)
}

#[test]
fn flipped_digit_is_refused() {
    let failure = failure_with(|digit, _| digit.negative = !digit.negative);
    assert_eq!(failure.as_deref(), Some("digits"));
    let failure = failure_with(|_, line| line.negative = !line.negative);
    assert_eq!(failure.as_deref(), Some("slope modulo r"));
    // everything fits, and the digits sum to another scalar
    assert_eq!(failure_with_fitting(1, |_, _| ()), None);
    let failure = failure_with_fitting(1, |digit, line| {
        digit.negative = !digit.negative;
        line.negative = !line.negative;
    });
    assert_eq!(failure.as_deref(), Some("link"));
}

#[test]
fn another_points_multiple_is_refused() {
    for back in [0, 1] {
        let failure = failure_with_fitting(back, |_, line| line.right = G1Affine::generator());
        assert_eq!(failure.as_deref(), Some("selection"));
    }
}

#[test]
fn index_beyond_the_table_is_refused() {
    let (circuit, _) = circuit();
    let mut grid = circuit.chip.tape().grid().as_ref().clone();
    let (row, _) = last_add(&circuit);
    set(&mut grid, row, INDEX, 16);
    set(&mut grid, row, INDEX_SHIFTED, 16 << INDEX_SHIFT);
    let failure = Checker::new(&circuit).failure(&grid);
    assert_eq!(failure.as_deref(), Some("range"));
}

/// Row and line of the last addition.
fn last_add(circuit: &HostCircuit) -> (usize, Line) {
    let tape = circuit.chip.tape();
    let mut row = FIRST_ROW;
    let mut found = None;
    for block in tape.blocks() {
        if let Block::Add { line, .. } = block {
            found = Some((row, *line));
        }
        row += block.rows();
    }
    found.expect("a sum has additions")
}

fn set(grid: &mut Grid, row: usize, place: usize, value: u32) {
    grid.chunks[row + place / WIDTH][place % WIDTH] = value;
}

fn put(grid: &mut Grid, row: usize, places: impl IntoIterator<Item = usize>, values: &[u32]) {
    for (place, value) in places.into_iter().zip(values) {
        set(grid, row, place, *value);
    }
}

fn number(value: Fq) -> Form<BigInt> {
    Form::new(limbs_of(value))
}

fn q() -> BigInt {
    foreign_modulus().into()
}

/// Two equal points: any slope fits the equations, so the difference must be proven.
#[test]
fn a_point_is_not_added_to_itself() {
    let mut rng = rng(3);
    let mut circuit = host(false);
    let chip = circuit.chip.clone();
    let manager = circuit.builder.pool(0);
    let point = random_point(&mut rng);
    let id = {
        let mut tape = chip.tape();
        let id = tape.load(manager, point);
        tape.sum(manager, &[], &[id]);
        id
    };
    let mut blocks = chip.tape().blocks().to_vec();
    // start + point - start: let the running point be the loaded one instead
    let index = blocks
        .iter()
        .rposition(|block| matches!(block, Block::Fetch { .. }))
        .expect("a sum fetches its start");
    let slope = Fq::from(5);
    let x = slope.square() - point.x - point.x;
    blocks[index] = Block::Fetch {
        point,
        wanted: 32 * id as u64 + 1,
    };
    blocks[index + 1] = Block::Finish {
        y: point.y,
        offered: None,
    };
    let cheat = Line {
        slope,
        from_x: point.x,
        right: point,
        negative: false,
        x,
    };
    if let Block::Add { explicit, line, .. } = &mut blocks[index + 2] {
        (*explicit, *line) = (Some(point), cheat);
    }
    let grid = Grid::new(&blocks);
    let row = FIRST_ROW + blocks[..index].iter().map(Block::rows).sum::<usize>();
    let near = row + 17..row + 18;
    // the layout of this circuit is another one: take its fixed cells from the cheating blocks
    let failure = Checker::of(&circuit, &grid).failure_near(&grid, near);
    assert_eq!(failure.as_deref(), Some("different"));
}

/// x + q is the same x: the difference to it must be refused as well.
#[test]
fn a_point_is_not_added_to_itself_in_another_form() {
    let mut rng = rng(4);
    let mut circuit = host(false);
    let chip = circuit.chip.clone();
    let manager = circuit.builder.pool(0);
    // start + point = target with target.x + q below 2^254
    let start = curve::start();
    let (point, target) = std::iter::repeat_with(|| random_point(&mut rng))
        .map(|target| (curve::add(target, curve::negated(start)).1, target))
        .find(|(_, target)| BigInt::from(integer_of(target.x)) + q() < power(254))
        .expect("a third of all points");
    {
        let mut tape = chip.tape();
        let ids = [point, target].map(|point| tape.load(manager, point));
        tape.sum(manager, &[], &ids);
    }
    let mut grid = chip.tape().grid().as_ref().clone();
    let blocks = chip.tape().blocks().to_vec();
    let index = blocks
        .iter()
        .rposition(|block| matches!(block, Block::Fetch { .. }))
        .expect("a sum fetches its start");
    let row = FIRST_ROW + blocks[..index].iter().map(Block::rows).sum::<usize>() + 17;
    let Block::Add { line, .. } = blocks[index + 2] else {
        panic!("the point is added first");
    };
    let step = |line: &Line, x: Form<BigInt>| Step {
        slope: number(line.slope),
        x: number(line.right.x),
        y: number(line.right.y),
        sign: BigInt::from(1),
        result: x,
    };
    // the first result in its other form
    let other: BigInt = BigInt::from(integer_of(target.x)) + q();
    let first = step(&line, Form::integer(&other));
    let form = first.result_x() - number(start.x);
    put(&mut grid, row, SECOND, &quotient_chunks(&form));
    let cells = chunks(&other, NUMBER_CHUNKS);
    put(&mut grid, row, RESULT, &cells);
    set(&mut grid, row, RESULT_TOP, 2 * cells[NUMBER_CHUNKS - 1]);
    // and the same point once more, with a slope of the prover's choice
    add_again(&mut grid, row + X_ROWS, &first, target);
    let checker = Checker::new(&circuit);
    let failure = checker.failure_near(&grid, row..row + X_ROWS + 1);
    assert_eq!(failure.as_deref(), Some("different"));
}

/// Fills the addition of `target` to itself in another form, as well as possible.
fn add_again(grid: &mut Grid, row: usize, first: &Step<BigInt>, target: G1Affine) {
    let slope = Fq::from(7);
    let x = slope.square() - target.x - target.x;
    let second = Step {
        slope: number(slope),
        x: number(target.x),
        y: number(target.y),
        sign: BigInt::from(1),
        result: number(x),
    };
    let form = second.slope_of_addition(&first.result, first.result_y());
    put(
        grid,
        row,
        0..NUMBER_CHUNKS,
        &chunks(&second.slope.whole, NUMBER_CHUNKS),
    );
    put(grid, row, FIRST, &quotient_chunks(&form));
    let form = second.result_x() - first.result.clone();
    put(grid, row, SECOND, &quotient_chunks(&form));
    let cells = chunks(&second.result.whole, NUMBER_CHUNKS);
    put(grid, row, RESULT, &cells);
    set(grid, row, RESULT_TOP, 2 * cells[NUMBER_CHUNKS - 1]);
    let d = residue(&(first.result.whole.clone() - &second.x.whole));
    let modulus = residue(&q());
    grid.free[row + INVERSE] = invert_or_zero(d * (d.square() - modulus.square()));
}

/// y + q satisfies the curve; a transcript would absorb another number.
#[test]
fn a_loaded_coordinate_is_below_q() {
    let mut rng = rng(5);
    let mut circuit = host(false);
    let chip = circuit.chip.clone();
    let point = random_point(&mut rng);
    chip.assign_point(circuit.builder.pool(0), point);
    let mut grid = chip.tape().grid().as_ref().clone();
    let row = FIRST_ROW;
    let y: BigInt = BigInt::from(integer_of(point.y)) + q();
    let (x, w) = (number(point.x), number(point.x.square()));
    let form = curve_equation(&x, &w, &Form::integer(&y));
    put(
        &mut grid,
        row + X_ROWS,
        FINISHED,
        &chunks(&y, NUMBER_CHUNKS),
    );
    put(&mut grid, row + X_ROWS, FINISH, &quotient_chunks(&form));
    grid.free[row + 1] = residue(&y);
    let checker = Checker::new(&circuit);
    let failure = checker.failure_near(&grid, row..row + 1);
    assert_eq!(failure.as_deref(), Some("y is below q: modulo r"));
    // q - 1 - y modulo r is a number, but not the right one modulo 2^68
    let r = BigInt::from(native_modulus());
    let rest: BigInt = ((q() - 1 - &y) % &r + &r) % &r;
    put(&mut grid, row, BELOW_Y, &chunks(&rest, NUMBER_CHUNKS));
    for carry in [Fr::zero(), Fr::one()] {
        grid.free[row + BEFORE] = carry;
        let failure = checker.failure_near(&grid, row..row + 1);
        assert_eq!(failure.as_deref(), Some("y is below q: low limb"));
    }
}
