//! Bids: what a builder offers, what a header with a bid is worth before its payload is seen, and who is to be reported.

use protocol::{
    account::L1Address,
    block::{Block, BlockCore, BlockHeader, Payload},
    certificate::ExtendedCertificate,
    number::{Amount, Height, LeafIndex, Round},
    threaded::FeeLeaves,
    transaction::Bid,
    validity::{self, Refusal, listed},
    vote::{Report, Withheld},
};

use super::{
    Executor, NoPrefix,
    filling::{Terms, core, fill, income},
    propose::{BLOCK_OPERATIONS, ProposeError, burns},
};
use crate::{builder::Charge, config::BuilderStrategy, storage::StorageError};

/// What a builder wants to offer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfferOrder {
    pub(crate) height: Height,
    /// Proposer of round 0.
    pub(crate) author: L1Address,
    /// Where it wants to be paid.
    pub(crate) proposer_leaf: LeafIndex,
    /// Where the fees go.
    pub(crate) fee_leaf: LeafIndex,
    pub(crate) strategy: BuilderStrategy,
    /// Share of the fees that is offered, in percent.
    pub(crate) share_percent: u8,
    /// Leaf, height and key of the payment; the rest is filled in later.
    pub(crate) payment: Bid,
}

/// A block that a builder may sell.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) core: BlockCore,
    pub(crate) payload: Payload,
    pub(crate) certificate: Option<ExtendedCertificate>,
    pub(crate) value: Amount,
}

impl Executor {
    /// The block that a builder sells at the next height, and for how much; nothing if it brings no fees.
    ///
    /// # Errors
    /// [`ProposeError`].
    pub(crate) fn offer(&self, order: &OfferOrder) -> Result<Option<Offer>, ProposeError> {
        let height = order.height;
        let Some(fee_leaves) = FeeLeaves::new(&[order.proposer_leaf, order.fee_leaf]) else {
            return Ok(None);
        };
        let decided = self.decided();
        if decided.restart.is_some() {
            return Ok(None); // its first block is the proposer's own
        }
        let certificate = decided.certificate.as_ref();
        let (listed, burns, origin) = self.on_prefix(height, |prefix| {
            let listed = listed(certificate, prefix);
            let burns = burns(self, prefix, height);
            (listed, burns, self.origin_above(prefix.tip))
        })?;
        let burns = burns.map_err(ProposeError::Unburnable)?;
        let flight = {
            let pool = self.shared.pool();
            let demanded = self.demanded(&pool, &listed)?;
            if !demanded.missing.is_empty() {
                return Err(ProposeError::Unlisted(demanded.missing));
            }
            let mut first = demanded.first.clone();
            if order.strategy == BuilderStrategy::HighestFee {
                first.extend(pool.by_fee().take(BLOCK_OPERATIONS));
            }
            let view = self.shared.chain.view();
            let mut flight = pool.applicable(&view, &first, BLOCK_OPERATIONS);
            let rest = demanded.rest(&flight);
            flight.extend(rest);
            flight
        };
        let mut terms = Terms {
            origin,
            fee_leaves,
            payment: Some(order.payment),
            burns: &burns,
            listed: &listed,
        };
        let place = (height, Round(0), order.author);
        // The payment stands first and may decide what applies after it: once to learn the fees, once for good.
        self.on_prefix(height, |prefix| {
            let trial = fill(prefix, &terms, &flight)?;
            let fees = income(&trial.payload, &fee_leaves, order.fee_leaf);
            let value = fees.saturating_mul(u128::from(order.share_percent)) / 100;
            let Some(value) = Amount::new(value).filter(|value| value.get() > 0) else {
                return Ok(None);
            };
            let payment = Bid {
                value,
                ..order.payment
            };
            terms.payment = Some(payment);
            let filled = fill(prefix, &terms, &flight)?;
            if income(&filled.payload, &fee_leaves, order.fee_leaf) < value.get() {
                return Ok(None);
            }
            Ok(Some(Offer {
                core: core(prefix, place, &terms, certificate, &filled),
                payload: filled.payload,
                certificate: certificate.cloned(),
                value,
            }))
        })?
    }

    /// What the vote rule says of a header before its payload is seen.
    ///
    /// # Errors
    /// [`NoPrefix`].
    pub(crate) fn judge_header(
        &self,
        header: &BlockHeader,
    ) -> Result<Result<(), Refusal>, NoPrefix> {
        self.on_prefix(header.core.height, |prefix| {
            validity::check_header(header, prefix)
        })
    }

    /// Reports the builder of this header, if the header is right: what is wrong with a header is the proposer's fault.
    /// The report is on disk when this returns.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn charge(&self, header: &BlockHeader, fault: Withheld) -> Result<(), StorageError> {
        let Some(bid) = header.bid else {
            return Ok(());
        };
        if !matches!(self.judge_header(header), Ok(Ok(()))) {
            return Ok(());
        }
        let report = Report {
            height: header.core.height,
            bid: bid.hash(&self.shared.chain.constants.domain),
            builder: bid.builder,
            block: header.id(),
            fault,
        };
        let Some(charges) = self.reports.add(Charge { report, bid }) else {
            return Ok(());
        };
        tracing::warn!(height = report.height.0, builder = %report.builder, ?fault, "a builder withheld");
        ::metrics::counter!("sequencer_withheld_bids_total").increment(1);
        self.shared.store.write_charges(&charges)
    }

    /// Reports the builder of an invalid block, if its payload is the one that was bid for.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn charge_invalid(&self, block: &Block) -> Result<(), StorageError> {
        let is_its =
            block.header.bid.is_some() && block.payload.root() == block.header.core.payload_root;
        if is_its {
            self.charge(&block.header, Withheld::Invalid)
        } else {
            Ok(())
        }
    }

    /// What the fees of a block that this node builds itself bring to the leaf where it wants bids paid: a bid must be
    /// worth more.
    pub(crate) fn local_income(&self, block: &Block, leaf: LeafIndex) -> u128 {
        income(&block.payload, &block.header.core.fee_leaves, leaf)
    }
}

#[cfg(test)]
mod tests;
