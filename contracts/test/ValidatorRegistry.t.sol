// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EPOCH_HEIGHTS} from "../src/Params.sol";
import {Quorum} from "../src/Quorum.sol";
import {Rollup} from "../src/Rollup.sol";
import {ValidatorRegistry} from "../src/ValidatorRegistry.sol";
import {Draft, Stage} from "./Stage.sol";
import {Moody} from "./Tokens.sol";

/// Stakes: whose key, whose money, when it comes back (protocol-review.md M6).
contract StakeTest is Stage {
    uint256 private constant KEY = 77;
    address private validator;

    function setUp() public override {
        super.setUp();
        validator = vm.addr(KEY);
    }

    function test_a_key_registers_with_its_own_signature_and_a_stake() public {
        register(ALICE, KEY, 1 ether);
        (address staker, uint64 stake, uint64 appliedAt, uint64 leavesAt) = validators.validatorOf(validator);
        equal(staker, ALICE, "staker");
        equal(stake, 1e9, "gwei");
        equal(appliedAt, block.timestamp, "queue");
        equal(leavesAt, 0, "stays");
    }

    function test_M6_a_proof_of_possession_is_of_one_staker_registry_chain_and_key() public {
        bytes memory proof = signature(KEY, validators.registrationDigest(ALICE, validator));
        expectForeign(BOB, validator, proof); // seen in the mempool
        expectForeign(ALICE, vm.addr(78), proof);
        vm.chainId(1);
        expectForeign(ALICE, validator, proof);
        vm.chainId(31337);
        address first = address(validators);
        deploy(1, 1);
        isTrue(first != address(validators), "another registry");
        expectForeign(ALICE, validator, proof);
    }

    function test_M6_a_key_registers_once_for_ever() public {
        register(ALICE, KEY, 1 ether);
        bytes memory proof = signature(KEY, validators.registrationDigest(BOB, validator));
        expectTaken(proof);
        vm.prank(ALICE);
        validators.requestExit(validator);
        vm.warp(block.timestamp + UNBONDING);
        validators.takeBack(validator);
        expectTaken(proof); // also after it left
    }

    function test_stakes_are_whole_gwei_within_bounds() public {
        bytes memory proof = signature(KEY, validators.registrationDigest(ALICE, validator));
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.NotWholeGwei.selector, 1 ether + 1));
        validators.register{value: 1 ether + 1}(validator, proof);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.StakeTooSmall.selector, 1e9 - 1, 1e9));
        validators.register{value: 1 ether - 1 gwei}(validator, proof);
        uint256 most = type(uint64).max / uint64(300);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.StakeTooLarge.selector, most + 1));
        validators.register{value: (most + 1) * 1 gwei}(validator, proof);
        validators.register{value: most * 1 gwei}(validator, proof);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.StakeTooLarge.selector, most + 1));
        validators.addStake{value: 1 gwei}(validator);
        vm.stopPrank();
    }

    function test_stake_grows_and_comes_back_after_unbonding_only() public {
        register(ALICE, KEY, 1 ether);
        vm.prank(ALICE);
        validators.addStake{value: 2 ether}(validator);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.NotYet.selector, validator, 0));
        validators.takeBack(validator);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.NotStaker.selector, BOB, ALICE));
        validators.requestExit(validator);
        vm.prank(ALICE);
        validators.requestExit(validator);
        uint64 from = uint64(block.timestamp) + UNBONDING;
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.IsLeaving.selector, validator));
        validators.addStake{value: 1 ether}(validator);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.IsLeaving.selector, validator));
        validators.requestExit(validator); // the clock starts once
        vm.stopPrank();
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.NotYet.selector, validator, from));
        validators.takeBack(validator);
        vm.warp(from);
        uint256 before = ALICE.balance;
        vm.prank(BOB);
        validators.takeBack(validator);
        equal(ALICE.balance, before + 3 ether, "to the staker");
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.NotYet.selector, validator, from));
        validators.takeBack(validator);
        equal(address(validators).balance, 0, "nothing is left");
    }

    function test_H7_stake_comes_back_in_desert() public {
        register(ALICE, KEY, 1 ether);
        deposit(ALICE, 1);
        vm.warp(block.timestamp + DESERT + 1);
        rollup.triggerDesert();
        vm.prank(ALICE);
        validators.requestExit(validator);
        vm.warp(block.timestamp + UNBONDING);
        validators.takeBack(validator);
    }

    function test_a_staker_that_refuses_payment_keeps_its_claim() public {
        Moody moody = new Moody();
        register(address(moody), KEY, 1 ether);
        vm.prank(address(moody));
        validators.requestExit(validator);
        vm.warp(block.timestamp + UNBONDING);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.PaymentFailed.selector, address(moody), 1 ether));
        validators.takeBack(validator);
        moody.open();
        validators.takeBack(validator);
        equal(address(moody).balance, 1 ether, "paid");
    }

    function register(address staker, uint256 key, uint256 amount) private {
        bytes memory proof = signature(key, validators.registrationDigest(staker, vm.addr(key)));
        vm.deal(staker, amount + staker.balance);
        vm.prank(staker);
        validators.register{value: amount}(vm.addr(key), proof);
    }

    function expectForeign(address staker, address key, bytes memory proof) private {
        vm.prank(staker);
        vm.expectPartialRevert(ValidatorRegistry.WrongProofOfPossession.selector);
        validators.register{value: 1 ether}(key, proof);
    }

    function expectTaken(bytes memory proof) private {
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.KeyTaken.selector, validator));
        validators.register{value: 1 ether}(validator, proof);
    }
}

