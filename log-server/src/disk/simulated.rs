//! A disk in memory that does at a power cut what real ones do.
//!
//! What was not synced is lost, or torn, or there in part: each file by itself, sector by sector; names that were
//! given, changed or removed since their directory's last sync come back in the order in which that happened, up to
//! some point, each directory by itself. Everything is drawn from one seed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Disk, DiskFile};

/// Real disks write sectors wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// A node by its place in [`State::nodes`].
type NodeId = usize;

const ROOT: NodeId = 0;

/// The disk; clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone)]
struct State {
    random: StdRng,
    nodes: Vec<Node>,
    /// Changes left until the power fails; none while it does not.
    changes_left: Option<u64>,
    has_power: bool,
    /// How often the power has come back: files that were opened before are gone.
    life: u32,
    /// Bytes that files may have together; none without a limit.
    capacity_bytes: Option<u64>,
    /// Whether every sync of a file fails.
    fails_to_sync: bool,
}

#[derive(Debug, Clone)]
enum Node {
    File {
        durable: Vec<u8>,
        present: Vec<u8>,
    },
    /// What it held after the last sync, and after each change since.
    Directory {
        states: Vec<BTreeMap<String, NodeId>>,
    },
}

#[derive(Debug)]
struct OpenFile {
    disk: SimulatedDisk,
    node: NodeId,
    life: u32,
}

