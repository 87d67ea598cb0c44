//! Cases made by putting values into fields: every code point of interest into every text field, an
//! overlong integer into every place where a variable byte integer stands.

use super::wire;
use crate::Version;

/// One generated packet.
#[derive(Clone, Debug)]
pub struct FieldCase {
    /// Field and value.
    pub name: String,
    /// The version of the connection.
    pub version: Version,
    /// The whole packet.
    pub bytes: Vec<u8>,
    /// Whether it is a packet; if not, it is malformed (0x81; 0x85 for a client identifier).
    pub valid: bool,
}

/// Contents of text fields: name, bytes in hex, and whether they are text that MQTT allows
/// ([MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-1.5.4-3]).
pub const CODE_POINTS: &[(&str, &str, bool)] = &[
    ("U+0000", "00", false),
    ("U+0000 after text", "61 62 00", false),
    ("U+0000 in two bytes", "C0 80", false),
    ("U+0001", "01", true),
    ("U+001F", "1F", true),
    ("U+007F", "7F", true),
    ("U+0080", "C2 80", true),
    ("U+009F", "C2 9F", true),
    ("U+07FF", "DF BF", true),
    ("U+0800", "E0 A0 80", true),
    ("U+D7FF", "ED 9F BF", true),
    ("U+D800, a surrogate", "ED A0 80", false),
    ("U+DFFF, a surrogate", "ED BF BF", false),
    ("a surrogate pair", "ED A0 81 ED B0 80", false),
    ("U+E000", "EE 80 80", true),
    ("U+FEFF", "EF BB BF", true),
    ("U+FFFD", "EF BF BD", true),
    ("U+FFFE", "EF BF BE", true),
    ("U+FFFF", "EF BF BF", true),
    ("U+10000", "F0 90 80 80", true),
    ("U+10FFFF", "F4 8F BF BF", true),
    ("U+110000", "F4 90 80 80", false),
    ("0xF5", "F5 80 80 80", false),
    ("0xFF", "FF", false),
    ("0xFE", "61 FE 62", false),
    ("continuation alone", "80", false),
    ("continuation missing", "61 C3", false),
    ("continuation wrong", "C3 28", false),
    ("three bytes cut", "E2 82", false),
    ("four bytes cut", "F0 9F 98", false),
    ("a slash in two bytes", "C0 AF", false),
    ("a slash in three bytes", "E0 80 AF", false),
    ("four bytes for U+FFFF", "F0 8F BF BF", false),
    ("bad after thirty good", "61*30 FF", false),
];

/// Of those, the control characters, which a name may not have and a text may (section 1.5.4).
const CONTROLS: &[&str] = &["U+0001", "U+001F", "U+007F", "U+0080", "U+009F"];

