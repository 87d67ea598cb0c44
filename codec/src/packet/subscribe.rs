//! SUBSCRIBE (section 3.8).

use crate::read::Reader;
use crate::{Error, PacketType, Properties, PropertyPlace, QoS, Version, utf8, write};

/// A client's request for subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// Never 0.
    pub packet_id: u16,
    /// 5.0 only.
    pub properties: Properties<'a>,
    /// What to subscribe to; never empty once decoded ([MQTT-3.8.3-2]).
    pub filters: Filters<'a>,
}

/// The topic filters of a SUBSCRIBE and their options, as a view over validated bytes. They are
/// well-formed strings and not empty; their wildcards have not been looked at.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Filters<'a> {
    bytes: &'a [u8],
    len: usize,
}

/// How one subscription is to be served (section 3.8.3.1). In 3.x only the QoS is the client's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubscribeOptions {
    /// The highest QoS of messages to the client.
    pub qos: QoS,
    /// Whether the client's own messages are kept from it; never for a shared subscription.
    pub no_local: bool,
    /// Whether forwarded messages keep their RETAIN flag.
    pub retain_as_published: bool,
    /// When retained messages are sent.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent for a new subscription ([MQTT-3.3.1-9] to [MQTT-3.3.1-11]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// At each SUBSCRIBE; what 3.x does.
    #[default]
    Send = 0,
    /// Only if the subscription is new.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

impl<'a> Subscribe<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id_of_request()?;
        let properties = match version {
            Version::V5 => Properties::read(&mut reader, PropertyPlace::In(PacketType::Subscribe))?,
            Version::V31 | Version::V311 => Properties::EMPTY,
        };
        let filters = Filters::decode(version, reader.rest())?;
        Ok(Self { packet_id, properties, filters })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), Error> {
        write::packet(PacketType::Subscribe.first_byte(), out, |out| {
            out.extend_from_slice(&self.packet_id.to_be_bytes());
            if version == Version::V5 {
                write::properties(self.properties, out)?;
                out.extend_from_slice(self.filters.bytes);
                return Ok(());
            }
            for (filter, options) in self.filters.iter() {
                write::binary(filter.as_bytes(), out)?;
                out.push(options.qos as u8);
            }
            Ok(())
        })
    }
}

impl<'a> Filters<'a> {
    fn decode(version: Version, bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let mut len = 0_usize;
        while !reader.is_empty() {
            let filter = utf8::topic_filter(&mut reader)?;
            let options = SubscribeOptions::decode(version, reader.u8()?)?;
            if options.no_local && filter.starts_with("$share/") {
                // [MQTT-3.8.3-4]
                return Err(Error::protocol("no local in a shared subscription"));
            }
            len = len.saturating_add(1);
        }
        match len {
            0 => Err(Error::protocol("SUBSCRIBE without a topic filter")),
            _ => Ok(Self { bytes, len }),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none, which no decoded packet says.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The filters in the order of the packet, which is the order of the codes in SUBACK
    /// ([MQTT-3.9.3-1]).
    #[must_use]
    pub const fn iter(&self) -> FiltersIter<'a> {
        FiltersIter { reader: Reader::new(self.bytes) }
    }
}

impl<'a> IntoIterator for Filters<'a> {
    type Item = (&'a str, SubscribeOptions);
    type IntoIter = FiltersIter<'a>;

    fn into_iter(self) -> FiltersIter<'a> {
        self.iter()
    }
}

/// The filters of a SUBSCRIBE with their options.
#[derive(Clone)]
pub struct FiltersIter<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for FiltersIter<'a> {
    type Item = (&'a str, SubscribeOptions);

    /// The bytes were validated, so the list only ever ends at its end. What 3.x allows is a part of
    /// what 5.0 does.
    fn next(&mut self) -> Option<Self::Item> {
        let filter = self.reader.string().ok()?;
        let options = SubscribeOptions::decode(Version::V5, self.reader.u8().ok()?).ok()?;
        Some((filter, options))
    }
}

impl std::fmt::Debug for Filters<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl SubscribeOptions {
    /// Only a QoS, the rest as 3.x has it.
    #[must_use]
    pub const fn with_qos(qos: QoS) -> Self {
        Self { qos, no_local: false, retain_as_published: false, retain_handling: RetainHandling::Send }
    }

    fn decode(version: Version, byte: u8) -> Result<Self, Error> {
        if version != Version::V5 {
            // 3.1.1: [MQTT-3.8.3-4]
            return QoS::from_number(byte).map(Self::with_qos).ok_or(Error::malformed("requested QoS byte"));
        }
        if byte & 0b1100_0000 != 0 {
            return Err(Error::malformed("reserved subscribe options")); // [MQTT-3.8.3-5]
        }
        let qos = QoS::from_number(byte & 3).ok_or(Error::protocol("subscribe with QoS 3"))?;
        let retain_handling = match byte >> 4 & 3 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(Error::protocol("retain handling 3")),
        };
        Ok(Self {
            qos,
            no_local: byte & 0b0100 != 0,
            retain_as_published: byte & 0b1000 != 0,
            retain_handling,
        })
    }

    /// The options byte of 5.0.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.qos as u8
            | (self.no_local as u8) << 2
            | (self.retain_as_published as u8) << 3
            | (self.retain_handling as u8) << 4
    }
}

/// Builds the list of a SUBSCRIBE to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterBuf {
    bytes: Vec<u8>,
    len: usize,
}

impl FilterBuf {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), len: 0 }
    }

    /// Appends a filter.
    ///
    /// # Errors
    /// NotEncodable above 65,535 bytes; the list is as before then.
    pub fn push(&mut self, filter: &str, options: SubscribeOptions) -> Result<(), Error> {
        write::binary(filter.as_bytes(), &mut self.bytes)?;
        self.bytes.push(options.to_byte());
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// Empties the list and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.len = 0;
    }

    /// The list so far.
    #[must_use]
    pub fn as_filters(&self) -> Filters<'_> {
        Filters { bytes: &self.bytes, len: self.len }
    }
}
