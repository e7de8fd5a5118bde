//! `quorate doctor`: is this machine fit to run a node? One line for each check, with what to do.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use verifier::golden::CircuitName;

use crate::commands::prover::CHUNK_MEMORY_MB;
use crate::config::{Settings, Sources, flag};
use crate::exit::{CliError, Exit, Outcome};
use crate::node::block_on;
use crate::output::Output;
use crate::wallet::keystore::{Keystore, default_path};
use crate::{development, files, genesis_file, keys, process};

/// Space that a node, its keys and strings want, in MiB.
const DISK_MB_WANTED: u64 = 4_096;
/// Slowest acceptable synced write.
const SYNC_WANTED: Duration = Duration::from_millis(50);
/// A clock before this program was written is wrong: 2025-01-01.
const CLOCK_FIRST_S: u64 = 1_735_689_600;
/// A clock this far ahead is wrong: 2100-01-01.
const CLOCK_LAST_S: u64 = 4_102_444_800;

/// Arguments of `quorate doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Genesis file to check
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Directory of a node's database to check; no node may have it open
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    Ok,
    Warn,
    Fail,
}

/// One line.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    health: Health,
    found: String,
    todo: String,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            health: Health::Ok,
            found: found.into(),
            todo: String::new(),
        }
    }

    fn warn(name: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            name,
            health: Health::Warn,
            found: found.into(),
            todo: todo.into(),
        }
    }

    fn fail(name: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            name,
            health: Health::Fail,
            found: found.into(),
            todo: todo.into(),
        }
    }
}

#[derive(Serialize)]
struct Diagnosis {
    fit: bool,
    checks: Vec<Check>,
}

/// Runs every check.
///
/// # Errors
/// `Usage` for a configuration that cannot be read; a check that fails is an answer, not an error.
pub(crate) fn run(args: &DoctorArgs, sources: &Sources, output: Output) -> Outcome {
    let settings = sources.load([
        flag("sequencer.genesis", args.genesis.clone()),
        flag("sequencer.data", args.data.clone()),
        flag("prover.cache", args.cache.clone()),
    ])?;
    let cache = settings.prover.cache.clone().unwrap_or_else(files::cache);
    let mut checks = vec![
        memory(process::available_memory_mb()),
        clock(SystemTime::now()),
        disk("disk of the cache", &cache),
        port("rpc port", &settings.sequencer.rpc),
        port("proof queue port", &settings.sequencer.jobs),
        keystore(
            &settings
                .wallet
                .keystore
                .clone()
                .unwrap_or_else(default_path),
        ),
        reference_strings(&cache),
        key_cache(&cache),
        tool(
            "strace",
            "one test of make test shows that verify opens no socket: apt-get install -y strace",
        ),
        tool("clang", "needed to build from source: make setup"),
    ];
    checks.extend(network(&settings));
    checks.extend(base_layer(&settings));
    checks.extend(nats(&settings));
    checks.extend(chain(&settings));
    let fit = checks.iter().all(|check| check.health != Health::Fail);
    output.data(&Diagnosis { fit, checks }, describe);
    Ok(if fit { Exit::Success } else { Exit::Invalid })
}

fn describe(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for check in &diagnosis.checks {
        let mark = match check.health {
            Health::Ok => "ok  ",
            Health::Warn => "warn",
            Health::Fail => "FAIL",
        };
        text.push_str(&format!("{mark}  {:20}  {}\n", check.name, check.found));
        if !check.todo.is_empty() {
            text.push_str(&format!("      {:20}  do: {}\n", "", check.todo));
        }
    }
    text.push_str(if diagnosis.fit {
        "this machine is fit\n"
    } else {
        "this machine is NOT fit\n"
    });
    text
}

fn memory(available: Option<u64>) -> Check {
    let name = "memory";
    match available {
        Some(mb) if mb >= CHUNK_MEMORY_MB => Check::ok(name, format!("{mb} MiB available")),
        Some(mb) => Check::warn(
            name,
            format!("{mb} MiB available, proving a chunk wants {CHUNK_MEMORY_MB}"),
            "a node runs all the same; let a larger machine prove",
        ),
        None => Check::warn(
            name,
            "this system does not say",
            format!("see that {CHUNK_MEMORY_MB} MiB are free"),
        ),
    }
}

fn clock(now: SystemTime) -> Check {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    if (CLOCK_FIRST_S..CLOCK_LAST_S).contains(&seconds) {
        Check::ok("clock", format!("{seconds} s since 1970"))
    } else {
        let todo = "set the clock: block timestamps come from it (timedatectl set-ntp true)";
        Check::fail(
            "clock",
            format!("{seconds} s since 1970 cannot be right"),
            todo,
        )
    }
}

