//! The annotated configuration file and the list of keys, made from the table of settings.
//!
//! Called by `millrace config`. The file it makes parses to the defaults as it is, and also with every
//! commented-out setting (`#key = value`, without a space) put in force.

use super::table::{Preset, Setting, Table};
use super::value::Kind;

/// Columns of the comments.
const WIDTH: usize = 100;

/// The configuration file with every key, its default and its meaning.
pub fn annotated() -> String {
    let mut out = String::from(
        "# Millrace configuration (TOML). Every setting is here, commented out, with its default.\n\
         # Times: \"7d\", \"1h30m\", \"500ms\". Sizes: \"64KiB\", \"10MB\" or a number of bytes.\n\
         # ${ENV:NAME} in a string stands for an environment variable.\n\
         # Order: defaults < --config FILE < --bridge-conf FILE < --set KEY=VALUE.\n",
    );
    for table in Table::ALL {
        out.push('\n');
        comment(&mut out, table.text());
        if table.is_named() {
            named(&mut out, table);
        } else {
            out.push_str(&format!("[{}]\n", table.name()));
            for setting in table.settings() {
                describe(&mut out, setting);
                let value = match setting.preset {
                    Preset::Value(text) => toml(setting, text),
                    Preset::Computed(_) | Preset::Required => example(setting),
                };
                // A computed default is no setting that could be put in force unchanged.
                let mark = if matches!(setting.preset, Preset::Value(_)) { "#" } else { "# For example: " };
                out.push_str(&format!("{mark}{} = {value}\n", setting.key));
            }
        }
    }
    out
}

/// One line for each key: name, default, type with limits, meaning.
pub fn keys() -> String {
    let mut out = String::new();
    for setting in super::table::SETTINGS {
        out.push_str(&format!("{}\n    {}; {}\n", setting.path(), setting.kind.describe(), preset(setting)));
        for line in wrap(setting.text, WIDTH - 4) {
            out.push_str(&format!("    {line}\n"));
        }
    }
    out
}

fn named(out: &mut String, table: Table) {
    for setting in table.settings() {
        let about = format!("{} ({}; {})", setting.text, setting.kind.describe(), preset(setting));
        let mut indent = "";
        for line in wrap(&format!("{}: {about}", setting.key), WIDTH - 4) {
            out.push_str(&format!("# {indent}{line}\n"));
            indent = "  ";
        }
    }
    for (name, keys) in table.examples() {
        out.push_str(&format!("#[{}.{name}]\n", table.name()));
        for setting in table.settings() {
            let given = keys.iter().find(|(key, _)| *key == setting.key).map(|(_, text)| *text);
            let text = given.or(match setting.preset {
                Preset::Value(text) => Some(text),
                Preset::Computed(_) | Preset::Required => None,
            });
            if let Some(text) = text {
                out.push_str(&format!("#{} = {}\n", setting.key, toml(setting, text)));
            }
        }
    }
}

fn describe(out: &mut String, setting: &Setting) {
    out.push('\n');
    comment(out, &format!("{} ({}; {})", setting.text, setting.kind.describe(), preset(setting)));
}

fn preset(setting: &Setting) -> String {
    match setting.preset {
        Preset::Value("") => "default none".to_owned(),
        Preset::Value(text) => format!("default {text}"),
        Preset::Computed(words) => format!("default {words}"),
        Preset::Required => "required".to_owned(),
    }
}

/// A value that a reader could write for a key whose default is computed.
fn example(setting: &Setting) -> String {
    match setting.key {
        "cores" => "4".to_owned(),
        "server_reference" => "\"broker-2:1883\"".to_owned(),
        "response_information" => "\"responses/%c/\"".to_owned(),
        _ => "\"millrace@broker-1\"".to_owned(),
    }
}

/// `text`, written as in `--set`, as TOML. Texts of the table need no escapes.
fn toml(setting: &Setting, text: &str) -> String {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text {
        "" => "[]".to_owned(),
        _ if setting.kind == Kind::Versions => {
            let quoted: Vec<String> = text.split(", ").map(|version| format!("\"{version}\"")).collect();
            format!("[{}]", quoted.join(", "))
        }
        _ if setting.kind.is_bare() || is_number => text.to_owned(),
        _ => format!("\"{text}\""),
    }
}

fn comment(out: &mut String, text: &str) {
    for line in wrap(text, WIDTH - 2) {
        out.push_str(&format!("# {line}\n"));
    }
}

/// Breaks `text` at spaces into lines of at most `width` characters, longer only for a longer word.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
