//! Topics and filters of clients that are replaced by others: `[rewrite.NAME]`, in the order of the file; the first rule
//! that matches applies, once. No I/O and no state: `worker` asks.

use crate::config::Rewrite;
use crate::hook::Who;
use crate::sys::is_reserved;
use millrace_router::{Filter, MAX_FILTER_BYTES};

/// What the rules say of a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No rule matches.
    Unchanged,
    /// This takes its place.
    Changed(String),
    /// The result would be none that is allowed; the text stays.
    Refused,
}

/// The topic of a PUBLISH or a will.
pub fn topic(rules: &[Rewrite], topic: &str, who: Who<'_>) -> Outcome {
    apply(rules.iter().filter(|rule| rule.publish), topic, who, |new| {
        !new.is_empty()
            && new.len() <= MAX_FILTER_BYTES
            && !new.contains(['+', '#', '\0'])
            && !is_reserved(new)
    })
}

/// The filter of a SUBSCRIBE or UNSUBSCRIBE; of a shared one what follows the group.
pub fn filter(rules: &[Rewrite], full: &str, who: Who<'_>) -> Outcome {
    let rules = rules.iter().filter(|rule| rule.subscribe);
    let text = Filter::parse(full).map_or(full, |filter| filter.text());
    let share = full.strip_suffix(text).unwrap_or_default();
    let is_allowed = |new: &str| Filter::parse(new).is_ok_and(|new| new.share_group().is_none());
    match apply(rules, text, who, is_allowed) {
        Outcome::Changed(new) => Outcome::Changed(format!("{share}{new}")),
        other => other,
    }
}

fn apply<'r>(
    mut rules: impl Iterator<Item = &'r Rewrite>,
    text: &str,
    who: Who<'_>,
    is_allowed: impl FnOnce(&str) -> bool,
) -> Outcome {
    let found = rules.find_map(|rule| Some((rule, captures(&rule.filter, text)?)));
    let Some((rule, found)) = found else { return Outcome::Unchanged };
    match fill(&rule.to, &found, who) {
        Some(new) if new == text => Outcome::Unchanged,
        Some(new) if is_allowed(&new) => Outcome::Changed(new),
        _ => Outcome::Refused,
    }
}

/// What the wildcards of `filter` stand for in `text`, in order; `None` if it does not match. The text is a topic or
/// itself a filter: `+` takes any one level but `#`, and `#` takes the rest, which may be nothing at all.
fn captures<'t>(filter: &str, text: &'t str) -> Option<Vec<&'t str>> {
    if text.starts_with('$') && filter.starts_with(['+', '#']) {
        return None; // [MQTT-4.7.2-1]
    }
    let mut found = Vec::new();
    let mut rest = Some(text);
    for level in filter.split('/') {
        if level == "#" {
            found.push(rest.unwrap_or_default());
            return Some(found);
        }
        let now = rest?;
        let (first, after) = now.split_once('/').map_or((now, None), |(first, after)| (first, Some(after)));
        match level {
            "+" if first != "#" => found.push(first),
            _ if level == first => {}
            _ => return None,
        }
        rest = after;
    }
    rest.is_none().then_some(found)
}

/// A template with `%1` to `%9` for what wildcards stand for, `%c` for the client id and `%u` for the user name. `None`
/// if one of the latter two would bring levels or wildcards of its own, or is not there at all.
pub fn fill(template: &str, found: &[&str], who: Who<'_>) -> Option<String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some(digit @ '1'..='9') => {
                let index = digit as usize - '1' as usize;
                out.push_str(found.get(index).copied().unwrap_or_default());
            }
            Some(name @ ('c' | 'u')) => {
                let value = if name == 'c' { who.client_id } else { who.username };
                if value.is_empty() || value.contains(['/', '+', '#']) {
                    return None;
                }
                out.push_str(value);
            }
            other => {
                out.push('%');
                out.extend(other);
            }
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Some(out)
}

