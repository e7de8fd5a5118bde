//! One transfer under the mock prover and as a real proof; every cell that a gate reads, changed.

use std::collections::BTreeSet;

use halo2_proofs::dev::MockProver;

use super::*;
use crate::narrow::gates::DEGREE;

fn workload() -> Workload {
    Workload::new(Hashing::Chained, 1, 5)
}

/// What the mock prover objects to, in words.
fn objections(sheet: Sheet, public: &[Fr]) -> Vec<String> {
    let mock = MockProver::run(K_MIN, &Narrow::new(sheet), vec![public.to_vec()]).unwrap();
    // Not `verify_par`: in halo2-axiom 0.5.3 it misses cells that are there and refuses everything.
    let failures = mock.verify().err().unwrap_or_default();
    failures.iter().map(ToString::to_string).collect()
}

fn accepts(sheet: Sheet, public: &[Fr]) -> bool {
    objections(sheet, public).is_empty()
}

#[test]
fn a_transfer_satisfies_its_circuit_and_no_other_public_inputs_do() {
    let workload = workload();
    let sheet = transfer::sheet(&workload);
    let right = public(&workload);
    assert_eq!(objections(sheet.clone(), &right), Vec::<String>::new());
    for place in 0..right.len() {
        let mut wrong = right;
        wrong[place] += Fr::one();
        assert!(!accepts(sheet.clone(), &wrong), "public input {place}");
    }
}

#[test]
fn a_changed_cell_is_refused_in_every_kind_of_row() {
    let workload = workload();
    let sheet = transfer::sheet(&workload);
    let public = public(&workload);
    // The last row of each kind: cells that its gate reads in that row.
    for (kind, cells) in KINDS.into_iter().zip(read_cells()) {
        let mut rows = sheet.gates.iter().filter(|(other, _)| *other == kind);
        let (_, row) = rows.next_back().unwrap();
        for column in cells {
            let mut changed = sheet.clone();
            changed.advice[*column][*row] += Fr::one();
            assert!(
                !accepts(changed, &public),
                "{kind:?} column {column} row {row}"
            );
        }
    }
}

/// Columns of its first row that a gate of each kind reads, in the order of [`KINDS`].
fn read_cells() -> [&'static [usize]; KINDS.len()] {
    let all = &[0, 1, 2, 3];
    let state = &[0, 1, 2];
    [
        all,
        state,
        all,
        all,
        all,
        all,
        all,
        all,
        &[0, 1],
        &[0, 1],
        all,
        state,
        all,
    ]
}

#[test]
fn another_signature_path_or_balance_is_refused() {
    let good = workload();
    let changes: [fn(&mut Workload); 6] = [
        |work| work.transfers[0].signature.s += ark_bn254::Fr::from(1_u64),
        |work| work.transfers[0].from_siblings[23] += ark_bn254::Fr::from(1_u64),
        |work| work.transfers[0].to ^= 1,
        |work| work.transfers[0].amount += 1,
        |work| work.transfers[0].sender.balance = 0,
        |work| work.transfers[0].sender.nonce += 1,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut wrong = good.clone();
        change(&mut wrong);
        // The rows follow the wrong numbers; the roots are the right ones.
        assert!(
            !accepts(transfer::sheet(&wrong), &public(&good)),
            "change {index}"
        );
    }
}

#[test]
fn an_overdraft_breaks_a_range() {
    let mut work = workload();
    let step = &mut work.transfers[0];
    step.sender.balance = step.amount + step.fee - 1;
    let circuit = Narrow::new(transfer::sheet(&work));
    let mock = MockProver::run(K_MIN, &circuit, vec![public(&work).to_vec()]).unwrap();
    let failures = mock.verify().unwrap_err();
    let named = failures
        .iter()
        .any(|failure| format!("{failure}").contains("range"));
    assert!(named, "{failures:?}");
}

#[test]
fn a_real_proof_verifies_and_fails_for_other_inputs_and_bytes() {
    let workload = workload();
    let public = public(&workload);
    let circuit = Narrow::new(transfer::sheet(&workload));
    let params = ParamsKZG::setup(K_MIN, OsRng);
    let key = keys(&params, &circuit).unwrap();
    let proof = prove(&params, &key, circuit, &public).unwrap();
    verify(&params, &key, &public, &proof).unwrap();
    let mut wrong = public;
    wrong[1] += Fr::one();
    assert!(verify(&params, &key, &wrong, &proof).is_err());
    let mut bent = proof.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    assert!(verify(&params, &key, &public, &bent).is_err());
}

#[test]
fn the_declared_degree_is_the_largest_of_the_gates() {
    let mut meta = ConstraintSystem::default();
    gates::configure(&mut meta);
    let degrees = meta.gates().iter().flat_map(|gate| gate.polynomials());
    // A selector counts as one until it is merged, and merging keeps within the declared degree.
    assert_eq!(degrees.map(plonk::Expression::degree).max(), Some(DEGREE));
    assert_eq!(meta.degree(), DEGREE);
}

#[test]
fn every_kind_of_row_is_used_and_rows_add_up() {
    let sheet = |count| transfer::sheet(&Workload::new(Hashing::Chained, count, 1));
    let (one, three) = (sheet(1), sheet(3));
    let kinds: BTreeSet<Kind> = one.gates.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, BTreeSet::from(KINDS));
    let per_transfer = one.rows() - sheet(0).rows();
    assert_eq!(three.rows() - one.rows(), 2 * per_transfer);
    assert_eq!(capacity(K_MIN).unwrap(), 1);
    assert!(matches!(capacity(K_MAX + 1), Err(NarrowError::Size(_))));
}

#[test]
fn the_shape_does_not_depend_on_the_transfers() {
    let sheet = |seed| transfer::sheet(&Workload::new(Hashing::Chained, 2, seed));
    let (one, other) = (sheet(1), sheet(2));
    assert_eq!(one.gates, other.gates);
    assert_eq!(one.fixed, other.fixed);
    assert_eq!(one.copies, other.copies);
    assert_eq!(one.public, other.public);
    assert!(one.advice != other.advice);
}
