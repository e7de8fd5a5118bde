//! Rules on `Cargo.lock`: where packages come from, which must not be there, and what a room reaches.
//!
//! The bans and the allowed registry are those of `deny.toml`, read here as well so that they hold
//! on a machine without cargo-deny. Licences are cargo-deny's alone: the lock file does not name them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::rooms::{ROOMS, is_listed, package};
use crate::rust::Findings;

/// One `[[package]]` of the lock file.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    source: Option<&'a str>,
    dependencies: Vec<&'a str>,
}

fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry.get(key)?.as_str()
}

fn packages(lock: &Table) -> Vec<Package<'_>> {
    let entries = lock
        .get("package")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    entries
        .map(|entry| Package {
            name: text(entry, "name").unwrap_or(""),
            version: text(entry, "version").unwrap_or(""),
            source: text(entry, "source"),
            dependencies: entry
                .get("dependencies")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect(),
        })
        .collect()
}

/// Every package comes from an allowed registry or is one of ours.
pub(crate) fn sources_are_allowed(lock: &Table, deny: &Table) -> Findings {
    let sources = deny
        .get("sources")
        .and_then(|sources| sources.get("allow-registry"));
    let allowed: Vec<String> = sources
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|url| format!("registry+{url}"))
        .collect();
    let mut findings = Findings::new();
    for entry in packages(lock) {
        let ours = entry.name.starts_with("quorate-");
        let known = entry
            .source
            .is_some_and(|source| allowed.iter().any(|url| url == source));
        if ours == entry.source.is_some() || !(ours || known) {
            let from = entry.source.unwrap_or("a path");
            findings.push(format!(
                "Cargo.lock: {} {} comes from {from}; use a release on crates.io",
                entry.name, entry.version
            ));
        }
    }
    findings
}

/// None of the packages that `deny.toml` bans is locked, but for what only its named wrappers use.
pub(crate) fn no_banned_package(lock: &Table, deny: &Table) -> Findings {
    let bans = deny
        .get("bans")
        .and_then(|bans| bans.get("deny"))
        .and_then(Value::as_array);
    let mut reasons = BTreeMap::new();
    for ban in bans.into_iter().flatten() {
        let name = ban
            .as_str()
            .or_else(|| ban.get("crate").and_then(Value::as_str));
        let reason = ban
            .get("reason")
            .and_then(Value::as_str)
            .unwrap_or("no reason given");
        let wrappers = ban.get("wrappers").and_then(Value::as_array);
        let wrappers: Vec<&str> = wrappers
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        reasons.extend(name.map(|name| (name, (reason, wrappers))));
    }
    if reasons.is_empty() {
        return vec!["deny.toml: no bans found under [bans] deny".to_owned()];
    }
    let locked = packages(lock);
    let is_wrapped = |name: &str, wrappers: &[&str]| {
        let uses = |entry: &Package<'_>| {
            // a dependency is its name, with a version behind it if there are several
            let mut names = entry.dependencies.iter().map(|one| one.split(' ').next());
            names.any(|one| one == Some(name))
        };
        let mut users = locked.iter().filter(|entry| uses(entry)).peekable();
        users.peek().is_some() && users.all(|entry| wrappers.contains(&entry.name))
    };
    locked
        .iter()
        .filter_map(|entry| {
            let (reason, wrappers) = reasons.get(entry.name)?;
            let finding = || format!("Cargo.lock: {} is banned: {reason}", entry.name);
            (!is_wrapped(entry.name, wrappers)).then(finding)
        })
        .collect()
}

/// One halo2 and one set of its curves: two would have incompatible types and twice the build.
pub(crate) fn one_halo2(lock: &Table) -> Findings {
    let mut findings = Findings::new();
    // halo2-base and halo2-ecc are libraries over halo2-axiom, not a second halo2.
    for (expected, family) in [
        ("halo2-axiom", "halo2"),
        ("halo2curves-axiom", "halo2curves"),
    ] {
        let over = ["halo2-base", "halo2-ecc"];
        let found: Vec<String> = packages(lock)
            .into_iter()
            .filter(|entry| !over.contains(&entry.name) && entry.name.starts_with(family))
            .filter(|entry| family != "halo2" || !entry.name.starts_with("halo2curves"))
            .map(|entry| format!("{} {}", entry.name, entry.version))
            .collect();
        let alone = found.len() == 1 && found[0].starts_with(&format!("{expected} "));
        if !alone {
            findings.push(format!(
                "Cargo.lock: wanted one {expected}, found {found:?}"
            ));
        }
    }
    findings
}

/// No room reaches, through any chain of dependencies, what its row says it never reaches.
pub(crate) fn rooms_reach_nothing_forbidden(lock: &Table) -> Findings {
    let all = packages(lock);
    let mut findings = Findings::new();
    for room in &ROOMS {
        let Some(start) = all
            .iter()
            .position(|entry| entry.name == package(room.name))
        else {
            continue;
        };
        let mut came_from = BTreeMap::from([(start, start)]);
        let mut open = BTreeSet::from([start]);
        while let Some(at) = open.pop_first() {
            for wanted in &all[at].dependencies {
                for (next, _) in all
                    .iter()
                    .enumerate()
                    .filter(|(_, entry)| is_named(entry, wanted))
                {
                    if let Entry::Vacant(unseen) = came_from.entry(next) {
                        unseen.insert(at);
                        open.insert(next);
                    }
                }
            }
        }
        for &at in came_from
            .keys()
            .filter(|&&at| is_listed(all[at].name, room.never_reach))
        {
            let mut chain = vec![all[at].name];
            let mut step = at;
            while step != start {
                step = came_from[&step];
                chain.push(all[step].name);
            }
            chain.reverse();
            findings.push(format!(
                "crate {}: reaches {}",
                room.name,
                chain.join(" -> ")
            ));
        }
    }
    findings
}

