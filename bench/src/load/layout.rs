//! Where everything of a plan has its place: streams by number, clients by thread, and what of whom comes to whom. The
//! same for all threads; checks the plan on the way.

use millrace_codec::{QoS, Version};

use super::payload;
use super::plan::{Group, Hears, Pace, Plan, Publish};

/// Pairs of subscriber and stream that the account can hold in one process: 512 MiB.
const PAIRS_MAX: usize = 1 << 26;

/// See above.
pub(super) struct Layout<'a> {
    pub(super) plan: &'a Plan,
    pub(super) version: Version,
    /// By group: index of its first stream among all streams.
    pub(super) first_stream: Vec<usize>,
    pub(super) streams: usize,
}

impl<'a> Layout<'a> {
    /// # Errors
    /// What is wrong with the plan.
    pub(super) fn new(plan: &'a Plan) -> Result<Layout<'a>, String> {
        let version = Version::ALL.into_iter().find(|version| version.level() == plan.level);
        let version = version.ok_or(format!("protocol level {}: 3, 4 and 5 are known", plan.level))?;
        check(plan)?;
        let mut first_stream = Vec::new();
        let mut streams = 0;
        for group in &plan.groups {
            first_stream.push(streams);
            streams += group.publish.as_ref().map_or(0, |publish| publish.streams);
        }
        Ok(Layout { plan, version, first_stream, streams })
    }

    /// The thread of a client: that of the stream that comes to it alone, so that what it waits for and what waits for
    /// it are together.
    pub(super) fn thread_of(&self, group: &Group, number: usize) -> usize {
        let same = group.subscribe.iter().find(|subscription| subscription.hears == Hears::Same);
        let publish = same.and_then(|subscription| self.plan.groups[subscription.of].publish.as_ref());
        publish.map_or(number, |publish| number % publish.of) % self.plan.threads
    }

    /// The thread that sends a stream, if this process does.
    pub(super) fn thread_of_stream(&self, group: &Group, publish: &Publish, stream: usize) -> Option<usize> {
        let number = stream % publish.of;
        let here = (group.first..group.first + group.count).contains(&number);
        here.then(|| self.thread_of(group, number))
    }

    /// Messages of a stream (by its index) in a run of a fixed number.
    pub(super) fn quota(&self, stream: usize) -> u64 {
        match self.plan.phases.count {
            None => u64::MAX,
            Some(count) => {
                let streams = self.streams as u64;
                count / streams + u64::from((stream as u64) < count % streams)
            }
        }
    }

    /// The lowest QoS that a message of a group may be delivered with.
    pub(super) fn lowest_qos(&self, group: usize, publish: &Publish) -> u8 {
        let all = self.plan.groups.iter().flat_map(|group| &group.subscribe);
        let of = all.filter(|subscription| subscription.of == group && subscription.hears.is_of_this_run());
        of.map(|subscription| subscription.qos).fold(publish.qos, u8::min)
    }

    /// Whether streams that other processes send come here: how much is still under way is not known then.
    pub(super) fn hears_others(&self) -> bool {
        let all = self.plan.groups.iter().flat_map(|group| &group.subscribe);
        let mut heard = all.filter(|subscription| subscription.hears.is_of_this_run());
        heard.any(|subscription| {
            let of = &self.plan.groups[subscription.of];
            of.publish.as_ref().is_some_and(|publish| !publish.receivers_here || of.count < publish.of)
        })
    }
}

/// How many streams of a publishing group come to one subscriber.
pub(super) fn width(hears: Hears, publish: &Publish) -> usize {
    match hears {
        Hears::Nobody | Hears::Anything => 0,
        Hears::Same => 1,
        Hears::All | Hears::Share => publish.streams,
        Hears::Block(streams) => streams,
    }
}

pub(super) fn qos(number: u8) -> Result<QoS, String> {
    QoS::from_number(number).ok_or(format!("QoS {number}: 0, 1 and 2 are known"))
}

fn check(plan: &Plan) -> Result<(), String> {
    let whole = [
        (plan.threads >= 1, "at least one thread is needed"),
        (plan.connect.at_once >= 1, "at least one connection must be under way at once"),
        (plan.connect.timeout_s > 0.0, "connections need time to get ready"),
        (
            plan.connect.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0),
            "the rate of connections must be above 0",
        ),
        (plan.sample_s > 0.0, "samples need an interval above 0"),
        (plan.groups.len() <= usize::from(u16::MAX), "at most 65,535 groups"),
        (
            plan.phases.count.is_none_or(|_| plan.groups.iter().any(|group| group.publish.is_some())),
            "nothing to count: no group publishes",
        ),
        (
            plan.sources.iter().all(|source| source.is_ipv4() == plan.broker.is_ipv4()),
            "source addresses must be of the broker's family",
        ),
    ];
    if let Some((_, wrong)) = whole.iter().find(|(good, _)| !good) {
        return Err((*wrong).to_owned());
    }
    let mut pairs = 0_usize;
    for group in &plan.groups {
        let named = |error: String| format!("group {}: {error}", group.name);
        if let Some(publish) = &group.publish {
            check_publish(publish).map_err(named)?;
        }
        for (at, subscription) in group.subscribe.iter().enumerate() {
            qos(subscription.qos).map_err(named)?;
            if !subscription.hears.is_of_this_run() {
                continue;
            }
            let publish = plan.groups.get(subscription.of).and_then(|group| group.publish.as_ref());
            let publish = publish.ok_or_else(|| named("hears a group that does not publish".to_owned()))?;
            let mut before = group.subscribe[..at].iter();
            if before.any(|other| other.of == subscription.of && other.hears.is_of_this_run()) {
                return Err(named("hears the same group by two subscriptions".to_owned()));
            }
            pairs = pairs.saturating_add(group.count.saturating_mul(width(subscription.hears, publish)));
        }
    }
    if pairs > PAIRS_MAX {
        return Err(format!(
            "{pairs} pairs of subscriber and stream are more than the account of one process holds ({PAIRS_MAX}): \
             use more processes, or fewer subscribers that hear everything"
        ));
    }
    Ok(())
}

fn check_publish(publish: &Publish) -> Result<(), String> {
    qos(publish.qos)?;
    let (window, rate) = match publish.pace {
        Pace::Window(window) => (window, 1.0),
        Pace::Rate { per_second, window } => (window, per_second),
    };
    let cases = [
        (publish.streams >= 1 && publish.of >= 1, "publishes no stream"),
        (u32::try_from(publish.streams).is_ok(), "has more streams than 32 bits count"),
        (publish.size >= payload::BYTES, "payloads have at least 24 bytes, for the account"),
        (window >= 1, "needs a window of at least 1"),
        (rate.is_finite() && rate > 0.0, "needs a rate above 0"),
    ];
    cases.iter().find(|(good, _)| !good).map_or(Ok(()), |(_, wrong)| Err((*wrong).to_owned()))
}
