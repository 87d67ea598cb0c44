//! The peers: what each is called, where it comes from, what building it needs. Its files are those of `bench/peers`.

/// A broker that a package registry has.
pub(super) struct Peer {
    pub name: &'static str,
    /// Where from, and which.
    pub source: &'static str,
    /// Programs that installing or running it needs.
    pub tools: &'static [&'static str],
    /// Threads that serve clients; 0: its own choice.
    pub cores: usize,
    /// Seconds of load until it has compiled itself.
    pub prime_s: f64,
    /// Whether it speaks MQTT 5.0 beside 3.1.1.
    pub speaks_v5: bool,
    pub run: &'static str,
    /// Names and contents; `install` is the first.
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! file {
    ($peer:literal, $name:literal) => {
        ($name, include_str!(concat!("../../peers/", $peer, "/", $name)))
    };
}

pub(super) const PEERS: &[Peer] = &[
    Peer {
        name: "mosquitto",
        source: "Debian, the release's own version",
        tools: &["apt-get", "dpkg-deb"],
        cores: 1,
        prime_s: 0.0,
        speaks_v5: true,
        run: file!("mosquitto", "run").1,
        files: &[file!("mosquitto", "install")],
    },
    Peer {
        name: "rumqttd",
        source: "crates.io, 0.20.0",
        tools: &["cargo"],
        cores: 0,
        prime_s: 0.0,
        speaks_v5: true,
        run: file!("rumqttd", "run").1,
        files: &[file!("rumqttd", "install")],
    },
    Peer {
        name: "rmqttd",
        source: "crates.io, 0.24.0",
        tools: &["cargo", "apt-get"],
        cores: 0,
        prime_s: 0.0,
        speaks_v5: true,
        run: file!("rmqttd", "run").1,
        files: &[file!("rmqttd", "install")],
    },
    Peer {
        name: "mochi",
        source: "Go modules, v2.7.9",
        tools: &["go"],
        cores: 0,
        prime_s: 0.0,
        speaks_v5: true,
        run: file!("mochi", "run").1,
        files: &[file!("mochi", "install"), file!("mochi", "main.go")],
    },
    Peer {
        name: "hivemq",
        source: "Maven Central, CE 2025.5",
        tools: &["mvn", "java"],
        cores: 0,
        prime_s: 10.0,
        speaks_v5: true,
        run: file!("hivemq", "run").1,
        files: &[file!("hivemq", "install"), file!("hivemq", "pom.xml"), file!("hivemq", "Peer.java")],
    },
    Peer {
        name: "aedes",
        source: "npm, 1.2.0",
        tools: &["npm", "node"],
        cores: 1,
        prime_s: 0.0,
        speaks_v5: false,
        run: file!("aedes", "run").1,
        files: &[file!("aedes", "install"), file!("aedes", "peer.mjs")],
    },
    Peer {
        name: "amqtt",
        source: "PyPI, 0.12.1",
        tools: &["python3"],
        cores: 1,
        prime_s: 0.0,
        speaks_v5: false,
        run: file!("amqtt", "run").1,
        files: &[file!("amqtt", "install"), file!("amqtt", "peer.py")],
    },
];

pub(super) fn find(name: &str) -> Result<&'static Peer, String> {
    PEERS.iter().find(|peer| peer.name == name).ok_or_else(|| {
        let names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
        format!("no peer `{name}`; there are {}", names.join(", "))
    })
}
