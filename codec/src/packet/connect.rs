//! CONNECT (section 3.1), with the will it may carry.

use crate::read::Reader;
use crate::{Error, PacketType, Properties, PropertyPlace, QoS, ReasonCode, Version, utf8, write};

const CLEAN_START: u8 = 0b0000_0010;
const WILL: u8 = 0b0000_0100;
const WILL_RETAIN: u8 = 0b0010_0000;
const PASSWORD: u8 = 0b0100_0000;
const USERNAME: u8 = 0b1000_0000;
const RESERVED: u8 = 0b0000_0001;

/// A client's request to connect. `Debug` leaves the password out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// By protocol name and level; decides how the rest is read.
    pub version: Version,
    /// Clean Start (5.0) or Clean Session (3.x).
    pub clean_start: bool,
    /// Keep alive in seconds; 0: none.
    pub keep_alive: u16,
    /// May be empty; whether that is accepted is the server's decision ([MQTT-3.1.3-6]; 3.1.1:
    /// [MQTT-3.1.3-8]), as is a length above 23 (3.1).
    pub client_id: &'a str,
    /// What is published for the client when it goes without saying so.
    pub will: Option<Will<'a>>,
    /// User name.
    pub username: Option<&'a str>,
    /// Password. In 5.0 it may come without a user name.
    pub password: Option<&'a [u8]>,
    /// 5.0 only.
    pub properties: Properties<'a>,
}

/// The will message of a CONNECT (section 3.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    /// Quality of service it is published with.
    pub qos: QoS,
    /// Whether it is published as a retained message.
    pub retain: bool,
    /// A valid topic name.
    pub topic: &'a str,
    /// The message.
    pub payload: &'a [u8],
    /// 5.0 only.
    pub properties: Properties<'a>,
}

/// The protocol level in the body of a CONNECT, whatever else is in it; `None` if it has no known
/// protocol name. For the answer to a CONNECT that [`decode`](crate::decode) refused: below 5 it is
/// written in 3.x, from 5 up in 5.0.
#[must_use]
pub fn connect_level(body: &[u8]) -> Option<u8> {
    let mut reader = Reader::new(body);
    match reader.binary().ok()? {
        b"MQTT" | b"MQIsdp" => reader.u8().ok(),
        _ => None,
    }
}

impl<'a> Connect<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let version = protocol(&mut reader)?;
        let flags = reader.u8()?;
        check_connect_flags(version, flags)?;
        let keep_alive = reader.u16()?;
        let properties = properties(version, PropertyPlace::In(PacketType::Connect), &mut reader)?;
        let client_id = utf8::name(reader.binary()?)
            .map_err(|error| Error::malformed_as(ReasonCode::ClientIdentifierNotValid, error.what))?;
        let will = match flags & WILL {
            0 => None,
            _ => Some(Will::decode(version, flags, &mut reader)?),
        };
        // 3.1 allows a flag without its field: "the Remaining Length field from the fixed header takes
        // precedence" (3.1, section 3.1).
        let there =
            |flag, reader: &Reader<'_>| flags & flag != 0 && !(version == Version::V31 && reader.is_empty());
        let username = there(USERNAME, &reader).then(|| utf8::name(reader.binary()?)).transpose()?;
        let password = there(PASSWORD, &reader).then(|| reader.binary()).transpose()?;
        reader.finish()?;
        Ok(Self {
            version,
            clean_start: flags & CLEAN_START != 0,
            keep_alive,
            client_id,
            will,
            username,
            password,
            properties,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.version != Version::V5 && self.password.is_some() && self.username.is_none() {
            return Err(Error::not_encodable("password without user name in 3.x"));
        }
        write::packet(PacketType::Connect.first_byte(), out, |out| {
            write::binary(self.version.protocol_name().as_bytes(), out)?;
            out.extend_from_slice(&[self.version.level(), self.flags()]);
            out.extend_from_slice(&self.keep_alive.to_be_bytes());
            if self.version == Version::V5 {
                write::properties(self.properties, out)?;
            }
            write::binary(self.client_id.as_bytes(), out)?;
            if let Some(will) = &self.will {
                will.encode(self.version, out)?;
            }
            if let Some(username) = self.username {
                write::binary(username.as_bytes(), out)?;
            }
            if let Some(password) = self.password {
                write::binary(password, out)?;
            }
            Ok(())
        })
    }

    fn flags(&self) -> u8 {
        let will = self
            .will
            .map_or(0, |will| WILL | (will.qos as u8) << 3 | if will.retain { WILL_RETAIN } else { 0 });
        will | if self.clean_start { CLEAN_START } else { 0 }
            | if self.username.is_some() { USERNAME } else { 0 }
            | if self.password.is_some() { PASSWORD } else { 0 }
    }
}

/// Protocol name and level ([MQTT-3.1.2-1], [MQTT-3.1.2-2]). A wrong name is no MQTT client, and gets no
/// answer; a right one with another level is told so. Level 0x83 and 0x84 are mosquitto's bridges,
/// which want to be treated unlike clients: not served.
fn protocol(reader: &mut Reader<'_>) -> Result<Version, Error> {
    let name = reader.binary()?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(Error::malformed("protocol name"));
    }
    match (name, reader.u8()?) {
        (b"MQIsdp", 3) => Ok(Version::V31),
        (b"MQTT", 4) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        _ => Err(Error::unsupported_version("protocol level")),
    }
}

/// Flags that contradict each other (section 3.1.2.3 and following).
fn check_connect_flags(version: Version, flags: u8) -> Result<(), Error> {
    // 3.1 has no use for the bit and does not say that it must be 0.
    if flags & RESERVED != 0 && version != Version::V31 {
        return Err(Error::malformed("reserved connect flag")); // [MQTT-3.1.2-3]
    }
    let will_qos = flags >> 3 & 3;
    if will_qos == 3 {
        return Err(Error::malformed("will QoS 3")); // [MQTT-3.1.2-12]
    }
    if flags & WILL == 0 && (will_qos != 0 || flags & WILL_RETAIN != 0) {
        return Err(Error::malformed("will QoS or will retain without a will")); // [MQTT-3.1.2-11]
    }
    if version != Version::V5 && flags & PASSWORD != 0 && flags & USERNAME == 0 {
        return Err(Error::malformed("password without user name")); // 3.1.1: [MQTT-3.1.2-22]
    }
    Ok(())
}

impl<'a> Will<'a> {
    fn decode(version: Version, flags: u8, reader: &mut Reader<'a>) -> Result<Self, Error> {
        let properties = properties(version, PropertyPlace::Will, reader)?;
        let topic = utf8::topic_name(reader.binary()?)?;
        if topic.is_empty() {
            return Err(Error::protocol("empty will topic"));
        }
        Ok(Self {
            qos: QoS::try_from(flags >> 3 & 3)?,
            retain: flags & WILL_RETAIN != 0,
            topic,
            payload: reader.binary()?,
            properties,
        })
    }

    fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), Error> {
        if version == Version::V5 {
            write::properties(self.properties, out)?;
        }
        write::binary(self.topic.as_bytes(), out)?;
        write::binary(self.payload, out)
    }
}

/// A property list if the version has one.
fn properties<'a>(
    version: Version,
    place: PropertyPlace,
    reader: &mut Reader<'a>,
) -> Result<Properties<'a>, Error> {
    match version {
        Version::V5 => Properties::read(reader, place),
        Version::V31 | Version::V311 => Ok(Properties::EMPTY),
    }
}

impl std::fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("username", &self.username)
            .field("password", &self.password.map(|_| "(hidden)"))
            .field("properties", &self.properties)
            .finish()
    }
}
