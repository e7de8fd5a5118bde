//! The Rollup, and of the registries what it asks them: versions and the pause. Certificates are `certificate.rs`.
//!
//! Challenge, evaluations and withdrawal trees are `protocol`'s, so a contract that hashes anything else
//! than `protocol` does differs here. Order matters: of two reasons the contract's first one is expected.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256, keccak256};
use protocol::account::L1Address;
use protocol::codec::field_to_be_bytes;
use protocol::inbox::InboxItem;
use protocol::number::BatchNumber;
use protocol::params::{INBOX_PER_BATCH_MAX, ITEM_WORDS, WITHDRAWALS_PER_BATCH_MAX};
use protocol::public_inputs::{PublicInputs, data_challenge};
use protocol::withdrawal::WithdrawalTree;
use protocol::words::{WORD_BYTES, Word, WordCounts, evaluate};
use settlement::bindings::{Header, Reverts, Rollup, StoredBatch, Words, l1_address, stored_batch};

use super::world::{
    ACTIVE, Committed, DESERT, Done, ENFORCED, Refusal, World, canonical, height, inbox_count,
    refuse,
};

/// The words of a sequence, whose length is a multiple of theirs.
fn words_of(bytes: &[u8]) -> Vec<Word> {
    let (words, _) = bytes.as_chunks::<WORD_BYTES>();
    words.iter().copied().map(Word).collect()
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("short")
}

/// The proof that the verifier of this campaign takes: the hash of the thirteen inputs.
pub(crate) fn proof_of(inputs: &PublicInputs, prover: Address) -> B256 {
    let inputs = PublicInputs {
        prover_id: l1_address(prover),
        ..*inputs
    };
    let fields = inputs.to_fields();
    keccak256(
        fields
            .iter()
            .flat_map(field_to_be_bytes)
            .collect::<Vec<u8>>(),
    )
}

impl World {
    fn check_pause(&self) -> Done {
        if self.now < self.paused_until {
            return refuse(Reverts::IsPaused {});
        }
        Ok(())
    }

    fn check_mode(&self, is_right: bool) -> Done {
        if is_right {
            return Ok(());
        }
        refuse(Reverts::WrongMode { mode: self.mode })
    }

    pub(super) fn commit_batch(&mut self, call: &Rollup::commitBatchCall) -> Done {
        self.check_pause()?;
        self.check_mode(self.mode == ACTIVE)?;
        self.check_certificate(&call.header, &call.words, &call.certificate)?;
        self.commit(&call.header, &call.words, call.header.l1OriginTime)?;
        Ok(())
    }

    pub(super) fn commit_and_prove(&mut self, call: &Rollup::commitAndProveCall) -> Done {
        self.check_pause()?;
        self.check_mode(self.mode == ENFORCED)?;
        let (header, words, certificate) = (&call.header, &call.words, &call.certificate);
        if certificate.signatures.is_empty() {
            let rises = height(header.countersBefore) + 1 == height(header.countersAfter);
            let is_empty = certificate.validators.is_empty()
                && (certificate.lastHeight, certificate.lastBlock) == (0, B256::ZERO)
                && (header.signedOps, header.epoch, header.l1OriginTime) == (0, 0, 0)
                && header.nextSetHash == B256::ZERO;
            if !rises || !is_empty || words.inbox.is_empty() {
                return refuse(Reverts::NotInboxOnly {});
            }
        } else {
            self.check_certificate(header, words, certificate)?;
        }
        let stored = self.commit(header, words, self.now)?;
        self.prove(&stored, call.prover, &call.proof)
    }

    pub(super) fn prove_batch(&mut self, call: &Rollup::proveBatchCall) -> Done {
        self.check_pause()?;
        self.check_mode(self.mode != DESERT)?;
        self.prove(&call.batch, call.prover, &call.proof)
    }

    pub(super) fn prune(&mut self, batch: &StoredBatch) -> Done {
        let number = self.check_stored(batch)?;
        let timing = &self.rules.timing;
        let is_late =
            number == self.proven + 1 && self.now > batch.commitTime + timing.proof_window;
        let is_active = self.versions.get(&batch.circuitVersion) == Some(&false);
        if number <= self.proven || (!is_late && is_active) {
            return refuse(Reverts::NotPrunable {
                batchNumber: number,
            });
        }
        self.drop_above(number - 1, batch.rootBefore, batch.countersBefore);
        Ok(())
    }