/// The highest number after a `%`; 0 for none.
pub fn highest(template: &str) -> usize {
    let after = template.split('%').skip(1).filter_map(|after| after.bytes().next());
    after.filter(u8::is_ascii_digit).map(|digit| usize::from(digit - b'0')).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Who<'static> = Who { client_id: "lock7", username: "ann" };

    fn rule(filter: &str, to: &str, publish: bool, subscribe: bool) -> Rewrite {
        Rewrite { name: "r".to_owned(), filter: filter.to_owned(), to: to.to_owned(), publish, subscribe }
    }

    #[test]
    fn what_wildcards_stand_for() {
        let cases: &[(&str, &str, Option<&[&str]>)] = &[
            ("a/b", "a/b", Some(&[])),
            ("a/b", "a/b/c", None),
            ("a/b/c", "a/b", None),
            ("a/+/c", "a/x/c", Some(&["x"])),
            ("a/+", "a/", Some(&[""])),
            ("+/+", "/x", Some(&["", "x"])),
            ("a/#", "a/x/y", Some(&["x/y"])),
            ("a/#", "a", Some(&[""])),
            ("a/#", "b", None),
            ("+/#", "a/b/c", Some(&["a", "b/c"])),
            ("#", "$a/b", None),
            ("+/b", "$a/b", None),
            ("$a/+", "$a/b", Some(&["b"])),
            // Texts that are filters.
            ("a/+", "a/+", Some(&["+"])),
            ("a/+", "a/#", None),
            ("a/#", "a/#", Some(&["#"])),
            ("a/#", "a/+/#", Some(&["+/#"])),
            ("a/x", "a/+", None),
        ];
        for (filter, text, expected) in cases {
            assert_eq!(captures(filter, text).as_deref(), *expected, "{filter} {text}");
        }
    }

    #[test]
    fn rules() {
        let rules = [
            rule("old/+/#", "new/%2/%1", true, true),
            rule("old/+", "never/%1", true, true),
            rule("me/#", "by/%c/%u/%1", true, false),
            rule("in/#", "%1", true, true),
            rule("p/+", "100%/%x/%1%", true, true),
            rule("only/+", "sub/%1", false, true),
        ];
        let changed = |text: &str| Outcome::Changed(text.to_owned());
        let cases = [
            ("old/a/b/c", changed("new/b/c/a"), changed("new/b/c/a")),
            ("old/a", changed("new//a"), changed("new//a")),
            ("me/x", changed("by/lock7/ann/x"), Outcome::Unchanged),
            ("in/$SYS/x", Outcome::Refused, changed("$SYS/x")),
            ("in/", Outcome::Refused, Outcome::Refused),
            ("in/in/x", changed("in/x"), changed("in/x")),
            ("p/1", changed("100%/%x/1%"), changed("100%/%x/1%")),
            ("only/x", Outcome::Unchanged, changed("sub/x")),
            ("other", Outcome::Unchanged, Outcome::Unchanged),
        ];
        for (text, published, subscribed) in cases {
            assert_eq!(topic(&rules, text, WHO), published, "{text} published");
            assert_eq!(filter(&rules, text, WHO), subscribed, "{text} subscribed");
        }
        assert_eq!(topic(&rules, "in/$share/g/x", WHO), Outcome::Refused);
        for (text, expected) in [
            ("in/#", changed("#")),
            ("in/$share/g/x", Outcome::Refused),
            ("old/a/#", Outcome::Refused),
            ("$share/g/only/+", changed("$share/g/sub/+")),
        ] {
            assert_eq!(filter(&rules, text, WHO), expected, "{text} subscribed");
        }
        for (client_id, username) in [("a/b", "u"), ("+", "u"), ("#", "u"), ("c", ""), ("c", "#")] {
            let who = Who { client_id, username };
            assert_eq!(topic(&rules, "me/x", who), Outcome::Refused, "{client_id} {username}");
        }
    }

    #[test]
    fn highest_numbers() {
        for (template, expected) in [("a", 0), ("%1", 1), ("%c/%2/%1", 2), ("%", 0), ("%%9", 9)] {
            assert_eq!(highest(template), expected, "{template}");
        }
    }
}