/// Every field that names something; `@` is where its content goes.
const NAME_FIELDS: &[(&str, Version, &str)] = &[
    ("CONNECT client identifier, 3.1", Version::V31, r#"10 { "MQIsdp" 03 02 003C [@] }"#),
    ("CONNECT client identifier, 3.1.1", Version::V311, r#"10 { "MQTT" 04 02 003C [@] }"#),
    ("CONNECT client identifier", Version::V5, r#"10 { "MQTT" 05 02 003C {} [@] }"#),
    ("CONNECT user name, 3.1", Version::V31, r#"10 { "MQIsdp" 03 82 003C "a" [@] }"#),
    ("CONNECT user name, 3.1.1", Version::V311, r#"10 { "MQTT" 04 C2 003C "a" [@] "word" }"#),
    ("CONNECT user name", Version::V5, r#"10 { "MQTT" 05 82 003C {} "a" [@] }"#),
    ("CONNECT will topic, 3.1.1", Version::V311, r#"10 { "MQTT" 04 06 003C "a" [@] "gone" }"#),
    ("CONNECT will topic", Version::V5, r#"10 { "MQTT" 05 06 003C {} "a" {} [@] "gone" }"#),
    ("PUBLISH topic, 3.1", Version::V31, "30 { [@] 'payload' }"),
    ("PUBLISH topic, 3.1.1", Version::V311, "32 { [@] 0001 'payload' }"),
    ("PUBLISH topic", Version::V5, "34 { [@] 0001 {} 'payload' }"),
    ("SUBSCRIBE filter, 3.1", Version::V31, "82 { 0001 [@] 00 }"),
    ("SUBSCRIBE second filter, 3.1.1", Version::V311, r#"82 { 0001 "a" 00 [@] 00 }"#),
    ("SUBSCRIBE filter", Version::V5, "82 { 0001 {} [@] 00 }"),
    ("UNSUBSCRIBE filter, 3.1.1", Version::V311, "A2 { 0001 [@] }"),
    ("UNSUBSCRIBE second filter", Version::V5, r#"A2 { 0001 {} "a" [@] }"#),
    ("will response topic", Version::V5, r#"10 { "MQTT" 05 06 003C {} "a" { 08 [@] } "w" "gone" }"#),
    ("PUBLISH response topic", Version::V5, r#"30 { "a" { 08 [@] } }"#),
];

/// Every other text field of every packet.
const TEXT_FIELDS: &[(&str, Version, &str)] = &[
    ("CONNECT authentication method", Version::V5, r#"10 { "MQTT" 05 02 003C { 15 [@] } "a" }"#),
    ("CONNECT user property name", Version::V5, r#"10 { "MQTT" 05 02 003C { 26 [@] "v" } "a" }"#),
    ("CONNECT user property value", Version::V5, r#"10 { "MQTT" 05 02 003C { 26 "k" [@] } "a" }"#),
    ("will content type", Version::V5, r#"10 { "MQTT" 05 06 003C {} "a" { 03 [@] } "w" "gone" }"#),
    ("will user property", Version::V5, r#"10 { "MQTT" 05 06 003C {} "a" { 26 [@] "v" } "w" "gone" }"#),
    ("CONNACK assigned client identifier", Version::V5, "20 { 00 00 { 12 [@] } }"),
    ("CONNACK reason string", Version::V5, "20 { 00 00 { 1F [@] } }"),
    ("CONNACK response information", Version::V5, "20 { 00 00 { 1A [@] } }"),
    ("CONNACK server reference", Version::V5, "20 { 00 00 { 1C [@] } }"),
    ("CONNACK authentication method", Version::V5, "20 { 00 00 { 15 [@] } }"),
    ("PUBLISH content type", Version::V5, r#"30 { "a" { 03 [@] } }"#),
    ("PUBLISH user property name", Version::V5, r#"30 { "a" { 26 [@] "v" } }"#),
    ("PUBLISH user property value", Version::V5, r#"30 { "a" { 26 "k" [@] } }"#),
    ("PUBACK reason string", Version::V5, "40 { 0001 00 { 1F [@] } }"),
    ("PUBREC reason string", Version::V5, "50 { 0001 00 { 1F [@] } }"),
    ("PUBREL reason string", Version::V5, "62 { 0001 00 { 1F [@] } }"),
    ("PUBCOMP user property", Version::V5, r#"70 { 0001 00 { 26 "k" [@] } }"#),
    ("SUBSCRIBE user property", Version::V5, r#"82 { 0001 { 26 [@] "v" } "a" 00 }"#),
    ("SUBACK reason string", Version::V5, "90 { 0001 { 1F [@] } 00 }"),
    ("UNSUBSCRIBE user property", Version::V5, r#"A2 { 0001 { 26 "k" [@] } "a" }"#),
    ("UNSUBACK reason string", Version::V5, "B0 { 0001 { 1F [@] } 00 }"),
    ("DISCONNECT reason string", Version::V5, "E0 { 00 { 1F [@] } }"),
    ("DISCONNECT server reference", Version::V5, "E0 { 00 { 1C [@] } }"),
    ("AUTH authentication method", Version::V5, "F0 { 18 { 15 [@] } }"),
    ("AUTH reason string", Version::V5, r#"F0 { 18 { 15 "A" 1F [@] } }"#),
];

/// Every place of a variable byte integer; `@` is where it goes. Behind it stands enough for an integer
/// that was accepted to find its data.
const VARINT_FIELDS: &[(&str, Version, &str)] = &[
    ("CONNECT remaining length", Version::V311, "10 @ 00*16"),
    ("CONNACK remaining length", Version::V311, "20 @ 00*16"),
    ("PUBLISH remaining length", Version::V311, "30 @ 00*16"),
    ("PUBACK remaining length", Version::V311, "40 @ 00*16"),
    ("PUBREC remaining length", Version::V5, "50 @ 00*16"),
    ("PUBREL remaining length", Version::V5, "62 @ 00*16"),
    ("PUBCOMP remaining length", Version::V5, "70 @ 00*16"),
    ("SUBSCRIBE remaining length", Version::V5, "82 @ 00*16"),
    ("SUBACK remaining length", Version::V5, "90 @ 00*16"),
    ("UNSUBSCRIBE remaining length", Version::V31, "A2 @ 00*16"),
    ("UNSUBACK remaining length", Version::V31, "B0 @ 00*16"),
    ("PINGREQ remaining length", Version::V31, "C0 @ 00*16"),
    ("PINGRESP remaining length", Version::V31, "D0 @ 00*16"),
    ("DISCONNECT remaining length", Version::V5, "E0 @ 00*16"),
    ("AUTH remaining length", Version::V5, "F0 @ 00*16"),
    ("CONNECT property length", Version::V5, r#"10 { "MQTT" 05 02 003C @ "a" }"#),
    ("will property length", Version::V5, r#"10 { "MQTT" 05 06 003C {} "a" @ "w" "gone" }"#),
    ("CONNACK property length", Version::V5, "20 { 00 00 @ }"),
    ("PUBLISH property length", Version::V5, r#"30 { "a" @ 'payload' }"#),
    ("PUBLISH QoS 1 property length", Version::V5, r#"32 { "a" 0001 @ 'payload' }"#),
    ("PUBLISH subscription identifier", Version::V5, r#"30 { "a" { 0B @ } 'payload' }"#),
    ("PUBACK property length", Version::V5, "40 { 0001 00 @ }"),
    ("PUBREC property length", Version::V5, "50 { 0001 00 @ }"),
    ("PUBREL property length", Version::V5, "62 { 0001 00 @ }"),
    ("PUBCOMP property length", Version::V5, "70 { 0001 00 @ }"),
    ("SUBSCRIBE property length", Version::V5, r#"82 { 0001 @ "a" 00 }"#),
    ("SUBSCRIBE subscription identifier", Version::V5, r#"82 { 0001 { 0B @ } "a" 00 }"#),
    ("SUBACK property length", Version::V5, "90 { 0001 @ 00 }"),
    ("UNSUBSCRIBE property length", Version::V5, r#"A2 { 0001 @ "a" }"#),
    ("UNSUBACK property length", Version::V5, "B0 { 0001 @ 00 }"),
    ("DISCONNECT property length", Version::V5, "E0 { 00 @ }"),
    ("AUTH property length", Version::V5, "F0 { 00 @ }"),
];

/// Five bytes, or four that say there is a fifth (section 1.5.5).
const OVERLONG: &[&str] = &["80 80 80 80 00", "80 80 80 80 01", "FF FF FF FF 7F", "FF FF FF FF FF"];

/// Every code point in every text field: those that are not text are malformed wherever they stand.
#[must_use]
pub fn string_cases() -> Vec<FieldCase> {
    let case = |(field, version, template): (&str, Version, &str), (value, bytes, valid)| FieldCase {
        name: format!("{field}: {value}"),
        version,
        bytes: wire(&template.replace('@', bytes)),
        valid,
    };
    let texts = TEXT_FIELDS.iter().flat_map(|&field| CODE_POINTS.iter().map(move |&value| (field, value)));
    let names = NAME_FIELDS.iter().flat_map(|&field| {
        CODE_POINTS
            .iter()
            .map(move |&(value, bytes, valid)| (field, (value, bytes, valid && !CONTROLS.contains(&value))))
    });
    names.chain(texts).map(|(field, value)| case(field, value)).collect()
}

/// Overlong integers in every place where a variable byte integer stands: all malformed.
#[must_use]
pub fn varint_cases() -> Vec<FieldCase> {
    let case = |(field, version, template): (&str, Version, &str), bytes: &str| FieldCase {
        name: format!("{field}: {bytes}"),
        version,
        bytes: wire(&template.replace('@', bytes)),
        valid: false,
    };
    VARINT_FIELDS.iter().flat_map(|&field| OVERLONG.iter().map(move |&value| case(field, value))).collect()
}
