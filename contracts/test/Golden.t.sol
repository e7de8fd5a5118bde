// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Batch, Header, StoredBatch, WordHashes} from "../src/Batch.sol";
import {DesertExit, Leaf} from "../src/DesertExit.sol";
import {Field} from "../src/Field.sol";
import {Inbox} from "../src/Inbox.sol";
import {
    BALANCE_LIMIT,
    EPOCH_HEIGHTS,
    INBOX_PER_BATCH_MAX,
    ITEM_BYTES,
    ITEM_WORDS,
    TREE_LEVELS,
    VALIDATORS_MAX,
    WITHDRAWALS_PER_BATCH_MAX,
    WITHDRAWAL_BYTES,
    WITHDRAWAL_WORDS,
    WORD_BYTES
} from "../src/Params.sol";
import {Quorum} from "../src/Quorum.sol";
import {ValidatorRegistry} from "../src/ValidatorRegistry.sol";
import {WithdrawalTree} from "../src/WithdrawalTree.sol";
import {Stage} from "./Stage.sol";
import {WithdrawalPaths} from "./WithdrawalPaths.sol";

/// The contracts' libraries behind calls, so that tests can pass calldata.
contract Probe {
    function domain(address rollup, bytes32 paramsHash, uint64 version) external view returns (uint256) {
        return Batch.domain(rollup, paramsHash, version);
    }

    function digest(uint256 ofDomain, Header calldata header, WordHashes memory hashed, uint64 height, bytes32 id)
        external
        pure
        returns (bytes32)
    {
        return Batch.digest(ofDomain, header, hashed, height, id);
    }

    function challenge(StoredBatch memory batch, bytes calldata ops, bytes calldata withdrawals, bytes calldata items)
        external
        pure
        returns (uint256)
    {
        return Batch.challenge(batch, WordHashes(keccak256(ops), keccak256(withdrawals), keccak256(items)));
    }

    function evaluate(bytes calldata words, uint256 z) external pure returns (uint256) {
        return Field.evaluate(words, z);
    }

    function withdrawalRoot(uint64 batch, bytes calldata withdrawals) external pure returns (bytes32) {
        return WithdrawalTree.root(batch, withdrawals);
    }

    function climb(uint64 batch, uint256 index, bytes calldata words, bytes32[] calldata path)
        external
        pure
        returns (bytes32)
    {
        return WithdrawalTree.climb(WithdrawalTree.leaf(batch, index, words), index, path);
    }

    function setHash(bytes calldata set) external pure returns (bytes32) {
        return Quorum.setHash(set);
    }

    function check(bytes32 signed, bytes calldata set, bytes calldata signatures) external pure {
        Quorum.check(signed, set, signatures);
    }

    function recover(bytes32 signed, bytes calldata signature) external pure returns (address) {
        return Quorum.recover(signed, signature);
    }
}

