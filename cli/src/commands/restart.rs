//! `quorate restart`: what operators do when the chain stands still and nobody has its history, or when a batch was proven
//! that it never certified. `docs/restart.md` says when, in which order, and what is lost.
//!
//! Three steps, all offline: each validator signs where the chain goes on, one file is made of the signatures, and each
//! node makes a new database from it. The batches that stand come as bundles, which are verified before their words are
//! believed, or from the base layer, which has verified them. What this command does not do: choose the last height, or move
//! an old database away.

use std::path::{Path, PathBuf};

use api::text::{AddressText, FieldText, HashText};
use clap::{Args, Subcommand};
use protocol::{
    block::BlockId,
    genesis::Genesis,
    number::{BatchNumber, Height},
    restart::{Restart, RestartCertificate, SignedRestart},
};
use sequencer::{
    RestartPoint, RestartRefusal, StorageError, guard::GuardError, make_restarted, sign_restart,
};
use serde::Serialize;
use verifier::{
    bundle::{BUNDLE_BYTES_MAX, Bundle, Trust},
    container::{Container, FileError},
    golden,
};

use super::sequencer::secp256k1_key;
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::{base_layer, files, genesis_file};

/// One validator's signature.
const SIGNED: Container = Container {
    magic: *b"QRRESIGN",
    version: 1,
    bytes_max: 4 << 10,
    noun: "signed restart",
};

/// A certificate: 100 signers of 85 bytes each fit several times.
const CERTIFICATE: Container = Container {
    magic: *b"QRRECERT",
    version: 1,
    bytes_max: 64 << 10,
    noun: "restart certificate",
};

/// Arguments of `quorate restart`.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    #[command(subcommand)]
    command: RestartCommand,
}

#[derive(Debug, Subcommand)]
enum RestartCommand {
    /// Sign where the chain goes on; from then on this key signs nothing at or below the last height
    Sign(SignArgs),
    /// Make a restart certificate of the signatures of more than two thirds of the validators
    Combine(CombineArgs),
    /// Make a new database that begins at a restart certificate
    Apply(ApplyArgs),
}

#[derive(Debug, Args)]
struct SignArgs {
    #[command(flatten)]
    point: PointArgs,
    /// Data directory of the validator: its guard lies there, and no node may be running on it
    #[arg(long, value_name = "DIRECTORY")]
    data: PathBuf,
    /// Where the validator's key is, as 64 hex digits: file:PATH or env:NAME
    #[arg(long, value_name = "SOURCE")]
    validator_key: String,
    /// Height that all operators have agreed on, at or above every height that any validator has signed in
    #[arg(long, value_name = "HEIGHT")]
    last_height: u64,
    /// Id of the block at that height, if anybody knows it; all must give the same [default: the genesis hash]
    #[arg(long, value_name = "ID")]
    last_block: Option<String>,
    /// With --base-layer, the batch after which the chain goes on; all must name the same [default: the last that a final
    /// block has proven]
    #[arg(long, value_name = "NUMBER", requires = "base_layer")]
    batch: Option<u64>,
    /// File to write; an existing one is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct CombineArgs {
    /// Files that quorate restart sign has written
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Genesis file of the chain
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// File to write; an existing one is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct ApplyArgs {
    #[command(flatten)]
    point: PointArgs,
    /// Data directory of the node: without a database, but with the directory agreement of the validator
    #[arg(long, value_name = "DIRECTORY")]
    data: PathBuf,
    /// File that quorate restart combine has written
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
}

/// Where the chain goes on: genesis, and the batches that stand.
#[derive(Debug, Args)]
struct PointArgs {
    /// Genesis file of the chain
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Bundle of a batch that stands; repeat it for each batch, from 1 in order. Without any, the chain goes on from genesis
    #[arg(long = "bundle", value_name = "FILE")]
    bundles: Vec<PathBuf>,
    /// URL of a node of the base layer, where the batches that stand are proven; in place of bundles
    #[arg(
        long,
        value_name = "URL",
        requires = "deployment",
        conflicts_with = "bundles"
    )]
    base_layer: Option<String>,
    /// File that says where the contracts are, as the deployment wrote it
    #[arg(long, value_name = "FILE", requires = "base_layer")]
    deployment: Option<PathBuf>,
    /// Tolerate the insecure development reference string, on a development chain
    #[arg(long)]
    dev: bool,
}

/// A restart, as JSON shows it.
#[derive(Clone, Debug, Serialize)]
struct Shown {
    batch: u64,
    root: FieldText,
    last_height: u64,
    last_block: HashText,
    signers: Vec<AddressText>,
    signed_weight: String,
    total_weight: String,
    /// What was written.
    written: PathBuf,
}