/// Certificates and epochs (protocol-review.md M6).
contract CertificateTest is Stage {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    uint256[] private otherKeys;
    bytes private otherSeats;

    function setUp() public override {
        super.setUp();
        (otherKeys, otherSeats) = makeSet(5, 500);
    }

    function test_more_than_two_thirds_must_sign() public {
        Draft memory one = certify(draft(randomWords(1, 1), "", 0), 2);
        expectRefused(one, abi.encodeWithSelector(Quorum.NoQuorum.selector, 2, 4));
        one = certify(draft(randomWords(1, 1), "", 0), 0);
        expectRefused(one, abi.encodeWithSelector(Quorum.NoQuorum.selector, 0, 4));
        commit(certify(draft(randomWords(1, 1), "", 0), 3));
    }

    function test_M6_no_signature_counts_twice_and_seats_ascend() public {
        Draft memory one = certify(draft(randomWords(1, 1), "", 0), 3);
        bytes memory good = one.certificate.signatures;
        bytes[] memory parts = new bytes[](3);
        for (uint256 i = 0; i < 3; ++i) {
            parts[i] = cut(good, i);
        }
        one.certificate.signatures = abi.encodePacked(parts[0], parts[1], parts[1]);
        expectRefused(one, abi.encodeWithSelector(Quorum.SignerOrder.selector, 1));
        one.certificate.signatures = abi.encodePacked(parts[1], parts[0], parts[2]);
        expectRefused(one, abi.encodeWithSelector(Quorum.SignerOrder.selector, 0));
        one.certificate.signatures = good;
        one.certificate.signatures[2 * 66] = 0x04; // no such seat
        expectRefused(one, abi.encodeWithSelector(Quorum.SignerOrder.selector, 4));
        one.certificate.signatures[2 * 66] = 0x03; // another's seat
        expectRefused(one, abi.encodeWithSelector(Quorum.WrongSignature.selector, 3));
    }

    function test_M6_high_s_zero_and_strange_recovery_ids_are_refused() public {
        Draft memory one = certify(draft(randomWords(1, 1), "", 0), 4);
        bytes memory good = one.certificate.signatures;
        (bytes32 r, bytes32 s, uint8 id) = parsed(cut(good, 3));
        bytes memory first = abi.encodePacked(cut(good, 0), cut(good, 1), cut(good, 2));
        bytes[5] memory bad = [
            abi.encodePacked(uint8(3), r, ORDER - uint256(s), id ^ 1), // the second spelling
            abi.encodePacked(uint8(3), r, s, id + 27),
            abi.encodePacked(uint8(3), r, s, uint8(2)),
            abi.encodePacked(uint8(3), bytes32(0), s, id), // ecrecover answers zero
            abi.encodePacked(uint8(3), r, bytes32(0), id)
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            one.certificate.signatures = abi.encodePacked(first, bad[i]);
            expectRefused(one, abi.encodeWithSelector(Quorum.BrokenSignatures.selector, 65));
        }
        one.certificate.signatures = abi.encodePacked(first, uint8(0));
        expectRefused(one, abi.encodeWithSelector(Quorum.BrokenSignatures.selector, 3 * 66 + 1));
        one.certificate.signatures = good;
        commit(one);
    }

    function test_a_set_is_known_by_its_hash() public {
        Draft memory one = certify(draft(randomWords(1, 1), "", 0), 3);
        one.certificate.validators = otherSeats;
        expectRefused(
            one, abi.encodeWithSelector(ValidatorRegistry.WrongSet.selector, 0, hashOf(otherSeats), hashOf(seats))
        );
        one.certificate.validators = new bytes(27);
        expectRefused(one, abi.encodeWithSelector(Quorum.BrokenSet.selector, 27));
        one.certificate.validators = "";
        expectRefused(one, abi.encodeWithSelector(Quorum.BrokenSet.selector, 0));
        one.certificate.validators = new bytes(28 * 101);
        expectRefused(one, abi.encodeWithSelector(Quorum.BrokenSet.selector, 28 * 101));
    }

    /// The certificate of epoch 0 names the set of epoch 1, which then signs.
    function test_each_epochs_set_is_named_by_the_one_before() public {
        Draft memory one = certify(draft(randomWords(1, 1), "", 0), 3);
        one.header.nextSetHash = hashOf(otherSeats);
        commit(resign(one, 3));
        Draft memory two = inEpochOne(draft(randomWords(1, 2), "", 0));
        expectRefused(
            resign(two, 4),
            abi.encodeWithSelector(ValidatorRegistry.WrongSet.selector, 1, hashOf(seats), hashOf(otherSeats))
        );
        commit(signedByOthers(two, 4));
        (, uint64 began) = validators.epochs(1);
        equal(began, block.timestamp, "epoch 1 began");
    }

    function test_an_unknown_epoch_has_no_set() public {
        Draft memory two = inEpochOne(draft(randomWords(1, 2), "", 0));
        expectRefused(
            signedByOthers(two, 5),
            abi.encodeWithSelector(ValidatorRegistry.WrongSet.selector, 1, hashOf(otherSeats), bytes32(0))
        );
    }

    /// A set that was replaced may certify until the handover is over, and never after: its keys may be sold by then.
    function test_M6_certificates_of_an_epoch_end_with_the_handover() public {
        Draft memory one = certify(draft(randomWords(1, 1), "", 0), 3);
        one.header.nextSetHash = hashOf(otherSeats);
        beginEpochOne();
        resign(one, 3);
        uint64 ends = validators.epochEnds(0);
        equal(ends, block.timestamp + HANDOVER, "end");
        uint256 snapshot = vm.snapshotState();
        vm.warp(ends);
        commit(one);
        vm.revertToState(snapshot);
        vm.warp(ends + 1);
        expectRefused(one, abi.encodeWithSelector(ValidatorRegistry.EpochOver.selector, 0, ends));
    }

    function test_M6_epochs_never_fall_from_batch_to_batch() public {
        beginEpochOne();
        Draft memory two = inEpochOne(draft(randomWords(1, 2), "", 0));
        two.header.countersAfter = uint256(EPOCH_HEIGHTS + 1) << 64 | 3;
        commit(signedByOthers(two, 4));
        Draft memory one = certify(draft(randomWords(1, 3), "", 0), 3);
        one.header.epoch = 0;
        expectRefused(resign(one, 4), abi.encodeWithSelector(Rollup.WrongEpoch.selector, 0, EPOCH_HEIGHTS + 2));
        one.certificate.lastHeight = EPOCH_HEIGHTS;
        expectRefused(resign(one, 4), abi.encodeWithSelector(Rollup.WrongEpoch.selector, 0, EPOCH_HEIGHTS));
    }

    /// Blocks of an epoch without any batch show the next set as well; a replayed handover changes nothing.
    function test_handovers_fill_gaps_and_only_gaps() public {
        handOver(coreOf(0, hashOf(otherSeats)), keys, seats, 3);
        (bytes32 next,) = validators.epochs(1);
        equal(next, hashOf(otherSeats), "named");
        handOver(coreOf(0, hashOf(seats)), keys, seats, 3);
        (next,) = validators.epochs(1);
        equal(next, hashOf(otherSeats), "the first stays");
        commit(certify(draft(randomWords(1, 1), "", 0), 3));
        (next,) = validators.epochs(1);
        equal(next, hashOf(seats), "a batch on the committed chain names anew");
    }

    function test_handovers_need_a_quorum_the_epochs_height_and_a_whole_core() public {
        bytes memory core = coreOf(0, hashOf(otherSeats));
        vm.expectRevert(abi.encodeWithSelector(Quorum.NoQuorum.selector, 2, 4));
        this.handOver(core, keys, seats, 2);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.BrokenCore.selector, 55));
        this.handOver(new bytes(55), keys, seats, 3);
        core[16] = 0x01; // epoch 1, height of epoch 0
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.WrongEpoch.selector, 1, 1));
        this.handOver(core, keys, seats, 3);
        vm.expectRevert(abi.encodeWithSelector(ValidatorRegistry.NotRollup.selector, address(this)));
        validators.acceptBatch(0, 0, 0, seats, "");
    }

    function handOver(bytes memory core, uint256[] memory signing, bytes memory set, uint256 count) public {
        bytes memory signed = signatures(signing, count, precommitDigest(core));
        validators.handOver(VERSION, core, hex"00", 7, set, signed);
    }

    /// Of a block without a bid, at height 1, in round 7.
    function precommitDigest(bytes memory core) private view returns (bytes32) {
        bytes32 coreHash = keccak256(abi.encodePacked("QUORATE/protocol/core/v1", core));
        bytes32 id = keccak256(abi.encodePacked("QUORATE/protocol/block/v1", coreHash, uint8(0)));
        uint256[4] memory numbers = [rollup.domainOf(VERSION), 1, 7, 2];
        return keccak256(abi.encode("QUORATE/protocol/vote/v1", numbers, id));
    }

    /// The fixed head of a block's core at height 1, and some tail.
    function coreOf(uint8 epoch, bytes32 next) private pure returns (bytes memory) {
        bytes memory integers = new bytes(24);
        integers[8] = 0x01;
        integers[16] = bytes1(epoch);
        return abi.encodePacked(integers, next, bytes32("the rest of the core"));
    }

    function beginEpochOne() private {
        Draft memory one = certify(draft(randomWords(1, 1), "", 0), 3);
        one.header.nextSetHash = hashOf(otherSeats);
        uint256 committed = uint256(vm.load(address(rollup), 0));
        (bytes32 root, bytes32 counters) =
            (vm.load(address(rollup), bytes32(uint256(3))), vm.load(address(rollup), bytes32(uint256(4))));
        commit(resign(one, 3));
        commit(signedByOthers(inEpochOne(draft(randomWords(1, 2), "", 0)), 4));
        // as if both had been pruned
        vm.store(address(rollup), 0, bytes32(committed));
        vm.store(address(rollup), bytes32(uint256(3)), root);
        vm.store(address(rollup), bytes32(uint256(4)), counters);
    }

    function inEpochOne(Draft memory one) private view returns (Draft memory) {
        one.header.signedOps = 1;
        one.header.epoch = 1;
        one.header.nextSetHash = hashOf(otherSeats);
        one.certificate.lastHeight = EPOCH_HEIGHTS + 1;
        return one;
    }

    function signedByOthers(Draft memory one, uint256 count) private view returns (Draft memory) {
        resign(one, 0);
        bytes32 digest =
            rollup.commitmentDigest(one.header, one.words, one.certificate.lastHeight, one.certificate.lastBlock);
        one.certificate.validators = otherSeats;
        one.certificate.signatures = signatures(otherKeys, count, digest);
        return one;
    }

    function expectRefused(Draft memory one, bytes memory reason) private {
        vm.expectRevert(reason);
        rollup.commitBatch(one.header, one.words, one.certificate);
    }

    function cut(bytes memory all, uint256 index) private pure returns (bytes memory part) {
        part = new bytes(66);
        for (uint256 i = 0; i < 66; ++i) {
            part[i] = all[index * 66 + i];
        }
    }

    function parsed(bytes memory signer) private pure returns (bytes32 r, bytes32 s, uint8 id) {
        assembly ("memory-safe") {
            r := mload(add(signer, 33))
            s := mload(add(signer, 65))
        }
        id = uint8(signer[65]);
    }
}
