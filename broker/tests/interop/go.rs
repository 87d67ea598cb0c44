//! Eclipse Paho's libraries for Go: paho.mqtt.golang, which speaks 3.1 and 3.1.1, and autopaho over paho.golang, which
//! speaks 5.0.

use crate::program::{command, fetched, run, sources, succeed};
use crate::scenarios::Version;
use crate::support::{left_out, tool};

#[test]
#[ignore = "the first build takes half a minute; run-all.sh has it"]
fn paho_for_go() {
    let Some(go) = tool("go") else { return left_out("go", "Go 1.24 or newer") };
    let download = ["mod", "download"];
    let Some(packages) = fetched("go", &["go.mod", "go.sum"], |to| vec![command(&go, to, &download)]) else {
        return;
    };
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&packages).expect("a folder");
    let program = folder.path().join("interop");
    succeed(command(&go, &sources("go"), &["build", "-trimpath", "-o"]).arg(&program).arg("."));
    run(command(&program, folder.path(), &[]), &[Version::V31, Version::V311, Version::V5], &[]);
}
