//! Eclipse Paho for Python, which speaks all three versions.

use crate::program::{command, fetched, run, sources};
use crate::scenarios::Version;
use crate::support::{left_out, tool};

#[test]
fn paho_for_python() {
    let Some(python) = tool("python3") else { return left_out("python", "python3, python3-pip") };
    let has_pip = || command(&python, &sources("python"), &["-m", "pip", "--version"]).output();
    if !has_pip().is_ok_and(|output| output.status.success()) {
        return left_out("pip", "python3-pip");
    }
    let pip = ["-m", "pip", "install", "-q", "--require-hashes", "-r", "requirements.txt", "--target", "."];
    let Some(packages) = fetched("python", &["requirements.txt"], |to| vec![command(&python, to, &pip)])
    else {
        return;
    };
    let mut program = command(&python, &sources("python"), &["-B", "interop.py"]);
    program.env("PYTHONPATH", packages);
    run(program, &[Version::V31, Version::V311, Version::V5], &[]);
}
