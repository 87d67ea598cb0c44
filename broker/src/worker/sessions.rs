//! Sessions beyond their connections: what becomes of one when its connection ends, when its client is back, and when
//! nobody comes back.

use super::close::Cause;
use super::{Core, Parked, SlotId};
use crate::session::{Session, Will};
use millrace_kafka_sink::EventData;
use std::sync::atomic::Ordering;

/// A session whose client is away is asked for its deadline at least so often: entries of the wheel stay when the
/// client is back, and an expiry may be years.
const ASK_MS: u64 = 600_000;

impl Core {
    /// Takes a place for one more session; `false` when there are as many as there may be.
    pub(super) fn enter_session(&self) -> bool {
        let max = self.shared.limits.max_sessions as usize;
        let before = self.shared.sessions.fetch_add(1, Ordering::Relaxed);
        if before >= max {
            self.shared.sessions.fetch_sub(1, Ordering::Relaxed);
        }
        before < max
    }

    /// The session of a client whose connection has ended and not been replaced; one whose time is up ends here.
    pub(super) fn find_session(&mut self, client_id: &str) -> Option<u32> {
        let position = self.clients.get(&self.sessions, client_id)?;
        let now_ms = self.now.mono_ms;
        let session = self.sessions.at_mut(position)?;
        if session.connection == u32::MAX && session.extra().expires_ms <= now_ms {
            self.counters.expired += 1;
            self.end_session(position);
            return None;
        }
        Some(position)
    }

    /// The connection of a session has ended.
    pub(super) fn leave_session(&mut self, position: u32, cause: Cause) {
        let now = self.now;
        let Some(id) = self.sessions.id_at(position) else { return };
        let Some(session) = self.sessions.at_mut(position) else { return };
        tracing::debug!(client_id = &*session.client_id, reason = cause.word(), "disconnected");
        if cause == Cause::Goodbye {
            session.will = None; // [MQTT-3.14.4-3]
        }
        session.connection = u32::MAX;
        self.counters.left += 1;
        let kept = session.is_kept();
        let delayed = kept && session.will.as_ref().is_some_and(|will| will.delay_s > 0);
        let wakes_ms = if kept { session.pause(now.mono_ms) } else { u64::MAX };
        // Before the will, which may be for others of its groups.
        if kept {
            self.be_away(id);
        } else {
            self.leave_all(id);
        }
        if !delayed {
            self.publish_will_of(position);
        }
        let data = EventData::Disconnected { reason: cause.word() };
        let taken = self.hooks.taken(&data);
        if let Some(session) = self.sessions.at(position) {
            self.counters.records_too_large += self.hooks.record(taken, now, session.who(), data);
        }
        if kept {
            self.arm_session(position, wakes_ms);
        } else {
            self.end_session(position);
        }
    }

    /// A session ends for good [MQTT-3.1.2-4, MQTT-3.1.2-23]: with it the will that was delayed.
    pub(super) fn end_session(&mut self, position: u32) {
        let Some(id) = self.sessions.id_at(position) else { return };
        self.leave_all(id);
        self.publish_will_of(position);
        let Some(mut session) = self.sessions.remove(position) else { return };
        self.shared.sessions.fetch_sub(1, Ordering::Relaxed);
        self.clients.remove(&session.client_id, position);
        for id in session.filters.take() {
            self.drop_subscription(id, position);
        }
    }

    /// Publishes the will of a session, if it is still there, once.
    pub(super) fn publish_will_of(&mut self, position: u32) {
        let Some(session) = self.sessions.at_mut(position) else { return };
        let Some(will) = session.will.take() else { return };
        let Will { message, .. } = *will;
        // Routing is free to change the session meanwhile.
        let (client_id, username) = (session.client_id.clone(), session.username.clone());
        self.publish_will(Parked { client_id, username, message });
    }

    /// Wakes this session's timer at the deadline, unless it is woken before anyhow.
    fn arm_session(&mut self, position: u32, deadline_ms: u64) {
        let Some(id) = self.sessions.id_at(position) else { return };
        if deadline_ms == u64::MAX {
            return;
        }
        let deadline_ms = deadline_ms.min(self.now.mono_ms.saturating_add(ASK_MS));
        if let Some(session) = self.sessions.at_mut(position)
            && deadline_ms < session.extra().timer_ms
        {
            session.extra().timer_ms = deadline_ms;
            self.session_timers.insert(deadline_ms, id);
        }
    }

    /// Sessions whose client may have stayed away for too long.
    pub(super) fn fire_session_timers(&mut self) {
        let mut fired: Vec<SlotId> = Vec::new();
        self.session_timers.expire(self.now.mono_ms, &mut fired);
        for id in fired {
            if self.sessions.contains(id) {
                self.on_session_timer(id.index);
            }
        }
    }

    fn on_session_timer(&mut self, position: u32) {
        let now_ms = self.now.mono_ms;
        let Some(session) = self.sessions.at_mut(position) else { return };
        let away = session.connection == u32::MAX;
        let extra = session.extra();
        if extra.timer_ms > now_ms {
            return; // an older entry of the wheel
        }
        extra.timer_ms = u64::MAX;
        if !away {
            return;
        }
        if extra.expires_ms <= now_ms {
            self.counters.expired += 1;
            return self.end_session(position);
        }
        if extra.will_ms <= now_ms {
            extra.will_ms = u64::MAX;
            let next_ms = extra.expires_ms;
            crate::seam::mark(crate::seam::Branch::WillAfterDelay);
            self.publish_will_of(position);
            return self.arm_session(position, next_ms);
        }
        let next_ms = extra.expires_ms.min(extra.will_ms);
        self.arm_session(position, next_ms);
    }

    /// Stores a session that has just begun.
    pub(super) fn add_session(&mut self, session: Session) -> u32 {
        let client_id = session.client_id.clone();
        let position = self.sessions.insert(session).index;
        self.clients.insert(&client_id, position);
        position
    }

    /// The session that a CONNECT goes on with, if there is one and the client wants it; one that it does not want
    /// ends [MQTT-3.1.2-4, MQTT-3.1.2-5].
    pub(super) fn session_for(&mut self, client_id: &str, clean_start: bool) -> Option<u32> {
        let position = self.find_session(client_id)?;
        if clean_start {
            self.end_session(position);
            return None;
        }
        Some(position)
    }
}