/// The nearest directory that exists: where a new one would be made.
fn existing(path: &Path) -> &Path {
    path.ancestors()
        .find(|path| path.is_dir())
        .unwrap_or(Path::new("."))
}

fn disk(name: &'static str, path: &Path) -> Check {
    let directory = existing(path);
    let shown = directory.display();
    let free = match nix::sys::statvfs::statvfs(directory) {
        Ok(found) => {
            found
                .blocks_available()
                .saturating_mul(found.fragment_size())
                >> 20
        }
        Err(error) => return Check::fail(name, format!("{shown}: {error}"), "check the path"),
    };
    let probe = directory.join(format!(".quorate-doctor-{}", std::process::id()));
    let from = std::time::Instant::now();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)
        .and_then(|mut file| file.write_all(&[0; 4_096]).and_then(|()| file.sync_all()));
    let took = from.elapsed();
    let removed = fs::remove_file(&probe);
    if let Err(error) = written.and(removed) {
        return Check::fail(
            name,
            format!("{shown} cannot be written: {error}"),
            "check permissions, or name another with --cache",
        );
    }
    let found = format!(
        "{free} MiB free at {shown}, a synced write takes {} ms",
        took.as_millis()
    );
    if free < DISK_MB_WANTED {
        Check::warn(
            name,
            found,
            format!("free {DISK_MB_WANTED} MiB, or name another disk with --cache"),
        )
    } else if took > SYNC_WANTED {
        Check::warn(name, found, "a node syncs every block: use a faster disk")
    } else {
        Check::ok(name, found)
    }
}

fn port(name: &'static str, address: &str) -> Check {
    let todo = "stop what uses it, or name another address (quorate sequencer --listen, --jobs, --engine-listen, --gossip-listen)";
    match address.parse::<SocketAddr>() {
        Err(error) => Check::fail(
            name,
            format!("{address:?}: {error}"),
            "use a form like 127.0.0.1:8545",
        ),
        Ok(address) => match TcpListener::bind(address) {
            Ok(_) => Check::ok(name, format!("{address} is free")),
            Err(error) => Check::warn(name, format!("{address}: {error}"), todo),
        },
    }
}

fn keystore(path: &Path) -> Check {
    let name = "keystore";
    if !path.exists() {
        return Check::ok(
            name,
            format!(
                "{} does not exist; only the wallet needs it",
                path.display()
            ),
        );
    }
    if let Err(error) = Keystore::open(path) {
        return Check::fail(name, error.to_string(), error.todo);
    }
    match files::mode(path) {
        Some(mode) if mode & 0o077 == 0 => {
            Check::ok(name, format!("{} is private", path.display()))
        }
        mode => {
            let found = format!(
                "{} has mode {:o}: others can read it",
                path.display(),
                mode.unwrap_or(0)
            );
            Check::fail(name, found, format!("chmod 600 {}", path.display()))
        }
    }
}

/// Files of the cache whose names start so.
fn cached_files(cache: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            name.starts_with(start) && name.ends_with(".qrt")
        })
        .collect();
    found.sort();
    found
}

/// Checks the checksums of sealed files.
fn sealed(
    name: &'static str,
    paths: &[PathBuf],
    content: prover::sealed::Content,
    missing: Check,
) -> Check {
    if paths.is_empty() {
        return missing;
    }
    for path in paths {
        let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
        let limit = usize::try_from(length).unwrap_or(usize::MAX);
        if let Err(error) = prover::sealed::load(path, content, limit) {
            let todo = format!(
                "remove it, it is made or imported again: rm {}",
                path.display()
            );
            return Check::fail(name, error.to_string(), todo);
        }
    }
    Check::ok(name, format!("{} files, all whole", paths.len()))
}

fn reference_strings(cache: &Path) -> Check {
    let name = "reference strings";
    let missing = Check::warn(
        name,
        format!("none in {}", cache.display()),
        "the development string is made when it is needed; a ceremony's is imported: quorate srs import FILE",
    );
    let content = prover::sealed::Content::ReferenceString;
    sealed(name, &cached_files(cache, "srs-"), content, missing)
}

fn key_cache(cache: &Path) -> Check {
    let name = "proving keys";
    let missing = Check::warn(
        name,
        format!("none in {}", cache.display()),
        "made at the first start: quorate prover --keys-only",
    );
    sealed(
        name,
        &cached_files(cache, "keys-"),
        prover::sealed::Content::ProvingKey,
        missing,
    )
}

