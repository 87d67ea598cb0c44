//! Holds the structure that ARCHITECTURE.md promises: which package may depend on which, and what a module of the
//! broker may not know. Reads manifests and sources as text; runs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn manifest(package: &str) -> toml::Table {
    let path = root().join(package).join("Cargo.toml");
    fs::read_to_string(&path).expect("a manifest").parse().expect("valid TOML")
}

/// Names of the normal dependencies of a package.
fn dependencies(package: &str) -> BTreeSet<String> {
    let manifest = manifest(package);
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&entry).expect("a source");
            found.push((entry, text));
        }
    }
    found
}

/// The part of a source before its unit tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

#[test]
fn packages_depend_only_downwards() {
    let own = |package: &str| -> BTreeSet<String> {
        dependencies(package).into_iter().filter(|name| name.starts_with("millrace")).collect()
    };
    let expected: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("codec", &[][..]),
        ("router", &[]),
        ("kafka-sink", &[]),
        ("broker", &["millrace-codec", "millrace-kafka-sink", "millrace-router"]),
        ("bench", &["millrace-codec"]),
    ]);
    for (package, allowed) in expected {
        let allowed: BTreeSet<String> = allowed.iter().map(ToString::to_string).collect();
        assert_eq!(own(package), allowed, "workspace dependencies of {package}");
    }
}

#[test]
fn the_codec_depends_on_bytes_at_most() {
    let beyond: Vec<String> = dependencies("codec").into_iter().filter(|name| name != "bytes").collect();
    assert!(beyond.is_empty(), "the codec depends on {beyond:?}");
}

#[test]
fn the_top_level_holds_what_it_should() {
    let allowed = "Cargo.toml Cargo.lock broker codec router kafka-sink bench fuzz README.md ARCHITECTURE.md CHANGELOG.md LICENSE target data";
    let allowed: BTreeSet<&str> = allowed.split(' ').collect();
    for entry in fs::read_dir(root()).expect("the workspace") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(name.starts_with('.') || allowed.contains(name.as_str()), "{name} at the top level");
    }
}

/// `session` is a machine without I/O: it may not even name sockets, the loop or a clock.
#[test]
fn modules_know_only_what_they_should() {
    let broker = root().join("broker/src");
    let forbidden: &[(&str, &[&str])] = &[
        ("session", &["crate::net", "crate::worker", "crate::connection", "std::net", "std::time", "mio"]),
        ("delivery", &["crate::net", "crate::worker", "crate::session", "std::net", "std::time", "mio"]),
        ("hook", &["crate::net", "crate::worker", "crate::session", "std::time", "mio"]),
        ("connection", &["crate::worker", "crate::session", "std::time", "mio::"]),
        ("status", &["crate::node", "crate::worker", "crate::session", "crate::connection"]),
        ("net", &["crate::worker", "crate::session", "crate::connection", "millrace_codec"]),
    ];
    for (module, words) in forbidden {
        for (path, text) in sources(&broker.join(module)) {
            for word in *words {
                assert!(!code(&text).contains(word), "{} names {word}", path.display());
            }
        }
    }
}

/// Clocks are read where time enters: the loop, the log's thread, and what starts, stops or is a client.
#[test]
fn clocks_are_read_in_few_places() {
    let allowed = [
        "broker/src/worker/turn.rs",
        // Drives a core from outside: the instant that its time would count from.
        "broker/src/worker/sim.rs",
        "broker/src/worker/simulation/world.rs",
        "broker/src/node.rs",
        "broker/src/status/socket.rs",
        "broker/src/cli/",
        "kafka-sink/src/log/thread.rs",
        "kafka-sink/src/log/file.rs",
        "kafka-sink/src/wire/",
    ];
    for package in ["codec", "router", "kafka-sink", "broker"] {
        for (path, text) in sources(&root().join(package).join("src")) {
            let name =
                path.strip_prefix(root()).expect("below the root").to_str().expect("a path").to_owned();
            let reads = code(&text).contains("Instant::now()") || code(&text).contains("SystemTime::now()");
            let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
            assert!(
                !reads || is_test || allowed.iter().any(|place| name.starts_with(place)),
                "{name} reads a clock"
            );
        }
    }
}

/// One module speaks to Kafka, and only its thread runs tokio: the rest of the broker knows neither. The drill reads back
/// with rskafka's own client, so that what counts is not what sends.
#[test]
fn rskafka_and_tokio_are_named_in_one_place() {
    for package in ["codec", "router", "broker"] {
        let named = dependencies(package);
        assert!(
            !named.contains("tokio") && !named.contains("rskafka"),
            "{package} depends on tokio or rskafka"
        );
    }
    for (path, text) in sources(&root().join("kafka-sink/src")) {
        let name = path.strip_prefix(root()).expect("below the root");
        // Prose may say what a neighbour uses.
        let names =
            |word: &str| text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(word));
        // Tests may take rskafka's decoder for a model.
        let is_test = name.ends_with("tests.rs") || name.iter().any(|folder| folder == "tests");
        let may = is_test || name.starts_with("kafka-sink/src/wire");
        assert!(
            may || !(names("tokio::") || names("rskafka::")),
            "{} names tokio or rskafka",
            name.display()
        );
    }
}

#[test]
fn unsafe_code_is_forbidden_below_the_broker() {
    for package in ["codec", "router", "kafka-sink"] {
        let text = fs::read_to_string(root().join(package).join("src/lib.rs")).expect("lib.rs");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{package}");
    }
}
