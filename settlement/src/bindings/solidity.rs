//! The contracts' interfaces in Solidity: calls, views, events and errors, from which alloy makes types with an encoder
//! and a decoder.
//!
//! Invariant, held by the tests below: every function, event and error here has the selector that the committed artifact has,
//! and no error or event of an artifact is missing. Functions for other contracts' use, and governance, are left out.

use alloy_sol_types::sol;

sol! {
    #![sol(all_derives)]

    /// What a committer states of a batch.
    struct Header {
        uint64 batchNumber;
        uint256 rootBefore;
        uint256 rootAfter;
        uint256 countersBefore;
        uint256 countersAfter;
        uint256 h;
        uint64 signedOps;
        uint64 epoch;
        bytes32 nextSetHash;
        uint64 l1OriginTime;
        uint64 circuitVersion;
    }

    /// The three word sequences, 31 bytes a word.
    struct Words {
        bytes ops;
        bytes withdrawals;
        bytes inbox;
    }

    /// What the Rollup remembers of a batch, as one hash.
    struct StoredBatch {
        uint256 domain;
        uint256 batchNumber;
        uint256 rootBefore;
        uint256 rootAfter;
        uint256 countersBefore;
        uint256 countersAfter;
        uint256 h;
        uint256 z;
        uint256 yOps;
        uint256 yWithdrawals;
        uint256 yInbox;
        uint256 wordCounts;
        bytes32 withdrawalRoot;
        uint64 commitTime;
        uint64 circuitVersion;
    }

    /// The set and the signatures of a batch.
    struct Certificate {
        uint64 lastHeight;
        bytes32 lastBlock;
        bytes validators;
        bytes signatures;
    }

    /// A leaf of the state tree, as DesertExit reads it.
    struct Leaf {
        uint256 keyX;
        uint256 keyY;
        address l1Owner;
        uint32 token;
        uint40 nonce;
        uint120 balance;
        uint64 lockUntil;
    }

    /// What is known of the verifier of a version.
    struct Verifier {
        address code;
        bool isDisabled;
        bytes32 codeHash;
        bytes32 keyHash;
        bytes32 circuitHash;
        bytes32 referenceHash;
    }

    /// Deadlines of the Rollup, in seconds.
    struct Timing {
        uint64 overdue;
        uint64 enforced;
        uint64 proofWindow;
        uint64 proofTime;
        uint64 desert;
    }

    /// The chain of batches.
    interface Rollup {
        /// Commits a certified batch.
        function commitBatch(Header calldata header, Words calldata words, Certificate calldata certificate) external;
        /// Commits and proves a batch, in Enforced mode.
        function commitAndProve(Header calldata header, Words calldata words, Certificate calldata certificate, address prover, bytes calldata proof) external;
        /// Proves the next committed batch.
        function proveBatch(StoredBatch calldata batch, address prover, bytes calldata proof) external;
        /// Drops batches that were not proven in time.
        function prune(StoredBatch calldata batch) external;
        /// Opens Enforced mode when it is due.
        function triggerEnforced() external;
        /// Opens Desert when it is due, for ever.
        function triggerDesert() external;
        /// First field of every signed message.
        function domainOf(uint64 circuitVersion) external view returns (uint256);
        /// What validators sign of a batch.
        function commitmentDigest(Header calldata header, Words calldata words, uint64 lastHeight, bytes32 lastBlock) external view returns (bytes32);
        /// 0 Active, 1 Enforced, 2 Desert.
        function mode() external view returns (uint8);
        /// Batches proven.
        function provenCount() external view returns (uint64);
        /// State root after the last proven batch.
        function provenRoot() external view returns (uint256);
        /// Counters after the last proven batch.
        function provenCounters() external view returns (uint256);
        /// Items that proven batches consumed.
        function provenInboxCount() external view returns (uint64);
        /// Batches committed.
        function committedCount() external view returns (uint64);
        /// State root after the last committed batch.
        function committedRoot() external view returns (uint256);
        /// Counters after the last committed batch.
        function committedCounters() external view returns (uint256);
        /// Since when batches have waited without a proof, in seconds; 0 if none does.
        function waitingSince() external view returns (uint64);
        /// Hash of a committed batch.
        function batchHash(uint64 batchNumber) external view returns (bytes32);
        /// Withdrawals of a proven batch.
        function withdrawalRoot(uint64 batchNumber) external view returns (bytes32);
        /// Hash of the protocol's parameters.
        function paramsHash() external view returns (bytes32);
        /// Its deadlines.
        function timing() external view returns (Timing memory);
    }

    /// Operations that enter through the base layer.
    interface Inbox {
        /// Deposits base units of a token.
        function deposit(uint32 token, uint256 amount, uint32 to, address l1Owner, uint256 keyX, uint256 keyY) external payable returns (uint64 number);
        /// Moves an amount between leaves.
        function forceTransfer(uint32 from, uint32 to, uint32 token, uint256 amount) external payable returns (uint64);
        /// Moves an amount to a new leaf.
        function forceTransferToNew(uint32 from, uint32 token, uint256 amount, address l1Owner, uint256 keyX, uint256 keyY) external payable returns (uint64);
        /// Pays an amount to the owner.
        function forceWithdraw(uint32 from, uint32 token, uint256 amount) external payable returns (uint64);
        /// Replaces a leaf's key.
        function forceChangeKey(uint32 from, uint32 token, uint256 keyX, uint256 keyY) external payable returns (uint64);
        /// Pays all of a leaf to the owner.
        function forceExit(uint32 from, uint32 token) external payable returns (uint64);
        /// Items ever enqueued.
        function count() external view returns (uint64);
        /// What an item costs now, in wei.
        function fee() external view returns (uint256);
        /// Rolling hash after so many items.
        function rollingAt(uint64 number) external view returns (bytes32);
        /// When an item was enqueued, in seconds.
        function timeOf(uint64 number) external view returns (uint64);
        /// Items that no proven batch has consumed.
        function waiting() external view returns (uint64);
    }

    /// The money of the rollup.
    interface Bridge {
        /// Gives a token its number.
        function registerToken(address token) external returns (uint32 id);
        /// Adds to a token's escrow.
        function fund(uint32 token, uint256 amount) external payable;
        /// Pays a withdrawal of a proven batch.
        function claim(uint64 batchNumber, uint256 index, bytes calldata words, bytes32[] calldata path) external;
        /// Pays a prover the fees of items.
        function claimFees(address prover) external;
        /// Whether a withdrawal was paid.
        function isClaimed(uint64 batchNumber, uint256 index) external view returns (bool);
        /// Base units held of a token.
        function escrow(uint32 token) external view returns (uint256);
        /// Fees that a prover may claim, in wei.
        function feeCredit(address prover) external view returns (uint256);
        /// Token numbers given.
        function tokenCount() external view returns (uint256);
        /// Address of a token.
        function tokenOf(uint32 token) external view returns (address);
    }

    /// Stakes and the hash of each epoch's set.
    interface ValidatorRegistry {
        /// Registers a validator's key with its stake.
        function register(address validator, bytes calldata proof) external payable;
        /// Adds to a stake.
        function addStake(address validator) external payable;
        /// Leaves the set.
        function requestExit(address validator) external;
        /// Pays a leaver's stake.
        function takeBack(address validator) external;
        /// Accepts a decided block that names the next set.
        function handOver(uint64 circuitVersion, bytes calldata core, bytes calldata bid, uint32 round, bytes calldata set, bytes calldata signatures) external;
        /// What a key signs to register.
        function registrationDigest(address staker, address validator) external view returns (bytes32);
        /// Set and first certificate of an epoch.
        function epochs(uint64 epoch) external view returns (bytes32 setHash, uint64 beganAt);
        /// Until when certificates of an epoch are taken, in seconds.
        function epochEnds(uint64 epoch) external view returns (uint64);
        /// What is known of a validator.
        function validatorOf(address validator) external view returns (address staker, uint64 stakeGwei, uint64 appliedAt, uint64 leavesAt);
    }

    /// The verifier of each circuit version.
    interface VerifierRegistry {
        /// Whether batches of a version are taken.
        function isActive(uint64 version) external view returns (bool);
        /// What is known of a version.
        function verifierOf(uint64 version) external view returns (Verifier memory);
    }

    /// Exits from the last proven state.
    interface DesertExit {
        /// Pays a leaf.
        function exit(uint32 index, Leaf calldata leaf, uint256[3][16] calldata siblings) external;
        /// Undoes an item.
        function refund(uint64 number, bytes calldata words) external;
        /// Whether a leaf was paid.
        function isExited(uint32 index) external view returns (bool);
        /// Whether an item was undone.
        function isRefunded(uint64 number) external view returns (bool);
    }

    /// Every event of every contract.
    interface Events {
        event BatchCommitted(uint64 indexed batchNumber, StoredBatch batch, Header header, Words words);
        event BatchProven(uint64 indexed batchNumber, address indexed prover, uint256 root, uint256 counters);
        event BatchesPruned(uint64 indexed batchNumber);
        event CallCancelled(bytes32 indexed id);
        event CallExecuted(bytes32 indexed id);
        event CallScheduled(bytes32 indexed id, address indexed target, bytes data, bytes32 salt, uint64 readyAt);
        event EpochBegan(uint64 indexed epoch);
        event EscrowFunded(uint32 indexed token, address indexed from, uint256 amount);
        event FeesClaimed(address indexed prover, uint256 amount);
        event ItemEnqueued(uint64 indexed number, address indexed owner, bytes words, uint64 time, uint256 fee);
        event ItemRefunded(uint64 indexed number, address indexed owner, uint32 token, uint256 amount, uint256 fee);
        event LeafExited(uint32 indexed index, address indexed owner, uint32 token, uint256 amount);
        event ModeChanged(uint8 mode);
        event Paused(uint64 until);
        event SetNamed(uint64 indexed epoch, bytes32 setHash);
        event StakeChanged(address indexed validator, uint64 stakeGwei);
        event StakeReturned(address indexed validator, address indexed staker, uint256 amount);
        event TokenRegistered(uint32 indexed id, address indexed token);
        event UpgradesRenounced();
        event ValidatorRegistered(address indexed validator, address indexed staker, uint64 appliedAt);
        event VerifierAdded(uint64 indexed version, address verifier, bytes32 codeHash, bytes32 keyHash, bytes32 circuitHash, bytes32 referenceHash);
        event VerifierDisabled(uint64 indexed version);
        event WithdrawalClaimed(uint64 indexed batchNumber, uint256 indexed index, address indexed owner, uint32 token, uint256 amount);
    }

    /// Every error of every contract.
    interface Reverts {
        error AlreadyClaimed(uint64 batchNumber, uint256 index);
        error AlreadyExited(uint32 index);
        error AlreadyRefunded(uint64 number);
        error AlreadyScheduled(bytes32 id);
        error AmountTooLarge(uint256 amount);
        error BadTiming();
        error BrokenCore(uint256 length);
        error BrokenSet(uint256 length);
        error BrokenSignatures(uint256 length);
        error BrokenWithdrawal(uint256 length);
        error BrokenWords(uint256 ops, uint256 withdrawals, uint256 inbox);
        error CallFailed(bytes reason);
        error CodeChanged(address verifier);
        error EpochOver(uint64 epoch, uint64 until);
        error EscrowFull(uint32 token, uint256 escrow);
        error FeeTooLow(uint256 paid, uint256 fee);
        error HeightNotAbove(uint64 height, uint64 before);
        error InDesert();
        error InboxMismatch(uint64 from, uint64 to);
        error IsLeaving(address validator);
        error IsPaused();
        error ItemLeftOut(uint64 number);
        error KeyTaken(address validator);
        error Miswired();
        error NoCode(address target);
        error NoConflict();
        error NoQuorum(uint256 signed, uint256 total);
        error NoSuchLeaf(uint32 index);
        error NotAToken(address token);
        error NotCanonical(uint256 value);
        error NotDesert();
        error NotDesertExit(address caller);
        error NotDue();
        error NotGovernor(address caller);
        error NotInbox(address caller);
        error NotInboxOnly();
        error NotProven(uint64 batchNumber);
        error NotPrunable(uint64 batchNumber);
        error NotReady(bytes32 id, uint64 from, uint64 until);
        error NotRollup(address caller);
        error NotStaker(address caller, address staker);
        error NotTimelock(address caller);
        error NotWholeGwei(uint256 amount);
        error NotYet(address validator, uint64 from);
        error NothingToClaim(address prover);
        error PausedTooRecently(uint64 allowedFrom);
        error PaymentFailed(address to, uint256 amount);
        error ProofRefused(uint64 batchNumber);
        error QueueFull(uint64 waiting);
        error Reentered();
        error Renounced();
        error SignerOrder(uint256 seat);
        error StakeTooLarge(uint256 stakeGwei);
        error StakeTooSmall(uint256 stakeGwei, uint256 least);
        error TokenTaken(address token);
        error TooManyWithdrawals(uint256 count);
        error TransferFailed(uint32 token, address to, uint256 amount);
        error UnknownBatch(uint64 batchNumber);
        error UnknownToken(uint32 token);
        error VersionDisabled(uint64 version);
        error VersionInactive(uint64 version);
        error VersionTaken(uint64 version);
        error VersionUnknown(uint64 version);
        error WasConsumed(uint64 number);
        error WrongBatchNumber(uint64 given, uint64 expected);
        error WrongEpoch(uint64 epoch, uint64 height);
        error WrongInboxCount(uint64 count, uint64 before, uint256 items);
        error WrongItem(uint64 number);
        error WrongMode(uint8 mode);
        error WrongPath(bytes32 root);
        error WrongPoseidon();
        error WrongProofOfPossession(address signer, address validator);
        error WrongRoot(uint256 root);
        error WrongSet(uint64 epoch, bytes32 given, bytes32 expected);
        error WrongSignature(uint256 seat);
        error WrongStart(uint256 root, uint256 counters);
        error WrongValue(uint256 value, uint256 expected);
        error Zero();
        error ZeroAmount();
        error ZeroOwner();
        error ZeroProver();
    }
}

#[cfg(test)]
mod tests;
