// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StoredBatch} from "../src/Batch.sol";
import {Events} from "../src/Events.sol";
import {Field} from "../src/Field.sol";
import {Inbox} from "../src/Inbox.sol";
import {Stage} from "./Stage.sol";
import {Vm} from "./Vm.sol";

/// What the inbox takes and for how much (protocol-review.md C8, H2, H5).
contract InboxTest is Stage {
    function test_items_are_chained_and_readable_from_events() public {
        uint256 fee = inbox.fee();
        vm.recordLogs();
        vm.prank(ALICE);
        inbox.forceTransfer{value: fee}(1, 2, 3, 4);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        equal(logs[0].topics[0], Events.ItemEnqueued.selector, "event");
        (bytes memory words, uint64 time, uint256 paid) = abi.decode(logs[0].data, (bytes, uint64, uint256));
        equal(words.length, 155, "five words");
        equal(time, block.timestamp, "time");
        equal(paid, fee, "fee");
        bytes32 rolling = keccak256(abi.encodePacked(bytes32(0), words));
        equal(inbox.rollingAt(1), rolling, "rolling hash");
        equal(inbox.rollingAt(0), bytes32(0), "starts at zero");
    }

    /// H2: the authority of a forced operation is who sent it, whatever it asks for.
    function testFuzz_H2_the_sender_is_the_owner_of_every_item(address sender, uint32 from, uint32 token) public {
        vm.assume(uint160(sender) > 1000);
        vm.deal(sender, 1 ether);
        uint256 fee = inbox.fee();
        vm.prank(sender);
        inbox.forceExit{value: fee}(from, token);
        bytes memory words = inbox.encode(Inbox.Request(6, from, 0, token, 0, address(0), 0, 0), sender);
        equal(inbox.rollingAt(1), keccak256(abi.encodePacked(bytes32(0), words)), "owner");
    }

    function test_H5_what_the_circuit_would_make_a_no_op_is_refused_first() public {
        uint256 fee = inbox.fee();
        vm.expectRevert(Inbox.ZeroOwner.selector);
        inbox.deposit{value: fee + 1}(0, 1, 0, address(0), 0, 0);
        vm.expectRevert(Inbox.ZeroAmount.selector);
        inbox.deposit{value: fee}(0, 0, 0, ALICE, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(Field.NotCanonical.selector, Field.P));
        inbox.deposit{value: fee + 1}(0, 1, 0, ALICE, Field.P, 0);
        vm.expectRevert(abi.encodeWithSelector(Field.NotCanonical.selector, Field.P));
        inbox.forceChangeKey{value: fee}(0, 0, 0, Field.P);
        vm.expectRevert(Inbox.ZeroOwner.selector);
        inbox.forceTransferToNew{value: fee}(0, 0, 1, address(0), 0, 0);
        vm.expectRevert(abi.encodeWithSelector(Inbox.AmountTooLarge.selector, 1 << 120));
        inbox.forceWithdraw{value: fee}(0, 0, 1 << 120);
        vm.expectRevert(abi.encodeWithSelector(Inbox.FeeTooLow.selector, 0, fee + 5));
        inbox.deposit(0, 5, 0, ALICE, 0, 0);
        equal(inbox.count(), 0, "nothing entered");
        inbox.forceWithdraw{value: fee}(0, 0, (1 << 120) - 1);
        inbox.forceChangeKey{value: fee}(0, 0, Field.P - 1, Field.P - 1);
        inbox.forceTransferToNew{value: fee}(0, 0, 1, ALICE, 0, 0);
        equal(inbox.count(), 3, "these did");
    }

    function test_a_margin_over_the_fee_is_a_fee_and_a_slip_of_ether_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(Inbox.FeeTooLow.selector, FEE_BASE - 1, FEE_BASE));
        inbox.forceExit{value: FEE_BASE - 1}(0, 0);
        inbox.forceExit{value: FEE_BASE + 7}(0, 0);
        equal(inbox.feeOf(0), FEE_BASE + 7, "all of it");
        vm.expectRevert(abi.encodeWithSelector(Inbox.AmountTooLarge.selector, 20 ether));
        inbox.forceExit{value: 20 ether}(0, 0);
    }

    /// C8: a flood pays twice as much with every sixteenth of the queue, deposits leave half of it to forced
    /// operations, and nothing grows beyond what the rules can drain.
    function test_C8_a_flood_costs_more_and_more_and_leaves_room_for_exits() public {
        uint64 most = inbox.queueMax();
        equal(most, 128 * (ENFORCED / 2 / PROOF_TIME), "what half of the deadline drains");
        uint256 spent = 0;
        for (uint64 i = 0; i < most / 2; ++i) {
            spent += inbox.fee();
            equal(inbox.fee(), uint256(FEE_BASE) << (uint256(i) * 16 / most), "doubles");
            inbox.deposit{value: inbox.fee() + 1}(0, 1, 0, ALICE, 0, 0);
        }
        uint256 fee = inbox.fee();
        vm.expectRevert(abi.encodeWithSelector(Inbox.QueueFull.selector, most / 2));
        inbox.deposit{value: fee + 1}(0, 1, 0, ALICE, 0, 0);
        for (uint64 i = most / 2; i < most; ++i) {
            spent += inbox.fee();
            inbox.forceExit{value: inbox.fee()}(0, 0);
        }
        fee = inbox.fee();
        equal(fee, uint256(FEE_BASE) << 16, "doubled sixteen times");
        vm.expectRevert(abi.encodeWithSelector(Inbox.QueueFull.selector, most));
        inbox.forceExit{value: fee}(0, 0);
        isTrue(spent > 600 ether, "the flood was not free");
    }

    function test_room_and_fee_come_back_when_batches_are_proven() public {
        for (uint256 i = 0; i < 128; ++i) {
            deposit(ALICE, 1);
        }
        equal(inbox.fee(), FEE_BASE << 1, "doubled");
        StoredBatch memory batch = commit(certify(draft(randomWords(1, 1), "", 128), 3));
        equal(inbox.fee(), FEE_BASE << 1, "committing does not drain");
        prove(batch);
        equal(inbox.fee(), FEE_BASE, "proving does");
        equal(inbox.waiting(), 0, "nothing waits");
    }

    function test_who_proves_an_item_earns_its_fee() public {
        deposit(ALICE, 5 ether);
        forceExit(BOB, 0, 0);
        deposit(ALICE, 5 ether);
        finish(randomWords(1, 1), "", 2);
        equal(bridge.feeCredit(PROVER), 2 * FEE_BASE, "two of three");
        equal(bridge.feesHeld(), 3 * FEE_BASE, "held");
        vm.prank(BOB);
        bridge.claimFees(PROVER);
        equal(PROVER.balance, 2 * FEE_BASE, "paid");
        equal(bridge.feesHeld(), FEE_BASE, "the third waits");
        vm.expectRevert();
        bridge.claimFees(PROVER);
        (uint256 owed, uint256 held) = bridge.solvency(0);
        equal(owed, held, "solvent");
    }

    function test_the_inbox_is_closed_in_desert_only() public {
        deposit(ALICE, 1 ether);
        vm.warp(block.timestamp + ENFORCED + 1);
        rollup.triggerEnforced();
        deposit(ALICE, 1 ether);
        vm.warp(block.timestamp + DESERT);
        rollup.triggerDesert();
        uint256 fee = inbox.fee();
        vm.expectRevert(Inbox.InDesert.selector);
        inbox.forceExit{value: fee}(0, 0);
        vm.expectRevert(Inbox.InDesert.selector);
        inbox.deposit{value: fee + 1}(0, 1, 0, ALICE, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(Inbox.NotRollup.selector, address(this)));
        inbox.creditFees(0, 1, BOB);
    }
}
