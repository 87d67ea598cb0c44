//! A worker's part of the plan: its clients in the order in which they connect, its publishers, its account.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use mio::{Poll, Waker};

use super::*;
use crate::load::layout::{qos, width};
use crate::load::plan::{Pace, Publish};
use crate::load::publisher::{Gate, Schedule, Stream};
use crate::load::template::{Form, Template, fill_in};
use crate::load::timetable::Entry;

impl<'a> Worker<'a> {
    /// A poll with its waker, for the worker's link, which all others have to know before it is built.
    pub(in crate::load) fn poll() -> io::Result<(Poll, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok((poll, waker))
    }

    /// # Errors
    /// A topic that cannot be sent; no timer to be had.
    pub(in crate::load) fn new(
        layout: &'a Layout<'a>,
        number: usize,
        poll: Poll,
        links: &'a [Arc<Link>],
        reports: Sender<Report>,
        began: u64,
    ) -> Result<Worker<'a>, String> {
        let plan = layout.plan;
        let alarm = Alarm::new(poll.registry(), ALARM).map_err(|error| format!("a timer: {error}"))?;
        let mut worker = Worker {
            layout,
            number,
            links,
            reports,
            poll,
            alarm,
            now: began,
            flowing: false,
            finished: false,
            clients: Vec::new(),
            publishers: Vec::new(),
            timetables: Vec::new(),
            dirty: Vec::new(),
            lent: Vec::new(),
            pump: Vec::new(),
            watches: Vec::new(),
            ordered: Ordered::default(),
            once: Vec::new(),
            once_keys: Vec::new(),
            unfollowed: 0,
            owners: Vec::new(),
            arrived: vec![0; layout.streams],
            came: 0,
            last: began,
            outboxes: links.iter().map(|_| Vec::new()).collect(),
            inbox: Vec::new(),
            counters: Counters::default(),
            times: Times::new(),
            connect_times: Times::new(),
            totals: Totals::default(),
            connections: 0,
            error: String::new(),
            random: Random::new(plan.seed.wrapping_add(number as u64)),
            opening: Opening::new(plan, number, began),
            clockwork: Clockwork::new(plan, began),
            churn: Churn::default(),
        };
        let slots = worker.add_clients();
        worker.add_publishers()?;
        worker.add_watches(&slots);
        Ok(worker)
    }

    /// Those that subscribe connect first. Returns how many clients of each group are here.
    fn add_clients(&mut self) -> Vec<usize> {
        let plan = self.layout.plan;
        let mut slots = vec![0; plan.groups.len()];
        for subscribes in [true, false] {
            for (at, group) in plan.groups.iter().enumerate() {
                if group.subscribe.is_empty() == subscribes {
                    continue;
                }
                for number in group.first..group.first + group.count {
                    if self.layout.thread_of(group, number) == self.number {
                        self.clients.push(Client::new(at as u16, number as u32, slots[at] as u32));
                        slots[at] += 1;
                    }
                }
            }
        }
        self.clients.shrink_to_fit();
        slots
    }

    fn add_publishers(&mut self) -> Result<(), String> {
        let layout = self.layout;
        let plan = layout.plan;
        let keys = self.clients.iter().map(|client| (usize::from(client.group), client.number as usize));
        let index: HashMap<_, _> = keys.zip(0_u32..).collect();
        for (at, group) in plan.groups.iter().enumerate() {
            let Some(publish) = &group.publish else { continue };
            let qos = qos(publish.qos)?;
            let form = Form::new(layout.version, qos, publish.retain, publish.size);
            let first = layout.first_stream[at];
            let mut entries = Vec::new();
            for number in 0..publish.streams {
                let client = match layout.thread_of_stream(group, publish, number) {
                    None => {
                        self.owners.push(Owner::Elsewhere);
                        continue;
                    }
                    Some(thread) if thread != self.number => {
                        self.owners.push(Owner::Thread(thread as u32));
                        continue;
                    }
                    Some(_) => index[&(at, number % publish.of)],
                };
                let publisher = self.publisher(client, at, publish);
                let topic = fill_in(&publish.topic, number, plan.run);
                let template = Template::new(&form, &topic)
                    .map_err(|error| format!("group {}: PUBLISH to {topic:?}: {error}", group.name))?;
                let quota = layout.quota(first + number);
                let streams = &mut self.publishers[publisher as usize].streams;
                let entry = Entry { stream: number as u32, publisher, index: streams.len() as u32, quota };
                entries.push(entry);
                streams.push(Stream::new((first + number) as u32, number as u32, quota, template));
                self.owners.push(Owner::Mine(publisher));
            }
            if let Pace::Rate { per_second, .. } = publish.pace {
                // It starts when messages may flow.
                let schedule = Schedule { start: u64::MAX, per_second, streams: publish.streams as u64 };
                entries.retain(|entry| entry.quota > 0);
                self.timetables.push(Timetable::new(schedule, entries));
            }
        }
        Ok(())
    }

    /// The publisher of a client, which is made when it is needed first.
    fn publisher(&mut self, client: u32, at: usize, publish: &Publish) -> u32 {
        let known = self.clients[client as usize].publisher;
        if known != crate::load::client::NONE {
            return known;
        }
        let (window, is_window) = match publish.pace {
            Pace::Window(window) => (window, true),
            Pace::Rate { window, .. } => (window, false),
        };
        let receivers = if publish.receivers_here { publish.receivers } else { 0 };
        let gate = match (receivers, publish.qos, is_window) {
            (1.., _, true) => Gate::Deliveries,
            (0, 0, _) if publish.receivers == 0 || is_window => Gate::Pings,
            (0, _, true) => Gate::Acknowledgements,
            _ => Gate::Open,
        };
        let mut publisher =
            crate::load::publisher::Publisher::new(client, at as u16, gate, receivers, publish.qos, window);
        publisher.lossy = self.layout.lowest_qos(at, publish) == 0;
        let index = self.publishers.len() as u32;
        self.publishers.push(publisher);
        self.clients[client as usize].publisher = index;
        index
    }

    fn add_watches(&mut self, slots: &[usize]) {
        let plan = self.layout.plan;
        let groups = plan.groups.len();
        self.watches = vec![None; groups * groups];
        let mut pairs = 0;
        for (at, group) in plan.groups.iter().enumerate() {
            for subscription in &group.subscribe {
                let Some(publish) = plan.groups.get(subscription.of).and_then(|of| of.publish.as_ref())
                else {
                    continue;
                };
                if !subscription.hears.is_of_this_run() || slots[at] == 0 {
                    continue;
                }
                let width = width(subscription.hears, publish);
                let first_stream = self.layout.first_stream[subscription.of];
                let once = self.once.len();
                if subscription.hears == Hears::Share {
                    self.once.resize(once + publish.streams, Once::default());
                    let watch = at * groups + subscription.of;
                    self.once_keys
                        .extend((first_stream..first_stream + publish.streams).map(|at| (watch, at)));
                }
                self.watches[at * groups + subscription.of] = Some(Watch {
                    hears: subscription.hears,
                    base: pairs,
                    width,
                    first_stream,
                    streams: publish.streams as u32,
                    size: publish.size,
                    once,
                });
                pairs += width * slots[at];
            }
        }
        self.ordered = Ordered::new(pairs);
    }
}
