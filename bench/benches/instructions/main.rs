//! Counted instructions of what a message costs: codec, routes, and a session from bytes in to bytes out. Each bench
//! does its work a hundred times (`packets::ROUNDS`), so a figure of the budget is a hundredth of what is counted.
//!
//! `budget.toml` beside this folder has the figures that are allowed, `cargo run -p millrace-bench --example budget`
//! runs this and compares. To see where instructions go: `callgrind_annotate` on the files below `target/gungraun`.
//!
//! What keeps the counts the same from run to run: no address randomisation (gungraun's doing), an empty environment;
//! seeds, clock and client sockets of the replayed core. Between machines: valgrind shows every program the same
//! processor, whatever the machine has, as long as it has AVX2; without it glibc would take other string functions.
//! Another compiler, glibc, valgrind or lock file makes other counts.

mod codec;
mod packets;
mod peer;
mod router;
mod session;

use crate::codec::of_codec;
use crate::peer::of_peer;
use crate::router::of_router;
use crate::session::of_session;
use gungraun::{Callgrind, LibraryBenchmarkConfig, main};

fn config() -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config
        .pass_through_env("MILLRACE_BUDGET_FILTERS")
        .tool(Callgrind::with_args(["--cache-sim=no", "--branch-sim=no"]));
    config
}

main!(config = config(), library_benchmark_groups = [of_codec, of_peer, of_router, of_session]);
