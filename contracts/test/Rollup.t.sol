// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Header, StoredBatch, Words} from "../src/Batch.sol";
import {Events, Mode} from "../src/Events.sol";
import {Field} from "../src/Field.sol";
import {Timing} from "../src/Params.sol";
import {Quorum} from "../src/Quorum.sol";
import {Rollup} from "../src/Rollup.sol";
import {VerifierRegistry} from "../src/VerifierRegistry.sol";
import {Draft, Stage} from "./Stage.sol";
import {Vm} from "./Vm.sol";

/// Commit and prove in Active mode: what is bound, what is refused (protocol-review.md C2, C6, C7, H8, H9, M12).
contract RollupTest is Stage {
    function test_a_certified_batch_is_committed_by_anyone_and_proven_by_anyone() public {
        Draft memory one = certify(draft(randomWords(5, 1), "", 0), 3);
        vm.prank(BOB);
        StoredBatch memory batch = commit(one);
        equal(rollup.committedCount(), 1, "committed");
        equal(rollup.provenCount(), 0, "proven");
        equal(rollup.batchHash(1), keccak256(abi.encode(batch)), "one hash stands for the batch");
        prove(batch);
        equal(rollup.provenCount(), 1, "proven");
        equal(rollup.provenRoot(), one.header.rootAfter, "root");
        equal(rollup.provenCounters(), one.header.countersAfter, "counters");
    }

    function test_batches_queue_up_and_are_proven_in_order() public {
        StoredBatch memory first = commit(certify(draft(randomWords(1, 1), "", 0), 3));
        StoredBatch memory second = commit(certify(draft(randomWords(1, 2), "", 0), 3));
        bytes memory proof = proofOf(second, PROVER);
        vm.expectRevert(abi.encodeWithSelector(Rollup.WrongBatchNumber.selector, 2, 1));
        rollup.proveBatch(second, PROVER, proof);
        prove(first);
        prove(second);
        equal(rollup.provenCount(), 2, "both");
        vm.expectRevert(abi.encodeWithSelector(Rollup.WrongBatchNumber.selector, 2, 3));
        rollup.proveBatch(second, PROVER, proof);
    }

    function test_header_must_continue_what_is_committed() public {
        Draft memory one = draft(randomWords(1, 1), "", 0);
        one.header.batchNumber = 2;
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.WrongBatchNumber.selector, 2, 1));
        one = draft(randomWords(1, 1), "", 0);
        one.header.rootBefore += 1;
        expectRefused(certify(one, 3), bytesOf(Rollup.WrongStart.selector, rollup.committedRoot(), 3));
        one = draft(randomWords(1, 1), "", 0);
        one.header.countersBefore += 1;
        expectRefused(certify(one, 3), bytesOf(Rollup.WrongStart.selector, rollup.committedRoot(), 3));
        one = draft(randomWords(1, 1), "", 0);
        one.header.countersAfter = one.header.countersBefore;
        expectRefused(certify(one, 3), bytesOf(Rollup.HeightNotAbove.selector, 0, 0));
        one = draft(randomWords(1, 1), "", 0);
        one.header.circuitVersion = 2;
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.VersionInactive.selector, 2));
    }

    /// C2: a length that is no whole number of words reverts, and the counts are public inputs: words that evaluate
    /// alike but are more or fewer are another batch.
    function test_C2_leading_zero_words_change_the_public_inputs() public {
        bytes memory words = randomWords(3, 7);
        uint256 snapshot = vm.snapshotState();
        StoredBatch memory plain = commit(certify(draft(words, "", 0), 3));
        vm.revertToState(snapshot);
        Draft memory longer = draft(words, "", 0);
        longer.words.ops = abi.encodePacked(new bytes(31), words);
        StoredBatch memory padded = commit(certify(longer, 3));
        equal(plain.wordCounts + 1, padded.wordCounts, "one more word");
        isTrue(plain.z != padded.z, "z depends on the words");
        bytes memory proof = proofOf(plain, PROVER);
        vm.expectRevert(abi.encodeWithSelector(Rollup.ProofRefused.selector, 1));
        rollup.proveBatch(padded, PROVER, proof);
    }

    function test_C2_broken_lengths_revert() public {
        Draft memory one = draft(new bytes(30), "", 0);
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.BrokenWords.selector, 30, 0, 0));
        one = draft("", new bytes(31), 0); // half a withdrawal
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.BrokenWords.selector, 0, 31, 0));
        one = draft(new bytes(31), "", 0);
        one.words.inbox = new bytes(31);
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.WrongInboxCount.selector, 0, 0, 0));
        one = draft(new bytes(31), new bytes(62 * 513), 0);
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.TooManyWithdrawals.selector, 513));
    }

    /// C6: the contract computes the domain of its own chain, address, parameters and version.
    function test_C6_domain_is_of_this_chain_contract_and_version() public {
        uint256 here = rollup.domainOf(VERSION);
        isTrue(here != rollup.domainOf(2), "version");
        vm.chainId(1);
        isTrue(here != rollup.domainOf(VERSION), "chain");
        vm.chainId(31337);
        address old = address(rollup);
        deploy(uint256(keccak256("genesis root")) % Field.P, 3);
        isTrue(old != address(rollup) && here != rollup.domainOf(VERSION), "contract");
    }

    function test_C6_certificates_of_another_deployment_are_refused() public {
        Draft memory one = certify(draft(randomWords(2, 1), "", 0), 4);
        deploy(uint256(keccak256("genesis root")) % Field.P, 3);
        expectRefused(one, abi.encodeWithSelector(Quorum.WrongSignature.selector, 0));
    }

    /// C7: h, the roots, the words and all else are signed: nobody commits certified data with a false h.
    function test_C7_every_field_of_a_certified_batch_is_signed() public {
        bytes4 refused = Quorum.WrongSignature.selector;
        for (uint256 field = 0; field < 9; ++field) {
            Draft memory one = certify(draft(randomWords(2, 1), withdrawalWords(ALICE, 0, 0, 1), 0), 3);
            if (field == 0) one.header.h ^= 1;
            if (field == 1) one.header.rootAfter ^= 1;
            if (field == 2) one.header.countersAfter += 1;
            if (field == 3) one.header.signedOps += 1;
            if (field == 4) one.header.nextSetHash ^= bytes32(uint256(1));
            if (field == 5) one.header.l1OriginTime += 1;
            if (field == 6) one.words.ops[3] ^= 0x01;
            if (field == 7) one.words.withdrawals[3] ^= 0x01;
            if (field == 8) one.certificate.lastBlock ^= bytes32(uint256(1));
            expectRefused(one, abi.encodeWithSelector(refused, 0));
        }
        Draft memory other = certify(draft(randomWords(2, 1), "", 0), 3);
        other.certificate.lastHeight += 1;
        expectRefused(other, abi.encodeWithSelector(refused, 0));
        other = certify(draft(randomWords(2, 1), "", 0), 3);
        other.header.epoch = 1;
        expectRefused(other, abi.encodeWithSelector(Rollup.WrongEpoch.selector, 1, 1));
        other.certificate.lastHeight = 0;
        other.header.epoch = 0;
        expectRefused(other, abi.encodeWithSelector(Rollup.WrongEpoch.selector, 0, 0));
    }

    function test_C7_a_pruned_batch_is_committed_again_with_the_same_certificate() public {
        Draft memory one = certify(draft(randomWords(2, 1), "", 0), 3);
        StoredBatch memory batch = commit(one);
        StoredBatch memory above = commit(certify(draft(randomWords(2, 2), "", 0), 3));
        vm.expectRevert(abi.encodeWithSelector(Rollup.NotPrunable.selector, 1));
        rollup.prune(batch);
        vm.warp(block.timestamp + PROOF_WINDOW + 1);
        vm.expectRevert(abi.encodeWithSelector(Rollup.NotPrunable.selector, 2));
        rollup.prune(above);
        vm.prank(BOB);
        rollup.prune(batch);
        equal(rollup.committedCount(), 0, "both are gone");
        vm.expectRevert(abi.encodeWithSelector(Rollup.UnknownBatch.selector, 1));
        rollup.prune(batch);
        StoredBatch memory again = commit(one);
        bytes memory proof = proofOf(batch, PROVER);
        vm.expectRevert(abi.encodeWithSelector(Rollup.UnknownBatch.selector, 1));
        rollup.proveBatch(batch, PROVER, proof); // the old commit time is not stored any more
        prove(again);
    }

    /// H8: the words are in an event, so a call through any wrapper is as readable as one from a wallet.
    function test_H8_words_are_readable_from_the_event() public {
        Draft memory one = certify(draft(randomWords(4, 1), withdrawalWords(ALICE, 0, 0, 1), 0), 3);
        Wrapper wrapper = new Wrapper();
        vm.recordLogs();
        wrapper.commit(rollup, one);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes memory data = logs[logs.length - 1].data;
        equal(logs[logs.length - 1].topics[0], Events.BatchCommitted.selector, "event");
        (StoredBatch memory batch,,) = abi.decode(data, (StoredBatch, Header, Words));
        equal(keccak256(data), keccak256(abi.encode(batch, one.header, one.words)), "header and words");
        equal(keccak256(abi.encode(batch)), rollup.batchHash(1), "what was stored");
    }

    /// H9: what is not below p is refused before it is stored.
    function test_H9_roots_and_h_must_be_canonical() public {
        Draft memory one = draft(randomWords(1, 1), "", 0);
        one.header.rootAfter += Field.P;
        expectRefused(certify(one, 3), abi.encodeWithSelector(Field.NotCanonical.selector, one.header.rootAfter));
        one = draft(randomWords(1, 1), "", 0);
        one.header.h = Field.P;
        expectRefused(certify(one, 3), abi.encodeWithSelector(Field.NotCanonical.selector, Field.P));
        one = draft(randomWords(1, 1), "", 0);
        certify(one, 3);
        one.header.signedOps = type(uint64).max;
        uint256 counts = 1 | (uint256(type(uint64).max) << 192);
        expectRefused(resign(one, 3), abi.encodeWithSelector(Field.NotCanonical.selector, counts));
        one = draft(randomWords(1, 1), "", 0);
        one.header.countersAfter |= 1 << 192;
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.WrongInboxCount.selector, 0, 0, 0));
    }

    /// A proof seen in the mempool is worth nothing to another prover, and nothing for other stored fields.
    function test_stolen_and_altered_proofs_are_refused() public {
        StoredBatch memory batch = commit(certify(draft(randomWords(2, 1), "", 0), 3));
        bytes memory proof = proofOf(batch, PROVER);
        vm.expectRevert(abi.encodeWithSelector(Rollup.ProofRefused.selector, 1));
        rollup.proveBatch(batch, BOB, proof);
        vm.expectRevert(Rollup.ZeroProver.selector);
        rollup.proveBatch(batch, address(0), proof);
        vm.expectRevert(abi.encodeWithSelector(Rollup.ProofRefused.selector, 1));
        rollup.proveBatch(batch, PROVER, abi.encodePacked(proof, uint8(0)));
        for (uint256 word = 0; word < 15; ++word) {
            StoredBatch memory other = abi.decode(abi.encode(batch), (StoredBatch));
            assembly ("memory-safe") {
                let place := add(other, mul(word, 32))
                mstore(place, xor(mload(place), 1))
            }
            proof = proofOf(other, PROVER);
            vm.expectRevert(abi.encodeWithSelector(Rollup.UnknownBatch.selector, uint64(other.batchNumber)));
            rollup.proveBatch(other, PROVER, proof);
        }
    }

    function test_M12_disabling_a_version_makes_its_unproven_batches_prunable_at_once() public {
        StoredBatch memory first = commit(certify(draft(randomWords(2, 1), "", 0), 3));
        prove(first);
        StoredBatch memory second = commit(certify(draft(randomWords(2, 2), "", 0), 3));
        vm.prank(address(timelock));
        verifiers.disable(VERSION);
        bytes memory proof = proofOf(second, PROVER);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VersionDisabled.selector, VERSION));
        rollup.proveBatch(second, PROVER, proof);
        vm.expectRevert(abi.encodeWithSelector(Rollup.NotPrunable.selector, 1));
        rollup.prune(first); // proven ones stay
        rollup.prune(second);
        equal(rollup.committedCount(), 1, "back to the proven one");
        Draft memory third = draft(randomWords(2, 3), "", 0);
        expectRefused(certify(third, 3), abi.encodeWithSelector(Rollup.VersionInactive.selector, VERSION));
        address verifierTwo = createTest("Stage.sol:HashVerifier", "");
        vm.startPrank(address(timelock));
        verifiers.add(2, verifierTwo, 0, 0, 0);
        vm.stopPrank();
        third.header.circuitVersion = 2;
        prove(commit(certify(third, 3)));
    }

    function test_a_pause_stops_commit_and_prove_until_it_ends() public {
        Draft memory one = certify(draft(randomWords(2, 1), "", 0), 3);
        StoredBatch memory batch = commit(one);
        bytes memory proof = proofOf(batch, PROVER);
        vm.prank(GOVERNOR);
        timelock.pause();
        expectRefused(one, abi.encodeWithSelector(Rollup.IsPaused.selector));
        vm.expectRevert(Rollup.IsPaused.selector);
        rollup.proveBatch(batch, PROVER, proof);
        vm.expectRevert(Rollup.IsPaused.selector);
        rollup.commitAndProve(one.header, one.words, one.certificate, PROVER, proof);
        deposit(ALICE, 1 ether); // the way in and out is never paused
        vm.warp(block.timestamp + 3 days);
        prove(batch);
    }

    function test_storage_slots_are_the_documented_ones() public {
        finish(randomWords(1, 1), withdrawalWords(ALICE, 0, 0, 5), 0);
        commit(certify(draft(randomWords(1, 2), "", 0), 3));
        uint256 first = uint256(1) << 8 | uint256(2) << 72 | uint256(rollup.waitingSince()) << 136;
        equal(uint256(slot(0)), first, "mode, counts, time");
        equal(uint256(slot(1)), rollup.provenRoot(), "proven root");
        equal(uint256(slot(2)), rollup.provenCounters(), "proven counters");
        equal(uint256(slot(3)), rollup.committedRoot(), "committed root");
        equal(uint256(slot(4)), rollup.committedCounters(), "committed counters");
        equal(slot(uint256(keccak256(abi.encode(2, 5)))), rollup.batchHash(2), "batch hash");
        equal(slot(uint256(keccak256(abi.encode(1, 6)))), rollup.withdrawalRoot(1), "withdrawal root");
        isTrue(rollup.withdrawalRoot(1) != 0, "there is one");
    }

    function test_only_the_rollup_calls_the_second_half_of_commit_and_prove() public {
        StoredBatch memory batch = commit(certify(draft(randomWords(2, 1), "", 0), 3));
        bytes memory proof = proofOf(batch, PROVER);
        vm.expectRevert(abi.encodeWithSelector(Rollup.WrongMode.selector, Mode.Active));
        rollup.proveCommitted(batch, PROVER, proof);
    }

    /// Horner in assembly equals the sum of powers, whatever lies behind the words in calldata.
    function testFuzz_values_at_z_are_the_polynomials(uint8 count, uint256 z, uint256 seed) public view {
        z %= Field.P;
        bytes memory words = randomWords(count, seed);
        uint256 expected = 0;
        uint256 power = 1;
        for (uint256 i = count; i > 0; --i) {
            uint256 word;
            assembly ("memory-safe") {
                word := shr(8, mload(add(add(words, 32), mul(sub(i, 1), 31))))
            }
            expected = addmod(expected, mulmod(word, power, Field.P), Field.P);
            power = mulmod(power, z, Field.P);
        }
        equal(this.evaluate(words, z), expected, "value");
    }

    function evaluate(bytes calldata words, uint256 z) external pure returns (uint256) {
        return Field.evaluate(words, z);
    }

    function slot(uint256 number) private view returns (bytes32) {
        return vm.load(address(rollup), bytes32(number));
    }

    function expectRefused(Draft memory one, bytes memory reason) private {
        vm.expectRevert(reason);
        rollup.commitBatch(one.header, one.words, one.certificate);
    }

    function bytesOf(bytes4 selector, uint256 a, uint256 b) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, a, b);
    }
}

