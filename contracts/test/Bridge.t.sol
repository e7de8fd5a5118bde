// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bridge} from "../src/Bridge.sol";
import {Inbox} from "../src/Inbox.sol";
import {WithdrawalTree} from "../src/WithdrawalTree.sol";
import {Stage} from "./Stage.sol";
import {Greedy, LyingToken, Moody, ReenteringToken, SilentToken, TaxedToken, Token} from "./Tokens.sol";
import {WithdrawalPaths} from "./WithdrawalPaths.sol";

/// Money in and out (protocol-review.md H1, M10).
contract BridgeTest is Stage {
    function test_H1_a_withdrawal_is_claimed_by_anyone_once() public {
        deposit(ALICE, 10 ether);
        bytes memory one = withdrawalWords(BOB, 0, 0, 3 ether);
        finish(randomWords(1, 1), one, 1);
        uint256 before = BOB.balance;
        bridge.claim(1, 0, one, new bytes32[](0));
        equal(BOB.balance, before + 3 ether, "paid");
        equal(bridge.escrow(0), 7 ether, "escrow");
        isTrue(bridge.isClaimed(1, 0), "claimed");
        vm.expectRevert(abi.encodeWithSelector(Bridge.AlreadyClaimed.selector, 1, 0));
        bridge.claim(1, 0, one, new bytes32[](0));
    }

    function test_H1_only_proven_batches_pay() public {
        deposit(ALICE, 10 ether);
        bytes memory one = withdrawalWords(BOB, 0, 0, 3 ether);
        commit(certify(draft(randomWords(1, 1), one, 1), 3));
        vm.expectRevert(abi.encodeWithSelector(Bridge.NotProven.selector, 1));
        bridge.claim(1, 0, one, new bytes32[](0));
    }

    /// H1: proving a batch costs the same however many withdrawals it holds; each is claimed apart.
    function test_H1_a_batch_full_of_withdrawals_is_proven_and_claimed() public {
        deposit(ALICE, 1000 ether);
        bytes memory all;
        for (uint256 i = 0; i < 512; ++i) {
            all = abi.encodePacked(all, withdrawalWords(BOB, 0, uint32(i), 1 ether));
        }
        finish(randomWords(1, 1), all, 1);
        uint256 before = BOB.balance;
        for (uint256 i = 0; i < 512; i += 73) {
            bridge.claim(1, i, withdrawalWords(BOB, 0, uint32(i), 1 ether), WithdrawalPaths.pathOf(1, all, i));
        }
        equal(BOB.balance, before + 8 ether, "eight of them");
    }

    function testFuzz_every_path_leads_to_the_root(uint8 count, uint8 index, uint256 seed) public view {
        count = uint8(bound(count, 1, 40));
        index = uint8(bound(index, 0, count - 1));
        bytes memory all = randomWords(uint256(count) * 2, seed);
        bytes memory own = WithdrawalPaths.cut(all, index);
        equal(this.climb(7, index, own, WithdrawalPaths.pathOf(7, all, index)), this.root(7, all), "root");
        isTrue(this.climb(8, index, own, WithdrawalPaths.pathOf(7, all, index)) != this.root(7, all), "another batch");
        isTrue(
            this.climb(7, uint256(index) + 256, own, WithdrawalPaths.pathOf(7, all, index)) != this.root(7, all),
            "another index"
        );
    }

    function test_paths_of_other_places_batches_and_words_are_refused() public {
        deposit(ALICE, 10 ether);
        bytes memory all = abi.encodePacked(
            withdrawalWords(BOB, 0, 0, 1 ether),
            withdrawalWords(BOB, 0, 0, 1 ether),
            withdrawalWords(BOB, 0, 0, 1 ether)
        );
        finish(randomWords(1, 1), all, 1);
        bytes32[] memory path = WithdrawalPaths.pathOf(1, all, 1);
        bytes memory words = WithdrawalPaths.cut(all, 1);
        refuse(1, 0, words, path);
        refuse(1, 1 + 4, words, path); // the same turns, a bitmap bit of its own
        refuse(1, 1, withdrawalWords(BOB, 0, 0, 2 ether), path);
        refuse(0, 1, words, path);
        refuse(1, 1, words, WithdrawalPaths.pathOf(1, all, 2));
        vm.expectRevert(abi.encodeWithSelector(Bridge.BrokenWithdrawal.selector, 61));
        bridge.claim(1, 1, new bytes(61), path);
        bridge.claim(1, 1, words, path);
    }

    /// A failing payment reverts alone and stays owed.
    function test_reverting_receiver_keeps_its_claim_and_harms_nobody() public {
        Moody moody = new Moody();
        deposit(ALICE, 10 ether);
        bytes memory all =
            abi.encodePacked(withdrawalWords(address(moody), 0, 0, 1 ether), withdrawalWords(BOB, 0, 0, 1 ether));
        finish(randomWords(1, 1), all, 1);
        bytes32[] memory path = WithdrawalPaths.pathOf(1, all, 0);
        vm.expectRevert(abi.encodeWithSelector(Bridge.TransferFailed.selector, 0, address(moody), 1 ether));
        bridge.claim(1, 0, WithdrawalPaths.cut(all, 0), path);
        bridge.claim(1, 1, WithdrawalPaths.cut(all, 1), WithdrawalPaths.pathOf(1, all, 1));
        isTrue(!bridge.isClaimed(1, 0), "still owed");
        moody.open();
        bridge.claim(1, 0, WithdrawalPaths.cut(all, 0), path);
        equal(address(moody).balance, 1 ether, "paid in the end");
    }

    function test_a_receiver_cannot_claim_again_while_it_is_paid() public {
        Greedy greedy = new Greedy(bridge);
        deposit(ALICE, 10 ether);
        bytes memory all = abi.encodePacked(
            withdrawalWords(address(greedy), 0, 0, 1 ether), withdrawalWords(address(greedy), 0, 1, 1 ether)
        );
        finish(randomWords(1, 1), all, 1);
        // not even another claim of its own
        greedy.arm(abi.encodeCall(Bridge.claim, (1, 1, WithdrawalPaths.cut(all, 1), WithdrawalPaths.pathOf(1, all, 1))));
        bridge.claim(1, 0, WithdrawalPaths.cut(all, 0), WithdrawalPaths.pathOf(1, all, 0));
        isTrue(!greedy.succeeded(), "locked");
        equal(address(greedy).balance, 1 ether, "once");
        bridge.claim(1, 1, WithdrawalPaths.cut(all, 1), WithdrawalPaths.pathOf(1, all, 1));
        equal(address(greedy).balance, 2 ether, "each in its turn");
    }

    function test_tokens_are_numbered_once_by_anyone() public {
        Token token = new Token();
        vm.prank(BOB);
        equal(bridge.registerToken(address(token)), 1, "first after ETH");
        vm.expectRevert(abi.encodeWithSelector(Bridge.TokenTaken.selector, address(token)));
        bridge.registerToken(address(token));
        vm.expectRevert(abi.encodeWithSelector(Bridge.NotAToken.selector, BOB));
        bridge.registerToken(BOB);
        equal(bridge.tokenOf(1), address(token), "address");
        equal(bridge.tokenOf(0), address(0), "ETH");
        vm.expectRevert(abi.encodeWithSelector(Bridge.UnknownToken.selector, 2));
        bridge.tokenOf(2);
        equal(bridge.tokenCount(), 2, "count");
    }

    function test_erc20_goes_in_and_out() public {
        Token token = registered(address(new Token()));
        depositToken(ALICE, 1, 1000);
        equal(bridge.escrow(1), 1000, "escrow");
        bytes memory one = withdrawalWords(BOB, 1, 0, 400);
        finish(randomWords(1, 1), one, 1);
        bridge.claim(1, 0, one, new bytes32[](0));
        equal(token.balanceOf(BOB), 400, "paid");
        (uint256 owed, uint256 held) = bridge.solvency(1);
        equal(owed, held, "solvent");
    }

    function test_fee_on_transfer_token_credits_what_arrives() public {
        Token token = registered(address(new TaxedToken()));
        uint256 fee = inbox.fee();
        vm.recordLogs();
        vm.prank(ALICE);
        inbox.deposit{value: fee}(1, 1000, 0, ALICE, 0, 0);
        equal(bridge.escrow(1), 900, "escrow is what arrived");
        equal(token.balanceOf(address(bridge)), 900, "held");
        itemWords.push(inbox.encode(Inbox.Request(1, 0, 0, 1, 900, ALICE, 0, 0), ALICE));
        finish(randomWords(1, 1), "", 1); // the item says 900 too
    }

    function test_tokens_that_answer_nothing_work_and_tokens_that_answer_false_do_not() public {
        SilentToken silent = new SilentToken();
        bridge.registerToken(address(silent));
        silent.mint(ALICE, 50);
        depositToken(ALICE, 1, 50);
        bytes memory one = withdrawalWords(BOB, 1, 0, 50);
        finish(randomWords(1, 1), one, 1);
        bridge.claim(1, 0, one, new bytes32[](0));
        equal(silent.balanceOf(BOB), 50, "paid");
        bridge.registerToken(address(new LyingToken()));
        uint256 fee = inbox.fee();
        vm.expectRevert(abi.encodeWithSelector(Bridge.TransferFailed.selector, 2, address(this), 5));
        inbox.deposit{value: fee}(2, 5, 0, ALICE, 0, 0);
    }

    /// M10: a token that deposits, funds or claims from within its own transfer is stopped by the one lock.
    function test_M10_a_token_cannot_be_counted_twice_by_reentering() public {
        ReenteringToken token = ReenteringToken(address(registered(address(new ReenteringToken()))));
        token.mint(address(token), 1000);
        token.arm(bridge, abi.encodeCall(Bridge.fund, (1, 10)));
        depositToken(ALICE, 1, 100);
        isTrue(!token.succeeded(), "locked");
        equal(bytes32(token.answer()), bytes32(Bridge.Reentered.selector), "by the lock");
        equal(bridge.escrow(1), 100, "counted once");
        token.arm(bridge, "");
        bytes memory one = withdrawalWords(BOB, 1, 0, 60);
        finish(randomWords(1, 1), one, 1);
        token.arm(bridge, abi.encodeCall(Bridge.claim, (1, 0, one, new bytes32[](0))));
        bridge.claim(1, 0, one, new bytes32[](0));
        isTrue(!token.succeeded(), "locked");
        equal(token.balanceOf(BOB), 60, "once");
    }

    function test_escrow_of_a_token_stays_below_its_bound() public {
        Token token = registered(address(new Token()));
        uint256 limit = 1 << 120;
        token.mint(address(this), limit);
        token.approve(address(bridge), limit);
        vm.expectRevert(abi.encodeWithSelector(Bridge.EscrowFull.selector, 1, limit));
        bridge.fund(1, limit);
        bridge.fund(1, limit - 1);
        uint256 fee = inbox.fee();
        vm.expectRevert(abi.encodeWithSelector(Bridge.EscrowFull.selector, 1, limit));
        inbox.deposit{value: fee}(1, 1, 0, ALICE, 0, 0);
    }

    /// A withdrawal beyond what a token's escrow holds reverts: other tokens' holders pay nothing for it.
    function test_a_token_pays_from_its_own_escrow_only() public {
        registered(address(new Token()));
        depositToken(ALICE, 1, 10);
        deposit(ALICE, 1 ether);
        bytes memory one = withdrawalWords(BOB, 1, 0, 11);
        finish(randomWords(1, 1), one, 2);
        vm.expectRevert();
        bridge.claim(1, 0, one, new bytes32[](0));
    }

    function test_only_inbox_and_desert_exit_move_money_by_themselves() public {
        vm.expectRevert(abi.encodeWithSelector(Bridge.NotInbox.selector, address(this)));
        bridge.takeDeposit(0, ALICE, 1);
        vm.expectRevert(abi.encodeWithSelector(Bridge.NotInbox.selector, address(this)));
        bridge.takeFee();
        vm.expectRevert(abi.encodeWithSelector(Bridge.NotInbox.selector, address(this)));
        bridge.creditFees(BOB, 1);
        vm.expectRevert(abi.encodeWithSelector(Bridge.NotDesertExit.selector, address(this)));
        bridge.payExit(0, BOB, 1);
        vm.expectRevert(abi.encodeWithSelector(Bridge.NotDesertExit.selector, address(this)));
        bridge.payFee(BOB, 1);
        vm.expectRevert(abi.encodeWithSelector(Bridge.WrongValue.selector, 1, 2));
        bridge.fund{value: 1}(0, 2);
    }

    // Reference tree --------------------------------------------------------------------------------------------

    function leaf(uint64 batch, uint256 index, bytes calldata words) external pure returns (bytes32) {
        return WithdrawalTree.leaf(batch, index, words);
    }

    function root(uint64 batch, bytes calldata all) external pure returns (bytes32) {
        return WithdrawalTree.root(batch, all);
    }

    function climb(uint64 batch, uint256 index, bytes calldata words, bytes32[] calldata path)
        external
        pure
        returns (bytes32)
    {
        return WithdrawalTree.climb(WithdrawalTree.leaf(batch, index, words), index, path);
    }

    function refuse(uint64 batch, uint256 index, bytes memory words, bytes32[] memory path) private {
        vm.expectPartialRevert(Bridge.WrongPath.selector);
        bridge.claim(batch, index, words, path);
    }

    /// The next token number, and a supply for the depositors.
    function registered(address token) private returns (Token) {
        bridge.registerToken(token);
        Token(token).mint(ALICE, 1e6);
        vm.prank(ALICE);
        Token(token).approve(address(bridge), 1e6);
        return Token(token);
    }

    receive() external payable {}
}
