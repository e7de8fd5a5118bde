// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Timelock} from "../src/Timelock.sol";
import {IFinalVerifier, Verifier, VerifierRegistry} from "../src/VerifierRegistry.sol";
import {Stage} from "./Stage.sol";

/// Tries to write while it verifies.
contract WritingVerifier is IFinalVerifier {
    uint256 private calls;

    function count() external returns (bool) {
        return ++calls > 0;
    }

    function verify(uint256[13] calldata, bytes calldata) external view returns (bool) {
        (bool done,) = address(this).staticcall(abi.encodeCall(WritingVerifier.count, ()));
        return done;
    }
}

/// What the council can do, and how slowly (settlement.md, rows Timelock and VerifierRegistry).
contract GovernanceTest is Stage {
    bytes private call_;

    function setUp() public override {
        super.setUp();
        call_ = abi.encodeCall(VerifierRegistry.add, (2, address(verifier), 0, 0, 0));
    }

    function test_a_version_is_added_after_the_delay_by_anyone() public {
        vm.prank(GOVERNOR);
        bytes32 id = timelock.schedule(address(verifiers), call_, 0);
        uint64 from = uint64(block.timestamp) + 40 days;
        equal(timelock.readyAt(id), from, "delay");
        vm.warp(from - 1);
        expectNotReady(from);
        vm.warp(from);
        vm.prank(BOB);
        timelock.execute(address(verifiers), call_, 0);
        isTrue(verifiers.isActive(2), "added");
        expectNotReady(0); // once
    }

    function test_stale_cancelled_and_unannounced_calls_are_refused() public {
        expectNotReady(0);
        vm.prank(GOVERNOR);
        bytes32 id = timelock.schedule(address(verifiers), call_, 0);
        vm.prank(GOVERNOR);
        vm.expectRevert(abi.encodeWithSelector(Timelock.AlreadyScheduled.selector, id));
        timelock.schedule(address(verifiers), call_, 0);
        uint64 from = uint64(block.timestamp) + 40 days;
        vm.warp(from + 30 days + 1);
        expectNotReady(from);
        vm.prank(GOVERNOR);
        timelock.cancel(id);
        vm.warp(from);
        expectNotReady(0);
    }

    function test_only_the_governor_schedules_cancels_pauses_and_renounces() public {
        bytes memory reason = abi.encodeWithSelector(Timelock.NotGovernor.selector, BOB);
        vm.startPrank(BOB);
        vm.expectRevert(reason);
        timelock.schedule(address(verifiers), call_, 0);
        vm.expectRevert(reason);
        timelock.cancel(0);
        vm.expectRevert(reason);
        timelock.pause();
        vm.expectRevert(reason);
        timelock.unpause();
        vm.expectRevert(reason);
        timelock.renounceUpgrades();
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.NotTimelock.selector, BOB));
        verifiers.add(2, address(verifier), 0, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.NotTimelock.selector, BOB));
        verifiers.disable(1);
        vm.stopPrank();
    }

    function test_renouncing_ends_upgrades_for_ever_and_what_was_announced() public {
        vm.startPrank(GOVERNOR);
        timelock.schedule(address(verifiers), call_, 0);
        timelock.renounceUpgrades();
        vm.expectRevert(Timelock.Renounced.selector);
        timelock.schedule(address(verifiers), call_, "again");
        vm.stopPrank();
        vm.warp(block.timestamp + 40 days);
        vm.expectRevert(Timelock.Renounced.selector);
        timelock.execute(address(verifiers), call_, 0);
    }

    function test_failing_calls_revert_whole_and_calls_need_code() public {
        vm.startPrank(GOVERNOR);
        timelock.schedule(address(verifiers), abi.encodeCall(VerifierRegistry.disable, (9)), 0);
        timelock.schedule(BOB, "", 0);
        vm.stopPrank();
        vm.warp(block.timestamp + 40 days);
        bytes memory inner = abi.encodeWithSelector(VerifierRegistry.VersionUnknown.selector, 9);
        vm.expectRevert(abi.encodeWithSelector(Timelock.CallFailed.selector, inner));
        timelock.execute(address(verifiers), abi.encodeCall(VerifierRegistry.disable, (9)), 0);
        vm.expectRevert(abi.encodeWithSelector(Timelock.NoCode.selector, BOB));
        timelock.execute(BOB, "", 0);
    }

    function test_a_pause_ends_by_itself_and_rests() public {
        uint256 start = block.timestamp;
        vm.startPrank(GOVERNOR);
        timelock.pause();
        isTrue(timelock.isPaused(), "paused");
        vm.expectRevert(abi.encodeWithSelector(Timelock.PausedTooRecently.selector, start + 33 days));
        timelock.pause();
        vm.warp(start + 3 days);
        isTrue(!timelock.isPaused(), "over");
        vm.warp(start + 33 days - 1);
        vm.expectRevert(abi.encodeWithSelector(Timelock.PausedTooRecently.selector, start + 33 days));
        timelock.pause();
        vm.warp(start + 33 days);
        timelock.pause();
        timelock.unpause();
        isTrue(!timelock.isPaused(), "ended early");
        vm.stopPrank();
    }

    function test_versions_are_append_only() public {
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VersionTaken.selector, 1));
        verifiers.add(1, address(verifier), 0, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.NoCode.selector, BOB));
        verifiers.add(2, BOB, 0, 0, 0);
        verifiers.disable(1);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VersionDisabled.selector, 1));
        verifiers.disable(1);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VersionTaken.selector, 1));
        verifiers.add(1, address(verifier), 0, 0, 0); // not even once it is disabled
        vm.stopPrank();
        Verifier memory known = verifiers.verifierOf(1);
        equal(known.code, address(verifier), "code");
        equal(known.codeHash, address(verifier).codehash, "code hash");
        equal(known.keyHash, bytes32("key"), "key");
        equal(known.circuitHash, bytes32("circuit"), "circuit");
        equal(known.referenceHash, bytes32("reference"), "reference string");
    }

    function test_a_verifier_must_keep_its_code_and_cannot_write() public {
        uint256[13] memory inputs;
        bytes memory proof = abi.encode(keccak256(abi.encode(inputs)));
        isTrue(verifiers.verify(1, inputs, proof), "holds");
        isTrue(!verifiers.verify(1, inputs, abi.encode(1)), "does not");
        vm.etch(address(verifier), hex"00");
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.CodeChanged.selector, address(verifier)));
        verifiers.verify(1, inputs, proof);
        vm.etch(address(verifier), "");
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.CodeChanged.selector, address(verifier)));
        verifiers.verify(1, inputs, proof);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VersionUnknown.selector, 5));
        verifiers.verify(5, inputs, proof);
        address writing = address(new WritingVerifier());
        vm.prank(address(timelock));
        verifiers.add(2, writing, 0, 0, 0);
        isTrue(!verifiers.verify(2, inputs, proof), "a static call writes nothing");
    }

    /// Two accepted proofs of one past and two futures show that a version is unsound; anything less shows nothing.
    function test_a_version_that_accepts_two_futures_is_disabled_by_anyone() public {
        uint256[13] memory one = [uint256(1), 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
        uint256[13] memory two = copy(one);
        two[12] = 99; // another prover of the same batch
        expectNoConflict(one, two);
        for (uint256 i = 0; i < 12; ++i) {
            if (i == 3 || i == 5) continue;
            two = copy(one);
            two[3] = 77;
            two[i] ^= 1; // another batch
            expectNoConflict(one, two);
        }
        two = copy(one);
        two[3] = 77;
        bytes memory proof = proofFor(one);
        vm.expectRevert(VerifierRegistry.NoConflict.selector);
        verifiers.disableUnsound(1, one, proof, two, proof);
        vm.prank(BOB);
        verifiers.disableUnsound(1, one, proof, two, proofFor(two));
        isTrue(!verifiers.isActive(1), "disabled");
    }

    function copy(uint256[13] memory inputs) private pure returns (uint256[13] memory) {
        return abi.decode(abi.encode(inputs), (uint256[13]));
    }

    function proofFor(uint256[13] memory inputs) private pure returns (bytes memory) {
        return abi.encode(keccak256(abi.encode(inputs)));
    }

    function expectNoConflict(uint256[13] memory one, uint256[13] memory two) private {
        bytes memory first = proofFor(one);
        bytes memory second = proofFor(two);
        vm.expectRevert(VerifierRegistry.NoConflict.selector);
        verifiers.disableUnsound(1, one, first, two, second);
    }

    function expectNotReady(uint64 from) private {
        bytes32 id = timelock.idOf(address(verifiers), call_, 0);
        vm.expectRevert(abi.encodeWithSelector(Timelock.NotReady.selector, id, from, from + 30 days));
        timelock.execute(address(verifiers), call_, 0);
    }
}
