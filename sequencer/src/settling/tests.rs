//! Batches of a node on the embedded chain, with the contracts and a verifier of one batch.
