//! Reads durable groups from the files, by sequence, for a sink that is not at the end of the log.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::LogError;
use super::file::Fs;
use super::port::Group;

pub(crate) struct Follow;

impl Follow {
    pub(crate) fn open(_fs: Arc<dyn Fs>, _dir: PathBuf) -> Follow {
        Follow
    }

    pub(crate) fn read(
        &mut self,
        _from: u64,
        _durable: u64,
        _bytes_max: usize,
        _budget: &Arc<AtomicUsize>,
    ) -> Result<Vec<Arc<Group>>, LogError> {
        Ok(Vec::new())
    }

    pub(crate) fn take_gaps(&mut self) -> Vec<Range<u64>> {
        Vec::new()
    }
}
