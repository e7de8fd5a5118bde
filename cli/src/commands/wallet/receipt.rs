//! How far an operation has come, in words.

use api::status::{Stage, Tier, TierReached};

/// Name of a stage.
pub(super) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::UnknownHere => "unknown here",
        Stage::Pending => "pending",
        Stage::Soft => "soft",
        Stage::Certified => "certified",
        Stage::Committed => "committed",
        Stage::Proven => "proven",
        Stage::Finalized => "finalized",
        Stage::Failed => "failed",
    }
}

/// One tier of a receipt: who vouches, since when, and by what weight.
pub(super) fn tier_line(reached: &TierReached) -> String {
    let name = match reached.tier {
        Tier::Pending => "pending",
        Tier::Preconfirmed => "preconfirmed",
        Tier::Soft => "soft",
        Tier::Certified => "certified",
        Tier::BatchCertified => "batch certified",
        Tier::Proven => "proven",
        Tier::Committed => "committed",
        Tier::Finalized => "finalized",
    };
    let mut line = format!(
        "{name} {} ms after it came, {} ms after the tier before",
        reached.since_received_ms, reached.since_previous_ms
    );
    if let Some(promise) = &reached.preconfirmation {
        line += &format!(
            "; by {}, at place {} of height {}",
            promise.proposer.0, promise.place, promise.height
        );
    }
    if let Some(weights) = reached.weights {
        let signed = reached.weight_signed;
        let signed = signed.map_or(String::new(), |weight| format!("signed by {weight}, "));
        line += &format!(
            "; {signed}quorum {} of {}, f {}",
            weights.quorum, weights.total, weights.faulty_max
        );
    }
    line
}
