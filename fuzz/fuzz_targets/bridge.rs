//! The properties file of the older bridge plugin: any bytes give hooks, or problems that name an existing line,
//! one line each; what is taken once is taken again the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace::config::{Texts, parse};

fuzz_target!(|bytes: &[u8]| {
    let texts = Texts { bridge_conf: Some(("b.conf".to_owned(), bytes.to_vec())), ..Texts::default() };
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    let result = parse(&texts, &|_| None);
    assert_eq!(result, parse(&texts, &|_| None));
    let said = match result {
        Ok(loaded) => {
            assert!(!loaded.config.hooks.is_empty());
            assert!(loaded.config.hooks.iter().all(|hook| hook.filter.as_deref() != Some("")));
            loaded.warnings
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            error.problems.into_iter().chain(error.warnings).collect()
        }
    };
    for problem in said {
        assert!(problem.origin.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem}");
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
});
