//! The inputs of `circom/transfer.circom` as its witness calculator reads them: JSON with decimal strings.

use serde::Serialize;

use crate::{field::decimal, tree::Siblings, workload::Workload};

/// The signals of the template `Transfers`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    old_root: String,
    new_root: String,
    fees: String,
    from: Vec<String>,
    from_key: Vec<[String; 2]>,
    from_balance: Vec<String>,
    from_nonce: Vec<String>,
    from_siblings: Vec<Vec<String>>,
    to: Vec<String>,
    to_key: Vec<[String; 2]>,
    to_balance: Vec<String>,
    to_nonce: Vec<String>,
    to_siblings: Vec<Vec<String>>,
    amount: Vec<String>,
    fee: Vec<String>,
    r8: Vec<[String; 2]>,
    s: Vec<String>,
}

impl Inputs {
    /// The inputs for these transfers.
    #[must_use]
    pub fn new(workload: &Workload) -> Self {
        let siblings = |path: &Siblings| path.iter().map(decimal).collect();
        let mut inputs = Self {
            old_root: decimal(&workload.old_root),
            new_root: decimal(&workload.new_root),
            fees: workload.fees.to_string(),
            ..Self::default()
        };
        for transfer in &workload.transfers {
            let (sender, recipient) = (&transfer.sender, &transfer.recipient);
            inputs.from.push(transfer.from.to_string());
            inputs.from_key.push(sender.key.each_ref().map(decimal));
            inputs.from_balance.push(sender.balance.to_string());
            inputs.from_nonce.push(sender.nonce.to_string());
            inputs.from_siblings.push(siblings(&transfer.from_siblings));
            inputs.to.push(transfer.to.to_string());
            inputs.to_key.push(recipient.key.each_ref().map(decimal));
            inputs.to_balance.push(recipient.balance.to_string());
            inputs.to_nonce.push(recipient.nonce.to_string());
            inputs.to_siblings.push(siblings(&transfer.to_siblings));
            inputs.amount.push(transfer.amount.to_string());
            inputs.fee.push(transfer.fee.to_string());
            inputs
                .r8
                .push(transfer.signature.r8.each_ref().map(decimal));
            inputs.s.push(decimal(&transfer.signature.s));
        }
        inputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Hashing;

    #[test]
    fn every_signal_is_there_once_per_transfer() {
        let workload = Workload::new(Hashing::Circomlib, 2, 1);
        let json = serde_json::to_value(Inputs::new(&workload)).unwrap();
        let signals = json.as_object().unwrap();
        assert_eq!(signals.len(), 17);
        assert_eq!(json["fees"], workload.fees.to_string());
        assert_eq!(
            json["fromSiblings"][1].as_array().unwrap().len(),
            crate::LEVELS
        );
        for (name, signal) in signals {
            let length = signal.as_array().map(Vec::len);
            let single = ["oldRoot", "newRoot", "fees"].contains(&name.as_str());
            assert_eq!(length, (!single).then_some(2), "{name}");
        }
    }
}