fn tool(name: &'static str, todo: &str) -> Check {
    let found = std::env::var_os("PATH").and_then(|paths| {
        std::env::split_paths(&paths)
            .map(|path| path.join(name))
            .find(|path| path.is_file())
    });
    match found {
        Some(path) => Check::ok(name, path.display().to_string()),
        None => Check::warn(name, "not found; running a node does not need it", todo),
    }
}

/// Checks of the section `[network]`.
fn network(settings: &Settings) -> Vec<Check> {
    match settings.network.parse() {
        Err(error) => vec![Check::fail("network", error.to_string(), error.todo)],
        Ok(_) => vec![
            port("engine port", &settings.network.engine_listen),
            port("gossip port", &settings.network.gossip_listen),
        ],
    }
}

/// Checks of the section `[base_layer]`: what a node would be refused, and how far the base layer is.
fn base_layer(settings: &Settings) -> Option<Check> {
    let name = "base layer";
    let config = match settings.base_layer.follow() {
        Ok(config) => config?,
        Err(error) => return Some(Check::fail(name, error.to_string(), error.todo)),
    };
    let looked = block_on(async {
        let looked = sequencer::look_at(&config).await;
        looked.map_err(|error| {
            let todo = "check that the base layer's node runs and follows this chain";
            CliError::new(
                Exit::Unavailable,
                "the base layer is not usable",
                error,
                todo,
            )
        })
    });
    Some(match looked {
        Ok(seen) => {
            let shown = |number: Option<u64>| {
                number.map_or_else(|| "none".to_owned(), |number| number.to_string())
            };
            let found = format!(
                "latest {}, safe {}, final {}, first of this chain {}",
                shown(seen.latest),
                shown(seen.safe),
                shown(seen.finalized),
                config.first_block
            );
            match seen.finalized {
                Some(number) if number >= config.first_block => Check::ok(name, found),
                _ => Check::warn(name, found, "wait until the deployment is final"),
            }
        }
        Err(error) => Check::fail(name, error.to_string(), error.todo),
    })
}

/// Whether the NATS server that is configured can be used.
fn nats(settings: &Settings) -> Option<Check> {
    let name = "NATS server";
    let config = match settings.nats.parse() {
        Ok(config) => config?,
        Err(error) => return Some(Check::fail(name, error.to_string(), error.todo)),
    };
    let looked = block_on(async {
        let todo = "start nats-server with -js at nats.url, and check nats.token";
        let looked = config.look().await;
        looked.map_err(|error| CliError::new(Exit::Unavailable, "not usable", error.reason, todo))
    });
    Some(match looked {
        Ok(seen) => {
            let (version, bytes) = (seen.version, seen.payload_bytes_max);
            Check::ok(
                name,
                format!("version {version}, messages of {bytes} bytes"),
            )
        }
        Err(error) => Check::fail(name, error.to_string(), error.todo),
    })
}

/// Whether every other validator can be dialled.
fn peers(settings: &Settings, validators: usize) -> Check {
    let name = "engine peers";
    let others = validators.saturating_sub(1);
    let named = settings.network.engine_peers.len();
    let found = format!("{named} named, {others} other validators");
    if named >= others {
        return Check::ok(name, found);
    }
    let todo = "name each in network.engine_peers, unless it names this one";
    Check::warn(name, found, todo)
}

/// Checks of the chain that the configuration names.
fn chain(settings: &Settings) -> Vec<Check> {
    let Some(path) = &settings.sequencer.genesis else {
        return Vec::new();
    };
    let genesis = match genesis_file::load(path) {
        Ok(genesis) => genesis,
        Err(error) => return vec![Check::fail("genesis", error.to_string(), error.todo)],
    };
    let validators = genesis.validators.validators().len();
    let mut checks = vec![
        Check::ok(
            "genesis",
            format!(
                "chain {}, {} leaves, {validators} validators",
                genesis.chain_id,
                genesis.leaves.len()
            ),
        ),
        peers(settings, validators),
    ];
    if genesis.timestamp_ms > development::now_ms() {
        checks.push(Check::fail(
            "genesis time",
            "it lies in the future",
            "check the clock, or wait",
        ));
    }
    for circuit in [CircuitName::Chunk, CircuitName::Data] {
        checks.push(match keys::accepted(circuit, &genesis.reference_string) {
            Ok(key) if key.is_insecure => Check::warn(
                "accepted key",
                format!("{} key under an INSECURE string", key.circuit),
                "development only",
            ),
            Ok(key) => Check::ok(
                "accepted key",
                format!("{} key under {}", key.circuit, key.reference_string),
            ),
            Err(error) => Check::fail("accepted key", error.to_string(), error.todo),
        });
    }
    if let Some(data) = &settings.sequencer.data {
        checks.push(disk("disk of the node", data));
        checks.push(database(data, &genesis));
    }
    checks
}