/// tests/vectors/settlement.json is written by Rust (protocol/tests/golden_settlement.rs): every value is computed here
/// again by the contracts.
contract GoldenTest is Stage {
    Probe private probe;
    string private json;

    function setUp() public override {
        super.setUp();
        probe = Probe(createTest("Golden.t.sol:Probe", ""));
        json = vm.readFile("../tests/vectors/settlement.json");
    }

    function test_constants_are_the_protocols() public view {
        equal(number(".constants.itemWords"), ITEM_WORDS, "item words");
        equal(number(".constants.withdrawalWords"), WITHDRAWAL_WORDS, "withdrawal words");
        equal(number(".constants.withdrawalsPerBatchMax"), WITHDRAWALS_PER_BATCH_MAX, "withdrawals");
        equal(number(".constants.inboxPerBatchMax"), INBOX_PER_BATCH_MAX, "inbox items");
        equal(number(".constants.epochHeights"), EPOCH_HEIGHTS, "epoch heights");
        equal(number(".constants.treeLevels"), TREE_LEVELS, "levels");
        equal(number(".constants.balanceLimit"), BALANCE_LIMIT, "balances");
        equal(number(".constants.validatorsMax"), VALIDATORS_MAX, "validators");
        equal(number(".constants.stakeMax"), type(uint64).max / 3 / VALIDATORS_MAX, "stake");
        equal(number(".constants.modulusMinusOne"), Field.P - 1, "modulus");
    }

    function test_domains_are_the_protocols() public {
        uint256 count = 0;
        for (string memory row = rowAt("domains", 0); exists(row); row = rowAt("domains", ++count)) {
            vm.chainId(number(row, "chainId"));
            address owner = vm.parseJsonAddress(json, string.concat(row, ".rollup"));
            bytes32 hash = word(row, "paramsHash");
            uint64 version = uint64(number(row, "circuitVersion"));
            equal(probe.domain(owner, hash, version), number(row, "domain"), row);
        }
        isTrue(count >= 5, "rows");
    }

    function test_commitments_have_the_digest_that_validators_sign() public view {
        uint256 count = 0;
        for (string memory row = rowAt("commitments", 0); exists(row); row = rowAt("commitments", ++count)) {
            WordHashes memory hashed =
                WordHashes(word(row, "opsHash"), word(row, "withdrawalsHash"), word(row, "inboxHash"));
            bytes32 digest = probe.digest(
                number(row, "domain"), headerOf(row), hashed, uint64(number(row, "lastHeight")), word(row, "lastBlock")
            );
            equal(digest, word(row, "digest"), row);
            bytes memory set = blob(row, "validators");
            equal(probe.setHash(set), word(row, "setHash"), row);
            probe.check(digest, set, blob(row, "signatures"));
        }
        isTrue(count >= 4, "rows");
    }

    function headerOf(string memory row) private view returns (Header memory header) {
        header.batchNumber = uint64(number(row, "batchNumber"));
        header.rootBefore = number(row, "rootBefore");
        header.rootAfter = number(row, "rootAfter");
        header.countersBefore = number(row, "countersBefore");
        header.countersAfter = number(row, "countersAfter");
        header.h = number(row, "h");
        header.signedOps = uint64(number(row, "signedOps"));
        header.epoch = uint64(number(row, "epoch"));
        header.nextSetHash = word(row, "nextSetHash");
        header.l1OriginTime = uint64(number(row, "l1OriginTime"));
        header.circuitVersion = uint64(number(row, "circuitVersion"));
    }

    function test_words_have_the_protocols_challenge_and_values() public view {
        uint256 count = 0;
        for (string memory row = rowAt("words", 0); exists(row); row = rowAt("words", ++count)) {
            StoredBatch memory batch;
            batch.domain = number(row, "domain");
            batch.batchNumber = number(row, "batchNumber");
            batch.h = number(row, "h");
            (bytes memory ops, bytes memory out, bytes memory items) =
                (blob(row, "ops"), blob(row, "withdrawals"), blob(row, "inbox"));
            batch.wordCounts = (ops.length / 31) | ((out.length / 31) << 64) | ((items.length / 31) << 128)
                | (number(row, "signedOps") << 192);
            equal(batch.wordCounts, number(row, "wordCounts"), row);
            uint256 z = probe.challenge(batch, ops, out, items);
            equal(z, number(row, "z"), row);
            equal(probe.evaluate(ops, z), number(row, "yOps"), row);
            equal(probe.evaluate(out, z), number(row, "yWithdrawals"), row);
            equal(probe.evaluate(items, z), number(row, "yInbox"), row);
            bytes32 root = probe.withdrawalRoot(uint64(batch.batchNumber), out);
            equal(root, word(row, "withdrawalRoot"), row);
            if (out.length != 0) checkLastPath(row, uint64(batch.batchNumber), out, root);
        }
        isTrue(count >= 5, "rows");
    }

    function checkLastPath(string memory row, uint64 batch, bytes memory all, bytes32 root) private view {
        bytes32[] memory path = vm.parseJsonBytes32Array(json, string.concat(row, ".lastPath"));
        uint256 index = number(row, "lastWithdrawal");
        equal(probe.climb(batch, index, WithdrawalPaths.cut(all, index), path), root, row);
        bytes32[] memory plain = WithdrawalPaths.pathOf(batch, all, index);
        equal(keccak256(abi.encode(path)), keccak256(abi.encode(plain)), "path");
    }

    function test_items_have_the_protocols_words_and_rolling_hash() public view {
        uint256 count = 0;
        bytes32 rolling = 0;
        for (string memory row = rowAt("items", 0); exists(row); row = rowAt("items", ++count)) {
            Inbox.Request memory request = Inbox.Request(
                number(row, "kind"),
                uint32(number(row, "from")),
                uint32(number(row, "to")),
                uint32(number(row, "token")),
                number(row, "amount"),
                vm.parseJsonAddress(json, string.concat(row, ".l1Owner")),
                number(row, "keyX"),
                number(row, "keyY")
            );
            bytes memory words = inbox.encode(request, vm.parseJsonAddress(json, string.concat(row, ".owner")));
            equal(keccak256(words), keccak256(blob(row, "words")), row);
            rolling = keccak256(abi.encodePacked(rolling, words));
            equal(rolling, word(row, "rolling"), row);
        }
        isTrue(count >= 7, "rows");
        equal(ITEM_BYTES, ITEM_WORDS * WORD_BYTES, "bytes of an item");
        equal(WITHDRAWAL_BYTES, WITHDRAWAL_WORDS * WORD_BYTES, "bytes of a withdrawal");
    }

    function test_leaves_have_the_protocols_hash_and_path() public view {
        uint256 count = 0;
        for (string memory row = rowAt("tree.leaves", 0); exists(row); row = rowAt("tree.leaves", ++count)) {
            (Leaf memory leaf, uint256[3][TREE_LEVELS] memory siblings) = leafOf(row);
            equal(desertExit.leafHash(leaf), number(row, "hash"), row);
            equal(desertExit.rootOf(uint32(count), leaf, siblings), number(".tree.root"), row);
            isTrue(desertExit.rootOf(uint32(count) ^ 1, leaf, siblings) != number(".tree.root"), "another place");
        }
        isTrue(count >= 21, "rows");
    }

    function leafOf(string memory row) private view returns (Leaf memory leaf, uint256[3][TREE_LEVELS] memory all) {
        leaf = Leaf(
            number(row, "keyX"),
            number(row, "keyY"),
            vm.parseJsonAddress(json, string.concat(row, ".l1Owner")),
            uint32(number(row, "token")),
            uint40(number(row, "nonce")),
            uint120(number(row, "balance")),
            uint64(number(row, "lockUntil"))
        );
        uint256[] memory flat = vm.parseJsonUintArray(json, string.concat(row, ".siblings"));
        for (uint256 i = 0; i < 3 * TREE_LEVELS; ++i) {
            all[i / 3][i % 3] = flat[i];
        }
    }

    /// circomlib's published values, which the protocol's Rust is held to as well.
    function test_poseidon_is_circomlibs() public view {
        string memory published = vm.readFile("../tests/vectors/circomlib.json");
        uint256 checked = 0;
        for (uint256 i = 0; i < 200; ++i) {
            string memory row = string.concat(".poseidon[", vm.toString(i), "]");
            if (!vm.keyExistsJson(published, row)) break;
            uint256[] memory inputs = vm.parseJsonUintArray(published, string.concat(row, ".inputs"));
            if (inputs.length != 4) continue;
            uint256 hash = poseidon.hash([inputs[0], inputs[1], inputs[2], inputs[3]]);
            equal(hash, vm.parseJsonUint(published, string.concat(row, ".output")), row);
            ++checked;
        }
        isTrue(checked > 0, "the file has hashes of four inputs");
    }

    function test_handovers_of_rust_lead_from_set_to_set() public {
        ValidatorRegistry registry = registryOf(word(rowAt("handovers", 0), "setHash"));
        uint256 count = 0;
        for (string memory row = rowAt("handovers", 0); exists(row); row = rowAt("handovers", ++count)) {
            registry.handOver(
                VERSION,
                blob(row, "core"),
                blob(row, "bid"),
                uint32(number(row, "round")),
                blob(row, "validators"),
                blob(row, "signatures")
            );
            (bytes32 next,) = registry.epochs(uint64(number(row, "epoch")) + 1);
            equal(next, word(row, "nextSetHash"), row);
        }
        isTrue(count >= 2, "rows");
    }

    /// A registry whose rollup has the domain of the file.
    function registryOf(bytes32 setHash) private returns (ValidatorRegistry) {
        string memory row = rowAt("domains", 0);
        vm.chainId(number(row, "chainId"));
        address golden = vm.parseJsonAddress(json, string.concat(row, ".rollup"));
        uint256 domain = number(row, "domain");
        vm.etch(golden, address(createTest("Golden.t.sol:DomainOf", abi.encode(domain))).code);
        vm.store(golden, 0, bytes32(domain));
        return ValidatorRegistry(
            create("ValidatorRegistry", abi.encode(golden, setHash, HANDOVER, UNBONDING, STAKE_MIN_GWEI))
        );
    }

    function test_proofs_of_possession_of_rust_recover() public {
        uint256 count = 0;
        for (string memory row = rowAt("registrations", 0); exists(row); row = rowAt("registrations", ++count)) {
            address registry = vm.parseJsonAddress(json, string.concat(row, ".registry"));
            address staker = vm.parseJsonAddress(json, string.concat(row, ".staker"));
            address validator = vm.parseJsonAddress(json, string.concat(row, ".validator"));
            vm.etch(registry, address(validators).code);
            bytes32 digest = ValidatorRegistry(registry).registrationDigest(staker, validator);
            equal(digest, word(row, "digest"), row);
            equal(probe.recover(digest, blob(row, "proof")), validator, row);
        }
        isTrue(count >= 3, "rows");
    }

    // Reading ---------------------------------------------------------------------------------------------------

    function rowAt(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(index), "]");
    }

    function exists(string memory row) private view returns (bool) {
        return vm.keyExistsJson(json, row);
    }

    function number(string memory key) private view returns (uint256) {
        return uint256(vm.parseJsonBytes32(json, key));
    }

    function number(string memory row, string memory key) private view returns (uint256) {
        return number(string.concat(row, ".", key));
    }

    function word(string memory row, string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(row, ".", key));
    }

    function blob(string memory row, string memory key) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(row, ".", key));
    }
}

/// Stands where the file's Rollup is: knows its domain and nothing else.
contract DomainOf {
    uint256 private domain;

    constructor(uint256 domain_) {
        domain = domain_;
    }

    function domainOf(uint64) external view returns (uint256) {
        return domain;
    }
}
