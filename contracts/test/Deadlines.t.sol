// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StoredBatch} from "../src/Batch.sol";
import {Mode} from "../src/Events.sol";
import {Quorum} from "../src/Quorum.sol";
import {Rollup} from "../src/Rollup.sol";
import {Draft, Stage} from "./Stage.sol";

/// Forced inclusion and the modes that enforce it (protocol-review.md C1, C8, H2, H6).
contract DeadlinesTest is Stage {
    uint256 private start;

    function setUp() public override {
        super.setUp();
        start = block.timestamp;
    }

    function test_overdue_items_must_be_in_the_batch() public {
        deposit(ALICE, 1 ether);
        deposit(ALICE, 2 ether);
        finish(randomWords(1, 1), "", 0); // not overdue yet
        vm.warp(start + OVERDUE + 1);
        expectRefused(
            certify(draft(randomWords(1, 2), "", 0), 3), abi.encodeWithSelector(Rollup.ItemLeftOut.selector, 0)
        );
        expectRefused(
            certify(draft(randomWords(1, 2), "", 1), 3), abi.encodeWithSelector(Rollup.ItemLeftOut.selector, 1)
        );
        finish(randomWords(1, 2), "", 2);
    }

    /// What counts is the base layer's time that the batch was certified for: a certificate does not spoil while it waits.
    function test_age_counts_at_the_certified_time() public {
        deposit(ALICE, 1 ether);
        Draft memory one = certify(draft(randomWords(1, 1), "", 0), 3);
        vm.warp(start + OVERDUE + 1);
        commit(one);
    }

    function test_C8_a_full_batch_may_leave_overdue_items() public {
        for (uint256 i = 0; i < 130; ++i) {
            deposit(ALICE, 1 ether);
        }
        vm.warp(start + OVERDUE + 1);
        expectRefused(
            certify(draft(randomWords(1, 1), "", 127), 3), abi.encodeWithSelector(Rollup.ItemLeftOut.selector, 127)
        );
        finish(randomWords(1, 1), "", 128);
        expectRefused(
            certify(draft(randomWords(1, 1), "", 1), 3), abi.encodeWithSelector(Rollup.ItemLeftOut.selector, 129)
        );
        finish(randomWords(1, 1), "", 2);
    }

    function test_C8_no_batch_takes_more_than_the_maximum() public {
        for (uint256 i = 0; i < 129; ++i) {
            deposit(ALICE, 1 ether);
        }
        bytes memory reason = abi.encodeWithSelector(Rollup.WrongInboxCount.selector, 129, 0, 129);
        expectRefused(certify(draft(randomWords(1, 1), "", 129), 3), reason);
    }

    /// C8: taking an item into batches that are never proven does not count as taking it.
    function test_C8_pruned_batches_give_items_back_with_their_first_time() public {
        deposit(ALICE, 1 ether);
        StoredBatch memory batch = commit(certify(draft(randomWords(1, 1), "", 1), 3));
        vm.warp(start + PROOF_WINDOW + 1);
        rollup.prune(batch);
        equal(inbox.waiting(), 1, "it waits again");
        expectRefused(
            certify(draft(randomWords(1, 2), "", 0), 3), abi.encodeWithSelector(Rollup.ItemLeftOut.selector, 0)
        );
        commit(certify(draft(randomWords(1, 1), "", 1), 3));
        vm.warp(start + ENFORCED + 1);
        rollup.triggerEnforced();
        equal(rollup.committedCount(), 0, "unproven batches are void");
        isTrue(rollup.mode() == Mode.Enforced, "mode");
    }

    function test_C8_enforced_opens_when_an_item_waits_too_long_and_not_before() public {
        vm.warp(start + 10 * ENFORCED);
        expectNotDue(); // nothing waits
        start = block.timestamp;
        deposit(ALICE, 1 ether);
        vm.warp(start + ENFORCED);
        expectNotDue();
        vm.warp(start + ENFORCED + 1);
        vm.prank(BOB);
        rollup.triggerEnforced();
        vm.expectRevert(abi.encodeWithSelector(Rollup.WrongMode.selector, Mode.Enforced));
        rollup.triggerEnforced();
    }

    /// Batches that are committed, pruned and committed again wait as well, though no item does.
    function test_C8_enforced_opens_when_batches_are_never_proven() public {
        Draft memory one = certify(draft(randomWords(1, 1), "", 0), 3);
        StoredBatch memory batch = commit(one);
        vm.warp(start + PROOF_WINDOW + 1);
        rollup.prune(batch);
        commit(one);
        vm.warp(start + ENFORCED);
        expectNotDue();
        vm.warp(start + ENFORCED + 1);
        rollup.triggerEnforced();
    }

    function test_proving_restarts_the_clock_of_waiting_batches() public {
        StoredBatch memory first = commit(certify(draft(randomWords(1, 1), "", 0), 3));
        commit(certify(draft(randomWords(1, 2), "", 0), 3));
        vm.warp(start + ENFORCED - 1);
        prove(first);
        vm.warp(start + ENFORCED + 1);
        expectNotDue();
        vm.warp(start + 2 * ENFORCED);
        rollup.triggerEnforced();
        equal(rollup.committedCount(), 1, "the proven batch stays");
    }

    function test_desert_opens_later_than_enforced_and_for_ever() public {
        deposit(ALICE, 1 ether);
        Draft memory one = certify(draft(randomWords(1, 1), "", 1), 3);
        vm.warp(start + DESERT);
        vm.expectRevert(Rollup.NotDue.selector);
        rollup.triggerDesert();
        rollup.triggerEnforced();
        vm.warp(start + DESERT + 1);
        vm.prank(BOB);
        rollup.triggerDesert();
        bytes memory closed = abi.encodeWithSelector(Rollup.WrongMode.selector, Mode.Desert);
        expectRefused(one, closed);
        vm.expectRevert(closed);
        rollup.commitAndProve(one.header, one.words, one.certificate, PROVER, "");
        vm.expectRevert(closed);
        rollup.triggerDesert();
        vm.expectRevert(closed);
        rollup.triggerEnforced();
    }

    function test_desert_voids_batches_that_were_committed_and_not_proven() public {
        deposit(ALICE, 1 ether);
        uint256 root = rollup.provenRoot();
        StoredBatch memory batch = commit(certify(draft(randomWords(1, 1), "", 1), 3));
        vm.warp(start + DESERT + 1);
        rollup.triggerDesert();
        equal(rollup.committedCount(), 0, "void");
        equal(rollup.provenRoot(), root, "frozen");
        bytes memory proof = proofOf(batch, PROVER);
        vm.expectRevert(abi.encodeWithSelector(Rollup.WrongMode.selector, Mode.Desert));
        rollup.proveBatch(batch, PROVER, proof);
    }

    function test_H6_an_outsider_serves_the_inbox_in_enforced_mode() public {
        deposit(ALICE, 1 ether);
        forceExit(BOB, 0, 0);
        enforce();
        Draft memory one = draft(randomWords(2, 1), withdrawalWords(BOB, 0, 0, 5), 2);
        vm.prank(BOB);
        commitAndProve(one);
        equal(rollup.provenCount(), 1, "proven at once");
        isTrue(rollup.mode() == Mode.Active, "nothing is overdue any more");
        finish(randomWords(1, 3), "", 0); // validators go on from there
    }

    function test_H6_without_a_certificate_nothing_but_inbox_items_is_taken() public {
        deposit(ALICE, 1 ether);
        enforce();
        for (uint256 field = 0; field < 8; ++field) {
            Draft memory one = draft(randomWords(2, 1), "", 1);
            if (field == 0) one.header.signedOps = 1; // old transactions in an order of one's own
            if (field == 1) one.header.countersAfter += 1 << 64; // heights burned
            if (field == 2) one.header.epoch = 1;
            if (field == 3) one.header.nextSetHash = "mine"; // a set of one's own
            if (field == 4) one.header.l1OriginTime = 1;
            if (field == 5) one.certificate.lastHeight = 1;
            if (field == 6) one.certificate.validators = seats;
            if (field == 7) one = draft(randomWords(2, 1), "", 0);
            vm.expectRevert(Rollup.NotInboxOnly.selector);
            rollup.commitAndProve(one.header, one.words, one.certificate, PROVER, "");
        }
    }

    function test_H6_a_certified_batch_that_fits_is_taken_in_enforced_mode() public {
        deposit(ALICE, 1 ether);
        Draft memory one = certify(draft(randomWords(2, 1), "", 1), 3);
        enforce();
        vm.expectRevert(abi.encodeWithSelector(Rollup.WrongMode.selector, Mode.Enforced));
        rollup.commitBatch(one.header, one.words, one.certificate);
        commitAndProve(one);
        isTrue(rollup.mode() == Mode.Active, "served");
    }

    function test_H6_a_forged_certificate_helps_nobody_in_enforced_mode() public {
        deposit(ALICE, 1 ether);
        Draft memory one = certify(draft(randomWords(2, 1), "", 1), 2);
        enforce();
        vm.expectRevert(abi.encodeWithSelector(Quorum.NoQuorum.selector, 2, 4));
        rollup.commitAndProve(one.header, one.words, one.certificate, PROVER, "");
    }

    function test_enforced_mode_judges_age_by_the_clock_and_ends_when_nothing_is_overdue() public {
        for (uint256 i = 0; i < 130; ++i) {
            deposit(ALICE, 1 ether);
        }
        enforce();
        Draft memory one = draft(randomWords(2, 1), "", 100);
        vm.expectRevert(abi.encodeWithSelector(Rollup.ItemLeftOut.selector, 100));
        rollup.commitAndProve(one.header, one.words, one.certificate, PROVER, "");
        commitAndProve(draft(randomWords(2, 1), "", 128));
        isTrue(rollup.mode() == Mode.Enforced, "two are overdue");
        commitAndProve(draft(randomWords(2, 1), "", 2));
        isTrue(rollup.mode() == Mode.Active, "none is");
    }

    function test_commit_and_prove_needs_the_proof() public {
        deposit(ALICE, 1 ether);
        enforce();
        Draft memory one = draft(randomWords(2, 1), "", 1);
        vm.expectRevert(abi.encodeWithSelector(Rollup.ProofRefused.selector, 1));
        rollup.commitAndProve(one.header, one.words, one.certificate, PROVER, new bytes(32));
        equal(rollup.committedCount(), 0, "nothing is left");
    }

    function test_commit_and_prove_is_for_enforced_mode() public {
        deposit(ALICE, 1 ether);
        Draft memory one = draft(randomWords(2, 1), "", 1);
        vm.expectRevert(abi.encodeWithSelector(Rollup.WrongMode.selector, Mode.Active));
        rollup.commitAndProve(one.header, one.words, one.certificate, PROVER, "");
    }

    /// C1: the words of items are the queue's and hashed into z; nothing may be chosen after z. H2: an item cannot be
    /// swapped, left out from the middle, or taken twice.
    function test_C1_consumed_words_are_exactly_the_next_items() public {
        deposit(ALICE, 1 ether);
        deposit(BOB, 2 ether);
        Draft memory one = draft(randomWords(1, 1), "", 2);
        bytes memory mismatch = abi.encodeWithSelector(Rollup.InboxMismatch.selector, 0, 2);
        one.words.inbox[20] ^= 0x01;
        expectRefused(certify(one, 3), mismatch);
        one.words.inbox = abi.encodePacked(itemWords[1], itemWords[0]);
        expectRefused(certify(one, 3), mismatch);
        one.words.inbox = abi.encodePacked(itemWords[0], itemWords[0]);
        expectRefused(certify(one, 3), mismatch);
        one = draft(randomWords(1, 1), "", 1);
        one.words.inbox = itemWords[1];
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.InboxMismatch.selector, 0, 1));
        one = draft(randomWords(1, 1), "", 1);
        one.words.inbox = "";
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.WrongInboxCount.selector, 1, 0, 0));
        // an item that does not exist
        one = draft(randomWords(1, 1), "", 2);
        one.header.countersAfter += 1 << 128;
        one.words.inbox = abi.encodePacked(one.words.inbox, itemWords[1]);
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.InboxMismatch.selector, 0, 3));
        finish(randomWords(1, 1), "", 1);
        one = draft(randomWords(1, 1), "", 1);
        one.words.inbox = itemWords[0]; // again
        expectRefused(certify(one, 3), abi.encodeWithSelector(Rollup.InboxMismatch.selector, 1, 2));
    }

    /// C1: whatever is evaluated moves z, the consumed items too.
    function test_C1_the_items_words_move_z() public {
        uint256 snapshot = vm.snapshotState();
        deposit(ALICE, 1 ether);
        uint256 z = commit(certify(draft(randomWords(1, 1), "", 1), 3)).z;
        vm.revertToState(snapshot);
        deposit(BOB, 1 ether);
        uint256 other = commit(certify(draft(randomWords(1, 1), "", 1), 3)).z;
        isTrue(z != other, "z");
    }

    function enforce() private {
        vm.warp(start + ENFORCED + 1);
        rollup.triggerEnforced();
    }

    function expectNotDue() private {
        vm.expectRevert(Rollup.NotDue.selector);
        rollup.triggerEnforced();
    }

    function expectRefused(Draft memory one, bytes memory reason) private {
        vm.expectRevert(reason);
        rollup.commitBatch(one.header, one.words, one.certificate);
    }
}
