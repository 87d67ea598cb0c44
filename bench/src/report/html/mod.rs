//! One page for any number of runs, complete in itself: no font, script, style or image comes from elsewhere, and the
//! page's own policy forbids it. Tables and graphs are there without a script; a few lines of it add values under the
//! pointer.

mod details;
mod graphs;
mod tables;

use std::fmt::Write;

use super::text::moment;
use super::verdict::{notes, troubles, workload};
use crate::outcome::Outcome;
use crate::plot::{PALETTE, escape};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Runs of one kind of work, which share tables and graphs.
struct Work<'a> {
    runs: Vec<Run<'a>>,
}

struct Run<'a> {
    /// How the page calls it: the label, with a number if several have the same.
    name: String,
    /// Index of its colour.
    colour: usize,
    outcome: &'a Outcome,
}

/// The page.
///
/// # Errors
/// There is no run, or a graph cannot be drawn.
pub(crate) fn html(outcomes: &[Outcome]) -> Result<String, String> {
    let works = works(outcomes);
    let Some(first) = outcomes.first() else { return Err("no run to report".to_owned()) };
    let runs = if outcomes.len() == 1 { "1 run".to_owned() } else { format!("{} runs", outcomes.len()) };
    let mut names: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !names.contains(&outcome.scenario.as_str()) {
            names.push(&outcome.scenario);
        }
    }
    let title = format!("millrace-bench: {}", names.join(", "));
    let mut body = format!("<h1>{}</h1>\n<p class=\"sub\">{runs}", escape(&title));
    for part in [moment(first.started_unix_ms), details::machine(&first.machine)] {
        if !part.is_empty() {
            let _ = write!(body, " · {}", escape(&part));
        }
    }
    body.push_str("</p>\n");
    if works.len() > 1 {
        body.push_str("<nav><ul>\n");
        for (index, work) in works.iter().enumerate() {
            let name = escape(&workload(work.runs[0].outcome));
            let _ = writeln!(body, "<li><a href=\"#w{index}\">{name}</a></li>");
        }
        body.push_str("</ul></nav>\n");
    }
    for (index, work) in works.iter().enumerate() {
        let name = escape(&workload(work.runs[0].outcome));
        let _ = writeln!(body, "<section id=\"w{index}\">\n<h2>{name}</h2>");
        body.push_str(&remarks(work));
        body.push_str(&tables::tables(work));
        body.push_str(&graphs::graphs(work)?);
        body.push_str(&details::details(work));
        body.push_str("</section>\n");
    }
    Ok(page(&title, &body))
}

fn page(title: &str, body: &str) -> String {
    let (mut light, mut classes) = (String::new(), String::new());
    for (index, colour) in PALETTE.iter().enumerate() {
        let _ = write!(light, "--s{index}:{colour};");
        let _ = write!(classes, ".s{index}{{color:var(--s{index})}}");
    }
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>:root{{{light}}}\n{STYLE}{classes}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// Runs by scenario and what was asked of them, in the order of the first of each.
fn works(outcomes: &[Outcome]) -> Vec<Work<'_>> {
    let mut groups: Vec<Vec<&Outcome>> = Vec::new();
    for outcome in outcomes {
        let words = workload(outcome);
        match groups.iter_mut().find(|group| workload(group[0]) == words) {
            Some(group) => group.push(outcome),
            None => groups.push(vec![outcome]),
        }
    }
    let mut labels: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !labels.contains(&outcome.label.as_str()) {
            labels.push(&outcome.label);
        }
    }
    groups.into_iter().map(|group| Work { runs: runs(&group, &labels) }).collect()
}

/// Names and colours. A label has one colour on the whole page; where all runs have the same label, each gets its own.
fn runs<'a>(group: &[&'a Outcome], labels: &[&str]) -> Vec<Run<'a>> {
    let mut out: Vec<Run<'a>> = Vec::new();
    for (index, &outcome) in group.iter().enumerate() {
        let of_label = |other: &&&Outcome| other.label == outcome.label;
        let round = group[..index].iter().filter(of_label).count() + 1;
        let several = group.iter().filter(of_label).count() > 1;
        let label = if outcome.label.is_empty() { "run" } else { &outcome.label };
        let name = if several { format!("{label} #{round}") } else { label.to_owned() };
        let place = labels.iter().position(|label| *label == outcome.label).unwrap_or(0);
        let colour = if labels.len() > 1 { place } else { index };
        out.push(Run { name, colour, outcome });
    }
    out
}

impl Work<'_> {
    /// Whether messages were sent in it; otherwise it is about connections.
    fn flows(&self) -> bool {
        self.runs.iter().any(|run| run.outcome.messages() > 0)
    }

    /// Colours and what they stand for: labels, or runs where all have the same label.
    fn legend(&self) -> Vec<(usize, &str)> {
        let mut out: Vec<(usize, &str)> = Vec::new();
        for run in &self.runs {
            let several = self.runs.iter().any(|other| other.outcome.label != run.outcome.label);
            let name = if several && !run.outcome.label.is_empty() { &run.outcome.label } else { &run.name };
            if out.iter().all(|(_, other)| other != name) {
                out.push((run.colour, name));
            }
        }
        out
    }
}

/// What is wrong with runs, and what one should know of all of them.
fn remarks(work: &Work<'_>) -> String {
    let mut out = String::new();
    for run in &work.runs {
        for words in troubles(run.outcome) {
            let _ = writeln!(out, "<p class=\"bad\"><b>{}</b>: {}</p>", escape(&run.name), escape(&words));
        }
    }
    let outcomes: Vec<&Outcome> = work.runs.iter().map(|run| run.outcome).collect();
    for words in notes(&outcomes) {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(&words));
    }
    out
}
