//! The properties file of the older bridge plugin (`etc/plugins/emqx_bridge_kafka.conf`), of `--bridge-conf`.
//!
//! Called by [`super::parse`] with the file's text. Lines are `KEY = VALUE`, spacing is free, `#` begins a
//! comment line. `bridge.kafka.servers` becomes `kafka.servers`; `bridge.kafka.hook.EVENT.N = {"filter": …,
//! "topic": …}` becomes the hook named `EVENT.N`. Unknown keys are warnings, since these files carry settings
//! of other plugins; a hook that cannot be read is a problem, since its records would be missing silently.

use serde_json::{Map, Value};

use super::draft::{Draft, Origin, Problem, has_topic};
use super::suggest;
use super::table::Table;
use super::value::Raw;
use millrace_kafka_sink::EventKind;

const SERVERS: &str = "bridge.kafka.servers";
const HOOK: &str = "bridge.kafka.hook.";

/// Adds the settings of `text` to `draft`.
pub(super) fn read(text: &str, origin: &Origin, draft: &mut Draft, warnings: &mut Vec<Problem>) {
    let mut keys_seen = std::collections::HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let origin = origin.at(index + 1);
        let mut reader = Line { origin: &origin, draft, warnings };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            reader.problem(format!("{:?} is not KEY = VALUE", shorten(line)));
            continue;
        };
        let (key, value) = (key.trim_end(), value.trim_start());
        if let Some(first) = keys_seen.insert(key, index + 1) {
            reader
                .warn(format!("{} was given in line {first} already; this line counts", key.escape_debug()));
        }
        if key == SERVERS {
            reader.servers(value);
        } else if let Some((event, name)) = hook_of(key) {
            reader.hook(event, name, value);
        } else {
            reader.unknown(key);
        }
    }
}

/// Event and hook name of a key `bridge.kafka.hook.EVENT.N`, or without `.N`.
fn hook_of(key: &str) -> Option<(EventKind, &str)> {
    let name = key.strip_prefix(HOOK)?;
    EventKind::ALL.into_iter().find_map(|event| match name.strip_prefix(event.as_str())? {
        "" => Some((event, name)),
        rest => rest.strip_prefix('.').filter(|number| is_number(number)).map(|_| (event, name)),
    })
}

fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

struct Line<'a> {
    origin: &'a Origin,
    draft: &'a mut Draft,
    warnings: &'a mut Vec<Problem>,
}

impl Line<'_> {
    fn servers(&mut self, value: &str) {
        // Only here can a comment follow the value: in a hook's JSON `#` is a topic filter.
        let value = value.split_once(" #").map_or(value, |(value, _)| value).trim_end();
        let raw = Raw::Plain(value.to_owned());
        self.draft.set(Table::Kafka, "", "servers", &raw, self.origin);
    }

    fn hook(&mut self, event: EventKind, name: &str, value: &str) {
        let object: Map<String, Value> = match serde_json::from_str(value) {
            Ok(object) => object,
            Err(error) => {
                // The JSON reader counts lines of the value, which has one.
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or_default();
                let column = error.column();
                return self.problem(format!(
                    "{HOOK}{name}: the value is not a JSON object: {message}, at its column {column}"
                ));
            }
        };
        match object.get("topic") {
            Some(Value::String(_)) => {}
            Some(_) => return self.problem(format!("{HOOK}{name}: \"topic\" is not a string")),
            None => {
                return self
                    .problem(format!("{HOOK}{name}: \"topic\" is missing: the stream that records go to"));
            }
        }
        self.set(name, "on", event.as_str());
        for (key, value) in &object {
            match (key.as_str(), value) {
                ("filter", Value::String(_)) if !has_topic(event) => {
                    self.warn(format!(
                        "{HOOK}{name}: {} has no topic, so its filter is ignored",
                        event.as_str()
                    ));
                }
                ("filter" | "topic", Value::String(text)) => self.set(name, key, text),
                ("filter", _) => self.problem(format!("{HOOK}{name}: \"filter\" is not a string")),
                _ => {
                    let near = suggest::did_you_mean(key, ["filter", "topic"]);
                    self.warn(format!("{HOOK}{name}: unknown key {key:?}, ignored{near}"));
                }
            }
        }
    }

    fn unknown(&mut self, key: &str) {
        let hooks = EventKind::ALL.map(|event| format!("{HOOK}{}.1", event.as_str()));
        let known = hooks.iter().map(String::as_str).chain([SERVERS]);
        let near = suggest::did_you_mean(key, known);
        self.warn(format!("unknown key {:?}, ignored{near}", shorten(key)));
    }

    fn set(&mut self, name: &str, key: &str, text: &str) {
        self.draft.set(Table::Hook, name, key, &Raw::Text(text.to_owned()), self.origin);
    }

    fn problem(&mut self, message: String) {
        self.draft.problem(self.origin, message);
    }

    fn warn(&mut self, message: String) {
        self.warnings.push(Problem { origin: self.origin.clone(), message });
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
