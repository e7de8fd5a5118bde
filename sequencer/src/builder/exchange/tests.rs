//! Bids and reveals as peers send them.
