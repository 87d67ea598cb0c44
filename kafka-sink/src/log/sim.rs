//! A simulated file system: remembers what was synced, and can lose the rest.
//!
//! For tests and fuzz targets. Deterministic: the same calls and the same seed give the same
//! result. It counts every operation that changes something, can fail chosen ones, and at a chosen
//! one cuts the power. [`SimFs::restart`] then makes the file system as a machine could find it:
//! what was synced is there; of everything else any part, in any order, with torn sectors.
//!
//! The model of a failed sync is Linux's: the data stays readable until the restart, a later sync
//! succeeds, and what was to be synced then is lost all the same.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::file::{DirEntry, File, Fs};

/// The unit that is written wholly, not at all, or, when the power fails, as rubbish.
const SECTOR: usize = 512;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The medium reports an error (EIO).
    Io,
    /// The medium is full (ENOSPC); a write may have begun.
    Full,
}

/// What a restart did to what was not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Creations that did not survive.
    pub creates: u64,
    /// Renames and removals that did not survive.
    pub renames: u64,
    /// Sectors of unsynced writes that did not survive.
    pub sectors: u64,
    /// Sectors of unsynced writes that hold rubbish.
    pub torn: u64,
    /// Writes that survived although an earlier one of the same file did not.
    pub reordered: u64,
}

#[derive(Clone)]
enum Change {
    Write { position: u64, bytes: Vec<u8> },
    SetLen(u64),
}

#[derive(Clone, Default)]
struct Inode {
    /// What every reader sees.
    cached: Vec<u8>,
    /// What is on the medium for certain.
    durable: Vec<u8>,
    /// Since the last sync.
    changes: Vec<Change>,
}

#[derive(Clone)]
enum NameChange {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf, u64),
    Remove(PathBuf),
}

#[derive(Default)]
struct State {
    inodes: HashMap<u64, Inode>,
    next_inode: u64,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    name_changes: Vec<NameChange>,
    operations: u64,
    cut_at: Option<u64>,
    off: bool,
    faults: BTreeMap<u64, Fault>,
    /// Bytes of all files together beyond which writes fail.
    capacity: Option<u64>,
    faults_met: u64,
    locked: BTreeMap<PathBuf, bool>,
    random: Random,
}

/// A small generator (SplitMix64), for simulations that must be repeatable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The file system; clones are the same one.
#[derive(Clone, Default)]
pub struct SimFs {
    state: Arc<Mutex<State>>,
}

impl SimFs {
    /// An empty file system.
    pub fn new(seed: u64) -> SimFs {
        let fs = SimFs::default();
        fs.state.lock().random = Random::new(seed);
        fs
    }

    /// Operations that change something, so far.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Cuts the power at operation `at` (counted from 0): it and all later ones fail.
    pub fn cut_at(&self, at: u64) {
        self.state.lock().cut_at = Some(at);
    }

    /// Lets operation `at` (counted from 0) fail.
    pub fn fail_at(&self, at: u64, fault: Fault) {
        self.state.lock().faults.insert(at, fault);
    }

    /// Lets no further operation fail.
    pub fn heal(&self) {
        self.state.lock().faults.clear();
    }

    /// From now on the medium has this many bytes for all files; `None`: as many as needed.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// Operations that failed because of [`SimFs::fail_at`].
    pub fn faults_met(&self) -> u64 {
        self.state.lock().faults_met
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.state.lock().off
    }

    /// A file's content as readers see it.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let inode = state.names.get(path)?;
        state.inodes.get(inode).map(|inode| inode.cached.clone())
    }

    /// Puts a file there, as if it had always been, whatever was.
    pub fn put(&self, path: &Path, content: &[u8]) {
        let mut state = self.state.lock();
        let inode = state.new_inode();
        state.inodes.insert(
            inode,
            Inode { cached: content.to_vec(), durable: content.to_vec(), changes: Vec::new() },
        );
        state.names.insert(path.to_owned(), inode);
        state.durable_names.insert(path.to_owned(), inode);
    }

    /// All files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().names.keys().cloned().collect()
    }

    /// The file system after the process alone was killed: readers see everything that was written,
    /// synced or not, and what was not synced can still be lost later.
    pub fn kill(&self) -> SimFs {
        let state = self.state.lock();
        let after = State {
            inodes: state.inodes.clone(),
            next_inode: state.next_inode,
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            name_changes: state.name_changes.clone(),
            operations: state.operations,
            capacity: state.capacity,
            random: state.random,
            ..State::default()
        };
        SimFs { state: Arc::new(Mutex::new(after)) }
    }

    /// The file system after a power failure now: what was synced, and of the rest any part.
    pub fn restart(&self, seed: u64) -> (SimFs, Losses) {
        let state = self.state.lock();
        let mut random = Random::new(seed);
        let mut losses = Losses::default();
        let names = survivors_of_names(&state, &mut random, &mut losses);
        let mut inodes = HashMap::new();
        for &inode in names.values() {
            if let Some(old) = state.inodes.get(&inode) {
                let content = survivors_of_content(old, &mut random, &mut losses);
                inodes
                    .insert(inode, Inode { cached: content.clone(), durable: content, changes: Vec::new() });
            }
        }
        let after = State {
            inodes,
            next_inode: state.next_inode,
            durable_names: names.clone(),
            names,
            capacity: state.capacity,
            random,
            ..State::default()
        };
        (SimFs { state: Arc::new(Mutex::new(after)) }, losses)
    }
}

