// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Decides proofs of one halo2 circuit: KZG on BN254, SHPLONK, Keccak transcript.
/// @notice Answers true if `proof` shows that `inputs` satisfy the circuit, else false.
/// @dev Written by quorate's prover::solidity; do not edit.
/// Digest of the key description: 0x13d849b5e8af5782fa922217ed1374630e53c8bf3b527ec9d4fabd893b2b81e8.
/// The proof starts with the twelve limbs of an accumulator, the circuit's first public inputs, whose
/// claim is decided together with the proof.
/// Memory below holds the proof as it is hashed, so commitments and evaluations have fixed addresses;
/// the assembly never returns to Solidity and leaves the compiler's own memory alone until then.
contract FinalVerifier {
    // Order of the group, modulus of the scalars.
    uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    // Modulus of the coordinates.
    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

    // Addresses of challenges and intermediate values.
    uint256 private constant THETA = 0x0f00;
    uint256 private constant BETA = 0x0f20;
    uint256 private constant GAMMA = 0x0f40;
    uint256 private constant Y = 0x0f60;
    uint256 private constant X = 0x0f80;
    uint256 private constant SHPLONK_Y = 0x0fa0;
    uint256 private constant SHPLONK_V = 0x0fc0;
    uint256 private constant U = 0x0fe0;
    uint256 private constant FOLD = 0x1000;
    uint256 private constant X_POWER = 0x1020;
    uint256 private constant INSTANCE = 0x1040;
    uint256 private constant L_FIRST = 0x1060;
    uint256 private constant L_LAST = 0x1080;
    uint256 private constant L_ACTIVE = 0x10a0;
    uint256 private constant VALUES_SUM = 0x10c0;
    uint256 private constant SET_FACTOR = 0x10e0;

    function verify(uint256[13] calldata inputs, bytes calldata proof) external view returns (bool) {
        assembly {
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

            // The coordinate whose limbs start at `at`. The bits of the limbs do not overlap, so that it has
            // one form only; that it is below Q is checked with the point.
            function coordinate(at) -> value {
                let low := mload(at)
                let middle := mload(add(at, 0x20))
                let high := mload(add(at, 0x40))
                if or(or(shr(88, low), shr(88, middle)), shr(78, high)) { refuse() }
                value := or(or(low, shl(88, middle)), shl(176, high))
            }

            // 1 / denominator modulo R, as its power R - 2: the precompile of EIP-198.
            function inverted(denominator) -> inverse {
                mstore(0x2120, 0x20)
                mstore(add(0x2120, 0x20), 0x20)
                mstore(add(0x2120, 0x40), 0x20)
                mstore(add(0x2120, 0x60), denominator)
                mstore(add(0x2120, 0x80), sub(R, 2))
                mstore(add(0x2120, 0xa0), R)
                if iszero(staticcall(gas(), 0x05, 0x2120, 0xc0, 0x2120, 0x20)) { revert(0x00, 0x00) }
                inverse := mload(0x2120)
            }

            // Adds `factor` times the point behind the sum to the sum: the precompiles of EIP-196. Every point
            // has been checked, so that they fail for want of gas only, and a verdict of no never means that.
            function add_multiple(factor) {
                mstore(add(0x2120, 0x80), factor)
                let done := staticcall(gas(), 0x07, add(0x2120, 0x40), 0x60, add(0x2120, 0x40), 0x40)
                if iszero(and(done, staticcall(gas(), 0x06, 0x2120, 0x80, 0x2120, 0x40))) { revert(0x00, 0x00) }
            }

            // Adds a multiple of a point in memory.
            function add_stored(at, factor) {
                mstore(add(0x2120, 0x40), mload(at))
                mstore(add(0x2120, 0x60), mload(add(at, 0x20)))
                add_multiple(factor)
            }

            // Adds a multiple of a point of the key.
            function add_fixed(x, y, factor) {
                mstore(add(0x2120, 0x40), x)
                mstore(add(0x2120, 0x60), y)
                add_multiple(factor)
            }

            // The call is what an encoder of the ABI writes and nothing else: the proof follows the inputs, has
            // the length of every proof of this circuit, and is the end.
            if iszero(and(
                and(eq(inputs, 0x04), eq(proof.offset, 0x01e4)),
                and(eq(proof.length, 0x0be0), eq(calldatasize(), 0x0dc4))
            )) { refuse() }
            let from := 0x0364

            // The key's digest and the public inputs: what both sides know.
            mstore(0x0080, 0x220d2a061d5a4fbb5fec37589fb07351a5fd42f429930de9a8c34308497ae8f2)
            calldatacopy(0x00a0, 0x01e4, 0x0180)
            calldatacopy(0x0220, inputs, 0x01a0)
            check_scalars(0x00a0, 0x03c0)

            // Advice; then theta, which compresses the tuples of lookups.
            from := read(0x03c0, from, 0x0500)
            check_points(0x03c0, 0x0500)
            mstore(THETA, squeeze(0x0080, 0x0500))

            // A' and S' of each lookup; then beta and gamma of the permutation and the lookups.
            from := read(0x0520, from, 0x05a0)
            check_points(0x0520, 0x05a0)
            mstore(BETA, squeeze(0x0500, 0x05a0))
            mstore(GAMMA, squeeze_again(0x05a0))

            // Running products, the random polynomial; then y, which folds the constraints.
            from := read(0x05c0, from, 0x0740)
            check_points(0x05c0, 0x0740)
            mstore(Y, squeeze(0x05a0, 0x0740))

            // The pieces of the quotient h; then x, where everything is evaluated.
            from := read(0x0760, from, 0x0820)
            check_points(0x0760, 0x0820)
            mstore(X, squeeze(0x0740, 0x0820))

            // Evaluations: advice, fixed, random, permutation, products, lookups; then the two challenges of
            // SHPLONK, which fold polynomials opened at the same points, and sets of points.
            from := read(0x0840, from, 0x0e20)
            check_scalars(0x0840, 0x0e20)
            mstore(SHPLONK_Y, squeeze(0x0820, 0x0e20))
            mstore(SHPLONK_V, squeeze_again(0x0e20))

            // W; then u, where the opening is checked; W'.
            from := read(0x0e40, from, 0x0e80)
            check_points(0x0e40, 0x0e80)
            mstore(U, squeeze(0x0e20, 0x0e80))
            from := read(0x0ea0, from, 0x0ee0)
            check_points(0x0ea0, 0x0ee0)

            // The accumulator's challenge, behind everything it is to be independent of.
            mstore(FOLD, squeeze(0x0e80, 0x0ee0))

            // The accumulator: points lhs and rhs, not the identity, for which the circuit leaves open whether
            // e(lhs, [1]_2) = e(rhs, [s]_2).
            mstore(0x1120, coordinate(0x00a0))
            mstore(0x1140, coordinate(0x0100))
            mstore(0x1160, coordinate(0x0160))
            mstore(0x1180, coordinate(0x01c0))
            check_points(0x1120, 0x11a0)

            // T, the points something is opened at: x w^i, i the row; u less each of them.
            {
                let r := R
                let u := mload(U)
                let x := mload(X)
                // Row 0.
                mstore(0x1a60, addmod(u, sub(r, mulmod(x, 0x01, r)), r))
                // Row 1.
                mstore(0x1a80, addmod(u, sub(r, mulmod(x, 0x2a14464f1ff42de3856402b62520e670745e39fada049d5b2f0e1e3182673378, r)), r))
                // Row 2.
                mstore(0x1aa0, addmod(u, sub(r, mulmod(x, 0x0cf1526aaafac6bacbb67d11a4077806b123f767e4b0883d14cc0193568fc082, r)), r))
                // Row 3.
                mstore(0x1ac0, addmod(u, sub(r, mulmod(x, 0x157057e61fa68c20f015bccca35a72daa53b29abd151cfa1431a92029ece5c0e, r)), r))
                // Row 1048569.
                mstore(0x1ae0, addmod(u, sub(r, mulmod(x, 0x06ae3297064d9d1997906428c63f2864029508681b8d0123cb1b3d4b8f941598, r)), r))
                // Row 1048575.
                mstore(0x1b00, addmod(u, sub(r, mulmod(x, 0x220db0d8bf832baf9eecbf4fa49947e0b2a3d31df0a733ea5ae8abbdab442d5f, r)), r))
                // Z_(T\S_0)(u)
                let product := 1
                product := mulmod(product, mload(0x1ae0), r)
                product := mulmod(product, mload(0x1b00), r)
                mstore(0x15e0, product)
            }

            // The numbers to invert: x - w^i for the rows i from -(blinded + 1) to the last public input, x^n - 1
            // and x; behind them is already Z_(T\S_0)(u).
            {
                let r := R
                let x := mload(X)
                let row := 0x06ae3297064d9d1997906428c63f2864029508681b8d0123cb1b3d4b8f941598
                for { let at := 0x11a0 } lt(at, 0x15a0) { at := add(at, 0x20) } {
                    mstore(at, addmod(x, sub(r, row), r))
                    row := mulmod(row, 0x2a14464f1ff42de3856402b62520e670745e39fada049d5b2f0e1e3182673378, r)
                }
                let xn := x
                for { let i := 0 } lt(i, 20) { i := add(i, 1) } { xn := mulmod(xn, xn, r) }
                mstore(X_POWER, xn)
                mstore(0x15a0, addmod(xn, sub(r, 1), r))
                mstore(0x15c0, x)
                // One inversion for all: running products, the inverse of the last, and back.
                let product := 1
                for { let at := 0x11a0 } lt(at, 0x1600) { at := add(at, 0x20) } {
                    mstore(add(at, 0x0460), product)
                    product := mulmod(product, mload(at), r)
                }
                // Challenges that make one of them zero are refused.
                if iszero(product) { refuse() }
                let inverse := inverted(product)
                for { let at := 0x15e0 } gt(at, 0x1180) { at := sub(at, 0x20) } {
                    let denominator := mload(at)
                    mstore(at, mulmod(inverse, mload(add(at, 0x0460)), r))
                    inverse := mulmod(inverse, denominator, r)
                }
                // l_i(x) = w^i (x^n - 1) / (n (x - w^i))
                let factor := mulmod(mulmod(addmod(xn, sub(r, 1), r), 0x30644b6c9c4a72169e4daa317d25f04512ae15c53b34e8f5acd8e155d0a6c101, r), 0x06ae3297064d9d1997906428c63f2864029508681b8d0123cb1b3d4b8f941598, r)
                for { let at := 0x11a0 } lt(at, 0x15a0) { at := add(at, 0x20) } {
                    mstore(at, mulmod(factor, mload(at), r))
                    factor := mulmod(factor, 0x2a14464f1ff42de3856402b62520e670745e39fada049d5b2f0e1e3182673378, r)
                }
            }
            {
                // l_0, l_last, and 1 - (l_last + l_blind), which is one in the rows before the last.
                let r := R
                mstore(L_LAST, mload(0x11a0))
                mstore(L_FIRST, mload(0x1280))
                let ending := 0
                for { let at := 0x11a0 } lt(at, 0x1280) { at := add(at, 0x20) } {
                    ending := addmod(ending, mload(at), r)
                }
                mstore(L_ACTIVE, addmod(1, sub(r, ending), r))
                // The public inputs as a polynomial, at x: sum of v_i l_i(x).
                let sum := 0
                let value := 0x00a0
                for { let at := 0x1280 } lt(at, 0x15a0) { at := add(at, 0x20) } {
                    sum := addmod(sum, mulmod(mload(value), mload(at), r), r)
                    value := add(value, 0x20)
                }
                mstore(INSTANCE, sum)
            }

            // The constraints at x, folded with y: the numerator of h(x).
            {
                let r := R
                let y := mload(Y)
                let numerator := 0
                // Gates.
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x0aa0), addmod(addmod(mload(0x0840), mulmod(mload(0x0860), mload(0x0880), r), r), sub(r, mload(0x08a0)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x0ac0), addmod(addmod(mload(0x08c0), mulmod(mload(0x08e0), mload(0x0900), r), r), sub(r, mload(0x0920)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x0ae0), addmod(addmod(mload(0x0940), mulmod(mload(0x0960), mload(0x0980), r), r), sub(r, mload(0x09a0)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x0b00), addmod(addmod(mload(0x09c0), mulmod(mload(0x09e0), mload(0x0a00), r), r), sub(r, mload(0x0a20)), r), r), r)
                // Permutation: l_0 (1 - z_0), l_last (z^2 - z) of the last product,
                // l_0 (z_i - z_(i-1)(w^last x)) of the others.
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(1, sub(r, mload(0x0c20)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_LAST), addmod(mulmod(mload(0x0d40), mload(0x0d40), r), sub(r, mload(0x0d40)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(mload(0x0c80), sub(r, mload(0x0c60)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(mload(0x0ce0), sub(r, mload(0x0cc0)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(mload(0x0d40), sub(r, mload(0x0d20)), r), r), r)
                // (1 - (l_last + l_blind)) (z_i(w x) prod (p + beta sigma + gamma)
                //                           - z_i(x) prod (p + beta delta^j x + gamma))
                {
                    let label := mulmod(mload(BETA), mload(X), r)
                    {
                        let left := mload(0x0c40)
                        let right := mload(0x0c20)
                        {
                            // Fixed 1
                            let p := addmod(mload(0x0a60), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0b40), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        {
                            // Advice 0
                            let p := addmod(mload(0x0840), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0b60), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                    }
                    {
                        let left := mload(0x0ca0)
                        let right := mload(0x0c80)
                        {
                            // Advice 1
                            let p := addmod(mload(0x08c0), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0b80), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        {
                            // Advice 2
                            let p := addmod(mload(0x0940), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0ba0), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                    }
                    {
                        let left := mload(0x0d00)
                        let right := mload(0x0ce0)
                        {
                            // Advice 3
                            let p := addmod(mload(0x09c0), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0bc0), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        {
                            // Advice 4
                            let p := addmod(mload(0x0a40), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0be0), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                    }
                    {
                        let left := mload(0x0d60)
                        let right := mload(0x0d40)
                        {
                            // Instance 0
                            let p := addmod(mload(INSTANCE), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0c00), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                    }
                }
                // Lookup 0: l_0 (1 - z), l_last (z^2 - z),
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(1, sub(r, mload(0x0d80)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_LAST), addmod(mulmod(mload(0x0d80), mload(0x0d80), r), sub(r, mload(0x0d80)), r), r), r)
                // (1 - (l_last + l_blind)) (z(w x) (A' + beta) (S' + gamma)
                //                           - z(x) (A + beta) (S + gamma)),
                {
                    let compressed := 0
                    compressed := addmod(mulmod(compressed, mload(THETA), r), mload(0x0a40), r)
                    let right := mulmod(mload(0x0d80), addmod(compressed, mload(BETA), r), r)
                    compressed := 0
                    compressed := addmod(mulmod(compressed, mload(THETA), r), mload(0x0a80), r)
                    right := mulmod(right, addmod(compressed, mload(GAMMA), r), r)
                    let left := mulmod(mload(0x0da0), addmod(mload(0x0dc0), mload(BETA), r), r)
                    left := mulmod(left, addmod(mload(0x0e00), mload(GAMMA), r), r)
                    numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                }
                // l_0 (A' - S'), (1 - (l_last + l_blind)) (A' - S') (A' - A'(w^-1 x))
                {
                    let difference := addmod(mload(0x0dc0), sub(r, mload(0x0e00)), r)
                    numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), difference, r), r)
                    difference := mulmod(difference, addmod(mload(0x0dc0), sub(r, mload(0x0de0)), r), r)
                    numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), difference, r), r)
                }
                // h(x) = numerator / (x^n - 1)
                mstore(0x1100, mulmod(numerator, mload(0x15a0), r))
            }

            // SHPLONK: F = sum over sets j of v^j Z_(T\S_j)(u) / Z_(T\S_0)(u)
            //                 times sum over members i of y^i (C_i - r_i(u) G),
            // r_i(u) from the values by Lagrange interpolation on S_j. The first factor of all is one.
            mstore(VALUES_SUM, 0)
            mstore(SET_FACTOR, 1)
            // Set 0: rows 0, 1, 2, 3.
            {
                let r := R
                let scale := mload(0x15c0)
                scale := mulmod(scale, mload(0x15c0), r)
                scale := mulmod(scale, mload(0x15c0), r)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, mload(0x1aa0), r)
                    product := mulmod(product, mload(0x1ac0), r)
                    product := mulmod(product, 0x28a63d081bf6e448e0ce098cbb26c34062ec8725e8fcae58a9db64fe076da4e8, r)
                    mstore(0x1dc0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1aa0), r)
                    product := mulmod(product, mload(0x1ac0), r)
                    product := mulmod(product, 0x0fb989d4cb8acad20b4e548ea4f0b2105c261156e5c29c69bd4038b0856aad90, r)
                    mstore(0x1de0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, mload(0x1ac0), r)
                    product := mulmod(product, 0x0d2830358015cb6bf2b9448cd8c9be8ccaecc4489a65801d7c13d1041587b5ae, r)
                    mstore(0x1e00, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, mload(0x1aa0), r)
                    product := mulmod(product, 0x1b40a5d35acbc5cc91cae8c4ca217cdcc66873cb8a4e1642a4947c753d9ff7dc, r)
                    mstore(0x1e20, mulmod(product, scale, r))
                }
                let factor := 1
                let y := mload(SHPLONK_Y)
                // advice 0
                {
                    let value := mulmod(mload(0x0840), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x0860), mload(0x1de0), r), r)
                    value := addmod(value, mulmod(mload(0x0880), mload(0x1e00), r), r)
                    value := addmod(value, mulmod(mload(0x08a0), mload(0x1e20), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    mstore(0x2120, mload(0x03c0))
                    mstore(0x2140, mload(0x03e0))
                    factor := mulmod(factor, y, r)
                }
                // advice 1
                {
                    let value := mulmod(mload(0x08c0), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x08e0), mload(0x1de0), r), r)
                    value := addmod(value, mulmod(mload(0x0900), mload(0x1e00), r), r)
                    value := addmod(value, mulmod(mload(0x0920), mload(0x1e20), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0400, factor)
                    factor := mulmod(factor, y, r)
                }
                // advice 2
                {
                    let value := mulmod(mload(0x0940), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x0960), mload(0x1de0), r), r)
                    value := addmod(value, mulmod(mload(0x0980), mload(0x1e00), r), r)
                    value := addmod(value, mulmod(mload(0x09a0), mload(0x1e20), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0440, factor)
                    factor := mulmod(factor, y, r)
                }
                // advice 3
                {
                    let value := mulmod(mload(0x09c0), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x09e0), mload(0x1de0), r), r)
                    value := addmod(value, mulmod(mload(0x0a00), mload(0x1e00), r), r)
                    value := addmod(value, mulmod(mload(0x0a20), mload(0x1e20), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0480, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 1: rows 0.
            {
                let r := R
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, mload(0x1aa0), r)
                    product := mulmod(product, mload(0x1ac0), r)
                    product := mulmod(product, mload(0x1ae0), r)
                    product := mulmod(product, mload(0x1b00), r)
                    factor := mulmod(factor, mulmod(product, mload(0x15e0), r), r)
                }
                let y := mload(SHPLONK_Y)
                // advice 4
                {
                    let value := mload(0x0a40)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x04c0, factor)
                    factor := mulmod(factor, y, r)
                }
                // lookup 0, permuted table
                {
                    let value := mload(0x0e00)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0560, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 1
                {
                    let value := mload(0x0a60)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x27dc40467e57aecede7ff4a5085a3bf5513a81ee6e8c1b4530ade48b508fd516, 0x0ca11ac6640abc1cb81a4b850e0b0bf4fe82dd3e9869dd635ec651e0a903cf8a, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 0
                {
                    let value := mload(0x0a80)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2e4583fc88c84872febc7fe804e8ecfea38ddd6bd853238cf9a65ce3d64a768c, 0x294bcb17c04f9c97f604ccd1ec2f226136472f29a51f2f218d382d9e86e7beff, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 2
                {
                    let value := mload(0x0aa0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x27b532b30ad40da47f13c324e4ef94b80e12f0f341df542cb810e728b5f6a40b, 0x08e08d53363ed0990df2ee56c895593bbaf668defdd962df54c61669f59d324c, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 3
                {
                    let value := mload(0x0ac0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x028994abb9d226f9a90a8713246d5a986a426526c5faf7c40611db33b79547d8, 0x18973d22af29936ef8a04ada8510dc555b9ed146d9743eecaae9c0e2042054cf, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 4
                {
                    let value := mload(0x0ae0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2adb0d885413939f40e477ea1e3b2736b446304afae9f7ec6e8d98e49003c4d5, 0x1926f0036b44dc8de639bb9259c4daed2f80907c2c7ad18ed42632f4f539f1f7, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 5
                {
                    let value := mload(0x0b00)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x1cfaf84654a91a35a2e8f2123f1f03ece2ab26a6de84c51aade45917d5f16872, 0x088d3478a02314add1c5da5c51800af91329b7c94ffd1991eba14c6eec48bd84, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 0
                {
                    let value := mload(0x0b40)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x1102b49769996117a1d8b433d55fa793a0941069de128a8b81996e3fcbc33aeb, 0x088b633d1a58ff555b6a9e456d2e7d5747ed65fa1a193b605c975bec5ab51285, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 1
                {
                    let value := mload(0x0b60)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x217b4b2c3368e1c63d363f8ceabf0d45096e2340fa02119ccba5f005d294ae1b, 0x23479e35edc899fa0e55e55e87a0e78261bdcbbfee589c662acd21cccc0ee4fe, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 2
                {
                    let value := mload(0x0b80)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x142d9fb8b96aa2fe1c1f4acfc09d4e34f22e6ed625433e8d746c78686adac265, 0x1a870ee17e8ca7b7eb6fc61caef1b1d138bc32da85d289822f68a7d6a490ad20, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 3
                {
                    let value := mload(0x0ba0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x159b06ec2b240ad75f9595dc3acf328c8bc67475807f5580b606e1c16783f153, 0x2983a0f7b2be6a9bbe5f3087e4ef4a0cdccacf3d4034c3b31243681afd331839, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 4
                {
                    let value := mload(0x0bc0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x27ae43f42c27e2f79bbbc17eb1d8673ec9b160ad5f5ed9cd89558e5d2edb2ddc, 0x0e7c483eb289e1e3644e5966408c99413f4dfc762f81f05fbbe741fe4eba60f0, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 5
                {
                    let value := mload(0x0be0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x14556f876c13e9252ab0a7cdb7d58261759ee2dec4a65e9d3d32769f523aa2a4, 0x0212dd497d437b32d6d84e6fe73543dba09e2c20846ab95015a1866998d297, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 6
                {
                    let value := mload(0x0c00)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x23a2338f903a755e43fe3837bb0bc05a70f9f23c4a1a862b41b943f86bf2ac6c, 0x24afce1648576420099ad879ddcf836b2d98cfeaad9837735539a980ed1b828a, factor)
                    factor := mulmod(factor, y, r)
                }
                // quotient
                {
                    let value := mload(0x1100)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    let piece := factor
                    add_stored(0x0760, piece)
                    piece := mulmod(piece, mload(X_POWER), r)
                    add_stored(0x07a0, piece)
                    piece := mulmod(piece, mload(X_POWER), r)
                    add_stored(0x07e0, piece)
                    factor := mulmod(factor, y, r)
                }
                // random polynomial
                {
                    let value := mload(0x0b20)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0700, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 2: rows 0, 1, 1048569.
            {
                let r := R
                let scale := mload(0x15c0)
                scale := mulmod(scale, mload(0x15c0), r)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, mload(0x1ae0), r)
                    product := mulmod(product, 0x0a18c2efd3809e1d65d8a3834ba30f46b4ccb54c51540afdbf8a8c3326ee9ebb, r)
                    mstore(0x1dc0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1ae0), r)
                    product := mulmod(product, 0x2c379e5f2788a09b1a2ee76039c84b5f30ba8b0d80bf5751772d51b1f34d9cfa, r)
                    mstore(0x1de0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, 0x2a783b96c75a019af09900897d9756146ae09037215f7ed3510c0d42c5c3c44d, r)
                    mstore(0x1e00, mulmod(product, scale, r))
                }
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1aa0), r)
                    product := mulmod(product, mload(0x1ac0), r)
                    product := mulmod(product, mload(0x1b00), r)
                    factor := mulmod(factor, mulmod(product, mload(0x15e0), r), r)
                }
                let y := mload(SHPLONK_Y)
                // permutation product 0
                {
                    let value := mulmod(mload(0x0c20), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x0c40), mload(0x1de0), r), r)
                    value := addmod(value, mulmod(mload(0x0c60), mload(0x1e00), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x05c0, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation product 1
                {
                    let value := mulmod(mload(0x0c80), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x0ca0), mload(0x1de0), r), r)
                    value := addmod(value, mulmod(mload(0x0cc0), mload(0x1e00), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0600, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation product 2
                {
                    let value := mulmod(mload(0x0ce0), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x0d00), mload(0x1de0), r), r)
                    value := addmod(value, mulmod(mload(0x0d20), mload(0x1e00), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0640, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 3: rows 0, 1.
            {
                let r := R
                let scale := mload(0x15c0)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, 0x0a1a7e4ddd823f4f4b79c91d1cde0f7d0e2b10b6687b55f3be89b3225aae08ef, r)
                    mstore(0x1dc0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, 0x2649d02503af60da6cd67c9964a348e01a08d792113e1a9d855842719551f712, r)
                    mstore(0x1de0, mulmod(product, scale, r))
                }
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1aa0), r)
                    product := mulmod(product, mload(0x1ac0), r)
                    product := mulmod(product, mload(0x1ae0), r)
                    product := mulmod(product, mload(0x1b00), r)
                    factor := mulmod(factor, mulmod(product, mload(0x15e0), r), r)
                }
                let y := mload(SHPLONK_Y)
                // permutation product 3
                {
                    let value := mulmod(mload(0x0d40), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x0d60), mload(0x1de0), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0680, factor)
                    factor := mulmod(factor, y, r)
                }
                // lookup 0, product
                {
                    let value := mulmod(mload(0x0d80), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x0da0), mload(0x1de0), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x06c0, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 4: rows 0, 1048575.
            {
                let r := R
                let scale := mload(0x15c0)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b00), r)
                    product := mulmod(product, 0x2649d02503af60da6cd67c9964a348e01a08d792113e1a9d855842719551f713, r)
                    mstore(0x1dc0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, 0x0a1a7e4ddd823f4f4b79c91d1cde0f7d0e2b10b6687b55f3be89b3225aae08ee, r)
                    mstore(0x1de0, mulmod(product, scale, r))
                }
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, mload(0x1aa0), r)
                    product := mulmod(product, mload(0x1ac0), r)
                    product := mulmod(product, mload(0x1ae0), r)
                    factor := mulmod(factor, mulmod(product, mload(0x15e0), r), r)
                }
                let y := mload(SHPLONK_Y)
                // lookup 0, permuted input
                {
                    let value := mulmod(mload(0x0dc0), mload(0x1dc0), r)
                    value := addmod(value, mulmod(mload(0x0de0), mload(0x1de0), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0520, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            {
                let r := R
                // The values, then -Z_(S_0)(u) W and u W'.
                add_fixed(0x01, 0x02, addmod(0, sub(r, mload(VALUES_SUM)), r))
                let product := 1
                product := mulmod(product, mload(0x1a60), r)
                product := mulmod(product, mload(0x1a80), r)
                product := mulmod(product, mload(0x1aa0), r)
                product := mulmod(product, mload(0x1ac0), r)
                add_stored(0x0e40, addmod(0, sub(r, product), r))
                add_stored(0x0ea0, mload(U))
            }
            // With A = F + u W' - s W' the opening holds if and only if A is the identity, that is,
            // e(F + u W', [1]_2) e(W', -[s]_2) = 1.
            // The accumulator holds if and only if B = lhs - s rhs is the identity. Both are checked as
            // A + f B: f is drawn from a digest of all that A and B are computed from, so unless both are the
            // identity there is at most one f of R for which the sum is.
            add_stored(0x1120, mload(FOLD))
            mstore(0x21e0, mload(0x2120))
            mstore(0x2200, mload(0x2140))
            mstore(0x2220, 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2)
            mstore(0x2240, 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed)
            mstore(0x2260, 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b)
            mstore(0x2280, 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa)
            mstore(0x2120, mload(0x0ea0))
            mstore(0x2140, mload(0x0ec0))
            add_stored(0x1160, mload(FOLD))
            mstore(0x22a0, mload(0x2120))
            mstore(0x22c0, mload(0x2140))
            mstore(0x22e0, 0x2ee8113728978bdd168fb79cbd91268560a67d439c3b4c7695e12db988271c19)
            mstore(0x2300, 0x053ded416260cfe4c1b01c91985635fd16a7ccd24aeaf2ed06bce14c325d1caa)
            mstore(0x2320, 0x0e1022c013df26033df6c0c5694a838432f435b679bbf99bbec82728063b21b4)
            mstore(0x2340, 0x302a4327442aae23152984ed3c28d8db956a70e987a8280775781baf437698d9)
            // The precompile of EIP-197 answers 1 or 0.
            if iszero(staticcall(gas(), 0x08, 0x21e0, 0x0180, 0x00, 0x20)) { revert(0x00, 0x00) }
            return(0x00, 0x20)
        }
    }
}
