//! MQTT 3.1, 3.1.1 and 5.0: bytes to packets and back.
//!
//! Called by the broker (`broker/src/net`, `connection`, `session`) and by the load tool. No I/O, no
//! clock, no state between calls: what depends on a session (is the topic alias known, is the packet
//! identifier in use, may this side send this packet) is left to the caller and said so at each item.
//!
//! The way of a received packet: [`frame_header`] finds its length, the caller checks that against its
//! limit and waits until the whole packet is there, [`decode`] turns it into a [`Packet`] that borrows
//! from the caller's buffer. The way back is [`Packet::encode`], with [`encode_publish`],
//! [`encode_ack`] and [`encode_pingresp`] for what is sent most.
//!
//! Numbers in brackets, as in `[MQTT-3.3.1-4]`, are statements of the MQTT 5.0 specification unless
//! another version is named with them.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]

mod version;

mod error;
mod reason;

mod frame;
mod read;
mod utf8;

mod property;

mod packet;

mod write;

#[cfg(feature = "vectors")]
pub mod vectors;

pub use error::{Error, Guilt};
pub use frame::{FrameHeader, MAX_BODY_LEN, MAX_HEADER_LEN, PacketType, frame_header};
pub use packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, FilterBuf, Filters, FiltersIter, Packet, Publish,
    RetainHandling, SubAck, Subscribe, SubscribeOptions, UnsubAck, Unsubscribe, UnsubscribeFilterBuf,
    UnsubscribeFilters, UnsubscribeFiltersIter, Will, connect_level, decode, encode_ack, encode_pingresp,
    encode_publish, publish_first_byte,
};
pub use property::{Properties, PropertiesIter, Property, PropertyBuf, PropertyId, PropertyPlace};
pub use reason::{ConnectReturnCode, ReasonCode};
pub use utf8::is_valid_topic_name;
pub use version::{QoS, Version};
pub use write::{push_varint, varint_len};
