//! The file system that a kernel boots into: a cpio archive of the form `newc`, which the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst` describes.

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// An archive in the making.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    folders: Vec<String>,
}

impl Archive {
    /// Adds a file that may be run, and the folders that it lies in.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) {
        self.parents(path);
        self.entry(path, PROGRAM, content);
    }

    /// Adds a folder, and those that it lies in.
    pub(crate) fn folder(&mut self, path: &str) {
        self.parents(path);
        if !self.folders.iter().any(|known| known == path) {
            self.folders.push(path.to_owned());
            self.entry(path, FOLDER, &[]);
        }
    }

    /// The archive's bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let (length, name) = (content.len(), path.len() + 1);
        let links = 1;
        // Number, mode, user, group, links, time, length, device (two numbers), its own device (two), length of the name, checksum.
        let header = [
            self.entries,
            mode,
            0,
            0,
            links,
            0,
            length as u32,
            0,
            0,
            0,
            0,
            name as u32,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for number in header {
            self.bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    /// Names and contents begin at multiples of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_folders_before_what_lies_in_them() {
        let mut archive = Archive::default();
        archive.file("a/b/c", b"hello");
        archive.file("a/d", b"");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        let names: Vec<usize> = ["a\0", "a/b\0", "a/b/c\0", "a/d\0", "TRAILER!!!\0"]
            .iter()
            .map(|name| {
                let text = format!("00000000{name}");
                bytes
                    .windows(text.len())
                    .position(|window| window == text.as_bytes())
                    .unwrap()
            })
            .collect();
        assert!(names.is_sorted(), "{names:?}");
        assert!(bytes.starts_with(b"07070100000001000041ed"));
    }
}
