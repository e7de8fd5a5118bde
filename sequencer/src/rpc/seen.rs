//! Answers about the set: its validators at work, how long operations waited for whom, and bids.
//!
//! What is on the chain comes from the newest decided height; the rest is what this node has seen (`observed`).

use std::{cmp::Reverse, collections::BTreeMap};

use api::ApiError;
use api::set::{
    AuthorInclusion, BidStatus, BidsJson, InclusionJson, SetWeights, ValidatorStatus,
    ValidatorsJson,
};
use protocol::{
    account::L1Address,
    number::{Amount, Epoch, Height, Round},
};

use super::{answers::count, public::PublicApi};
use crate::observed::{Authored, BID_HEIGHTS_MAX, WINDOW_HEIGHTS_MAX};

/// One whole, as shares of the weight are told.
const MILLION: u128 = 1_000_000;

fn authors(by: &BTreeMap<L1Address, Authored>) -> Vec<AuthorInclusion> {
    let authors = by.iter();
    authors
        .map(|(address, authored)| AuthorInclusion {
            address: (*address).into(),
            blocks: authored.blocks,
            delay: authored.delay.to_json(),
        })
        .collect()
}

impl PublicApi {
    pub(super) fn validators_json(&self) -> Result<ValidatorsJson, ApiError> {
        let executor = self.exchange.executor();
        let tip = executor.tip();
        let set = self.set_of(tip.height)?;
        let open = Height(tip.height.0.saturating_add(1));
        let next = *self.set_of(open)?.proposer(open, Round(0));
        let summary = executor.observed.summary();
        let validators = set.validators().iter().map(|seat| {
            let (address, weight) = (seat.address, u128::from(seat.weight));
            let authored = summary.proposers.get(&address);
            let last_signed = summary.last_signed.get(&address);
            let share = (weight * MILLION).checked_div(set.total()).unwrap_or(0);
            ValidatorStatus {
                address: address.into(),
                weight: seat.weight,
                share_millionths: u32::try_from(share).unwrap_or(u32::MAX),
                is_this_node: address == self.address,
                is_next_proposer: address == next,
                blocks: authored.map_or(0, |authored| authored.blocks),
                rounds_lost: summary.rounds_lost.get(&address).copied().unwrap_or(0),
                last_signed_height: last_signed.map(|height| height.0),
                delay: authored.map_or_else(Default::default, |authored| authored.delay.to_json()),
            }
        });
        Ok(ValidatorsJson {
            height: tip.height.0,
            epoch: Epoch::of(tip.height).0,
            weights: SetWeights::new(&set),
            next_proposer: next.into(),
            first_height: summary.first_height.map(|height| height.0),
            validators: validators.collect(),
        })
    }

    pub(super) fn inclusion_json(&self) -> InclusionJson {
        let summary = self.exchange.executor().observed.summary();
        InclusionJson {
            first_height: summary.first_height.map(|height| height.0),
            last_height: summary.last_height.map(|height| height.0),
            heights_max: count(WINDOW_HEIGHTS_MAX),
            proposers: authors(&summary.proposers),
            builders: authors(&summary.builders),
        }
    }

    pub(super) fn bids_json(&self) -> Result<BidsJson, ApiError> {
        let executor = self.exchange.executor();
        let (decided, tip) = (executor.decided(), executor.tip());
        let mut suspended = BTreeMap::new();
        let seen = executor.observed.bids().into_iter();
        let seen = seen.map(|(height, block, seen)| {
            let is_suspended = *suspended
                .entry(seen.builder)
                .or_insert_with(|| decided.history.is_suspended(&seen.builder));
            let weight: u128 = seen.reporters.values().sum();
            let bid = BidStatus {
                height: height.0,
                bid: seen.name.0.into(),
                block: block.into(),
                builder: seen.builder.into(),
                leaf: seen.leaf.0,
                value: seen.value.into(),
                is_chosen: seen.is_chosen,
                is_revealed: seen.is_revealed,
                is_decided: seen.is_decided,
                reporters: u32::try_from(seen.reporters.len()).unwrap_or(u32::MAX),
                weight_reported: u64::try_from(weight).unwrap_or(u64::MAX),
                burned_at: seen.burned_at.map(|height| height.0),
                is_suspended,
            };
            (Reverse((height, seen.value)), bid)
        });
        let mut bids: Vec<(Reverse<(Height, Amount)>, BidStatus)> = seen.collect();
        bids.sort_by_key(|(place, _)| *place);
        let open = Height(tip.height.0.saturating_add(1));
        Ok(BidsJson {
            height: tip.height.0,
            heights_max: BID_HEIGHTS_MAX,
            may_take_bids: self.set_of(open)?.may_take_bids(),
            bids: bids.into_iter().map(|(_, bid)| bid).collect(),
        })
    }
}
