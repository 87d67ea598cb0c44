//! The language of the conformance tables. A case is a name and a text; each line is a client's letter and what it does
//! or must see. Bytes are written in the language of the codec's vectors (`millrace_codec::vectors::wire`).
//!
//! ```text
//! +5 3.1.2-4 4.4.0-1   statements of this version (5, 311, 31) for which the case shows that what is allowed happens
//! -5 3.1.2-25          the same, that what is forbidden is refused or does not happen
//! a connect 5          CONNECT of this version, clean, keep-alive 60 s, client id %a; accepted. `V` for the version:
//!                      the case runs once for each version of its first lines. More words may follow:
//!   keep 60            no clean start; in 5.0 with this session expiry in seconds
//!   expiry 60          clean start, with this session expiry in seconds (5.0)
//!   present            CONNACK says that there was a session; without this word it must say that there was none
//!   alive 2            keep-alive in seconds
//!   will TOPIC 1r TEXT a will; QoS as for `pub`
//!   with 21 0001       properties of the CONNECT (5.0), to the end of the line
//! a > 30 { "t" }       send bytes
//! a < 40 { 0001 }      the next packet is exactly this; after `<*` it only has to begin so
//! a <| D0 00 | 40 { 1 } the next packets are these, in any order
//! a <one of D0 00 | 40 { 1 } the next packet is one of these
//! a has 24 01          the last packet, or the CONNACK of `connect`, has this property (5.0)
//! a lacks 24           it has none of this identifier
//! a accepted           CONNACK, success, session present 0, whatever its properties
//! a resumed            the same with session present 1
//! a sub t/# 1          SUBSCRIBE to one filter with packet id FFFE, granted; two digits are the options of 5.0
//! a unsub t/#          UNSUBSCRIBE from one filter with packet id FFFD, of which there was a subscription
//! a pub t 1 text       PUBLISH at a QoS, and its whole acknowledgement; `1r` with the retain flag
//! a gets t 1 text      PUBLISH without properties comes, and is acknowledged; `1r` with retain, `1d` with DUP
//! a quiet              PINGREQ, and the next packet is PINGRESP: nothing was sent to this client
//! a refused 82         DISCONNECT with this reason in 5.0, then as `closed`
//! a closed             the broker closes the connection, and says nothing before
//! a bye                DISCONNECT, and the broker closes
//! a fin / a rst        end of our side; reset
//! wait 300ms / 2s      cases that wait belong into `run_slowly`
//! broker stop          SIGTERM; the last line in which the broker lives
//! ```
//! In all of it `%a` … `%z` stand for client ids that no other run of the case has (`A` is the client of `a` on another
//! connection), `%/` for a topic level that no other run has, `%{}` for empty properties where the version has them,
//! `@1` … `@9` for two bytes (packet ids) that are what they were when they were first received, and `~0000003C` for
//! four bytes that are this number or up to 3 less.
//!
//! With `MILLRACE_TEST_BROKER=127.0.0.1:1883` the cases are played to the broker there instead, whoever made it: to see
//! whether a surprising case is a mistake of the case.

use crate::stage::Stage;
use crate::support::Broker;
use std::net::SocketAddr;
use std::thread;

/// A name that begins with the statement it is for, and the script.
pub type Case = (&'static str, &'static str);

/// The line that stops the broker.
pub const STOP: &str = "broker stop";

/// On which cores the clients of a case live.
#[derive(Clone, Copy, Debug)]
pub enum Placement {
    /// All on one.
    Together,
    /// `a` on one, `b` on the other, and so on.
    Apart,
}

/// One way to play a case.
#[derive(Clone, Copy)]
pub struct Play {
    /// Of the case in its table.
    pub number: usize,
    /// Where its clients live.
    pub placement: Placement,
    /// What `V` stands for.
    pub version: &'static str,
}

/// Each case in all its versions, with its clients on one core and on two.
fn plays<'a>(cases: &'a [Case]) -> impl Iterator<Item = (Case, Play)> + 'a {
    cases.iter().enumerate().flat_map(|(number, &case)| {
        versions(case.1).into_iter().flat_map(move |version| {
            let places = [Placement::Together, Placement::Apart];
            places.map(|placement| (case, Play { number, placement, version }))
        })
    })
}

/// The versions in which a script runs: those of its first lines if it leaves its version open, else one.
fn versions(script: &str) -> Vec<&'static str> {
    if !script.contains(" connect V") {
        return vec![""];
    }
    let named = |version: &str| {
        let mut lines = script.lines().map(str::trim);
        lines.any(|line| {
            line.strip_prefix(['+', '-']).is_some_and(|line| line.split(' ').next() == Some(version))
        })
    };
    ["5", "311", "31"].into_iter().filter(|version| named(version)).collect()
}

/// Runs every case in all ways and reports all failures together.
pub fn run_all(settings: &[&str], cases: &[Case]) {
    let mut broker = start(settings);
    let mut failures = String::new();
    for ((name, script), play) in plays(cases) {
        if let Err(failure) = run_one(&mut broker, script, play) {
            failures.push_str(&format!("\n{name} ({:?} {}): {failure}", play.placement, play.version));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// One with these settings, beside a foreign broker one that is only there. What a broker says of itself comes when it
/// comes: only cases that are about it have it.
fn start(settings: &[&str]) -> Broker {
    let mut settings = settings.to_vec();
    if !settings.iter().any(|setting| setting.starts_with("sys.")) {
        settings.push("sys.interval=0s");
    }
    Broker::start(if foreign().is_some() { &[] } else { &settings })
}

/// As `run_all`, for cases that take their time: all at once, in a thread each (see slow.rs).
pub fn run_slowly(settings: &[&str], cases: &[Case]) {
    let broker = start(settings);
    let failures = thread::scope(|scope| {
        let threads = plays(cases).map(|((name, script), play)| {
            let broker = &broker;
            scope.spawn(move || {
                let failure = Stage::new(broker, play).lines(script).err()?;
                Some(format!("\n{name} ({:?} {}): {failure}", play.placement, play.version))
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect::<String>()
    });
    assert!(failures.is_empty(), "{failures}");
}

/// Runs one script that names its versions, once.
pub fn run(broker: &mut Broker, number: usize, script: &str, placement: Placement) -> Result<(), String> {
    run_one(broker, script, Play { number, placement, version: "" })
}

/// Runs one case; a broker that it stops is started again.
fn run_one(broker: &mut Broker, script: &str, play: Play) -> Result<(), String> {
    let stops = script.lines().any(|line| line.trim() == STOP);
    if stops && foreign().is_some() {
        return Ok(());
    }
    Stage::new(broker, play).lines(script)?;
    if stops {
        let exit = broker.wait();
        if exit.code != Some(0) {
            return Err(format!("the broker ended with {exit:?}"));
        }
        broker.restart();
    }
    Ok(())
}

/// The broker of somebody else to which the cases are played, if there is one.
pub fn foreign() -> Option<SocketAddr> {
    let address = std::env::var("MILLRACE_TEST_BROKER").ok()?;
    Some(address.parse().expect("MILLRACE_TEST_BROKER is an address with a port"))
}
