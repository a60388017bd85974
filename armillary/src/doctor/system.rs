//! The operating system's own files, below a folder that tests can choose.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// May open any file (`capabilities(7)`).
const DAC_OVERRIDE: u32 = 1;
/// May lock memory.
const IPC_LOCK: u32 = 14;
/// May ask for real-time priorities.
const SYS_NICE: u32 = 23;

/// The operating system as its files tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

/// Whether this program may use a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Yes.
    Allowed,
    /// It would be by joining this group.
    Group {
        /// The group's name, or its number.
        group: String,
        /// Whether the user has joined already, and has not logged in since.
        joined: bool,
    },
    /// Not by a group.
    Refused,
}

impl System {
    /// The system whose `/` is `root`.
    pub fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Where a file of the system is.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What the system calls a file of [`System::at`].
    pub fn name_of(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root)
            .map_or_else(|_| path.to_owned(), |inside| Path::new("/").join(inside))
    }

    /// The text of a file, trimmed; `None` if it cannot be read.
    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(self.at(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// The entries of a folder by name; none if it cannot be read.
    pub fn entries(&self, path: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Whether this program may read and write a device.
    pub fn access(&self, device: &Path) -> std::io::Result<Access> {
        let metadata = fs::metadata(self.at(device))?;
        let mode = metadata.mode();
        let allows = |shift: u32| mode >> shift & 0o6 == 0o6;
        let (uid, groups) = (self.uid(), self.groups());
        let by_owner = uid == Some(metadata.uid()) && allows(6);
        let by_group = groups.contains(&metadata.gid()) && allows(3);
        if self.may(DAC_OVERRIDE) || by_owner || by_group || allows(0) {
            return Ok(Access::Allowed);
        }
        if !allows(3) {
            return Ok(Access::Refused);
        }
        let (group, members) = self.group(metadata.gid());
        let joined = self.user().is_some_and(|user| members.contains(&user));
        Ok(Access::Group { group, joined })
    }

    /// The programs that have a device open, this one left out: number and name. Those of other users may stay unseen.
    pub fn holders(&self, device: &Path) -> Vec<(u32, String)> {
        let own = std::process::id();
        let mut found = Vec::new();
        for name in self.entries("/proc") {
            let Ok(number) = name.parse::<u32>() else { continue };
            let folder = format!("/proc/{name}/fd");
            let open = self.entries(&folder).into_iter().any(|descriptor| {
                fs::read_link(self.at(format!("{folder}/{descriptor}"))).is_ok_and(|link| link == device)
            });
            if open && number != own {
                let program = self.text(format!("/proc/{name}/comm")).unwrap_or_default();
                found.push((number, program));
            }
        }
        found
    }

    /// Whether this program may ask for real-time priorities whatever its limit is.
    pub fn may_have_priority(&self) -> bool {
        self.may(SYS_NICE)
    }

    /// Whether this program may lock memory whatever its limit is.
    pub fn may_lock_memory(&self) -> bool {
        self.may(IPC_LOCK)
    }

    /// The limit in force that `/proc/self/limits` calls `name`; `u64::MAX` if there is none.
    pub fn limit(&self, name: &str) -> Option<u64> {
        let limits = self.text("/proc/self/limits")?;
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        match line.split_whitespace().next()? {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        }
    }

    fn status(&self, field: &str) -> Option<String> {
        let status = self.text("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim_start_matches(':').trim().to_owned())
    }

    fn may(&self, capability: u32) -> bool {
        let mask = self
            .status("CapEff")
            .and_then(|mask| u64::from_str_radix(&mask, 16).ok());
        mask.is_some_and(|mask| mask >> capability & 1 == 1)
    }

    fn uid(&self) -> Option<u32> {
        // Real, effective, saved, of the file system.
        self.status("Uid")?.split_whitespace().nth(1)?.parse().ok()
    }

    fn groups(&self) -> BTreeSet<u32> {
        let own = self
            .status("Gid")
            .and_then(|line| line.split_whitespace().nth(1).map(str::to_owned));
        let further = self.status("Groups").unwrap_or_default();
        further
            .split_whitespace()
            .map(str::to_owned)
            .chain(own)
            .filter_map(|number| number.parse().ok())
            .collect()
    }

    fn user(&self) -> Option<String> {
        let uid = self.uid()?.to_string();
        let users = self.text("/etc/passwd")?;
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid).then(|| name.to_owned())
        })
    }

    /// A group's name, or its number, and who is in it.
    fn group(&self, gid: u32) -> (String, Vec<String>) {
        let number = gid.to_string();
        let groups = self.text("/etc/group").unwrap_or_default();
        let found = groups.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            if fields.nth(1)? != number {
                return None;
            }
            let members = fields.next().unwrap_or_default().split(',');
            Some((name.to_owned(), members.map(str::to_owned).collect()))
        });
        found.unwrap_or((number, Vec::new()))
    }
}
