//! The attacks on the first draft of the design, one by one (`sequencing-review.md`), and plain endurance.
