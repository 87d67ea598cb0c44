//! The budget of instructions and the table in ARCHITECTURE.md are the same. What is counted is held against it by
//! the test that is ignored here, or by `cargo run -p millrace-bench --example budget`, which can also write a new budget.

#[path = "../examples/budget/check.rs"]
mod check;
#[path = "../examples/budget/file.rs"]
mod file;

#[test]
#[ignore = "needs valgrind and gungraun-runner, and takes minutes; .ci/run calls it"]
fn what_is_counted_is_within_the_budget() {
    assert!(check::check().expect("counts"), "not within the budget");
}

#[test]
fn architecture_has_the_table_of_the_budget() {
    let text = std::fs::read_to_string(file::architecture_path()).expect("ARCHITECTURE.md");
    let place = file::place_of_table(&text).expect("a table between its marks");
    let table = file::table(&file::read().expect("a budget"));
    assert_eq!(text[place], table, "`cargo run -p millrace-bench --example budget -- --table` makes it");
}

#[test]
fn budgets_keep_the_shares() {
    let budget = file::read().expect("a budget");
    assert!(!budget.compiler.is_empty() && (0.0..=0.03).contains(&budget.tolerance));
    let of = |name: &str| {
        let row = budget.rows.iter().find(|row| row.name == name);
        row.unwrap_or_else(|| panic!("no row {name}")).instructions
    };
    for share in &budget.shares {
        assert!(of(&share.name) <= of(&share.of) * share.most, "{} of {}", share.name, share.of);
    }
    assert!(budget.shares.iter().filter(|share| share.of.starts_with("rumqttc_")).count() >= 4);
}
