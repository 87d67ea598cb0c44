//! CONNECT: refusals, the move to the home core, take-over, and the session that begins.

use super::{Core, Next, SlotId};
use crate::connection::Phase;
use crate::delivery::{Message, Stored};
use crate::hook::{Room, Verdict, Who};
use crate::session::{Given, Session, Will};
use crate::worker::close::Cause;
use crate::worker::publish::is_text_as_said;
use millrace_codec::{
    ConnAck, Connect, Error, Guilt, Packet, Property, PropertyBuf, PropertyId, QoS, ReasonCode, Version,
    connect_level,
};
use millrace_kafka_sink::EventData;
use std::net::{IpAddr, Ipv4Addr};

/// Longest client id of MQTT 3.1 [MQTT 3.1, section 3.1].
const V31_CLIENT_ID_CHARS: usize = 23;

/// A 5.0 CONNACK without properties.
const REFUSAL_BYTES: usize = 5;

impl Core {
    /// A well-formed CONNECT. `raw` starts with it and goes on with whatever followed; it moves as it is.
    pub(super) fn connect(&mut self, index: u32, connect: &Connect<'_>, raw: &[u8]) -> Next {
        if let Some(connection) = self.connections.at_mut(index) {
            connection.version = connect.version;
        }
        if let Err(reason) = self.judge(index, connect) {
            return self.refuse(index, connect.version, reason, None, taken_by(connect));
        }
        let assigned = connect.client_id.is_empty().then(|| self.assign_client_id());
        let client_id = assigned.as_deref().unwrap_or(connect.client_id);
        let home = self.shared.home(client_id);
        if home != self.me {
            return if self.hand_off(index, home, raw) { Next::Gone } else { Next::Hold };
        }
        let event = self.connected_event(index, connect);
        let who = Who { client_id, username: connect.username.unwrap_or_default() };
        let taken = self.hooks.taken(&event);
        if self.hooks.room(taken, self.now, who, event) == Room::Full || !self.has_room_for_end(connect, who)
        {
            return Next::Hold;
        }
        self.take_over(client_id);
        let present = self.session_for(client_id, connect.clean_start);
        if present.is_none() && !self.enter_session() {
            return self.refuse(
                index,
                connect.version,
                ReasonCode::QuotaExceeded,
                Some("as many sessions as max_sessions allows"),
                taken_by(connect),
            );
        }
        // A record too large for its hook does not keep a client out.
        self.counters.records_too_large += self.hooks.record(taken, self.now, who, event);
        self.begin(index, connect, client_id, assigned.is_some(), present)
    }

    /// Whether there is room for what the end of this connection will record. Nobody can be made to wait then, so
    /// those records may exceed the ring; asking here bounds them by the connections that were let in while there
    /// was room.
    fn has_room_for_end(&mut self, connect: &Connect<'_>, who: Who<'_>) -> bool {
        let end = EventData::Disconnected { reason: "keepalive_timeout" };
        let taken = self.hooks.taken(&end);
        if self.hooks.room(taken, self.now, who, end) == Room::Full {
            return false;
        }
        let Some(millrace_codec::Will { topic, payload, qos, .. }) = connect.will else { return true };
        let will = EventData::Publish { topic, payload, qos: qos as u8, packet_id: 0 };
        let taken = self.hooks.taken(&will);
        self.hooks.room(taken, self.now, who, will) != Room::Full
    }

