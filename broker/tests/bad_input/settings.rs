//! Configuration that cannot be used: the file, the line, the key, and what was meant.

use crate::run_fails;
use std::fs;

#[test]
fn config_files() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("broken_line", "[node]\nname = \"a\"\n\nthis is no line\n", &["x.toml:4"]),
        ("open_string", "[node]\nname = \"a\n", &["x.toml:2"]),
        ("unknown_key", "[limits]\nmax_inflght = 3\n", &["x.toml:2", "max_inflght", "max_inflight"]),
        ("unknown_table", "[lmits]\nmax_inflight = 3\n", &["x.toml:1", "lmits", "limits"]),
        ("wrong_type", "[limits]\nmax_inflight = \"many\"\n", &["x.toml:2", "max_inflight", "whole number"]),
        ("flag_as_number", "[bridge]\nenabled = 1\n", &["x.toml:2", "enabled"]),
        ("out_of_range", "# first\n\n[limits]\nmax_inflight = 70000\n", &["x.toml:4", "65535"]),
        ("twice", "[limits]\nmax_inflight = 1\nmax_inflight = 2\n", &["x.toml:3", "duplicate key"]),
        ("bad_address", "[listener.a]\nbind = \"nowhere\"\n", &["x.toml:2", "nowhere"]),
        (
            "bad_filter",
            "[hook.a]\non = \"message.publish\"\nfilter = \"a/#/b\"\ntopic = \"t\"\n",
            &["x.toml:3"],
        ),
    ];
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("x.toml");
    let data = directory.path().join("data");
    let [file, data] = [&file, &data].map(|path| path.to_str().expect("text"));
    for (name, text, parts) in cases {
        println!("{name}");
        fs::write(file, text).expect("written");
        run_fails(&["--config", file, "--data", data], parts);
        assert!(!fs::exists(data).expect("readable"), "{name}: the data directory was made for nothing");
    }
}

#[test]
fn options() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let data = data.to_str().expect("text");
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "unknown_key",
            &["--set", "limits.max_packet_sze=1000"],
            &["max_packet_sze", "limits.max_packet_size"],
        ),
        ("no_value", &["--set", "limits.max_inflight"], &["limits.max_inflight"]),
        ("wrong_type", &["--set", "limits.max_inflight=lots"], &["limits.max_inflight", "lots"]),
        ("no_unit", &["--set", "limits.connect_timeout=10"], &["limits.connect_timeout", "10"]),
        ("too_many_cores", &["--set", "node.cores=65"], &["node.cores", "64"]),
        ("no_such_config", &["--config", "/nonexistent/x.toml"], &["/nonexistent/x.toml"]),
        ("no_such_bridge_conf", &["--bridge-conf", "/nonexistent/x.conf"], &["/nonexistent/x.conf"]),
        ("config_is_a_directory", &["--config", "/proc"], &["/proc"]),
    ];
    for (name, arguments, parts) in cases {
        println!("{name}");
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--data", data]).collect();
        run_fails(&arguments, parts);
    }
}

#[test]
fn a_broken_hook_of_the_bridge_file_is_named_with_its_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bridge.conf");
    let data = directory.path().join("data");
    let [file, data] = [&file, &data].map(|path| path.to_str().expect("text"));
    let text = "bridge.kafka.servers = 127.0.0.1:9092\nbridge.kafka.hook.message.publish.1 = {\"filter\":\n";
    fs::write(file, text).expect("written");
    run_fails(&["--bridge-conf", file, "--data", data], &["bridge.conf:2"]);
}
