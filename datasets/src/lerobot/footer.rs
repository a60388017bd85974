//! A look at the end of a Parquet file before the library reads it.
//!
//! A Parquet file describes its columns as a tree, and the library walks it by recursion: a tree of a hundred thousand levels, which fits
//! into a megabyte, ends the program on a full stack. Here the tree is walked without recursion, and its depth is bounded. The
//! description is Thrift's compact protocol; `FileMetaData` and `SchemaElement` are in the format's `parquet.thrift`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// The deepest tree of columns. A list of numbers is three levels deep.
const DEPTH_MAX: usize = 32;

/// The deepest structure inside of the description.
const NESTED_MAX: usize = 16;

/// The longest description that is read, in bytes.
const BYTES_MAX: u64 = 1 << 28;

/// Field of `FileMetaData` with the tree.
const SCHEMA: i64 = 2;

/// Field of `SchemaElement` with the number of its children.
const CHILDREN: i64 = 5;

/// Thrift's types, by their numbers.
mod kind {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const I8: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
}

/// Refuses a file whose description of itself is deeper than any table is, or cannot be walked. The file is left where it was.
///
/// # Errors
/// What is wrong, as the end of a sentence about the file.
pub(super) fn check(file: &mut File) -> Result<(), String> {
    let description = read(file).map_err(|error| format!("cannot be read: {error}"))?;
    let Some(description) = description else {
        // Too short, or without the mark of the end: the library says so.
        return Ok(());
    };
    let mut bytes = Bytes(&description);
    bytes
        .metadata()
        .ok_or_else(|| "is damaged, or describes columns that are nested deeper than any table's".to_owned())
}

/// The description of a file that ends as a Parquet file does.
fn read(file: &mut File) -> std::io::Result<Option<Vec<u8>>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = [0; 8];
    let found = match length.checked_sub(8) {
        None => None,
        Some(at) => {
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut end)?;
            let size = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
            let start = at
                .checked_sub(size)
                .filter(|_| size <= BYTES_MAX && end.ends_with(b"PAR1"));
            start.map(|start| (start, size as usize))
        }
    };
    let description = match found {
        None => None,
        Some((start, size)) => {
            let mut description = vec![0; size];
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut description)?;
            Some(description)
        }
    };
    file.seek(SeekFrom::Start(0))?;
    Ok(description)
}

/// What is left of a description. Each method takes something off its front; `None` if it is not there.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The number and the type of the next field, or `None` in place of them at the end of a structure.
    fn field(&mut self, last: &mut i64) -> Option<Option<(i64, u8)>> {
        let head = self.byte()?;
        let (step, kind) = (head >> 4, head & 0x0f);
        if kind == kind::STOP {
            return Some(None);
        }
        *last = match step {
            0 => self.signed()?,
            step => last.checked_add(i64::from(step))?,
        };
        Some(Some((*last, kind)))
    }

    /// The length of a list and the type of its elements.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.unsigned()?,
            short => u64::from(short),
        };
        Some((length, head & 0x0f))
    }

    /// Passes over a value. In a list a flag has a byte, as a field it has none.
    fn value(&mut self, kind: u8, in_list: bool, depth: usize) -> Option<()> {
        if depth > NESTED_MAX {
            return None;
        }
        match kind {
            kind::TRUE | kind::FALSE => self.skip(u64::from(in_list)),
            kind::I8 => self.skip(1),
            kind::I16 | kind::I32 | kind::I64 => self.unsigned().map(|_| ()),
            kind::DOUBLE => self.skip(8),
            kind::BINARY => {
                let length = self.unsigned()?;
                self.skip(length)
            }
            kind::LIST | kind::SET => {
                let (length, kind) = self.list()?;
                // Each element has a byte at least, so that the loop ends with the bytes.
                (0..length).try_for_each(|_| self.value(kind, true, depth + 1))
            }
            kind::MAP => {
                let length = self.unsigned()?;
                if length == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..length).try_for_each(|_| {
                    self.value(kinds >> 4, true, depth + 1)?;
                    self.value(kinds & 0x0f, true, depth + 1)
                })
            }
            kind::STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.value(kind, false, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    /// Walks `FileMetaData`.
    fn metadata(&mut self) -> Option<()> {
        let mut last = 0;
        while let Some((number, kind)) = self.field(&mut last)? {
            if (number, kind) == (SCHEMA, kind::LIST) {
                self.schema()?;
            } else {
                self.value(kind, false, 0)?;
            }
        }
        Some(())
    }

    /// Walks the list of columns, in which each is followed by its children.
    fn schema(&mut self) -> Option<()> {
        let (length, kind) = self.list()?;
        if kind != kind::STRUCT {
            return None;
        }
        // How many children are still to come, from the root on.
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..length {
            let children = self.element()?;
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
            }
            if open.len() > DEPTH_MAX {
                return None;
            }
        }
        Some(())
    }

    /// Walks one column and returns how many children it has.
    fn element(&mut self) -> Option<i64> {
        let mut children = 0;
        let mut last = 0;
        while let Some((number, kind)) = self.field(&mut last)? {
            if (number, kind) == (CHILDREN, kind::I32) {
                children = self.signed()?;
            } else {
                self.value(kind, false, 0)?;
            }
        }
        Some(children)
    }
}
