//! Batches: from a certified commitment to `commitBatch`, from the event to the public inputs of its proof, and on to
//! `proveBatch`.
//!
//! Invariant: words that do not hash to the commitment are refused before they cost gas. Whether the certificate is one is for
//! `Checkpoint::verify`, whether the proof holds for `verifier`.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use protocol::checkpoint::{BatchCommitment, Checkpoint};
use protocol::hash::keccak256;
use protocol::number::BatchNumber;
use protocol::public_inputs::PublicInputs;
use protocol::transaction::Domain;
use protocol::validator::ValidatorSet;
use protocol::withdrawal::WithdrawalTree;
use protocol::words::{WORD_BYTES, Word, sequence_bytes};

use super::seats::{pack_seats, pack_signers};
use super::{
    BindingError, Certificate, Events, Header, Rollup, StoredBatch, Words, field, integer,
    l1_address,
};

/// `Rollup.commitBatch`; `set` is the set of the commitment's epoch.
///
/// # Errors
/// [`BindingError::OtherWords`], [`BindingError::Stranger`] or [`BindingError::Order`].
pub fn commit_batch(
    checkpoint: &Checkpoint,
    words: &protocol::words::Words,
    set: &ValidatorSet,
) -> Result<Bytes, BindingError> {
    let call = Rollup::commitBatchCall {
        header: header(&checkpoint.commitment),
        words: signed_words(&checkpoint.commitment, words)?,
        certificate: certificate(checkpoint, set)?,
    };
    Ok(call.abi_encode().into())
}

/// `Rollup.commitAndProve` of a certified batch, in Enforced mode.
///
/// # Errors
/// As [`commit_batch`].
pub fn commit_and_prove(
    checkpoint: &Checkpoint,
    words: &protocol::words::Words,
    set: &ValidatorSet,
    prover: Address,
    proof: &Bytes,
) -> Result<Bytes, BindingError> {
    let call = Rollup::commitAndProveCall {
        header: header(&checkpoint.commitment),
        words: signed_words(&checkpoint.commitment, words)?,
        certificate: certificate(checkpoint, set)?,
        prover,
        proof: proof.clone(),
    };
    Ok(call.abi_encode().into())
}

/// `Rollup.proveBatch`: `prover` is the prover_id of the proof's inputs.
#[must_use]
pub fn prove_batch(batch: &StoredBatch, prover: Address, proof: &Bytes) -> Bytes {
    let call = Rollup::proveBatchCall {
        batch: batch.clone(),
        prover,
        proof: proof.clone(),
    };
    call.abi_encode().into()
}

/// `Rollup.prune`.
#[must_use]
pub fn prune(batch: &StoredBatch) -> Bytes {
    let batch = batch.clone();
    Rollup::pruneCall { batch }.abi_encode().into()
}

/// What the Rollup stores of a batch with these inputs and withdrawal words, committed at this time (seconds).
///
/// # Errors
/// [`BindingError::Malformed`] if the number of withdrawal words is odd.
pub fn stored_batch(
    inputs: &PublicInputs,
    withdrawals: &[Word],
    commit_time: u64,
    circuit_version: u64,
) -> Result<StoredBatch, BindingError> {
    let tree = WithdrawalTree::new(inputs.batch_number, withdrawals)
        .ok_or_else(|| BindingError::malformed("withdrawal words", "their number is odd"))?;
    Ok(StoredBatch {
        domain: integer(&inputs.domain.0),
        batchNumber: U256::from(inputs.batch_number.0),
        rootBefore: integer(&inputs.root_before),
        rootAfter: integer(&inputs.root_after),
        countersBefore: integer(&inputs.counters_before),
        countersAfter: integer(&inputs.counters_after),
        h: integer(&inputs.h),
        z: integer(&inputs.z),
        yOps: integer(&inputs.y_ops),
        yWithdrawals: integer(&inputs.y_withdrawals),
        yInbox: integer(&inputs.y_inbox),
        wordCounts: integer(&inputs.word_counts),
        withdrawalRoot: B256::from(tree.root()),
        commitTime: commit_time,
        circuitVersion: circuit_version,
    })
}

