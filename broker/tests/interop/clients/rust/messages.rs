//! Scenarios of retained messages, and of what 5.0 has added.

use super::client::Options;
use super::context::{Context, QUIET, TWO_SECONDS, disconnect, flags};
use rumqttc::v5::mqttbytes::v5::{Filter, PublishProperties, RetainForwardRule};
use std::collections::HashMap;
use tokio::time::sleep;

pub async fn retained(t: Context) {
    // What a wildcard finds may still be on its way when something new comes, so these name their topics.
    let (mut publisher, mut early) = t.pair("a/state").await;
    early.subscribe(&t.topic("b/state"), 1).await;
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

pub async fn retain_handling(t: Context) {
    use RetainForwardRule::{Never, OnEverySubscribe, OnNewSubscribe};
    let (mut publisher, mut subscriber) = (t.clean("p").await, t.clean("s").await);
    let filter = |rule: RetainForwardRule| Filter { retain_forward_rule: rule, ..t.filter("+") };
    publisher.publish_retained(&t.topic("kept"), "kept").await;
    let cases: [(_, &[&str]); 4] =
        [(Never, &[]), (OnNewSubscribe, &[]), (OnEverySubscribe, &["kept"]), (OnEverySubscribe, &["kept"])];
    for (rule, expected) in cases {
        subscriber.subscribe_with(filter(rule), None).await;
        subscriber.expect(expected).await;
        subscriber.nothing(QUIET).await;
    }
    subscriber.unsubscribe(&t.topic("+")).await;
    subscriber.subscribe_with(filter(OnNewSubscribe), None).await;
    subscriber.expect(&["kept"]).await;
    publisher.publish_retained(&t.topic("kept"), "").await;
    disconnect([publisher, subscriber]).await;
}

pub async fn retain_as_published(t: Context) {
    let mut publisher = t.clean("p").await;
    let (mut without, mut with) = (t.clean("a").await, t.clean("b").await);
    without.subscribe_with(t.filter("kept"), None).await;
    with.subscribe_with(Filter { preserve_retain: true, ..t.filter("kept") }, None).await;
    publisher.publish_retained(&t.topic("kept"), "1").await;
    publisher.publish(&t.topic("kept"), "2").await;
    publisher.publish_retained(&t.topic("kept"), "").await;
    assert_eq!(flags(&without.expect(&["1", "2", ""]).await), [false, false, false]);
    assert_eq!(flags(&with.expect(&["1", "2", ""]).await), [true, false, true]);
    disconnect([publisher, without, with]).await;
}

pub async fn shared(t: Context) {
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

pub async fn properties(t: Context) {
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

pub async fn message_expiry(t: Context) {
    let (mut publisher, mut subscriber) = t.pair("a").await;
    publisher.publish_with(&t.topic("a"), "1", expiring(60)).await;
    let left = subscriber.expect(&["1"]).await[0].properties().message_expiry_interval;
    assert!(left.is_some_and(|left| (50..=60).contains(&left)), "{left:?} seconds left");
    disconnect([publisher, subscriber]).await;
}

pub async fn queued_message_expires(t: Context) {
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

pub async fn subscription_identifiers(t: Context) {
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
pub async fn aliases_to_server(t: Context) {
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
pub async fn aliases_to_client(t: Context) {
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

/// Three messages are on their way; the second comes when the first is acknowledged.
pub async fn receive_maximum(t: Context) {
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

pub async fn no_local(t: Context) {
    let (mut own, mut other) = (t.clean("a").await, t.clean("b").await);
    own.subscribe_with(Filter { nolocal: true, ..t.filter("a") }, None).await;
    own.publish(&t.topic("a"), "own").await;
    other.publish(&t.topic("a"), "other").await;
    own.expect(&["other"]).await;
    disconnect([own, other]).await;
}
