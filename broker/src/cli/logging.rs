//! Where log lines go, and which: `--log`, or the environment variable `MILLRACE_LOG`, or `info`.
//!
//! Called once by `run`. Lines go to standard error. Nobody writes a line per message.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::Failure;

/// The environment variable that is read when `--log` is not given.
const VARIABLE: &str = "MILLRACE_LOG";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Turns logging on.
pub(super) fn start(option: Option<&str>) -> Result<(), Failure> {
    let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let filter = match (option, variable) {
        (Some(text), _) => check(text).map_err(Failure::usage)?,
        (None, Some(text)) => check(&text).map_err(|error| Failure::usage(format!("{VARIABLE}: {error}")))?,
        (None, None) => "info".to_owned(),
    };
    let filter = EnvFilter::try_new(filter).map_err(Failure::usage)?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .finish();
    tracing::subscriber::set_global_default(subscriber).map_err(Failure::new)
}

/// Checks filter directives. `EnvFilter` takes a misspelt level for the name of a module; here a directive is
/// a level or has one.
pub(super) fn check(text: &str) -> Result<String, String> {
    let directives: Vec<_> = text.split(',').map(str::trim).collect();
    for directive in &directives {
        let level = directive.rsplit_once('=').map_or(*directive, |(_, level)| level);
        if !LEVELS.iter().any(|known| level.eq_ignore_ascii_case(known)) {
            return Err(format!(
                "{directive:?} is not LEVEL or MODULE=LEVEL with a level of {}",
                LEVELS.join(", ")
            ));
        }
    }
    let text = directives.join(",");
    EnvFilter::try_new(&text).map_err(|error| error.to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn directives() {
        for (text, ok) in [
            ("info", true),
            ("DEBUG", true),
            ("off", true),
            ("millrace=debug", true),
            ("info,millrace::worker=trace,millrace_kafka_sink=off", true),
            ("info, millrace=debug", true),
            ("", false),
            ("inof", false),
            ("millrace", false),
            ("millrace=", false),
            ("millrace=lots", false),
            ("info,,debug", false),
        ] {
            assert_eq!(check(text).is_ok(), ok, "{text:?}: {:?}", check(text));
        }
    }
}
