//! The circuit `x y = z`, `z z = out` in circom's format, cut, changed and with counts that lie.

use ark_ff::{BigInteger, PrimeField};
use ark_relations::gr1cs::ConstraintSystem;

use super::*;

type Term = (u32, [u8; 32]);

fn coefficient(value: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    bytes
}

/// Wires: 1, out, x, y, z.
fn constraints() -> Vec<[Vec<Term>; 3]> {
    let wire = |wire| vec![(wire, coefficient(1))];
    vec![
        [wire(2), wire(3), wire(4)],
        [
            wire(4),
            vec![(4, coefficient(2))],
            vec![(1, coefficient(2))],
        ],
    ]
}

struct File {
    wires: u32,
    outputs: u32,
    count: u32,
    constraints: Vec<[Vec<Term>; 3]>,
    extra: Vec<(u32, Vec<u8>)>,
}

fn sample() -> File {
    File {
        wires: 5,
        outputs: 1,
        count: 2,
        constraints: constraints(),
        extra: vec![],
    }
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(32_u32.to_le_bytes());
        header.extend(Fr::MODULUS.to_bytes_le());
        for number in [self.wires, self.outputs, 0, 2] {
            header.extend(number.to_le_bytes());
        }
        header.extend(5_u64.to_le_bytes());
        header.extend(self.count.to_le_bytes());
        let mut body = Vec::new();
        for side in self.constraints.iter().flatten() {
            body.extend((side.len() as u32).to_le_bytes());
            for (wire, coefficient) in side {
                body.extend(wire.to_le_bytes());
                body.extend(coefficient);
            }
        }
        // circom writes the constraints before the header
        let mut sections = vec![(CONSTRAINTS, body), (HEADER, header)];
        sections.extend(self.extra.iter().cloned());
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((sections.len() as u32).to_le_bytes());
        for (kind, section) in sections {
            bytes.extend(kind.to_le_bytes());
            bytes.extend((section.len() as u64).to_le_bytes());
            bytes.extend(section);
        }
        bytes
    }
}

fn witness(x: u64, y: u64) -> Vec<Fr> {
    [1, x * x * y * y, x, y, x * y].map(Fr::from).to_vec()
}

#[test]
fn a_circuit_is_read_and_judges_witnesses() {
    let circuit = R1cs::parse(&sample().bytes()).unwrap();
    assert_eq!((circuit.wires, circuit.public), (5, 2));
    assert_eq!(circuit.constraints(), 2);
    assert_eq!(circuit.first_unsatisfied(&witness(3, 5)), None);
    for (wire, broken) in [(1, 1), (2, 0), (4, 0)] {
        let mut wrong = witness(3, 5);
        wrong[wire] += Fr::from(1_u64);
        assert_eq!(circuit.first_unsatisfied(&wrong), Some(broken));
    }
}

#[test]
fn arkworks_sees_the_same_matrices() {
    let circuit = R1cs::parse(&sample().bytes()).unwrap();
    let system = ConstraintSystem::<Fr>::new_ref();
    system.set_mode(ark_relations::gr1cs::SynthesisMode::Setup);
    (&circuit).generate_constraints(system.clone()).unwrap();
    system.finalize();
    assert_eq!(system.num_instance_variables(), circuit.public);
    let matrices = system.to_matrices().unwrap();
    let matrices = &matrices[ark_relations::gr1cs::R1CS_PREDICATE_LABEL];
    assert_eq!(matrices[..], circuit.matrices[..]);
}

#[test]
fn every_truncation_is_an_error() {
    let whole = sample().bytes();
    for length in 0..whole.len() {
        assert!(R1cs::parse(&whole[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn counts_beyond_the_bytes_are_refused_before_memory_is_taken() {
    let too_many = |file: File| {
        let error = R1cs::parse(&file.bytes()).unwrap_err();
        assert!(matches!(error, FormatError::TooMany { .. }), "{error}");
    };
    too_many(File {
        count: u32::MAX,
        ..sample()
    });
    too_many(File {
        wires: u32::MAX,
        ..sample()
    });
    too_many(File {
        outputs: 3,
        ..sample()
    });
    let mut bytes = sample().bytes();
    // the number of terms of the first side: behind the frame (12) and its section's head (12)
    bytes[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = R1cs::parse(&bytes).unwrap_err();
    assert!(matches!(error, FormatError::TooMany { .. }), "{error}");
    // a section that says to be longer than the file
    let mut bytes = sample().bytes();
    bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    let error = R1cs::parse(&bytes).unwrap_err();
    assert!(matches!(error, FormatError::Truncated { .. }), "{error}");
    let mut bytes = sample().bytes();
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = R1cs::parse(&bytes).unwrap_err();
    assert!(matches!(error, FormatError::TooMany { .. }), "{error}");
}

#[test]
fn fewer_constraints_than_bytes_are_refused() {
    let file = File {
        count: 1,
        ..sample()
    };
    let error = R1cs::parse(&file.bytes()).unwrap_err();
    assert!(matches!(error, FormatError::Trailing { .. }), "{error}");
}

#[test]
fn a_wire_beyond_the_last_and_a_large_coefficient_are_refused() {
    let mut file = sample();
    file.constraints[1][0][0].0 = 5;
    let error = R1cs::parse(&file.bytes()).unwrap_err();
    let named = "wire of a term";
    assert!(
        matches!(error, FormatError::TooMany { what, .. } if what == named),
        "{error}"
    );
    let mut file = sample();
    file.constraints[1][0][0].1 = [0xff; 32];
    let error = R1cs::parse(&file.bytes()).unwrap_err();
    assert!(
        matches!(error, FormatError::NotCanonical { index: 1 }),
        "{error}"
    );
}

#[test]
fn sections_twice_and_custom_gates_are_refused() {
    let twice = File {
        extra: vec![(HEADER, vec![])],
        ..sample()
    };
    let error = R1cs::parse(&twice.bytes()).unwrap_err();
    assert!(
        matches!(
            error,
            FormatError::Sections {
                kind: HEADER,
                found: 2
            }
        ),
        "{error}"
    );
    let gates = |count: u32| File {
        extra: vec![(CUSTOM_GATES_LIST, count.to_le_bytes().to_vec())],
        ..sample()
    };
    assert!(R1cs::parse(&gates(0).bytes()).is_ok());
    let error = R1cs::parse(&gates(1).bytes()).unwrap_err();
    assert!(matches!(error, FormatError::Unexpected { .. }), "{error}");
}
