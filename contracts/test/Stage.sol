// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificate, Header, StoredBatch, Words} from "../src/Batch.sol";
import {Bridge} from "../src/Bridge.sol";
import {DesertExit, IPoseidon4} from "../src/DesertExit.sol";
import {Events, Mode} from "../src/Events.sol";
import {Field} from "../src/Field.sol";
import {Inbox} from "../src/Inbox.sol";
import {Timing} from "../src/Params.sol";
import {Rollup} from "../src/Rollup.sol";
import {Timelock} from "../src/Timelock.sol";
import {ValidatorRegistry} from "../src/ValidatorRegistry.sol";
import {IFinalVerifier, VerifierRegistry} from "../src/VerifierRegistry.sol";
import {Test, Vm} from "./Vm.sol";

/// Stands in for the generated verifier, in tests only: the one proof of some inputs is their hash, so a test notices
/// any input that differs. Says nothing of real proofs.
contract HashVerifier is IFinalVerifier {
    function verify(uint256[13] calldata inputs, bytes calldata proof) external pure returns (bool) {
        return proof.length == 32 && bytes32(proof) == keccak256(abi.encode(inputs));
    }
}

/// A batch on its way to the base layer.
struct Draft {
    Header header;
    Words words;
    Certificate certificate;
}

/// A whole deployment with four validators, and hands to work it.
abstract contract Stage is Test {
    uint64 internal constant VERSION = 1;
    uint64 internal constant OVERDUE = 6 hours;
    uint64 internal constant ENFORCED = 1 days;
    uint64 internal constant PROOF_WINDOW = 12 hours;
    uint64 internal constant PROOF_TIME = 1 hours;
    uint64 internal constant DESERT = 7 days;
    uint64 internal constant HANDOVER = 1 days;
    uint64 internal constant UNBONDING = 14 days;
    uint64 internal constant STAKE_MIN_GWEI = 1e9;
    uint128 internal constant FEE_BASE = 1e14;
    bytes32 internal constant PARAMS_HASH = keccak256("params of the tests");

    address internal constant GOVERNOR = address(0x60);
    address internal constant PROVER = address(0x9709e4);
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);

    Timelock internal timelock;
    VerifierRegistry internal verifiers;
    ValidatorRegistry internal validators;
    Rollup internal rollup;
    Bridge internal bridge;
    Inbox internal inbox;
    DesertExit internal desertExit;
    IPoseidon4 internal poseidon;
    IFinalVerifier internal verifier;

    /// Validators of the first set.
    uint256 internal setSize = 4;
    /// Keys by ascending address, and the packed set of weight 1 each.
    uint256[] internal keys;
    bytes internal seats;
    /// Words of every item, as the inbox took them.
    bytes[] internal itemWords;

    function setUp() public virtual {
        deploy(uint256(keccak256("genesis root")) % Field.P, 3);
    }

    function deploy(uint256 genesisRoot, uint64 leafCount) internal {
        vm.warp(1_700_000_000);
        (keys, seats) = makeSet(setSize, 100);
        poseidon = IPoseidon4(create("PoseidonT5", ""));
        verifier = IFinalVerifier(createTest("Stage.sol:HashVerifier", ""));
        timelock = Timelock(create("Timelock", abi.encode(GOVERNOR, uint64(40 days))));
        bytes32[3] memory digests = [bytes32("key"), "circuit", "reference"];
        verifiers = VerifierRegistry(create("VerifierRegistry", abi.encode(timelock, VERSION, verifier, digests)));
        uint64 nonce = vm.getNonce(address(this));
        rollup = Rollup(vm.computeCreateAddress(address(this), nonce + 1));
        bridge = Bridge(vm.computeCreateAddress(address(this), nonce + 2));
        inbox = Inbox(vm.computeCreateAddress(address(this), nonce + 3));
        desertExit = DesertExit(vm.computeCreateAddress(address(this), nonce + 4));
        bytes memory arguments = abi.encode(rollup, hashOf(seats), HANDOVER, UNBONDING, STAKE_MIN_GWEI);
        validators = ValidatorRegistry(create("ValidatorRegistry", arguments));
        Timing memory timing = Timing(OVERDUE, ENFORCED, PROOF_WINDOW, PROOF_TIME, DESERT);
        create("Rollup", rollupArguments(genesisRoot, leafCount, timing));
        create("Bridge", abi.encode(rollup, inbox, desertExit));
        create("Inbox", abi.encode(rollup, bridge, FEE_BASE));
        create("DesertExit", abi.encode(rollup, inbox, bridge, poseidon));
        vm.deal(ALICE, 1e30);
        vm.deal(BOB, 1e30);
        vm.deal(address(this), 1e30);
    }

    function rollupArguments(uint256 root, uint64 leafCount, Timing memory timing)
        internal
        view
        returns (bytes memory)
    {
        return abi.encode(PARAMS_HASH, root, uint256(leafCount), timing, inbox, validators, verifiers, timelock);
    }

    /// Deploys a contract of the project as it stands in artifacts/.
    function create(string memory name, bytes memory arguments) internal returns (address) {
        string memory json = vm.readFile(string.concat("artifacts/", name, ".json"));
        return deployCode(abi.encodePacked(vm.parseJsonBytes(json, ".bytecode"), arguments));
    }

    /// Deploys a contract of the tests.
    function createTest(string memory artifact, bytes memory arguments) internal returns (address) {
        return deployCode(abi.encodePacked(vm.getCode(artifact), arguments));
    }

    function deployCode(bytes memory code) private returns (address made) {
        bytes memory reason;
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            if iszero(made) {
                reason := mload(0x40)
                mstore(reason, returndatasize())
                returndatacopy(add(reason, 32), 0, returndatasize())
                revert(add(reason, 32), mload(reason))
            }
        }
    }

    // Sets and signatures ---------------------------------------------------------------------------------------

    /// Keys sorted by address, and their seats of weight 1 each.
    function makeSet(uint256 count, uint256 seed) internal pure returns (uint256[] memory sorted, bytes memory packed) {
        sorted = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 key = seed + i;
            uint256 place = i;
            for (; place > 0 && vm.addr(sorted[place - 1]) > vm.addr(key); --place) {
                sorted[place] = sorted[place - 1];
            }
            sorted[place] = key;
        }
        for (uint256 i = 0; i < count; ++i) {
            packed = abi.encodePacked(packed, vm.addr(sorted[i]), uint64(1));
        }
    }

    function hashOf(bytes memory packed) internal pure returns (bytes32) {
        uint256 count = packed.length / 28;
        bytes memory body;
        for (uint256 seat = 0; seat < count; ++seat) {
            uint256 word;
            assembly ("memory-safe") {
                word := mload(add(add(packed, 32), mul(seat, 28)))
            }
            body = abi.encodePacked(body, word >> 96, uint256(uint64(word >> 32)));
        }
        bytes32 high = "QUORATE/protocol/validator_set/v";
        return keccak256(abi.encodePacked(32 * (2 * count + 1), body, uint256(33), high, bytes32("1")));
    }

    function signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v - 27);
    }

    /// Signatures of the first `count` seats.
    function signatures(uint256[] memory sorted, uint256 count, bytes32 digest)
        internal
        pure
        returns (bytes memory packed)
    {
        for (uint8 seat = 0; seat < count; ++seat) {
            packed = abi.encodePacked(packed, seat, signature(sorted[seat], digest));
        }
    }

    // Batches ---------------------------------------------------------------------------------------------------

    /// A batch on top of the committed ones that takes the next `items` of the inbox. Not signed.
    function draft(bytes memory ops, bytes memory withdrawals, uint64 items) internal view returns (Draft memory made) {
        uint256 counters = rollup.committedCounters();
        uint64 first = uint64(counters >> 128);
        Header memory header = made.header;
        header.batchNumber = rollup.committedCount() + 1;
        header.rootBefore = rollup.committedRoot();
        header.countersBefore = counters;
        header.rootAfter = uint256(keccak256(abi.encode("root", header.rootBefore, ops, items))) % Field.P;
        header.countersAfter = counters + (1 << 64) + (uint256(items) << 128);
        header.h = uint256(keccak256(abi.encode("h", ops))) % Field.P;
        header.circuitVersion = VERSION;
        made.words.ops = ops;
        made.words.withdrawals = withdrawals;
        for (uint64 i = 0; i < items; ++i) {
            made.words.inbox = abi.encodePacked(made.words.inbox, itemWords[first + i]);
        }
    }

    /// Signed by `count` of the first set, which names itself as the next.
    function certify(Draft memory one, uint256 count) internal view returns (Draft memory) {
        one.header.signedOps = 1;
        one.header.nextSetHash = hashOf(seats);
        one.header.l1OriginTime = uint64(block.timestamp);
        one.certificate.lastHeight = uint64(one.header.countersAfter >> 64);
        one.certificate.lastBlock = keccak256(abi.encode("block", one.header.h));
        return resign(one, count);
    }

    /// Signs what stands there.
    function resign(Draft memory one, uint256 count) internal view returns (Draft memory) {
        bytes32 digest =
            rollup.commitmentDigest(one.header, one.words, one.certificate.lastHeight, one.certificate.lastBlock);
        one.certificate.validators = seats;
        one.certificate.signatures = signatures(keys, count, digest);
        return one;
    }

    function commit(Draft memory one) internal returns (StoredBatch memory) {
        vm.recordLogs();
        rollup.commitBatch(one.header, one.words, one.certificate);
        return lastStored();
    }

    /// The batch of the last BatchCommitted event, which holds all that a prover or pruner needs.
    function lastStored() internal returns (StoredBatch memory batch) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = logs.length; i > 0; --i) {
            if (logs[i - 1].topics[0] == Events.BatchCommitted.selector) {
                (batch,,) = abi.decode(logs[i - 1].data, (StoredBatch, Header, Words));
                return batch;
            }
        }
        revert NotTrue("a batch was committed");
    }

    function inputsOf(StoredBatch memory batch, address prover) internal pure returns (uint256[13] memory) {
        return [
            batch.domain,
            batch.batchNumber,
            batch.rootBefore,
            batch.rootAfter,
            batch.countersBefore,
            batch.countersAfter,
            batch.h,
            batch.z,
            batch.yOps,
            batch.yWithdrawals,
            batch.yInbox,
            batch.wordCounts,
            uint256(uint160(prover))
        ];
    }

    function proofOf(StoredBatch memory batch, address prover) internal pure returns (bytes memory) {
        return abi.encode(keccak256(abi.encode(inputsOf(batch, prover))));
    }

    function prove(StoredBatch memory batch) internal {
        rollup.proveBatch(batch, PROVER, proofOf(batch, PROVER));
    }

    /// Commits and proves a certified batch.
    function finish(bytes memory ops, bytes memory withdrawals, uint64 items)
        internal
        returns (StoredBatch memory batch)
    {
        batch = commit(certify(draft(ops, withdrawals, items), 3));
        prove(batch);
    }

    /// What a batch would be stored as if it were committed now: its proof can be made before.
    function foresee(Draft memory one) internal returns (StoredBatch memory batch) {
        uint256 snapshot = vm.snapshotState();
        vm.recordLogs();
        // the stand-in accepts only the right proof, so the first attempt runs with one that accepts all
        vm.etch(address(verifier), yes().code);
        vm.store(address(verifiers), codeHashSlot(), address(verifier).codehash);
        rollup.commitAndProve(one.header, one.words, one.certificate, PROVER, "");
        batch = lastStored();
        vm.revertToState(snapshot);
    }

    function yes() private returns (address) {
        return createTest("Stage.sol:YesVerifier", "");
    }

    /// Where VerifierRegistry keeps the code hash of version 1.
    function codeHashSlot() internal pure returns (bytes32) {
        return bytes32(uint256(keccak256(abi.encode(uint256(VERSION), uint256(0)))) + 1);
    }

    function commitAndProve(Draft memory one) internal {
        bytes memory proof = proofOf(foresee(one), PROVER);
        rollup.commitAndProve(one.header, one.words, one.certificate, PROVER, proof);
    }

    // Inbox -----------------------------------------------------------------------------------------------------

    /// Deposits ETH for a new leaf of `owner`'s.
    function deposit(address owner, uint256 amount) internal returns (uint64 number) {
        return depositToken(owner, 0, amount);
    }

    function depositToken(address owner, uint32 token, uint256 amount) internal returns (uint64 number) {
        uint256 fee = inbox.fee();
        vm.prank(owner);
        number = inbox.deposit{value: fee + (token == 0 ? amount : 0)}(token, amount, 0, owner, 0, 0);
        itemWords.push(inbox.encode(Inbox.Request(inbox.DEPOSIT(), 0, 0, token, amount, owner, 0, 0), owner));
    }

    function forceExit(address owner, uint32 from, uint32 token) internal returns (uint64 number) {
        uint256 fee = inbox.fee();
        vm.prank(owner);
        number = inbox.forceExit{value: fee}(from, token);
        itemWords.push(inbox.encode(Inbox.Request(inbox.FORCED_EXIT(), from, 0, token, 0, address(0), 0, 0), owner));
    }

    // Words -----------------------------------------------------------------------------------------------------

    /// `count` words that no two calls with different seeds share.
    function randomWords(uint256 count, uint256 seed) internal pure returns (bytes memory words) {
        words = new bytes(count * 31);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 word = bytes31(keccak256(abi.encode(seed, i)));
            assembly ("memory-safe") {
                // the last byte is overwritten by the next word or lies in the padding, where it is zero
                mstore(add(add(words, 32), mul(i, 31)), word)
            }
        }
    }

    /// The two words of a withdrawal.
    function withdrawalWords(address owner, uint32 token, uint32 leaf, uint256 amount)
        internal
        pure
        returns (bytes memory)
    {
        uint256 head = uint256(uint160(owner)) | (uint256(token) << 160) | (uint256(leaf) << 192);
        return abi.encodePacked(uint248(head), uint248(amount));
    }
}

/// Accepts whatever it is given: only for {Stage.foresee}, which undoes all it does.
contract YesVerifier is IFinalVerifier {
    function verify(uint256[13] calldata, bytes calldata) external pure returns (bool) {
        return true;
    }
}
