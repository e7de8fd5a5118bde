// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// circomlib's Poseidon of four inputs, from the pinned npm package poseidon-solidity. It is deployed as it is: its one
// function is pure, so a library may be called like any contract, and DesertExit checks a published value when it is
// made. Named here so that it is compiled and has an artifact.
import {PoseidonT5} from "poseidon-solidity/PoseidonT5.sol";
