//! What the chunk circuit costs, and the digest of its key: golden, so that a change shows in review.
//!
//! `UPDATE_GOLDEN=1` rewrites the file.

use circuits::chunk::{BLINDED_ROWS, ChunkCircuit, ChunkShape, SLOT_ROWS};
use circuits::layout::{DEGREE, EQUALITY, WIDTH};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, keygen_vk};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::Bn256;
use rand::SeedableRng;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/chunk.json");

fn system() -> ConstraintSystem<halo2curves::bn256::Fr> {
    let mut cs = ConstraintSystem::default();
    ChunkCircuit::configure(&mut cs);
    cs
}

/// halo2-axiom caps the degree at 5 unless told; above the declared one honest proofs fail to verify.
#[test]
fn declared_degree_covers_every_gate() {
    let cs = system();
    let polynomials = cs.gates().iter().flat_map(|gate| gate.polynomials());
    let highest = polynomials
        .map(|polynomial| polynomial.degree())
        .max()
        .unwrap();
    assert!(highest <= DEGREE, "{highest}");
    assert_eq!(cs.degree(), DEGREE);
}

#[test]
fn the_fullest_chunk_is_the_largest_of_its_k() {
    assert_eq!(system().blinding_factors() + 1, BLINDED_ROWS);
    let shape = ChunkShape::FULLEST;
    let usable = (1 << shape.k()) - BLINDED_ROWS;
    assert!(shape.rows() <= usable, "{} of {usable} rows", shape.rows());
    let larger = ChunkShape {
        pairs: shape.pairs + 1,
    };
    assert_eq!(larger.k(), shape.k() + 1);
}

#[test]
fn cost_and_key_are_the_golden_ones() {
    let cs = system();
    let shape = ChunkShape::FULLEST;
    let small = ChunkShape { pairs: 1 };
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(5);
    let params = ParamsKZG::<Bn256>::setup(small.k(), &mut rng);
    let key = keygen_vk(&params, &small.circuit()).expect("verifying key");
    let digest = protocol::hash::keccak256(format!("{:?}", key.pinned()).as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let cost = serde_json::json!({
        "pairs": shape.pairs,
        "rows": shape.rows(),
        "rows_per_slot": SLOT_ROWS,
        "k": shape.k(),
        "degree": cs.degree(),
        "advice_columns": WIDTH,
        "fixed_columns": cs.num_fixed_columns(),
        "equality_columns": EQUALITY + 1,
        "polynomials": cs.gates().iter().map(|gate| gate.polynomials().len()).sum::<usize>(),
        "advice_queries": cs.advice_queries().len(),
        "lookups": 0,
        "blinding_rows": cs.blinding_factors() + 1,
        "key_digest_one_pair": digest,
    });
    let text = serde_json::to_string_pretty(&cost).expect("numbers and strings") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(GOLDEN).expect("the golden file exists");
    assert_eq!(
        text, golden,
        "run with UPDATE_GOLDEN=1 if the change is meant"
    );
}
