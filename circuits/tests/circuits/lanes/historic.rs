//! Bugs that other circuits had, replanted in the lanes: without the constraint that stands where theirs was missing a forged
//! trace is accepted, with it that trace is refused, by it alone. `docs/soundness.md` says where each happened.

use super::dropped::{golden, holds, witnesses};
use super::selectors::constraint;

/// Class of bug, and constraints whose absence would be that bug here.
const REPLANTED: &[(&str, &[&str])] = &[
    (
        "assigned but not constrained",
        &[
            "poseidon6 spread: s-box input 5 #1",
            "poseidon6 spread: out #1",
            "ladder: sum #1",
        ],
    ),
    (
        "missing range check",
        &[
            "bytes Wide: value of bytes #1",
            "bytes Wide: value of bytes #2",
            "every byte is one: sum of seven inverses #1",
        ],
    ),
    (
        "mismatched bit lengths",
        &[
            "bytes Small: top byte shifted #1",
            "signature: scalars are below 2^126 #1",
        ],
    ),
    (
        "over- and underflow",
        &[
            "rules: enough #1",
            "rules: room #1",
            "rules: sender's balance #1",
        ],
    ),
    (
        "a second encoding",
        &[
            "rules: XCarry is boolean #1",
            "rules: stated x is below p #1",
            "signature's scalars: c is below p #1",
        ],
    ),
    (
        "missing nonce",
        &["rules: sender's meta #1", "rules: low bits of the nonce #1"],
    ),
    ("missing subgroup check", &["signature: x(8A) is not 0 #1"]),
    (
        "malleable signature",
        &[
            "signature: R8 on the curve #1",
            "signature's scalars: v is not 0 #1",
        ],
    ),
    (
        "inverse of 0",
        &["rules: fee is 0 #1", "rules: a group is open #2"],
    ),
    (
        "boolean not enforced",
        &[
            "rules: IsForcedExit is boolean #1",
            "ladder: bit of v #1",
            "ladder: bit of w #1",
        ],
    ),
    (
        "copy missing",
        &[
            "slot: thread #1",
            "slot: one domain #1",
            "ladder goes on: table #1",
        ],
    ),
    (
        "first and last rows",
        &[
            "end: the end is the last slot's #1",
            "products: memory starts #1",
            "products: memory ends #1",
            "signature: sum starts at O #1",
        ],
    ),
    (
        "order of memory",
        &[
            "slot: age #1",
            "products: accesses #1",
            "products: leaves #1",
        ],
    ),
    (
        "false inclusion in a tree",
        &[
            "node: children of unused pairs are not opened #1",
            "node: other children stay #2",
            "rules: sender lives #1",
        ],
    ),
    (
        "wrong domain of a hash",
        &["ends: tag #1", "rules: message: header or BID #1"],
    ),
    (
        "not what was signed",
        &[
            "rules: an operation alone signs its message #1",
            "rules: the sender's key signs: x #1",
        ],
    ),
    (
        "output that nobody checks",
        &[
            "products: tree ends at the root #1",
            "hashes on demand: ends #1",
        ],
    ),
];

#[test]
fn bugs_of_other_circuits_are_refused_when_replanted() {
    let (all, lines) = (witnesses(), golden());
    for (class, constraints) in REPLANTED {
        for name in *constraints {
            let how = lines
                .get(*name)
                .unwrap_or_else(|| panic!("no constraint is called {name}"));
            assert!(how.starts_with("forged"), "{class}: {name}: {how}");
            assert!(
                holds(all, constraint(&all[0], name), how),
                "{class}: {name}"
            );
        }
    }
}
