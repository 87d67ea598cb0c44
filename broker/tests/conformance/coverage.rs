//! Which statements of the specifications have cases. `statements/*.txt` lists them, a line each:
//!
//! ```text
//! 3.1.2-24 | server | what it says, in our own words | + why there is no accepting case | - why there is no refusing one
//! ```
//! with `client`, `server` or `both` for whom it binds, and `±` for a reason that holds for either kind. What binds a
//! server has to have a case of each kind or a reason. Cases are found in the sources beside this one, by their names
//! (`"v5_3_1_2_24_…"`) and first lines (see script.rs); the codec's invalid vectors are refusing ones, since
//! vectors.rs sends every one to a broker. COVERAGE.md is made of all this:
//!
//! ```text
//! MILLRACE_WRITE_COVERAGE=1 cargo test -p millrace --test conformance -- coverage
//! ```

use millrace_codec::vectors::{self, Vector};
use millrace_codec::{PacketType, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// One line of a list.
struct Statement {
    id: &'static str,
    binds: &'static str,
    text: &'static str,
    /// Why there is no accepting, no refusing case.
    reasons: [Option<&'static str>; 2],
}

impl Statement {
    /// A section that has no number of its own: it is there because a case is.
    fn is_section(&self) -> bool {
        !self.id.contains('-') && !self.id.contains('/')
    }
}

/// Names of the cases for a statement: accepting ones, refusing ones.
type Cases = [BTreeSet<String>; 2];

struct List {
    /// As scripts say it.
    version: &'static str,
    title: &'static str,
    statements: Vec<Statement>,
}

fn lists() -> [List; 3] {
    [
        ("5", "MQTT 5.0", include_str!("statements/v5.txt")),
        ("311", "MQTT 3.1.1", include_str!("statements/v311.txt")),
        ("31", "MQTT 3.1", include_str!("statements/v31.txt")),
    ]
    .map(|(version, title, text)| List {
        version,
        title,
        statements: text.lines().filter_map(statement).collect(),
    })
}

fn statement(line: &'static str) -> Option<Statement> {
    let mut fields = line.split(" | ").map(str::trim);
    let id = fields.next().filter(|id| !id.is_empty() && !id.starts_with('#') && !line.starts_with("# "))?;
    let (binds, text) = (fields.next().expect("whom it binds"), fields.next().expect("what it says"));
    assert!(["client", "server", "both"].contains(&binds), "{line}");
    let mut reasons = [None, None];
    for field in fields {
        let (kinds, reason) = field.split_once(' ').expect("a kind and a reason");
        for (kind, signs) in [(0, ["+", "±"]), (1, ["-", "±"])] {
            if signs.contains(&kinds) {
                reasons[kind] = Some(reason);
            }
        }
        assert!(["+", "-", "±"].contains(&kinds), "{line}");
    }
    Some(Statement { id, binds, text, reasons })
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// A case as it stands in the sources.
struct Found {
    name: String,
    /// Empty for a test function.
    script: String,
}

fn found() -> Vec<Found> {
    let files = fs::read_dir(here()).expect("the directory").map(|entry| entry.expect("an entry").path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources.flat_map(|path| cases_of(&fs::read_to_string(path).expect("a source"))).collect()
}

/// Pairs of a name and a script, and functions that are named like cases.
fn cases_of(source: &str) -> Vec<Found> {
    let is_name = |text: &str| ["v5_", "v311_", "v31_", "any_"].iter().any(|start| text.starts_with(start));
    let mut cases = Vec::new();
    for (at, _) in source.match_indices('"') {
        let Some((name, rest)) = source[at + 1..].split_once('"').filter(|(name, _)| is_name(name)) else {
            continue;
        };
        let Some(rest) = rest.strip_prefix(',') else { continue };
        cases.push(Found { name: name.to_owned(), script: literal(rest.trim_start()) });
    }
    for (at, _) in source.match_indices("\nfn ") {
        let name = source[at + 4..].split('(').next().unwrap_or_default();
        if is_name(name) {
            cases.push(Found { name: name.to_owned(), script: String::new() });
        }
    }
    cases
}

/// The text of a literal at the beginning of a source.
fn literal(source: &str) -> String {
    let hashes = source.strip_prefix('r').map(|raw| raw.len() - raw.trim_start_matches('#').len());
    if let Some(hashes) = hashes {
        let end = format!("\"{}", "#".repeat(hashes));
        return source[2 + hashes..].split(&end).next().unwrap_or_default().to_owned();
    }
    let end = source[1..]
        .match_indices('"')
        .find(|(at, _)| !source[..=*at].ends_with('\\'))
        .map_or(0, |(at, _)| at);
    source[1..=end].replace("\\n", "\n").replace("\\\"", "\"")
}

/// The version and the numbers in a name: `v5_3_1_2_24_keep` is 5 and [3, 1, 2, 24].
fn numbers(name: &str) -> (&str, Vec<&str>) {
    let mut words = name.split('_');
    let version = words.next().unwrap_or_default().trim_start_matches('v');
    let part = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    if version == "31" && name.starts_with("v31_a_") {
        return (version, vec!["a"]);
    }
    (version, words.take_while(|word| part(word)).filter(|word| !word.is_empty()).collect())
}

/// What a name refers to: a statement if there is one of these numbers, else a section.
fn id_of(list: &List, numbers: &[&str]) -> Option<String> {
    let (last, first) = numbers.split_last()?;
    let statement = format!("{}-{last}", first.join("."));
    let section = numbers.join(".");
    let known = |id: &String| list.statements.iter().any(|statement| statement.id == id);
    [statement, section].into_iter().find(known)
}

/// Whether the broker closes a connection whose client did not want that: then the case is a refusing one, unless its
/// first lines say more.
fn refuses(script: &str) -> bool {
    let lines: Vec<&str> = script.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| match line.split_once(' ') {
        Some((_, action)) if action.starts_with("refused") => true,
        Some((who, "closed")) => {
            let said = |what: &str| {
                lines[..at]
                    .iter()
                    .any(|line| line.strip_prefix(who).is_some_and(|line| line.starts_with(what)))
            };
            !said(" fin") && !(said(" > E0") && (said(" connect") || said(" > 10")))
        }
        _ => false,
    })
}

/// All references, and those to statements that are not in the lists.
fn references(lists: &[List]) -> (BTreeMap<(&'static str, String), Cases>, Vec<String>) {
    let mut cases: BTreeMap<(&'static str, String), Cases> = BTreeMap::new();
    let mut unknown = Vec::new();
    let mut refer = |version: &str, id: &str, kind: usize, name: &str| {
        let list = lists.iter().find(|list| list.version == version);
        match list.filter(|list| list.statements.iter().any(|statement| statement.id == id)) {
            Some(list) => {
                cases.entry((list.version, id.to_owned())).or_default()[kind].insert(name.to_owned());
            }
            None => unknown.push(format!("{name}: no statement {id} of {version}")),
        }
    };
    for Found { name, script } in found() {
        let mut said = BTreeSet::new();
        for line in script.lines().map(str::trim) {
            let Some(kind) = ["+", "-"].iter().position(|sign| line.starts_with(sign)) else { continue };
            let mut words = line[1..].split(' ').filter(|word| !word.is_empty());
            let version = words.next().unwrap_or_default();
            for id in words {
                said.insert((version, id));
                refer(version, id, kind, &name);
            }
        }
        let (version, numbers) = numbers(&name);
        let Some(list) = lists.iter().find(|list| list.version == version).filter(|_| !numbers.is_empty())
        else {
            continue;
        };
        match id_of(list, &numbers) {
            Some(id) if said.contains(&(version, id.as_str())) => {}
            Some(id) => refer(version, &id, usize::from(refuses(&script)), &name),
            None => refer(version, &numbers.join("."), 0, &name),
        }
    }
    for vector in vectors::all().filter(|vector| sent_by_clients(vector)) {
        for (version, id) in of_vector(vector) {
            refer(version, &id, 1, &format!("vector `{}`", vector.name));
        }
    }
    (cases, unknown)
}

/// Invalid packets of types that clients send: what is wrong with the others does not matter to a server.
fn sent_by_clients(vector: &Vector) -> bool {
    let servers = [PacketType::ConnAck, PacketType::SubAck, PacketType::UnsubAck, PacketType::PingResp];
    vector.refused().is_some() && !vector.packet_type().is_some_and(|kind| servers.contains(&kind))
}

/// The numbered statements of a vector, in the versions in which it holds.
fn of_vector(vector: &Vector) -> Vec<(&'static str, String)> {
    let parts = vector.statement.split("; ").filter_map(|part| {
        let (version, own, id) = match part.strip_prefix("3.1.1: ") {
            Some(id) => ("311", Version::V311, id),
            None => ("5", Version::V5, part),
        };
        let id = id.strip_prefix("MQTT-")?;
        vector.versions.contains(&own).then(|| (version, id.to_owned()))
    });
    parts.collect()
}

fn page(lists: &[List], cases: &BTreeMap<(&'static str, String), Cases>) -> String {
    let mut page = String::from(
        "# Statements and their cases\n\n<!-- made by: MILLRACE_WRITE_COVERAGE=1 cargo test -p millrace --test conformance -- coverage -->\n\n\
        Every statement of the specifications in our own words, whom it binds, and the cases for it: accepting ones show\n\
        that what is allowed happens, refusing ones that what is forbidden is refused or does not happen. All are played\n\
        to a live broker; vectors are single packets (`codec/src/vectors`). Where a kind is missing the reason is said.\n",
    );
    for List { version, title, statements } in lists {
        let numbered = statements.iter().filter(|statement| !statement.is_section());
        let count = if *version == "31" { statements.len() } else { numbered.count() };
        let _ = write!(
            page,
            "\n## {title}: {count} statements\n\n| | binds | says | accepting | refusing |\n|---|---|---|---|---|\n"
        );
        for statement in statements {
            let of_it = cases.get(&(version, statement.id.to_owned()));
            let cell = |kind: usize| {
                let names: Vec<String> =
                    of_it.iter().flat_map(|cases| &cases[kind]).map(|name| plain(name)).collect();
                match statement.reasons[kind] {
                    Some(reason) => format!("none: {reason}"),
                    None if names.is_empty() && statement.binds == "client" => {
                        "binds clients only".to_owned()
                    }
                    None => names.join("<br>"),
                }
            };
            let Statement { id, binds, text, .. } = statement;
            let _ = writeln!(page, "| {id} | {binds} | {text} | {} | {} |", cell(0), cell(1));
        }
    }
    page
}

fn plain(name: &str) -> String {
    if name.starts_with("vector") { name.to_owned() } else { format!("`{name}`") }
}

#[test]
fn coverage() {
    let lists = lists();
    let (cases, mut wrong) = references(&lists);
    let mut names: Vec<String> = found().into_iter().map(|case| case.name).collect();
    let mut totals = BTreeMap::from([("cases", names.len())]);
    names.sort_unstable();
    wrong.extend(names.windows(2).filter(|two| two[0] == two[1]).map(|two| format!("{}: twice", two[0])));
    for List { version, statements, .. } in &lists {
        for statement in statements {
            let key = (*version, statement.id.to_owned());
            let of_it = cases.get(&key);
            let has = [0, 1].map(|kind| of_it.is_some_and(|cases| !cases[kind].is_empty()));
            for (kind, name) in [(0, "accepting"), (1, "refusing")] {
                match (statement.reasons[kind], has[kind]) {
                    (Some(_), true) => wrong
                        .push(format!("{version} {}: a reason for no {name} case, and there is one", key.1)),
                    (None, false) if statement.binds == "client" => {}
                    (None, false) if statement.is_section() && *version != "31" && (has[0] || has[1]) => {}
                    (None, false) => wrong.push(format!("{version} {}: no {name} case", key.1)),
                    _ => {}
                }
            }
            *totals.entry("statements").or_default() += 1;
            *totals.entry("reasons").or_default() += statement.reasons.iter().flatten().count();
        }
    }
    println!("{totals:?}");
    let (path, page) = (here().join("COVERAGE.md"), page(&lists, &cases));
    if std::env::var_os("MILLRACE_WRITE_COVERAGE").is_some() {
        fs::write(&path, &page).expect("COVERAGE.md can be written");
    } else if fs::read_to_string(&path).unwrap_or_default() != page {
        wrong.push("COVERAGE.md is not what would be made now; see the head of coverage.rs".to_owned());
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
