//! MQTT.js, which speaks all three versions.

use crate::program::{command, copy, fetched, run, sources};
use crate::scenarios::Version;
use crate::support::{left_out, tool};

#[test]
fn mqtt_js() {
    let (Some(node), Some(npm)) = (tool("node"), tool("npm")) else { return left_out("node", "nodejs, npm") };
    let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    let manifests = ["package.json", "package-lock.json"];
    let Some(packages) = fetched("node", &manifests, |to| vec![command(&npm, to, &words)]) else { return };
    // Modules are looked for above the file that imports them.
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&packages).expect("a folder");
    copy(&sources("node"), &["client.js", "context.js", "scenarios.js", "interop.js"], folder.path());
    let program = command(&node, folder.path(), &["interop.js"]);
    run(program, &[Version::V31, Version::V311, Version::V5], &[]);
}
