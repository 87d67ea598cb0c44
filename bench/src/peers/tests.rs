//! Scripts are checked by bash without running them; a made-up peer goes through installing, running and failing.

use std::process::Command;

use super::*;

#[test]
fn every_script_is_one_that_bash_understands_and_names_its_version() {
    for peer in PEERS {
        let install =
            peer.files.first().filter(|(name, _)| *name == "install").expect("install comes first").1;
        for script in [install, peer.run] {
            let check = Command::new("bash").args(["-nc", script]).output().expect("bash");
            assert!(check.status.success(), "{}: {}", peer.name, String::from_utf8_lossy(&check.stderr));
        }
        assert!(install.trim_end().ends_with("version"), "{}: the version is written last", peer.name);
        let becomes =
            peer.run.lines().last().is_some_and(|line| line.contains("exec ") || line.starts_with(' '));
        assert!(becomes && peer.run.contains("$PORT"), "{}: the script becomes the broker", peer.name);
        assert!(
            !peer.tools.is_empty() && catalogue::find(peer.name).is_ok_and(|found| found.name == peer.name)
        );
    }
    assert!(catalogue::find("nothing").is_err_and(|error| error.contains("mosquitto")));
}

fn made_up(install: &'static [(&'static str, &'static str)], tools: &'static [&'static str]) -> Peer {
    Peer {
        name: "made-up",
        source: "here",
        tools,
        cores: 1,
        prime_s: 0.0,
        speaks_v5: true,
        run: "exec true",
        files: install,
    }
}

#[test]
fn what_fails_is_not_there_and_says_why() {
    let dir = tempfile::tempdir().expect("a folder");
    const LONG: &str = "echo error: the cause >&2; seq 1000; exit 1";
    let cases: [(&str, Peer, &str); 5] = [
        ("its cause is far up", made_up(&[("install", LONG)], &["bash"]), "error: the cause"),
        (
            "a tool is missing",
            made_up(&[("install", "true")], &["no-such-tool-anywhere"]),
            "no-such-tool-anywhere",
        ),
        ("it fails", made_up(&[("install", "echo half; false; echo 1 >version")], &["bash"]), "half"),
        ("in a pipe", made_up(&[("install", "false | true; echo 1 >version")], &["bash"]), "build failed"),
        ("without a version", made_up(&[("install", "true")], &["bash"]), "build failed"),
    ];
    for (name, peer, expected) in &cases {
        let error = install(dir.path(), peer).expect_err(name);
        assert!(error.contains(expected), "{name}: {error}");
        assert_eq!(version(dir.path(), peer), None, "{name}");
    }
    let whole = made_up(&[("install", "cat data >version"), ("data", "7.5\n")], &["bash"]);
    assert_eq!(install(dir.path(), &whole), Ok("7.5".to_owned()));
    assert_eq!(version(dir.path(), &whole).as_deref(), Some("7.5"));
    // A build that fails later takes the old one away.
    assert!(install(dir.path(), &cases[2].1).is_err());
    assert_eq!(version(dir.path(), &whole), None);
}

#[test]
fn only_what_is_whole_is_installed_and_all_are_listed() {
    let dir = tempfile::tempdir().expect("a folder");
    for (peer, text) in [("mosquitto", "2.0.11\n"), ("aedes", "")] {
        fs::create_dir_all(dir.path().join(peer)).expect("a folder");
        fs::write(dir.path().join(peer).join(VERSION), text).expect("a file");
    }
    let there = installed(Some(dir.path())).expect("a list");
    let there: Vec<_> = there.iter().map(|peer| (peer.name, peer.version.as_str())).collect();
    assert_eq!(there, [("mosquitto", "2.0.11")]);
    let list = list(dir.path());
    for peer in PEERS {
        assert!(list.lines().any(|line| line.starts_with(peer.name)), "{}: {list}", peer.name);
    }
    assert!(list.contains("installed: 2.0.11"), "{list}");
    assert!(
        become_peer(dir.path(), &PEERS[1], 1, "3.1.1").is_err_and(|error| error.contains("not installed"))
    );
}
