// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StoredBatch} from "../src/Batch.sol";
import {Bridge} from "../src/Bridge.sol";
import {DesertExit, Leaf} from "../src/DesertExit.sol";
import {Inbox} from "../src/Inbox.sol";
import {Rollup} from "../src/Rollup.sol";
import {StateTree} from "./StateTree.sol";
import {Draft, Stage} from "./Stage.sol";
import {WithdrawalPaths} from "./WithdrawalPaths.sol";

/// What transactions cost, as docs/contracts.md says: each row is measured with cold storage and held below a bound just
/// above it. Run with -vv for the numbers. Gas of a transaction: 21,000 + calldata + execution, at least the floor of
/// EIP-7623; proofs are the stand-in's, so verifying is not in it.
contract GasTest is Stage {
    function test_commit_of_one_word() public {
        measureCommit("commit, 1 word", certify(draft(randomWords(1, 1), "", 0), 3), 200_000);
    }

    /// 168 plain transfers: 84 words of two slots and one header, 2,635 bytes.
    function test_commit_of_168_transfers() public {
        measureCommit("commit, 168 transfers", certify(draft(randomWords(85, 1), "", 0), 3), 270_000);
    }

    function test_commit_of_64_kilobytes() public {
        measureCommit("commit, 64 kB", certify(draft(randomWords(2114, 1), "", 0), 3), 2_720_000);
    }

    function test_commit_of_512_withdrawals() public {
        bytes memory all;
        for (uint256 i = 0; i < 512; ++i) {
            all = abi.encodePacked(all, withdrawalWords(BOB, 0, uint32(i), 1 ether));
        }
        measureCommit("commit, 512 withdrawals", certify(draft(randomWords(1, 1), all, 0), 3), 1_300_000);
    }

    function test_commit_of_128_inbox_items() public {
        for (uint256 i = 0; i < 128; ++i) {
            deposit(ALICE, 1);
        }
        measureCommit("commit, 128 inbox items", certify(draft(randomWords(64, 1), "", 128), 3), 610_000);
    }

    function test_commit_with_16_validators() public {
        setSize = 16;
        deploy(1, 1);
        measureCommit("commit, 1 word, 11 of 16 sign", certify(draft(randomWords(1, 1), "", 0), 11), 260_000);
    }

    function test_commit_with_100_validators() public {
        setSize = 100;
        deploy(1, 1);
        measureCommit("commit, 1 word, 67 of 100 sign", certify(draft(randomWords(1, 1), "", 0), 67), 690_000);
    }

    function test_prove() public {
        StoredBatch memory batch = commit(certify(draft(randomWords(85, 1), "", 0), 3));
        bytes memory data = abi.encodeCall(Rollup.proveBatch, (batch, PROVER, proofOf(batch, PROVER)));
        measure("prove, without the verifier", address(rollup), 0, data, 70_000);
    }

    function test_deposit_and_forced_exit() public {
        deposit(ALICE, 1);
        bytes memory data = abi.encodeCall(Inbox.deposit, (0, 1 ether, 0, ALICE, 0, 0));
        measure("deposit of ETH", address(inbox), 1 ether + FEE_BASE, data, 130_000);
        data = abi.encodeCall(Inbox.forceExit, (0, 0));
        measure("forced exit", address(inbox), FEE_BASE, data, 110_000);
    }

    function test_claim_from_512() public {
        deposit(ALICE, 1000 ether);
        bytes memory all;
        for (uint256 i = 0; i < 512; ++i) {
            all = abi.encodePacked(all, withdrawalWords(BOB, 0, uint32(i), 1 ether));
        }
        finish(randomWords(1, 1), all, 1);
        uint256 index = 77;
        bytes32[] memory path = WithdrawalPaths.pathOf(1, all, index);
        bytes memory data = abi.encodeCall(Bridge.claim, (1, index, withdrawalWords(BOB, 0, 77, 1 ether), path));
        measure("claim, 1 of 512", address(bridge), 0, data, 80_000);
    }

    function test_desert_exit() public {
        StateTree tree = StateTree(createTest("StateTree.sol:StateTree", abi.encode(poseidon)));
        Leaf[] memory leaves = new Leaf[](1);
        leaves[0] = Leaf(1, 2, BOB, 0, 3, 1 ether, 4);
        deploy(tree.rootOf(leaves), 1);
        bridge.fund{value: 1 ether}(0, 1 ether);
        deposit(ALICE, 1);
        vm.warp(block.timestamp + DESERT + 1);
        rollup.triggerDesert();
        bytes memory data = abi.encodeCall(DesertExit.exit, (0, leaves[0], tree.siblings(leaves, 0)));
        measure("exit in Desert", address(desertExit), 0, data, 1_060_000);
    }

    function measureCommit(string memory what, Draft memory one, uint256 most) private {
        bytes memory data = abi.encodeCall(Rollup.commitBatch, (one.header, one.words, one.certificate));
        measure(what, address(rollup), 0, data, most);
    }

    function measure(string memory what, address target, uint256 value, bytes memory data, uint256 most) private {
        uint256 execution = execute(target, value, data);
        uint256 gas = costOf(data, execution);
        print(string.concat(what, ": ", vm.toString(gas), " gas, execution ", vm.toString(execution)));
        isTrue(gas <= most, string.concat(what, " costs ", vm.toString(gas)));
        isTrue(gas >= most * 4 / 5, string.concat(what, ": the bound is far above ", vm.toString(gas)));
    }

    /// Execution gas of a call that finds all storage cold.
    function execute(address target, uint256 value, bytes memory data) private returns (uint256 execution) {
        address[8] memory all = [
            address(timelock),
            address(verifiers),
            address(validators),
            address(rollup),
            address(bridge),
            address(inbox),
            address(desertExit),
            address(poseidon)
        ];
        for (uint256 i = 0; i < 8; ++i) {
            vm.cool(all[i]);
        }
        bool done;
        execution = gasleft();
        assembly ("memory-safe") {
            // not `target.call`: that would copy the data first
            done := call(gas(), target, value, add(data, 32), mload(data), 0, 0)
        }
        execution -= gasleft();
        isTrue(done, "the call goes through");
    }

    /// EIP-7623: a zero byte is one token, another four; four gas a token beside execution, at least ten.
    function costOf(bytes memory data, uint256 execution) private pure returns (uint256) {
        uint256 tokens = 0;
        for (uint256 i = 0; i < data.length; ++i) {
            tokens += data[i] == 0 ? 1 : 4;
        }
        uint256 gas = 21_000 + 4 * tokens + execution;
        uint256 least = 21_000 + 10 * tokens;
        return gas < least ? least : gas;
    }

    /// forge shows what is sent to this address.
    function print(string memory line) private view {
        (bool done,) =
            address(0x000000000000000000636F6e736F6c652e6c6f67).staticcall(abi.encodeWithSignature("log(string)", line));
        done;
    }
}
