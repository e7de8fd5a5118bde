//! The binary from outside: help of every command, exit codes of wrong input, keys in files, no socket in `verify`.

#[path = "cli/srs.rs"]
mod srs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use protocol::{hash::keccak256, signature::SecretKey};

const OWNER: &str = "0x1111111111111111111111111111111111111111";

/// A directory of its own for one test, and the binary inside it.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("password"), "correct horse\n").expect("write");
        std::fs::write(directory.path().join("wrong"), "battery staple\n").expect("write");
        std::fs::write(directory.path().join("seed"), hex::encode([7; 32])).expect("write");
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("write");
        self.path(name).display().to_string()
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new(binary())
            .args(words)
            .current_dir(self.directory.path())
            .env("QUORATE_HOME", self.path("home"))
            .env("QUORATE_CACHE", self.path("cache"))
            .env_remove("QUORATE_LOG")
            .output()
            .expect("the binary runs")
    }

    /// Runs, and checks the exit code.
    fn expect(&self, code: i32, words: &[&str]) -> Output {
        let output = self.run(words);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {stderr}");
        output
    }

    /// Runs with `--json` and returns what stdout says.
    fn json(&self, words: &[&str]) -> serde_json::Value {
        let output = self.expect(0, &[words, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).expect("one JSON object on stdout")
    }
}

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_quorate"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Names under the heading "Commands:" of a help text.
fn subcommands(help: &str) -> BTreeSet<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let rest = line
                .strip_prefix("  ")
                .filter(|rest| !rest.starts_with(' '))?;
            rest.split_whitespace().next().map(str::to_owned)
        })
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn every_command_explains_itself_and_knows_json() {
    let bench = Bench::new();
    let mut open = vec![Vec::<String>::new()];
    let mut seen = BTreeSet::new();
    while let Some(words) = open.pop() {
        let mut line: Vec<&str> = words.iter().map(String::as_str).collect();
        line.push("--help");
        let help = text(&bench.expect(0, &line).stdout);
        assert!(
            help.contains("--json") && help.contains("Usage: quorate"),
            "{words:?}: {help}"
        );
        for name in subcommands(&help) {
            open.push([words.as_slice(), &[name]].concat());
        }
        seen.insert(words.join(" "));
    }
    let expected = [
        "",
        "devnet",
        "sequencer",
        "prover",
        "prover bench",
        "srs",
        "srs import",
        "srs verify",
        "srs info",
        "verify",
        "verify evidence",
        "verify checkpoint",
        "wallet",
        "wallet new",
        "wallet import",
        "wallet address",
        "wallet balance",
        "wallet send",
        "wallet status",
        "wallet history",
        "wallet withdraw",
        "wallet deposit",
        "wallet claim",
        "wallet force",
        "wallet force withdraw",
        "wallet force transfer",
        "wallet exit",
        "wallet refund",
        "base-layer",
        "base-layer serve",
        "base-layer deploy",
        "base-layer status",
        "base-layer rebuild",
        "outsider",
        "genesis",
        "genesis new",
        "genesis show",
        "restart",
        "restart sign",
        "restart combine",
        "restart apply",
        "snapshot",
        "snapshot make",
        "snapshot check",
        "snapshot restore",
        "doctor",
        "completions",
        "man",
    ];
    for name in expected {
        assert!(
            seen.contains(name),
            "quorate {name} is missing from {seen:?}"
        );
    }
    let help = text(&bench.expect(0, &["--help"]).stdout);
    for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "70 "] {
        assert!(
            help.contains(&format!(" {code}")),
            "exit code {code} is not documented: {help}"
        );
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    let bench = Bench::new();
    let cases: [&[&str]; 8] = [
        &[],
        &["surprise"],
        &["verify"],
        &["verify", "a", "b"],
        &["wallet", "new", "--l1-owner", "0x00"],
        &[
            "wallet",
            "new",
            "--l1-owner",
            OWNER,
            "--password",
            "hunter2",
        ],
        &["wallet", "send", "--to", "qr1", "--amount", "1"],
        &["genesis", "show", "file", "--log", "surprise=loud=very"],
    ];
    for words in cases {
        let output = bench.expect(2, words);
        assert!(output.stdout.is_empty(), "{words:?}: data on stdout");
        assert!(
            !text(&output.stderr).contains("hunter2") || words.contains(&"hunter2"),
            "{words:?}"
        );
    }
}

