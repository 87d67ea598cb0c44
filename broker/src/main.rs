//! The `millrace` program: the command line around the broker's engine.

fn main() -> std::process::ExitCode {
    millrace::cli::main(|config, stop| Ok(millrace::worker::run(config, stop)?))
}
