//! A [`Report`] for people: a page of tables for a terminal, and one line for the log.

use std::fmt::Write as _;
use std::time::Duration;

use millrace_kafka_sink::{HookStatus, KafkaStatus, TopicStatus};

use super::Report;
use crate::config::units::format_time;

impl Report {
    /// The page that `millrace status` prints.
    pub fn page(&self) -> String {
        let (about, log) = (&self.about, &self.log);
        let mut page = format!(
            "{} (millrace {}, process {}), up {}\n\nconnections  {}\n\
             sessions     {}, {} of them away; {} subscriptions\n\
             messages     {} published, {} delivered, {} dropped; {} retained\n\
             log          {} records in {} groups, {}; fdatasync {} / {} / {} µs (median, 99 %, most){}\n",
            about.node,
            self.version,
            self.process,
            seconds(about.uptime_ms),
            about.connections,
            about.sessions,
            about.away,
            about.subscriptions,
            about.published,
            about.delivered,
            about.dropped,
            about.retained,
            log.records,
            log.groups,
            bytes(log.bytes),
            log.fdatasync_us.p50,
            log.fdatasync_us.p99,
            log.fdatasync_us.max,
            if log.paused { "; CANNOT WRITE, tries again every second" } else { "" },
        );
        match &self.stream.kafka {
            None => page.push_str("kafka        none: records stay in the log\n"),
            Some(kafka) => {
                let cluster =
                    kafka.cluster.as_deref().map(|id| format!(", cluster {id}")).unwrap_or_default();
                let _ = writeln!(page, "kafka        {}", plain(&format!("{}{cluster}", kafka.state)));
            }
        }
        if !self.stream.hooks.is_empty() {
            page.push('\n');
            page.push_str(&self.hooks_table());
        }
        if let Some(kafka) = self.stream.kafka.as_ref().filter(|kafka| !kafka.topics.is_empty()) {
            page.push('\n');
            page.push_str(&topics_table(kafka));
        }
        page
    }

    /// The line that `node.status_every` asks for.
    pub fn line(&self) -> String {
        let mut line = format!(
            "status: {} connections; log: {} records in {} groups",
            self.about.connections, self.log.records, self.log.groups
        );
        if let Some(kafka) = &self.stream.kafka {
            let _ = write!(line, "; kafka: {}", plain(&kafka.state));
        }
        for hook in &self.stream.hooks {
            let _ = write!(line, "; {}: {} taken, {} durable", hook.name, hook.taken, hook.durable);
            if self.stream.kafka.is_some() {
                let _ = write!(line, ", {} delivered, {} waiting", hook.delivered, hook.waiting);
            }
            if let Some(age) = self.age(hook) {
                let _ = write!(line, " (oldest {age})");
            }
            for (count, what) in [
                (hook.retried, "retried"),
                (hook.set_aside, "set aside"),
                (hook.possibly_repeated, "possibly repeated"),
            ] {
                if count > 0 {
                    let _ = write!(line, ", {count} {what}");
                }
            }
        }
        line
    }

    fn hooks_table(&self) -> String {
        let mut rows = vec![["HOOK", "STREAM", "TAKEN", "DURABLE"].map(str::to_owned).to_vec()];
        if self.stream.kafka.is_some() {
            let more =
                ["BACKLOG", "DELIVERED", "WAITING", "BYTES", "OLDEST", "RETRIED", "SET ASIDE", "REPEATED?"];
            rows[0].extend(more.map(str::to_owned));
        }
        for hook in &self.stream.hooks {
            let mut row = vec![
                hook.name.clone(),
                hook.stream.clone(),
                hook.taken.to_string(),
                hook.durable.to_string(),
            ];
            if self.stream.kafka.is_some() {
                row.extend([
                    hook.backlog.to_string(),
                    hook.delivered.to_string(),
                    hook.waiting.to_string(),
                    bytes(hook.waiting_bytes),
                    self.age(hook).unwrap_or_else(|| "-".to_owned()),
                    hook.retried.to_string(),
                    hook.set_aside.to_string(),
                    hook.possibly_repeated.to_string(),
                ]);
            }
            rows.push(row);
        }
        table(&rows, 2)
    }

    fn age(&self, hook: &HookStatus) -> Option<String> {
        hook.oldest_ms.map(|oldest| seconds(self.about.now_ms.saturating_sub(oldest)))
    }
}

