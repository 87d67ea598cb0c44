//! Values: what a key may hold, and how text becomes it.
//!
//! Called by the table's users ([`super::draft`]) with text from a file, an option or the table's own
//! defaults. Knows no key by name and reads nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use millrace_codec::QoS;
use millrace_kafka_sink::{Compression, Durability, EventKind, Start};
use millrace_router::Filter;

use super::suggest;
use super::types::{Overlap, Protocol, QueueFull, STRATEGIES, Strategy, Versions};
use super::units::{format_size, format_time, is_server, parse_size, parse_time};

/// What a key may hold: its type, unit and limits. Limits are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number of `unit`.
    Number {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// Bytes: an integer or `"64KiB"`.
    Size {
        /// Smallest, in bytes.
        min: u64,
        /// Largest, in bytes.
        max: u64,
    },
    /// A time: `"7d"`, `"1h30m"`, `"500ms"`.
    Time {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
    /// Text of 1 to `max` bytes without control characters.
    Text {
        /// Most bytes.
        max: usize,
    },
    /// A path of the file system.
    Path,
    /// `ADDRESS:PORT`, the address in digits.
    Address,
    /// A list of `HOST:PORT`.
    Servers,
    /// What a listener speaks.
    Protocol,
    /// A list of MQTT versions.
    Versions,
    /// What a full queue does.
    QueueFull,
    /// What overlapping subscriptions get.
    Overlap,
    /// Who of a shared subscription gets a message.
    Strategy,
    /// An event's name.
    Event,
    /// An MQTT topic filter, not shared.
    Filter,
    /// What a rule rewrites.
    Action,
    /// A Kafka topic name.
    Stream,
    /// When a publish is acknowledged.
    Durability,
    /// Where a log's first Kafka begins.
    Start,
    /// How batches are compressed; only what this build has.
    Compression,
}

/// A value as it was written: typed in a file, plain text in an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// From `--set` or the table: read by the key's type.
    Plain(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Flag(bool),
    /// A TOML array of strings.
    List(Vec<String>),
    /// Any other TOML value, by the name of its type.
    Other(&'static str),
}

/// A value that fits its [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Number`] and [`Kind::Size`].
    Number(u64),
    /// Of [`Kind::Time`].
    Time(Duration),
    /// Of [`Kind::Text`], [`Kind::Path`], [`Kind::Filter`], [`Kind::Action`] and [`Kind::Stream`].
    Text(String),
    /// Of [`Kind::Address`].
    Address(SocketAddr),
    /// Of [`Kind::Servers`].
    List(Vec<String>),
    /// Of [`Kind::Protocol`].
    Protocol(Protocol),
    /// Of [`Kind::Versions`].
    Versions(Versions),
    /// Of [`Kind::QueueFull`].
    QueueFull(QueueFull),
    /// Of [`Kind::Overlap`].
    Overlap(Overlap),
    /// Of [`Kind::Strategy`].
    Strategy(Strategy),
    /// Of [`Kind::Event`].
    Event(EventKind),
    /// Of [`Kind::Durability`].
    Durability(Durability),
    /// Of [`Kind::Start`].
    Start(Start),
    /// Of [`Kind::Compression`].
    Compression(Compression),
}

/// The field of the configuration that a key fills.
#[derive(Debug)]
pub enum Slot<'a> {
    /// A switch.
    Flag(&'a mut bool),
    /// A number.
    U16(&'a mut u16),
    /// A number.
    U32(&'a mut u32),
    /// A number.
    U64(&'a mut u64),
    /// A number that is computed when the key is not given.
    Count(&'a mut Option<usize>),
    /// A time.
    Time(&'a mut Duration),
    /// A time in whole seconds.
    Seconds16(&'a mut u16),
    /// Text that is computed, required or absent when the key is not given.
    Text(&'a mut Option<String>),
    /// A path.
    Path(&'a mut PathBuf),
    /// A required address.
    Address(&'a mut Option<SocketAddr>),
    /// A list.
    List(&'a mut Vec<String>),
    /// A protocol.
    Protocol(&'a mut Protocol),
    /// A time in whole seconds.
    Seconds32(&'a mut u32),
    /// A QoS, from its number.
    Qos(&'a mut QoS),
    /// Versions.
    Versions(&'a mut Versions),
    /// What a full queue does.
    QueueFull(&'a mut QueueFull),
    /// What overlapping subscriptions get.
    Overlap(&'a mut Overlap),
    /// Who of a shared subscription gets a message.
    Strategy(&'a mut Strategy),
    /// A required event.
    Event(&'a mut Option<EventKind>),
    /// A durability.
    Durability(&'a mut Durability),
    /// A start.
    Start(&'a mut Start),
    /// A compression.
    Compression(&'a mut Compression),
    /// A text that has a default.
    String(&'a mut String),
    /// A number, where 0 leaves it to the Kafka cluster, which is −1 in its protocol.
    OrClusters(&'a mut i32),
    /// The same.
    OrClusters16(&'a mut i16),
}

/// From the strictest.
const DURABILITIES: [&str; 3] = ["kafka", "log", "memory"];
/// What a rule may rewrite.
const ACTIONS: [&str; 3] = ["publish", "subscribe", "all"];

impl Kind {
    /// Reads `raw`. The error says what is wrong with the value, without the key's name.
    pub fn read(&self, raw: &Raw) -> Result<Value, String> {
        match *self {
            Kind::Flag => flag(raw).map(Value::Flag),
            Kind::Number { min, max, .. } => {
                let number = integer(raw)?;
                in_range(number, i128::from(min), i128::from(max), |n| n.to_string())
            }
            Kind::Size { min, max } => {
                let bytes = match raw {
                    Raw::Text(text) | Raw::Plain(text) => i128::from(parse_size(text)?),
                    Raw::Integer(bytes) => i128::from(*bytes),
                    other => return Err(other.expected("a size in bytes such as \"64KiB\"")),
                };
                in_range(bytes, i128::from(min), i128::from(max), format_size)
            }
            Kind::Time { min, max } => {
                let time = parse_time(text(raw, "a time with its unit such as \"30s\"")?)?;
                match time {
                    _ if time < min => {
                        Err(format!("{} is below the minimum of {}", format_time(time), format_time(min)))
                    }
                    _ if time > max => {
                        Err(format!("{} is above the maximum of {}", format_time(time), format_time(max)))
                    }
                    _ => Ok(Value::Time(time)),
                }
            }
            Kind::Text { max } => plain_text(text(raw, "a string")?, max),
            Kind::Path => match text(raw, "a path as a string")? {
                "" => Err("a path cannot be empty".to_owned()),
                path if path.contains('\0') => Err("a path cannot hold a zero byte".to_owned()),
                path => Ok(Value::Text(path.to_owned())),
            },
            Kind::Address => address(text(raw, "an address such as \"127.0.0.1:1883\"")?),
            Kind::Servers => servers(raw),
            Kind::Protocol => {
                one_of(text(raw, "a string")?, Protocol::ALL.map(|p| p.as_str()), Value::Protocol)
            }
            Kind::Versions => versions(raw),
            Kind::QueueFull => {
                one_of(text(raw, "a string")?, QueueFull::ALL.map(QueueFull::as_str), Value::QueueFull)
            }
            Kind::Overlap => {
                one_of(text(raw, "a string")?, Overlap::ALL.map(Overlap::as_str), Value::Overlap)
            }
            Kind::Strategy => strategy(text(raw, "a string")?),
            Kind::Event => one_of(text(raw, "a string")?, EventKind::ALL.map(|e| e.as_str()), Value::Event),
            Kind::Filter => filter(text(raw, "a topic filter as a string")?),
            Kind::Action => action(text(raw, "a string")?),
            Kind::Stream => stream(text(raw, "a stream's name as a string")?),
            Kind::Durability => one_of(text(raw, "a string")?, DURABILITIES, Value::Durability),
            Kind::Start => one_of(text(raw, "a string")?, Start::ALL.map(Start::as_str), Value::Start),
            Kind::Compression => compression(text(raw, "a string")?, Compression::is_built),
        }
    }

    /// What a value of this kind looks like, for a reader: type, unit and limits.
    pub fn describe(&self) -> String {
        match *self {
            Kind::Flag => "true or false".to_owned(),
            Kind::Number { min, max, unit } => format!("number of {unit}, {min} to {max}"),
            Kind::Size { min, max } => {
                format!("size, {} to {}", format_size(i128::from(min)), format_size(i128::from(max)))
            }
            Kind::Time { min, max } => format!("time, {} to {}", format_time(min), format_time(max)),
            Kind::Text { max } => format!("text of 1 to {max} bytes"),
            Kind::Path => "path".to_owned(),
            Kind::Address => "ADDRESS:PORT, the address in digits".to_owned(),
            Kind::Servers => "list of HOST:PORT".to_owned(),
            Kind::Protocol => format!("one of {}", Protocol::ALL.map(|p| p.as_str()).join(", ")),
            Kind::Versions => format!("list of {}", Versions::NAMES.map(|(name, _)| name).join(", ")),
            Kind::QueueFull => format!("one of {}", QueueFull::ALL.map(QueueFull::as_str).join(", ")),
            Kind::Overlap => format!("one of {}", Overlap::ALL.map(Overlap::as_str).join(", ")),
            Kind::Strategy => format!("one of {}", STRATEGIES.map(|(name, _)| name).join(", ")),
            Kind::Event => format!("one of {}", EventKind::ALL.map(|e| e.as_str()).join(", ")),
            Kind::Filter => "MQTT topic filter, not shared".to_owned(),
            Kind::Action => format!("one of {}", ACTIONS.join(", ")),
            Kind::Stream => "Kafka topic name: 1 to 249 of a-z A-Z 0-9 . _ -".to_owned(),
            Kind::Durability => format!("one of {}", DURABILITIES.join(", ")),
            Kind::Start => format!("one of {}", Start::ALL.map(Start::as_str).join(", ")),
            Kind::Compression => format!("one of {}", Compression::ALL.map(Compression::as_str).join(", ")),
        }
    }

    /// Whether TOML writes a value of this kind bare, without quotes.
    pub fn is_bare(&self) -> bool {
        matches!(self, Kind::Flag | Kind::Number { .. } | Kind::Servers)
    }
}

impl Raw {
    fn type_name(&self) -> &'static str {
        match self {
            Raw::Plain(_) | Raw::Text(_) => "a string",
            Raw::Integer(_) => "an integer",
            Raw::Flag(_) => "a boolean",
            Raw::List(_) => "a list",
            Raw::Other(name) => name,
        }
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what}, found {}", self.type_name())
    }
}

impl Slot<'_> {
    /// Stores `value`. An error means that the field is narrower than the key's limits or of another type,
    /// which the test over all keys rules out.
    pub fn fill(self, value: Value) -> Result<(), String> {
        match (self, value) {
            (Slot::Flag(field), Value::Flag(flag)) => *field = flag,
            (Slot::U16(field), Value::Number(number)) => *field = narrow(number)?,
            (Slot::U32(field), Value::Number(number)) => *field = narrow(number)?,
            (Slot::U64(field), Value::Number(number)) => *field = number,
            (Slot::Count(field), Value::Number(number)) => *field = Some(narrow(number)?),
            (Slot::Time(field), Value::Time(time)) => *field = time,
            (Slot::Seconds16(field), Value::Time(time)) => *field = narrow(whole_seconds(time)?)?,
            (Slot::Text(field), Value::Text(text)) => *field = Some(text),
            (Slot::Path(field), Value::Text(text)) => *field = PathBuf::from(text),
            (Slot::Address(field), Value::Address(address)) => *field = Some(address),
            (Slot::List(field), Value::List(list)) => *field = list,
            (Slot::Protocol(field), Value::Protocol(protocol)) => *field = protocol,
            (Slot::Seconds32(field), Value::Time(time)) => *field = narrow(whole_seconds(time)?)?,
            (Slot::Qos(field), Value::Number(number)) => {
                *field = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]
                    .into_iter()
                    .find(|qos| *qos as u64 == number)
                    .ok_or_else(|| format!("{number} is no QoS"))?;
            }
            (Slot::Versions(field), Value::Versions(versions)) => *field = versions,
            (Slot::QueueFull(field), Value::QueueFull(policy)) => *field = policy,
            (Slot::Strategy(field), Value::Strategy(strategy)) => *field = strategy,
            (Slot::Overlap(field), Value::Overlap(overlap)) => *field = overlap,
            (Slot::Event(field), Value::Event(event)) => *field = Some(event),
            (Slot::Durability(field), Value::Durability(durability)) => *field = durability,
            (Slot::Start(field), Value::Start(start)) => *field = start,
            (Slot::Compression(field), Value::Compression(compression)) => *field = compression,
            (Slot::String(field), Value::Text(text)) => *field = text,
            (Slot::OrClusters(field), Value::Number(0)) => *field = -1,
            (Slot::OrClusters(field), Value::Number(number)) => *field = narrow(number)?,
            (Slot::OrClusters16(field), Value::Number(0)) => *field = -1,
            (Slot::OrClusters16(field), Value::Number(number)) => *field = narrow(number)?,
            (slot, value) => return Err(format!("{value:?} does not fit {slot:?}")),
        }
        Ok(())
    }
}

fn flag(raw: &Raw) -> Result<bool, String> {
    match raw {
        Raw::Flag(flag) => Ok(*flag),
        Raw::Plain(text) => {
            bool::from_str(text).map_err(|_| format!("expected true or false, found {text:?}"))
        }
        other => Err(other.expected("true or false")),
    }
}

fn integer(raw: &Raw) -> Result<i128, String> {
    match raw {
        Raw::Integer(number) => Ok(i128::from(*number)),
        Raw::Plain(text) => text.parse().map_err(|_| format!("expected a whole number, found {text:?}")),
        other => Err(other.expected("a whole number")),
    }
}

fn text<'a>(raw: &'a Raw, what: &str) -> Result<&'a str, String> {
    match raw {
        Raw::Plain(text) | Raw::Text(text) => Ok(text),
        other => Err(other.expected(what)),
    }
}

fn in_range(number: i128, min: i128, max: i128, show: fn(i128) -> String) -> Result<Value, String> {
    match u64::try_from(number) {
        _ if number < min => Err(format!("{} is below the minimum of {}", show(number), show(min))),
        Ok(value) if number <= max => Ok(Value::Number(value)),
        _ => Err(format!("{} is above the maximum of {}", show(number), show(max))),
    }
}

fn plain_text(text: &str, max: usize) -> Result<Value, String> {
    if text.is_empty() || text.len() > max {
        return Err(format!("expected 1 to {max} bytes, found {}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{text:?} holds a control character"));
    }
    Ok(Value::Text(text.to_owned()))
}

fn address(text: &str) -> Result<Value, String> {
    let address = text.parse().map(Value::Address);
    address.map_err(|_| {
        format!("{text:?} is not ADDRESS:PORT with the address in digits, such as \"0.0.0.0:1883\"")
    })
}

fn servers(raw: &Raw) -> Result<Value, String> {
    let list: Vec<String> = match raw {
        Raw::List(list) => list.clone(),
        Raw::Plain(text) if text.trim().is_empty() => Vec::new(),
        Raw::Plain(text) | Raw::Text(text) => {
            text.split(',').map(|server| server.trim().to_owned()).collect()
        }
        other => return Err(other.expected("a list such as [\"127.0.0.1:9092\"]")),
    };
    match list.iter().find(|server| !is_server(server)) {
        Some(server) => Err(format!("{server:?} is not HOST:PORT")),
        None => Ok(Value::List(list)),
    }
}

fn strategy(text: &str) -> Result<Value, String> {
    let known = STRATEGIES.iter().find(|(name, _)| *name == text);
    let names = STRATEGIES.map(|(name, _)| name);
    known.map(|(_, strategy)| Value::Strategy(*strategy)).ok_or_else(|| {
        format!("{text:?} is none of {}{}", names.join(", "), suggest::did_you_mean(text, names))
    })
}

fn versions(raw: &Raw) -> Result<Value, String> {
    let names: Vec<&str> = match raw {
        Raw::List(list) => list.iter().map(String::as_str).collect(),
        Raw::Plain(text) | Raw::Text(text) => text.split(',').map(str::trim).collect(),
        other => return Err(other.expected("a list such as [\"3.1.1\", \"5.0\"]")),
    };
    if names.is_empty() {
        return Err("a listener without a version would refuse everybody".to_owned());
    }
    let known = Versions::NAMES.map(|(name, _)| name);
    Versions::of_names(&names).map(Value::Versions).map_err(|name| {
        format!("{name:?} is none of {}{}", known.join(", "), suggest::did_you_mean(name, known))
    })
}

fn one_of<T: FromStr, const N: usize>(
    text: &str,
    names: [&str; N],
    make: fn(T) -> Value,
) -> Result<Value, String> {
    text.parse().map(make).map_err(|_| {
        let nearest = suggest::did_you_mean(text, names);
        format!("{text:?} is none of {}{nearest}", names.join(", "))
    })
}

fn filter(text: &str) -> Result<Value, String> {
    match Filter::parse(text) {
        Ok(filter) if filter.share_group().is_some() => {
            Err(format!("{text:?}: this filter takes every message, so it cannot be shared"))
        }
        Ok(_) => Ok(Value::Text(text.to_owned())),
        Err(error) => Err(format!("{text:?} is not a topic filter: {error}")),
    }
}

fn action(text: &str) -> Result<Value, String> {
    if ACTIONS.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    let nearest = suggest::did_you_mean(text, ACTIONS);
    Err(format!("{text:?} is none of {}{nearest}", ACTIONS.join(", ")))
}

fn stream(text: &str) -> Result<Value, String> {
    match millrace_kafka_sink::validate_stream_name(text) {
        Ok(()) => Ok(Value::Text(text.to_owned())),
        Err(error) => Err(format!("{text:?} is not a Kafka topic name: {error}")),
    }
}

fn compression(text: &str, is_built: fn(Compression) -> bool) -> Result<Value, String> {
    match one_of(text, Compression::ALL.map(Compression::as_str), Value::Compression)? {
        Value::Compression(compression) if !is_built(compression) => Err(format!(
            "this program was built without {compression}; build it with the feature {compression} \
             (cargo build --release --features {compression})"
        )),
        value => Ok(value),
    }
}

fn narrow<T: TryFrom<u64>>(number: u64) -> Result<T, String> {
    T::try_from(number).map_err(|_| format!("{number} is too large"))
}

fn whole_seconds(time: Duration) -> Result<u64, String> {
    if time.subsec_nanos() == 0 {
        Ok(time.as_secs())
    } else {
        Err(format!("{} is not a whole number of seconds", format_time(time)))
    }
}

#[cfg(test)]
mod tests;