impl Shown {
    fn new(restart: &Restart, signers: &[AddressText], genesis: &Genesis, written: &Path) -> Self {
        let set = &genesis.validators;
        let seats = set.validators().iter();
        let signed: u128 = seats
            .filter(|seat| signers.contains(&seat.address.into()))
            .map(|seat| set.weight_of(&seat.address))
            .sum();
        Self {
            batch: restart.batch.0,
            root: restart.root.into(),
            last_height: restart.last_height.0,
            last_block: restart.last_block.into(),
            signers: signers.to_vec(),
            signed_weight: signed.to_string(),
            total_weight: set.total().to_string(),
            written: written.to_owned(),
        }
    }

    fn describe(&self) -> String {
        pairs(&[
            ("after batch", self.batch.to_string()),
            ("root", self.root.to_string()),
            ("last height", self.last_height.to_string()),
            ("last block", self.last_block.to_string()),
            (
                "signed by",
                format!(
                    "{} validators, weight {} of {}",
                    self.signers.len(),
                    self.signed_weight,
                    self.total_weight
                ),
            ),
            ("written", self.written.display().to_string()),
        ])
    }
}

fn invalid(what: impl Into<String>, why: impl ToString, todo: &str) -> CliError {
    CliError::new(Exit::Invalid, what, why, todo)
}

/// Why a restart is not signed or applied, with what to do.
pub(super) fn refused(what: &str, error: &RestartRefusal) -> CliError {
    let (exit, todo) = match error {
        RestartRefusal::Guard(GuardError::Below { .. }) => (
            Exit::Invalid,
            "this key has signed higher up: all operators must agree on a last height of at least the number above",
        ),
        RestartRefusal::Guard(GuardError::Conflict { .. }) => (
            Exit::Invalid,
            "this key has signed another restart at this last height: agree on a higher one",
        ),
        RestartRefusal::Guard(_) => (
            Exit::Unavailable,
            "stop the node on this directory, and check the directory agreement in it",
        ),
        RestartRefusal::Storage(StorageError::Corrupt { .. }) => {
            (Exit::Corrupt, "move what is there away, and check the disk")
        }
        RestartRefusal::Storage(_) | RestartRefusal::Directory(_) => (
            Exit::Unavailable,
            "move the old database away and keep the directory agreement; check space and permissions",
        ),
        _ => (
            Exit::Invalid,
            "compare genesis, bundles and certificate with those of the other operators",
        ),
    };
    CliError::new(exit, what, error, todo)
}

fn not_accepted(path: &Path, error: &FileError) -> CliError {
    let what = format!("{} is not accepted", path.display());
    let exit = Exit::from_code(error.exit_code());
    CliError::new(exit, what, error, "ask whoever made the file for it again")
}

impl PointArgs {
    /// Rebuilds the end of the last batch, or on a base layer that of the batch that is named.
    fn rebuild(&self, batch: Option<BatchNumber>) -> Result<(Genesis, RestartPoint), CliError> {
        let genesis = genesis_file::load(&self.genesis)?;
        if let (Some(url), Some(path)) = (&self.base_layer, &self.deployment) {
            let file = base_layer::load_deployment(path)?;
            let chain = runtime()?.block_on(async {
                let layer = base_layer::connect(url, file.chain_id).await?;
                base_layer::rebuilt_final(&*layer, &file, &genesis, batch).await
            })?;
            return Ok((genesis, chain.into()));
        }
        let point = self.rebuild_from_bundles(&genesis)?;
        Ok((genesis, point))
    }

