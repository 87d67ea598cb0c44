//! A client: does what a random client does, reads what comes, and tells the book of both.

use super::book::{Book, Goodbye};
use super::deeds::{UNDER_WAY, qos_of, will_topic};
use super::open::Open;
use super::party::Kept;
use super::world::World;
use crate::net::network::Line;
use millrace_codec::{
    Connect, Disconnect, Packet, Property, PropertyBuf, ReasonCode, Version, Will, decode, frame_header,
};
use std::collections::VecDeque;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Seconds that sessions are kept at most.
pub const EXPIRY_S: u32 = 7_200;

/// How much later than its time the broker may notice that a client is silent: it may have waited for its log.
const LATE_MS: u64 = 1_500;

/// One client id. Its client may open a connection while an older one is still there, and looks no more at that one.
pub struct Actor {
    client: usize,
    open: Option<Open>,
    /// Connections that it has turned away from.
    ghosts: Vec<u32>,
    /// One that was cut before its CONNACK: the next CONNECT waits until the broker has let go of it, so that it cannot
    /// be overtaken by the next one.
    fading: Option<u32>,
    /// Does not read for the time being.
    stalled: bool,
}

/// The client id of a client.
pub fn name(client: usize) -> String {
    format!("client-{client}")
}

impl Actor {
    pub fn new(client: usize) -> Actor {
        Actor { client, open: None, ghosts: Vec::new(), fading: None, stalled: false }
    }

    /// One random deed.
    pub fn act(&mut self, world: &World, book: &mut Book) -> Result<(), String> {
        if self.open.is_none() {
            if world.one_in(2) {
                self.connect(world, book);
            }
            return Ok(());
        }
        match world.below(100) {
            17 if world.one_in(2) => self.turn_away(world, book),
            18 => self.lay_ghosts(world),
            0 if world.one_in(2) => self.vanish(world, book),
            1 if world.one_in(2) => self.leave(world, book),
            2 if world.one_in(2) => self.say_goodbye(world, book),
            3 => self.stalled = !self.stalled,
            4..=12 => self.subscribe(world, book),
            13..=16 => self.unsubscribe(world, book),
            19..=20 => self.ping(book),
            21..=22 => self.repeat(world, book),
            23..=40 => {
                for _ in 0..=world.below(2) {
                    self.publish(world, book);
                }
            }
            41..=55 => self.answer(1 + world.below(8) as usize, book),
            56..=74 => self.send(world, book),
            _ if self.stalled => {}
            _ => self.read(world, book)?,
        }
        Ok(())
    }

    /// The end of the play: answers everything, sends everything, starts nothing. Returns whether it did anything.
    pub fn finish(&mut self, world: &World, book: &mut Book) -> Result<bool, String> {
        self.stalled = false;
        self.keep_alive(world, book)?;
        let before = world.hash();
        self.lay_ghosts(world);
        if self.open.is_none() {
            self.connect(world, book);
        }
        self.make_sure(book);
        self.read(world, book)?;
        self.answer(usize::MAX, book);
        let had = self.open.as_ref().is_some_and(|open| !open.out.is_empty());
        self.send(world, book);
        Ok(had || world.hash() != before)
    }

    /// Shows that it is there, if it has to, and takes the answer.
    pub fn keep_alive(&mut self, world: &World, book: &mut Book) -> Result<(), String> {
        let has_to = |open: &&mut Open| book.links[open.link].keep_alive > 0;
        if self.usable().filter(has_to).is_some() {
            self.ping(book);
            self.send(world, book);
            world.settle();
            self.read(world, book)?;
        }
        Ok(())
    }

    /// Whether the broker has closed the connection of a client that has been silent since then.
    pub fn is_given_up(&self, since_ms: u64, world: &World, book: &Book) -> Result<(), String> {
        let Some(open) = &self.open else { return Ok(()) };
        let link = &book.links[open.link];
        let silence_ms = world.now_ms() - since_ms;
        if link.keep_alive == 0
            || link.opened.is_none()
            || silence_ms < u64::from(link.keep_alive) * 1_500 + LATE_MS
            || world.network().is_closed(open.number)
            || world.network().is_full(open.number)
        {
            return Ok(());
        }
        Err(format!("link {}: silent for {silence_ms} ms and not closed", open.link))
    }

    /// Ends without a word.
    pub fn vanish(&mut self, world: &World, book: &mut Book) {
        self.lay_ghosts(world);
        if let Some(open) = self.open.take() {
            world.note("reset", open.number.into(), 0);
            book.ends(open.link);
            self.gone(&open, world, book);
        }
    }

    /// Connects anew while the old connection is still there.
    fn turn_away(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.open.take_if(|open| book.links[open.link].opened.is_some()) else { return };
        world.note("turn away", open.number.into(), 0);
        book.ends(open.link);
        book.over(open.link);
        self.ghosts.push(open.number);
        self.connect(world, book);
    }

    fn lay_ghosts(&mut self, world: &World) {
        self.ghosts.drain(..).for_each(|number| world.network().reset(number));
    }

    fn gone(&mut self, open: &Open, world: &World, book: &mut Book) {
        world.network().reset(open.number);
        if book.links[open.link].opened.is_none() {
            self.fading = Some(open.number);
        }
        book.over(open.link);
    }