fn database(path: &Path, genesis: &protocol::genesis::Genesis) -> Check {
    let name = "database";
    if !path.exists() {
        return Check::ok(
            name,
            format!("{} does not exist yet; the node makes it", path.display()),
        );
    }
    match sequencer::check_database(path, genesis) {
        Ok(found) => Check::ok(
            name,
            format!(
                "height {}, {} leaves, {} entries, all whole",
                found.height, found.leaf_count, found.entries
            ),
        ),
        Err(error) => Check::fail(
            name,
            error.to_string(),
            "the words before say what to do; nothing was changed",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_that_is_not_fine_says_what_to_do() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address").to_string();
        let wallet = directory.path().join("wallet.json");
        std::fs::write(&wallet, "{}").expect("write");
        let findings = [
            memory(Some(1)),
            memory(None),
            clock(UNIX_EPOCH),
            port("port", &address),
            port("port", "nowhere"),
            keystore(&wallet),
            reference_strings(directory.path()),
            key_cache(directory.path()),
            tool("no-such-tool", "install it"),
        ];
        for check in findings {
            assert!(
                check.health != Health::Ok && !check.todo.is_empty(),
                "{check:?}"
            );
        }
        assert_eq!(
            disk("disk", directory.path()).health.max(Health::Warn),
            Health::Warn
        );
        assert_eq!(memory(Some(1 << 20)).health, Health::Ok);
        assert_eq!(clock(SystemTime::now()).health, Health::Ok);
    }

    #[test]
    fn a_base_layer_that_nobody_serves_is_found() {
        let mut settings = Settings::default();
        assert!(base_layer(&settings).is_none(), "none is configured");
        settings.base_layer.rpc = Some("http://127.0.0.1:1".to_owned());
        let check = base_layer(&settings).expect("one is configured");
        assert_eq!(check.health, Health::Fail, "no deployment file");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("deployment.json");
        let deployment = settlement::deploy::Deployment::foretold(Default::default(), 0);
        let file = settlement::deploy::DeploymentFile::new(31_337, 1, &deployment);
        std::fs::write(&path, file.to_json().expect("plain values")).expect("write");
        settings.base_layer.deployment = Some(path);
        let check = base_layer(&settings).expect("one is configured");
        assert_eq!(check.health, Health::Fail, "nobody answers");
        assert!(!check.todo.is_empty(), "{check:?}");
    }

    #[test]
    fn a_nats_server_that_nobody_runs_is_found() {
        let mut settings = Settings::default();
        assert!(nats(&settings).is_none(), "none is configured");
        for url in ["nats://127.0.0.1:1", "http://127.0.0.1:1"] {
            settings.nats.url = Some(url.to_owned());
            let check = nats(&settings).expect("one is configured");
            assert_eq!(check.health, Health::Fail, "{check:?}");
            assert!(!check.todo.is_empty(), "{check:?}");
        }
    }

    #[test]
    fn validators_that_nobody_dials_are_counted() {
        let mut settings = Settings::default();
        assert_eq!(peers(&settings, 1).health, Health::Ok);
        assert_eq!(peers(&settings, 4).health, Health::Warn);
        settings.network.engine_peers = vec!["192.0.2.1:1".to_owned(); 3];
        assert_eq!(peers(&settings, 4).health, Health::Ok);
        let checks = network(&settings);
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].health, Health::Fail, "a peer is named twice");
    }

    #[test]
    fn damaged_cache_files_are_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("keys-chunk-0000000000000000.qrt");
        std::fs::write(&path, "garbage").expect("write");
        let check = key_cache(directory.path());
        assert_eq!(check.health, Health::Fail);
        assert!(check.found.contains("keys-chunk"), "{}", check.found);
    }

    #[test]
    fn keystore_that_others_can_read_is_found() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("wallet.json");
        let owner = protocol::account::L1Address([1; 20]);
        Keystore::create(&path, &[1; 32], owner, "password").expect("create");
        assert_eq!(keystore(&path).health, Health::Ok);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        assert_eq!(keystore(&path).health, Health::Fail);
    }
}
