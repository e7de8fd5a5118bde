//! `quorate verify evidence`: who contradicted itself, and whether one height's offenders weigh a third.

use std::path::Path;

use api::text::{AddressText, HashText};
use protocol::genesis::Genesis;
use serde::Serialize;
use verifier::{
    container::FileError,
    evidence::{Accountability, Judgement, verify_evidence},
};

use super::{Verdict, conclude, not_valid, still_trusted};
use crate::exit::Outcome;
use crate::output::{Output, pairs};

/// What the files show together, as JSON shows it.
#[derive(Clone, Debug, Serialize)]
struct Convicted {
    valid: bool,
    kind: &'static str,
    genesis: Option<HashText>,
    findings: Vec<FindingJson>,
    height: u64,
    epoch: u64,
    offenders: Vec<Offender>,
    offenders_weight: String,
    total_weight: String,
    at_least_one_third: bool,
    anchored_in_genesis: bool,
    still_trusted: Vec<&'static str>,
}

/// What one file shows.
#[derive(Clone, Debug, Serialize)]
struct FindingJson {
    file: String,
    offender: AddressText,
    offence: String,
}

/// A validator who must answer; counted once.
#[derive(Clone, Debug, Serialize)]
struct Offender {
    address: AddressText,
    weight: String,
}

/// Judges all files; the first that is refused decides.
pub(super) fn run(
    files: &[(&Path, Vec<u8>)],
    genesis: Option<&Genesis>,
    output: Output,
) -> Outcome {
    let mut judged = Vec::with_capacity(files.len());
    let mut last = Path::new("");
    let mut refused = None;
    for (file, bytes) in files {
        last = file;
        match verify_evidence(bytes, genesis) {
            Ok(judgement) => judged.push((*file, judgement)),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let verdict = match refused {
        Some(error) => Verdict::refused(&error),
        None => match convicted(&judged, genesis) {
            Ok(convicted) => Verdict::Valid(Box::new(convicted)),
            Err(error) => Verdict::refused(&error),
        },
    };
    output.data(&verdict, describe);
    conclude(
        last,
        &verdict,
        "accuse nobody on this file; compare --genesis with the chain's, and ask who wrote the file",
    )
}

fn convicted(
    judged: &[(&Path, Judgement)],
    genesis: Option<&Genesis>,
) -> Result<Convicted, FileError> {
    let judgements: Vec<Judgement> = judged.iter().map(|(_, one)| one.clone()).collect();
    let sum = Accountability::new(&judgements)?;
    let mut still_trusted = vec![
        "that no polka exists which answers a lock challenge: nobody has shown one",
        "the keys of the validator sets since genesis: more than two thirds of an old set could name another successor",
    ];
    if genesis.is_none() {
        still_trusted.push(
            "the chain and its first validators: the files name them (pass --genesis to fix them)",
        );
    }
    let findings = judged.iter().map(|(file, one)| FindingJson {
        file: file.display().to_string(),
        offender: one.finding.offender.into(),
        offence: one.finding.offence.to_string(),
    });
    Ok(Convicted {
        valid: true,
        kind: "evidence",
        genesis: genesis.map(|genesis| genesis.hash().into()),
        findings: findings.collect(),
        height: sum.height.0,
        epoch: judgements.first().map_or(0, |one| one.epoch.0),
        offenders: sum
            .offenders
            .iter()
            .map(|(address, weight)| Offender {
                address: (*address).into(),
                weight: weight.to_string(),
            })
            .collect(),
        offenders_weight: sum.weight().to_string(),
        total_weight: sum.total.to_string(),
        at_least_one_third: sum.is_a_third(),
        anchored_in_genesis: judgements.iter().all(|one| one.is_anchored_in_genesis),
        still_trusted,
    })
}

fn describe(verdict: &Verdict<Convicted>) -> String {
    let convicted = match verdict {
        Verdict::Invalid { reason, .. } => return not_valid(reason),
        Verdict::Valid(convicted) => convicted,
    };
    let mut text = "VALID EVIDENCE\n".to_owned();
    for one in &convicted.findings {
        text.push_str(&pairs(&[
            ("file", one.file.clone()),
            ("offender", one.offender.to_string()),
            ("offence", one.offence.clone()),
        ]));
    }
    let third = if convicted.at_least_one_third {
        "at least one third"
    } else {
        "below one third"
    };
    text.push_str(&pairs(&[
        (
            "height",
            format!("{} in epoch {}", convicted.height, convicted.epoch),
        ),
        (
            "accountable",
            format!(
                "{} validators, weight {} of {}: {third}",
                convicted.offenders.len(),
                convicted.offenders_weight,
                convicted.total_weight
            ),
        ),
        (
            "from genesis",
            if convicted.anchored_in_genesis {
                "yes"
            } else {
                "not shown"
            }
            .to_owned(),
        ),
    ]));
    text.push_str("shown: each offender signed both messages, and was in the validator set\n");
    text.push_str(&still_trusted(&convicted.still_trusted));
    text
}
