//! Real proofs.

use circuits::data::layout::k;
use circuits::data::{DataCircuit, PUBLIC_INPUTS, public_inputs};
use halo2_proofs::plonk::{ProvingKey, create_proof, keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{
    Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer,
};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use protocol::witness::DataWitness;

use crate::samples::{point, random, rng};

/// Keys for one capacity.
struct Keys {
    capacity: usize,
    params: ParamsKZG<Bn256>,
    pk: ProvingKey<G1Affine>,
}

impl Keys {
    fn new(capacity: usize) -> Self {
        let params = ParamsKZG::<Bn256>::setup(k(capacity), rng(5));
        let empty = DataCircuit::without_witness(capacity);
        let vk = keygen_vk(&params, &empty).expect("verifying key");
        let pk = keygen_pk(&params, vk, &empty).expect("proving key");
        Keys {
            capacity,
            params,
            pk,
        }
    }

    fn prove(&self, witness: &DataWitness, instance: &[Fr]) -> Vec<u8> {
        let circuit = DataCircuit::new(self.capacity, witness).expect("it fits");
        let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(vec![]);
        create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, _>, _, _, _, _>(
            &self.params,
            &self.pk,
            &[circuit],
            &[&[instance]],
            rng(6),
            &mut transcript,
        )
        .expect("proof");
        transcript.finalize()
    }

    fn accepts(&self, instance: &[Fr], proof: &[u8]) -> bool {
        let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof);
        let verifier = self.params.verifier_params();
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, _>, _, _, _>(
            verifier,
            self.pk.get_vk(),
            SingleStrategy::new(verifier),
            &[&[instance]],
            &mut transcript,
        )
        .is_ok()
    }
}

#[test]
fn real_proof_verifies_and_no_public_input_can_change() {
    let keys = Keys::new(3);
    for witness in [
        random(2, 21),
        random(3, 22),
        DataWitness {
            groups: vec![],
            z: point(3),
        },
    ] {
        let instance = public_inputs(&witness);
        let proof = keys.prove(&witness, &instance);
        assert!(keys.accepts(&instance, &proof));
        for row in 0..PUBLIC_INPUTS {
            for change in [Fr::one(), -Fr::one(), -instance[row]] {
                let mut changed = instance;
                changed[row] += change;
                assert!(
                    changed == instance || !keys.accepts(&changed, &proof),
                    "input {row}"
                );
            }
        }
        for byte in (0..proof.len()).step_by(61) {
            let mut changed = proof.clone();
            changed[byte] ^= 1;
            assert!(!keys.accepts(&instance, &changed), "byte {byte}");
        }
    }
}

#[test]
fn proof_of_a_false_instance_does_not_verify() {
    let keys = Keys::new(1);
    let witness = random(1, 31);
    let mut instance = public_inputs(&witness);
    instance[2] += Fr::one();
    let proof = keys.prove(&witness, &instance);
    assert!(!keys.accepts(&instance, &proof));
}

#[test]
fn proof_for_another_capacity_does_not_verify() {
    // Capacities 2 and 3 have equal gates and rows: only the fixed cells differ.
    let (two, three) = (Keys::new(2), Keys::new(3));
    let witness = random(2, 41);
    let instance = public_inputs(&witness);
    let proof = three.prove(&witness, &instance);
    assert!(three.accepts(&instance, &proof));
    assert!(!two.accepts(&instance, &proof));
}

#[test]
fn bench_temp() {
    let Ok(capacity) = std::env::var("BENCH") else {
        return;
    };
    let capacity: usize = capacity.parse().unwrap();
    let started = std::time::Instant::now();
    let params = ParamsKZG::<Bn256>::setup(k(capacity), rng(5));
    eprintln!("setup {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let empty = DataCircuit::without_witness(capacity);
    let vk = keygen_vk(&params, &empty).expect("verifying key");
    eprintln!("vk {:?}", started.elapsed());
    let pk = keygen_pk(&params, vk, &empty).expect("proving key");
    eprintln!("keys {:?}", started.elapsed());
    let keys = Keys {
        capacity,
        params,
        pk,
    };
    let witness = random(capacity, 1);
    let started = std::time::Instant::now();
    let instance = public_inputs(&witness);
    eprintln!("native {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let _ = circuits::data::Table::assign(capacity, &witness).unwrap();
    eprintln!("table {:?}", started.elapsed());
    for _ in 0..2 {
        let cpu = || {
            std::fs::read_to_string("/proc/self/stat")
                .unwrap()
                .split(' ')
                .skip(13)
                .take(2)
                .map(|x| x.parse::<u64>().unwrap())
                .sum::<u64>() as f64
                / 100.0
        };
        let before = cpu();
        let started = std::time::Instant::now();
        let proof = keys.prove(&witness, &instance);
        eprintln!(
            "prove {:?} cpu {} bytes {}",
            started.elapsed(),
            cpu() - before,
            proof.len()
        );
        let started = std::time::Instant::now();
        assert!(keys.accepts(&instance, &proof));
        eprintln!("verify {:?}", started.elapsed());
    }
    eprintln!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .filter(|l| l.starts_with("VmHWM"))
            .collect::<String>()
    );
}
