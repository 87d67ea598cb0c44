//! Drills.
fn main() {}
