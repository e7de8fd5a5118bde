//! Points inside write paths at which the crash test kills the node.
//!
//! `QUORATE_FAILPOINT=name:n` aborts the process at the n-th pass of point `name`, but only on a chain whose genesis
//! is a development one. Arming is logged loudly. Without it a pass costs one load.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// Environment variable that arms a point.
pub const VARIABLE: &str = "QUORATE_FAILPOINT";

/// Every point of a running node, for the crash test and its documentation.
pub const POINTS: [&str; 8] = [
    "admission.before_write",
    "admission.after_write",
    "block.before_write",
    "block.after_write",
    "batch.before_seal",
    "batch.after_seal",
    "proof.before_write",
    "proof.after_write",
];

/// Points of making a database from a restart certificate or from the base layer.
pub const REBUILD_POINTS: [&str; 2] = ["rebuild.before_write", "rebuild.after_write"];

struct Armed {
    name: String,
    left: AtomicU64,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

/// Arms the point that the environment names, on a development chain.
pub(crate) fn arm(is_development: bool) {
    ARMED.get_or_init(|| {
        let wish = std::env::var(VARIABLE).ok()?;
        if !is_development {
            tracing::warn!(wish, "failpoint ignored: this is not a development chain");
            return None;
        }
        let armed = parse(&wish);
        match &armed {
            Some(armed) => {
                let pass = armed.left.load(Ordering::Relaxed);
                tracing::warn!(
                    point = armed.name,
                    pass,
                    "FAILPOINT ARMED: this node will abort itself"
                );
            }
            None => {
                tracing::warn!(wish, known = ?(POINTS, REBUILD_POINTS), "failpoint ignored: expected NAME:N");
            }
        }
        armed
    });
}

fn parse(wish: &str) -> Option<Armed> {
    let (name, pass) = wish.split_once(':')?;
    let left = pass.parse().ok().filter(|pass| *pass > 0)?;
    let is_known = POINTS.contains(&name) || REBUILD_POINTS.contains(&name);
    is_known.then(|| Armed {
        name: name.to_owned(),
        left: AtomicU64::new(left),
    })
}

/// Passes a point; does not return if it is armed and its turn has come.
pub(crate) fn pass(name: &'static str) {
    if let Some(Some(armed)) = ARMED.get()
        && armed.name == name
        && armed.left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        tracing::error!(point = name, "FAILPOINT: aborting");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_points_with_a_pass_are_armed() {
        assert!(parse("block.before_write:3").is_some());
        assert!(parse("rebuild.after_write:1").is_some());
        for wish in [
            "block.before_write",
            "block.before_write:0",
            "nowhere:1",
            "block.before_write:x",
        ] {
            assert!(parse(wish).is_none(), "{wish}");
        }
    }
}
