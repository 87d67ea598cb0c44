//! Topic names cut into levels. Called by every index and by the naive matcher.
//!
//! A name is never copied or normalised: `a`, `/a` and `a/` are three different names
//! [MQTT-4.7.3-4], and an empty level is a level like any other.

/// The levels of a topic name or filter, between its slashes: `/finance` has two, the first empty.
///
/// ```
/// assert_eq!(millrace_router::topic::levels("/finance").collect::<Vec<_>>(), ["", "finance"]);
/// ```
pub fn levels(topic: &str) -> impl Iterator<Item = &str> {
    topic.split('/')
}

/// Whether the topic begins with `$`: wildcards in the first level of a filter pass it by [MQTT-4.7.2-1].
pub fn is_dollar(topic: &str) -> bool {
    topic.starts_with('$')
}

/// The first level and what follows its slash; `None` when it was the last level.
///
/// Eight bytes at a time, not `split_once`: levels are short and the substring searcher costs more
/// to set up than they cost to read.
#[inline]
pub(crate) fn split_level(text: &str) -> (&str, Option<&str>) {
    match slash(text.as_bytes()) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

/// Where the first slash stands.
#[inline]
fn slash(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xFF;
    let (words, rest) = bytes.as_chunks();
    let mut at = 0;
    for word in words {
        // A byte of zero where the slash is; borrows make others only above the first.
        let other = u64::from_le_bytes(*word) ^ (ONES * b'/' as u64);
        let found = other.wrapping_sub(ONES) & !other & (ONES << 7);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += word.len();
    }
    rest.iter().position(|&byte| byte == b'/').map(|past| at + past)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_what_stands_between_slashes() {
        let cases: [(&str, &[&str]); 9] = [
            ("a", &["a"]),
            ("a/b/c", &["a", "b", "c"]),
            ("/", &["", ""]),
            ("/a", &["", "a"]),
            ("a/", &["a", ""]),
            ("a//b", &["a", "", "b"]),
            ("ä/€/𝄞", &["ä", "€", "𝄞"]),
            ("1234567/12345678/123456789012345/x", &["1234567", "12345678", "123456789012345", "x"]),
            ("..0.0.0/0////////0.........", &["..0.0.0", "0", "", "", "", "", "", "", "", "0........."]),
        ];
        for (topic, expected) in cases {
            assert_eq!(levels(topic).collect::<Vec<_>>(), expected, "{topic}");
            let mut rest = Some(topic);
            for level in expected {
                let (first, tail) = split_level(rest.expect("a level is left"));
                assert_eq!(first, *level, "{topic}");
                rest = tail;
            }
            assert_eq!(rest, None, "{topic}");
        }
    }

    #[test]
    fn t07_dollar_topics_are_told_by_their_first_character() {
        for (topic, expected) in
            [("$SYS/x", true), ("$", true), ("a/$SYS", false), ("/$", false), ("", false)]
        {
            assert_eq!(is_dollar(topic), expected, "{topic}");
        }
    }
}
