// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Test} from "./Vm.sol";
import {World} from "./World.sol";

/// What holds after any steps of anybody, in any order (settlement.md, "Tests").
contract InvariantTest is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    World private world;

    function setUp() public {
        world = new World();
        world.setUp();
    }

    /// forge asks for the steps to choose from.
    function targetSelectors() external view returns (FuzzSelector[] memory chosen) {
        chosen = new FuzzSelector[](1);
        chosen[0] = FuzzSelector(address(world), steps());
    }

    function invariant_money_chain_and_stake_add_up() external view {
        world.checkEscrow();
        world.checkChain();
        world.checkStake();
        isTrue(!world.paidTwice(), "nothing is paid twice");
    }

    /// A fixed walk that takes every kind of step, so that the invariants are not about a world that stands still.
    function test_the_steps_reach_every_corner() public {
        for (uint256 seed = 0; seed < 3; ++seed) {
            for (uint256 i = 0; i < 300; ++i) {
                uint256 random = uint256(keccak256(abi.encode(seed, i)));
                walk(random);
                if (i % 10 == 0) {
                    world.checkEscrow();
                    world.checkChain();
                    world.checkStake();
                }
            }
        }
        // what chance may have left out: a day of silence, an outsider, a batch that nobody proves, the end
        world.stepDeposit(1, 1 ether);
        rest(3);
        world.stepEnforce();
        world.stepServe();
        world.stepCommit(0);
        rest(2);
        world.stepPrune();
        for (uint256 i = 0; i < 40; ++i) {
            world.stepUnstake(i);
        }
        world.stepDeposit(1, 1 ether);
        rest(40);
        for (uint256 i = 0; i < 40; ++i) {
            world.stepUnstake(i);
        }
        world.stepDesert(1);
        for (uint256 i = 0; i < 40; ++i) {
            world.stepExit(i);
            world.stepRefund(i);
            world.stepClaim(i, i);
        }
        world.checkEscrow();
        isTrue(!world.paidTwice(), "nothing is paid twice");
        string[12] memory names = [
            "deposit",
            "forceExit",
            "commit",
            "prove",
            "prune",
            "enforce",
            "serve",
            "desert",
            "claim",
            "exit",
            "stake",
            "unstake"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            isTrue(world.taken(names[i]) > 0, names[i]);
        }
    }

    function rest(uint256 times) private {
        for (uint256 i = 0; i < times; ++i) {
            world.stepWarp(10 hours - 1);
        }
    }

    function walk(uint256 random) private {
        bytes4[] memory all = steps();
        bytes4 step = all[random % all.length];
        if (step == World.stepDesert.selector) return; // the walk ends with it
        (bool done, bytes memory reason) =
            address(world).call(abi.encodeWithSelector(step, random >> 32, random >> 128));
        if (!done) {
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
    }

    function steps() private pure returns (bytes4[] memory all) {
        all = new bytes4[](18);
        all[0] = World.stepDeposit.selector;
        all[1] = World.stepForceExit.selector;
        all[2] = World.stepCommit.selector;
        all[3] = World.stepProve.selector;
        all[4] = World.stepPrune.selector;
        all[5] = World.stepWarp.selector;
        all[6] = World.stepEnforce.selector;
        all[7] = World.stepServe.selector;
        all[8] = World.stepDesert.selector;
        all[9] = World.stepClaim.selector;
        all[10] = World.stepExit.selector;
        all[11] = World.stepRefund.selector;
        all[12] = World.stepClaimFees.selector;
        all[13] = World.stepStake.selector;
        all[14] = World.stepUnstake.selector;
        // time and proofs more often than the rest
        all[15] = World.stepWarp.selector;
        all[16] = World.stepProve.selector;
        all[17] = World.stepCommit.selector;
    }
}
