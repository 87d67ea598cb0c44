//! rumqttc, which speaks 3.1.1 (`v4`) and 5.0 (`v5`). One thread plays all scenarios at once.

use super::client::{Client, Message, Options};
use crate::program::{Run, Target};
use crate::scenarios::Version;
use rumqttc::v5::mqttbytes::QoS as QoS5;
use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, Filter, PublishProperties, RetainForwardRule};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::sleep;

/// What must not come would have come in this time.
const QUIET: Duration = Duration::from_millis(500);
/// For what is due after a second.
const TWO_SECONDS: Duration = Duration::from_millis(2500);

type Scenario = fn(Context) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! table {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), |t| Box::pin($name(t)))),*]
    };
}

const SCENARIOS: &[(&str, Scenario)] = table!(
    connect,
    qos0,
    qos1,
    qos2,
    kept_session,
    session_expires,
    reconnect,
    will,
    no_will,
    will_delay,
    will_delay_cancelled,
    retained,
    retain_handling,
    retain_as_published,
    shared,
    properties,
    message_expiry,
    queued_message_expires,
    subscription_identifiers,
    aliases_to_server,
    aliases_to_client,
    take_over,
    large_payload,
    receive_maximum,
    unsubscribe,
    no_local,
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

/// What a scenario needs: topics and clients of its own.
struct Context {
    server: SocketAddr,
    version: Version,
    name: String,
}

impl Context {
    fn topic(&self, end: &str) -> String {
        format!("interop/rust{}/{}/{end}", std::process::id(), self.name)
    }

    async fn connected(&self, name: &str, options: Options) -> Client {
        let id = format!("rust{}/{}/{name}", std::process::id(), self.name);
        Client::connect(self.server, self.version, &id, options).await
    }

    async fn clean(&self, name: &str) -> Client {
        self.connected(name, Options::default()).await
    }

    /// A client whose session is kept for so many seconds (5.0), or for ever.
    async fn kept(&self, name: &str, seconds: u32) -> Client {
        self.connected(name, Options { kept: Some(seconds), ..Options::default() }).await
    }

    /// A publisher, and a subscriber of `filter` at QoS 1.
    async fn pair(&self, filter: &str) -> (Client, Client) {
        let (publisher, mut subscriber) = (self.clean("p").await, self.clean("s").await);
        subscriber.subscribe(&self.topic(filter), 1).await;
        (publisher, subscriber)
    }

    fn filter(&self, end: &str) -> Filter {
        Filter::new(self.topic(end), QoS5::AtLeastOnce)
    }
}

async fn disconnect(clients: impl IntoIterator<Item = Client>) {
    for client in clients {
        client.disconnect().await;
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

fn flags(messages: &[Message]) -> Vec<bool> {
    messages.iter().map(|message| message.retain).collect()
}

async fn connect(t: Context) {
    let client = t.clean("a").await;
    assert!(!client.connack.present, "a clean session was there before");
    client.disconnect().await;
    if t.version == Version::V5 {
        let nameless = Client::connect(t.server, t.version, "", Options::default()).await;
        assert!(nameless.connack.assigned_id.is_some(), "no client id was assigned");
        nameless.disconnect().await;
    }
}

async fn in_order(t: Context, qos: u8) {
    let (mut publisher, mut subscriber) = (t.clean("p").await, t.clean("s").await);
    subscriber.subscribe(&t.topic("#"), qos).await;
    let payloads = numbers(200);
    for payload in &payloads {
        publisher.send(&t.topic("a"), payload, qos, false).await;
    }
    publisher.send(&t.topic("a"), "end", qos, false).await;
    for payload in payloads.iter().map(String::as_str).chain(["end"]) {
        let seen = subscriber.expect(&[payload]).await;
        assert_eq!(seen[0].qos, qos);
    }
    publisher.acknowledged(if qos == 0 { 0 } else { payloads.len() + 1 }).await;
    disconnect([publisher, subscriber]).await;
}

async fn qos0(t: Context) {
    in_order(t, 0).await;
}

async fn qos1(t: Context) {
    in_order(t, 1).await;
}

async fn qos2(t: Context) {
    in_order(t, 2).await;
}

async fn kept_session(t: Context) {
    let (mut away, mut publisher) = (t.kept("s", 60).await, t.clean("p").await);
    assert!(!away.connack.present, "a new session was there before");
    away.subscribe(&t.topic("q1/+"), 1).await;
    away.subscribe(&t.topic("q2/+"), 2).await;
    away.disconnect().await;
    let mut sent = Vec::new();
    for (number, payload) in numbers(100).into_iter().enumerate() {
        let qos = 1 + (number % 2) as u8;
        publisher.send(&t.topic(&format!("q{qos}/a")), &payload, qos, false).await;
        publisher.acknowledged(1).await;
        sent.push((qos, payload));
    }
    let mut back = t.kept("s", 60).await;
    assert!(back.connack.present, "the session is gone");
    publisher.send(&t.topic("q2/a"), "end", 2, false).await;
    publisher.acknowledged(1).await;
    sent.push((2, "end".into()));
    let mut seen = Vec::new();
    while seen.len() < sent.len() {
        let message = back.next().await;
        seen.push((message.qos, message.payload));
    }
    assert_eq!(seen, sent);
    back.nothing(QUIET).await;
    back.disconnect().await;
    // A clean start ends it.
    let mut fresh = t.clean("s").await;
    assert!(!fresh.connack.present, "a clean start found the session");
    fresh.subscribe(&t.topic("other"), 1).await;
    publisher.publish(&t.topic("q1/a"), "unwanted").await;
    publisher.publish(&t.topic("other"), "end").await;
    fresh.expect(&["end"]).await;
    disconnect([fresh, publisher]).await;
}

async fn session_expires(t: Context) {
    t.kept("s", 1).await.disconnect().await;
    sleep(TWO_SECONDS).await;
    let back = t.kept("s", 0).await;
    assert!(!back.connack.present, "the session outlived its expiry");
    back.disconnect().await;
}

/// By the library itself, after a cut.
async fn reconnect(t: Context) {
    let (mut client, mut publisher) = (t.kept("s", 60).await, t.clean("p").await);
    client.subscribe(&t.topic("a"), 1).await;
    let payloads = numbers(20);
    let (connack, ()) = tokio::join!(client.cut(), async {
        for payload in &payloads {
            publisher.publish(&t.topic("a"), payload).await;
        }
    });
    assert!(connack.present, "the session is gone");
    client.expect(&Vec::from_iter(payloads.iter().map(String::as_str))).await;
    client.publish(&t.topic("a"), "end").await;
    client.expect(&["end"]).await;
    disconnect([client, publisher]).await;
}

/// A client with the will `gone`, whose session is kept if there is a delay (seconds).
async fn mortal(t: &Context, delay: Option<u32>) -> Client {
    let options =
        Options { will: Some((t.topic("will"), delay)), kept: delay.map(|_| 60), ..Options::default() };
    t.connected("d", options).await
}

async fn will(t: Context) {
    let (mut other, mut watcher) = t.pair("#").await;
    mortal(&t, None).await.break_off().await;
    let seen = watcher.expect(&["gone"]).await;
    assert_eq!((&seen[0].topic, seen[0].qos, seen[0].retain), (&t.topic("will"), 1, false));
    other.publish(&t.topic("end"), "end").await;
    watcher.expect(&["end"]).await;
    disconnect([other, watcher]).await;
}

async fn no_will(t: Context) {
    let mut watcher = t.clean("w").await;
    watcher.subscribe(&t.topic("#"), 1).await;
    for number in ["1", "2"] {
        // The same client id: what became of the connection before is known when this one is let in.
        let mut leaving = mortal(&t, None).await;
        leaving.publish(&t.topic("end"), number).await;
        leaving.disconnect().await;
    }
    watcher.expect(&["1", "2"]).await;
    watcher.nothing(QUIET).await;
    watcher.disconnect().await;
}

async fn will_delay(t: Context) {
    let mut watcher = t.clean("w").await;
    watcher.subscribe(&t.topic("#"), 1).await;
    mortal(&t, Some(2)).await.break_off().await;
    watcher.nothing(Duration::from_secs(1)).await;
    watcher.expect(&["gone"]).await;
    watcher.disconnect().await;
}

async fn will_delay_cancelled(t: Context) {
    let mut watcher = t.clean("w").await;
    watcher.subscribe(&t.topic("#"), 1).await;
    mortal(&t, Some(1)).await.break_off().await;
    let back = t.kept("d", 60).await;
    assert!(back.connack.present, "the session is gone");
    watcher.nothing(TWO_SECONDS).await;
    disconnect([back, watcher]).await;
}

async fn retained(t: Context) {
    let (mut publisher, mut early) = t.pair("+/state").await;
    for (device, payload) in [("a", "1"), ("b", "1"), ("a", "2")] {
        publisher.publish_retained(&t.topic(&format!("{device}/state")), payload).await;
    }
    assert_eq!(flags(&early.expect(&["1", "1", "2"]).await), [false; 3], "live messages");
    let mut late = t.clean("l").await;
    late.subscribe(&t.topic("+/state"), 1).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let message = late.next().await;
        seen.push((message.topic, message.payload, message.qos, message.retain));
    }
    seen.sort();
    let expected =
        [("a", "2"), ("b", "1")].map(|(at, text)| (t.topic(&format!("{at}/state")), text.into(), 1, true));
    assert_eq!(seen, expected);
    for device in ["a", "b"] {
        publisher.publish_retained(&t.topic(&format!("{device}/state")), "").await;
    }
    let mut after = t.clean("f").await;
    after.subscribe(&t.topic("+/state"), 1).await;
    publisher.publish(&t.topic("c/state"), "end").await;
    after.expect(&["end"]).await;
    late.expect(&["", "", "end"]).await;
    disconnect([publisher, early, late, after]).await;
}

async fn retain_handling(t: Context) {
    use RetainForwardRule::{Never, OnEverySubscribe, OnNewSubscribe};
    let (mut publisher, mut subscriber) = (t.clean("p").await, t.clean("s").await);
    let filter = |rule: RetainForwardRule| Filter { retain_forward_rule: rule, ..t.filter("+") };
    publisher.publish_retained(&t.topic("kept"), "kept").await;
    let cases: [(_, &[&str]); 4] = [
        (Never, &["end"]),
        (OnNewSubscribe, &["end"]),
        (OnEverySubscribe, &["kept", "end"]),
        (OnEverySubscribe, &["kept", "end"]),
    ];
    for (rule, expected) in cases {
        subscriber.subscribe_with(filter(rule), None).await;
        publisher.publish(&t.topic("end"), "end").await;
        subscriber.expect(expected).await;
    }
    subscriber.unsubscribe(&t.topic("+")).await;
    subscriber.subscribe_with(filter(OnNewSubscribe), None).await;
    subscriber.expect(&["kept"]).await;
    publisher.publish_retained(&t.topic("kept"), "").await;
    disconnect([publisher, subscriber]).await;
}

async fn retain_as_published(t: Context) {
    let mut publisher = t.clean("p").await;
    let (mut without, mut with) = (t.clean("a").await, t.clean("b").await);
    without.subscribe_with(t.filter("+"), None).await;
    with.subscribe_with(Filter { preserve_retain: true, ..t.filter("+") }, None).await;
    publisher.publish_retained(&t.topic("kept"), "1").await;
    publisher.publish(&t.topic("kept"), "2").await;
    publisher.publish_retained(&t.topic("kept"), "").await;
    assert_eq!(flags(&without.expect(&["1", "2", ""]).await), [false, false, false]);
    assert_eq!(flags(&with.expect(&["1", "2", ""]).await), [true, false, true]);
    disconnect([publisher, without, with]).await;
}

async fn shared(t: Context) {
    let mut publisher = t.clean("p").await;
    let mut members = [t.clean("a").await, t.clean("b").await];
    for member in &mut members {
        member.subscribe(&format!("$share/group/{}", t.topic("#")), 1).await;
    }
    for number in 0..100 {
        publisher.publish(&t.topic(&format!("{}", number % 7)), &number.to_string()).await;
    }
    let mut seen = Vec::new();
    for member in &mut members {
        let before = seen.len();
        while let Some(message) = member.next_within(QUIET).await {
            seen.push(message.payload.parse::<usize>().expect("a number"));
        }
        assert!(seen.len() > before, "one member has got nothing");
    }
    seen.sort_unstable();
    assert_eq!(seen, Vec::from_iter(0..100));
    publisher.disconnect().await;
    disconnect(members).await;
}

async fn properties(t: Context) {
    let (mut publisher, mut subscriber) = t.pair("a").await;
    let user = [("b", "1"), ("a", "2"), ("b", "1"), ("ä", "")];
    let sent = PublishProperties {
        user_properties: user.map(|(name, value)| (name.into(), value.into())).into(),
        response_topic: Some(t.topic("answer")),
        correlation_data: Some((0..=255).collect()),
        content_type: Some("text/plain".into()),
        payload_format_indicator: Some(1),
        ..PublishProperties::default()
    };
    publisher.publish_with(&t.topic("a"), "with", sent.clone()).await;
    publisher.publish(&t.topic("a"), "without").await;
    let seen = subscriber.expect(&["with", "without"]).await;
    assert_eq!(seen[0].properties(), sent);
    assert_eq!(seen[1].properties(), PublishProperties::default());
    disconnect([publisher, subscriber]).await;
}

fn expiring(seconds: u32) -> PublishProperties {
    PublishProperties { message_expiry_interval: Some(seconds), ..PublishProperties::default() }
}

async fn message_expiry(t: Context) {
    let (mut publisher, mut subscriber) = t.pair("a").await;
    publisher.publish_with(&t.topic("a"), "1", expiring(60)).await;
    let left = subscriber.expect(&["1"]).await[0].properties().message_expiry_interval;
    assert!(left.is_some_and(|left| (50..=60).contains(&left)), "{left:?} seconds left");
    disconnect([publisher, subscriber]).await;
}

async fn queued_message_expires(t: Context) {
    let (mut away, mut publisher) = (t.kept("s", 60).await, t.clean("p").await);
    away.subscribe(&t.topic("a"), 1).await;
    away.disconnect().await;
    publisher.publish_with(&t.topic("a"), "short", expiring(1)).await;
    publisher.publish_with(&t.topic("a"), "long", expiring(60)).await;
    sleep(TWO_SECONDS).await;
    let mut back = t.kept("s", 0).await;
    assert!(back.connack.present, "the session is gone");
    let left = back.expect(&["long"]).await[0].properties().message_expiry_interval;
    assert!(left.is_some_and(|left| (50..60).contains(&left)), "{left:?} seconds left");
    disconnect([publisher, back]).await;
}

async fn subscription_identifiers(t: Context) {
    const ID_MAX: usize = 268_435_455;
    let (mut publisher, mut subscriber) = (t.clean("p").await, t.clean("s").await);
    subscriber.subscribe_with(t.filter("both/+"), Some(1)).await;
    subscriber.subscribe_with(t.filter("#"), Some(ID_MAX)).await;
    for (topic, expected) in [("both/a", &[1, ID_MAX][..]), ("one", &[ID_MAX])] {
        publisher.publish(&t.topic(topic), topic).await;
        // One message with all identifiers, or one for each.
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            seen.extend(subscriber.expect(&[topic]).await[0].properties().subscription_identifiers);
        }
        seen.sort_unstable();
        assert_eq!(seen, expected, "{topic}");
    }
    disconnect([publisher, subscriber]).await;
}

/// The library leaves aliases to its user.
async fn aliases_to_server(t: Context) {
    let (mut publisher, mut subscriber) = t.pair("+").await;
    let max = publisher.connack.topic_alias_max;
    assert!(max > 0, "the server takes no aliases");
    let alias = || PublishProperties { topic_alias: Some(max), ..PublishProperties::default() };
    for topic in [t.topic("a"), t.topic("b")] {
        publisher.publish_with(&topic, "first", alias()).await;
        publisher.publish_with("", "second", alias()).await;
        for message in subscriber.expect(&["first", "second"]).await {
            assert_eq!(message.topic, topic);
            assert_eq!(message.properties().topic_alias, None, "the publisher's alias went on");
        }
    }
    disconnect([publisher, subscriber]).await;
}

/// A server may use aliases up to the announced maximum; what the library shows has the topic as it came.
async fn aliases_to_client(t: Context) {
    let mut publisher = t.clean("p").await;
    let mut subscriber = t.connected("s", Options { topic_alias_max: Some(3), ..Options::default() }).await;
    subscriber.subscribe(&t.topic("+"), 1).await;
    let sent: Vec<_> =
        (0..70).map(|number| (t.topic(&(number % 7).to_string()), number.to_string())).collect();
    for (topic, payload) in &sent {
        publisher.publish(topic, payload).await;
    }
    let mut known = HashMap::new();
    for (topic, payload) in &sent {
        let message = subscriber.expect(&[payload]).await.remove(0);
        let alias = message.properties().topic_alias;
        assert!(alias.is_none_or(|alias| (1..=3).contains(&alias)), "alias {alias:?}");
        let resolved = match alias {
            Some(alias) if message.topic.is_empty() => known.get(&alias).cloned().unwrap_or_default(),
            Some(alias) => {
                known.insert(alias, message.topic.clone());
                message.topic
            }
            None => message.topic,
        };
        assert_eq!(resolved, *topic, "alias {alias:?}");
    }
    disconnect([publisher, subscriber]).await;
}

async fn take_over(t: Context) {
    let first = t.clean("a").await;
    let mut second = t.clean("a").await;
    // The library does not understand a DISCONNECT without a length of properties, which a server may send.
    let reason = first.end().await;
    assert!(matches!(reason, None | Some(DisconnectReasonCode::SessionTakenOver)), "{reason:?}");
    second.subscribe(&t.topic("a"), 1).await;
    second.publish(&t.topic("a"), "still here").await;
    second.expect(&["still here"]).await;
    second.disconnect().await;
}

async fn large_payload(t: Context) {
    let mut client = t.clean("a").await;
    let text = numbers(50_000).join(",");
    assert!(text.len() > 200_000);
    for qos in [0, 1, 2] {
        let topic = t.topic(&qos.to_string());
        client.subscribe(&topic, qos).await;
        client.send(&topic, &text, qos, false).await;
        client.acknowledged(usize::from(qos > 0)).await;
        let message = client.next().await;
        assert!(message.payload == text, "QoS {qos}: {} bytes", message.payload.len());
    }
    client.disconnect().await;
}

/// Three messages are on their way; the second comes when the first is acknowledged.
async fn receive_maximum(t: Context) {
    let options = Options { manual_acks: true, receive_maximum: Some(1), ..Options::default() };
    let (mut publisher, mut slow) = (t.clean("p").await, t.connected("s", options).await);
    slow.subscribe(&t.topic("a"), 1).await;
    for payload in ["1", "2", "3"] {
        publisher.publish(&t.topic("a"), payload).await;
    }
    for payload in ["1", "2", "3"] {
        let seen = slow.expect(&[payload]).await;
        slow.nothing(QUIET).await;
        slow.ack(&seen[0]).await;
    }
    disconnect([publisher, slow]).await;
}

async fn unsubscribe(t: Context) {
    let mut client = t.clean("a").await;
    client.subscribe(&t.topic("a"), 1).await;
    client.subscribe(&t.topic("b"), 1).await;
    client.publish(&t.topic("a"), "1").await;
    client.expect(&["1"]).await;
    client.unsubscribe(&t.topic("a")).await;
    client.publish(&t.topic("a"), "2").await;
    client.publish(&t.topic("b"), "end").await;
    client.expect(&["end"]).await;
    client.disconnect().await;
}

async fn no_local(t: Context) {
    let (mut own, mut other) = (t.clean("a").await, t.clean("b").await);
    own.subscribe_with(Filter { nolocal: true, ..t.filter("a") }, None).await;
    own.publish(&t.topic("a"), "own").await;
    other.publish(&t.topic("a"), "other").await;
    own.expect(&["other"]).await;
    disconnect([own, other]).await;
}
