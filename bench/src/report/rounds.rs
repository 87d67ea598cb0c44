//! Several brokers, several rounds each: medians, spreads, and ratios to the first broker.

use super::metric::{METRICS, Spread};
use super::text::{ratio, table};
use super::verdict::{self, workload};
use crate::outcome::Outcome;

/// A block for each figure with a line for each broker. The workload is that of the first run.
pub(crate) fn rounds(brokers: &[(String, Vec<Outcome>)]) -> String {
    let Some(first) = brokers.iter().find_map(|(_, runs)| runs.first()) else {
        return "no runs\n".to_owned();
    };
    let cell = |text: &str| text.to_owned();
    let mut rows = Vec::new();
    for metric in METRICS {
        let spreads: Vec<Option<Spread>> = brokers
            .iter()
            .map(|(_, runs)| Spread::of_rounds(metric, &runs.iter().collect::<Vec<_>>()))
            .collect();
        if spreads.iter().all(Option::is_none) {
            continue;
        }
        let base = spreads[0].map(|spread| spread.median);
        rows.push(Vec::new());
        rows.push(vec![cell(metric.name), cell("median"), cell("min..max"), cell("ratio")]);
        for ((name, _), spread) in brokers.iter().zip(&spreads) {
            let name = format!("  {name}");
            rows.push(match spread {
                Some(spread) => {
                    let ratio = base.map_or_else(|| cell("–"), |base| ratio(spread.median / base));
                    vec![name, (metric.show)(spread.median), spread.range(metric), ratio]
                }
                None => vec![name, cell("–"), String::new(), cell("–")],
            });
        }
    }
    format!("{}\n{}{}", workload(first), table(&rows), troubles(brokers))
}

/// Rounds of which the figures should not be believed, and why.
fn troubles(brokers: &[(String, Vec<Outcome>)]) -> String {
    let mut out = String::new();
    for (name, runs) in brokers {
        for (index, run) in runs.iter().enumerate() {
            for words in verdict::troubles(run) {
                out.push_str(&format!("warning: {name}, round {}: {words}\n", index + 1));
            }
        }
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}
