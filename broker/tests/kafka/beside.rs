//! The tests of the sink's own that need a Kafka (`kafka-sink/src/wire/tests`) see its insides, so they stand there and are
//! ignored there; here they are run, against the Kafka of these tests.

use crate::node::shared;
use std::process::Command;

#[test]
fn the_sinks_own_tests() {
    let Some(kafka) = shared() else { return };
    // The whole workspace, as `cargo test --workspace` has just built it.
    let output = Command::new(env!("CARGO"))
        .args([
            "test",
            "--workspace",
            "--lib",
            "--locked",
            "--",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .arg("wire::tests::")
        .env("MILLRACE_TEST_KAFKA", kafka.servers())
        .output()
        .expect("cargo built this test");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let figures = out.lines().filter_map(|line| line.find('|').and_then(|at| line.get(at..)));
    figures.for_each(|line| println!("{line}"));
    for name in
        ["kafka::an_idempotent_producer", "whole::power_cuts", "whole::sequences_wrap_while_answers_are_lost"]
    {
        assert!(out.contains(&format!("test wire::tests::{name} ...")), "{name} was not run: {out}");
    }
}