    /// What a CONNECT may ask for.
    fn judge(&self, index: u32, connect: &Connect<'_>) -> Result<(), ReasonCode> {
        let limits = &self.shared.limits;
        let id = connect.client_id;
        let arrived = self.connections.at(index).and_then(|connection| connection.arrived.as_ref());
        if arrived.is_some_and(|arrived| !arrived.versions.contains(connect.version)) {
            return Err(ReasonCode::UnsupportedProtocolVersion);
        }
        if self.stop.is_some() {
            return Err(ReasonCode::ServerUnavailable);
        }
        if connect.properties.user_properties().count() > usize::from(limits.max_user_properties) {
            return Err(ReasonCode::QuotaExceeded);
        }
        if connect.properties.contains(PropertyId::AuthenticationMethod) {
            return Err(ReasonCode::BadAuthenticationMethod);
        }
        match connect.version {
            Version::V31 if id.is_empty() || id.chars().count() > V31_CLIENT_ID_CHARS => {
                return Err(ReasonCode::ClientIdentifierNotValid);
            }
            // [MQTT-3.1.3-8] of 3.1.1: without an id there is nothing to keep a session by.
            Version::V311 if id.is_empty() && !connect.clean_start => {
                return Err(ReasonCode::ClientIdentifierNotValid);
            }
            _ if id.is_empty() && !limits.zero_length_client_id => {
                return Err(ReasonCode::ClientIdentifierNotValid);
            }
            _ => {}
        }
        if id.len() > usize::from(limits.max_client_id_bytes) {
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        match &connect.will {
            Some(will) if limits.check_payload_format && !is_text_as_said(will.properties, will.payload) => {
                Err(ReasonCode::PayloadFormatInvalid)
            }
            Some(will) if will.payload.len() > limits.max_payload_size as usize => {
                Err(ReasonCode::PacketTooLarge)
            }
            Some(will) if will.qos > limits.max_qos => Err(ReasonCode::QoSNotSupported),
            Some(will) if will.retain && connect.version == Version::V5 && !limits.retain_available => {
                Err(ReasonCode::RetainNotSupported)
            }
            Some(will)
                if will.properties.user_properties().count() > usize::from(limits.max_user_properties) =>
            {
                Err(ReasonCode::QuotaExceeded)
            }
            Some(will) if will.topic.split('/').count() > usize::from(limits.max_topic_levels) => {
                Err(ReasonCode::TopicNameInvalid)
            }
            _ => Ok(()),
        }
    }

    /// Answers with a refusal and closes [MQTT-3.2.2-7]; for what 3.x has no code, without an answer
    /// [MQTT-3.2.2-6 of 3.1.1].
    fn refuse(
        &mut self,
        index: u32,
        version: Version,
        reason: ReasonCode,
        what: Option<&str>,
        takes: u32,
    ) -> Next {
        self.counters.refused += 1;
        let answered = version == Version::V5 && takes as usize >= REFUSAL_BYTES;
        if answered || version != Version::V5 && reason.connect_return_code().is_some() {
            let mut said = PropertyBuf::new();
            if let Some(what) = what
                && self.shared.limits.reason_strings
                && takes as usize >= REFUSAL_BYTES + 3 + what.len()
                && version == Version::V5
            {
                // Fails only for texts over 65,535 bytes.
                let _ = said.push(Property::ReasonString(what));
            }
            let refusal = ConnAck { session_present: false, reason, properties: said.as_properties() };
            self.reply(index, version, &Packet::ConnAck(refusal));
        }
        self.linger(index);
        Next::Gone
    }

    /// A CONNECT that could not be read. Its sender is told why if it can be expected to understand.
    pub(super) fn illegal_connect(&mut self, index: u32, body: &[u8], error: Error) -> Next {
        self.counters.illegal += 1;
        let level = connect_level(body).unwrap_or_default();
        let version = if level >= Version::V5 as u8 { Version::V5 } else { Version::V311 };
        // 3.x has a code for a wrong level only [MQTT-3.1.2-2 of 3.1.1].
        if error.guilt == Guilt::UnsupportedVersion || version == Version::V5 {
            // What the client takes is not known if its CONNECT could not be read.
            return self.refuse(index, version, error.reason, Some(error.what), u32::MAX);
        }
        self.linger(index);
        Next::Gone
    }

    /// Appends a packet to what is written to this connection. `false`: it is larger than the client takes, and so is
    /// not sent [MQTT-3.1.2-24].
    pub(super) fn reply(&mut self, index: u32, version: Version, packet: &Packet<'_>) -> bool {
        let limit = self.session_id(index).and_then(|id| self.sessions.at(id.index));
        let limit = limit.map_or(u32::MAX, |session| session.packet_bytes_max) as usize;
        let Some(connection) = self.connections.at_mut(index) else { return true };
        let out = Core::output(connection, index, &mut self.dirty, &mut self.outputs).copied();
        let start = out.len();
        if let Err(error) = packet.encode(version, out) {
            // Our own replies are small and have a form in every version that gets them.
            tracing::error!(%error, "a reply could not be encoded");
        }
        let fits = out.len() - start <= limit;
        if !fits {
            out.truncate(start);
        }
        fits
    }

    /// Answers a packet that cannot do without its answer.
    pub(super) fn answer_or_close(&mut self, index: u32, version: Version, packet: &Packet<'_>) -> Next {
        if self.reply(index, version, packet) {
            return Next::Go;
        }
        self.illegal(index, Error::too_large("a packet whose answer is larger than the client takes"))
    }

    /// A name for a client without one, whose home is this core.
    fn assign_client_id(&mut self) -> String {
        loop {
            // In groups, as many programs expect of such a name.
            let (high, low) = (self.random(), self.random());
            let [first, second, third] = [high >> 32, high >> 16 & 0xFFFF, high & 0xFFFF];
            let (fourth, last) = (low >> 48, low & 0xFFFF_FFFF_FFFF);
            let name = format!("auto-{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{last:012x}");
            if self.shared.home(&name) == self.me && self.clients.get(&self.sessions, &name).is_none() {
                return name;
            }
        }
    }

    fn connected_event(&self, index: u32, connect: &Connect<'_>) -> EventData<'static> {
        let arrived = self.connections.at(index).and_then(|connection| connection.arrived.as_ref());
        EventData::Connected {
            keepalive: self.keep_alive(connect),
            proto_ver: connect.version as u8,
            clean_start: connect.clean_start,
            ip: arrived.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |arrived| arrived.ip),
        }
    }

    /// The keep-alive in force, seconds; 0 for none.
    fn keep_alive(&self, connect: &Connect<'_>) -> u16 {
        match (connect.keep_alive, self.shared.limits.max_keep_alive) {
            (asked, u16::MAX) => asked,
            (0, max) => max,
            (asked, max) => asked.min(max),
        }
    }

    /// Ends the connection that has this client id [MQTT-3.1.4-3]. What it has sent so far is read first: a client
    /// that said goodbye and came back at once has not been taken over, and its will stays unsent.
    fn take_over(&mut self, client_id: &str) {
        let old = |core: &Core| -> Option<(SlotId, u32)> {
            let session = core.sessions.id_at(core.clients.get(&core.sessions, client_id)?)?;
            Some((session, core.sessions.at(session.index)?.connection))
        };
        let Some((session, connection)) = old(self) else { return };
        self.read(connection, true);
        if old(self).is_some_and(|(now, _)| now == session) {
            crate::seam::mark(crate::seam::Branch::TakeOver);
            if self.sessions.at(session.index).is_some_and(Session::is_kept) {
                crate::seam::mark(crate::seam::Branch::TakeOverKept);
            }
            self.close(connection, Cause::TakenOver);
        }
    }

    /// Lets a client in: its session begins, or goes on if it is `present`.
    fn begin(
        &mut self,
        index: u32,
        connect: &Connect<'_>,
        client_id: &str,
        assigned: bool,
        present: Option<u32>,
    ) -> Next {
        let limits = &self.shared.limits;
        let properties = &connect.properties;
        let send_limit = match connect.version {
            Version::V5 => properties.receive_maximum().unwrap_or(u16::MAX).min(limits.max_inflight),
            _ => limits.max_inflight,
        };
        let aliases = properties.topic_alias_maximum().unwrap_or_default().min(limits.topic_alias_maximum);
        let (username, version, receive_limit) = (connect.username, connect.version, limits.receive_maximum);
        let position = match present {
            Some(position) => position,
            None => self.add_session(Session::new(client_id, username, version, receive_limit, send_limit)),
        };
        let expiry_s = self.expiry(connect);
        let Some(session) = self.sessions.at_mut(position) else { return Next::Gone };
        if present.is_some() {
            session.resume(username, version, receive_limit, send_limit);
            if session.flow_if_any().is_some_and(|flow| !flow.outbound.is_caught_up()) {
                crate::seam::mark(crate::seam::Branch::ResumedInFlight);
            }
        }
        session.connection = index;
        session.packet_bytes_max = taken_by(connect);
        session.expiry_s = expiry_s;
        if session.will.is_some() {
            crate::seam::mark(crate::seam::Branch::WillCancelled);
        }
        session.will = connect.will.as_ref().map(|will| Box::new(keep_will(will, client_id)));
        if aliases > 0 {
            session.extra().given = Given::new(aliases);
        }
        let keep_alive = self.keep_alive(connect);
        let acknowledgement = self.acknowledgement(connect, client_id, assigned, keep_alive);
        self.counters.connected += 1;
        let Some(connection) = self.connections.at_mut(index) else { return Next::Gone };
        connection.phase = Phase::Open;
        connection.resumed = present.is_some();
        connection.session = position;
        connection.arrived = None;
        connection.silence_ms_max = u32::from(keep_alive) * 1_500;
        let deadline_ms = connection.read_ms + u64::from(connection.silence_ms_max);
        if keep_alive > 0 {
            self.arm(index, deadline_ms);
        }
        let accepted = ConnAck {
            // 3.1 has no such flag.
            session_present: present.is_some() && version != Version::V31,
            reason: ReasonCode::Success,
            properties: acknowledgement.as_properties(),
        };
        let next = self.answer_or_close(index, version, &Packet::ConnAck(accepted));
        if next == Next::Go && present.is_none() && !self.shared.modules.subscribe.is_empty() {
            self.subscribe_from_the_start(position);
        }
        if next == Next::Go && present.is_some() {
            if let Some(id) = self.sessions.id_at(position) {
                self.be_back(id);
            }
            self.pump(index);
            self.ask(position);
        }
        next
    }

    /// Seconds that the session of this client outlives its connection [MQTT-3.1.2-23].
    fn expiry(&self, connect: &Connect<'_>) -> u32 {
        let max = self.shared.limits.session_expiry_max;
        match connect.version {
            Version::V5 => connect.properties.session_expiry_interval().unwrap_or_default().min(max),
            _ if connect.clean_start => 0,
            _ => max,
        }
    }

    /// What the CONNACK of a 5.0 client says about this server.
    fn acknowledgement(
        &self,
        connect: &Connect<'_>,
        client_id: &str,
        assigned: bool,
        keep_alive: u16,
    ) -> PropertyBuf {
        let mut said = PropertyBuf::new();
        if connect.version != Version::V5 {
            return said;
        }
        let limits = &self.shared.limits;
        let mut say = |property: Property<'_>| {
            // Fails only for texts over 65,535 bytes.
            let _ = said.push(property);
        };
        if keep_alive != connect.keep_alive {
            say(Property::ServerKeepAlive(keep_alive));
        }
        if limits.topic_alias_maximum > 0 {
            say(Property::TopicAliasMaximum(limits.topic_alias_maximum));
        }
        let expiry_s = self.expiry(connect);
        if connect.properties.session_expiry_interval().unwrap_or_default() != expiry_s {
            say(Property::SessionExpiryInterval(expiry_s));
        }
        if assigned {
            say(Property::AssignedClientIdentifier(client_id));
        }
        if !limits.retain_available {
            say(Property::RetainAvailable(false));
        }
        say(Property::MaximumPacketSize(limits.max_packet_size));
        if limits.receive_maximum < u16::MAX {
            say(Property::ReceiveMaximum(limits.receive_maximum));
        }
        if limits.max_qos < QoS::ExactlyOnce {
            say(Property::MaximumQoS(limits.max_qos));
        }
        if !limits.wildcard_available {
            say(Property::WildcardSubscriptionAvailable(false));
        }
        if !limits.subscription_ids_available {
            say(Property::SubscriptionIdentifierAvailable(false));
        }
        if !limits.shared_available {
            say(Property::SharedSubscriptionAvailable(false));
        }
        if connect.properties.request_response_information() == Some(true)
            && let Some(information) = &self.shared.response_information
        {
            say(Property::ResponseInformation(&information.replace("%c", client_id)));
        }
        said
    }
}

/// The longest packet that a client takes, bytes [MQTT-3.1.2-24].
fn taken_by(connect: &Connect<'_>) -> u32 {
    connect.properties.maximum_packet_size().unwrap_or(u32::MAX)
}

/// A will as it will be published: without what only concerns its publishing.
fn keep_will(will: &millrace_codec::Will<'_>, client_id: &str) -> Will {
    let mut properties = PropertyBuf::new();
    properties.push_where(will.properties, |id| id != PropertyId::WillDelayInterval);
    let message = Message {
        topic: will.topic,
        from: client_id,
        properties: properties.as_properties().raw(),
        payload: will.payload,
        qos: will.qos,
        retain: will.retain,
        verdict: Verdict::default(),
        order: 0,
        share: 0,
    };
    let delay_s = will.properties.will_delay_interval().unwrap_or_default();
    // Its expiry counts from when it is published, as it stands there.
    Will { message: Stored::new(&message, 0), delay_s }
}
