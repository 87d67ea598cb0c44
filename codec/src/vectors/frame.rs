//! Vectors of the fixed header.

use super::{ALL, MALFORMED, SINCE_V311, V3, V5, V31, Vector, bad, ok, ok_as};

pub(super) const TABLE: &[Vector] = &[
    bad(ALL, MALFORMED, "type 0", "2.1.2", "00 {}"),
    bad(ALL, MALFORMED, "type 0 with flags", "2.1.2", "0F {}"),
    bad(ALL, MALFORMED, "CONNECT with flags", "MQTT-2.1.3-1", r#"11 { "MQTT" 04 02 003C "a" }"#),
    bad(ALL, MALFORMED, "CONNACK with flags", "MQTT-2.1.3-1", "22 { 0000 }"),
    bad(ALL, MALFORMED, "PUBACK with flags", "MQTT-2.1.3-1", "42 { 0001 }"),
    bad(ALL, MALFORMED, "PUBREC with flags", "MQTT-2.1.3-1", "51 { 0001 }"),
    bad(ALL, MALFORMED, "PUBREL without flags", "MQTT-3.6.1-1", "60 { 0001 }"),
    bad(ALL, MALFORMED, "PUBREL with all flags", "MQTT-3.6.1-1", "6F { 0001 }"),
    bad(ALL, MALFORMED, "PUBCOMP with flags", "MQTT-2.1.3-1", "72 { 0001 }"),
    bad(ALL, MALFORMED, "SUBSCRIBE without flags", "MQTT-3.8.1-1", r#"80 { 0001 "a" 00 }"#),
    bad(ALL, MALFORMED, "SUBSCRIBE with other flags", "MQTT-3.8.1-1", r#"83 { 0001 "a" 00 }"#),
    bad(ALL, MALFORMED, "SUBACK with flags", "MQTT-2.1.3-1", "92 { 0001 00 }"),
    bad(ALL, MALFORMED, "UNSUBSCRIBE without flags", "MQTT-3.10.1-1", r#"A0 { 0001 "a" }"#),
    bad(ALL, MALFORMED, "UNSUBSCRIBE with other flags", "MQTT-3.10.1-1", r#"A6 { 0001 "a" }"#),
    bad(ALL, MALFORMED, "UNSUBACK with flags", "MQTT-2.1.3-1", "B2 { 0001 }"),
    bad(ALL, MALFORMED, "PINGREQ with flags", "MQTT-2.1.3-1", "C1 {}"),
    bad(ALL, MALFORMED, "PINGRESP with flags", "MQTT-2.1.3-1", "D8 {}"),
    bad(ALL, MALFORMED, "DISCONNECT with flags", "MQTT-3.14.1-1", "E1 {}"),
    bad(ALL, MALFORMED, "AUTH with flags", "MQTT-3.15.1-1", "F1 {}"),
    // 3.1 gives PUBREL, SUBSCRIBE and UNSUBSCRIBE a DUP flag, which carries nothing.
    ok_as(V31, "PUBREL repeated in 3.1", "3.1: 3.6", "6A { 0001 }", "62 { 0001 }"),
    ok_as(V31, "SUBSCRIBE repeated in 3.1", "3.1: 3.8", r#"8A { 0001 "a" 00 }"#, r#"82 { 0001 "a" 00 }"#),
    ok_as(V31, "UNSUBSCRIBE repeated in 3.1", "3.1: 3.10", r#"AA { 0001 "a" }"#, r#"A2 { 0001 "a" }"#),
    bad(SINCE_V311, MALFORMED, "PUBREL with DUP", "MQTT-3.6.1-1", "6A { 0001 }"),
    bad(SINCE_V311, MALFORMED, "SUBSCRIBE with DUP", "MQTT-3.8.1-1", r#"8A { 0001 "a" 00 }"#),
    bad(SINCE_V311, MALFORMED, "UNSUBSCRIBE with DUP", "MQTT-3.10.1-1", r#"AA { 0001 "a" }"#),
    bad(ALL, MALFORMED, "length of five bytes", "2.1.4", "30 80 80 80 80 01"),
    bad(ALL, MALFORMED, "length of four bytes that goes on", "2.1.4", "C0 FF FF FF FF"),
    // 3.x does not ask for the shortest form.
    ok_as(V3, "length in two bytes for one", "3.1.1: 2.2.3", "C0 80 00", "C0 00"),
    ok_as(V3, "length in four bytes for one", "3.1.1: 2.2.3", "40 82 80 80 00 0001", "40 02 0001"),
    bad(V5, MALFORMED, "length in two bytes for one, 5.0", "MQTT-1.5.5-1", "C0 80 00"),
    bad(V5, MALFORMED, "length in four bytes for one, 5.0", "MQTT-1.5.5-1", "40 82 80 80 00 0001"),
    ok(V3, "length of 127", "2.1.4", r#"30 { "a" 78*124 }"#),
    ok(V3, "length of 128", "2.1.4", r#"30 { "a" 78*125 }"#),
    ok(V3, "length of 16,383", "2.1.4", r#"30 { "a" 78*16380 }"#),
    ok(V3, "length of 16,384", "2.1.4", r#"30 { "a" 78*16381 }"#),
];