    pub(super) fn trigger_enforced(&mut self) -> Done {
        self.check_mode(self.mode == ACTIVE)?;
        self.enter(ENFORCED, self.rules.timing.enforced)
    }

    /// Whether what waits has waited long enough for Enforced mode.
    pub(super) fn is_enforced_due(&self) -> bool {
        self.has_waited(self.rules.timing.enforced)
    }

    pub(super) fn trigger_desert(&mut self) -> Done {
        self.check_mode(self.mode != DESERT)?;
        self.enter(DESERT, self.rules.timing.desert)
    }

    fn enter(&mut self, mode: u8, limit: u64) -> Done {
        if !self.has_waited(limit) {
            return refuse(Reverts::NotDue {});
        }
        if self.committed > self.proven {
            self.drop_above(self.proven, self.proven_root, self.proven_counters);
        }
        self.mode = mode;
        Ok(())
    }

    /// Since when what waits has waited: the next item, or batches without a proof.
    pub(super) fn oldest(&self) -> Option<u64> {
        let item = self.item(inbox_count(self.proven_counters));
        let batches = Some(self.waiting_since).filter(|since| *since != 0);
        item.map(|item| item.time).into_iter().chain(batches).min()
    }

    fn has_waited(&self, limit: u64) -> bool {
        self.oldest().is_some_and(|since| self.now > since + limit)
    }

    fn is_item_older_than(&self, limit: u64) -> bool {
        let next = self.item(inbox_count(self.proven_counters));
        next.is_some_and(|item| self.now > item.time + limit)
    }

    fn drop_above(&mut self, number: u64, root: U256, counters: U256) {
        (self.committed, self.committed_root, self.committed_counters) = (number, root, counters);
    }

    fn commit(
        &mut self,
        header: &Header,
        words: &Words,
        base_time: u64,
    ) -> Result<StoredBatch, Refusal> {
        let expected = self.committed + 1;
        if header.batchNumber != expected {
            let given = header.batchNumber;
            return refuse(Reverts::WrongBatchNumber { given, expected });
        }
        let (root, counters) = (self.committed_root, self.committed_counters);
        if (header.rootBefore, header.countersBefore) != (root, counters) {
            return refuse(Reverts::WrongStart { root, counters });
        }
        let version = header.circuitVersion;
        if self.versions.get(&version) != Some(&false) {
            return refuse(Reverts::VersionInactive { version });
        }
        let (before, after) = (height(counters), height(header.countersAfter));
        if after <= before {
            let height = after;
            return refuse(Reverts::HeightNotAbove { height, before });
        }
        self.check_items(header, &words.inbox, base_time)?;
        let made = self.stored(header, words)?;
        let stored = made.stored.clone();
        self.batches.insert(expected, Arc::new(made));
        self.committed = expected;
        self.committed_root = header.rootAfter;
        self.committed_counters = header.countersAfter;
        if self.waiting_since == 0 {
            self.waiting_since = self.now;
        }
        Ok(stored)
    }

    fn check_items(&self, header: &Header, words: &[u8], base_time: u64) -> Done {
        let from = inbox_count(header.countersBefore);
        let to = inbox_count(header.countersAfter);
        let (items, rest) = words.as_chunks::<{ ITEM_WORDS * WORD_BYTES }>();
        let count = u64::try_from(items.len()).expect("few");
        let is_spare = header.countersAfter.as_limbs()[3] != 0;
        if !rest.is_empty() || count > INBOX_PER_BATCH_MAX || to != from + count || is_spare {
            let (count, before, items) = (to, from, U256::from(count));
            return refuse(Reverts::WrongInboxCount {
                count,
                before,
                items,
            });
        }
        let mut rolling = self.rolling_at(from).expect("consumed items are there").0;
        for item in items {
            let five = words_of(item).try_into().expect("five words");
            rolling = InboxItem(five).rolling_hash(&rolling);
        }
        if self.rolling_at(to) != Some(B256::from(rolling)) {
            return refuse(Reverts::InboxMismatch { from, to });
        }
        let left = self.item(to).filter(|_| count < INBOX_PER_BATCH_MAX);
        if left.is_some_and(|item| item.time + self.rules.timing.overdue < base_time) {
            return refuse(Reverts::ItemLeftOut { number: to });
        }
        Ok(())
    }

