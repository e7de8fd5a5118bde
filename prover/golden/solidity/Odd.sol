// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Decides proofs of one halo2 circuit: KZG on BN254, SHPLONK, Keccak transcript.
/// @notice Answers true if `proof` shows that `inputs` satisfy the circuit, else false.
/// @dev Written by quorate's prover::solidity; do not edit.
/// Digest of the key description: 0x6beb4c62078290b2fec9266b02d70a7b0356818942734c4ec1581cd11d82384a.
/// Memory below holds the proof as it is hashed, so commitments and evaluations have fixed addresses;
/// the assembly never returns to Solidity and leaves the compiler's own memory alone until then.
contract Odd {
    // Order of the group, modulus of the scalars.
    uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    // Modulus of the coordinates.
    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

    // Addresses of challenges and intermediate values.
    uint256 private constant THETA = 0x0940;
    uint256 private constant BETA = 0x0960;
    uint256 private constant GAMMA = 0x0980;
    uint256 private constant Y = 0x09a0;
    uint256 private constant X = 0x09c0;
    uint256 private constant SHPLONK_Y = 0x09e0;
    uint256 private constant SHPLONK_V = 0x0a00;
    uint256 private constant U = 0x0a20;
    uint256 private constant X_POWER = 0x0a60;
    uint256 private constant INSTANCE = 0x0a80;
    uint256 private constant L_FIRST = 0x0aa0;
    uint256 private constant L_LAST = 0x0ac0;
    uint256 private constant L_ACTIVE = 0x0ae0;
    uint256 private constant VALUES_SUM = 0x0b00;
    uint256 private constant SET_FACTOR = 0x0b20;

    function verify(uint256[5] calldata inputs, bytes calldata proof) external view returns (bool) {
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

            // 1 / denominator modulo R, as its power R - 2: the precompile of EIP-198.
            function inverted(denominator) -> inverse {
                mstore(0x12a0, 0x20)
                mstore(add(0x12a0, 0x20), 0x20)
                mstore(add(0x12a0, 0x40), 0x20)
                mstore(add(0x12a0, 0x60), denominator)
                mstore(add(0x12a0, 0x80), sub(R, 2))
                mstore(add(0x12a0, 0xa0), R)
                if iszero(staticcall(gas(), 0x05, 0x12a0, 0xc0, 0x12a0, 0x20)) { revert(0x00, 0x00) }
                inverse := mload(0x12a0)
            }

            // Adds `factor` times the point behind the sum to the sum: the precompiles of EIP-196. Every point
            // has been checked, so that they fail for want of gas only, and a verdict of no never means that.
            function add_multiple(factor) {
                mstore(add(0x12a0, 0x80), factor)
                let done := staticcall(gas(), 0x07, add(0x12a0, 0x40), 0x60, add(0x12a0, 0x40), 0x40)
                if iszero(and(done, staticcall(gas(), 0x06, 0x12a0, 0x80, 0x12a0, 0x40))) { revert(0x00, 0x00) }
            }

            // Adds a multiple of a point in memory.
            function add_stored(at, factor) {
                mstore(add(0x12a0, 0x40), mload(at))
                mstore(add(0x12a0, 0x60), mload(add(at, 0x20)))
                add_multiple(factor)
            }

            // Adds a multiple of a point of the key.
            function add_fixed(x, y, factor) {
                mstore(add(0x12a0, 0x40), x)
                mstore(add(0x12a0, 0x60), y)
                add_multiple(factor)
            }

            // The call is what an encoder of the ABI writes and nothing else: the proof follows the inputs, has
            // the length of every proof of this circuit, and is the end.
            if iszero(and(
                and(eq(inputs, 0x04), eq(proof.offset, 0x00e4)),
                and(eq(proof.length, 0x0720), eq(calldatasize(), 0x0804))
            )) { refuse() }
            let from := 0x00e4

            // The key's digest and the public inputs: what both sides know.
            mstore(0x0080, 0xf0bc41da6662150a158437572dca84b7a167a4f84ba516e2154f5edfefc300)
            calldatacopy(0x00a0, inputs, 0x00a0)
            check_scalars(0x00a0, 0x0140)

            // Advice; then theta, which compresses the tuples of lookups.
            from := read(0x0140, from, 0x02c0)
            check_points(0x0140, 0x02c0)
            mstore(THETA, squeeze(0x0080, 0x02c0))

            // A' and S' of each lookup; then beta and gamma of the permutation and the lookups.
            from := read(0x02e0, from, 0x0360)
            check_points(0x02e0, 0x0360)
            mstore(BETA, squeeze(0x02c0, 0x0360))
            mstore(GAMMA, squeeze_again(0x0360))

            // Running products, the random polynomial; then y, which folds the constraints.
            from := read(0x0380, from, 0x0440)
            check_points(0x0380, 0x0440)
            mstore(Y, squeeze(0x0360, 0x0440))

            // The pieces of the quotient h; then x, where everything is evaluated.
            from := read(0x0460, from, 0x05a0)
            check_points(0x0460, 0x05a0)
            mstore(X, squeeze(0x0440, 0x05a0))

            // Evaluations: advice, fixed, random, permutation, products, lookups; then the two challenges of
            // SHPLONK, which fold polynomials opened at the same points, and sets of points.
            from := read(0x05c0, from, 0x0860)
            check_scalars(0x05c0, 0x0860)
            mstore(SHPLONK_Y, squeeze(0x05a0, 0x0860))
            mstore(SHPLONK_V, squeeze_again(0x0860))

            // W; then u, where the opening is checked; W'.
            from := read(0x0880, from, 0x08c0)
            check_points(0x0880, 0x08c0)
            mstore(U, squeeze(0x0860, 0x08c0))
            from := read(0x08e0, from, 0x0920)
            check_points(0x08e0, 0x0920)

            // T, the points something is opened at: x w^i, i the row; u less each of them.
            {
                let r := R
                let u := mload(U)
                let x := mload(X)
                // Row 0.
                mstore(0x0ee0, addmod(u, sub(r, mulmod(x, 0x01, r)), r))
                // Row 1.
                mstore(0x0f00, addmod(u, sub(r, mulmod(x, 0x09c532c6306b93d29678200d47c0b2a99c18d51b838eeb1d3eed4c533bb512d0, r)), r))
                // Row 2.
                mstore(0x0f20, addmod(u, sub(r, mulmod(x, 0x21082ca216cbbf4e1c6e4f4594dd508c996dfbe1174efb98b11509c6e306460b, r)), r))
                // Row 5.
                mstore(0x0f40, addmod(u, sub(r, mulmod(x, 0x2fbd4dd2976be55d1a163aa9820fb88dfac5ddce77e1872e90632027327a5ebe, r)), r))
                // Row 30.
                mstore(0x0f60, addmod(u, sub(r, mulmod(x, 0x02e40daf409556c02bfc85eb303402b774954d30aeb0337eb85a71e6373428de, r)), r))
                // Row 31.
                mstore(0x0f80, addmod(u, sub(r, mulmod(x, 0x2724713603bfbd790aeaf3e7df25d8e7ef8f311334905b4d8c99980cf210979d, r)), r))
                // Z_(T\S_0)(u)
                let product := 1
                product := mulmod(product, mload(0x0f00), r)
                product := mulmod(product, mload(0x0f20), r)
                product := mulmod(product, mload(0x0f40), r)
                product := mulmod(product, mload(0x0f80), r)
                mstore(0x0d00, product)
            }

            // The numbers to invert: x - w^i for the rows i from -(blinded + 1) to the last public input, x^n - 1
            // and x; behind them is already Z_(T\S_0)(u).
            {
                let r := R
                let x := mload(X)
                let row := 0x0dd360411caed09700b52c71a6655715c4d558439e2d34f4307da9a4be13c42e
                for { let at := 0x0b60 } lt(at, 0x0cc0) { at := add(at, 0x20) } {
                    mstore(at, addmod(x, sub(r, row), r))
                    row := mulmod(row, 0x09c532c6306b93d29678200d47c0b2a99c18d51b838eeb1d3eed4c533bb512d0, r)
                }
                let xn := x
                for { let i := 0 } lt(i, 5) { i := add(i, 1) } { xn := mulmod(xn, xn, r) }
                mstore(X_POWER, xn)
                mstore(0x0cc0, addmod(xn, sub(r, 1), r))
                mstore(0x0ce0, x)
                // One inversion for all: running products, the inverse of the last, and back.
                let product := 1
                for { let at := 0x0b60 } lt(at, 0x0d20) { at := add(at, 0x20) } {
                    mstore(add(at, 0x01c0), product)
                    product := mulmod(product, mload(at), r)
                }
                // Challenges that make one of them zero are refused.
                if iszero(product) { refuse() }
                let inverse := inverted(product)
                for { let at := 0x0d00 } gt(at, 0x0b40) { at := sub(at, 0x20) } {
                    let denominator := mload(at)
                    mstore(at, mulmod(inverse, mload(add(at, 0x01c0)), r))
                    inverse := mulmod(inverse, denominator, r)
                }
                // l_i(x) = w^i (x^n - 1) / (n (x - w^i))
                let factor := mulmod(mulmod(addmod(xn, sub(r, 1), r), 0x2ee12bff4a2813286a8dc388cd754d9a3ef2490635eba50cb9c2e5e750800001, r), 0x0dd360411caed09700b52c71a6655715c4d558439e2d34f4307da9a4be13c42e, r)
                for { let at := 0x0b60 } lt(at, 0x0cc0) { at := add(at, 0x20) } {
                    mstore(at, mulmod(factor, mload(at), r))
                    factor := mulmod(factor, 0x09c532c6306b93d29678200d47c0b2a99c18d51b838eeb1d3eed4c533bb512d0, r)
                }
            }
            {
                // l_0, l_last, and 1 - (l_last + l_blind), which is one in the rows before the last.
                let r := R
                mstore(L_LAST, mload(0x0b60))
                mstore(L_FIRST, mload(0x0c20))
                let ending := 0
                for { let at := 0x0b60 } lt(at, 0x0c20) { at := add(at, 0x20) } {
                    ending := addmod(ending, mload(at), r)
                }
                mstore(L_ACTIVE, addmod(1, sub(r, ending), r))
                // The public inputs as a polynomial, at x: sum of v_i l_i(x).
                let sum := 0
                let value := 0x00a0
                for { let at := 0x0c20 } lt(at, 0x0cc0) { at := add(at, 0x20) } {
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
                mstore(0x14e0, addmod(mload(0x0600), mload(0x0620), r))
                mstore(0x1500, addmod(mload(0x0600), sub(r, 0x03), r))
                mstore(0x1520, mulmod(mload(0x14e0), addmod(mulmod(mload(0x14e0), addmod(mulmod(mload(0x14e0), mload(0x14e0), r), 0x07, r), r), sub(r, mulmod(mload(0x1500), mload(0x1500), r)), r), r))
                mstore(0x1540, addmod(addmod(mload(INSTANCE), sub(r, mload(0x1520)), r), sub(r, mulmod(mload(0x0600), mload(0x0700), r)), r))
                numerator := addmod(mulmod(numerator, y, r), addmod(mulmod(mload(0x06c0), mload(0x1540), r), mload(0x06e0), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(0x1540), mload(0x06e0), r), r)
                // Permutation: l_0 (1 - z_0), l_last (z^2 - z) of the last product,
                // l_0 (z_i - z_(i-1)(w^last x)) of the others.
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(1, sub(r, mload(0x0780)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_LAST), addmod(mulmod(mload(0x0780), mload(0x0780), r), sub(r, mload(0x0780)), r), r), r)
                // (1 - (l_last + l_blind)) (z_i(w x) prod (p + beta sigma + gamma)
                //                           - z_i(x) prod (p + beta delta^j x + gamma))
                {
                    let label := mulmod(mload(BETA), mload(X), r)
                    {
                        let left := mload(0x07a0)
                        let right := mload(0x0780)
                        {
                            // Advice 0
                            let p := addmod(mload(0x05c0), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0740), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        {
                            // Advice 5
                            let p := addmod(mload(0x05e0), mload(GAMMA), r)
                            left := mulmod(left, addmod(p, mulmod(mload(BETA), mload(0x0760), r), r), r)
                            right := mulmod(right, addmod(p, label, r), r)
                            label := mulmod(label, 0x09226b6e22c6f0ca64ec26aad4c86e715b5f898e5e963f25870e56bbe533e9a2, r)
                        }
                        numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                    }
                }
                // Lookup 0: l_0 (1 - z), l_last (z^2 - z),
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), addmod(1, sub(r, mload(0x07c0)), r), r), r)
                numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_LAST), addmod(mulmod(mload(0x07c0), mload(0x07c0), r), sub(r, mload(0x07c0)), r), r), r)
                // (1 - (l_last + l_blind)) (z(w x) (A' + beta) (S' + gamma)
                //                           - z(x) (A + beta) (S + gamma)),
                {
                    let compressed := 0
                    compressed := addmod(mulmod(compressed, mload(THETA), r), mulmod(mload(0x06c0), mulmod(mload(0x0640), mload(0x0640), r), r), r)
                    compressed := addmod(mulmod(compressed, mload(THETA), r), mulmod(mload(0x06c0), mload(0x0660), r), r)
                    let right := mulmod(mload(0x07c0), addmod(compressed, mload(BETA), r), r)
                    compressed := 0
                    compressed := addmod(mulmod(compressed, mload(THETA), r), mload(0x0680), r)
                    compressed := addmod(mulmod(compressed, mload(THETA), r), mload(0x06a0), r)
                    right := mulmod(right, addmod(compressed, mload(GAMMA), r), r)
                    let left := mulmod(mload(0x07e0), addmod(mload(0x0800), mload(BETA), r), r)
                    left := mulmod(left, addmod(mload(0x0840), mload(GAMMA), r), r)
                    numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r), r)
                }
                // l_0 (A' - S'), (1 - (l_last + l_blind)) (A' - S') (A' - A'(w^-1 x))
                {
                    let difference := addmod(mload(0x0800), sub(r, mload(0x0840)), r)
                    numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_FIRST), difference, r), r)
                    difference := mulmod(difference, addmod(mload(0x0800), sub(r, mload(0x0820)), r), r)
                    numerator := addmod(mulmod(numerator, y, r), mulmod(mload(L_ACTIVE), difference, r), r)
                }
                // h(x) = numerator / (x^n - 1)
                mstore(0x0b40, mulmod(numerator, mload(0x0cc0), r))
            }

            // SHPLONK: F = sum over sets j of v^j Z_(T\S_j)(u) / Z_(T\S_0)(u)
            //                 times sum over members i of y^i (C_i - r_i(u) G),
            // r_i(u) from the values by Lagrange interpolation on S_j. The first factor of all is one.
            mstore(VALUES_SUM, 0)
            mstore(SET_FACTOR, 1)
            // Set 0: rows 0, 30.
            {
                let r := R
                let scale := mload(0x0ce0)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0f60), r)
                    product := mulmod(product, 0x2c1c8d466934ebe3907db2f55552ba6e6c0a51d35a58ab5072000ad41ee4ee54, r)
                    mstore(0x10c0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x0ee0), r)
                    product := mulmod(product, 0x0447c12c77fcb44627d292c12c2e9deebc2996751f60c540d1e1eabfd11b11ad, r)
                    mstore(0x10e0, mulmod(product, scale, r))
                }
                let factor := 1
                let y := mload(SHPLONK_Y)
                // advice 0
                {
                    let value := mulmod(mload(0x05c0), mload(0x10c0), r)
                    value := addmod(value, mulmod(mload(0x0600), mload(0x10e0), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    mstore(0x12a0, mload(0x0140))
                    mstore(0x12c0, mload(0x0160))
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 1: rows 0, 1.
            {
                let r := R
                let scale := mload(0x0ce0)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0f00), r)
                    product := mulmod(product, 0x0db7670aca28b8ad7399cd0645855194a24fe9d10a7be83ff7d31c5b610e8e8e, r)
                    mstore(0x10c0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x0ee0), r)
                    product := mulmod(product, 0x22ace7681708e77c44b678b03bfc06c885e3fe776f3d88514c0ed9388ef17173, r)
                    mstore(0x10e0, mulmod(product, scale, r))
                }
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0f20), r)
                    product := mulmod(product, mload(0x0f40), r)
                    product := mulmod(product, mload(0x0f60), r)
                    product := mulmod(product, mload(0x0f80), r)
                    factor := mulmod(factor, mulmod(product, mload(0x0d00), r), r)
                }
                let y := mload(SHPLONK_Y)
                // advice 5
                {
                    let value := mulmod(mload(0x05e0), mload(0x10c0), r)
                    value := addmod(value, mulmod(mload(0x06a0), mload(0x10e0), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0280, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation product 0
                {
                    let value := mulmod(mload(0x0780), mload(0x10c0), r)
                    value := addmod(value, mulmod(mload(0x07a0), mload(0x10e0), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0380, factor)
                    factor := mulmod(factor, y, r)
                }
                // lookup 0, product
                {
                    let value := mulmod(mload(0x07c0), mload(0x10c0), r)
                    value := addmod(value, mulmod(mload(0x07e0), mload(0x10e0), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x03c0, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 2: rows 5.
            {
                let r := R
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0ee0), r)
                    product := mulmod(product, mload(0x0f00), r)
                    product := mulmod(product, mload(0x0f20), r)
                    product := mulmod(product, mload(0x0f60), r)
                    product := mulmod(product, mload(0x0f80), r)
                    factor := mulmod(factor, mulmod(product, mload(0x0d00), r), r)
                }
                let y := mload(SHPLONK_Y)
                // advice 1
                {
                    let value := mload(0x0620)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0180, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 3: rows 0.
            {
                let r := R
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0f00), r)
                    product := mulmod(product, mload(0x0f20), r)
                    product := mulmod(product, mload(0x0f40), r)
                    product := mulmod(product, mload(0x0f60), r)
                    product := mulmod(product, mload(0x0f80), r)
                    factor := mulmod(factor, mulmod(product, mload(0x0d00), r), r)
                }
                let y := mload(SHPLONK_Y)
                // advice 2
                {
                    let value := mload(0x0640)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x01c0, factor)
                    factor := mulmod(factor, y, r)
                }
                // lookup 0, permuted table
                {
                    let value := mload(0x0840)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0320, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 0
                {
                    let value := mload(0x06c0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x287c53cf99ae666c2661852ee28cf85db3d90a71794cd245feb3ef24169cf374, 0x229ab9643bb67fd92a1866c047f966fe1c4b9e73625c0d7e9e6158b90cd0f423, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 0
                {
                    let value := mload(0x0740)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x0c645e2d0e89d194c271c9e0430039ebc76760dab7bda9faea6cf7247fbbc2bc, 0x12afc88660cba4aeb2a81f800c2d60632de1acca47bcd989b092d0bcfc1c06be, factor)
                    factor := mulmod(factor, y, r)
                }
                // permutation column 1
                {
                    let value := mload(0x0760)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x0542efcedaa55af5fbd5a0efb95a19b0df152b264eccdb6e286ad39b6788ef49, 0x2739085a76cee6d42a98478d6c42db2b287a2cd7351bad33ecb45f1feb5cc1a6, factor)
                    factor := mulmod(factor, y, r)
                }
                // quotient
                {
                    let value := mload(0x0b40)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    let piece := factor
                    add_stored(0x0460, piece)
                    piece := mulmod(piece, mload(X_POWER), r)
                    add_stored(0x04a0, piece)
                    piece := mulmod(piece, mload(X_POWER), r)
                    add_stored(0x04e0, piece)
                    piece := mulmod(piece, mload(X_POWER), r)
                    add_stored(0x0520, piece)
                    piece := mulmod(piece, mload(X_POWER), r)
                    add_stored(0x0560, piece)
                    factor := mulmod(factor, y, r)
                }
                // random polynomial
                {
                    let value := mload(0x0720)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0400, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 4: rows 31.
            {
                let r := R
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0ee0), r)
                    product := mulmod(product, mload(0x0f00), r)
                    product := mulmod(product, mload(0x0f20), r)
                    product := mulmod(product, mload(0x0f40), r)
                    product := mulmod(product, mload(0x0f60), r)
                    factor := mulmod(factor, mulmod(product, mload(0x0d00), r), r)
                }
                let y := mload(SHPLONK_Y)
                // advice 3
                {
                    let value := mload(0x0660)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0200, factor)
                    factor := mulmod(factor, y, r)
                }
                // fixed 1
                {
                    let value := mload(0x0700)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x02f7847cc5c3f13c9fe10256a1b661859cf7dc606a20294b169ce9814cdc79bf, 0x043b5784c688496d928cd77a42818f611561fda354ba0d9683474b367850f34a, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 5: rows 1.
            {
                let r := R
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0ee0), r)
                    product := mulmod(product, mload(0x0f20), r)
                    product := mulmod(product, mload(0x0f40), r)
                    product := mulmod(product, mload(0x0f60), r)
                    product := mulmod(product, mload(0x0f80), r)
                    factor := mulmod(factor, mulmod(product, mload(0x0d00), r), r)
                }
                let y := mload(SHPLONK_Y)
                // advice 4
                {
                    let value := mload(0x0680)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x0240, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 6: rows 0, 31.
            {
                let r := R
                let scale := mload(0x0ce0)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0f80), r)
                    product := mulmod(product, 0x22ace7681708e77c44b678b03bfc06c885e3fe776f3d88514c0ed9388ef17174, r)
                    mstore(0x10c0, mulmod(product, scale, r))
                }
                {
                    let product := 1
                    product := mulmod(product, mload(0x0ee0), r)
                    product := mulmod(product, 0x0db7670aca28b8ad7399cd0645855194a24fe9d10a7be83ff7d31c5b610e8e8d, r)
                    mstore(0x10e0, mulmod(product, scale, r))
                }
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0f00), r)
                    product := mulmod(product, mload(0x0f20), r)
                    product := mulmod(product, mload(0x0f40), r)
                    product := mulmod(product, mload(0x0f60), r)
                    factor := mulmod(factor, mulmod(product, mload(0x0d00), r), r)
                }
                let y := mload(SHPLONK_Y)
                // lookup 0, permuted input
                {
                    let value := mulmod(mload(0x0800), mload(0x10c0), r)
                    value := addmod(value, mulmod(mload(0x0820), mload(0x10e0), r), r)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_stored(0x02e0, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            // Set 7: rows 2.
            {
                let r := R
                let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)
                mstore(SET_FACTOR, factor)
                {
                    let product := 1
                    product := mulmod(product, mload(0x0ee0), r)
                    product := mulmod(product, mload(0x0f00), r)
                    product := mulmod(product, mload(0x0f40), r)
                    product := mulmod(product, mload(0x0f60), r)
                    product := mulmod(product, mload(0x0f80), r)
                    factor := mulmod(factor, mulmod(product, mload(0x0d00), r), r)
                }
                let y := mload(SHPLONK_Y)
                // fixed 2
                {
                    let value := mload(0x06e0)
                    mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))
                    add_fixed(0x00, 0x00, factor)
                    factor := mulmod(factor, y, r)
                }
            }
            {
                let r := R
                // The values, then -Z_(S_0)(u) W and u W'.
                add_fixed(0x01, 0x02, addmod(0, sub(r, mload(VALUES_SUM)), r))
                let product := 1
                product := mulmod(product, mload(0x0ee0), r)
                product := mulmod(product, mload(0x0f60), r)
                add_stored(0x0880, addmod(0, sub(r, product), r))
                add_stored(0x08e0, mload(U))
            }
            // With A = F + u W' - s W' the opening holds if and only if A is the identity, that is,
            // e(F + u W', [1]_2) e(W', -[s]_2) = 1.
            mstore(0x1360, mload(0x12a0))
            mstore(0x1380, mload(0x12c0))
            mstore(0x13a0, 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2)
            mstore(0x13c0, 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed)
            mstore(0x13e0, 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b)
            mstore(0x1400, 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa)
            mstore(0x12a0, mload(0x08e0))
            mstore(0x12c0, mload(0x0900))
            mstore(0x1420, mload(0x12a0))
            mstore(0x1440, mload(0x12c0))
            mstore(0x1460, 0x2ee8113728978bdd168fb79cbd91268560a67d439c3b4c7695e12db988271c19)
            mstore(0x1480, 0x053ded416260cfe4c1b01c91985635fd16a7ccd24aeaf2ed06bce14c325d1caa)
            mstore(0x14a0, 0x0e1022c013df26033df6c0c5694a838432f435b679bbf99bbec82728063b21b4)
            mstore(0x14c0, 0x302a4327442aae23152984ed3c28d8db956a70e987a8280775781baf437698d9)
            // The precompile of EIP-197 answers 1 or 0.
            if iszero(staticcall(gas(), 0x08, 0x1360, 0x0180, 0x00, 0x20)) { revert(0x00, 0x00) }
            return(0x00, 0x20)
        }
    }
}
