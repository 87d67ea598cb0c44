//! Wrong usage: exit code 2, and a hint how to use it.

use crate::{fails, support};

#[test]
fn wrong_usage_ends_with_2() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage"),
        (&["serve"], "serve"),
        (&["run", "extra"], "extra"),
        (&["run", "--colour"], "--colour"),
        (&["run", "--log", "inof"], "inof"),
        (&["run", "--config"], "--config"),
        (&["sub"], "--topic"),
        (&["sub", "-t", "a#"], "a#"),
        (&["pub", "-t", "a/+", "-m", "x"], "a/+"),
        (&["pub", "-t", "a"], "message"),
        (&["consume"], "TOPIC"),
        (&["consume", "x", "--offset", "-1"], "-1"),
    ];
    for (arguments, named) in cases {
        let (code, lines) = fails(support::millrace().args(*arguments));
        assert_eq!(code, 2, "{arguments:?}: {lines:?}");
        assert!(lines.iter().any(|line| line.contains(named)), "no {named:?} for {arguments:?}: {lines:?}");
    }
}

#[test]
fn a_client_without_a_broker_fails_with_one_line() {
    // A port that was free a moment ago; nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let port = free.port().to_string();
    for arguments in
        [["sub", "-p", &port, "-t", "a", "-W", "5"].as_slice(), &["pub", "-p", &port, "-t", "a", "-m", "x"]]
    {
        let (code, lines) = fails(support::millrace().args(arguments));
        assert_eq!(code, 1, "{arguments:?}: {lines:?}");
        assert_eq!(lines.len(), 1, "{arguments:?}: {lines:?}");
        assert!(lines[0].contains(&port), "{arguments:?}: {lines:?}");
    }
}
