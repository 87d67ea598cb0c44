//! The HiveMQ client for Java, which speaks 3.1.1 and 5.0.

use crate::program::{command, fetched, run, sources, succeed};
use crate::scenarios::Version;
use crate::support::{left_out, tool};

/// It uses them itself and does not show them.
const CANNOT: &[&str] = &["subscription_identifiers"];

#[test]
#[ignore = "needs a JDK and Maven; run-all.sh has it"]
fn hivemq_for_java() {
    let (Some(java), Some(javac), Some(maven)) = (tool("java"), tool("javac"), tool("mvn")) else {
        return left_out("java", "default-jdk-headless, maven");
    };
    let words = ["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=."];
    let Some(packages) = fetched("java", &["pom.xml"], |to| vec![command(&maven, to, &words)]) else {
        return;
    };
    let classes = tempfile::Builder::new().prefix("run-").tempdir_in(&packages).expect("a folder");
    let class_path = format!("{}/*:{}", packages.display(), classes.path().display());
    let mut compile = command(&javac, &sources("java"), &["-cp", &class_path, "-d"]);
    compile.arg(classes.path());
    for entry in std::fs::read_dir(sources("java")).expect("sources") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "java") {
            compile.arg(path);
        }
    }
    succeed(&mut compile);
    let program = command(&java, classes.path(), &["-cp", &class_path, "Interop"]);
    run(program, &[Version::V311, Version::V5], CANNOT);
}
