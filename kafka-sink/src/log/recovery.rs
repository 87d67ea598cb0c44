//! What a start makes of the files an earlier run left.
//!
//! Every segment's header and footer are read; only segments without a footer (the one that was
//! open, and any that failed) are scanned. An unfinished end is cut off; damage is copied to the
//! `quarantine` directory, named, and left where it is, where readers step over it. Every scanned
//! segment gets its footer. Where the sink is says the start of the newest segment and the controls
//! behind it, so those segments are read for controls also when they are closed. Then the new run begins in a segment of its own, so that no byte an
//! earlier run has synced is ever written over. A power failure during all this changes nothing:
//! the next start finds the same again.

#![deny(clippy::arithmetic_side_effects)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::control::{Control, Targets};
use super::entry::{Entry, RunStart};
use super::file::{File, Fs};
use super::format::{Footer, Header, segment_name, segment_number};
use super::mark::Mark;
use super::retention::{Closed, Retention};
use super::scan::{Found, Scanner, SegmentFile, open_headless};
use super::segment::close_file;
use super::streams::Streams;
use super::writer::{Ids, LogWriter, Resume};
use super::{Damage, LogConfig, LogError, Recovery};

mod aside;
mod controls;
mod held;

use held::Held;

const LOCK: &str = "lock";

type Recovered = (LogWriter, Recovery, Box<dyn Send>);

/// Recovers the log and begins a new run.
pub(crate) fn recover(
    config: LogConfig,
    fs: Arc<dyn Fs>,
    now_ms: u64,
    seed: u64,
) -> Result<Recovered, LogError> {
    let dir = config.dir.clone();
    fs.create_dir(&dir).map_err(LogError::io("create", &dir))?;
    let lock_path = dir.join(LOCK);
    let lock = fs
        .lock(&lock_path)
        .map_err(LogError::io("lock", &lock_path))?
        .ok_or_else(|| LogError::Locked { path: dir.clone() })?;
    let mut pass = Pass { fs: &*fs, dir: &dir, report: Recovery::default(), state: State::default() };
    let segments = pass.open_segments()?;
    pass.state.clean = segments.is_empty();
    pass.find_start_of_controls(&segments)?;
    let headers: Vec<Header> = segments.iter().map(|(_, segment)| segment.header.clone()).collect();
    for (index, (path, segment)) in segments.into_iter().enumerate() {
        let later = headers.get(index.saturating_add(1)..).unwrap_or_default();
        pass.take_segment(&path, segment, later)?;
    }
    pass.take_headless_controls();
    pass.heed_mark();
    pass.note_lost_controls();
    let Pass { mut report, mut state, .. } = pass;
    let empty = std::mem::take(&mut state.empty);
    let run = state.run.saturating_add(1);
    let resume = Resume {
        start: RunStart {
            run,
            started_ms: now_ms,
            previous_end: state.next_sequence,
            previous_clean: state.clean,
        },
        next_number: state.next_number.max(1),
        next_sequence: state.next_sequence,
        previous_id: state.previous_id,
        streams: state.streams,
        retention: state.retention,
        targets: state.targets,
        ids: Ids::new(seed),
    };
    report.run = run;
    report.next_sequence = state.next_sequence;
    report.clean = state.clean;
    let mut writer = LogWriter::begin(config, Arc::clone(&fs), resume, now_ms)?;
    // What they say of the run and the sequence is in the new segment, which is synced.
    remove_empty(&*fs, &dir, &empty, &mut report);
    // Until the sink says more: a target of an earlier run is one.
    let floor = writer.targets().floor();
    writer.set_floor(floor);
    writer.retain(now_ms);
    Ok((writer, report, lock))
}

