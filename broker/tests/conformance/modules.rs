//! The small modules: delayed messages, rewritten topics and filters, automatic subscriptions.

use crate::script::{Case, run_all};
use crate::support::{Broker, Raw, millrace};
use crate::sys::status;
use millrace_codec::{QoS, Version};
use std::time::{Duration, Instant};

const DELAYED: &[Case] = &[
    (
        "v5_acknowledged_now_and_published_later",
        r#"a connect 5
        a sub %/t 1
        a sub $delayed/# 1
        b connect 5
        b > 32 { "$delayed/1/%/t" 0001 { 03 "text" } 'late' } 32 { "%/t" 0002 {} 'now' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        a < 32 { "%/t" @1 {} 'now' }
        a quiet
        b > E0 00
        wait 1000
        a < 32 { "%/t" @2 { 03 "text" } 'late' }"#,
    ),
    (
        "v311_qos_2_and_0_in_their_order",
        r#"a connect 311
        a sub %/t 2
        b connect 311
        b > 34 { "$delayed/1/%/t" 0001 '2' } 30 { "$delayed/1/%/t" '0' }
        b < 50 { 0001 }
        b > 62 { 0001 }
        b < 70 { 0001 }
        a quiet
        a < 34 { "%/t" @1 '2' }
        a < 30 { "%/t" '0' }"#,
    ),
    (
        "v5_3_3_1_5_kept_from_then_on",
        r#"b connect 5
        b > 33 { "$delayed/1/%/t" 0001 {} 'x' }
        b < 40 { 0001 }
        a connect 5
        a sub %/t 0
        a quiet
        a < 30 { "%/t" {} 'x' }
        c connect 5
        c sub %/t 0
        c < 31 { "%/t" {} 'x' }
        b > 33 { "%/t" 0001 {} }
        b < 40 { 0001 }"#,
    ),
    (
        "v5_3_3_2_3_3_the_expiry_counts_from_then_on",
        r#"a connect 5
        a sub %/t 0
        b connect 5
        b > 30 { "$delayed/2/%/t" { 02 00000001 } 'x' }
        a < 30 { "%/t" { 02 00000001 } 'x' }"#,
    ),
    (
        "v5_refused",
        r#"b connect 5
        b > 32 { "$delayed/0/t" 0001 {} } 32 { "$delayed/11/t" 0002 {} } 34 { "$delayed/1" 0003 {} }
        b < 40 { 0001 90 }
        b < 40 { 0002 90 }
        b < 50 { 0003 90 }
        b > 30 { "$delayed/x/t" {} } 32 { "$delayed/1/$SYS/t" 0004 {} }
        b < 40 { 0004 90 }
        b > 32 { "$delayed/1/$share/g/t" 0005 {} }
        b < 40 { 0005 90 }
        b quiet"#,
    ),
    (
        "v311_refused",
        r#"a connect 311
        a sub $delayed/# 0
        b connect 311
        b > 32 { "$delayed/0/t" 0001 'x' }
        b < 40 { 0001 }
        a quiet"#,
    ),
];

#[test]
fn delayed() {
    run_all(&["delayed.enabled=true", "delayed.max_seconds=10"], DELAYED);
}

const DELAYED_OFF: &[Case] = &[(
    "a_topic_like_any_other",
    r#"a connect 5
    a sub $delayed/# 0
    b connect 5
    b > 32 { "$delayed/0/t" 0001 {} 'x' }
    b < 40 { 0001 }
    a < 30 { "$delayed/0/t" {} 'x' }"#,
)];

#[test]
fn delayed_off() {
    run_all(&[], DELAYED_OFF);
}

/// What a full core refuses; there is room again once a message has been published. The first two run one after the other
/// on the same core.
const DELAYED_FULL: &[Case] = &[
    (
        "v5_3_4_2_1_when_there_are_max_messages",
        r#"b connect 5
        b > 32 { "$delayed/1/%/t" 0001 {} 'x' } 32 { "$delayed/1/%/t" 0002 {} 'x' } 32 { "$delayed/1/%/t" 0003 {} 'x' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        b < 40 { 0003 97 }
        wait 1200
        b > 32 { "$delayed/1/%/t" 0004 {} 'x' }
        b < 40 { 0004 }
        wait 1200"#,
    ),
    (
        "v311_closed_when_there_are_max_messages",
        r#"b connect 311
        b > 32 { "$delayed/1/%/t" 0001 'x' } 32 { "$delayed/1/%/t" 0002 'x' } 32 { "$delayed/1/%/t" 0003 'x' }
        b < 40 { 0001 }
        b < 40 { 0002 }
        b closed
        wait 1200"#,
    ),
    (
        "v5_3_4_2_1_when_there_are_max_bytes",
        r#"b connect 5
        b > 32 { "$delayed/1/%/t" 0001 {} 78*900 } 32 { "$delayed/1/%/t" 0002 {} 78*200 }
        b < 40 { 0001 }
        b < 40 { 0002 97 }
        wait 1200"#,
    ),
];

#[test]
fn delayed_full() {
    run_all(&["delayed.enabled=true", "delayed.max_messages=2", "delayed.max_bytes=1KiB"], DELAYED_FULL);
}

/// A hook gets a delayed message when it is published, and only then, in its publisher's name.
#[test]
fn delayed_and_hooks() {
    let hook = ["hook.h.on=message.publish", "hook.h.topic=s"];
    let broker = Broker::start(&[&hook[..], &["delayed.enabled=true"]].concat());
    let mut b = Raw::connect(&broker, Version::V311, "publisher");
    b.publish("$delayed/1/t", b"x", QoS::AtLeastOnce, 1);
    b.expect(&[0x40, 2, 0, 1]);
    let taken = || {
        let hooks = &status(&broker)["hooks"];
        hooks
            .as_array()
            .into_iter()
            .flatten()
            .find(|hook| hook["name"] == "h")
            .map(|hook| hook["taken"].clone())
    };
    assert_eq!(taken(), Some(0.into()));
    let deadline = Instant::now() + Duration::from_secs(5);
    while taken() != Some(1.into()) {
        assert!(Instant::now() < deadline, "{:?}", taken());
    }
    let mut command = millrace();
    command.args(["consume", "s", "--from-beginning", "--max", "1", "--data"]).arg(broker.data());
    let output = command.output().expect("it runs");
    let record = String::from_utf8(output.stdout).expect("text");
    assert!(record.starts_with(r#"{"client_id":"publisher","username":"","topic":"t","#), "{record}");
}

const REWRITTEN: &[Case] = &[
    (
        "v5_topics",
        r#"a connect 5
        a sub new/# 0
        b connect 5
        b > 30 { "old/1/%/x" {} '1' } 32 { "old/1/%/x" 0001 {} '2' } 34 { "old/1/%/x" 0002 {} '3' }
        b < 40 { 0001 }
        b < 50 { 0002 }
        a < 30 { "new/%/x/1" {} '1' }
        a < 30 { "new/%/x/1" {} '2' }
        a < 30 { "new/%/x/1" {} '3' }"#,
    ),
    (
        "v5_filters_and_back",
        r#"a connect 5
        a sub in/%/+ 0
        b connect 5
        b pub out/%/x 0 1
        a < 30 { "out/%/x" {} '1' }
        a > A2 { 0001 {} "in/%/+" }
        a < B0 { 0001 {} 00 }
        b pub out/%/x 0 2
        a quiet"#,
    ),
    (
        "v5_a_rule_for_filters_leaves_topics",
        r#"a connect 5
        a sub plain/# 0
        b connect 5
        b pub in/%/x 0 1
        a quiet"#,
    ),
    (
        "v5_the_client_id",
        r#"a connect 5
        a sub by/# 0
        b connect 5
        b > 30 { "me/%/x" {} '1' }
        a < 30 { "by/%b/%/x" {} '1' }"#,
    ),
    (
        "v5_what_would_be_wrong_stays",
        r#"a connect 5
        a sub bare/# 0
        b connect 5
        b > 30 { "bare/" {} '1' } 30 { "bare/$SYS/x" {} '2' }
        a < 30 { "bare/" {} '1' }
        a < 30 { "bare/$SYS/x" {} '2' }"#,
    ),
    (
        "v5_3_3_2_3_4_the_topic_of_an_alias",
        r#"a connect 5
        a sub new/# 0
        b connect 5
        b > 30 { "old/1/%/x" { 23 0001 } '1' } 30 { "" { 23 0001 } '2' }
        a < 30 { "new/%/x/1" {} '1' }
        a < 30 { "new/%/x/1" {} '2' }"#,
    ),
    (
        "v5_3_1_2_8_wills",
        r#"a connect 5
        a sub new/# 0
        b > 10 { "MQTT" 05 06 003C {} "%b" {} "old/1/%/x" "w" }
        b accepted
        b rst
        a < 30 { "new/%/x/1" {} 'w' }"#,
    ),
];

#[test]
fn rewritten() {
    let settings = [
        "rewrite.a.filter=old/+/#",
        "rewrite.a.to=new/%2/%1",
        "rewrite.b.filter=in/#",
        "rewrite.b.to=out/%1",
        "rewrite.b.action=subscribe",
        "rewrite.c.filter=me/#",
        "rewrite.c.to=by/%c/%1",
        "rewrite.d.filter=bare/#",
        "rewrite.d.to=%1",
        "rewrite.d.action=publish",
    ];
    run_all(&settings, REWRITTEN);
}

const FROM_THE_START: &[Case] = &[
    (
        "v5_each_new_session_has_them",
        r#"b connect 311
        wait 100
        b > 33 { "all/t" 0001 'kept' }
        b < 40 { 0001 }
        b < 30 { "all/t" 'kept' }
        a connect 5
        a < 31 { "all/t" {} 'kept' }
        b pub to/%a/x 1 mine
        a < 32 { "to/%a/x" @1 {} 'mine' }
        b pub to/nobody/x 0 theirs
        a quiet
        b > 33 { "all/t" 0001 }
        b < 40 { 0001 }"#,
    ),
    (
        "v5_the_client_may_unsubscribe_and_a_kept_session_remembers",
        r#"b connect 311
        a > 10 { "MQTT" 05 00 003C { 11 00000064 } "%a" }
        a accepted
        a > A2 { 0001 {} "to/%a/#" }
        a < B0 { 0001 {} 00 }
        a > E0 00
        a closed
        a > 10 { "MQTT" 05 00 003C { 11 00000000 } "%a" }
        a resumed
        b pub to/%a/x 0 1
        a quiet"#,
    ),
    (
        "v5_an_id_with_levels_gets_none_for_it",
        r#"a > 10 { "MQTT" 05 02 003C {} "%a/x" }
        a accepted
        b connect 5
        b pub to/%a/x/y 0 1
        b pub all/t 0 2
        b <* 30
        a < 30 { "all/t" {} '2' }"#,
    ),
];

#[test]
fn from_the_start() {
    let settings = ["subscribe.a.filter=to/%c/#", "subscribe.a.qos=1", "subscribe.b.filter=all/#"];
    run_all(&settings, FROM_THE_START);
}
