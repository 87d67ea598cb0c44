//! Where the sink was: from the start of the newest segment, and the controls behind it.

#![deny(clippy::arithmetic_side_effects)]

use std::path::{Path, PathBuf};

use super::super::LogError;
use super::super::entry::Entry;
use super::super::format::HEADER_AREA;
use super::super::scan::{Found, Scanner, SegmentFile};
use super::Pass;

impl Pass<'_> {
    /// Finds the newest segment whose start, with the sum of all controls before it, is whole.
    pub(super) fn find_start_of_controls(
        &mut self,
        segments: &[(PathBuf, SegmentFile)],
    ) -> Result<(), LogError> {
        for (path, segment) in segments.iter().rev() {
            let Some(again) = SegmentFile::open(self.fs, path, false)? else { continue };
            let mut scanner = Scanner::new(again, false);
            let found = scanner.next().map_err(LogError::io("read", path))?;
            let is_start = matches!(found, Found::Group { at: HEADER_AREA, .. })
                && scanner.entries().flatten().any(|entry| matches!(entry, Entry::RunStart(_)));
            if is_start {
                self.state.controls_from = Some(segment.header.number);
                break;
            }
        }
        Ok(())
    }

    pub(super) fn controls_matter(&self, number: u64) -> bool {
        self.state.controls_from.is_none_or(|from| number >= from)
    }

    pub(super) fn take_controls(&mut self, scanner: &Scanner) {
        for entry in scanner.entries().flatten() {
            if let Entry::Control(control) = entry {
                self.state.targets.apply(&control);
            }
        }
    }

    /// What the groups of a file without a header still tell.
    pub(super) fn take_headless_controls(&mut self) {
        for (number, control) in std::mem::take(&mut self.state.headless) {
            if self.controls_matter(number) {
                self.state.targets.apply(&control);
            }
        }
    }

    pub(super) fn note_lost_controls(&mut self) {
        if self.state.controls_lost {
            self.report.notes.push(
                "what is damaged or gone may have said how far the delivery to Kafka was: records may be \
                 delivered again"
                    .into(),
            );
        }
    }

    /// Reads the rest of a closed segment for its controls.
    pub(super) fn read_controls(&mut self, path: &Path, mut scanner: Scanner) -> Result<(), LogError> {
        loop {
            match scanner.next().map_err(LogError::io("read", path))? {
                Found::Group { .. } => self.take_controls(&scanner),
                Found::Damage { .. } => {
                    self.take_controls(&scanner);
                    self.state.controls_lost = true;
                }
                Found::End { .. } => return Ok(()),
            }
        }
    }
}