/// Header of a bundle with this version, a body and a right checksum.
fn bundle_file(version: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"QRBUNDLE".to_vec();
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(body);
    let checksum = keccak256(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

#[test]
fn verify_says_what_is_wrong_with_a_file() {
    let bench = Bench::new();
    let good = bundle_file(1, b"not a body");
    let mut flipped = good.clone();
    flipped[30] ^= 1;
    let cases = [
        (4, bench.write("empty", b"")),
        (4, bench.write("garbage", &[0xa5; 4_096])),
        (4, bench.write("cut", &good[..25])),
        (4, bench.write("flipped", &flipped)),
        (4, bench.write("body", &good)),
        (5, bench.write("newer", &bundle_file(2, b""))),
        (2, bench.path("absent").display().to_string()),
        (2, bench.directory.path().display().to_string()),
    ];
    for (code, file) in &cases {
        let output = bench.expect(*code, &["verify", file]);
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("why:") && stderr.contains("do:"),
            "{file}: {stderr}"
        );
        let output = bench.expect(*code, &["verify", file, "--json"]);
        let error: serde_json::Value =
            serde_json::from_slice(&output.stderr).expect("JSON on stderr");
        assert_eq!(error["error"]["exit_code"], *code, "{file}");
        if *code != 2 {
            let verdict: serde_json::Value =
                serde_json::from_slice(&output.stdout).expect("a verdict");
            assert_eq!(verdict["valid"], false, "{file}");
        }
    }
    let genesis = bench.write("genesis", b"{}");
    bench.expect(4, &["verify", &cases[0].1, "--genesis", &genesis]);
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn file_beyond_the_size_limit_is_refused_without_reading_it() {
    let bench = Bench::new();
    let path = bench.path("huge");
    // Sparse: a terabyte that takes no space.
    let file = std::fs::File::create(&path).expect("create");
    if file.set_len(1 << 40).is_err() {
        eprintln!("skipped: this file system has no sparse files of a terabyte");
        return;
    }
    bench.expect(2, &["verify", &path.display().to_string()]);
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn verify_opens_no_socket() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is missing; install it: apt-get install -y strace");
        return;
    }
    let bench = Bench::new();
    let file = bench.write("bundle", &bundle_file(1, b"not a body"));
    let log = bench.path("strace.log");
    let traced = Command::new("strace")
        .args(["-f", "-e", "trace=%network,execve", "-o"])
        .arg(&log)
        .arg(binary())
        .args(["verify", &file])
        .output()
        .expect("strace runs");
    assert_eq!(traced.status.code(), Some(4), "{}", text(&traced.stderr));
    let log = std::fs::read_to_string(log).expect("strace wrote its log");
    assert!(log.contains("execve("), "strace saw nothing: {log}");
    assert!(
        !log.contains("socket(") && !log.contains("connect("),
        "{log}"
    );
}

#[test]
fn keys_are_private_encrypted_and_never_overwritten() {
    let bench = Bench::new();
    let password = format!("file:{}", bench.path("password").display());
    let seed = format!("file:{}", bench.path("seed").display());
    let import = [
        "wallet",
        "import",
        "--l1-owner",
        OWNER,
        "--seed",
        &seed,
        "--password",
        &password,
    ];
    let imported = bench.json(&import);
    let key = SecretKey::from_seed(&[7; 32]).public();
    let x = hex::encode(protocol::codec::field_to_be_bytes(&key.point().x()));
    assert_eq!(imported["key"]["x"], format!("0x{x}"));

    let file = bench.path("home").join("wallet.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&file)
            .expect("the keystore exists")
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600, "only its owner may read a keystore");
    let before = std::fs::read(&file).expect("read");
    assert!(
        !text(&before).contains(&hex::encode([7; 32])),
        "the seed is readable"
    );
    bench.expect(2, &import);
    let new = [
        "wallet",
        "new",
        "--l1-owner",
        OWNER,
        "--password",
        &password,
    ];
    bench.expect(2, &new);
    assert_eq!(std::fs::read(&file).expect("read"), before, "overwritten");

    let shown = bench.json(&["wallet", "address"]);
    assert_eq!(shown["address"], imported["address"]);
    let other = bench.json(&["wallet", "address", "--token", "7"]);
    assert_ne!(other["address"], imported["address"]);
    let another = [&new[..], &["--keystore", "another.json"]].concat();
    assert_ne!(
        bench.json(&another)["address"],
        imported["address"],
        "keys must differ"
    );
}

#[test]
fn wallet_without_key_or_node_says_what_to_do() {
    let bench = Bench::new();
    let output = bench.expect(2, &["wallet", "balance"]);
    assert!(text(&output.stderr).contains("quorate wallet new"));
    let password = format!("file:{}", bench.path("password").display());
    bench.json(&[
        "wallet",
        "new",
        "--l1-owner",
        OWNER,
        "--password",
        &password,
    ]);
    // Port 1 is nobody's.
    let output = bench.expect(3, &["wallet", "balance", "--rpc", "http://127.0.0.1:1"]);
    assert!(
        text(&output.stderr).contains("quorate devnet"),
        "{}",
        text(&output.stderr)
    );
    bench.expect(2, &["wallet", "balance", "--rpc", "not a url"]);
    let address = bench.json(&["wallet", "address"])["address"]
        .as_str()
        .expect("text")
        .to_owned();
    let send = [
        "wallet",
        "send",
        "--to",
        &address,
        "--amount",
        "12345678901",
    ];
    let output = bench.expect(2, &send);
    assert!(
        text(&output.stderr).contains("12345678900"),
        "the nearest amount is not named"
    );
    std::fs::write(bench.path("home").join("wallet.json"), "{\"version\": 9}").expect("write");
    bench.expect(5, &["wallet", "address"]);
    std::fs::write(bench.path("home").join("wallet.json"), "{").expect("write");
    bench.expect(4, &["wallet", "address"]);
}

#[test]
fn genesis_files_are_made_checked_and_never_overwritten() {
    let bench = Bench::new();
    let made = bench.json(&["genesis", "new", "genesis.json", "--accounts", "2"]);
    assert_eq!(
        (made["development"].as_bool(), made["leaf_count"].as_u64()),
        (Some(true), Some(3))
    );
    assert_eq!(
        bench.json(&["genesis", "show", "genesis.json"])["hash"],
        made["hash"]
    );
    bench.expect(2, &["genesis", "new", "genesis.json"]);
    let text = std::fs::read_to_string(bench.path("genesis.json")).expect("read");
    bench.write("genesis.json", text.replace("31337", "31338").as_bytes());
    assert_ne!(
        bench.json(&["genesis", "show", "genesis.json"])["hash"],
        made["hash"]
    );
    bench.write(
        "genesis.json",
        text.replace("chain_id", "chainid").as_bytes(),
    );
    bench.expect(4, &["genesis", "show", "genesis.json"]);
}

#[test]
fn configuration_is_read_in_order_and_unknown_keys_are_errors() {
    let bench = Bench::new();
    let config = bench.write("quorate.toml", b"[wallet]\nkeystore = \"from-file.json\"\n");
    let message = |words: &[&str], variable: Option<(&str, &str)>| {
        let mut command = Command::new(binary());
        command.args(words).env("QUORATE_HOME", bench.path("home"));
        if let Some((name, value)) = variable {
            command.env(name, value);
        }
        let output = command.output().expect("the binary runs");
        (output.status.code(), text(&output.stderr))
    };
    let address = ["wallet", "address", "--config", config.as_str()];
    assert!(message(&address, None).1.contains("from-file.json"));
    let variable = Some(("QUORATE__WALLET__KEYSTORE", "from-env.json"));
    assert!(message(&address, variable).1.contains("from-env.json"));
    let flag = [&address[..], &["--keystore", "from-flag.json"]].concat();
    assert!(message(&flag, variable).1.contains("from-flag.json"));
    let unknown = message(&address, Some(("QUORATE__WALLET__SURPRISE", "1")));
    assert_eq!(unknown.0, Some(2), "{}", unknown.1);
    bench.write("quorate.toml", b"[wallets]\n");
    assert_eq!(message(&address, None).0, Some(2));
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = text(&bench.expect(0, &["completions", shell]).stdout);
        assert!(
            script.contains("devnet") && script.contains("wallet"),
            "{shell}"
        );
    }
    let pages = bench.json(&["man", "pages"]);
    let names: Vec<&str> = pages["pages"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|page| page.as_str())
        .collect();
    for name in ["quorate.1", "quorate-verify.1", "quorate-wallet-send.1"] {
        assert!(
            names.iter().any(|page| page.ends_with(name)),
            "{name} is missing from {names:?}"
        );
    }
    let page = std::fs::read_to_string(bench.path("pages").join("quorate-verify.1")).expect("read");
    assert!(page.contains("\\-\\-genesis"), "{page}");
}

