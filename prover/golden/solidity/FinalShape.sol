// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Decides proofs of one halo2 circuit: KZG on BN254, SHPLONK, Keccak transcript.
/// @notice Answers true if `proof` shows that `inputs` satisfy the circuit, else false.
/// @dev Written by quorate's prover::solidity; do not edit.
/// Digest of the key description: 0x09c6ec1fa8ab2db1ee79f5e9b940449ca3196d84246db64370562016f5c8fee2.
/// The proof starts with the twelve limbs of an accumulator, the circuit's first public inputs, whose
/// claim is decided together with the proof.
/// Memory below holds the proof as it is hashed, so commitments and evaluations have fixed addresses;
/// the assembly never returns to Solidity and leaves the compiler's own memory alone until then.
contract FinalShape {
    // Order of the group, modulus of the scalars.
    uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    // Modulus of the coordinates.
    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

    // Addresses of challenges and intermediate values.
    uint256 private constant THETA = 0x0fa0;
    uint256 private constant BETA = 0x0fc0;
    uint256 private constant GAMMA = 0x0fe0;
    uint256 private constant Y = 0x1000;
    uint256 private constant X = 0x1020;
    uint256 private constant SHPLONK_Y = 0x1040;
    uint256 private constant SHPLONK_V = 0x1060;
    uint256 private constant U = 0x1080;
    uint256 private constant FOLD = 0x10a0;
    uint256 private constant X_POWER = 0x10c0;
    uint256 private constant INSTANCE = 0x10e0;
    uint256 private constant L_FIRST = 0x1100;
    uint256 private constant L_LAST = 0x1120;
    uint256 private constant L_ACTIVE = 0x1140;
    uint256 private constant VALUES_SUM = 0x1160;
    uint256 private constant SET_FACTOR = 0x1180;

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
                mstore(0x2300, 0x20)
                mstore(add(0x2300, 0x20), 0x20)
                mstore(add(0x2300, 0x40), 0x20)
                mstore(add(0x2300, 0x60), denominator)
                mstore(add(0x2300, 0x80), sub(R, 2))
                mstore(add(0x2300, 0xa0), R)
                if iszero(staticcall(gas(), 0x05, 0x2300, 0xc0, 0x2300, 0x20)) { revert(0x00, 0x00) }
                inverse := mload(0x2300)
            }

            // Adds `factor` times the point behind the sum to the sum: the precompiles of EIP-196. Every point
            // has been checked, so that they fail for want of gas only, and a verdict of no never means that.
            function add_multiple(factor) {
                mstore(add(0x2300, 0x80), factor)
                let done := staticcall(gas(), 0x07, add(0x2300, 0x40), 0x60, add(0x2300, 0x40), 0x40)
                if iszero(and(done, staticcall(gas(), 0x06, 0x2300, 0x80, 0x2300, 0x40))) { revert(0x00, 0x00) }
            }

            // Adds a multiple of a point in memory.
            function add_stored(at, factor) {
                mstore(add(0x2300, 0x40), mload(at))
                mstore(add(0x2300, 0x60), mload(add(at, 0x20)))
                add_multiple(factor)
            }

            // Adds a multiple of a point of the key.
            function add_fixed(x, y, factor) {
                mstore(add(0x2300, 0x40), x)
                mstore(add(0x2300, 0x60), y)
                add_multiple(factor)
            }

            // The call is what an encoder of the ABI writes and nothing else: the proof follows the inputs, has
            // the length of every proof of this circuit, and is the end.
            if iszero(and(
                and(eq(inputs, 0x04), eq(proof.offset, 0x01e4)),
                and(eq(proof.length, 0x0c80), eq(calldatasize(), 0x0e64))
            )) { refuse() }
            let from := 0x0364

            // The key's digest and the public inputs: what both sides know.
            mstore(0x0080, 0x1f6001d2b0e2e95f83ba2017545736e6890e9b2abac3d4f7f3f2e5e10dce97f0)
            calldatacopy(0x00a0, 0x01e4, 0x0180)
            calldatacopy(0x0220, inputs, 0x01a0)
            check_scalars(0x00a0, 0x03c0)

            // Advice; then theta, which compresses the tuples of lookups.
            from := read(0x03c0, from, 0x0540)
            check_points(0x03c0, 0x0540)
            mstore(THETA, squeeze(0x0080, 0x0540))

            // A' and S' of each lookup; then beta and gamma of the permutation and the lookups.
            from := read(0x0560, from, 0x05e0)
            check_points(0x0560, 0x05e0)
            mstore(BETA, squeeze(0x0540, 0x05e0))
            mstore(GAMMA, squeeze_again(0x05e0))

            // Running products, the random polynomial; then y, which folds the constraints.
            from := read(0x0600, from, 0x0740)
            check_points(0x0600, 0x0740)
            mstore(Y, squeeze(0x05e0, 0x0740))

            // The pieces of the quotient h; then x, where everything is evaluated.
            from := read(0x0760, from, 0x0860)
            check_points(0x0760, 0x0860)
            mstore(X, squeeze(0x0740, 0x0860))

            // Evaluations: advice, fixed, random, permutation, products, lookups; then the two challenges of
            // SHPLONK, which fold polynomials opened at the same points, and sets of points.
            from := read(0x0880, from, 0x0ec0)
            check_scalars(0x0880, 0x0ec0)
            mstore(SHPLONK_Y, squeeze(0x0860, 0x0ec0))
            mstore(SHPLONK_V, squeeze_again(0x0ec0))

            // W; then u, where the opening is checked; W'.
            from := read(0x0ee0, from, 0x0f20)
            check_points(0x0ee0, 0x0f20)
            mstore(U, squeeze(0x0ec0, 0x0f20))
            from := read(0x0f40, from, 0x0f80)
            check_points(0x0f40, 0x0f80)

            // The accumulator's challenge, behind everything it is to be independent of.
            mstore(FOLD, squeeze(0x0f20, 0x0f80))

            // The accumulator: points lhs and rhs, not the identity, for which the circuit leaves open whether
            // e(lhs, [1]_2) = e(rhs, [s]_2).
            mstore(0x11c0, coordinate(0x00a0))
            mstore(0x11e0, coordinate(0x0100))
            mstore(0x1200, coordinate(0x0160))
            mstore(0x1220, coordinate(0x01c0))
            check_points(0x11c0, 0x1240)

            // T, the points something is opened at: x w^i, i the row; u less each of them.
            {
                let r := R
                let u := mload(U)
                let x := mload(X)
                // Row 0.
                mstore(0x1b00, addmod(u, sub(r, mulmod(x, 0x01, r)), r))
                // Row 1.
                mstore(0x1b20, addmod(u, sub(r, mulmod(x, 0x1c4c3a258629905ef6036a4037c3aa6ae18d1d2452d64bd2684cfa8ede70fdc7, r)), r))
                // Row 2.
                mstore(0x1b40, addmod(u, sub(r, mulmod(x, 0x09c532c6306b93d29678200d47c0b2a99c18d51b838eeb1d3eed4c533bb512d0, r)), r))
                // Row 3.
                mstore(0x1b60, addmod(u, sub(r, mulmod(x, 0x18c482c8ee14065e620fa2a5df9eeb5cea344fbae45ce443a771ec1ea70f079b, r)), r))
                // Row 57.
                mstore(0x1b80, addmod(u, sub(r, mulmod(x, 0x1331db5ea839337cca3fbbe623dbeea504e58b3ed7ef59ad1afd7b9d8a0113cf, r)), r))
                // Row 63.
                mstore(0x1ba0, addmod(u, sub(r, mulmod(x, 0x0a4cd1802e9062efb4f3694119d8b1e65030515c5c875ca2cb138b8879c29672, r)), r))
                // Z_(T\S_0)(u)
                let product := 1
                product := mulmod(product, mload(0x1b80), r)
                product := mulmod(product, mload(0x1ba0), r)
                mstore(0x1680, product)
            }

            // The numbers to invert: x - w^i for the rows i from -(blinded + 1) to the last public input, x^n - 1
            // and x; behind them is already Z_(T\S_0)(u).
            {
                let r := R
                let x := mload(X)
                let row := 0x1331db5ea839337cca3fbbe623dbeea504e58b3ed7ef59ad1afd7b9d8a0113cf
                for { let at := 0x1240 } lt(at, 0x1640) { at := add(at, 0x20) } {
                    mstore(at, addmod(x, sub(r, row), r))
                    row := mulmod(row, 0x1c4c3a258629905ef6036a4037c3aa6ae18d1d2452d64bd2684cfa8ede70fdc7, r)
                }
                let xn := x
                for { let i := 0 } lt(i, 6) { i := add(i, 1) } { xn := mulmod(xn, xn, r) }
                mstore(X_POWER, xn)
                mstore(0x1640, addmod(xn, sub(r, 1), r))
                mstore(0x1660, x)
                // One inversion for all: running products, the inverse of the last, and back.
                let product := 1
                for { let at := 0x1240 } lt(at, 0x16a0) { at := add(at, 0x20) } {
                    mstore(add(at, 0x0460), product)
                    product := mulmod(product, mload(at), r)
                }
                // Challenges that make one of them zero are refused.
                if iszero(product) { refuse() }
                let inverse := inverted(product)
                for { let at := 0x1680 } gt(at, 0x1220) { at := sub(at, 0x20) } {
                    let denominator := mload(at)
                    mstore(at, mulmod(inverse, mload(add(at, 0x0460)), r))
                    inverse := mulmod(inverse, denominator, r)
                }
                // l_i(x) = w^i (x^n - 1) / (n (x - w^i))
                let factor := mulmod(mulmod(addmod(xn, sub(r, 1), r), 0x2fa2bd3915acd9a9116f049fa77b52fbb39318a757d28acefed26dbda0400001, r), 0x1331db5ea839337cca3fbbe623dbeea504e58b3ed7ef59ad1afd7b9d8a0113cf, r)
                for { let at := 0x1240 } lt(at, 0x1640) { at := add(at, 0x20) } {
                    mstore(at, mulmod(factor, mload(at), r))
                    factor := mulmod(factor, 0x1c4c3a258629905ef6036a4037c3aa6ae18d1d2452d64bd2684cfa8ede70fdc7, r)
                }
            }
            {
                // l_0, l_last, and 1 - (l_last + l_blind), which is one in the rows before the last.
                let r := R
                mstore(L_LAST, mload(0x1240))
                mstore(L_FIRST, mload(0x1320))
                let ending := 0
                for { let at := 0x1240 } lt(at, 0x1320) { at := add(at, 0x20) } {
                    ending := addmod(ending, mload(at), r)
                }
                mstore(L_ACTIVE, addmod(1, sub(r, ending), r))
                // The public inputs as a polynomial, at x: sum of v_i l_i(x).
                let sum := 0
                let value := 0x00a0
                for { let at := 0x1320 } lt(at, 0x1640) { at := add(at, 0x20) } {
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
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x0b60), addmod(addmod(mload(0x0880), mulmod(mload(0x0940), mload(0x0960), r), r), sub(r, mload(0x0980)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x0b80), addmod(addmod(mload(0x08a0), mulmod(mload(0x09a0), mload(0x09c0), r), r), sub(r, mload(0x09e0)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x0ba0), addmod(addmod(mload(0x08c0), mulmod(mload(0x0a00), mload(0x0a20), r), r), sub(r, mload(0x0a40)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x0bc0), addmod(addmod(mload(0x08e0), mulmod(mload(0x0a60), mload(0x0a80), r), r), sub(r, mload(0x0aa0)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x0be0), addmod(addmod(mload(0x0900), mulmod(mload(0x0ac0), mload(0x0ae0), r), r), sub(r, mload(0x0b00)), r), r), r)
                // Permutation: l_0 (1 - z_0), l_last (z^2 - z) of the last product,
                // l_0 (z_i - z_(i-1)(w^last x)) of the others.
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(1, sub(r, mload(0x0d20)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_LAST), addmod(mulmod(mload(0x0de0), mload(0x0de0), r), sub(r, mload(0x0de0)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(mload(0x0d80), sub(r, mload(0x0d60)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(mload(0x0de0), sub(r, mload(0x0dc0)), r), r), r)
                // (1 - (l_last + l_blind)) (z_i(w x) prod (p + beta sigma + gamma)
                //                           - z_i(x) prod (p + beta delta^j x + gamma))
                {
                    let label := mulmod(mload(BETA), mload(X), r)
                    {
                        let left := mload(0x0d40)
                        let right := mload(0x0d20)
                        {
                            // Advice 0
                            let p := addmod(mload(0x0880), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0c20), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        {
                            // Advice 1
                            let p := addmod(mload(0x08a0), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0c40), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        {
                            // Advice 2
                            let p := addmod(mload(0x08c0), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0c60), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                    }
                    {
                        let left := mload(0x0da0)
                        let right := mload(0x0d80)
                        {
                            // Advice 3
                            let p := addmod(mload(0x08e0), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0c80), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        {
                            // Advice 4
                            let p := addmod(mload(0x0900), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0ca0), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        {
                            // Advice 5
                            let p := addmod(mload(0x0920), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0cc0), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                    }
                    {
                        let left := mload(0x0e00)
                        let right := mload(0x0de0)
                        {
                            // Fixed 1
                            let p := addmod(mload(0x0b20), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0ce0), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        {
                            // Instance 0
                            let p := addmod(mload(INSTANCE), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0d00), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                    }
                }
                // Lookup 0: l_0 (1 - z), l_last (z^2 - z),
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(1, sub(r, mload(0x0e20)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_LAST), addmod(mulmod(mload(0x0e20), mload(0x0e20), r), sub(r, mload(0x0e20)), r), r), r)
                // (1 - (l_last + l_blind)) (z(w x) (A' + beta) (S' + gamma)
                //                           - z(x) (A + beta) (S + gamma)),
                {
                    let compressed := 0
                    compressed := addmod(mulmod(compressed, mload(THETA), r), mload(0x0920), r)
                    let right := mulmod(mload(0x0e20), addmod(compressed, mload(BETA), r), r)
                    compressed := 0
                    compressed := addmod(mulmod(compressed, mload(THETA), r), mload(0x0b40), r)
                    right := mulmod(right, addmod(compressed, mload(GAMMA), r), r)
                    let left := mulmod(mload(0x0e40), addmod(mload(0x0e60), mload(BETA), r), r)
                    left := mulmod(left, addmod(mload(0x0ea0), mload(GAMMA), r), r)
                    numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                }
                // l_0 (A' - S'), (1 - (l_last + l_blind)) (A' - S') (A' - A'(w^-1 x))
                {
                    let difference := addmod(mload(0x0e60), sub(r, mload(0x0ea0)), r)
                    numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), difference, r), r)
                    difference := mulmod(difference, addmod(mload(0x0e60), sub(r, mload(0x0e80)), r), r)
                    numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), difference, r), r)
                }
                // h(x) = numerator / (x^n - 1)
                mstore(0x11a0, mulmod(numerator, mload(0x1640), r))
            }

            // SHPLONK: F = sum over sets j of v^j Z_(T\S_j)(u) / Z_(T\S_0)(u)
            //                 times sum over members i of y^i (C_i - r_i(u) G),
            // r_i(u) from the values by Lagrange interpolation on S_j. The first factor of all is one.
            mstore(VALUES_SUM, 0)
            mstore(SET_FACTOR, 1)
            // Set 0: rows 0, 1, 2, 3.
            {
                let r := R
                let scale := mload(0x1660)
                scale := mulmod(scale, mload(0x1660), r)
                scale := mulmod(scale, mload(0x1660), r)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b20), r)
                    product := mulmod(product, mload(0x1b40), r)
                    product := mulmod(product, mload(0x1b60), r)
                    product := mulmod(product, 0x2659315311e7ec2ef68808a0fb78675e706e64718ab84592be42bd0220ae7c50, r)
                    mstore(0x1f00, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b00), r)
                    product := mulmod(product, mload(0x1b40), r)
                    product := mulmod(product, mload(0x1b60), r)
                    product := mulmod(product, 0x1ab26cbc87643458355a5fc0e86177d7c8db820f6e55e5cf0fbdadc19d91cdd8, r)
                    mstore(0x1f20, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b00), r)
                    product := mulmod(product, mload(0x1b20), r)
                    product := mulmod(product, mload(0x1b60), r)
                    product := mulmod(product, 0x06966b0d01dfa3d7e8db3c12177e128387d922023b17e8ad9030825d127235d9, r)
                    mstore(0x1f40, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b00), r)
                    product := mulmod(product, mload(0x1b20), r)
                    product := mulmod(product, mload(0x1b40), r)
                    product := mulmod(product, 0x192693c927377bf45be2e6f907aabf008f44c80dbf4ccd132992fe070f4d8001, r)
                    mstore(0x1f60, mulmod(product, scale, r))
                }
                let factor := 1
                let y := mload(SHPLONK_Y)
                // advice 0
                {
                    let value := mulmod(mload(0x0880), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x0940), mload(0x1f20), r), r)
                    value := addmod(value, mulmod(mload(0x0960), mload(0x1f40), r), r)
                    value := addmod(value, mulmod(mload(0x0980), mload(0x1f60), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    mstore(0x2300, mload(0x03c0))
                    mstore(0x2320, mload(0x03e0))
                    factor := mulmod(factor, y, r)
                }
                // advice 1
                {
                    let value := mulmod(mload(0x08a0), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x09a0), mload(0x1f20), r), r)
                    value := addmod(value, mulmod(mload(0x09c0), mload(0x1f40), r), r)
                    value := addmod(value, mulmod(mload(0x09e0), mload(0x1f60), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0400, factor)
                    factor := mulmod(factor, y, r)
                }
                // advice 2
                {
                    let value := mulmod(mload(0x08c0), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x0a00), mload(0x1f20), r), r)
                    value := addmod(value, mulmod(mload(0x0a20), mload(0x1f40), r), r)
                    value := addmod(value, mulmod(mload(0x0a40), mload(0x1f60), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0440, factor)
                    factor := mulmod(factor, y, r)
                }
                // advice 3
                {
                    let value := mulmod(mload(0x08e0), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x0a60), mload(0x1f20), r), r)
                    value := addmod(value, mulmod(mload(0x0a80), mload(0x1f40), r), r)
                    value := addmod(value, mulmod(mload(0x0aa0), mload(0x1f60), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0480, factor)
                    factor := mulmod(factor, y, r)
                }
                // advice 4
                {
                    let value := mulmod(mload(0x0900), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x0ac0), mload(0x1f20), r), r)
                    value := addmod(value, mulmod(mload(0x0ae0), mload(0x1f40), r), r)
                    value := addmod(value, mulmod(mload(0x0b00), mload(0x1f60), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x04c0, factor)
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
                    product := mulmod(product, mload(0x1b20), r)
                    product := mulmod(product, mload(0x1b40), r)
                    product := mulmod(product, mload(0x1b60), r)
                    product := mulmod(product, mload(0x1b80), r)
                    product := mulmod(product, mload(0x1ba0), r)
                    factor := mulmod(factor, mulmod(product, mload(0x1680), r), r)
                }
                let y := mload(SHPLONK_Y)
                // advice 5
                {
                    let value := mload(0x0920)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0500, factor)
                    factor := mulmod(factor, y, r)
                }
                // lookup 0, permuted table
                {
                    let value := mload(0x0ea0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x05a0, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 1
                {
                    let value := mload(0x0b20)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x23c9c05bed9eb4c94a30e23f2f4762e4c7e41f0b9183fa75324b04ba01e19729, 0x204fea7ac4012324841035f1caabbbed82b78c5b138490ddf28ba0570f3f278f, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 0
                {
                    let value := mload(0x0b40)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2d76de72a7392eed44d71758f7ecf69a0db571404ae1d926c878aafd51233feb, 0x1370fafa2d383215da9ff99d06253bbdf62b8a4442ced04c49fe5fc70e780f29, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 2
                {
                    let value := mload(0x0b60)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2753890b5b493feed4b8e0b3f0606affd7065e45cad6216a02c6b39a77df619b, 0x05db07d7259103adf6a9bd7a4e34ddf023ab5a6190c28aa4b4547517f545cb88, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 3
                {
                    let value := mload(0x0b80)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2753890b5b493feed4b8e0b3f0606affd7065e45cad6216a02c6b39a77df619b, 0x05db07d7259103adf6a9bd7a4e34ddf023ab5a6190c28aa4b4547517f545cb88, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 4
                {
                    let value := mload(0x0ba0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2753890b5b493feed4b8e0b3f0606affd7065e45cad6216a02c6b39a77df619b, 0x05db07d7259103adf6a9bd7a4e34ddf023ab5a6190c28aa4b4547517f545cb88, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 5
                {
                    let value := mload(0x0bc0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2753890b5b493feed4b8e0b3f0606affd7065e45cad6216a02c6b39a77df619b, 0x05db07d7259103adf6a9bd7a4e34ddf023ab5a6190c28aa4b4547517f545cb88, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 6
                {
                    let value := mload(0x0be0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2753890b5b493feed4b8e0b3f0606affd7065e45cad6216a02c6b39a77df619b, 0x05db07d7259103adf6a9bd7a4e34ddf023ab5a6190c28aa4b4547517f545cb88, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 0
                {
                    let value := mload(0x0c20)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x01dfb73b9819ee0aa628c22db810c8841d6a68c76b0a0ad1e05ab4db1f47d04b, 0x10c7109527ef981c5bff804c7ee538c03b98b701ad6d183ac024ea85b82fbdad, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 1
                {
                    let value := mload(0x0c40)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x302708414fd916b4a3c5a909ace6543f0f968c59a1df3500fd1156a2f4446f48, 0x1b3467bc7c7dfb2e477ad13e02e0739ab2d32ed1eb7fcf9386133f5b3775cd97, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 2
                {
                    let value := mload(0x0c60)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x7a6e17a9a8680544ee48d2675638cfcf76314b3947efd2996e22b5c2685116, 0x169fe203250f3b88f2be24e62e8f3f8cb97a8586c536fd7ab67151a20730372b, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 3
                {
                    let value := mload(0x0c80)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2c362d4fed8264487688a26f5868762f04405440fe94999342618b838169459c, 0x20a285e3537cc949a841355d346e114ecd2dd5a8e09d4c2a3652883824c80fdf, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 4
                {
                    let value := mload(0x0ca0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x066fb3e7acd8771a3ab162e68d78ec5659e922b4208882f66bf41c4f61a83833, 0x1175c44a0a6ab5b26f16039d09ae7ff2d83458fe6b14d5843e530fc68e898fb9, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 5
                {
                    let value := mload(0x0cc0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x23ca0907ca6888013ccedd4b978865001b2d870776a0a50e44678a0c74c3a784, 0x2f5100c3799ebf135af2b2b020a81b0f3465836b4f1df2c6b06fa8da6f02dad2, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 6
                {
                    let value := mload(0x0ce0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x1149e58e5456b93eb718d0ad26b4c14cb2aa3ba74f6fbe9a7ac8ec54fc1f2e61, 0x148f6dc4c4fe952a61cd7daa3aa18962832a734c5023766c2cb7993244bdb49a, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 7
                {
                    let value := mload(0x0d00)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x1755b6a56525c48670dc6a25a165fec6a860f9c57151edcce2aa75b0d2a8086f, 0x05762d04bb3874f00796725be7e692d35fdfbfd1a862f3eb58a4755e7f2e915b, factor)
                    factor := mulmod(factor, y, r)
                }
                // quotient
                {
                    let value := mload(0x11a0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    let piece := factor
                    add_stored(0x0760, piece)
                    piece := mulmod(piece, mload(X_POWER), r)
                    add_stored(0x07a0, piece)
                    piece := mulmod(piece, mload(X_POWER), r)
                    add_stored(0x07e0, piece)
                    piece := mulmod(piece, mload(X_POWER), r)
                    add_stored(0x0820, piece)
                    factor := mulmod(factor, y, r)
                }
                // random polynomial
                {
                    let value := mload(0x0c00)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0700, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 2: rows 0, 1, 57.
            {
                let r := R
                let scale := mload(0x1660)
                scale := mulmod(scale, mload(0x1660), r)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b20), r)
                    product := mulmod(product, mload(0x1b80), r)
                    product := mulmod(product, 0x19e5317acae3eed32293d913652b42633d058cb6d649133049701aae1c81202e, r)
                    mstore(0x1f00, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b00), r)
                    product := mulmod(product, mload(0x1b80), r)
                    product := mulmod(product, 0x227df2e0e67ec802e9bf1ff3976c2e9b891d78560e48a1feeee1b78765b1e1bb, r)
                    mstore(0x1f20, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b00), r)
                    product := mulmod(product, mload(0x1b20), r)
                    product := mulmod(product, 0x2465788a1100897d644d9266066b3fbb8a44cb840ee12bf34f7218f25dccfe19, r)
                    mstore(0x1f40, mulmod(product, scale, r))
                }
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b40), r)
                    product := mulmod(product, mload(0x1b60), r)
                    product := mulmod(product, mload(0x1ba0), r)
                    factor := mulmod(factor, mulmod(product, mload(0x1680), r), r)
                }
                let y := mload(SHPLONK_Y)
                // permutation product 0
                {
                    let value := mulmod(mload(0x0d20), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x0d40), mload(0x1f20), r), r)
                    value := addmod(value, mulmod(mload(0x0d60), mload(0x1f40), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0600, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation product 1
                {
                    let value := mulmod(mload(0x0d80), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x0da0), mload(0x1f20), r), r)
                    value := addmod(value, mulmod(mload(0x0dc0), mload(0x1f40), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0640, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 3: rows 0, 1.
            {
                let r := R
                let scale := mload(0x1660)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b20), r)
                    product := mulmod(product, 0x298c9a27909ff94e7ab3a0494cc1b5c5293e4ebac9e8e3d294e8f83936f25b04, r)
                    mstore(0x1f00, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b00), r)
                    product := mulmod(product, 0x06d7b44b5091a6db3d9ca56d34bfa297fef5998dafd08cbeaef8fd5ab90da4fd, r)
                    mstore(0x1f20, mulmod(product, scale, r))
                }
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b40), r)
                    product := mulmod(product, mload(0x1b60), r)
                    product := mulmod(product, mload(0x1b80), r)
                    product := mulmod(product, mload(0x1ba0), r)
                    factor := mulmod(factor, mulmod(product, mload(0x1680), r), r)
                }
                let y := mload(SHPLONK_Y)
                // permutation product 2
                {
                    let value := mulmod(mload(0x0de0), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x0e00), mload(0x1f20), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0680, factor)
                    factor := mulmod(factor, y, r)
                }
                // lookup 0, product
                {
                    let value := mulmod(mload(0x0e20), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x0e40), mload(0x1f20), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x06c0, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 4: rows 0, 63.
            {
                let r := R
                let scale := mload(0x1660)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1ba0), r)
                    product := mulmod(product, 0x06d7b44b5091a6db3d9ca56d34bfa297fef5998dafd08cbeaef8fd5ab90da4fe, r)
                    mstore(0x1f00, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b00), r)
                    product := mulmod(product, 0x298c9a27909ff94e7ab3a0494cc1b5c5293e4ebac9e8e3d294e8f83936f25b03, r)
                    mstore(0x1f20, mulmod(product, scale, r))
                }
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b20), r)
                    product := mulmod(product, mload(0x1b40), r)
                    product := mulmod(product, mload(0x1b60), r)
                    product := mulmod(product, mload(0x1b80), r)
                    factor := mulmod(factor, mulmod(product, mload(0x1680), r), r)
                }
                let y := mload(SHPLONK_Y)
                // lookup 0, permuted input
                {
                    let value := mulmod(mload(0x0e60), mload(0x1f00), r)
                    value := addmod(value, mulmod(mload(0x0e80), mload(0x1f20), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0560, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            {
                let r := R
                // The values, then -Z_(S_0)(u) W and u W'.
                add_fixed(0x01, 0x02, addmod(0, sub(r, mload(VALUES_SUM)), r))
                let product := 1
                product := mulmod(product, mload(0x1b00), r)
                product := mulmod(product, mload(0x1b20), r)
                product := mulmod(product, mload(0x1b40), r)
                product := mulmod(product, mload(0x1b60), r)
                add_stored(0x0ee0, addmod(0, sub(r, product), r))
                add_stored(0x0f40, mload(U))
            }
            // With A = F + u W' - s W' the opening holds if and only if A is the identity, that is,
            // e(F + u W', [1]_2) e(W', -[s]_2) = 1.
            // The accumulator holds if and only if B = lhs - s rhs is the identity. Both are checked as
            // A + f B: f is drawn from a digest of all that A and B are computed from, so unless both are the
            // identity there is at most one f of R for which the sum is.
            add_stored(0x11c0, mload(FOLD))
            mstore(0x23c0, mload(0x2300))
            mstore(0x23e0, mload(0x2320))
            mstore(0x2400, 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2)
            mstore(0x2420, 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed)
            mstore(0x2440, 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b)
            mstore(0x2460, 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa)
            mstore(0x2300, mload(0x0f40))
            mstore(0x2320, mload(0x0f60))
            add_stored(0x1200, mload(FOLD))
            mstore(0x2480, mload(0x2300))
            mstore(0x24a0, mload(0x2320))
            mstore(0x24c0, 0x2ee8113728978bdd168fb79cbd91268560a67d439c3b4c7695e12db988271c19)
            mstore(0x24e0, 0x053ded416260cfe4c1b01c91985635fd16a7ccd24aeaf2ed06bce14c325d1caa)
            mstore(0x2500, 0x0e1022c013df26033df6c0c5694a838432f435b679bbf99bbec82728063b21b4)
            mstore(0x2520, 0x302a4327442aae23152984ed3c28d8db956a70e987a8280775781baf437698d9)
            // The precompile of EIP-197 answers 1 or 0.
            if iszero(staticcall(gas(), 0x08, 0x23c0, 0x0180, 0x00, 0x20)) { revert(0x00, 0x00) }
            return(0x00, 0x20)
        }
    }
}