/// A batch as `BatchCommitted` tells it: everything that proving, pruning and rebuilding need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedBatch {
    /// What the Rollup stored.
    pub stored: StoredBatch,
    /// What the committer stated.
    pub header: Header,
    /// The three sequences.
    pub words: protocol::words::Words,
}

impl CommittedBatch {
    /// From the event.
    ///
    /// # Errors
    /// [`BindingError::Malformed`] if a sequence is no whole number of words.
    pub fn read(event: Events::BatchCommitted) -> Result<Self, BindingError> {
        let Words {
            ops,
            withdrawals,
            inbox,
        } = event.words;
        Ok(Self {
            stored: event.batch,
            header: event.header,
            words: protocol::words::Words {
                ops: words("operation words", &ops)?,
                withdrawals: words("withdrawal words", &withdrawals)?,
                inbox: words("inbox words", &inbox)?,
            },
        })
    }

    /// The public inputs of its proof by this prover.
    ///
    /// # Errors
    /// [`BindingError::Malformed`] for a field of p or more, or a number of more than 64 bits.
    pub fn public_inputs(&self, prover: Address) -> Result<PublicInputs, BindingError> {
        let stored = &self.stored;
        let number = u64::try_from(stored.batchNumber)
            .map_err(|error| BindingError::malformed("batch number", error))?;
        Ok(PublicInputs {
            domain: Domain(field("domain", stored.domain)?),
            batch_number: BatchNumber(number),
            root_before: field("root before", stored.rootBefore)?,
            root_after: field("root after", stored.rootAfter)?,
            counters_before: field("counters before", stored.countersBefore)?,
            counters_after: field("counters after", stored.countersAfter)?,
            h: field("h", stored.h)?,
            z: field("z", stored.z)?,
            y_ops: field("the ops at z", stored.yOps)?,
            y_withdrawals: field("the withdrawals at z", stored.yWithdrawals)?,
            y_inbox: field("the inbox words at z", stored.yInbox)?,
            word_counts: field("word counts", stored.wordCounts)?,
            prover_id: l1_address(prover),
        })
    }
}

/// The 31-byte words of a sequence.
pub(super) fn words(what: &'static str, bytes: &[u8]) -> Result<Vec<Word>, BindingError> {
    let (words, rest) = bytes.as_chunks::<WORD_BYTES>();
    if !rest.is_empty() {
        return Err(BindingError::malformed(
            what,
            format!("{} bytes are no whole words of 31", bytes.len()),
        ));
    }
    Ok(words.iter().copied().map(Word).collect())
}

fn header(commitment: &BatchCommitment) -> Header {
    Header {
        batchNumber: commitment.batch_number.0,
        rootBefore: integer(&commitment.root_before),
        rootAfter: integer(&commitment.root_after),
        countersBefore: integer(&commitment.counters_before),
        countersAfter: integer(&commitment.counters_after),
        h: integer(&commitment.h),
        signedOps: commitment.signed_operations,
        epoch: commitment.epoch.0,
        nextSetHash: B256::from(commitment.next_set_hash),
        l1OriginTime: commitment.l1_origin_time,
        circuitVersion: commitment.circuit_version,
    }
}

/// The sequences as bytes, if they are those that were signed.
fn signed_words(
    commitment: &BatchCommitment,
    words: &protocol::words::Words,
) -> Result<Words, BindingError> {
    let checked = |name, words: &[Word], hash: &[u8; 32]| {
        let bytes = sequence_bytes(words);
        if keccak256(&bytes) == *hash {
            Ok(Bytes::from(bytes))
        } else {
            Err(BindingError::OtherWords(name))
        }
    };
    Ok(Words {
        ops: checked("operation", &words.ops, &commitment.ops_hash)?,
        withdrawals: checked(
            "withdrawal",
            &words.withdrawals,
            &commitment.withdrawals_hash,
        )?,
        inbox: checked("inbox", &words.inbox, &commitment.inbox_hash)?,
    })
}

fn certificate(checkpoint: &Checkpoint, set: &ValidatorSet) -> Result<Certificate, BindingError> {
    Ok(Certificate {
        lastHeight: checkpoint.commitment.last_height.0,
        lastBlock: B256::from(checkpoint.commitment.last_block.0),
        validators: pack_seats(set),
        signatures: pack_signers(&checkpoint.signatures, set)?,
    })
}
