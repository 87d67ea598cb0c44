//! Retained messages for new subscriptions: the side of the core that asks. One question a session at a time, and the next
//! one when most of the answer has left the session's queue, so that a client that reads slowly has little waiting here
//! whatever it subscribes to.

use super::deliver::Terms;
use super::mailbox::Ask;
use super::{Control, Core, SlotId};
use crate::delivery::{Message, ScanId};
use crate::seam::{Branch, mark, reach};
use crate::session::{Options, Scan};
use millrace_router::{Cursor, Filter};
use std::sync::atomic::{Ordering, fence};

/// Messages in one answer, at most.
const ANSWER: usize = 64;
/// A session with more of them in its queue is asked for no more.
const QUEUE: usize = 64;

impl Core {
    /// A subscription has begun whose route is stored: its client gets what is retained [MQTT-3.3.1-6].
    pub(super) fn begin_scan(&mut self, id: SlotId, filter: &Filter<'_>, options: Options) {
        if !self.shared.limits.retain_available || filter.share_group().is_some() {
            return;
        }
        reach();
        fence(Ordering::SeqCst);
        if !self.shared.retained.any(filter.text()) || self.has_none_retained(filter) {
            return self.end_scan(id, filter.text());
        }
        let cores = match filter.has_wildcard() {
            true => 0..=self.shared.mailboxes.len() - 1,
            false => {
                let keeper = self.shared.keeper(filter.text());
                keeper..=keeper
            }
        };
        self.scans = self.scans.wrapping_add(1);
        let scan = Scan::new(self.scans, filter.text(), options, cores);
        self.end_scan(id, filter.text());
        let Some(session) = self.sessions.at_mut(id.index) else { return };
        session.extra().scans.push_back(scan);
        self.ask(id.index);
    }

    /// Whether this core keeps the topic of this filter, knows of all messages for it, and has none.
    fn has_none_retained(&self, filter: &Filter<'_>) -> bool {
        !filter.has_wildcard()
            && self.shared.keeper(filter.text()) == self.me
            && self.shared.mailboxes[self.me].batches() == 0
            && self.retained_here(filter.text()).is_none()
    }

    /// A subscription has ended or been replaced: nothing more comes for it.
    pub(super) fn end_scan(&mut self, id: SlotId, filter: &str) {
        let Some(session) = self.sessions.at_mut(id.index) else { return };
        let Some(extra) = session.extra_if_any() else { return };
        if extra.scans.is_empty() {
            return;
        }
        extra.scans.retain(|scan| *scan.filter != *filter);
        self.ask(id.index);
    }

    /// Asks for more, if there is more and the session has room for it.
    pub(super) fn ask(&mut self, position: u32) {
        let Some(SlotId { index, generation }) = self.sessions.id_at(position) else { return };
        let limits = &self.shared.limits;
        let Some(session) = self.sessions.at_mut(position) else { return };
        let (messages, bytes) = session.flow_if_any().map_or((0, 0), |flow| flow.outbound.queued());
        // An answer must fit into the queue: nobody sends it again.
        let messages_max = limits.max_queued_messages as usize;
        if session.connection == u32::MAX || messages > QUEUE.min(messages_max / 2) {
            return;
        }
        let Some(scan) = session.extra_if_any().and_then(|extra| extra.scans.front_mut()) else { return };
        if std::mem::replace(&mut scan.asked, true) {
            return;
        }
        let ask = Ask {
            core: self.me,
            scan: ScanId { session: (index, generation), number: scan.number },
            filter: scan.filter.clone(),
            cursor: scan.cursor.clone(),
            messages: ANSWER.min(messages_max - messages).max(1),
            bytes: limits.max_queued_bytes.saturating_sub(bytes as u64),
        };
        self.shared.mailboxes[scan.core].control(Control::Ask(Box::new(ask)));
    }

    /// The scan that an answer is for, if it is still under way.
    fn scan(&mut self, id: ScanId) -> Option<&mut Scan> {
        let (index, generation) = id.session;
        if !self.sessions.contains(SlotId { index, generation }) {
            return None;
        }
        let scan = self.sessions.at_mut(index)?.extra_if_any()?.scans.front_mut()?;
        (scan.number == id.number).then_some(scan)
    }

    /// A message of an answer.
    pub(super) fn deliver_retained(&mut self, id: ScanId, message: &Message<'_>) {
        let Some(scan) = self.scan(id) else { return };
        if !scan.admits(message.topic, message.order) {
            mark(Branch::ScanOvertaken);
            return;
        }
        let options = scan.options;
        let position = id.session.0;
        let own = || self.sessions.at(position).is_some_and(|session| *session.client_id == *message.from);
        if options.no_local() && own() {
            return;
        }
        let terms = Terms {
            qos: message.qos.min(options.qos()),
            retain: true,
            subscription_id: options.subscription_id(),
            patient: true,
        };
        self.begin_message(true);
        // It is no live message: that it was seen must not hold back what is newer.
        let message = Message { order: 0, ..*message };
        self.deliver_or_queue(position, &message, terms);
    }

    /// The end of an answer; `rest` is where to go on, if there is more.
    pub(super) fn end_answer(&mut self, id: ScanId, rest: &[u8]) {
        let Some(scan) = self.scan(id) else { return };
        let next = rest.split_first().and_then(|(from, path)| {
            // Made from a text by the core that answers.
            Some(Cursor::from_parts(std::str::from_utf8(path).ok()?, *from))
        });
        if !scan.end(next)
            && let Some(extra) = self.sessions.at_mut(id.session.0).and_then(|session| session.extra_if_any())
        {
            extra.scans.pop_front();
        }
        self.ask(id.session.0);
    }
}
