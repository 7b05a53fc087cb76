//! The files of an image, assembled in memory. It must never copy the owner or the time of a file on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tar::{Builder, EntryType, Header};

use super::libraries;

/// The owner of a file inside the image, as numeric ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(pub u64, pub u64);

impl Owner {
    /// User and group 0.
    pub const ROOT: Self = Self(0, 0);
    /// The user that Swarmgate's containers run as when they need no privilege.
    pub const NONROOT: Self = Self(65532, 65532);
}

#[derive(Clone, Debug)]
enum EntryContent {
    Directory,
    File(Vec<u8>),
    Link(PathBuf),
}

#[derive(Clone, Debug)]
struct LayerEntry {
    content: EntryContent,
    mode: u32,
    owner: Owner,
}

/// The only layer of an image. Paths are absolute; parent directories are added automatically.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    entries: BTreeMap<PathBuf, LayerEntry>,
}

impl Layer {
    /// Adds a file owned by root.
    pub fn file(&mut self, path: &str, content: impl Into<Vec<u8>>, mode: u32) -> &mut Self {
        self.put(Path::new(path), EntryContent::File(content.into()), mode, Owner::ROOT)
    }

    /// Adds a directory.
    pub fn directory(&mut self, path: &str, mode: u32, owner: Owner) -> &mut Self {
        self.put(Path::new(path), EntryContent::Directory, mode, owner)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> &mut Self {
        self.put(Path::new(path), EntryContent::Link(target.into()), 0o777, Owner::ROOT)
    }

    /// Adds this machine's program `from` as `to`, and every shared library that it needs at the library's own path.
    pub fn program(&mut self, from: &Path, to: &str) -> Result<&mut Self> {
        for library in libraries::of(from)? {
            let content = read(&library)?;
            self.put(&library, EntryContent::File(content), 0o755, Owner::ROOT);
        }
        Ok(self.file(to, read(from)?, 0o755))
    }

    fn put(&mut self, path: &Path, content: EntryContent, mode: u32, owner: Owner) -> &mut Self {
        for parent in path.ancestors().skip(1).filter(|parent| parent.parent().is_some()) {
            let plain = LayerEntry { content: EntryContent::Directory, mode: 0o755, owner: Owner::ROOT };
            self.entries.entry(parent.to_path_buf()).or_insert(plain);
        }
        self.entries.insert(path.to_path_buf(), LayerEntry { content, mode, owner });
        self
    }

    /// The layer as a tar archive, ordered by path.
    pub(super) fn to_tar(&self) -> Result<Vec<u8>> {
        let mut builder = Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let inside = path.strip_prefix("/").with_context(|| format!("{} is not absolute", path.display()))?;
            entry.append(&mut builder, inside).with_context(|| format!("put {} into a layer", path.display()))?;
        }
        builder.into_inner().context("close a layer")
    }
}

impl LayerEntry {
    fn append(&self, builder: &mut Builder<Vec<u8>>, path: &Path) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(self.mode);
        header.set_uid(self.owner.0);
        header.set_gid(self.owner.1);
        header.set_mtime(0);
        header.set_size(0);
        match &self.content {
            EntryContent::Directory => {
                header.set_entry_type(EntryType::Directory);
                builder.append_data(&mut header, path.join(""), std::io::empty())?;
            }
            EntryContent::File(content) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(content.len().try_into()?);
                builder.append_data(&mut header, path, content.as_slice())?;
            }
            EntryContent::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                builder.append_link(&mut header, path, target)?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