/// Somebody else's contract between a committer and the Rollup.
contract Wrapper {
    function commit(Rollup rollup, Draft memory one) external {
        rollup.commitBatch(one.header, one.words, one.certificate);
    }
}

/// Deployments that cannot keep their promises are refused.
contract RollupConstructorTest is Stage {
    function test_deadlines_that_contradict_each_other_are_refused() public {
        Timing memory good = Timing(OVERDUE, ENFORCED, PROOF_WINDOW, PROOF_TIME, DESERT);
        attempt(good, false);
        Timing memory bad = copy(good);
        bad.overdue = ENFORCED;
        attempt(bad, true);
        bad = copy(good);
        bad.desert = ENFORCED + PROOF_WINDOW + PROOF_TIME + 3 days;
        attempt(bad, true);
        bad.desert += 1;
        attempt(bad, false);
        bad = copy(good);
        bad.enforced = 10 days; // longer than users have before an upgrade
        bad.desert = 30 days;
        attempt(bad, true);
        bad = copy(good);
        bad.proofWindow = 6 days; // stake could leave before an offence is judged
        bad.desert = 30 days;
        attempt(bad, true);
        bad = copy(good);
        bad.proofTime = 0;
        attempt(bad, true);
    }

    function attempt(Timing memory timing, bool refused) private {
        uint256 snapshot = vm.snapshotState();
        // the registry names the next contract as its rollup
        bytes4 reason = refused ? Rollup.BadTiming.selector : Rollup.Miswired.selector;
        vm.expectRevert(reason);
        this.attempt(rollupArguments(1, 1, timing));
        vm.revertToState(snapshot);
    }

    function attempt(bytes memory arguments) external {
        create("Rollup", arguments);
    }

    function copy(Timing memory timing) private pure returns (Timing memory) {
        return abi.decode(abi.encode(timing), (Timing));
    }
}