/// Four operators restart a development chain from genesis: each signs, one combines, each makes a database.
#[test]
fn three_of_four_operators_restart_a_chain_and_one_key_signs_one_restart() {
    let bench = Bench::new();
    bench.expect(0, &["genesis", "new", "genesis.json", "--validators", "4"]);
    for index in 0..4 {
        let scalar = keccak256(format!("QUORATE/cli/devnet/validator/{index}/v1").as_bytes());
        bench.write(&format!("key-{index}"), hex::encode(scalar).as_bytes());
    }
    let sign = |index: u32, last: &str, out: &str, code: i32| {
        let key = format!("file:{}", bench.path(&format!("key-{index}")).display());
        let data = format!("data-{index}");
        let words = [
            "restart",
            "sign",
            "--genesis",
            "genesis.json",
            "--data",
            &data,
            "--validator-key",
            &key,
            "--last-height",
            last,
            "--out",
            out,
        ];
        text(&bench.expect(code, &words).stderr)
    };
    for index in 0..3 {
        sign(index, "500", &format!("signed-{index}"), 0);
    }
    sign(3, "501", "signed-3", 0);
    let lower = sign(0, "499", "again", 1);
    assert!(lower.contains("at least the number above"), "{lower}");

    let combine = |files: &[&str], out: &str, code: i32| {
        let words = [
            &[
                "restart",
                "combine",
                "--genesis",
                "genesis.json",
                "--out",
                out,
            ],
            files,
        ];
        text(&bench.expect(code, &words.concat()).stderr)
    };
    let few = combine(&["signed-0", "signed-1"], "few", 1);
    assert!(few.contains("weight 2 of 4"), "{few}");
    let mixed = combine(&["signed-0", "signed-1", "signed-3"], "mixed", 1);
    assert!(mixed.contains("last height 501"), "{mixed}");
    let damaged = bench.write(
        "damaged",
        &std::fs::read(bench.path("signed-2")).expect("read")[1..],
    );
    combine(&["signed-0", "signed-1", &damaged], "none", 4);
    combine(&["signed-0", "signed-1", "signed-2"], "certificate", 0);

    let apply = [
        "restart",
        "apply",
        "--genesis",
        "genesis.json",
        "--certificate",
        "certificate",
    ];
    for data in ["data-0", "data-3", "follower"] {
        let made = bench.json(&[apply.as_slice(), &["--data", data]].concat());
        assert_eq!(made["last_height"], 500);
        assert_eq!(made["signed_weight"], "3");
    }
    let twice = bench.expect(3, &[apply.as_slice(), &["--data", "data-0"]].concat());
    let twice = text(&twice.stderr);
    assert!(twice.contains("leave the directory agreement"), "{twice}");
}