fn topics_table(kafka: &KafkaStatus) -> String {
    let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let head = ["KAFKA TOPIC", "STATE", "PARTITIONS", "MIN.INSYNC"].map(str::to_owned).to_vec();
    let row = |topic: &TopicStatus| {
        vec![
            topic.name.clone(),
            plain(&topic.state),
            number(topic.partitions),
            number(topic.min_insync_replicas),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(kafka.topics.iter().map(row)).collect();
    table(&rows, 2)
}

/// Columns as wide as their widest cell, two spaces apart; the first `texts` of them begin at the left.
fn table(rows: &[Vec<String>], texts: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let _ = if column < texts {
                write!(line, "{gap}{cell:<width$}")
            } else {
                write!(line, "{gap}{cell:>width$}")
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// What a Kafka says of itself, on one line and without a terminal's control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A time in whole seconds.
fn seconds(millis: u64) -> String {
    format_time(Duration::from_secs(millis / 1000))
}

/// A size with one decimal.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in UNITS {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use millrace_kafka_sink::Status;

    use super::super::{About, Log, Quantiles};
    use super::*;

    fn report() -> Report {
        Report {
            version: "0.1.0".to_owned(),
            process: 4711,
            about: About {
                node: "m@h".to_owned(),
                uptime_ms: 3_725_500,
                now_ms: 100_000,
                connections: 2,
                sessions: 5,
                away: 3,
                subscriptions: 7,
                retained: 4,
                published: 20,
                delivered: 30,
                dropped: 1,
            },
            log: Log {
                records: 10,
                groups: 4,
                bytes: 8_192,
                fdatasync_us: Quantiles { p50: 1, p99: 2, max: 3 },
                ..Log::default()
            },
            stream: Status {
                hooks: vec![HookStatus {
                    name: "states".to_owned(),
                    stream: "s".to_owned(),
                    taken: 10,
                    durable: 9,
                    ..HookStatus::default()
                }],
                kafka: None,
            },
        }
    }

    #[test]
    fn pages() {
        assert_eq!(
            report().page(),
            "m@h (millrace 0.1.0, process 4711), up 1h2m5s\n\
             \n\
             connections  2\n\
             sessions     5, 3 of them away; 7 subscriptions\n\
             messages     20 published, 30 delivered, 1 dropped; 4 retained\n\
             log          10 records in 4 groups, 8.0 KiB; fdatasync 1 / 2 / 3 µs (median, 99 %, most)\n\
             kafka        none: records stay in the log\n\
             \n\
             HOOK    STREAM  TAKEN  DURABLE\n\
             states  s          10        9\n"
        );
        let mut report = report();
        report.log.paused = true;
        report.stream.hooks[0] = HookStatus {
            backlog: 1,
            delivered: 7,
            set_aside: 1,
            waiting: 2,
            waiting_bytes: 600,
            oldest_ms: Some(40_000),
            ..report.stream.hooks[0].clone()
        };
        let topic = TopicStatus {
            name: "s".to_owned(),
            state: "ok".to_owned(),
            partitions: Some(4),
            min_insync_replicas: None,
        };
        report.stream.kafka = Some(KafkaStatus {
            cluster: Some("id".to_owned()),
            state: "con\x1bnected".to_owned(),
            topics: vec![topic],
        });
        let page = report.page();
        for part in [
            "most); CANNOT WRITE, tries again every second\nkafka        con nected, cluster id\n",
            "\nHOOK    STREAM  TAKEN  DURABLE  BACKLOG  DELIVERED  WAITING  BYTES  OLDEST  RETRIED  SET ASIDE  REPEATED?\n\
             states  s          10        9        1          7        2  600 B      1m        0          1          0\n",
            "\nKAFKA TOPIC  STATE  PARTITIONS  MIN.INSYNC\ns            ok              4           ?\n",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }

    #[test]
    fn lines() {
        let mut report = report();
        assert_eq!(
            report.line(),
            "status: 2 connections; log: 10 records in 4 groups; states: 10 taken, 9 durable"
        );
        report.stream.kafka = Some(KafkaStatus { state: "connected".to_owned(), ..KafkaStatus::default() });
        report.stream.hooks[0].waiting = 2;
        report.stream.hooks[0].oldest_ms = Some(99_000);
        report.stream.hooks[0].retried = 5;
        assert_eq!(
            report.line(),
            "status: 2 connections; log: 10 records in 4 groups; kafka: connected; states: 10 taken, 9 durable, 0 \
             delivered, 2 waiting (oldest 1s), 5 retried"
        );
    }

    #[test]
    fn sizes() {
        for (size, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_572_864, "1.5 MiB"), (u64::MAX, "16.0 EiB")]
        {
            assert_eq!(bytes(size), text);
        }
    }
}