/// Of the unsynced changes to names: all, none, or any part of them.
fn survivors_of_names(state: &State, random: &mut Random, losses: &mut Losses) -> BTreeMap<PathBuf, u64> {
    let mut names = state.durable_names.clone();
    let mode = random.below(3);
    for change in &state.name_changes {
        let kept = match mode {
            0 => true,
            1 => false,
            _ => random.one_in(2),
        };
        if kept {
            apply_name(&mut names, change);
        } else if matches!(change, NameChange::Create(..)) {
            losses.creates += 1;
        } else {
            losses.renames += 1;
        }
    }
    names
}

fn apply_name(names: &mut BTreeMap<PathBuf, u64>, change: &NameChange) {
    match change {
        NameChange::Create(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        NameChange::Rename(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}

/// Of the unsynced changes to a file: all, none, or any sectors of any of them.
fn survivors_of_content(inode: &Inode, random: &mut Random, losses: &mut Losses) -> Vec<u8> {
    let mut content = inode.durable.clone();
    let mode = random.below(4);
    let mut lost_before = false;
    for change in &inode.changes {
        match change {
            Change::SetLen(len) => {
                if mode == 0 || (mode > 1 && random.one_in(2)) {
                    content.resize(*len as usize, 0);
                }
            }
            Change::Write { position, bytes } => {
                let before = losses.sectors;
                match mode {
                    0 => write(&mut content, *position, bytes),
                    1 => losses.sectors += bytes.len().div_ceil(SECTOR) as u64,
                    _ => write_some(&mut content, *position, bytes, mode == 3, random, losses),
                }
                if losses.sectors > before {
                    lost_before = true;
                } else if lost_before {
                    losses.reordered += 1;
                }
            }
        }
    }
    content
}

/// Writes some of the sectors; those cut by `rubbish` hold anything.
fn write_some(
    content: &mut Vec<u8>,
    position: u64,
    bytes: &[u8],
    rubbish: bool,
    random: &mut Random,
    losses: &mut Losses,
) {
    let whole = random.one_in(3);
    let mut at = position;
    let mut rest = bytes;
    while !rest.is_empty() {
        let in_sector = SECTOR - (at as usize % SECTOR);
        let (sector, tail) = rest.split_at(in_sector.min(rest.len()));
        if whole || random.one_in(2) {
            write(content, at, sector);
        } else if rubbish && random.one_in(4) {
            // The whole sector, whatever else stands in it.
            losses.torn += 1;
            let noise: Vec<u8> = (0..SECTOR).map(|_| random.next_u64() as u8).collect();
            write(content, at / SECTOR as u64 * SECTOR as u64, &noise);
        } else {
            losses.sectors += 1;
        }
        at += sector.len() as u64;
        rest = tail;
    }
}

fn write(content: &mut Vec<u8>, position: u64, bytes: &[u8]) {
    let start = position as usize;
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(start..end) {
        place.copy_from_slice(bytes);
    }
}

fn power_off() -> io::Error {
    io::Error::other("the power is off")
}

impl State {
    fn new_inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.next_inode
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|inode| self.inodes.get(inode)).map(|it| it.cached.len() as u64).sum()
    }

    /// How many of `bytes` at `position` of a file the medium has space for.
    fn space_for(&self, inode: u64, position: u64, bytes: usize) -> usize {
        let Some(capacity) = self.capacity else { return bytes };
        let len = self.inodes.get(&inode).map_or(0, |inode| inode.cached.len() as u64);
        let end = len.saturating_add(capacity.saturating_sub(self.used()));
        bytes.min(end.saturating_sub(position) as usize)
    }

    /// Counts an operation; whether it fails.
    fn operate(&mut self) -> io::Result<()> {
        if self.off {
            return Err(power_off());
        }
        let operation = self.operations;
        self.operations += 1;
        if self.cut_at == Some(operation) {
            self.off = true;
            return Err(power_off());
        }
        match self.faults.get(&operation) {
            None => Ok(()),
            Some(fault) => {
                self.faults_met += 1;
                Err(match fault {
                    Fault::Io => io::Error::from_raw_os_error(5),
                    Fault::Full => io::Error::from_raw_os_error(28),
                })
            }
        }
    }
}

impl Fs for SimFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.state.lock();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let was_off = state.off;
        let result = state.operate();
        let inode = state.new_inode();
        // At a power cut the name may have been made all the same.
        if result.is_ok() || (state.off && !was_off) {
            state.inodes.insert(inode, Inode::default());
            state.names.insert(path.to_owned(), inode);
            state.name_changes.push(NameChange::Create(path.to_owned(), inode));
        }
        result.map(|()| Box::new(SimFile { inode, state: Arc::clone(&self.state) }) as Box<dyn File>)
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Box<dyn File>> {
        let state = self.state.lock();
        let inode = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimFile { inode, state: Arc::clone(&self.state) }))
    }

    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        let was_off = state.off;
        let result = state.operate();
        if result.is_ok() || (state.off && !was_off) {
            let change = NameChange::Rename(from.to_owned(), to.to_owned(), inode);
            apply_name(&mut state.names, &change);
            state.name_changes.push(change);
        }
        result
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let was_off = state.off;
        let result = state.operate();
        if result.is_ok() || (state.off && !was_off) {
            let change = NameChange::Remove(path.to_owned());
            apply_name(&mut state.names, &change);
            state.name_changes.push(change);
        }
        result
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.operate()?;
        let changes = std::mem::take(&mut state.name_changes);
        for change in changes {
            let inside = |name: &PathBuf| name.parent() == Some(path);
            let synced = match &change {
                NameChange::Create(name, _) | NameChange::Remove(name) => inside(name),
                NameChange::Rename(from, to, _) => inside(from) || inside(to),
            };
            if synced {
                apply_name(&mut state.durable_names, &change);
            } else {
                state.name_changes.push(change);
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state.lock();
        let mut entries = Vec::new();
        for (file, inode) in state.names.iter().filter(|(file, _)| file.parent() == Some(path)) {
            let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
            let len = state.inodes.get(inode).map_or(0, |inode| inode.cached.len() as u64);
            entries.push(DirEntry { name: name.to_owned(), len });
        }
        Ok(entries)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let mut state = self.state.lock();
        if state.locked.insert(path.to_owned(), true) == Some(true) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock { path: path.to_owned(), state: Arc::clone(&self.state) })))
    }

    fn steady_us(&self) -> u64 {
        self.operations()
    }
}

