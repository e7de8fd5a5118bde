//! Deciding whether a result counts.

use api::jobs::JobKind;
use protocol::{Fr, codec::field_from_le_bytes};
use verifier::{KeyDescription, verify_plonk};

/// Verifies results of proof jobs.
pub trait ProofVerifier: Send + Sync {
    /// Accepts a proof of these public inputs (32 little-endian bytes each), or says why not.
    ///
    /// # Errors
    /// Why the proof does not count.
    fn verify(&self, kind: JobKind, instances: &[[u8; 32]], proof: &[u8]) -> Result<(), String>;
}

/// The independent verifier under the two circuits' keys.
#[derive(Clone, Debug)]
pub struct PlonkVerifier {
    chunk: KeyDescription,
    data: KeyDescription,
}

impl PlonkVerifier {
    /// Verifies under these keys.
    #[must_use]
    pub fn new(chunk: KeyDescription, data: KeyDescription) -> Self {
        Self { chunk, data }
    }
}

impl ProofVerifier for PlonkVerifier {
    fn verify(&self, kind: JobKind, instances: &[[u8; 32]], proof: &[u8]) -> Result<(), String> {
        let key = match kind {
            JobKind::Chunk => &self.chunk,
            JobKind::Data => &self.data,
        };
        let column: Vec<Fr> = instances
            .iter()
            .map(field_from_le_bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        verify_plonk(key, &[column], proof).map_err(|error| error.to_string())
    }
}
