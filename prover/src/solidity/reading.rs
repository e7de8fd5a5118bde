//! The first part of the contract: reads the proof, checks every number, draws every challenge.
//!
//! Order of halo2-axiom 0.5.3 `plonk/verifier.rs::verify_proof` with snark-verifier's EVM transcript.
//! Nothing is computed before all of the proof is known to be canonical.

use super::memory::{Memory, POINT, WORD};
use super::shape::{COORDINATES, LIMB_BITS, Shape};
use super::text::{Text, hex, key_scalar};

/// Functions the rest of the contract calls. They use nothing but their arguments, constants, and
/// memory at addresses they are given.
const FUNCTIONS: &str = "\
// The verdict is no. A proof that is not valid never makes the call revert.
function refuse() {
    mstore(0x00, 0)
    return(0x00, 0x20)
}

// The proof's next bytes into memory.
function read(to, from, end) -> next {
    calldatacopy(to, from, sub(end, to))
    next := add(from, sub(end, to))
}

// Words from `at` to `end` are scalars: below R. Nothing is ever reduced.
function check_scalars(at, end) {
    let order := R
    let good := 1
    for {} lt(at, end) { at := add(at, 0x20) } { good := and(good, lt(mload(at), order)) }
    if iszero(good) { refuse() }
}

// Pairs of words from `at` to `end` are points: coordinates below Q, y^2 = x^3 + 3. The identity,
// (0, 0) to the precompiles, does not satisfy the equation. The group has cofactor one.
function check_points(at, end) {
    let modulus := Q
    let good := 1
    for {} lt(at, end) { at := add(at, 0x40) } {
        let x := mload(at)
        let y := mload(add(at, 0x20))
        let cube := mulmod(mulmod(x, x, modulus), x, modulus)
        good := and(good, and(lt(x, modulus), lt(y, modulus)))
        good := and(good, eq(mulmod(y, y, modulus), addmod(cube, 3, modulus)))
    }
    if iszero(good) { refuse() }
}

// A challenge: the digest of what lies from `at` to `end`, reduced modulo R (2^256 and R are so far
// apart that no residue is more than 6/5 as likely as another). The digest, unreduced, is where the
// next one starts.
function squeeze(at, end) -> challenge {
    let digest := keccak256(at, sub(end, at))
    mstore(end, digest)
    challenge := mod(digest, R)
}

// A challenge with nothing absorbed since the digest at `at`: a byte 1 is hashed with it. The byte
// behind the digest belongs to what is read next.
function squeeze_again(at) -> challenge {
    mstore8(add(at, 0x20), 1)
    let digest := keccak256(at, 0x21)
    mstore(at, digest)
    challenge := mod(digest, R)
}
";

/// Reads an accumulator's coordinate. Written only if there is one.
const COORDINATE: &str = "\
// The coordinate whose limbs start at `at`. The bits of the limbs do not overlap, so that it has
// one form only; that it is below Q is checked with the point.
function coordinate(at) -> value {
    let low := mload(at)
    let middle := mload(add(at, 0x20))
    let high := mload(add(at, 0x40))
    if or(or(shr(LOW, low), shr(MIDDLE, middle)), shr(HIGH, high)) { refuse() }
    value := or(or(low, shl(LOW, middle)), shl(ABOVE, high))
}
";

/// The signature of `verify` has this many bytes before the inputs.
const SELECTOR: usize = 4;

/// Calldata before the proof: selector, inputs, the proof's offset and length.
pub(super) fn proof_offset(shape: &Shape<'_>) -> usize {
    SELECTOR + shape.inputs * WORD + 2 * WORD
}

/// The functions.
pub(super) fn write_functions(text: &mut Text, shape: &Shape<'_>) {
    text.lines(FUNCTIONS);
    if shape.limbs > 0 {
        let [low, middle, high] = LIMB_BITS;
        let coordinate = COORDINATE
            .replace("LOW", &low.to_string())
            .replace("MIDDLE", &middle.to_string())
            .replace("HIGH", &high.to_string())
            .replace("ABOVE", &(low + middle).to_string());
        text.line("");
        text.lines(&coordinate);
    }
}

/// The part itself.
pub(super) fn write(text: &mut Text, shape: &Shape<'_>, memory: &Memory) {
    write_call_check(text, shape);
    let mut reader = Reader { text, memory };
    reader.text.line(format!(
        "let from := {}",
        hex(proof_offset(shape) + shape.limbs * WORD)
    ));
    reader.public_inputs(shape);
    reader.commitments(shape);
    reader.evaluations();
    reader.opening(shape);
    if shape.limbs > 0 {
        reader.accumulator();
    }
}

