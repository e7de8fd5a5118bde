//! What every leaf must hold in the end, by plain arithmetic: a third opinion beside node and proof.

use std::collections::BTreeMap;

use protocol::params::{BURN_NUMERATOR, BURN_SHIFT};

use crate::demo::workload::{Holder, Workload};

/// Balances after all payments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Of every holder, new ones included.
    pub(crate) balances: BTreeMap<Holder, u128>,
    /// What the fee leaf collected: fees without the burned share.
    pub(crate) collected: u128,
}

/// Adds everything up.
pub(crate) fn settle(workload: &Workload) -> Ledger {
    let mut balances: BTreeMap<Holder, u128> = workload
        .funded
        .iter()
        .map(|(holder, balance)| (*holder, balance.get()))
        .collect();
    let mut collected = 0;
    for payment in &workload.payments {
        let (amount, fee) = (payment.amount.get(), payment.fee.get());
        *balances.entry(payment.recipient()).or_default() += amount;
        let sender = balances.entry(payment.sender()).or_default();
        *sender -= amount + fee;
        collected += fee - ((fee * BURN_NUMERATOR) >> BURN_SHIFT);
    }
    Ledger {
        balances,
        collected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_neither_made_nor_lost() {
        let workload = Workload::load(usize::MAX).expect("the carried file");
        let ledger = settle(&workload);
        let before: u128 = workload
            .funded
            .iter()
            .map(|(_, balance)| balance.get())
            .sum();
        let fees: u128 = workload
            .payments
            .iter()
            .map(|payment| payment.fee.get())
            .sum();
        let after: u128 = ledger.balances.values().sum();
        assert_eq!(before, after + fees);
        assert!(ledger.collected < fees && ledger.collected > fees / 2);
        assert_eq!(
            ledger.balances.len(),
            workload.funded.len() + workload.fresh.len()
        );
    }
}
