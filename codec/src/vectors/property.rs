//! Vectors of properties that are not of one packet more than of another.

use super::{MALFORMED, PROTOCOL, V5, Vector, bad, ok};

pub(super) const TABLE: &[Vector] = &[
    ok(
        V5,
        "user property repeated keeps its order",
        "2.2.2.2",
        r#"E0 { 00 { 26 "b" "2" 26 "a" "1" 26 "b" "2" } }"#,
    ),
    ok(V5, "user property of 65,535 bytes", "1.5.7", "E0 { 00 { 26 [6B*65535] [76*65535] } }"),
    ok(V5, "property length of 127", "2.2.2.1", "E0 { 00 { 1F [78*124] } }"),
    ok(V5, "property length of 128", "2.2.2.1", "E0 { 00 { 1F [78*125] } }"),
    bad(V5, MALFORMED, "byte cut", "2.2.2.2", r#"30 { "a" { 01 } }"#),
    bad(V5, MALFORMED, "two bytes cut", "2.2.2.2", r#"30 { "a" { 23 00 } }"#),
    bad(V5, MALFORMED, "four bytes cut", "2.2.2.2", r#"30 { "a" { 02 000000 } }"#),
    bad(V5, MALFORMED, "varint cut", "2.2.2.2", r#"30 { "a" { 0B 80 } }"#),
    bad(V5, MALFORMED, "text length cut", "2.2.2.2", r#"30 { "a" { 03 00 } }"#),
    bad(V5, MALFORMED, "binary cut", "2.2.2.2", r#"30 { "a" { 09 0002 00 } }"#),
    bad(V5, MALFORMED, "pair cut", "2.2.2.2", r#"30 { "a" { 26 "k" 0001 } }"#),
    bad(V5, MALFORMED, "first of a pair with U+0000", "MQTT-1.5.7-1", r#"30 { "a" { 26 [00] "v" } }"#),
    bad(V5, MALFORMED, "second of a pair not UTF-8", "MQTT-1.5.7-1", r#"30 { "a" { 26 "k" [C0 80] } }"#),
    bad(V5, MALFORMED, "identifier 0x2B", "2.2.2.2", "E0 { 00 { 2B 00 } }"),
    bad(V5, MALFORMED, "identifier 0x7F", "2.2.2.2", "E0 { 00 { 7F } }"),
    bad(V5, MALFORMED, "identifier 0xFF", "2.2.2.2", "E0 { 00 { FF } }"),
    bad(V5, PROTOCOL, "assigned client identifier twice", "3.2.2.3.7", r#"20 { 00 00 { 12 "a" 12 "a" } }"#),
    bad(V5, PROTOCOL, "server keep alive twice", "3.2.2.3.14", "20 { 00 00 { 13 0001 13 0001 } }"),
    bad(V5, PROTOCOL, "response information twice", "3.2.2.3.15", r#"20 { 00 00 { 1A "a" 1A "a" } }"#),
    bad(V5, PROTOCOL, "server reference twice", "3.2.2.3.16", r#"E0 { 9C { 1C "a" 1C "a" } }"#),
    bad(V5, PROTOCOL, "maximum QoS twice", "3.2.2.3.4", "20 { 00 00 { 24 00 24 00 } }"),
    bad(
        V5,
        PROTOCOL,
        "topic alias maximum twice",
        "3.1.2.11.5",
        r#"10 { "MQTT" 05 02 003C { 22 0001 22 0001 } "a" }"#,
    ),
];
