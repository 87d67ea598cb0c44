//! `$SYS`: what the broker publishes about itself, who gets it, and who does not.

use crate::script::{Case, run_all};
use crate::support::{Broker, Raw, Read, millrace};
use millrace_codec::{QoS, Version};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Published once, at the start.
const AT_THE_START: &[Case] = &[
    (
        "v5_4_7_2_retained_at_the_qos_of_the_subscription",
        r#"a connect 5
        a sub $SYS/broker/uptime 0
        a < 31 { "$SYS/broker/uptime" {} '0 seconds' }
        b connect 311
        b sub $SYS/broker/clients/+ 2
        b <* 33
        c connect 5
        c sub $SYS/broker/clients/expired 2
        c < 33 { "$SYS/broker/clients/expired" @1 {} '0' }
        c quiet"#,
    ),
    (
        "v5_4_7_2_1_no_leading_wildcard_takes_them",
        r#"a connect 5
        a sub # 0
        a sub +/broker/# 0
        a sub +/broker/uptime 0
        wait 200
        a quiet"#,
    ),
    (
        "v5_4_7_2_clients_change_nothing",
        r#"b connect 5
        b > 33 { "$SYS/broker/uptime" 0001 {} 'mine' } 33 { "$SYS/broker/mine" 0002 {} 'mine' }
        b < 40 { 0001 87 }
        b < 40 { 0002 87 }
        a connect 5
        a sub $SYS/broker/mine 0
        a sub $SYS/broker/uptime 0
        a < 31 { "$SYS/broker/uptime" {} '0 seconds' }
        a quiet"#,
    ),
];

#[test]
fn at_the_start() {
    run_all(&["sys.interval=24h"], AT_THE_START);
}

const OFF: &[Case] = &[(
    "interval_0",
    r#"a connect 5
    a sub $SYS/# 0
    wait 200
    a quiet"#,
)];

#[test]
fn off() {
    run_all(&["sys.interval=0s"], OFF);
}

/// Where nothing is retained, all values come each time.
const NOT_RETAINED: &[Case] = &[(
    "each_time",
    r#"a connect 5
    a sub $SYS/broker/clients/expired 0
    a < 30 { "$SYS/broker/clients/expired" {} '0' }
    a < 30 { "$SYS/broker/clients/expired" {} '0' }"#,
)];

#[test]
fn not_retained() {
    run_all(&["sys.interval=100ms", "limits.retain_available=false"], NOT_RETAINED);
}

/// The broker's own take no place from those of clients.
const AT_THE_LIMIT: &[Case] = &[(
    "max_retained_messages_is_for_clients",
    r#"b connect 5
    b > 33 { "t" 0001 {} 'x' }
    b < 40 { 0001 10 }
    a connect 5
    a sub t 0
    a < 31 { "t" {} 'x' }
    a sub $SYS/broker/uptime 0
    a <* 31
    b > 33 { "t" 0001 {} }
    b < 40 { 0001 }"#,
)];

#[test]
fn at_the_limit() {
    run_all(&["sys.interval=24h", "limits.max_retained_messages=1"], AT_THE_LIMIT);
}

/// What `millrace status` answers.
pub fn status(broker: &Broker) -> serde_json::Value {
    let mut command = millrace();
    let output = command.args(["status", "--json", "--data"]).arg(broker.data()).output().expect("it runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Reads values until they are as expected.
fn values_become(reader: &mut Raw, expected: &[(&str, &str)]) {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let wrong = expected.iter().find(|(topic, value)| {
            values.get(&format!("$SYS/broker/{topic}")).is_none_or(|now| now != value)
        });
        let Some(wrong) = wrong else { return };
        assert!(Instant::now() < deadline, "not {wrong:?} among {values:#?}");
        let Read::Packet(packet) = reader.read(Duration::from_secs(5)) else {
            panic!("no more came; not {wrong:?} among {values:#?}");
        };
        assert_eq!(packet[0] & 0xfe, 0x30, "not a PUBLISH of QoS 0");
        let topic_end = 4 + usize::from(packet[3]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        values.insert(text(&packet[4..topic_end]), text(&packet[topic_end..]));
    }
}

/// A conversation on both cores, and what is said of it. Hooks that take everything take none of it.
#[test]
fn figures() {
    let settings = ["sys.interval=100ms", "hook.a.on=message.publish", "hook.a.topic=a"];
    let deliver = ["hook.b.on=message.deliver", "hook.b.filter=$SYS/#", "hook.b.topic=b"];
    let broker = Broker::start(&[&settings[..], &deliver[..]].concat());
    let mut a = Raw::connect(&broker, Version::V311, &broker.client_id_on(0, "a"));
    let mut b = Raw::connect(&broker, Version::V311, &broker.client_id_on(1, "b"));
    b.subscribe("t/#", QoS::AtMostOnce);
    b.subscribe("t/1", QoS::AtMostOnce);
    b.subscribe("$share/g/t/2", QoS::AtMostOnce);
    a.publish("t/1", b"12345", QoS::AtLeastOnce, 7);
    a.expect(&[0x40, 2, 0, 7]);
    assert_eq!(b.expect_publish().1, b"12345");
    a.publish_retained("u", b"123", 8);
    a.expect(&[0x40, 2, 0, 8]);
    let mut reader = Raw::connect(&broker, Version::V311, &broker.client_id_on(1, "reader"));
    reader.subscribe("$SYS/#", QoS::AtMostOnce);
    let version = concat!("millrace version ", env!("CARGO_PKG_VERSION"));
    values_become(
        &mut reader,
        &[
            ("version", version),
            ("clients/total", "3"),
            ("clients/connected", "3"),
            ("clients/disconnected", "0"),
            ("clients/maximum", "3"),
            ("subscriptions/count", "4"),
            ("shared_subscriptions/count", "1"),
            ("publish/messages/received", "2"),
            ("publish/bytes/received", "8"),
            ("publish/messages/dropped", "0"),
            // CONNECT, SUBSCRIBE and PUBLISH of all.
            ("messages/received", "9"),
        ],
    );
    b.disconnect();
    values_become(
        &mut reader,
        &[
            ("clients/total", "2"),
            ("clients/active", "2"),
            ("subscriptions/count", "1"),
            ("shared_subscriptions/count", "0"),
            ("messages/received", "10"),
        ],
    );
    let status = status(&broker);
    let hook = |name: &str| {
        status["hooks"].as_array().and_then(|all| all.iter().find(|hook| hook["name"] == name).cloned())
    };
    let numbers = ["sessions", "away", "subscriptions", "published", "dropped"];
    assert_eq!(numbers.map(|name| status[name].as_u64()), [2, 0, 1, 2, 0].map(Some), "{status}");
    assert_eq!(hook("a").expect("a")["taken"], 2);
    assert_eq!(hook("b").expect("b")["taken"], 0);
}
