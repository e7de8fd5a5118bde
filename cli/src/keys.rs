//! Descriptions of the circuits' keys, which a node needs to check proofs and to put into bundles.
//!
//! A description is believed only if its digest is in the list that is compiled into this program
//! ([`verifier::golden`]). It is kept in the cache directory under that digest; a file that does not match is named,
//! not used and made again, by a process of its own, since key generation takes memory that a node must not hold.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use protocol::genesis::Genesis;
use protocol::params::CIRCUIT_VERSION;
use prover::Prover;
use prover::aggregate::Aggregator;
use prover::srs::StringKind;
use sequencer::AggregationKeys;
use verifier::KeyDescription;
use verifier::golden::{self, CircuitName, GoldenKey};

use crate::exit::{CliError, Exit};
use crate::files;

/// Bytes of a description at most.
const DESCRIPTION_BYTES_MAX: usize = 16 << 20;

/// Descriptions of both circuits' keys.
#[derive(Clone, Debug)]
pub(crate) struct Descriptions {
    /// Of the chunk circuit.
    pub(crate) chunk: KeyDescription,
    /// Of the data circuit.
    pub(crate) data: KeyDescription,
}

/// The accepted key of a circuit under a reference string.
///
/// # Errors
/// `Version` if this program accepts none.
pub(crate) fn accepted(
    circuit: CircuitName,
    reference_string: &str,
) -> Result<&'static GoldenKey, CliError> {
    golden::keys()
        .iter()
        .find(|key| {
            (key.circuit, key.version) == (circuit, CIRCUIT_VERSION)
                && key.reference_string == reference_string
        })
        .ok_or_else(|| {
            let what = format!(
                "no {circuit} key under the reference string {reference_string:?} is accepted"
            );
            let why = format!("the list in this program has none of version {CIRCUIT_VERSION}");
            CliError::new(
                Exit::Version,
                what,
                why,
                "use the release that genesis was made for, or make golden",
            )
        })
}

fn path(cache: &Path, circuit: CircuitName, digest: &[u8; 32]) -> PathBuf {
    cache.join(format!(
        "description-{circuit}-{}.bin",
        hex::encode(&digest[..8])
    ))
}

/// The description in the cache, if it is there and is the accepted one.
pub(crate) fn cached(
    cache: &Path,
    circuit: CircuitName,
    reference_string: &str,
) -> Result<Option<KeyDescription>, CliError> {
    let golden = accepted(circuit, reference_string)?;
    let path = path(cache, circuit, &golden.digest);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = files::read(&path, DESCRIPTION_BYTES_MAX)?;
    match KeyDescription::decode(&bytes) {
        Ok(description) if description.digest() == golden.digest => Ok(Some(description)),
        Ok(_) => {
            tracing::warn!(path = %path.display(), "cached key description is of another key; making it again");
            Ok(None)
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cached key description is corrupt; making it again");
            Ok(None)
        }
    }
}

/// Stores the descriptions of a prover's keys.
///
/// # Errors
/// `Bug` if the keys are not the accepted ones: the circuits were changed without `make golden`.
pub(crate) fn store(cache: &Path, prover: &Prover, reference_string: &str) -> Result<(), CliError> {
    for circuit in [CircuitName::Chunk, CircuitName::Data] {
        let golden = accepted(circuit, reference_string)?;
        let description = prover.description(circuit);
        let digest = description.digest();
        if digest != golden.digest {
            let what = format!("the {circuit} key of this program is not in its own list");
            let why = format!(
                "it is {}, the list has {}",
                hex::encode(digest),
                hex::encode(golden.digest)
            );
            let todo = "the circuit was changed: run make golden if that was on purpose";
            return Err(CliError::new(Exit::Bug, what, why, todo));
        }
        if cached(cache, circuit, reference_string)?.is_none() {
            files::replace(&path(cache, circuit, &digest), &description.encode())?;
        }
    }
    Ok(())
}

