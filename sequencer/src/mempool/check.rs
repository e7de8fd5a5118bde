//! The verdict on a submission, by the code that executes blocks.
//!
//! A pending operation is executed on the newest leaves with two changes to each sender: the nonce is the one signed
//! (a gap is judged apart), and the balance is what is left after everything pending for the leaf.

use std::collections::BTreeSet;

use api::error::{ApiError, ErrorCode};
use protocol::{
    account::Leaf,
    block::{Entry as BlockEntry, Tip},
    number::{Amount, LeafIndex, TokenId},
    state::{LeafView, Overlay},
    threaded::{FeeLeaves, Threaded},
    transaction::{Domain, Submission},
    transition::{Executed, Header, InvalidOperation, Operation, execute, open_block},
};

use super::{Entry, api_error};
use crate::chain::{ChainConstants, View};

/// Which of a block's fee leaves collects a fee in this token; 0 for no fee.
pub(crate) fn fee_leaf_selector(
    view: &impl LeafView,
    (fee_leaves, first): (&FeeLeaves, u8),
    token: TokenId,
    fee: Amount,
) -> Option<u8> {
    if fee == Amount::ZERO {
        return Some(0);
    }
    (first..fee_leaves.count()).find(|selector| {
        let leaf = fee_leaves.get(*selector).and_then(|index| view.leaf(index));
        leaf.is_some_and(|leaf| leaf.token == token)
    })
}

/// What a submission is judged by.
pub(crate) struct Rules<'a> {
    pub(crate) constants: &'a ChainConstants,
    pub(crate) view: &'a View,
}

impl Rules<'_> {
    /// Judges an entry on top of what is pending.
    ///
    /// # Errors
    /// The rule it breaks.
    pub(super) fn check(
        &self,
        entry: &Entry,
        nonce_gap_max: u64,
        fee_min: Amount,
        pending: impl Fn(LeafIndex) -> u128,
    ) -> Result<(), ApiError> {
        let mut overlay = Overlay::new(self.view);
        let mut seen = BTreeSet::new();
        for member in entry.submission.members() {
            let transaction = &member.transaction;
            let from = transaction.from;
            let Some(leaf) = self.view.leaf(from) else {
                return Err(api_error(&InvalidOperation::SenderMissing { index: from }));
            };
            if seen.insert(from) {
                let ahead = transaction.nonce.0.checked_sub(leaf.nonce.0);
                let Some(ahead) = ahead else {
                    let (expected, actual) = (leaf.nonce, transaction.nonce);
                    return Err(api_error(&InvalidOperation::NonceMismatch {
                        expected,
                        actual,
                    }));
                };
                if ahead > nonce_gap_max {
                    let next = leaf.nonce;
                    let reason = format!("nonce {} is {ahead} ahead of {next}", transaction.nonce);
                    return Err(ApiError::new(ErrorCode::NonceGap, reason));
                }
                let left = leaf.balance.get().saturating_sub(pending(from));
                let balance = Amount::new(left).unwrap_or(Amount::ZERO);
                overlay.write(
                    from,
                    Leaf {
                        nonce: transaction.nonce,
                        balance,
                        ..leaf
                    },
                );
            }
            self.check_fee(&leaf, transaction.fee, fee_min)?;
        }
        let outcome = run(
            self.constants,
            self.view,
            &self.view.tip,
            overlay,
            &entry.submission,
        );
        match outcome.error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn check_fee(&self, leaf: &Leaf, fee: Amount, fee_min: Amount) -> Result<(), ApiError> {
        let collects = self
            .constants
            .fee_leaves
            .iter()
            .filter_map(|index| self.view.leaf(index))
            .any(|fee_leaf| fee_leaf.token == leaf.token);
        if collects && fee < fee_min {
            let reason = format!("fee {fee} is below this node's minimum {fee_min}");
            return Err(ApiError::new(ErrorCode::FeeTooLow, reason));
        }
        if !collects && fee != Amount::ZERO {
            let reason = format!("nobody collects fees in token {}", leaf.token);
            return Err(ApiError::new(ErrorCode::FeeToken, reason));
        }
        Ok(())
    }
}

/// Effects of the members up to the first that fails, and why it fails.
pub(crate) struct Outcome {
    pub(crate) executed: Vec<Executed>,
    pub(crate) error: Option<ApiError>,
}

/// Executes a submission as if it were next in the next block. Signatures are not looked at.
pub(crate) fn simulate(
    constants: &ChainConstants,
    view: &View,
    submission: &Submission,
) -> Outcome {
    run(constants, view, &view.tip, Overlay::new(view), submission)
}

fn run(
    constants: &ChainConstants,
    view: &View,
    tip: &Tip,
    mut overlay: Overlay<'_, View>,
    submission: &Submission,
) -> Outcome {
    let leaf_count = u64::try_from(view.leaves.len()).unwrap_or(u64::MAX);
    // The root is not read by any rule; no block of this thread is ever published.
    let root = protocol::Fr::from(0_u64);
    let mut threaded = Threaded::batch_start(root, leaf_count, tip.height, tip.inbox_count);
    let fee_leaves = Some(constants.fee_leaves);
    let header = Header {
        height_delta: 1,
        fee_leaves,
        bid: false,
    };
    let mut outcome = Outcome {
        executed: Vec::new(),
        error: None,
    };
    if let Err(error) = open_block(&mut threaded, &header) {
        outcome.error = Some(api_error(&error));
        return outcome;
    }
    let operations = match operations(
        &constants.domain,
        &overlay,
        &constants.fee_leaves,
        submission,
    ) {
        Ok(operations) => operations,
        Err(error) => {
            outcome.error = Some(error);
            return outcome;
        }
    };
    for operation in &operations {
        match execute(&overlay, &mut threaded, &constants.domain, operation) {
            Ok(executed) => {
                for access in executed.accesses {
                    if let Some(leaf) = access.after {
                        overlay.write(access.index, leaf);
                    }
                }
                outcome.executed.push(executed);
            }
            Err(error) => {
                outcome.error = Some(api_error(&error));
                break;
            }
        }
    }
    outcome
}

/// The slots of a submission, each with the fee leaf that collects its token.
fn operations(
    domain: &Domain,
    view: &impl LeafView,
    fee_leaves: &FeeLeaves,
    submission: &Submission,
) -> Result<Vec<Operation>, ApiError> {
    block_entry(view, (fee_leaves, 0), submission).map(|entry| entry.operations(domain))
}

/// The entry of a block that holds this submission. Fees go to the fee leaves from `first` on.
///
/// # Errors
/// [`ErrorCode::FeeToken`]. A sender without a leaf gets selector 0: execution names the missing leaf.
pub(crate) fn block_entry(
    view: &impl LeafView,
    (fee_leaves, first): (&FeeLeaves, u8),
    submission: &Submission,
) -> Result<BlockEntry, ApiError> {
    let selectors = submission
        .members()
        .iter()
        .map(|member| {
            let Some(leaf) = view.leaf(member.transaction.from) else {
                return Ok(0);
            };
            let fee = member.transaction.fee;
            fee_leaf_selector(view, (fee_leaves, first), leaf.token, fee).ok_or_else(|| {
                let reason = format!("nobody collects fees in token {}", leaf.token);
                ApiError::new(ErrorCode::FeeToken, reason)
            })
        })
        .collect::<Result<Vec<u8>, ApiError>>()?;
    Ok(BlockEntry::Submission {
        submission: submission.clone(),
        fee_leaves: selectors,
    })
}
