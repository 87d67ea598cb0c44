//! UNSUBSCRIBE (section 3.10).

use crate::read::Reader;
use crate::{Error, PacketType, Properties, PropertyPlace, Version, utf8, write};

/// A client's request to end subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// Never 0.
    pub packet_id: u16,
    /// 5.0 only.
    pub properties: Properties<'a>,
    /// The filters to end; never empty once decoded ([MQTT-3.10.3-2]).
    pub filters: UnsubscribeFilters<'a>,
}

/// The topic filters of an UNSUBSCRIBE, as a view over validated bytes. They are well-formed strings and
/// not empty; their wildcards have not been looked at.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct UnsubscribeFilters<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id_of_request()?;
        let properties = match version {
            Version::V5 => Properties::read(&mut reader, PropertyPlace::In(PacketType::Unsubscribe))?,
            Version::V31 | Version::V311 => Properties::EMPTY,
        };
        let filters = UnsubscribeFilters::decode(reader.rest())?;
        Ok(Self { packet_id, properties, filters })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), Error> {
        write::packet(PacketType::Unsubscribe.first_byte(), out, |out| {
            out.extend_from_slice(&self.packet_id.to_be_bytes());
            if version == Version::V5 {
                write::properties(self.properties, out)?;
            }
            out.extend_from_slice(self.filters.bytes);
            Ok(())
        })
    }
}

impl<'a> UnsubscribeFilters<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let mut len = 0_usize;
        while !reader.is_empty() {
            utf8::topic_filter(&mut reader)?;
            len = len.saturating_add(1);
        }
        match len {
            0 => Err(Error::protocol("UNSUBSCRIBE without a topic filter")),
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

    /// The filters in the order of the packet, which is the order of the codes in UNSUBACK
    /// ([MQTT-3.11.3-1]).
    #[must_use]
    pub const fn iter(&self) -> UnsubscribeFiltersIter<'a> {
        UnsubscribeFiltersIter { reader: Reader::new(self.bytes) }
    }
}

impl<'a> IntoIterator for UnsubscribeFilters<'a> {
    type Item = &'a str;
    type IntoIter = UnsubscribeFiltersIter<'a>;

    fn into_iter(self) -> UnsubscribeFiltersIter<'a> {
        self.iter()
    }
}

/// The filters of an UNSUBSCRIBE.
#[derive(Clone)]
pub struct UnsubscribeFiltersIter<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for UnsubscribeFiltersIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.reader.string().ok()
    }
}

impl std::fmt::Debug for UnsubscribeFilters<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Builds the list of an UNSUBSCRIBE to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsubscribeFilterBuf {
    bytes: Vec<u8>,
    len: usize,
}

impl UnsubscribeFilterBuf {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), len: 0 }
    }

    /// Appends a filter.
    ///
    /// # Errors
    /// NotEncodable above 65,535 bytes; the list is as before then.
    pub fn push(&mut self, filter: &str) -> Result<(), Error> {
        write::binary(filter.as_bytes(), &mut self.bytes)?;
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
    pub fn as_filters(&self) -> UnsubscribeFilters<'_> {
        UnsubscribeFilters { bytes: &self.bytes, len: self.len }
    }
}