/// The descriptions for a chain, made by another process of this program if they are not in the cache.
///
/// # Errors
/// `Version` if no key is accepted, else that process's failure.
pub(crate) fn descriptions(cache: &Path, genesis: &Genesis) -> Result<Descriptions, CliError> {
    let name = genesis.reference_string.as_str();
    let both = || -> Result<Option<Descriptions>, CliError> {
        let chunk = cached(cache, CircuitName::Chunk, name)?;
        let data = cached(cache, CircuitName::Data, name)?;
        Ok(chunk
            .zip(data)
            .map(|(chunk, data)| Descriptions { chunk, data }))
    };
    if let Some(found) = both()? {
        return Ok(found);
    }
    tracing::info!(cache = %cache.display(), "making keys; this is done once and takes a minute or two");
    let failed = |why: String| {
        let todo = "run quorate doctor, and quorate prover --keys-only to see the failure alone";
        CliError::new(Exit::Unavailable, "the keys could not be made", why, todo)
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    command
        .args(["prover", "--keys-only", "--cache"])
        .arg(cache);
    if is_insecure(name)? {
        command.arg("--dev");
    }
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(format!(
            "the process that makes them ended with {status}"
        )));
    }
    both()?.ok_or_else(|| failed("they were made, and are not in the cache".to_owned()))
}

/// Digests of the chunk and data keys that are accepted under this string.
///
/// # Errors
/// `Version` if there is none.
pub(crate) fn accepted_digests(reference_string: &str) -> Result<[[u8; 32]; 2], CliError> {
    let chunk = accepted(CircuitName::Chunk, reference_string)?;
    let data = accepted(CircuitName::Data, reference_string)?;
    Ok([chunk.digest, data.digest])
}

/// Whether the accepted keys under this string are insecure ones.
///
/// # Errors
/// `Version` if no key is accepted.
pub(crate) fn is_insecure(reference_string: &str) -> Result<bool, CliError> {
    Ok(accepted(CircuitName::Chunk, reference_string)?.is_insecure
        || accepted(CircuitName::Data, reference_string)?.is_insecure)
}

/// Refuses the development string unless genesis is a development one and the user said `--dev`.
///
/// # Errors
/// `Usage`.
pub(crate) fn check_allowed(genesis: &Genesis, dev: bool) -> Result<(), CliError> {
    if !is_insecure(&genesis.reference_string)? || (genesis.is_development() && dev) {
        return Ok(());
    }
    let why = if genesis.is_development() {
        "--dev was not given"
    } else {
        "genesis is not a development one"
    };
    let what = format!(
        "the reference string {} is INSECURE",
        genesis.reference_string
    );
    let todo = "anybody can forge proofs under it: use it with --dev on a development chain, and nowhere else";
    Err(CliError::new(Exit::Usage, what, why, todo))
}

/// The keys that a node of this chain checks aggregated proofs with.
///
/// # Errors
/// `Version` if this program has none for the chain's reference string.
pub(crate) fn aggregation(genesis: &Genesis) -> Result<AggregationKeys, CliError> {
    let name = &genesis.reference_string;
    let refused = |why: String| {
        let what = format!("no aggregation keys under the reference string {name:?}");
        let todo = "leave --aggregate out, or use a release that has them";
        CliError::new(Exit::Version, what, why, todo)
    };
    let Some([levels @ .., top, last]) = golden::aggregation(name) else {
        return Err(refused("this program has none".to_owned()));
    };
    AggregationKeys::decode(*levels, top, last).map_err(|error| refused(error.to_string()))
}

/// Compares the keys of a tree that is about to prove with those that nodes check its proofs with.
///
/// # Errors
/// Which key is another.
pub(crate) fn check_aggregator(
    aggregator: &Aggregator,
    reference_string: &str,
) -> Result<(), String> {
    let golden = golden::aggregation(reference_string).map_or(&[][..], |keys| &keys[..]);
    let made: Vec<_> = aggregator.keys().collect();
    if made.len() != golden.len() {
        return Err(format!(
            "this program has no list of keys under {reference_string}"
        ));
    }
    for ((stage, key), golden) in made.into_iter().zip(golden) {
        if key.encode() != *golden {
            return Err(format!(
                "the {stage} key of this program is not the one that nodes know: run make golden if that was on purpose"
            ));
        }
    }
    Ok(())
}

/// The string that a worker proves under.
pub(crate) fn string_kind(dev: bool) -> StringKind {
    if dev {
        StringKind::InsecureDevelopment
    } else {
        StringKind::PerpetualPowersOfTau
    }
}
