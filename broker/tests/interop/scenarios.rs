//! What each client program does, by name, and in which versions of MQTT: the programs must report exactly this.

/// From which version on there is a scenario of this name.
const SCENARIOS: &[(&str, Version)] = &[
    ("connect", Version::V31),
    ("qos0", Version::V31),
    ("qos1", Version::V31),
    ("qos2", Version::V31),
    ("kept_session", Version::V311),
    ("session_expires", Version::V5),
    ("reconnect", Version::V311),
    ("will", Version::V31),
    ("no_will", Version::V31),
    ("will_delay", Version::V5),
    ("will_delay_cancelled", Version::V5),
    ("retained", Version::V31),
    ("retain_handling", Version::V5),
    ("retain_as_published", Version::V5),
    ("shared", Version::V5),
    ("properties", Version::V5),
    ("message_expiry", Version::V5),
    ("queued_message_expires", Version::V5),
    ("subscription_identifiers", Version::V5),
    ("aliases_to_server", Version::V5),
    ("aliases_to_client", Version::V5),
    ("take_over", Version::V31),
    ("large_payload", Version::V31),
    ("receive_maximum", Version::V5),
    ("unsubscribe", Version::V31),
    ("no_local", Version::V5),
];

/// A version of MQTT as the programs name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V31,
    V311,
    V5,
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Version::V31 => "3.1",
            Version::V311 => "3.1.1",
            Version::V5 => "5.0",
        }
    }
}

/// Names of the scenarios (`5.0/retained`) of a library that speaks `versions` and whose API has no way to do what is in
/// `cannot` (`retained` or `5.0/retained`), in alphabetical order.
pub fn names(versions: &[Version], cannot: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    for version in versions {
        for (name, _) in SCENARIOS.iter().filter(|(_, since)| version >= since) {
            let full = format!("{}/{name}", version.name());
            if !cannot.contains(name) && !cannot.contains(&full.as_str()) {
                names.push(full);
            }
        }
    }
    names.sort();
    names
}