struct SimLock {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.state.lock().locked.remove(&self.path);
    }
}

struct SimFile {
    inode: u64,
    state: Arc<Mutex<State>>,
}

impl File for SimFile {
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.off {
            return Err(power_off());
        }
        let mut result = state.operate();
        let space = state.space_for(self.inode, position, bytes.len());
        let written = if result.is_ok() {
            if space < bytes.len() {
                result = Err(io::Error::from_raw_os_error(28));
            }
            bytes.get(..space).unwrap_or_default()
        } else {
            // Some of it was written before the failure.
            let kept = state.random.below(bytes.len() as u64 + 1) as usize;
            bytes.get(..kept).unwrap_or_default()
        };
        if let Some(inode) = state.inodes.get_mut(&self.inode).filter(|_| !written.is_empty()) {
            write(&mut inode.cached, position, written);
            inode.changes.push(Change::Write { position, bytes: written.to_vec() });
        }
        result
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let state = self.state.lock();
        if state.off {
            return Err(power_off());
        }
        let content = state.inodes.get(&self.inode).map(|inode| inode.cached.as_slice()).unwrap_or_default();
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(content.len());
        let rest = content.get(from..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let result = state.operate();
        let off = state.off;
        let State { inodes, random, .. } = &mut *state;
        let Some(inode) = inodes.get_mut(&self.inode) else { return result };
        match result {
            Ok(()) => {
                for change in inode.changes.drain(..) {
                    match change {
                        Change::Write { position, bytes } => write(&mut inode.durable, position, &bytes),
                        Change::SetLen(len) => inode.durable.resize(len as usize, 0),
                    }
                }
            }
            // The pages are clean from now on, and only some of them were written.
            Err(_) if !off => {
                inode.durable = survivors_of_content(inode, random, &mut Losses::default());
                inode.changes.clear();
            }
            Err(_) => {}
        }
        result
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.operate()?;
        if let Some(inode) = state.inodes.get_mut(&self.inode) {
            inode.cached.resize(len as usize, 0);
            inode.changes.push(Change::SetLen(len));
        }
        Ok(())
    }

    fn allocate(&self, from: u64, len: u64) -> io::Result<()> {
        let space = self.state.lock().space_for(self.inode, from, len as usize);
        if space < len as usize {
            self.state.lock().operate()?;
            return Err(io::Error::from_raw_os_error(28));
        }
        self.set_len(from + len)
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.state.lock();
        Ok(state.inodes.get(&self.inode).map_or(0, |inode| inode.cached.len() as u64))
    }
}
