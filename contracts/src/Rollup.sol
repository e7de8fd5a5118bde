// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Batch, Certificate, Header, StoredBatch, WordHashes, Words} from "./Batch.sol";
import {Events, Mode} from "./Events.sol";
import {Field} from "./Field.sol";
import {Inbox} from "./Inbox.sol";
import {ItemChain} from "./ItemChain.sol";
import {
    EVIDENCE_SECONDS,
    EXIT_WINDOW_SECONDS,
    INBOX_PER_BATCH_MAX,
    ITEM_BYTES,
    PAUSE_SECONDS_MAX,
    Timing,
    WITHDRAWALS_PER_BATCH_MAX,
    WITHDRAWAL_BYTES,
    WORD_BYTES,
    epochOf
} from "./Params.sol";
import {Timelock} from "./Timelock.sol";
import {ValidatorRegistry} from "./ValidatorRegistry.sol";
import {VerifierRegistry} from "./VerifierRegistry.sol";
import {WithdrawalTree} from "./WithdrawalTree.sol";

/// The chain of batches (protocol.md, "Commit and prove"; settlement.md, "Contracts", row Rollup).
///
/// A batch is committed with its words and a certificate, then proven by anyone; one stored hash stands for it. Proven
/// batches are final as far as this contract goes. Not upgradeable. Invariants: proven <= committed; a proven batch
/// starts at the root and counters where the one before ended; once in Desert nothing changes any more. What this
/// contract does not do: hold money (Bridge), or know who may sign (ValidatorRegistry).
///
/// Storage, for proofs by `eth_getProof`: slot 0 = mode (lowest byte) | provenCount << 8 | committedCount << 72 |
/// waitingSince << 136; slot 1 provenRoot; 2 provenCounters; 3 committedRoot; 4 committedCounters; 5 batchHash
/// (mapping); 6 withdrawalRoot (mapping).
contract Rollup is Events {
    /// How batches are taken.
    Mode public mode;
    /// Batches proven; the last one's number.
    uint64 public provenCount;
    /// Batches committed; the last one's number.
    uint64 public committedCount;
    /// Since when committed batches have waited without any proof, in seconds; 0 if none did. Pruning does not reset it.
    uint64 public waitingSince;
    /// State root after the last proven batch.
    uint256 public provenRoot;
    /// leaf_count | height << 64 | inbox_count << 128 after the last proven batch.
    uint256 public provenCounters;
    /// State root after the last committed batch.
    uint256 public committedRoot;
    /// The same counters after the last committed batch.
    uint256 public committedCounters;
    /// Hash of each committed batch; above `committedCount` it is a pruned one's and means nothing.
    mapping(uint64 batchNumber => bytes32) public batchHash;
    /// Withdrawals of each proven batch; zero if it has none.
    mapping(uint64 batchNumber => bytes32) public withdrawalRoot;

    /// Hash of the protocol's parameters, part of every domain.
    bytes32 public immutable paramsHash;
    /// Where items wait.
    Inbox public immutable inbox;
    /// Who certifies batches.
    ValidatorRegistry public immutable validators;
    /// Who checks proofs.
    VerifierRegistry public immutable verifiers;
    /// Who may pause.
    Timelock public immutable timelock;

    uint64 private immutable overdueSeconds;
    uint64 private immutable enforcedSeconds;
    uint64 private immutable proofWindowSeconds;
    uint64 private immutable proofTimeSeconds;
    uint64 private immutable desertSeconds;

    error BadTiming();
    error Miswired();
    error WrongMode(Mode mode);
    error IsPaused();
    error WrongBatchNumber(uint64 given, uint64 expected);
    error WrongStart(uint256 root, uint256 counters);
    error BrokenWords(uint256 ops, uint256 withdrawals, uint256 inbox);
    error TooManyWithdrawals(uint256 count);
    error HeightNotAbove(uint64 height, uint64 before);
    error WrongInboxCount(uint64 count, uint64 before, uint256 items);
    error InboxMismatch(uint64 from, uint64 to);
    error ItemLeftOut(uint64 number);
    error VersionInactive(uint64 version);
    error WrongEpoch(uint64 named, uint64 lastHeight);
    error NotInboxOnly();
    error UnknownBatch(uint64 batchNumber);
    error ProofRefused(uint64 batchNumber);
    error NotPrunable(uint64 batchNumber);
    error NotDue();
    error ZeroProver();

    modifier whenNotPaused() {
        if (timelock.isPaused()) revert IsPaused();
        _;
    }

    constructor(
        bytes32 paramsHash_,
        uint256 genesisRoot,
        uint256 genesisCounters,
        Timing memory timing_,
        Inbox inbox_,
        ValidatorRegistry validators_,
        VerifierRegistry verifiers_,
        Timelock timelock_
    ) {
        Field.check(genesisRoot);
        // height and inbox count of genesis are 0
        if (genesisCounters >> 64 != 0) revert WrongStart(genesisRoot, genesisCounters);
        // how long a forced exit may take
        uint256 forcedExit = uint256(timing_.enforced) + timing_.proofWindow + timing_.proofTime;
        if (
            timing_.proofTime == 0 || timing_.proofWindow == 0 || timing_.overdue >= timing_.enforced
                || timing_.desert <= forcedExit + PAUSE_SECONDS_MAX
                || timelock_.delaySeconds() <= forcedExit + PAUSE_SECONDS_MAX + EXIT_WINDOW_SECONDS
                || validators_.unbondingSeconds()
                    <= uint256(validators_.handoverSeconds()) + timing_.proofWindow + EVIDENCE_SECONDS
        ) revert BadTiming();
        if (address(validators_.rollup()) != address(this) || address(verifiers_.timelock()) != address(timelock_)) {
            revert Miswired();
        }
        paramsHash = paramsHash_;
        provenRoot = genesisRoot;
        committedRoot = genesisRoot;
        provenCounters = genesisCounters;
        committedCounters = genesisCounters;
        overdueSeconds = timing_.overdue;
        enforcedSeconds = timing_.enforced;
        proofWindowSeconds = timing_.proofWindow;
        proofTimeSeconds = timing_.proofTime;
        desertSeconds = timing_.desert;
        inbox = inbox_;
        validators = validators_;
        verifiers = verifiers_;
        timelock = timelock_;
    }

    /// Commits a certified batch on top of the last one, by anyone, in Active mode.
    function commitBatch(Header calldata header, Words calldata words, Certificate calldata certificate)
        external
        whenNotPaused
    {
        if (mode != Mode.Active) revert WrongMode(mode);
        _checkCertificate(header, words, certificate);
        _commit(header, words, header.l1OriginTime);
    }

    /// Commits and proves a batch in one transaction, by anyone, in Enforced mode.
    ///
    /// A certified batch is taken if it fits on top. One without a certificate (no signatures) holds inbox items only
    /// and advances the height by one: nobody outside may order signed operations or spend heights (review finding H6).
    function commitAndProve(
        Header calldata header,
        Words calldata words,
        Certificate calldata certificate,
        address prover,
        bytes calldata proof
    ) external whenNotPaused {
        if (mode != Mode.Enforced) revert WrongMode(mode);
        if (certificate.signatures.length != 0) {
            _checkCertificate(header, words, certificate);
        } else {
            _checkInboxOnly(header, words, certificate);
        }
        this.proveCommitted(_commit(header, words, uint64(block.timestamp)), prover, proof);
    }

    /// Proves the next committed batch, by anyone. `batch` is what was stored of it; `prover` is its prover_id and earns
    /// the fees of its inbox items.
    function proveBatch(StoredBatch calldata batch, address prover, bytes calldata proof) external whenNotPaused {
        if (mode == Mode.Desert) revert WrongMode(mode);
        _prove(batch, prover, proof);
    }

    /// Second half of {commitAndProve}, which calls it to turn memory into calldata. For nobody else.
    function proveCommitted(StoredBatch calldata batch, address prover, bytes calldata proof) external {
        if (msg.sender != address(this)) revert WrongMode(mode);
        _prove(batch, prover, proof);
    }

    /// Drops a batch that was not proven in time, or whose circuit version was disabled, and all above it, by anyone.
    /// It may be committed again with the same certificate.
    function prune(StoredBatch calldata batch) external {
        uint64 number = _checkStored(batch);
        bool isLate = number == provenCount + 1 && block.timestamp > batch.commitTime + proofWindowSeconds;
        if (number <= provenCount || !(isLate || !verifiers.isActive(batch.circuitVersion))) {
            revert NotPrunable(number);
        }
        _dropAbove(number - 1, batch.rootBefore, batch.countersBefore);
    }

    /// Opens Enforced mode, by anyone, when what waits has waited for `enforced` seconds; unproven batches are pruned.
    function triggerEnforced() external {
        if (mode != Mode.Active) revert WrongMode(mode);
        if (!_hasWaited(enforcedSeconds)) revert NotDue();
        _enter(Mode.Enforced);
    }

    /// Opens Desert for ever, by anyone, when what waits has waited for `desert` seconds: root and counters of the last
    /// proven batch are what DesertExit pays.
    function triggerDesert() external {
        if (mode == Mode.Desert) revert WrongMode(mode);
        if (!_hasWaited(desertSeconds)) revert NotDue();
        _enter(Mode.Desert);
    }

    /// First field of every signed message and of the public inputs, for one circuit version.
    function domainOf(uint64 circuitVersion) public view returns (uint256) {
        return Batch.domain(address(this), paramsHash, circuitVersion);
    }

    /// Deadlines, in seconds.
    function timing() external view returns (Timing memory) {
        return Timing(overdueSeconds, enforcedSeconds, proofWindowSeconds, proofTimeSeconds, desertSeconds);
    }

    /// Inbox items consumed by proven batches: all deadlines count from here (review finding C8).
    function provenInboxCount() public view returns (uint64) {
        return Batch.inboxCount(provenCounters);
    }

    /// The digest that validators sign for a batch with these words.
    function commitmentDigest(Header calldata header, Words calldata words, uint64 lastHeight, bytes32 lastBlock)
        public
        view
        returns (bytes32)
    {
        return Batch.digest(domainOf(header.circuitVersion), header, Batch.hashes(words), lastHeight, lastBlock);
    }

    function _checkCertificate(Header calldata header, Words calldata words, Certificate calldata certificate) private {
        uint64 lastHeight = certificate.lastHeight;
        // Published heights rise, so epochs never fall from batch to batch.
        if (lastHeight < Batch.height(header.countersAfter) || header.epoch != epochOf(lastHeight)) {
            revert WrongEpoch(header.epoch, lastHeight);
        }
        validators.acceptBatch(
            header.epoch,
            header.nextSetHash,
            commitmentDigest(header, words, lastHeight, certificate.lastBlock),
            certificate.validators,
            certificate.signatures
        );
    }

    function _checkInboxOnly(Header calldata header, Words calldata words, Certificate calldata certificate)
        private
        pure
    {
        // The fields that only a certificate vouches for must be zero.
        if (
            header.signedOps != 0 || words.inbox.length == 0
                || Batch.height(header.countersAfter) != Batch.height(header.countersBefore) + 1 || header.epoch != 0
                || header.nextSetHash != 0 || header.l1OriginTime != 0 || certificate.lastHeight != 0
                || certificate.lastBlock != 0 || certificate.validators.length != 0
        ) revert NotInboxOnly();
    }

    /// `baseTime`: the base layer's time, in seconds, at which items count as overdue.
    function _commit(Header calldata header, Words calldata words, uint64 baseTime)
        private
        returns (StoredBatch memory batch)
    {
        uint64 number = committedCount + 1;
        if (header.batchNumber != number) revert WrongBatchNumber(header.batchNumber, number);
        if (header.rootBefore != committedRoot || header.countersBefore != committedCounters) {
            revert WrongStart(committedRoot, committedCounters);
        }
        if (!verifiers.isActive(header.circuitVersion)) revert VersionInactive(header.circuitVersion);
        uint64 heightBefore = Batch.height(header.countersBefore);
        if (Batch.height(header.countersAfter) <= heightBefore) {
            revert HeightNotAbove(Batch.height(header.countersAfter), heightBefore);
        }
        _checkItems(header, words.inbox, baseTime);
        batch = _stored(header, words);
        batchHash[number] = keccak256(abi.encode(batch));
        committedCount = number;
        committedRoot = header.rootAfter;
        committedCounters = header.countersAfter;
        if (waitingSince == 0) waitingSince = uint64(block.timestamp);
        emit BatchCommitted(number, batch, header, words);
    }

    /// The consumed items are the inbox's next ones, and none that is overdue is left while there is room.
    function _checkItems(Header calldata header, bytes calldata words, uint64 baseTime) private view {
        uint64 from = Batch.inboxCount(header.countersBefore);
        uint64 to = Batch.inboxCount(header.countersAfter);
        uint256 items = words.length / ITEM_BYTES;
        if (
            words.length % ITEM_BYTES != 0 || items > INBOX_PER_BATCH_MAX || to != from + items
                || header.countersAfter >> 192 != 0
        ) revert WrongInboxCount(to, from, items);
        bytes32 rolling = ItemChain.fold(inbox.rollingAt(from), words);
        if (to > inbox.count() || rolling != inbox.rollingAt(to)) revert InboxMismatch(from, to);
        if (items < INBOX_PER_BATCH_MAX && to < inbox.count() && inbox.timeOf(to) + overdueSeconds < baseTime) {
            revert ItemLeftOut(to);
        }
    }

    /// Binds the words: counts from lengths, z over all that is evaluated, the three values at z.
    function _stored(Header calldata header, Words calldata words) private view returns (StoredBatch memory batch) {
        uint256 ops = words.ops.length;
        uint256 withdrawals = words.withdrawals.length;
        if (ops % WORD_BYTES != 0 || withdrawals % WITHDRAWAL_BYTES != 0) {
            revert BrokenWords(ops, withdrawals, words.inbox.length);
        }
        if (withdrawals / WITHDRAWAL_BYTES > WITHDRAWALS_PER_BATCH_MAX) {
            revert TooManyWithdrawals(withdrawals / WITHDRAWAL_BYTES);
        }
        batch.domain = domainOf(header.circuitVersion);
        batch.batchNumber = header.batchNumber;
        batch.rootBefore = header.rootBefore;
        batch.rootAfter = header.rootAfter;
        batch.countersBefore = header.countersBefore;
        batch.countersAfter = header.countersAfter;
        batch.h = header.h;
        batch.wordCounts = (ops / WORD_BYTES) | ((withdrawals / WORD_BYTES) << 64)
            | ((words.inbox.length / WORD_BYTES) << 128) | (uint256(header.signedOps) << 192);
        batch.z = Batch.challenge(batch, Batch.hashes(words));
        batch.yOps = Field.evaluate(words.ops, batch.z);
        batch.yWithdrawals = Field.evaluate(words.withdrawals, batch.z);
        batch.yInbox = Field.evaluate(words.inbox, batch.z);
        // The other inputs are below p: stored before, or reduced here.
        Field.check(header.rootAfter);
        Field.check(header.h);
        Field.check(batch.wordCounts);
        batch.withdrawalRoot = WithdrawalTree.root(header.batchNumber, words.withdrawals);
        batch.commitTime = uint64(block.timestamp);
        batch.circuitVersion = header.circuitVersion;
    }

    function _prove(StoredBatch calldata batch, address prover, bytes calldata proof) private {
        if (prover == address(0)) revert ZeroProver();
        uint64 number = _checkStored(batch);
        if (number != provenCount + 1) revert WrongBatchNumber(number, provenCount + 1);
        if (!verifiers.verify(batch.circuitVersion, Batch.publicInputs(batch, prover), proof)) {
            revert ProofRefused(number);
        }
        uint64 itemsBefore = Batch.inboxCount(batch.countersBefore);
        uint64 itemsAfter = Batch.inboxCount(batch.countersAfter);
        provenCount = number;
        provenRoot = batch.rootAfter;
        provenCounters = batch.countersAfter;
        if (batch.withdrawalRoot != 0) withdrawalRoot[number] = batch.withdrawalRoot;
        waitingSince = committedCount > number ? uint64(block.timestamp) : 0;
        emit BatchProven(number, prover, batch.rootAfter, batch.countersAfter);
        if (mode == Mode.Enforced && !_isItemOlderThan(overdueSeconds)) {
            mode = Mode.Active;
            emit ModeChanged(Mode.Active);
        }
        if (itemsAfter > itemsBefore) inbox.creditFees(itemsBefore, itemsAfter, prover);
    }

    /// The number of a batch that is stored and not pruned.
    function _checkStored(StoredBatch calldata batch) private view returns (uint64 number) {
        number = uint64(batch.batchNumber);
        if (number > committedCount || batchHash[number] != keccak256(abi.encode(batch))) revert UnknownBatch(number);
    }

    function _hasWaited(uint64 limit) private view returns (bool) {
        uint64 since = waitingSince;
        return _isItemOlderThan(limit) || (since != 0 && block.timestamp > since + limit);
    }

    /// Whether the oldest item that no proven batch consumed is older than this.
    function _isItemOlderThan(uint64 limit) private view returns (bool) {
        uint64 next = provenInboxCount();
        return next < inbox.count() && block.timestamp > inbox.timeOf(next) + limit;
    }

    function _enter(Mode to) private {
        if (committedCount > provenCount) _dropAbove(provenCount, provenRoot, provenCounters);
        mode = to;
        emit ModeChanged(to);
    }

    function _dropAbove(uint64 number, uint256 root, uint256 counters) private {
        committedCount = number;
        committedRoot = root;
        committedCounters = counters;
        emit BatchesPruned(number);
    }
}
