// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StoredBatch} from "../src/Batch.sol";
import {Leaf} from "../src/DesertExit.sol";
import {Mode} from "../src/Events.sol";
import {StateTree} from "./StateTree.sol";
import {Draft, Stage} from "./Stage.sol";
import {WithdrawalPaths} from "./WithdrawalPaths.sol";

/// A small rollup beside the contracts, for invariant tests: real roots of a tree of up to 16 leaves, the rules for
/// deposits and forced exits, and a count of everything that is owed. Each public function is one step that somebody
/// takes; a step that the rules do not allow now is not taken, and a step that is taken must not revert.
contract World is Stage {
    struct State {
        Leaf[] leaves;
        StoredBatch batch;
        bytes withdrawals;
    }

    struct Item {
        address owner;
        bool isDeposit;
        uint32 leaf;
        uint256 amount;
    }

    uint256 private constant LEAVES_MAX = 16;

    StateTree private tree;
    /// After each batch; [0] is genesis.
    State[] private states;
    Item[] private queue;
    uint256 private staked;
    uint256 private stakers;

    /// Most batches ever proven.
    uint64 public provenMax;
    /// Whether a second claim of one withdrawal got through.
    bool public paidTwice;
    /// How often each step was taken.
    mapping(string => uint256) public taken;

    function setUp() public override {
        vm.warp(1_700_000_000);
        deploy(1, 0);
        tree = StateTree(createTest("StateTree.sol:StateTree", abi.encode(poseidon)));
        Leaf[] memory none = new Leaf[](0);
        deploy(tree.rootOf(none), 0);
        states.push();
    }

    // Steps -----------------------------------------------------------------------------------------------------

    function stepDeposit(uint256 who, uint256 amount) external {
        if (rollup.mode() == Mode.Desert || inbox.waiting() >= 100) return;
        address owner = ownerOf(who);
        amount = bound(amount, 1, 10 ether);
        deposit(owner, amount);
        queue.push(Item(owner, true, 0, amount));
        note("deposit");
    }

    function stepForceExit(uint256 who, uint256 leaf) external {
        if (rollup.mode() == Mode.Desert || inbox.waiting() >= 100) return;
        address owner = ownerOf(who);
        leaf = bound(leaf, 0, LEAVES_MAX);
        forceExit(owner, uint32(leaf), 0);
        queue.push(Item(owner, false, uint32(leaf), 0));
        note("forceExit");
    }

    function stepCommit(uint256 items) external {
        if (rollup.mode() != Mode.Active) return;
        uint64 from = uint64(rollup.committedCounters() >> 128);
        uint64 left = inbox.count() - from;
        items = bound(items, 0, left);
        if (items < left && inbox.timeOf(from + uint64(items)) + OVERDUE < block.timestamp) items = left;
        Draft memory one = certify(plan(uint64(items)), 3);
        states[states.length - 1].batch = commit(one);
        note("commit");
    }

    function stepProve() external {
        if (rollup.mode() != Mode.Active || rollup.committedCount() == rollup.provenCount()) return;
        prove(states[rollup.provenCount() + 1].batch);
        provenMax = rollup.provenCount();
        note("prove");
    }

    function stepPrune() external {
        if (rollup.committedCount() == rollup.provenCount()) return;
        StoredBatch memory batch = states[rollup.provenCount() + 1].batch;
        if (block.timestamp <= batch.commitTime + PROOF_WINDOW) return;
        rollup.prune(batch);
        forget();
        note("prune");
    }

    function stepWarp(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 10 hours));
    }

    function stepEnforce() external {
        if (rollup.mode() != Mode.Active || !hasWaited(ENFORCED)) return;
        rollup.triggerEnforced();
        forget();
        note("enforce");
    }

    function stepServe() external {
        if (rollup.mode() != Mode.Enforced) return;
        uint64 left = inbox.waiting();
        if (left == 0) {
            // batches waited, no item: the certified way
            Draft memory certified = certify(plan(0), 3);
            commitAndProve(certified);
        } else {
            commitAndProve(plan(left));
        }
        provenMax = rollup.provenCount();
        note("serve");
    }

    function stepDesert(uint256 likely) external {
        if (rollup.mode() == Mode.Desert || !hasWaited(DESERT) || likely % 2 == 0) return;
        rollup.triggerDesert();
        forget();
        note("desert");
    }

    function stepClaim(uint256 batch, uint256 index) external {
        if (rollup.provenCount() == 0) return;
        batch = bound(batch, 1, rollup.provenCount());
        bytes memory all = states[batch].withdrawals;
        if (all.length == 0) return;
        index = bound(index, 0, all.length / 62 - 1);
        bytes memory words = WithdrawalPaths.cut(all, index);
        bool before = bridge.isClaimed(uint64(batch), index);
        try bridge.claim(uint64(batch), index, words, WithdrawalPaths.pathOf(uint64(batch), all, index)) {
            if (before) paidTwice = true;
            note("claim");
        } catch {
            require(before, "an honest claim is paid");
        }
    }

    function stepExit(uint256 index) external {
        Leaf[] memory leaves = provenLeaves();
        if (rollup.mode() != Mode.Desert || leaves.length == 0) return;
        index = bound(index, 0, leaves.length - 1);
        bool before = desertExit.isExited(uint32(index));
        try desertExit.exit(uint32(index), leaves[index], tree.siblings(leaves, uint32(index))) {
            if (before) paidTwice = true;
            note("exit");
        } catch {
            require(before, "an honest exit is paid");
        }
    }

    function stepRefund(uint256 item) external {
        uint64 first = rollup.provenInboxCount();
        if (rollup.mode() != Mode.Desert || first == inbox.count()) return;
        item = bound(item, first, inbox.count() - 1);
        bool before = desertExit.isRefunded(uint64(item));
        try desertExit.refund(uint64(item), itemWords[item]) {
            if (before) paidTwice = true;
            note("refund");
        } catch {
            require(before, "an honest refund is paid");
        }
    }

    function stepClaimFees() external {
        if (bridge.feeCredit(PROVER) != 0) bridge.claimFees(PROVER);
    }

    function stepStake(uint256 who, uint256 amount) external {
        uint256 key = 1000 + stakers;
        address validator = vm.addr(key);
        address staker = ownerOf(who);
        amount = bound(amount, STAKE_MIN_GWEI, 100 * STAKE_MIN_GWEI) * 1 gwei;
        bytes memory proof = signature(key, validators.registrationDigest(staker, validator));
        vm.deal(staker, staker.balance + amount);
        vm.prank(staker);
        validators.register{value: amount}(validator, proof);
        (staked, stakers) = (staked + amount, stakers + 1);
        note("stake");
    }

    function stepUnstake(uint256 which) external {
        if (stakers == 0) return;
        address validator = vm.addr(1000 + bound(which, 0, stakers - 1));
        (address staker, uint64 stake,, uint64 leavesAt) = validators.validatorOf(validator);
        if (leavesAt == 0) {
            vm.prank(staker);
            validators.requestExit(validator);
        } else if (block.timestamp >= leavesAt && stake != 0) {
            validators.takeBack(validator);
            staked -= uint256(stake) * 1 gwei;
            note("unstake");
        }
    }

    // What must hold --------------------------------------------------------------------------------------------

    /// Escrow is what leaves of the proven state, unclaimed withdrawals of proven batches and waiting deposits are owed.
    function checkEscrow() external view {
        uint256 owed = 0;
        Leaf[] memory leaves = provenLeaves();
        for (uint32 i = 0; i < leaves.length; ++i) {
            if (!desertExit.isExited(i)) owed += leaves[i].balance;
        }
        for (uint64 batch = 1; batch <= rollup.provenCount(); ++batch) {
            bytes memory all = states[batch].withdrawals;
            for (uint256 i = 0; i < all.length / 62; ++i) {
                if (!bridge.isClaimed(batch, i)) owed += amountOf(all, i);
            }
        }
        for (uint64 i = rollup.provenInboxCount(); i < queue.length; ++i) {
            if (queue[i].isDeposit && !desertExit.isRefunded(i)) owed += queue[i].amount;
        }
        equal(bridge.escrow(0), owed, "escrow is what is owed");
        equal(address(bridge).balance, owed + bridge.feesHeld(), "and the fees");
    }

    function checkChain() external view {
        equal(rollup.provenCount(), provenMax, "finalized only grows");
        isTrue(rollup.committedCount() >= rollup.provenCount(), "proven batches were committed");
        equal(rollup.provenRoot(), tree.rootOf(provenLeaves()), "the root is the model's");
        uint64 consumed = rollup.provenInboxCount();
        isTrue(consumed <= inbox.count(), "only items that exist were consumed");
        if (provenMax > 0) {
            equal(consumed, uint64(states[provenMax].batch.countersAfter >> 128), "each item once, in order");
        }
    }

    function checkStake() external view {
        equal(address(validators).balance, staked, "stake is conserved");
    }

    // The model -------------------------------------------------------------------------------------------------

    /// The next batch over the next `items`, by the rules; pushes the state after.
    function plan(uint64 items) private returns (Draft memory one) {
        uint256 last = states.length - 1;
        states.push();
        State storage next = states[last + 1];
        for (uint256 i = 0; i < states[last].leaves.length; ++i) {
            next.leaves.push(states[last].leaves[i]);
        }
        uint64 first = uint64(rollup.committedCounters() >> 128);
        for (uint64 i = first; i < first + items; ++i) {
            consume(next, queue[i]);
        }
        one = draft(randomWords(items + 1, states.length), next.withdrawals, items);
        one.header.rootAfter = tree.rootOf(next.leaves);
        one.header.countersAfter = (one.header.countersAfter & ~uint256(type(uint64).max)) | next.leaves.length;
        if (rollup.mode() == Mode.Enforced) {
            // commitAndProve stores it now, with this time
            next.batch.countersAfter = one.header.countersAfter;
        }
    }

    /// The rules for deposits and forced exits.
    function consume(State storage next, Item memory item) private {
        bytes memory words;
        if (item.isDeposit && next.leaves.length < LEAVES_MAX) {
            next.leaves.push(Leaf(0, 0, item.owner, 0, 0, uint120(item.amount), 0));
            return;
        }
        if (item.isDeposit) {
            words = withdrawalWords(item.owner, 0, 0, item.amount); // no room: it goes back
        } else if (item.leaf < next.leaves.length && next.leaves[item.leaf].l1Owner == item.owner) {
            words = withdrawalWords(item.owner, 0, item.leaf, next.leaves[item.leaf].balance);
            next.leaves[item.leaf].balance = 0;
        }
        next.withdrawals = abi.encodePacked(next.withdrawals, words);
    }

    /// Drops the states that were never proven.
    function forget() private {
        while (states.length > uint256(rollup.provenCount()) + 1) states.pop();
    }

    function provenLeaves() private view returns (Leaf[] memory) {
        return states[rollup.provenCount()].leaves;
    }

    function hasWaited(uint64 limit) private view returns (bool) {
        uint64 next = rollup.provenInboxCount();
        uint64 since = rollup.waitingSince();
        return (next < inbox.count() && block.timestamp > inbox.timeOf(next) + limit)
            || (since != 0 && block.timestamp > since + limit);
    }

    function ownerOf(uint256 who) private returns (address owner) {
        owner = address(uint160(0x2000 + who % 5));
        vm.deal(owner, 1e30);
    }

    function note(string memory step) private {
        ++taken[step];
    }

    function amountOf(bytes memory all, uint256 index) private pure returns (uint256 amount) {
        assembly ("memory-safe") {
            amount := shr(8, mload(add(add(all, 32), add(mul(index, 62), 31))))
        }
    }
}
