//! rumqttc, which speaks 3.1.1 (`v4`) and 5.0 (`v5`). One thread plays all scenarios at once.

use super::context::Context;
use super::{messages, sessions};
use crate::program::{Run, Target};
use crate::scenarios::Version;
use std::pin::Pin;

type Scenario = fn(Context) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! table {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((stringify!($name), |t| Box::pin($module::$name(t)))),*]
    };
}

const SCENARIOS: &[(&str, Scenario)] = table!(
    sessions::connect,
    sessions::qos0,
    sessions::qos1,
    sessions::qos2,
    sessions::kept_session,
    sessions::session_expires,
    sessions::reconnect,
    sessions::will,
    sessions::no_will,
    sessions::will_delay,
    sessions::will_delay_cancelled,
    messages::retained,
    messages::retain_handling,
    messages::retain_as_published,
    messages::shared,
    messages::properties,
    messages::message_expiry,
    messages::queued_message_expires,
    messages::subscription_identifiers,
    messages::aliases_to_server,
    messages::aliases_to_client,
    sessions::take_over,
    sessions::large_payload,
    messages::receive_maximum,
    sessions::unsubscribe,
    messages::no_local,
);

#[test]
fn rumqttc() {
    let target = Target::start();
    let server = target.address().parse().expect("an address");
    let expected = target.scenarios(&[Version::V311, Version::V5], &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut outcome = Run::default();
    runtime.block_on(async {
        let mut running = Vec::new();
        for name in &expected {
            let (version, short) = name.split_once('/').expect("two parts");
            let version = if version == "5.0" { Version::V5 } else { Version::V311 };
            let scenario = SCENARIOS.iter().find(|(found, _)| *found == short);
            let scenario = scenario.unwrap_or_else(|| panic!("no scenario {short}")).1;
            let context = Context { server, version, name: name.clone() };
            running.push((name, tokio::spawn(scenario(context))));
        }
        for (name, task) in running {
            match task.await {
                Ok(()) => outcome.passed.push(name.clone()),
                // Why, the panic has printed.
                Err(_) => outcome.complaints.push(format!("FAILED {name}")),
            }
        }
    });
    outcome.check(&expected);
}
