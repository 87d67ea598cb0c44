//! The `quarantine` directory: copies of what is damaged, and files that are no segments.

#![deny(clippy::arithmetic_side_effects)]

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::super::file::{File, Fs};
use super::super::scan::Scanner;
use super::super::{Damage, LogError};
use super::Pass;

const QUARANTINE: &str = "quarantine";

impl Pass<'_> {
    pub(super) fn set_file_aside(&mut self, path: &Path, why: &str) -> Result<(), LogError> {
        let quarantine = self.make_quarantine()?;
        let name = path.file_name().unwrap_or_default();
        let to = quarantine.join(name);
        self.fs.rename(path, &to).map_err(LogError::io("rename", path))?;
        self.fs.sync_dir(&quarantine).map_err(LogError::io("sync", &quarantine))?;
        self.fs.sync_dir(self.dir).map_err(LogError::io("sync", self.dir))?;
        self.report.notes.push(format!("{} {why}; moved to {}", path.display(), to.display()));
        Ok(())
    }

    pub(super) fn make_quarantine(&self) -> Result<PathBuf, LogError> {
        let quarantine = self.dir.join(QUARANTINE);
        self.fs.create_dir(&quarantine).map_err(LogError::io("create", &quarantine))?;
        Ok(quarantine)
    }

    /// Copies the damaged bytes. A failure to do so is noted and holds nothing up.
    pub(super) fn set_damage_aside(&mut self, scanner: &Scanner, damage: Damage) {
        let copied = self.make_quarantine().and_then(|quarantine| {
            let stem = format!("{}-at-{}", damage.file, damage.bytes.0);
            let path = quarantine.join(format!("{stem}.damaged"));
            copy_range(self.fs, &*scanner.file, damage.bytes, &path).map_err(LogError::io("write", &path))?;
            let path = quarantine.join(format!("{stem}.txt"));
            write_report(self.fs, &path, &damage).map_err(LogError::io("write", &path))?;
            self.fs.sync_dir(&quarantine).map_err(LogError::io("sync", &quarantine))
        });
        if let Err(error) = copied {
            self.report.notes.push(format!("the damaged part of {} was not copied: {error}", damage.file));
        }
        self.report.damage.push(damage);
    }
}

fn copy_range(fs: &dyn Fs, from: &dyn File, range: (u64, u64), path: &Path) -> io::Result<()> {
    let to = create_anew(fs, path)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut at = range.0;
    while at < range.1 {
        let len = range.1.saturating_sub(at).min(buffer.len() as u64) as usize;
        let read = from.read_at(buffer.get_mut(..len).unwrap_or_default(), at)?;
        if read == 0 {
            break;
        }
        to.write_at(buffer.get(..read).unwrap_or_default(), at.saturating_sub(range.0))?;
        at = at.saturating_add(read as u64);
    }
    to.sync_data()
}

fn write_report(fs: &dyn Fs, path: &Path, damage: &Damage) -> io::Result<()> {
    let mut text = String::new();
    let _ = writeln!(text, "segment: {}", damage.file);
    let _ = writeln!(text, "bytes: {} up to {}", damage.bytes.0, damage.bytes.1);
    let _ = writeln!(text, "sequences: {} up to {}", damage.sequences.0, damage.sequences.1);
    let _ = writeln!(text, "Both ranges end before their second number. Records among them that are");
    let _ = writeln!(text, "still whole can be read; the others are lost.");
    let file = create_anew(fs, path)?;
    file.write_at(text.as_bytes(), 0)?;
    file.sync_data()
}

/// An interrupted recovery may have left the file.
fn create_anew(fs: &dyn Fs, path: &Path) -> io::Result<Box<dyn File>> {
    match fs.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs.remove(path)?;
            fs.create(path)
        }
        created => created,
    }
}
