//! Strings and topic names against a search byte by byte.

use proptest::prelude::*;

use super::*;
use crate::Guilt;

#[test]
fn a_forbidden_byte_is_found_wherever_it_stands() {
    for len in 0..70 {
        let good = vec![b'x'; len];
        assert_eq!(topic_name(&good).map(str::len), Ok(len));
        for at in 0..len {
            for (byte, reason) in [
                (b'+', ReasonCode::TopicNameInvalid),
                (b'#', ReasonCode::TopicNameInvalid),
                (0, ReasonCode::MalformedPacket),
                (0x1F, ReasonCode::MalformedPacket),
                (0x7F, ReasonCode::MalformedPacket),
                (0xFF, ReasonCode::MalformedPacket),
            ] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                let error = topic_name(&bytes).expect_err("forbidden");
                assert_eq!(error.reason, reason, "0x{byte:02X} at {at} of {len}");
                assert_eq!(
                    string(&bytes).is_err(),
                    byte == 0 || byte == 0xFF,
                    "0x{byte:02X} at {at} of {len}"
                );
            }
        }
    }
}

#[test]
fn topic_names() {
    for (topic, valid) in [
        ("a", true),
        ("/", true),
        ("//", true),
        ("$SYS/broker", true),
        (" ", true),
        ("Köln/°C/𝄞", true),
        ("\u{FEFF}", true),
        ("", false),
        ("+", false),
        ("#", false),
        ("a/+/b", false),
        ("a/b#", false),
        ("a\0b", false),
        ("a\u{1}b", false),
        ("a\u{7F}b", false),
        ("a\u{80}b", false),
        ("a\u{9F}b", false),
        ("a\u{A0}b", true),
    ] {
        assert_eq!(is_valid_topic_name(topic), valid, "{topic:?}");
    }
    assert!(is_valid_topic_name(&"x".repeat(65_535)));
    assert!(!is_valid_topic_name(&"x".repeat(65_536)));
}

#[test]
fn a_filter_is_not_empty() {
    assert_eq!(topic_filter(&mut Reader::new(&[0, 1, b'#'])), Ok("#"));
    assert_eq!(topic_filter(&mut Reader::new(&[0, 0])).map_err(|error| error.guilt), Err(Guilt::Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn as_a_search_byte_by_byte(
        bytes in prop_oneof![
            "\\PC{0,40}".prop_map(String::into_bytes),
            "[a-z/+#\\x00]{0,40}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..40),
        ],
    ) {
        let text = std::str::from_utf8(&bytes).ok().filter(|_| !bytes.contains(&0));
        prop_assert_eq!(string(&bytes).ok(), text);
        let named = text.filter(|text| !text.chars().any(char::is_control));
        prop_assert_eq!(name(&bytes).ok(), named);
        let topic = named.filter(|text| !text.contains(['+', '#']));
        prop_assert_eq!(topic_name(&bytes).ok(), topic);
        if let Some(text) = text {
            prop_assert_eq!(is_valid_topic_name(text), topic.is_some() && !text.is_empty());
        }
    }
}
