//! What a wallet is made of: keys in encrypted files, payment addresses, amounts.

pub(crate) mod address;
pub(crate) mod amount;
pub(crate) mod keystore;