impl SimulatedDisk {
    /// An empty disk.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            random: StdRng::seed_from_u64(seed),
            nodes: vec![Node::Directory { states: vec![BTreeMap::new()] }],
            changes_left: None,
            has_power: true,
            life: 0,
            capacity_bytes: None,
            fails_to_sync: false,
        };
        SimulatedDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Another disk with the same content.
    pub(crate) fn copy(&self) -> Self {
        SimulatedDisk { state: Arc::new(Mutex::new(self.lock().clone())) }
    }

    /// The power fails at the change after the next `changes` ones; the change is then done in part.
    pub(crate) fn fail_after(&self, changes: u64) {
        self.lock().changes_left = Some(changes);
    }

    /// Whether there is power.
    pub(crate) fn has_power(&self) -> bool {
        self.lock().has_power
    }

    /// Cuts the power, if it has not failed yet, and brings it back: what was not durable may be lost.
    pub(crate) fn restart(&self) {
        self.lock().restart();
    }

    /// The process ends and is started again: files that were open are gone, but nothing that was written.
    pub(crate) fn crash(&self) {
        self.lock().begin_life();
    }

    /// Limits the bytes of all files together.
    pub(crate) fn limit(&self, capacity_bytes: Option<u64>) {
        self.lock().capacity_bytes = capacity_bytes;
    }

    /// Bytes of all files together, removed ones included.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// Has every sync of a file fail, or work again.
    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.lock().fails_to_sync = fail;
    }

    /// Changes a file behind everybody's back, durably.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.lock();
        let node = state.find(path)?;
        let Node::File { durable, present } = &mut state.nodes[node] else { return Err(is_directory(path)) };
        change(present);
        durable.clone_from(present);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, node: NodeId, life: u32) -> Box<dyn DiskFile> {
        Box::new(OpenFile { disk: self.clone(), node, life })
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.change()?;
        if let Ok(node) = state.find(path) {
            let Node::File { present, .. } = &mut state.nodes[node] else { return Err(is_directory(path)) };
            present.clear();
            return Ok(self.file(node, state.life));
        }
        let node = state.add(Node::File { durable: Vec::new(), present: Vec::new() });
        state.rename_to(path, Some(node))?;
        Ok(self.file(node, state.life))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.lock();
        state.check_power()?;
        let node = state.find(path)?;
        match &state.nodes[node] {
            Node::File { .. } => Ok(self.file(node, state.life)),
            Node::Directory { .. } => Err(is_directory(path)),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.lock();
        state.check_power()?;
        match &state.nodes[state.find(path)?] {
            Node::File { present, .. } => Ok(present.clone()),
            Node::Directory { .. } => Err(is_directory(path)),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.lock();
        state.check_power()?;
        let entries = state.entries(state.find(directory)?)?;
        Ok(entries.keys().map(|name| directory.join(name)).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.lock();
        state.has_power && state.find(path).is_ok()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        assert_eq!(from.parent(), to.parent(), "only renames within a directory are simulated as one change");
        let mut state = self.lock();
        state.change()?;
        let node = state.find(from)?;
        let (directory, old) = state.split(from)?;
        let (_, new) = state.split(to)?;
        state.update(directory, |entries| {
            entries.remove(&old);
            entries.insert(new, node);
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.find(path)?;
        state.change()?;
        state.rename_to(path, None)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let node = state.find(path)?;
        let names: Vec<String> = state.entries(node)?.keys().cloned().collect();
        for name in names {
            state.change()?;
            state.update(node, |entries| {
                entries.remove(&name);
            })?;
        }
        state.change()?;
        state.rename_to(path, None)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check_power()?;
        let mut upper = PathBuf::from("/");
        for name in names(path) {
            upper.push(name);
            if state.find(&upper).is_err() {
                state.change()?;
                let node = state.add(Node::Directory { states: vec![BTreeMap::new()] });
                state.rename_to(&upper, Some(node))?;
            }
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        let node = state.find(path)?;
        if let Node::Directory { states } = &mut state.nodes[node] {
            states.drain(..states.len() - 1);
        }
        Ok(())
    }
}

impl DiskFile for OpenFile {
    fn append(&self, head: &[u8], rest: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let had_power = state.has_power;
        let mut done = state.change_of(self);
        let mut bytes = [head, rest].concat();
        if done.is_err() && had_power && state.life == self.life {
            // It fails in the middle.
            let written = state.random.random_range(0..=bytes.len());
            bytes.truncate(written);
        } else {
            done?;
            done = state.reserve(&mut bytes);
        }
        if let Node::File { present, .. } = &mut state.nodes[self.node] {
            present.extend_from_slice(&bytes);
        }
        done
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let state = self.disk.lock();
        state.check_life(self)?;
        let Node::File { present, .. } = &state.nodes[self.node] else { return Ok(()) };
        let bytes = present.get(position as usize..position as usize + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.change_of(self)?;
        if state.fails_to_sync {
            return Err(io::Error::other("simulated input/output error"));
        }
        if let Node::File { durable, present } = &mut state.nodes[self.node] {
            let common = durable.iter().zip(&*present).take_while(|(old, new)| old == new).count();
            durable.truncate(common);
            durable.extend_from_slice(&present[common..]);
        }
        Ok(())
    }

    fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.change_of(self)?;
        if let Node::File { present, .. } = &mut state.nodes[self.node] {
            present.resize(size_bytes as usize, 0);
        }
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        state.check_life(self)?;
        match &state.nodes[self.node] {
            Node::File { present, .. } => Ok(present.len() as u64),
            Node::Directory { .. } => Ok(0),
        }
    }
}

impl State {
    fn check_power(&self) -> io::Result<()> {
        if self.has_power { Ok(()) } else { Err(io::Error::other("simulated power cut")) }
    }

    fn check_life(&self, file: &OpenFile) -> io::Result<()> {
        self.check_power()?;
        if self.life == file.life { Ok(()) } else { Err(io::Error::other("opened before the power cut")) }
    }

    /// Counts a change; the one at which the power fails is an error.
    fn change(&mut self) -> io::Result<()> {
        self.check_power()?;
        if let Some(left) = &mut self.changes_left {
            if *left == 0 {
                self.has_power = false;
            }
            *left = left.saturating_sub(1);
        }
        self.check_power()
    }

    fn change_of(&mut self, file: &OpenFile) -> io::Result<()> {
        self.check_life(file)?;
        self.change()
    }

    /// Cuts off what there is no space for.
    fn reserve(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let Some(capacity) = self.capacity_bytes else { return Ok(()) };
        let free = capacity.saturating_sub(self.used_bytes());
        if bytes.len() as u64 <= free {
            return Ok(());
        }
        bytes.truncate(free as usize);
        Err(io::ErrorKind::StorageFull.into())
    }

    fn used_bytes(&self) -> u64 {
        let size = |node: &Node| if let Node::File { present, .. } = node { present.len() } else { 0 };
        self.nodes.iter().map(|node| size(node) as u64).sum()
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn entries(&self, directory: NodeId) -> io::Result<&BTreeMap<String, NodeId>> {
        match &self.nodes[directory] {
            Node::Directory { states } => states.last().ok_or(io::ErrorKind::NotFound.into()),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<NodeId> {
        names(path).try_fold(ROOT, |node, name| {
            self.entries(node)?.get(&name).copied().ok_or(io::ErrorKind::NotFound.into())
        })
    }

    /// The directory of a path, and its name there.
    fn split(&self, path: &Path) -> io::Result<(NodeId, String)> {
        let name = names(path).last().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.find(path.parent().unwrap_or(Path::new("/")))?, name))
    }

    fn rename_to(&mut self, path: &Path, node: Option<NodeId>) -> io::Result<()> {
        let (directory, name) = self.split(path)?;
        self.update(directory, |entries| {
            match node {
                Some(node) => entries.insert(name, node),
                None => entries.remove(&name),
            };
        })
    }

    fn update(
        &mut self,
        directory: NodeId,
        change: impl FnOnce(&mut BTreeMap<String, NodeId>),
    ) -> io::Result<()> {
        let mut entries = self.entries(directory)?.clone();
        change(&mut entries);
        if let Node::Directory { states } = &mut self.nodes[directory] {
            states.push(entries);
        }
        Ok(())
    }

    fn restart(&mut self) {
        for node in &mut self.nodes {
            match node {
                Node::File { durable, present } if durable != present => {
                    *present = survivor(&mut self.random, durable, present);
                    durable.clone_from(present);
                }
                Node::File { .. } => {}
                Node::Directory { states } => {
                    let kept = self.random.random_range(0..states.len());
                    *states = vec![states.swap_remove(kept)];
                }
            }
        }
        self.begin_life();
    }

    fn begin_life(&mut self) {
        self.life += 1;
        self.has_power = true;
        self.changes_left = None;
    }
}

/// What a file may hold after a power cut.
fn survivor(random: &mut StdRng, durable: &[u8], present: &[u8]) -> Vec<u8> {
    match random.random_range(0..4) {
        0 => durable.to_vec(),
        1 => present.to_vec(),
        // The end is missing.
        2 => {
            let shortest = durable.len().min(present.len());
            present[..random.random_range(shortest..=present.len())].to_vec()
        }
        // The size is there, sectors are not.
        _ => {
            let mut mixed = present.to_vec();
            for (at, sector) in mixed.chunks_mut(SECTOR_BYTES).enumerate() {
                if random.random_bool(0.5) {
                    let old = durable.get(at * SECTOR_BYTES..).unwrap_or_default();
                    for (place, byte) in sector.iter_mut().enumerate() {
                        *byte = old.get(place).copied().unwrap_or(0);
                    }
                }
            }
            mixed
        }
    }
}

fn names(path: &Path) -> impl Iterator<Item = String> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    })
}

fn is_directory(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::IsADirectory, format!("{} is a directory", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_synced_survives_and_the_rest_may_not() {
        let (mut with_name, mut with_content, mut with_old_name) = (0, 0, 0);
        for seed in 0..100 {
            let disk = SimulatedDisk::new(seed);
            let (kept, new) = (Path::new("/a/kept"), Path::new("/a/new"));
            disk.create_dir_all(Path::new("/a")).unwrap();
            disk.sync_directory(Path::new("/")).unwrap();
            let file = disk.create(kept).unwrap();
            file.append(b"du", b"rable").unwrap();
            file.sync().unwrap();
            disk.sync_directory(Path::new("/a")).unwrap();
            file.append(b"maybe", &[]).unwrap();
            disk.create(new).unwrap().append(b"x", &[]).unwrap();
            disk.rename(new, Path::new("/a/newer")).unwrap();
            disk.restart();
            assert!(disk.read(kept).unwrap().starts_with(b"durable"));
            assert!(file.sync().is_err(), "opened before");
            with_content += usize::from(disk.read(kept).unwrap().ends_with(b"maybe"));
            with_old_name += usize::from(disk.exists(new));
            with_name += usize::from(disk.exists(Path::new("/a/newer")));
        }
        for times in [with_name, with_content, with_old_name] {
            assert!((10..90).contains(&times), "{times}");
        }
    }

    #[test]
    fn the_power_fails_at_the_change_asked_for() {
        let disk = SimulatedDisk::new(1);
        let file = disk.create(Path::new("/a")).unwrap();
        disk.fail_after(1);
        file.append(b"one", &[]).unwrap();
        assert!(file.sync().is_err());
        assert!(!disk.has_power());
        assert!(disk.read(Path::new("/a")).is_err());
    }
}
