//! The development string, made anew: what a first start pays for the largest circuits.

use std::time::Instant;

use prover::srs::ReferenceString;

use crate::report::Row;

/// log2 of the powers; the aggregation circuits need half of them.
const K: u32 = 20;

/// Seconds for all points in both bases.
#[must_use]
pub(crate) fn rows() -> Vec<Row> {
    let start = Instant::now();
    let string = ReferenceString::insecure_development(K).expect("a size within the limits");
    let seconds = start.elapsed().as_secs_f64();
    drop(string);
    vec![Row::alone(
        "development_string_k20_one_run",
        "seconds",
        seconds,
    )]
}
