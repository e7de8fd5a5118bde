//! Real proofs.

use circuits::data::DataShape;
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

use crate::samples::{point, public_inputs, random, rng};

/// Keys for one shape.
struct Keys {
    shape: DataShape,
    params: ParamsKZG<Bn256>,
    pk: ProvingKey<G1Affine>,
}

impl Keys {
    fn new(groups: usize) -> Self {
        let shape = DataShape { groups };
        let params = ParamsKZG::<Bn256>::setup(shape.k(), rng(5));
        let empty = shape.circuit();
        let vk = keygen_vk(&params, &empty).expect("verifying key");
        let pk = keygen_pk(&params, vk, &empty).expect("proving key");
        Keys { shape, params, pk }
    }

    fn prove(&self, witness: &DataWitness, instance: &[Fr]) -> Vec<u8> {
        let (circuit, _) = self.shape.prove(witness).expect("it fits");
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
        for row in 0..6 {
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
