//! What was acknowledged is kept: through SIGKILL and SIGTERM under load, damaged and cut files, and a full disk.
//!
//! These tests are short; `millrace-bench drill` does the first of them for as long as one likes.

#[path = "../support/mod.rs"]
mod support;

mod stream;

mod crash;
mod damage;
mod full_disk;
