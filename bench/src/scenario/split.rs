//! A plan cut for several processes: every client is in one of them, and who hears whom stays as it was.

use super::draft::Draft;
use crate::load::plan::{Hears, Pace, Plan};

/// How a group of clients is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// In equal parts, by number.
    Divide,
    /// The same, by blocks of so many that stay whole.
    Blocks(usize),
    /// Whole, to the process with this number (modulo their number).
    On(usize),
}

/// The plans of `processes` processes; fewer if there are fewer clients.
///
/// # Errors
/// A closed window whose deliveries come to another process. Acknowledgements alone would open it, as fast as the broker
/// takes messages, and whoever hears them would be drowned: that measures queues.
pub(super) fn split(draft: &Draft, processes: usize) -> Result<Vec<Plan>, String> {
    let whole = &draft.plan;
    let clients: usize = whole.groups.iter().map(|group| group.count).sum();
    let processes = processes.clamp(1, clients.max(1));
    let here: Vec<bool> =
        (0..whole.groups.len()).map(|group| is_heard_at_home(draft, group, processes)).collect();
    for (group, here) in whole.groups.iter().zip(&here) {
        let Some(publish) = &group.publish else { continue };
        let closed = matches!(publish.pace, Pace::Window(_));
        if closed && publish.receivers > 0 && !here {
            return Err("a closed window is opened by deliveries, which come to another process here: give --rate, or \
                 --threads instead of --processes"
                .to_owned());
        }
    }
    let plans = (0..processes).map(|process| {
        let mut plan = whole.clone();
        for (index, (group, spread)) in plan.groups.iter_mut().zip(&draft.spread).enumerate() {
            let (first, end) = part(*spread, group.count, process, processes);
            (group.first, group.count) = (group.first + first, end - first);
            if let Some(publish) = &mut group.publish {
                publish.receivers_here = here[index];
            }
        }
        plan.connect.at_once = whole.connect.at_once.div_ceil(processes);
        plan.connect.rate = whole.connect.rate.map(|rate| rate / processes as f64);
        // Random times of one process are not those of the next.
        plan.seed = whole.seed.wrapping_add(process as u64);
        plan
    });
    Ok(plans.collect())
}

/// The first client of a process in a group of `count`, and the one behind its last.
fn part(spread: Spread, count: usize, process: usize, processes: usize) -> (usize, usize) {
    match spread {
        Spread::Divide => (process * count / processes, (process + 1) * count / processes),
        Spread::Blocks(width) => {
            let (first, end) = part(Spread::Divide, count.div_ceil(width), process, processes);
            (count.min(first * width), count.min(end * width))
        }
        Spread::On(home) if home % processes == process => (0, count),
        Spread::On(_) => (0, 0),
    }
}

/// Whether all deliveries of what a group publishes come to the process that has published it.
fn is_heard_at_home(draft: &Draft, of: usize, processes: usize) -> bool {
    if processes == 1 {
        return true;
    }
    let publisher = &draft.plan.groups[of];
    let hearing = draft.plan.groups.iter().zip(&draft.spread).flat_map(|(group, spread)| {
        let heard = group.subscribe.iter().filter(|it| it.of == of && it.hears.is_of_this_run());
        heard.map(move |subscription| (group, spread, subscription.hears))
    });
    let mut hearing = hearing;
    hearing.all(|(group, spread, hears)| match (draft.spread[of], *spread) {
        (Spread::On(from), Spread::On(to)) => from % processes == to % processes,
        (Spread::Divide, Spread::Divide) => {
            let streams = publisher.publish.as_ref().map_or(0, |publish| publish.streams);
            hears == Hears::Same && group.count == publisher.count && streams == publisher.count
        }
        // The blocks are divided as those are who hear them.
        (Spread::Blocks(width), Spread::Divide) => {
            hears == Hears::Block(width) && group.count * width == publisher.count
        }
        _ => false,
    })
}
