//! Counted instructions of what a message costs: codec, routes, and a session from bytes in to bytes out. Each bench
//! does its work a hundred times (`packets::ROUNDS`), so a figure of the budget is a hundredth of what is counted.
//!
//! `budget.toml` beside this folder has the figures that are allowed, `cargo run -p millrace-bench --example budget`
//! runs this and compares. To see where instructions go: `callgrind_annotate` on the files below `target/gungraun`.
//!
//! What keeps the counts the same from run to run: no address randomisation (gungraun), an empty environment but for
//! `GLIBC_TUNABLES`, which holds glibc to one set of its string functions whatever the processor has; seeds, clock and
//! client sockets of the replayed core. Only another compiler, glibc or lock file makes other counts.

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

/// Which of glibc's string functions: those for plain x86-64, which every machine has. Otherwise they would differ
/// between machines with and without AVX2, the widest that valgrind knows.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-BMI2,-SSE4_2,-SSE4_1";

fn config() -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config
        .env("GLIBC_TUNABLES", TUNABLES)
        .pass_through_env("MILLRACE_BUDGET_FILTERS")
        .tool(Callgrind::with_args(["--cache-sim=no", "--branch-sim=no"]));
    config
}

main!(
    config = config(),
    library_benchmark_groups = [of_codec, of_peer, of_router, of_session]
);
