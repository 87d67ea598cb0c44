//! The messages of one publisher that are not acknowledged yet, by packet identifier. No sockets, no clock.

use millrace_codec::PacketType;

/// Identifiers to begin with; more come as more are in flight.
const IDS_MIN: usize = 64;
/// Identifiers are 1 to 65,535.
const IDS_MAX: usize = 1 << 16;
/// Marks that PUBREC came. Times stay below it: 292 years since the machine was started.
const RECEIVED: u64 = 1 << 63;

/// See above.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// By packet identifier: when the message was to be sent, in ns, above 0; 0: free.
    slots: Vec<u64>,
    last: usize,
    count: u32,
}

/// What an acknowledgement is to a message in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The message is done; it was to be sent at this time.
    Done(u64),
    /// PUBREC came, PUBREL is due.
    Release,
    /// PUBREC came again: PUBREL is due again, but it should not have come.
    ReleaseAgain,
    /// Nothing in flight waits for it.
    Unexpected,
}

impl Flight {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// An identifier for a message that was to be sent at this time. At most 65,534 may be in flight before.
    #[inline]
    pub(super) fn start(&mut self, intended_ns: u64) -> u16 {
        // At most half are in use, so that the search is short and an identifier rests before it comes again.
        if self.slots.len() < IDS_MAX && (self.count as usize + 1) * 2 > self.slots.len() {
            let more = (self.slots.len() * 2).clamp(IDS_MIN, IDS_MAX);
            self.slots.resize(more, 0);
        }
        loop {
            self.last = if self.last + 1 < self.slots.len() { self.last + 1 } else { 1 };
            if self.slots[self.last] == 0 {
                break;
            }
        }
        self.slots[self.last] = intended_ns.max(1);
        self.count += 1;
        self.last as u16
    }

    /// PUBACK, PUBREC or PUBCOMP came. A refusal ends the flight, whichever it is.
    #[inline]
    pub(super) fn step(&mut self, packet: PacketType, packet_id: u16, qos: u8, refused: bool) -> Step {
        let Some(slot) = self.slots.get_mut(usize::from(packet_id)) else { return Step::Unexpected };
        let received = *slot & RECEIVED != 0;
        match (packet, qos) {
            _ if *slot == 0 => Step::Unexpected,
            (PacketType::PubRec, 2) if !refused => {
                *slot |= RECEIVED;
                if received { Step::ReleaseAgain } else { Step::Release }
            }
            (PacketType::PubAck, 1) | (PacketType::PubRec, 2) => self.end(packet_id),
            (PacketType::PubComp, 2) if received => self.end(packet_id),
            _ => Step::Unexpected,
        }
    }

    fn end(&mut self, packet_id: u16) -> Step {
        let slot = std::mem::take(&mut self.slots[usize::from(packet_id)]);
        self.count -= 1;
        Step::Done(slot & !RECEIVED)
    }
}

#[cfg(test)]
mod tests {
    use PacketType::{PubAck, PubComp, PubRec};
    use Step::{Done, Release, ReleaseAgain, Unexpected};

    use super::*;

    #[test]
    fn each_acknowledgement_is_one_of_what_waits_for_it() {
        // One message is in flight, with identifier 1 at time 9.
        let cases: [(&str, u8, &[(PacketType, u16, bool, Step)]); 9] = [
            ("QoS 1", 1, &[(PubAck, 1, false, Done(9)), (PubAck, 1, false, Unexpected)]),
            ("QoS 1 refused", 1, &[(PubAck, 1, true, Done(9))]),
            ("never sent", 1, &[(PubAck, 2, false, Unexpected), (PubAck, 0, false, Unexpected)]),
            ("far beyond", 1, &[(PubAck, 65_535, false, Unexpected), (PubAck, 1, false, Done(9))]),
            ("of QoS 2 for QoS 1", 1, &[(PubRec, 1, false, Unexpected), (PubComp, 1, false, Unexpected)]),
            ("QoS 2", 2, &[(PubRec, 1, false, Release), (PubComp, 1, false, Done(9))]),
            ("again", 2, &[(PubRec, 1, false, Release), (PubRec, 1, false, ReleaseAgain)]),
            ("QoS 2 refused", 2, &[(PubRec, 1, true, Done(9)), (PubComp, 1, false, Unexpected)]),
            ("too early", 2, &[(PubComp, 1, false, Unexpected), (PubAck, 1, false, Unexpected)]),
        ];
        for (name, qos, steps) in cases {
            let mut flight = Flight::default();
            assert_eq!(flight.start(9), 1);
            for &(packet, id, refused, expected) in steps {
                assert_eq!(flight.step(packet, id, qos, refused), expected, "{name}: {packet} {id}");
            }
            let done = steps.iter().any(|step| matches!(step.3, Done(_)));
            assert_eq!(flight.count(), u32::from(!done), "{name}");
        }
    }

    #[test]
    fn identifiers_are_all_that_there_are_and_none_twice() {
        let mut flight = Flight::default();
        let mut used = vec![false; 65_536];
        for time in 0..65_535 {
            let id = usize::from(flight.start(time));
            assert!(id != 0 && !std::mem::replace(&mut used[id], true));
        }
        assert_eq!(flight.step(PubAck, 77, 1, false), Done(flight_time(&used)));
        assert_eq!(flight.start(3), 77);

        fn flight_time(_: &[bool]) -> u64 {
            76
        }
    }
}