fn remove_empty(fs: &dyn Fs, dir: &Path, empty: &[PathBuf], report: &mut Recovery) {
    let removed = empty.iter().try_for_each(|path| fs.remove(path));
    if let Err(error) = removed.and_then(|()| if empty.is_empty() { Ok(()) } else { fs.sync_dir(dir) }) {
        report.notes.push(format!("a segment without records was not removed: {error}"));
    }
}

/// What is known so far, in the order of the segments.
#[derive(Default)]
struct State {
    run: u32,
    next_sequence: u64,
    next_number: u64,
    previous_id: u64,
    clean: bool,
    /// The highest number of a segment whose sequences are known.
    newest: Option<u64>,
    streams: Streams,
    retention: Retention,
    targets: Targets,
    /// The newest segment whose start is whole: controls before it do not matter.
    controls_from: Option<u64>,
    /// Controls of segments without a header, which are read first.
    headless: Vec<(u64, Control)>,
    /// Something that may have held controls is damaged or gone.
    controls_lost: bool,
    /// Segments that hold no records; a crash loop must not fill the directory with them.
    empty: Vec<PathBuf>,
}

struct Pass<'a> {
    fs: &'a dyn Fs,
    dir: &'a Path,
    report: Recovery,
    state: State,
}

impl Pass<'_> {
    /// All segments with a readable header, oldest first. Others are set aside.
    fn open_segments(&mut self) -> Result<Vec<(PathBuf, SegmentFile)>, LogError> {
        let entries = self.fs.list(self.dir).map_err(LogError::io("list", self.dir))?;
        let mut numbers: Vec<u64> = entries.iter().filter_map(|entry| segment_number(&entry.name)).collect();
        numbers.sort_unstable();
        let mut segments = Vec::with_capacity(numbers.len());
        for number in numbers {
            self.state.next_number = self.state.next_number.max(number.saturating_add(1));
            let path = self.dir.join(segment_name(number));
            match SegmentFile::open(self.fs, &path, true)? {
                Some(segment) if segment.header.number == number => segments.push((path, segment)),
                Some(_) => self.set_file_aside(&path, "holds another segment than its name says")?,
                None => self.take_headless(&path, number)?,
            }
        }
        Ok(segments)
    }

    /// A file without a header is either one whose making was interrupted (nothing in it can have
    /// been acknowledged), or one whose header was destroyed. What the latter holds is read as far
    /// as its numbers matter: they must not be given again.
    fn take_headless(&mut self, path: &Path, number: u64) -> Result<(), LogError> {
        let read = LogError::io("read", path);
        let file = self.fs.open(path, false).map_err(LogError::io("open", path))?;
        let len = file.len().map_err(LogError::io("read", path))?;
        let used = written_len(&*file, 0, len).map_err(LogError::io("read", path))?;
        let found = open_headless(file, number, "").map_err(read)?;
        let foreign = found.is_none() && used > 0;
        let Some(lost) = found.map(|segment| self.survey(path, segment)).transpose()?.filter(has_records)
        else {
            if foreign {
                return self.set_file_aside(path, "is not a segment");
            }
            self.report.notes.push(format!("{}: never finished, removed", path.display()));
            self.fs.remove(path).map_err(LogError::io("remove", path))?;
            return self.fs.sync_dir(self.dir).map_err(LogError::io("sync", self.dir));
        };
        self.report.damage.push(Damage { file: segment_name(number), bytes: (0, len), sequences: lost });
        self.state.controls_lost = true;
        self.set_file_aside(path, "has no readable header")
    }

    /// Raises run, sequence and offsets above what a segment holds; its first and next sequence.
    fn survey(&mut self, path: &Path, segment: SegmentFile) -> Result<(u64, u64), LogError> {
        let (number, first) = (segment.header.number, segment.header.first_sequence);
        self.state.run = self.state.run.max(segment.header.run);
        let mut scanner = Scanner::new(segment, true);
        while !matches!(scanner.next().map_err(LogError::io("read", path))?, Found::End { .. }) {
            for entry in scanner.entries().flatten() {
                match entry {
                    Entry::Record(record) => {
                        self.state.streams.raise(record.stream, record.offset.saturating_add(1));
                    }
                    Entry::Control(control) => self.state.headless.push((number, control)),
                    Entry::StreamTable(_) | Entry::RunStart(_) | Entry::Unknown => {}
                }
            }
        }
        self.state.newest = self.state.newest.max(Some(number));
        self.raise_to(scanner.expected());
        Ok((first, scanner.expected()))
    }

    /// Takes over what a segment holds. `later`: the headers of the segments after it.
    fn take_segment(&mut self, path: &Path, segment: SegmentFile, later: &[Header]) -> Result<(), LogError> {
        let superseded_from = later.iter().filter_map(|header| header.supersedes_from).min();
        // What a later segment begins with was preceded by syncs of all before it.
        let synced = later.first().map_or(0, |header| header.first_sequence);
        let header = segment.header.clone();
        self.state.run = self.state.run.max(header.run);
        self.state.previous_id = header.id;
        self.state.clean = segment.footer.as_ref().is_some_and(|footer| footer.clean);
        self.state.newest = self.state.newest.max(Some(header.number));
        let newest = later.is_empty();
        match segment.footer.clone() {
            Some(footer) => self.take_closed(path, segment, &footer, newest),
            None => {
                let mut scanner = Scanner::new(segment, true);
                scanner.set_bounds(superseded_from, synced.min(superseded_from.unwrap_or(synced)));
                self.take_open(path, &header, scanner)
            }
        }
    }

    /// Holds what was found against what the file `run` says was there. If the newest segment is
    /// gone, or what a clean stop had closed is shorter now, the numbers that may have been given are
    /// left out.
    fn heed_mark(&mut self) {
        let mark = match Mark::read(self.fs, self.dir) {
            Ok(Some(mark)) => mark,
            Ok(None) => return,
            Err(note) => return self.report.notes.push(note),
        };
        self.state.run = self.state.run.max(mark.run);
        self.state.next_number = self.state.next_number.max(mark.segment.saturating_add(1));
        let found = self.state.newest >= Some(mark.segment);
        let (from, to) = (self.state.next_sequence, if found { mark.sequence } else { mark.beyond() });
        // After a clean stop there is a footer; before it may have been groups without records.
        let cut = mark.clean && self.state.newest == Some(mark.segment) && !self.state.clean;
        self.state.controls_lost |= !found || cut;
        let Some(lost) = to.checked_sub(from).filter(|&lost| lost > 0) else { return };
        self.state.next_sequence = to;
        // How many of them were of which stream is not known.
        self.state.streams.skip(lost);
        self.state.clean = false;
        self.state.controls_lost = true;
        let file = segment_name(mark.segment);
        self.report.damage.push(Damage { file, bytes: (0, 0), sequences: (from, to) });
    }

    fn raise_to(&mut self, sequence: u64) {
        self.state.next_sequence = self.state.next_sequence.max(sequence);
    }

    fn take_closed(
        &mut self,
        path: &Path,
        segment: SegmentFile,
        footer: &Footer,
        newest: bool,
    ) -> Result<(), LogError> {
        self.raise_to(footer.next_sequence);
        for stream in &footer.streams {
            self.state.streams.raise(&stream.name, stream.next_offset);
        }
        let number = segment.header.number;
        if newest {
            // A killed process may have left the footer in the page cache only.
            segment.file.sync_data().map_err(LogError::io("sync", path))?;
        }
        let bytes = segment.file.len().map_err(LogError::io("read", path))?;
        // Streams without records in this segment are known from its table only.
        let mut scanner = Scanner::new(segment, false);
        let start = scanner.next().map_err(LogError::io("read", path))?;
        self.take_table(&scanner);
        if self.controls_matter(number) {
            self.take_controls(&scanner);
            self.state.controls_lost |= matches!(start, Found::Damage { .. });
            self.read_controls(path, scanner)?;
        }
        let (last_ms, next_sequence) = (footer.last_ms, footer.next_sequence);
        self.keep(path, footer, Closed { number, bytes, last_ms, next_sequence });
        Ok(())
    }

    fn keep(&mut self, path: &Path, footer: &Footer, closed: Closed) {
        if footer.first_sequence == footer.next_sequence {
            self.state.empty.push(path.to_owned());
        } else {
            self.report.segments = self.report.segments.saturating_add(1);
            self.state.retention.add(closed);
        }
    }

    fn take_table(&mut self, scanner: &Scanner) {
        for entry in scanner.entries().flatten() {
            if let Entry::StreamTable(streams) = entry {
                for (name, next) in streams {
                    self.state.streams.raise(name, next);
                }
            }
        }
    }

    /// Scans a segment without a footer, cuts off its unfinished end and closes it.
    fn take_open(&mut self, path: &Path, header: &Header, mut scanner: Scanner) -> Result<(), LogError> {
        let mut held = Held::new(header);
        let controls_matter = self.controls_matter(header.number);
        let end = loop {
            match scanner.next().map_err(LogError::io("read", path))? {
                Found::Group { at, head } => {
                    held.groups = held.groups.saturating_add(1);
                    held.last_ms = held.last_ms.max(head.written_ms);
                    held.take_records(&scanner, at);
                    self.take_table(&scanner);
                    if controls_matter {
                        self.take_controls(&scanner);
                    }
                }
                Found::Damage { bytes, sequences } => {
                    if controls_matter {
                        self.take_controls(&scanner);
                        self.state.controls_lost = true;
                    }
                    held.take_records(&scanner, bytes.0);
                    let file = segment_name(header.number);
                    self.set_damage_aside(&scanner, Damage { file, bytes, sequences });
                }
                Found::End { at } => break at,
            }
        };
        self.raise_to(scanner.expected());
        for stream in held.streams.values() {
            self.state.streams.raise(&stream.name, stream.next_offset);
        }
        let file_len = scanner.file.len().map_err(LogError::io("read", path))?;
        let written = written_len(&*scanner.file, end, file_len).map_err(LogError::io("read", path))?;
        let torn = written.saturating_sub(end);
        if torn > 0 {
            self.report.torn_bytes = self.report.torn_bytes.saturating_add(torn);
            self.report.notes.push(format!(
                "{}: {torn} bytes of an unfinished write cut off before sequence {}; none of them was \
                 acknowledged, unless the medium lost what it had synced",
                path.display(),
                scanner.expected()
            ));
        }
        let last_ms = held.last_ms;
        let footer = held.footer(scanner.expected(), end);
        // A killed process may have left groups in the page cache only. They must be on the medium
        // before there is a footer that speaks for them.
        let synced = scanner.file.sync_data();
        let closed = synced.and_then(|()| close_file(&*scanner.file, header.id, &footer));
        let bytes = closed.map_err(LogError::io("close", path))?;
        let next_sequence = footer.next_sequence;
        self.keep(path, &footer, Closed { number: header.number, bytes, last_ms, next_sequence });
        Ok(())
    }
}

fn has_records(sequences: &(u64, u64)) -> bool {
    sequences.0 < sequences.1
}

/// Where the last byte other than zero ends, searching from `from` to `to`; at least `from`.
fn written_len(file: &dyn File, from: u64, to: u64) -> io::Result<u64> {
    let mut last = from;
    let mut at = from;
    let mut buffer = vec![0; 64 * 1024];
    while at < to {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            break;
        }
        let chunk = buffer.get(..read).unwrap_or_default();
        if let Some(index) = chunk.iter().rposition(|&byte| byte != 0) {
            last = at.saturating_add(index as u64).saturating_add(1);
        }
        at = at.saturating_add(read as u64);
    }
    Ok(last)
}
