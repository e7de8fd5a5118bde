// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Decides proofs of one halo2 circuit: KZG on BN254, SHPLONK, Keccak transcript.
/// @notice Answers true if `proof` shows that `inputs` satisfy the circuit, else false.
/// @dev Written by quorate's prover::solidity; do not edit.
/// Digest of the key description: 0xaa234ea8687260a975355eda632a78aa3c5694f0251fce7d4b04e6ad2ae41b93.
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
            mstore(0x0080, 0x2ec4fd7b974d7e12b150461f5a69444ce1212a4150ca5279a09d747ede87c05e)
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
                mstore(0x1a80, addmod(u, sub(r, mulmod(x, 0x032750f8f3c2493d0828c7285d0258e1bdcaa463f4442a52747b5c96639659bb, r)), r))
                // Row 2.
                mstore(0x1aa0, addmod(u, sub(r, mulmod(x, 0x2a14464f1ff42de3856402b62520e670745e39fada049d5b2f0e1e3182673378, r)), r))
                // Row 3.
                mstore(0x1ac0, addmod(u, sub(r, mulmod(x, 0x085386d3273d6903e6ca9388a9b29e81643977d523db6f6db1fdc5acf965b809, r)), r))
                // Row 2097145.
                mstore(0x1ae0, addmod(u, sub(r, mulmod(x, 0x2e5ff489a90fd33e5062f86456ab6df28af7701e445003094ac5cd3fc9172737, r)), r))
                // Row 2097151.
                mstore(0x1b00, addmod(u, sub(r, mulmod(x, 0x06288b9d40ec1915c3a20817de7179beeccf4c4fd02f202c064a0cc13e38c2f8, r)), r))
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
                let row := 0x2e5ff489a90fd33e5062f86456ab6df28af7701e445003094ac5cd3fc9172737
                for { let at := 0x11a0 } lt(at, 0x15a0) { at := add(at, 0x20) } {
                    mstore(at, addmod(x, sub(r, row), r))
                    row := mulmod(row, 0x032750f8f3c2493d0828c7285d0258e1bdcaa463f4442a52747b5c96639659bb, r)
                }
                let xn := x
                for { let i := 0 } lt(i, 21) { i := add(i, 1) } { xn := mulmod(xn, xn, r) }
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
                let factor := mulmod(mulmod(addmod(xn, sub(r, 1), r), 0x30644cefbebe09202b4ef7f3ff53a4511d70ff06da772cc3785d6b74e0536081, r), 0x2e5ff489a90fd33e5062f86456ab6df28af7701e445003094ac5cd3fc9172737, r)
                for { let at := 0x11a0 } lt(at, 0x15a0) { at := add(at, 0x20) } {
                    mstore(at, mulmod(factor, mload(at), r))
                    factor := mulmod(factor, 0x032750f8f3c2493d0828c7285d0258e1bdcaa463f4442a52747b5c96639659bb, r)
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
                    product := mulmod(product, 0x0249a5e73658ad31513af6577c0ce9b832aa980d453892383a2d4776656a62c4, r)
                    mstore(0x1dc0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1aa0), r)
                    product := mulmod(product, mload(0x1ac0), r)
                    product := mulmod(product, 0x27fe2f38e1362d83d34ead6ffe21186d966097a36a427a9cd6e20fad10cc7282, r)
                    mstore(0x1de0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, mload(0x1ac0), r)
                    product := mulmod(product, 0x2c67c6263d5e85c97c7e7b2c028dee0be6c1e30991f9055e3a7d9f7e12603227, r)
                    mstore(0x1e00, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, mload(0x1aa0), r)
                    product := mulmod(product, 0x0a19019f6d75dfd4cf986c798646c088a09abdd6b1feceef3c36f4865768f895, r)
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
                    add_fixed(0x1fef7a895278a1794972ccff1725ccb1a61d5bfe27af76d9bf75ab7756155064, 0x306040a83249bcd7ba8934b28a570d4fa3c96b80435b0c5b5a3052eca86b17f9, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 0
                {
                    let value := mload(0x0a80)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x253da15f5bec73689d39b6e176032d74213afa3369b99cc31efdd30cca75dfa1, 0x18bec47e1c35b8d97b38715eb7951fc2496ecce5f559d832b3896e7dd7855d4b, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 2
                {
                    let value := mload(0x0aa0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x0cdee8c5ecb813cc70e5000df3a577a43890175b421d3c478ba794cefca5344d, 0x0fac3aae7f5829f90520505dcd7f372a50c6a4b8ab2522351d40c4a1f7f2f48b, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 3
                {
                    let value := mload(0x0ac0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x1f763811c28e61dbd1b7eb0af5d2f5856b8bfd27296fd4985fa515f17f6db96e, 0x0b15428d0bd05472fe623246d8a387d6dc5eda54d731d6afa32f1226fd850015, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 4
                {
                    let value := mload(0x0ae0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x202a8938ca38ed2b4852679ff3665eee43806ff1e0af1e7efeb14411aaaf15c3, 0x246f4cec29c31a810a14c4f36ff8d3c707f27cbc380ef7f4e59517c91104971a, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 5
                {
                    let value := mload(0x0b00)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x2e75244d6d08625fbb5f519448a3e2f45ac5dbb7d69fcea7a6417e4014f9170f, 0x107a91957bd9a02aa284c1f50684c9c20dec0029850b72186b4b681a490e54d7, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 0
                {
                    let value := mload(0x0b40)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x0b0cae515f5b8cf8245db4fb534f38222c351e04dae3b733a2462ddfa2538066, 0x1e56b3283daa8329b65afaeeadd35b3e69b473af850188d90150aad663b58699, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 1
                {
                    let value := mload(0x0b60)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x16001b6d406629386aaa4e240d0c61b0f746d3f2a9045aff15e5c2f06df69584, 0x1fecc2467ead0767f6743c72c8aeb4e2e4dccc99c0f864602088ee09333212a6, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 2
                {
                    let value := mload(0x0b80)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x302e39d9fd8ac5a57c72ee69e3e9151cff28005141259446d253c0c73a453dbd, 0x1a59cb154dd5558e0c33c6148fb7ac693c31088eeb0fa432d04e453a742ee1d7, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 3
                {
                    let value := mload(0x0ba0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x14aec6e2974f22183b7a28f2ddaa2e0c1bfa9450307c67b3a711b790f1584a9e, 0x290af48b8f6208e66d0d910136dd30a18d94ed942ab4fad6ffeb3687ef518a19, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 4
                {
                    let value := mload(0x0bc0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x202d64ff901ad8b9b145843128e6c6abdfd985069b7339e3ae7bd2b6730d9b21, 0x22b0a3ca3d3efac2224912f7992407b70886a8923fdff11aab0e40e0dd7e22d3, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 5
                {
                    let value := mload(0x0be0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x042e7cdd523b1293f14d6bf424f39270c04806828e88b53ccf10fc8078b32875, 0x2c5313bd4d16931e0a9bff9a536de2aa452810aff681493a626146cf96e9e395, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 6
                {
                    let value := mload(0x0c00)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x20b9e454e0a23a5d0c3ff30ef1f9056392177acf52a93b19d20001e3a455ec93, 0x09052aea02c3404344a6232a1514ecc9395908417da0a64a43ea4889c94248d0, factor)
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
            // Set 2: rows 0, 1, 2097145.
            {
                let r := R
                let scale := mload(0x15c0)
                scale := mulmod(scale, mload(0x15c0), r)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, mload(0x1ae0), r)
                    product := mulmod(product, 0x28f6d7151d8ee0193baa0d7d4bc06414565dc36bfb053ac33eb4b54cdf745e90, r)
                    mstore(0x1dc0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1ae0), r)
                    product := mulmod(product, 0x225ca0bdda0b1558e4a2cef67ad4408110dbb53ec5ef1e53a9520b6fdc97e863, r)
                    mstore(0x1de0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, mload(0x1a80), r)
                    product := mulmod(product, 0x15752512cac94ae15053aef93c6e0c24e92e57e6327e880b9fbd2a6b23f3b90f, r)
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
                    product := mulmod(product, 0x1e2137f82bc640ae34e262ddaa0c6d0cd1f15be5d8c3104095321c82f0a191bb, r)
                    mstore(0x1dc0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, 0x1243167ab56b5f7b836de2d8d774eb5056428c62a0f66050aeafd910ff5e6e46, r)
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
            // Set 4: rows 0, 2097151.
            {
                let r := R
                let scale := mload(0x15c0)
                {
                    let product := 1
                    product := mulmod(product, mload(0x1b00), r)
                    product := mulmod(product, 0x1243167ab56b5f7b836de2d8d774eb5056428c62a0f66050aeafd910ff5e6e47, r)
                    mstore(0x1dc0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x1a60), r)
                    product := mulmod(product, 0x1e2137f82bc640ae34e262ddaa0c6d0cd1f15be5d8c3104095321c82f0a191ba, r)
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