    /// What the contract stores, by the protocol's own functions.
    pub(super) fn stored(&self, header: &Header, words: &Words) -> Result<Committed, Refusal> {
        let word = u64::try_from(WORD_BYTES).expect("31");
        let (ops, withdrawals) = (length(&words.ops), length(&words.withdrawals));
        if ops % word != 0 || withdrawals % (2 * word) != 0 {
            let inbox = U256::from(words.inbox.len());
            return refuse(Reverts::BrokenWords {
                ops: U256::from(ops),
                withdrawals: U256::from(withdrawals),
                inbox,
            });
        }
        let count = withdrawals / word / 2;
        if count > WITHDRAWALS_PER_BATCH_MAX {
            let count = U256::from(count);
            return refuse(Reverts::TooManyWithdrawals { count });
        }
        let root_after = canonical(header.rootAfter)?;
        let h = canonical(header.h)?;
        let counts = WordCounts {
            ops: ops / word,
            withdrawals: withdrawals / word,
            inbox: length(&words.inbox) / word,
            signed_operations: header.signedOps,
        };
        let packed = [
            counts.ops,
            counts.withdrawals,
            counts.inbox,
            counts.signed_operations,
        ];
        let word_counts = canonical(U256::from_limbs(packed))?;
        assert_eq!(word_counts, counts.to_field(), "two ways to pack");
        let words = protocol::words::Words {
            ops: words_of(&words.ops),
            withdrawals: words_of(&words.withdrawals),
            inbox: words_of(&words.inbox),
        };
        let domain = self.rules.domain(header.circuitVersion);
        let batch_number = BatchNumber(header.batchNumber);
        let z = data_challenge(&domain, batch_number, &h, &counts, &words);
        let inputs = PublicInputs {
            domain,
            batch_number,
            root_before: canonical(header.rootBefore)?,
            root_after,
            counters_before: canonical(header.countersBefore)?,
            counters_after: canonical(header.countersAfter)?,
            h,
            z,
            y_ops: evaluate(&words.ops, &z),
            y_withdrawals: evaluate(&words.withdrawals, &z),
            y_inbox: evaluate(&words.inbox, &z),
            word_counts,
            prover_id: L1Address::ZERO,
        };
        let stored = stored_batch(&inputs, &words.withdrawals, self.now, header.circuitVersion);
        Ok(Committed {
            stored: stored.expect("whole withdrawals"),
            inputs,
            withdrawals: words.withdrawals,
        })
    }

    fn check_stored(&self, batch: &StoredBatch) -> Result<u64, Refusal> {
        let number = batch.batchNumber.as_limbs()[0];
        let known = self.batches.get(&number);
        if number > self.committed || known.is_none_or(|known| known.stored != *batch) {
            return refuse(Reverts::UnknownBatch {
                batchNumber: number,
            });
        }
        Ok(number)
    }

    fn prove(&mut self, batch: &StoredBatch, prover: Address, proof: &[u8]) -> Done {
        if prover == Address::ZERO {
            return refuse(Reverts::ZeroProver {});
        }
        let number = self.check_stored(batch)?;
        let expected = self.proven + 1;
        if number != expected {
            let given = number;
            return refuse(Reverts::WrongBatchNumber { given, expected });
        }
        let version = batch.circuitVersion;
        match self.versions.get(&version) {
            None => return refuse(Reverts::VersionUnknown { version }),
            Some(true) => return refuse(Reverts::VersionDisabled { version }),
            Some(false) => {}
        }
        let committed = Arc::clone(&self.batches[&number]);
        // calldata ends in zeros, so a shorter proof is one that ends in them
        let shown: [u8; 32] = std::array::from_fn(|at| proof.get(at).copied().unwrap_or(0));
        if proof_of(&committed.inputs, prover) != B256::from(shown) {
            return refuse(Reverts::ProofRefused {
                batchNumber: number,
            });
        }
        let consumed = inbox_count(batch.countersBefore)..inbox_count(batch.countersAfter);
        self.proven = number;
        self.proven_root = batch.rootAfter;
        self.proven_counters = batch.countersAfter;
        let tree = WithdrawalTree::new(BatchNumber(number), &committed.withdrawals);
        let root = B256::from(tree.expect("pairs").root());
        if root != B256::ZERO {
            self.withdrawal_roots.insert(number, root);
        }
        self.waiting_since = if self.committed > number { self.now } else { 0 };
        if self.mode == ENFORCED && !self.is_item_older_than(self.rules.timing.overdue) {
            self.mode = ACTIVE;
        }
        for item in consumed {
            let fee = self.item(item).expect("consumed items are there").fee;
            *self.fee_credit.entry(prover).or_default() += fee;
        }
        Ok(())
    }
}