/// Whether a dependency entry (`name` or `name version`) of the lock file means this package.
fn is_named(entry: &Package<'_>, wanted: &str) -> bool {
    let mut parts = wanted.split(' ');
    parts.next() == Some(entry.name) && parts.next().is_none_or(|version| version == entry.version)
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::{no_banned_package, one_halo2, rooms_reach_nothing_forbidden, sources_are_allowed};
    use crate::manifest::parse;

    const REGISTRY: &str = "registry+https://example.org/index";

    fn lock(entries: &[(&str, &str, Option<&str>, &[&str])]) -> Table {
        let mut text = String::new();
        for (name, version, source, dependencies) in entries {
            text.push_str(&format!(
                "[[package]]\nname = {name:?}\nversion = {version:?}\n"
            ));
            if let Some(source) = source {
                text.push_str(&format!("source = {source:?}\n"));
            }
            text.push_str(&format!("dependencies = {dependencies:?}\n"));
        }
        parse("Cargo.lock", &text)
    }

    fn deny() -> Table {
        let text = "[bans]\ndeny = [{ crate = \"evil\", reason = \"it is\" }]\n\
                    [sources]\nallow-registry = [\"https://example.org/index\"]";
        parse("deny.toml", text)
    }

    #[test]
    fn foreign_source_is_found() {
        let check = |name: &str, source| {
            sources_are_allowed(&lock(&[(name, "1.0.0", source, &[])]), &deny()).len()
        };
        assert_eq!(check("hex", Some(REGISTRY)), 0);
        assert_eq!(check("quorate-api", None), 0);
        assert_eq!(check("hex", Some("git+https://example.org/hex")), 1);
        assert_eq!(check("hex", Some("registry+https://example.com/index")), 1);
        assert_eq!(check("hex", None), 1);
        assert_eq!(check("quorate-api", Some(REGISTRY)), 1);
    }

    #[test]
    fn banned_package_is_found() {
        let check =
            |name: &str| no_banned_package(&lock(&[(name, "1.0.0", None, &[])]), &deny()).len();
        assert_eq!(check("evil"), 1);
        assert_eq!(check("evil-twin"), 0);
        let wrapped = "[bans]\ndeny = [{ crate = \"evil\", wrappers = [\"zoo\"] }]";
        let wrapped = parse("deny.toml", wrapped);
        let used_by = |users: &[&str]| {
            let mut entries: Vec<_> = vec![("evil", "1.0.0", None, &[] as &[&str])];
            entries.extend(
                users
                    .iter()
                    .map(|user| (*user, "1.0.0", None, &["evil"] as &[&str])),
            );
            no_banned_package(&lock(&entries), &wrapped).len()
        };
        assert_eq!(used_by(&["zoo"]), 0);
        assert_eq!(used_by(&["zoo", "house"]), 1);
        assert_eq!(used_by(&[]), 1, "nobody holds it");
        assert_eq!(
            no_banned_package(&lock(&[]), &parse("deny.toml", "")).len(),
            1
        );
    }

    #[test]
    fn second_halo2_is_found() {
        let check = |names: &[(&str, &str)]| {
            let entries: Vec<_> = names
                .iter()
                .map(|(n, v)| (*n, *v, None, &[] as &[&str]))
                .collect();
            one_halo2(&lock(&entries)).len()
        };
        let base = [
            ("halo2-axiom", "0.5.3"),
            ("halo2curves-axiom", "0.7.3"),
            ("halo2-base", "0.5.5"),
        ];
        assert_eq!(check(&base), 0);
        for (name, version) in [
            ("halo2_proofs", "0.3.0"),
            ("halo2-axiom", "0.5.2"),
            ("halo2curves", "1.0.0"),
        ] {
            assert_eq!(
                check(&[&base[..], &[(name, version)]].concat()),
                1,
                "{name} {version}"
            );
        }
    }

    #[test]
    fn forbidden_crate_behind_another_is_found() {
        let chain = |last: &'static str| {
            lock(&[
                ("quorate-verifier", "0.1.0", None, &["harmless"]),
                ("harmless", "1.0.0", Some(REGISTRY), &["between 2.0.0"]),
                ("between", "1.0.0", Some(REGISTRY), &["tokio"]),
                ("between", "2.0.0", Some(REGISTRY), &[last]),
                ("tokio", "1.0.0", Some(REGISTRY), &[]),
                ("serde", "1.0.0", Some(REGISTRY), &["harmless"]),
            ])
        };
        assert_eq!(
            rooms_reach_nothing_forbidden(&chain("serde")),
            Vec::<String>::new()
        );
        let findings = rooms_reach_nothing_forbidden(&chain("tokio"));
        assert_eq!(
            findings,
            ["crate verifier: reaches quorate-verifier -> harmless -> between -> tokio"]
        );
    }
}