    /// Each bundle is verified first.
    fn rebuild_from_bundles(&self, genesis: &Genesis) -> Result<RestartPoint, CliError> {
        let mut point = RestartPoint::genesis(genesis);
        for path in &self.bundles {
            let what = format!("{} is not accepted", path.display());
            let bytes = files::read(path, BUNDLE_BYTES_MAX)?;
            let trust = Trust {
                keys: golden::keys(),
                genesis: Some(genesis),
                development: self.dev,
            };
            let proven = Bundle::decode(&bytes)
                .and_then(|bundle| bundle.verify(&trust).map(|batch| (bundle, batch)));
            let (bundle, batch) = proven.map_err(|error| {
                let exit = Exit::from_code(error.exit_code());
                let todo = "ask for the bundle again: quorate verify says more";
                CliError::new(exit, what.clone(), error, todo)
            })?;
            point = point
                .after(bundle.batch_number, &bundle.words)
                .map_err(|error| refused(&what, &error))?;
            let restart = Restart::new(&point.end(), Height(0), BlockId::default());
            if (restart.root, restart.counters) != (batch.end.root, batch.end.counters()) {
                let why = "it proves another state than its words give on the batches before";
                let todo = "give the bundles of this chain, from 1 in order";
                return Err(invalid(what, why, todo));
            }
        }
        Ok(point)
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Runtime::new().map_err(|error| {
        let todo = "check the limits of this process (ulimit -a)";
        CliError::new(Exit::Unavailable, "cannot start a runtime", error, todo)
    })
}

fn block_id(text: &str) -> Result<BlockId, CliError> {
    HashText(text.to_owned())
        .parse()
        .map(BlockId)
        .map_err(|error| {
            let todo = "give the id as quorate_block shows it: 0x and 64 hex digits";
            CliError::new(Exit::Usage, "--last-block is not an id", error, todo)
        })
}

fn sign(args: &SignArgs, output: Output) -> Outcome {
    let key = secp256k1_key(&args.validator_key, "validator's key")?;
    if args.out.exists() {
        let what = format!("{} exists", args.out.display());
        let todo = "choose another name, or move the old file away";
        return Err(CliError::new(
            Exit::Usage,
            what,
            "it is never overwritten",
            todo,
        ));
    }
    let (genesis, point) = args.point.rebuild(args.batch.map(BatchNumber))?;
    let last_block = args.last_block.as_deref().map(block_id).transpose()?;
    let last = (
        Height(args.last_height),
        last_block.unwrap_or_else(|| genesis.hash()),
    );
    let signed = sign_restart(&args.data, (&genesis, key), &point, last)
        .map_err(|error| refused("the restart is not signed", &error))?;
    files::create_private(&args.out, &SIGNED.encode(&signed))?;
    let signers = [signed.validator.into()];
    let shown = Shown::new(&signed.restart, &signers, &genesis, &args.out);
    output.data(&shown, Shown::describe);
    output.note("this key signs nothing at or below the last height from now on: the restart must be carried through");
    Ok(Exit::Success)
}

fn combine(args: &CombineArgs, output: Output) -> Outcome {
    let genesis = genesis_file::load(&args.genesis)?;
    let domain = genesis.domain();
    let mut all: Vec<SignedRestart> = Vec::new();
    for path in &args.files {
        let bytes = files::read(path, SIGNED.bytes_max)?;
        let signed: SignedRestart = SIGNED
            .decode(&bytes)
            .map_err(|error| not_accepted(path, &error))?;
        let what = format!("{} is not accepted", path.display());
        if !signed.is_authentic(&domain) {
            let why = "its signature is not its validator's, or of another chain";
            return Err(invalid(what, why, "ask its validator for it again"));
        }
        if let Some(first) = all.first()
            && first.restart != signed.restart
        {
            let why = format!(
                "it names batch {}, last height {}, last block {}; the first file names batch {}, {}, {}",
                signed.restart.batch,
                signed.restart.last_height,
                signed.restart.last_block,
                first.restart.batch,
                first.restart.last_height,
                first.restart.last_block,
            );
            let todo =
                "all must sign the same restart: agree on bundles, last height and last block";
            return Err(invalid(what, why, todo));
        }
        all.push(signed);
    }
    let Some(first) = all.first() else {
        let todo = "name the files that quorate restart sign has written";
        return Err(CliError::new(
            Exit::Usage,
            "no file is named",
            "nothing was signed",
            todo,
        ));
    };
    let certificate = RestartCertificate::assemble(first.restart, &all);
    certificate
        .verify(&domain, &genesis.validators)
        .map_err(|error| {
            let todo = "collect the signatures of more validators";
            invalid("these signatures are no certificate", error, todo)
        })?;
    files::create_private(&args.out, &CERTIFICATE.encode(&certificate))?;
    show_certificate(&certificate, &genesis, &args.out, output);
    Ok(Exit::Success)
}

fn show_certificate(
    certificate: &RestartCertificate,
    genesis: &Genesis,
    written: &Path,
    output: Output,
) {
    let signers = certificate.signatures.iter();
    let signers: Vec<AddressText> = signers.map(|one| one.validator.into()).collect();
    let shown = Shown::new(&certificate.restart, &signers, genesis, written);
    output.data(&shown, Shown::describe);
}

/// Reads a restart certificate; whether the set has signed it is for whoever makes a database of it.
///
/// # Errors
/// `Usage` for a file that cannot be read, else the code of what it is.
pub(super) fn load_certificate(path: &Path) -> Result<RestartCertificate, CliError> {
    let bytes = files::read(path, CERTIFICATE.bytes_max)?;
    CERTIFICATE
        .decode(&bytes)
        .map_err(|error| not_accepted(path, &error))
}

fn apply(args: &ApplyArgs, output: Output) -> Outcome {
    let certificate = load_certificate(&args.certificate)?;
    let batch = certificate.restart.batch;
    let (genesis, point) = args.point.rebuild(Some(batch))?;
    make_restarted(&args.data, &genesis, &point, &certificate)
        .map_err(|error| refused("no database is made", &error))?;
    show_certificate(&certificate, &genesis, &args.data, output);
    output.note("start the node as usual: quorate sequencer --data and the rest");
    Ok(Exit::Success)
}

/// Runs the command.
///
/// # Errors
/// `Usage` for files that cannot be read, `Invalid` for what does not fit together or was signed already, `Unavailable`
/// for a directory in use.
pub(crate) fn run(args: &RestartArgs, output: Output) -> Outcome {
    match &args.command {
        RestartCommand::Sign(args) => sign(args, output),
        RestartCommand::Combine(args) => combine(args, output),
        RestartCommand::Apply(args) => apply(args, output),
    }
}
