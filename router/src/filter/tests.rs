use super::*;
use crate::testing;
use proptest::prelude::*;

#[test]
fn t09_every_form_of_a_filter() {
    use FilterError::*;
    // Full text, and the group, the filter and the literal prefix, or what is wrong.
    type Parsed = Result<(Option<&'static str>, &'static str, Option<&'static str>), FilterError>;
    let plain = |text, prefix| Ok((None, text, prefix));
    let cases: &[(&str, Parsed)] = &[
        ("a", plain("a", Some("a"))),
        ("/", plain("/", Some("/"))),
        ("a/", plain("a/", Some("a/"))),
        ("#", plain("#", None)),
        ("+", plain("+", None)),
        ("+/a", plain("+/a", None)),
        ("+/+", plain("+/+", None)),
        ("/+", plain("/+", Some(""))),
        ("/#", plain("/#", Some(""))),
        ("a/#", plain("a/#", Some("a"))),
        ("a//#", plain("a//#", Some("a/"))),
        ("sport/tennis/#", plain("sport/tennis/#", Some("sport/tennis"))),
        ("sport/+/player1", plain("sport/+/player1", Some("sport"))),
        ("+/tennis/#", plain("+/tennis/#", None)),
        ("ä/+/€", plain("ä/+/€", Some("ä"))),
        (" ", plain(" ", Some(" "))),
        ("$", plain("$", Some("$"))),
        ("$SYS/#", plain("$SYS/#", Some("$SYS"))),
        ("$shared/g/a", plain("$shared/g/a", Some("$shared/g/a"))),
        ("$Share/g/a", plain("$Share/g/a", Some("$Share/g/a"))),
        ("a/$share/g", plain("a/$share/g", Some("a/$share/g"))),
        ("$share/g/a", Ok((Some("g"), "a", Some("a")))),
        ("$share/g/a/+/b", Ok((Some("g"), "a/+/b", Some("a")))),
        ("$share/g/#", Ok((Some("g"), "#", None))),
        ("$share/g//", Ok((Some("g"), "/", Some("/")))),
        ("$share/g//a", Ok((Some("g"), "/a", Some("/a")))),
        ("$share/g/$SYS/#", Ok((Some("g"), "$SYS/#", Some("$SYS")))),
        ("$share/$share/a", Ok((Some("$share"), "a", Some("a")))),
        ("$share/g ü/a", Ok((Some("g ü"), "a", Some("a")))),
        ("", Err(Empty)),
        ("a/#/b", Err(BadMultiLevel)),
        ("#/", Err(BadMultiLevel)),
        ("##", Err(BadMultiLevel)),
        ("a#", Err(BadMultiLevel)),
        ("a/b#", Err(BadMultiLevel)),
        ("a/#b", Err(BadMultiLevel)),
        ("+#", Err(BadMultiLevel)),
        ("#/+", Err(BadMultiLevel)),
        ("sport+", Err(BadSingleLevel)),
        ("+a", Err(BadSingleLevel)),
        ("a/+b/c", Err(BadSingleLevel)),
        ("a/++", Err(BadSingleLevel)),
        ("\0", Err(Nul)),
        ("a/\0b", Err(Nul)),
        ("$share/\0/a", Err(Nul)),
        ("$share", Err(BadShare(ShareError::NoGroup))),
        ("$share/", Err(BadShare(ShareError::NoGroup))),
        ("$share//", Err(BadShare(ShareError::NoGroup))),
        ("$share//a", Err(BadShare(ShareError::NoGroup))),
        ("$share/+/a", Err(BadShare(ShareError::WildcardInGroup))),
        ("$share/#", Err(BadShare(ShareError::WildcardInGroup))),
        ("$share/g#/a", Err(BadShare(ShareError::WildcardInGroup))),
        ("$share/g+h/a", Err(BadShare(ShareError::WildcardInGroup))),
        ("$share/g", Err(BadShare(ShareError::NoFilter))),
        ("$share/g/", Err(BadShare(ShareError::NoFilter))),
        ("$share/g/$share/h/a", Err(BadShare(ShareError::Nested))),
        ("$share/g/$share", Err(BadShare(ShareError::Nested))),
        ("$share/g/a/#/b", Err(BadMultiLevel)),
        ("$share/g/a+", Err(BadSingleLevel)),
    ];
    for (full, expected) in cases {
        let parsed = Filter::parse(full);
        let got = parsed.map(|filter| (filter.share_group(), filter.text(), filter.literal_prefix()));
        assert_eq!(got, *expected, "{full:?}");
        if let Ok(filter) = parsed {
            assert_eq!(filter.full(), *full);
            assert_eq!(filter.has_wildcard(), filter.text().contains(['+', '#']), "{full:?}");
        }
    }
}

#[test]
fn limits_hold_to_the_byte_and_level() {
    let longest = "x".repeat(MAX_FILTER_BYTES);
    assert!(Filter::parse(&longest).is_ok());
    assert_eq!(Filter::parse(&(longest + "x")), Err(FilterError::TooLong));
    let deepest = "/".repeat(MAX_LEVELS - 1);
    assert!(Filter::parse(&deepest).is_ok());
    assert_eq!(Filter::parse(&(deepest.clone() + "/")), Err(FilterError::TooManyLevels));
    // The levels of the group do not count.
    assert!(Filter::parse(&format!("$share/g/{deepest}")).is_ok());
    assert_eq!(Filter::parse(&format!("$share/g/{deepest}/")), Err(FilterError::TooManyLevels));
}

#[test]
fn t08_slashes_up_to_the_limit_are_refused_or_matched() {
    let slashes = "/".repeat(MAX_FILTER_BYTES);
    assert_eq!(Filter::parse(&slashes), Err(FilterError::TooManyLevels));
    assert!(matches(&slashes, &slashes));
    assert!(matches("#", &slashes));
    assert!(matches("/+/#", &slashes));
    assert!(!matches("/+/+", &slashes));
}

#[test]
fn examples_of_the_specifications() {
    // Filter, topics it takes, topics it does not. Sections 4.7.1 to 4.7.3 of 3.1.1 and 5.0.
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "sport/tennis/player1/#",
            &["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"],
            &["sport/tennis/player10", "sport/tennis", "sport/tennis/player2"],
        ),
        ("sport/#", &["sport", "sport/", "sport/a/b/c"], &["sports", "Sport", "/sport"]),
        ("#", &["a", "/", "a/b", "/a"], &["$SYS", "$SYS/monitor/Clients", "$"]),
        ("sport/tennis/#", &["sport/tennis", "sport/tennis/a"], &["sport"]),
        (
            "sport/tennis/+",
            &["sport/tennis/player1", "sport/tennis/player2", "sport/tennis/"],
            &["sport/tennis/player1/ranking", "sport/tennis"],
        ),
        ("sport/+", &["sport/", "sport/a"], &["sport", "sport/a/", "sport//"]),
        ("+", &["finance", ""], &["/finance", "a/", "$SYS"]),
        ("+/+", &["/finance", "a/b", "/", "a/"], &["finance", "a/b/c", "$SYS/a"]),
        ("/+", &["/finance", "/"], &["finance", "//", "a/b"]),
        ("+/tennis/#", &["a/tennis", "/tennis/b/c"], &["tennis", "a/b/tennis", "$a/tennis"]),
        (
            "sport/+/player1",
            &["sport/tennis/player1", "sport//player1"],
            &["sport/player1", "sport/a/b/player1"],
        ),
        ("+/monitor/Clients", &["a/monitor/Clients"], &["$SYS/monitor/Clients"]),
        ("$SYS/#", &["$SYS", "$SYS/", "$SYS/monitor/Clients"], &["SYS/a", "a/$SYS"]),
        ("$SYS/monitor/+", &["$SYS/monitor/Clients"], &["$SYS/monitor", "$SYS/monitor/a/b"]),
        ("a/+", &["a/$b"], &["$a/b"]),
        ("/#", &["/", "/a", "", "/$a"], &["a", "$a"]),
        ("ACCOUNTS", &["ACCOUNTS"], &["Accounts", "ACCOUNTS/", "/ACCOUNTS"]),
        ("Accounts payable", &["Accounts payable"], &["Accounts", "Accounts  payable"]),
        ("/a", &["/a"], &["a", "a/", "//a"]),
        ("\u{e9}", &["\u{e9}"], &["e\u{301}"]),
    ];
    for (filter, takes, passes_by) in cases {
        let parsed = Filter::parse(filter).expect(filter);
        for topic in *takes {
            assert!(matches(filter, topic) && parsed.matches(topic), "{filter} takes {topic}");
        }
        for topic in *passes_by {
            assert!(!matches(filter, topic) && !parsed.matches(topic), "{filter} passes {topic} by");
        }
    }
    assert!(
        Filter::parse("$share/g/a/+").is_ok_and(|shared| shared.matches("a/b") && !shared.matches("g/a/b"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The literal prefix, as the indexes see it, is what the parser says.
    #[test]
    fn a_filter_is_its_prefix_and_a_remainder(text in testing::filter()) {
        let filter = Filter::parse(&text).expect("the strategy makes legal filters");
        match filter.literal_prefix() {
            None => prop_assert!(text.starts_with(['+', '#'])),
            Some(prefix) if filter.has_wildcard() => {
                prop_assert!(!prefix.contains(['+', '#']));
                let remainder = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
                prop_assert!(remainder.is_some_and(|rest| rest.starts_with(['+', '#'])));
            }
            Some(prefix) => prop_assert_eq!(prefix, &text),
        }
    }

    /// A filter made from a topic by putting wildcards in takes that topic.
    #[test]
    fn wildcards_take_what_they_replace(topic in testing::topic(), plus: u8, cut in 0_usize..7) {
        let mut made: Vec<&str> = levels(&topic).collect();
        for (at, level) in made.iter_mut().enumerate() {
            if plus >> at & 1 == 1 {
                *level = "+";
            }
        }
        if cut <= made.len() {
            made.truncate(cut);
            made.push("#");
        }
        let filter = made.join("/");
        let hidden = is_dollar(&topic) && filter.starts_with(['+', '#']);
        prop_assert_eq!(matches(&filter, &topic), !hidden, "{} {}", filter, topic);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "(\\$share/)?[a+#/$]{0,12}", topic in "[a+#/$]{0,12}") {
        if let Ok(filter) = Filter::parse(&text) {
            prop_assert!(text.ends_with(filter.text()));
            filter.matches(&topic);
        }
        matches(&text, &topic);
    }
}
