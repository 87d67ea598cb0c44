//! The TOML file of `--config`.
//!
//! Called by [`super::parse`] with the file's text. Walks the parsed document along the table of settings;
//! whatever the table does not have is a problem with its line. Never stops at the first.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Env;
use super::draft::{Draft, Origin, path};
use super::suggest;
use super::table::Table;
use super::value::Raw;

/// Longest text after `${ENV:NAME}` was put in, in bytes.
const SUBSTITUTED_BYTES_MAX: usize = 1 << 20;

/// Adds the settings of `text` to `draft`.
pub(super) fn read(text: &str, origin: &Origin, env: Env<'_>, draft: &mut Draft) {
    let reader = Reader { text, origin, env };
    match DeTable::parse(text) {
        Ok(document) => reader.document(document.get_ref(), draft),
        Err(error) => {
            let line = error.span().map_or(1, |span| reader.line(span.start));
            // Messages of the TOML reader may run over several lines.
            let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            draft.problem(&origin.at(line), format!("not TOML: {message}"));
        }
    }
}

/// Puts environment variables in for `${ENV:NAME}`; any other text stays as it is.
pub(super) fn substitute(text: &str, env: Env<'_>) -> Result<String, String> {
    const OPEN: &str = "${ENV:";
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) = after.split_once('}').ok_or_else(|| format!("{OPEN} without a closing brace"))?;
        let value = env(name)
            .ok_or_else(|| format!("the environment variable {:?} is not set (or is not UTF-8)", name))?;
        result.push_str(before);
        result.push_str(&value);
        if result.len() > SUBSTITUTED_BYTES_MAX {
            return Err(format!("longer than {SUBSTITUTED_BYTES_MAX} bytes with the environment put in"));
        }
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

struct Reader<'a> {
    text: &'a str,
    origin: &'a Origin,
    env: Env<'a>,
}

impl Reader<'_> {
    fn document(&self, document: &DeTable<'_>, draft: &mut Draft) {
        for (name, value) in in_file_order(document) {
            let origin = self.at(name);
            let name = name.get_ref();
            let Some(table) = Table::by_name(name) else {
                let near = suggest::did_you_mean(name, Table::ALL.map(Table::name));
                let what = if matches!(value.get_ref(), DeValue::Table(_)) { "table" } else { "key" };
                draft.problem(&origin, format!("{}: unknown {what}{near}", name.escape_debug()));
                continue;
            };
            let DeValue::Table(content) = value.get_ref() else {
                let shape = if table.is_named() { ".NAME" } else { "" };
                draft.problem(&origin, format!("{name}: expected a table [{name}{shape}]"));
                continue;
            };
            if table.is_named() {
                self.named_tables(table, content, draft);
            } else {
                self.keys(table, "", content, draft);
            }
        }
    }

    fn named_tables(&self, table: Table, content: &DeTable<'_>, draft: &mut Draft) {
        for (name, value) in in_file_order(content) {
            let origin = self.at(name);
            let DeValue::Table(keys) = value.get_ref() else {
                let message = format!(
                    "{0}.{1}: expected a table [{0}.NAME]",
                    table.name(),
                    name.get_ref().escape_debug()
                );
                draft.problem(&origin, message);
                continue;
            };
            if draft.open(table, name.get_ref(), &origin) {
                self.keys(table, name.get_ref(), keys, draft);
            }
        }
    }

    fn keys(&self, table: Table, name: &str, keys: &DeTable<'_>, draft: &mut Draft) {
        for (key, value) in in_file_order(keys) {
            let origin = self.at(key);
            match self.raw(value.get_ref()) {
                Ok(Raw::Other("a table")) if table.is_named() => draft.problem(
                    &origin,
                    format!(
                        "{0}.{name}.{1}: a table in a table; a name with dots is written in quotes: [{0}.\"{name}.{1}\"]",
                        table.name(),
                        key.get_ref().escape_debug()
                    ),
                ),
                Ok(raw) => draft.set(table, name, key.get_ref(), &raw, &origin),
                Err(message) => {
                    draft.problem(&origin, format!("{}: {message}", path(table, name, key.get_ref())));
                }
            }
        }
    }

    fn raw(&self, value: &DeValue<'_>) -> Result<Raw, String> {
        Ok(match value {
            DeValue::String(text) => Raw::Text(substitute(text, self.env)?),
            DeValue::Integer(integer) => {
                let parsed = i64::from_str_radix(integer.as_str(), integer.radix());
                Raw::Integer(parsed.map_err(|_| format!("{} is too large a number", integer.as_str()))?)
            }
            DeValue::Boolean(flag) => Raw::Flag(*flag),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| match item.get_ref() {
                    DeValue::String(text) => substitute(text, self.env),
                    _ => Err("expected a list of strings".to_owned()),
                });
                Raw::List(texts.collect::<Result<_, _>>()?)
            }
            DeValue::Float(_) => Raw::Other("a number with a fraction"),
            DeValue::Datetime(_) => Raw::Other("a date"),
            DeValue::Table(_) => Raw::Other("a table"),
        })
    }

    fn at<T>(&self, place: &Spanned<T>) -> Origin {
        self.origin.at(self.line(place.span().start))
    }

    /// The line, from 1, that the byte at `offset` is in.
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// The parser sorts keys by name; hooks and listeners keep the order in which they were written.
fn in_file_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(&'a Spanned<toml::de::DeString<'i>>, &'a Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
