//! What a core has done, in plain numbers that only it writes; summed when somebody asks.

/// Counters of one core, or the sum over all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections turned away at the limit.
    pub turned_away: u64,
    /// CONNECT packets accepted.
    pub connected: u64,
    /// CONNECT packets refused.
    pub refused: u64,
    /// PUBLISH packets taken from clients.
    pub published: u64,
    /// Bytes of their payloads.
    pub published_bytes: u64,
    /// Messages sent to clients.
    pub delivered: u64,
    /// Bytes of their payloads.
    pub delivered_bytes: u64,
    /// Messages for a client that were dropped: QoS 0 to a client that does not read.
    pub dropped_slow: u64,
    /// Messages for a client that were dropped: its queue was full.
    pub dropped_queue_full: u64,
    /// Messages for a client that were dropped: larger than it takes.
    pub dropped_too_large: u64,
    /// Messages for a client that were dropped: they expired while they waited.
    pub dropped_expired: u64,
    /// Messages that were not retained: there were as many as there may be.
    pub retained_refused: u64,
    /// Messages refused because a record would be larger than its hook allows.
    pub refused_too_large: u64,
    /// Records left out because they were larger than their hook allows, of events that nobody is refused for.
    pub records_too_large: u64,
    /// Times that a packet had to wait for room.
    pub held: u64,
    /// Connections closed for an illegal packet.
    pub illegal: u64,
    /// Connections closed for silence: no CONNECT, keep-alive, or nothing taken off us.
    pub timed_out: u64,
    /// Of the connected, those that have gone.
    pub left: u64,
    /// Sessions that ended because their client stayed away.
    pub expired: u64,
    /// Subscriptions made; one that replaces another is none.
    pub subscribed: u64,
    /// Subscriptions that have ended.
    pub unsubscribed: u64,
    /// Of the subscriptions made, those that are shared.
    pub joined: u64,
    /// Of those that have ended, the ones that were shared.
    pub parted: u64,
    /// MQTT packets of clients that were carried out.
    pub packets_received: u64,
    /// MQTT packets for clients.
    pub packets_sent: u64,
    /// Bytes read from sockets.
    pub bytes_received: u64,
    /// Bytes written to sockets.
    pub bytes_sent: u64,
    /// Messages that were not taken to be published later: there were as many as there may be.
    pub delayed_refused: u64,
    /// Topics and filters that stayed as they were, because a rule made none that is allowed of them.
    pub not_rewritten: u64,
    /// Automatic subscriptions that were not made, because their client could not have made them.
    pub not_subscribed: u64,
}

impl Counters {
    /// What was lost or refused, with its name; empty when nothing was.
    pub fn losses(&self) -> Vec<(&'static str, u64)> {
        let all = [
            ("connections turned away at max_connections", self.turned_away),
            ("QoS 0 messages dropped for clients that do not read", self.dropped_slow),
            ("messages dropped at max_queued_messages or max_queued_bytes", self.dropped_queue_full),
            ("messages dropped that were larger than their receiver takes", self.dropped_too_large),
            ("messages that expired before their receiver took them", self.dropped_expired),
            ("messages not retained at max_retained_messages or max_retained_bytes", self.retained_refused),
            ("delayed messages refused at max_messages or max_bytes", self.delayed_refused),
            ("topics and filters not rewritten, which would not have been allowed", self.not_rewritten),
            ("automatic subscriptions not made", self.not_subscribed),
            ("messages refused at max_record_bytes", self.refused_too_large),
            ("records left out at max_record_bytes", self.records_too_large),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Clients that are connected. Of one core or of all.
    pub fn clients(&self) -> u64 {
        self.connected.saturating_sub(self.left)
    }

    /// Subscriptions that there are.
    pub fn subscriptions(&self) -> u64 {
        self.subscribed.saturating_sub(self.unsubscribed)
    }

    /// Shared ones among them, one for each member.
    pub fn shared_subscriptions(&self) -> u64 {
        self.joined.saturating_sub(self.parted)
    }

    /// Messages that were dropped, for whatever reason.
    pub fn dropped(&self) -> u64 {
        self.dropped_slow + self.dropped_queue_full + self.dropped_too_large + self.dropped_expired
    }

    /// Adds another core's.
    pub fn add(&mut self, other: &Counters) {
        let Counters {
            accepted,
            turned_away,
            connected,
            refused,
            published,
            published_bytes,
            delivered,
            delivered_bytes,
            dropped_slow,
            dropped_queue_full,
            dropped_too_large,
            dropped_expired,
            retained_refused,
            refused_too_large,
            records_too_large,
            held,
            illegal,
            timed_out,
            left,
            expired,
            subscribed,
            unsubscribed,
            joined,
            parted,
            packets_received,
            packets_sent,
            bytes_received,
            bytes_sent,
            delayed_refused,
            not_rewritten,
            not_subscribed,
        } = other;
        self.accepted += accepted;
        self.turned_away += turned_away;
        self.connected += connected;
        self.refused += refused;
        self.published += published;
        self.published_bytes += published_bytes;
        self.delivered += delivered;
        self.delivered_bytes += delivered_bytes;
        self.dropped_slow += dropped_slow;
        self.dropped_queue_full += dropped_queue_full;
        self.dropped_too_large += dropped_too_large;
        self.dropped_expired += dropped_expired;
        self.retained_refused += retained_refused;
        self.refused_too_large += refused_too_large;
        self.records_too_large += records_too_large;
        self.held += held;
        self.illegal += illegal;
        self.timed_out += timed_out;
        self.left += left;
        self.expired += expired;
        self.subscribed += subscribed;
        self.unsubscribed += unsubscribed;
        self.joined += joined;
        self.parted += parted;
        self.packets_received += packets_received;
        self.packets_sent += packets_sent;
        self.bytes_received += bytes_received;
        self.bytes_sent += bytes_sent;
        self.delayed_refused += delayed_refused;
        self.not_rewritten += not_rewritten;
        self.not_subscribed += not_subscribed;
    }
}
