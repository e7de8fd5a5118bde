//! `quorate base-layer`, `outsider` and the base layer's half of `wallet` from outside: a served chain, the contracts on it,
//! money on its way in, and what each says when it is wrong.
//!
//! No node runs: nothing here needs one. What nodes do with it is tested in `sequencer`, what contracts do in `settlement`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Owner of the keystore's leaves, on the base layer.
const OWNER: &str = "0x90F79bf6EB2c4f870365E785982E1f101E93b906";

fn quorate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.env_remove("QUORATE_LOG").stdin(Stdio::null());
    command
}

/// A served chain in a directory; it ends with the test.
struct Bench {
    directory: tempfile::TempDir,
    server: Child,
    url: String,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.server.kill(); // it may have ended
        let _ = self.server.wait();
    }
}

impl Bench {
    fn serve() -> Self {
        let mut server = quorate()
            .args(["--json", "base-layer", "serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let stdout = server.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let said: Value = serde_json::from_str(&line).expect("one JSON object");
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            server,
            url: said["url"].as_str().expect("a URL").to_owned(),
        }
    }

    /// anvil, as `make setup` installs it.
    fn anvil() -> Self {
        let system = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let machine = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let path =
            format!("../contracts/node_modules/@foundry-rs/anvil-{system}-{machine}/bin/anvil");
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
        let mut server = Command::new(program)
            .args([
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--balance",
                "10000000000",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil runs; make setup installs it");
        let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("Listening on ")?.to_owned()))
            .expect("it says where it listens");
        // anvil speaks at every block: whoever does not listen stops it
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            server,
            url: format!("http://{address}"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command, checks its exit code; stdout as JSON, and stderr.
    fn run(&self, code: i32, words: &[&str]) -> (Value, String) {
        let output = quorate()
            .arg("--json")
            .args(words)
            .current_dir(self.directory.path())
            .env("QUORATE_HOME", self.path("home"))
            .env("PASSWORD", "correct horse")
            .output()
            .expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{words:?}: {complained}");
        (
            serde_json::from_str(&said).unwrap_or(Value::Null),
            complained,
        )
    }

    /// The same of a command that speaks with the contracts.
    fn contracts(&self, code: i32, words: &[&str]) -> (Value, String) {
        let more = ["--base-layer", &self.url, "--deployment", "deployment.json"];
        self.run(code, &[words, &more].concat())
    }

    /// The next block comes so many seconds later, and at once.
    fn advance(&self, seconds: u64) {
        let address = self.url.strip_prefix("http://").expect("a URL");
        let address = address.trim_end_matches('/');
        let increase = serde_json::json!({ "method": "evm_increaseTime", "params": [seconds] });
        let mine = serde_json::json!({ "method": "evm_mine", "params": [] });
        for mut call in [increase, mine] {
            call["jsonrpc"] = "2.0".into();
            call["id"] = 1.into();
            let body = call.to_string();
            let request = format!(
                "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.write_all(request.as_bytes()).expect("it reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("it answers");
            assert!(answer.contains("\"result\""), "{answer}");
        }
    }

    fn deploy(&self, code: i32, more: &[&str]) -> (Value, String) {
        let words = [
            "base-layer",
            "deploy",
            "--dev",
            "--base-layer",
            &self.url,
            "--genesis",
            "genesis.json",
            "--out",
            "deployment.json",
        ];
        self.run(code, &[&words, more].concat())
    }
}

#[test]
fn contracts_are_deployed_once_and_money_enters_without_a_node() {
    let bench = Bench::serve();
    bench.run(0, &["genesis", "new", "genesis.json"]);
    let first = ["--l1-key", "development:0"];
    let (deployed, _) = bench.deploy(0, &first);
    let (again, _) = bench.deploy(0, &first);
    assert_eq!(again, deployed, "a second run finds everything");
    let (genesis, _) = bench.run(0, &["genesis", "show", "genesis.json"]);
    let text = |value: &Value| value.as_str().expect("text").to_lowercase();
    assert_eq!(text(&deployed["rollup"]), text(&genesis["rollup"]));
    // another key would make another Rollup than genesis names
    let (_, complained) = bench.deploy(2, &["--l1-key", "development:1"]);
    assert!(
        complained.contains("the genesis names Rollup"),
        "{complained}"
    );

    std::fs::write(bench.path("seed"), "07".repeat(32)).expect("write");
    let wallet = [
        "wallet",
        "import",
        "--seed",
        "file:seed",
        "--password",
        "env:PASSWORD",
    ];
    bench.run(0, &[&wallet[..], &["--l1-owner", OWNER]].concat());
    let key = ["--l1-key", "development:3"];
    let deposit = ["wallet", "deposit", "--offline", "--amount", "5000000000"];
    let (item, _) = bench.contracts(0, &[&deposit[..], &key].concat());
    assert_eq!(item["number"], 0);
    let exit = ["wallet", "exit", "--from", "4"];
    let (item, _) = bench.contracts(0, &[&exit[..], &key].concat());
    assert_eq!(item["number"], 1);
    let force = [
        "wallet", "force", "withdraw", "--from", "4", "--amount", "1",
    ];
    let (item, _) = bench.contracts(0, &[&force[..], &key].concat());
    assert_eq!(item["number"], 2);

    let (status, _) = bench.contracts(0, &["base-layer", "status"]);
    assert_eq!(
        (&status["inbox_count"], &status["mode"]),
        (&3.into(), &"active".into())
    );
    let rebuild = [
        "base-layer",
        "rebuild",
        "--genesis",
        "genesis.json",
        "--leaf",
        "4",
    ];
    let (rebuilt, _) = bench.contracts(0, &rebuild);
    assert_eq!(
        (&rebuilt["inbox_waiting"], &rebuilt["batches"]),
        (&3.into(), &0.into())
    );
    assert_eq!(rebuilt["leaves"][0]["index"], 4);
    let claim = ["wallet", "claim", "--list"];
    let (open, _) = bench.contracts(0, &[&claim[..], &key].concat());
    assert_eq!(open, serde_json::json!([]), "nothing is proven");
    let outsider = ["outsider", "--dev", "--genesis", "genesis.json"];
    let (served, _) = bench.contracts(0, &[&outsider[..], &key].concat());
    assert_eq!(
        (&served["mode"], &served["waiting"]),
        (&"active".into(), &3.into())
    );
}

#[test]
fn in_desert_a_leaf_leaves_by_its_path_in_the_rebuilt_state() {
    let bench = Bench::serve();
    bench.run(0, &["genesis", "new", "genesis.json"]);
    bench.deploy(0, &["--l1-key", "development:0"]);
    let key = ["--l1-key", "development:3"];
    let exit = |leaf: &'static str| ["wallet", "exit", "--from", leaf, key[0], key[1]];
    let desert = |leaf| [&exit(leaf)[..], &["--desert", "--genesis", "genesis.json"]].concat();
    let (_, complained) = bench.contracts(2, &[&exit("4")[..], &["--desert"]].concat());
    assert!(complained.contains("--genesis"), "{complained}");
    let (_, complained) = bench.contracts(1, &desert("4"));
    assert!(complained.contains("nothing waits"), "{complained}");
    // an item enters, and nobody serves it
    let (item, _) = bench.contracts(0, &exit("4"));
    assert_eq!(item["number"], 0);
    let (_, complained) = bench.contracts(1, &desert("4"));
    assert!(complained.contains("at Unix time"), "{complained}");
    let refund = ["wallet", "refund", key[0], key[1]];
    let (_, complained) = bench.contracts(1, &refund);
    assert!(complained.contains("not in Desert"), "{complained}");
    bench.advance(8 * 24 * 3_600);

    // Desert is opened and left in one go
    let (left, _) = bench.contracts(0, &desert("4"));
    assert_eq!((&left["leaf"], &left["token"]), (&4.into(), &0.into()));
    let (status, _) = bench.contracts(0, &["base-layer", "status"]);
    assert_eq!(status["mode"], "desert");
    let rebuild = [
        "base-layer",
        "rebuild",
        "--genesis",
        "genesis.json",
        "--leaf",
        "4",
    ];
    let (rebuilt, _) = bench.contracts(0, &rebuild);
    assert_eq!(left["amount"], rebuilt["leaves"][0]["balance"]);
    let (_, complained) = bench.contracts(1, &desert("4"));
    assert!(complained.contains("has left already"), "{complained}");
    // leaf 0 collects fees, and there were none
    let (_, complained) = bench.contracts(1, &desert("0"));
    assert!(complained.contains("nothing is owed"), "{complained}");
    let (_, complained) = bench.contracts(1, &desert("4000"));
    assert!(complained.contains("no leaf 4000"), "{complained}");
    // in Desert no flag is needed, but the genesis is
    let genesis = ["--genesis", "genesis.json"];
    let (left, _) = bench.contracts(0, &[&exit("3")[..], &genesis].concat());
    assert_eq!(left["leaf"], 3);
    // the forced exit that nobody served gives its fee back, once
    let (items, _) = bench.contracts(0, &refund);
    assert_eq!(items[0]["number"], 0);
    assert_eq!(items[0]["fee_wei"], item["fee_wei"]);
    let (items, _) = bench.contracts(0, &refund);
    assert_eq!(items, serde_json::json!([]), "all went back");
}

/// The walkaway drill: every operator is gone, and one person's forced exit is executed, proven for real, paid, and shown.
/// Minutes and 6 GiB, and keys of 4 GB once: with `QUORATE_SOAK` only; `settlement` holds the contracts' part in seconds.
#[test]
#[expect(clippy::print_stdout, reason = "says that it did nothing")]
fn when_every_operator_is_gone_an_outsider_proves_a_forced_exit_for_real_slow() {
    if std::env::var_os("QUORATE_SOAK").is_none() {
        println!("no outsider's proof made: set QUORATE_SOAK=1");
        return;
    }
    let bench = Bench::serve();
    bench.run(0, &["genesis", "new", "genesis.json"]);
    bench.deploy(0, &["--l1-key", "development:0"]);
    let key = ["--l1-key", "development:3"];
    bench.contracts(0, &["wallet", "exit", "--from", "4", key[0], key[1]]);
    // operators have a day, and are not there
    bench.advance(26 * 3_600);
    let stranger = ["--l1-key", "development:5"];
    let outsider = ["outsider", "--dev", "--genesis", "genesis.json"];
    let (served, _) = bench.contracts(0, &[&outsider[..], &stranger].concat());
    assert_eq!(
        (&served["batches"][0]["batch"], &served["waiting"]),
        (&1.into(), &0.into())
    );
    let claim = ["wallet", "claim", key[0], key[1]];
    let (paid, _) = bench.contracts(0, &claim);
    assert_eq!(
        (&paid[0]["batch"], &paid[0]["index"]),
        (&1.into(), &0.into())
    );
    let rebuild = [
        "base-layer",
        "rebuild",
        "--genesis",
        "genesis.json",
        "--leaf",
        "4",
    ];
    let (rebuilt, _) = bench.contracts(0, &rebuild);
    assert_eq!(rebuilt["leaves"][0]["balance"], "0");

    // a block a second, and the fifth makes the first final
    std::thread::sleep(std::time::Duration::from_secs(10));
    let bundle = [
        "base-layer",
        "bundle",
        "--genesis",
        "genesis.json",
        "--batch",
        "1",
        "--slot",
        "0",
        "--out",
        "one",
    ];
    let (written, _) = bench.contracts(0, &bundle);
    let block = written["block_hash"].as_str().expect("a hash");
    let verify = [
        "verify",
        "--dev",
        "--genesis",
        "genesis.json",
        "--trusted-block",
        block,
        "one",
    ];
    let (shown, _) = bench.run(0, &verify);
    assert_eq!(
        (&shown["batch"], &shown["block_trusted"]),
        (&1.into(), &true.into())
    );
}

/// anvil's block 0 has accounts under a state root that does not hold them, and its blocks come only when asked for.
#[test]
fn contracts_are_deployed_on_a_fresh_anvil() {
    let bench = Bench::anvil();
    bench.run(0, &["genesis", "new", "genesis.json"]);
    bench.deploy(0, &["--l1-key", "development:0"]);
    let (status, _) = bench.contracts(0, &["base-layer", "status"]);
    assert_eq!(status["mode"], "active");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let bench = Bench::serve();
    bench.run(0, &["genesis", "new", "genesis.json"]);
    // a key is never an argument, and is not repeated
    let secret = "11".repeat(32);
    let (_, complained) = bench.deploy(2, &["--l1-key", &secret]);
    assert!(!complained.contains(&secret), "{complained}");
    // without --dev the development string is refused before anything is sent
    let words = [
        "base-layer",
        "deploy",
        "--base-layer",
        &bench.url,
        "--genesis",
        "genesis.json",
        "--out",
        "deployment.json",
        "--l1-key",
        "development:0",
    ];
    let (_, complained) = bench.run(2, &words);
    assert!(complained.contains("INSECURE"), "{complained}");
    // no contracts, no file
    let (_, complained) = bench.contracts(2, &["base-layer", "status"]);
    assert!(complained.contains("deployment.json"), "{complained}");
    std::fs::write(bench.path("deployment.json"), "{}").expect("write");
    bench.contracts(4, &["base-layer", "status"]);
    // nobody listens
    bench.deploy(0, &["--l1-key", "development:0"]);
    let status = [
        "base-layer",
        "status",
        "--base-layer",
        "http://127.0.0.1:1",
        "--deployment",
        "deployment.json",
    ];
    let (_, complained) = bench.run(3, &status);
    assert!(complained.contains("no base layer"), "{complained}");
    // an account without ether pays for nothing
    std::fs::write(bench.path("key"), "22".repeat(32)).expect("write");
    let exit = ["wallet", "exit", "--from", "4", "--l1-key", "file:key"];
    let (_, complained) = bench.contracts(1, &exit);
    assert!(
        complained.contains("nothing") || complained.contains("pay"),
        "{complained}"
    );
    // another genesis does not lead to the Rollup's root
    bench.run(0, &["genesis", "new", "other.json", "--accounts", "3"]);
    let rebuild = ["base-layer", "rebuild", "--genesis", "other.json"];
    let (_, complained) = bench.contracts(1, &rebuild);
    assert!(
        complained.contains("name the genesis of this chain"),
        "{complained}"
    );
}
