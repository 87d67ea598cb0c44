//! Scenarios of connections, sessions, wills, and messages of every version.

use super::client::{Client, Options};
use super::context::{Context, QUIET, TWO_SECONDS, disconnect, numbers};
use crate::scenarios::Version;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode;
use std::time::Duration;
use tokio::time::sleep;

pub async fn connect(t: Context) {
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

pub async fn qos0(t: Context) {
    in_order(t, 0).await;
}

pub async fn qos1(t: Context) {
    in_order(t, 1).await;
}

pub async fn qos2(t: Context) {
    in_order(t, 2).await;
}

pub async fn kept_session(t: Context) {
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

pub async fn session_expires(t: Context) {
    t.kept("s", 1).await.disconnect().await;
    sleep(TWO_SECONDS).await;
    let back = t.kept("s", 0).await;
    assert!(!back.connack.present, "the session outlived its expiry");
    back.disconnect().await;
}

/// By the library itself, after a cut.
pub async fn reconnect(t: Context) {
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

pub async fn will(t: Context) {
    let (mut other, mut watcher) = t.pair("#").await;
    mortal(&t, None).await.break_off().await;
    let seen = watcher.expect(&["gone"]).await;
    assert_eq!((&seen[0].topic, seen[0].qos, seen[0].retain), (&t.topic("will"), 1, false));
    other.publish(&t.topic("end"), "end").await;
    watcher.expect(&["end"]).await;
    disconnect([other, watcher]).await;
}

pub async fn no_will(t: Context) {
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

pub async fn will_delay(t: Context) {
    let mut watcher = t.clean("w").await;
    watcher.subscribe(&t.topic("#"), 1).await;
    mortal(&t, Some(2)).await.break_off().await;
    watcher.nothing(Duration::from_secs(1)).await;
    watcher.expect(&["gone"]).await;
    watcher.disconnect().await;
}

pub async fn will_delay_cancelled(t: Context) {
    let mut watcher = t.clean("w").await;
    watcher.subscribe(&t.topic("#"), 1).await;
    mortal(&t, Some(1)).await.break_off().await;
    let back = t.kept("d", 60).await;
    assert!(back.connack.present, "the session is gone");
    watcher.nothing(TWO_SECONDS).await;
    disconnect([back, watcher]).await;
}

pub async fn take_over(t: Context) {
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

pub async fn large_payload(t: Context) {
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

pub async fn unsubscribe(t: Context) {
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