    fn connect(&mut self, world: &World, book: &mut Book) {
        if self.fading.is_some_and(|number| !world.network().is_gone(number)) {
            return;
        }
        self.fading = None;
        let party = &book.parties[self.client];
        let mut version = VERSIONS[world.below(3) as usize];
        let mut clean = party.unclean || world.one_in(4);
        if version == Version::V5 && party.under_way() > UNDER_WAY && !clean {
            version = Version::V311; // more than it may send again
        }
        if version == Version::V31 {
            // It is not told whether the session goes on, so it has to know.
            clean |= match party.kept {
                Kept::No => false,
                Kept::For(_, seconds) => seconds < EXPIRY_S,
                Kept::Perhaps => true,
            };
        }
        let expiry_s = match version {
            Version::V5 => [0, 1, EXPIRY_S, EXPIRY_S][world.below(4) as usize],
            _ if clean => 0,
            _ => EXPIRY_S,
        };
        let number = world.connect();
        world.note("connect", number.into(), self.client as u64);
        let link = book.link(self.client, clean, expiry_s);
        let mut open = Open {
            number,
            link,
            client: self.client,
            version,
            out: VecDeque::new(),
            input: Vec::new(),
            late: VecDeque::new(),
            next_id: world.below(200) as u16,
            leaving: false,
        };
        let mut properties = PropertyBuf::new();
        if version == Version::V5 {
            // Fails only for long texts.
            if expiry_s > 0 {
                let _ = properties.push(Property::SessionExpiryInterval(expiry_s));
            }
            if world.one_in(2) {
                let _ = properties.push(Property::ReceiveMaximum(1 + world.below(4) as u16));
            }
        }
        let mut will_properties = PropertyBuf::new();
        let mut will = None;
        let payload;
        if world.one_in(2) {
            let (topic, retain) = will_topic(self.client, world);
            let qos = qos_of(world.below(3));
            let delay_s = if version == Version::V5 { world.below(4) as u32 } else { 0 };
            payload = format!("{}:will", book.bequeath(link, topic, qos, delay_s));
            if delay_s > 0 {
                let _ = will_properties.push(Property::WillDelayInterval(delay_s));
            }
            let properties = will_properties.as_properties();
            will = Some(Will { topic, payload: payload.as_bytes(), qos, retain, properties });
        }
        let keep_alive = if world.one_in(3) { 1 + world.below(3) as u16 } else { 0 };
        book.links[link].keep_alive = keep_alive;
        let connect = Connect {
            version,
            clean_start: clean,
            keep_alive,
            client_id: &name(self.client),
            will,
            username: None,
            password: None,
            properties: properties.as_properties(),
        };
        open.push(&Packet::Connect(connect));
        self.open = Some(open);
        self.stalled = false;
        self.send(world, book);
    }

    /// Unsubscribes from what it does not know whether it is subscribed to.
    fn make_sure(&mut self, book: &mut Book) {
        let Some(open) = self.usable().filter(|open| book.links[open.link].opened.is_some()) else { return };
        let unsure = std::mem::take(&mut book.parties[open.client].unsure);
        unsure.into_iter().for_each(|filter| open.unsubscribe(filter, book));
    }

    /// Says that it sends no more, and goes on reading.
    fn leave(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.open.as_mut().filter(|open| open.out.is_empty()) else { return };
        open.leaving = true;
        book.ends(open.link);
        world.network().finish(open.number);
    }

    fn say_goodbye(&mut self, world: &World, book: &mut Book) {
        let Some(open) = self.usable() else { return };
        let with_will = open.version == Version::V5 && world.one_in(2);
        let reason = if with_will { ReasonCode::DisconnectWithWillMessage } else { ReasonCode::Success };
        open.push(&Packet::Disconnect(Disconnect::new(reason)));
        open.leaving = true;
        book.ends(open.link);
        if !with_will {
            book.links[open.link].goodbye = Goodbye::Said;
        }
    }

    pub(super) fn usable(&mut self) -> Option<&mut Open> {
        self.open.as_mut().filter(|open| !open.leaving)
    }

    fn send(&mut self, world: &World, book: &mut Book) {
        let Some(open) = &mut self.open else { return };
        let bytes = open.out.make_contiguous();
        if !bytes.is_empty() {
            let closed = world.network().is_closed(open.number);
            let sent = world.network().send(open.number, bytes);
            open.out.drain(..sent);
            if sent > 0 && !closed {
                book.spoke(open.link);
            }
            world.note("send", open.number.into(), sent as u64);
        }
    }

    fn read(&mut self, world: &World, book: &mut Book) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let before = open.input.len();
        let line = world.network().take(open.number, &mut open.input);
        if open.input.len() > before {
            world.note("read", open.number.into(), (open.input.len() - before) as u64);
        }
        while let Some(header) = frame_header(&open.input).map_err(|error| error.to_string())? {
            if open.input.len() < header.total_len() {
                break;
            }
            let packet: Vec<u8> = open.input.drain(..header.total_len()).collect();
            let packet = decode(open.version, header.first, &packet[header.header_len..])
                .map_err(|error| format!("link {}: {error}", open.link))?;
            open.take(&packet, book)?;
        }
        if line != Line::Open
            && let Some(open) = self.open.take()
        {
            // Perhaps in the middle of a packet: a client that is slow loses the last words of a closing connection.
            world.note("closed", open.number.into(), 0);
            book.closed_in_time(open.link)?;
            let link = &mut book.links[open.link];
            // Otherwise something was left unread, and the end came as a reset.
            if link.goodbye == Goodbye::Said && open.out.is_empty() && line == Line::Finished {
                link.goodbye = Goodbye::Heard;
            }
            self.gone(&open, world, book);
        }
        Ok(())
    }
}
