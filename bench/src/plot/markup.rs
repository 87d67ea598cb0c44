//! A check for tests: whether a text is well-formed, so that every browser reads the same in it.

/// Elements of HTML without an end.
const VOID: [&str; 3] = ["meta", "link", "br"];
/// Elements whose content is no markup.
const RAW: [&str; 2] = ["style", "script"];
const ENTITIES: [&str; 5] = ["amp;", "lt;", "gt;", "quot;", "#39;"];

/// An element's name and its attributes.
pub(crate) type Element = (String, Vec<(String, String)>);

/// Every element with its attributes, in order.
///
/// # Errors
/// The first thing that is not well-formed: an end without its begin, a stray `<`, `>` or `&`, an attribute without
/// quotes or twice.
pub(crate) fn elements(text: &str) -> Result<Vec<Element>, String> {
    let mut rest = text;
    let (mut open, mut found): (Vec<String>, Vec<_>) = (Vec::new(), Vec::new());
    loop {
        let (content, markup) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        escaped(content)?;
        if markup.is_empty() {
            break;
        }
        let end = markup.find('>').ok_or("a tag without an end")?;
        let tag = &markup[1..end];
        rest = &markup[end + 1..];
        if tag == "!DOCTYPE html" {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            if last.as_deref() != Some(name) {
                return Err(format!("</{name}> ends {last:?}"));
            }
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        if name.is_empty() || !name.chars().all(|character| character.is_ascii_alphanumeric()) {
            return Err(format!("no element: <{tag}>"));
        }
        found.push((name.to_owned(), attributes_of(attributes)?));
        if RAW.contains(&name) {
            let end = format!("</{name}>");
            let at = rest.find(&end).ok_or_else(|| format!("no {end}"))?;
            rest = &rest[at + end.len()..];
        } else if !is_empty && !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    if open.is_empty() { Ok(found) } else { Err(format!("not ended: {open:?}")) }
}

fn attributes_of(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, value) =
            rest.split_once("=\"").ok_or_else(|| format!("an attribute without quotes: {rest}"))?;
        let (value, after) = value.split_once('"').ok_or_else(|| format!("no end of the quotes: {rest}"))?;
        escaped(value)?;
        if out.iter().any(|(other, _)| other == name) || name.contains(char::is_whitespace) {
            return Err(format!("attribute {name}"));
        }
        out.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    Ok(out)
}

fn escaped(text: &str) -> Result<(), String> {
    let is_entity = |rest: &str| ENTITIES.iter().any(|entity| rest.starts_with(entity));
    if text.contains('>') || text.split('&').skip(1).any(|rest| !is_entity(rest)) {
        return Err(format!("not escaped: {text}"));
    }
    Ok(())
}

#[test]
fn finds_what_is_not_well_formed() {
    let cases = [
        ("<p>a &amp; b</p>", true),
        ("<!DOCTYPE html>\n<p><meta charset=\"utf-8\"><i class=\"a\" id=\"b\"/></p>", true),
        ("<style>a>b&c</style>", true),
        ("<p>", false),
        ("<p></i>", false),
        ("</p>", false),
        ("a & b", false),
        ("a > b", false),
        ("a < b", false),
        ("<p class=a></p>", false),
        ("<p class=\"a\" class=\"b\"></p>", false),
        ("<p title=\"a&b\"></p>", false),
        ("<script>", false),
    ];
    for (text, good) in cases {
        assert_eq!(elements(text).is_ok(), good, "{text}: {:?}", elements(text));
    }
}
