//! The TOML configuration file: any bytes give a configuration within its limits, or problems that name an
//! existing line, one line each.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace::config::{Texts, parse};

fuzz_target!(|bytes: &[u8]| {
    let texts = Texts { config: Some(("m.toml".to_owned(), bytes.to_vec())), ..Texts::default() };
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    match parse(&texts, &|name| (name.len() < 8).then(|| name.repeat(2))) {
        Ok(loaded) => {
            assert!(!loaded.config.listeners.is_empty());
            assert!((1..=64).contains(&loaded.config.node.cores));
            assert!(loaded.config.hooks.iter().all(|hook| !hook.topic.is_empty()));
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            for problem in error.problems.iter().chain(&error.warnings) {
                assert!(problem.origin.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem}");
                assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    }
});