/// The call has one form, so that everything lies at fixed places.
fn write_call_check(text: &mut Text, shape: &Shape<'_>) {
    let offset = proof_offset(shape);
    let length = shape.limbs * WORD + shape.key.proof_bytes();
    text.lines(&format!(
        "\
// The call is what an encoder of the ABI writes and nothing else: the proof follows the inputs, has
// the length of every proof of this circuit, and is the end.
if iszero(and(
    and(eq(inputs, {SELECTOR:#04x}), eq(proof.offset, {offset})),
    and(eq(proof.length, {length}), eq(calldatasize(), {end}))
)) {{ refuse() }}
",
        offset = hex(offset),
        length = hex(length),
        end = hex(offset + length),
    ));
}

struct Reader<'a> {
    text: &'a mut Text,
    memory: &'a Memory,
}

impl Reader<'_> {
    fn points(&mut self, at: usize, end: usize) {
        if at < end {
            let (at, end) = (hex(at), hex(end));
            self.text.line(format!("from := read({at}, from, {end})"));
            self.text.line(format!("check_points({at}, {end})"));
        }
    }

    fn scalars(&mut self, at: usize, end: usize) {
        let (at, end) = (hex(at), hex(end));
        self.text.line(format!("from := read({at}, from, {end})"));
        self.text.line(format!("check_scalars({at}, {end})"));
    }

    fn draw(&mut self, name: &str, at: usize, end: usize) {
        let call = if at + WORD >= end {
            format!("squeeze_again({})", hex(at))
        } else {
            format!("squeeze({}, {})", hex(at), hex(end))
        };
        self.text.line(format!("mstore({name}, {call})"));
    }

    fn public_inputs(&mut self, shape: &Shape<'_>) {
        let Memory {
            key,
            limbs,
            inputs,
            advice,
            ..
        } = *self.memory;
        let digest = key_scalar(&shape.parts.transcript_repr);
        self.text.lines(&format!(
            "
// The key's digest and the public inputs: what both sides know.
mstore({}, {digest})",
            hex(key)
        ));
        if shape.limbs > 0 {
            self.text.line(format!(
                "calldatacopy({}, {}, {})",
                hex(limbs),
                hex(proof_offset(shape)),
                hex(inputs - limbs)
            ));
        }
        self.text.line(format!(
            "calldatacopy({}, inputs, {})",
            hex(inputs),
            hex(advice - inputs)
        ));
        self.text
            .line(format!("check_scalars({}, {})", hex(limbs), hex(advice)));
    }

    fn commitments(&mut self, shape: &Shape<'_>) {
        let memory = self.memory;
        self.text
            .lines("\n// Advice; then theta, which compresses the tuples of lookups.");
        self.points(memory.advice, memory.theta_digest);
        self.draw("THETA", memory.key, memory.theta_digest);

        self.text.lines(
            "\n// A' and S' of each lookup; then beta and gamma of the permutation and the lookups.",
        );
        let permuted_end = memory.permuted + 2 * POINT * shape.parts.lookups.len();
        self.points(memory.permuted, permuted_end);
        self.draw("BETA", memory.theta_digest, permuted_end);
        self.draw("GAMMA", memory.gamma_digest, memory.gamma_digest);

        self.text.lines(
            "\n// Running products, the random polynomial; then y, which folds the constraints.",
        );
        self.points(memory.products, memory.y_digest);
        self.draw("Y", memory.gamma_digest, memory.y_digest);

        self.text
            .lines("\n// The pieces of the quotient h; then x, where everything is evaluated.");
        self.points(memory.quotient, memory.x_digest);
        self.draw("X", memory.y_digest, memory.x_digest);
    }

    fn evaluations(&mut self) {
        let memory = self.memory;
        self.text.lines(
            "
// Evaluations: advice, fixed, random, permutation, products, lookups; then the two challenges of
// SHPLONK, which fold polynomials opened at the same points, and sets of points.",
        );
        self.scalars(memory.advice_values, memory.openings_digest);
        self.draw("SHPLONK_Y", memory.x_digest, memory.openings_digest);
        self.draw("SHPLONK_V", memory.openings_digest, memory.openings_digest);
    }

    fn opening(&mut self, shape: &Shape<'_>) {
        let memory = self.memory;
        self.text
            .lines("\n// W; then u, where the opening is checked; W'.");
        self.points(memory.w, memory.u_digest);
        self.draw("U", memory.openings_digest, memory.u_digest);
        self.points(memory.w_prime, memory.end);
        if shape.limbs > 0 {
            self.text.lines(
                "\n// The accumulator's challenge, behind everything it is to be independent of.",
            );
            self.draw("FOLD", memory.u_digest, memory.end);
        }
    }

    fn accumulator(&mut self) {
        let Memory {
            limbs, accumulator, ..
        } = *self.memory;
        self.text.lines(
            "
// The accumulator: points lhs and rhs, not the identity, for which the circuit leaves open whether
// e(lhs, [1]_2) = e(rhs, [s]_2).",
        );
        for position in 0..COORDINATES {
            self.text.line(format!(
                "mstore({}, coordinate({}))",
                hex(accumulator + position * WORD),
                hex(limbs + position * LIMB_BITS.len() * WORD)
            ));
        }
        self.text.line(format!(
            "check_points({}, {})",
            hex(accumulator),
            hex(accumulator + 2 * POINT)
        ));
    }
}
