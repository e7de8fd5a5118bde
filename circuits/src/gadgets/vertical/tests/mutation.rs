//! No value of a loaded point or of a sum is free: every class of equal cells, changed as a whole, breaks a constraint.

use halo2curves::bn256::Fr;

use super::trace::Trace;
use super::{host, random_point, random_scalar, rng, sum};

/// Values that every class is given in turn, besides its own plus one.
fn others(value: Fr, random: Fr) -> [Fr; 4] {
    [value + Fr::one(), -value, Fr::zero(), random]
}

#[test]
fn every_changed_value_of_a_sum_is_refused() {
    let mut rng = rng(1);
    for fixed in [false, true] {
        let pairs = [(random_scalar(&mut rng), random_point(&mut rng))];
        let (mut builder, mut chip) = host();
        let point = sum((&mut builder, &mut chip), &pairs, fixed);
        // settles the sum, and its limbs show that coordinates are below q
        chip.to_instance_limbs(builder.pool(0), &point);
        let mut trace = Trace::new(&mut builder);
        assert!(trace.holds());
        let random = random_scalar(&mut rng);
        let mut survivors = Vec::new();
        for class in 0..trace.members.len() {
            let cell = trace.members[class][0];
            let value = trace.values[cell];
            for other in others(value, random) {
                if other == value {
                    continue;
                }
                trace.put(class, other);
                if trace.class_holds(class) {
                    survivors.push(cell);
                }
            }
            trace.put(class, value);
        }
        assert_eq!(survivors, [0; 0], "fixed: {fixed}");
        assert!(trace.holds(), "all is as it was");
    }
}
