//! An ELF file for the RP2040 as a UF2 file, which the chip's boot loader takes from its drive (github.com/microsoft/uf2).

use std::collections::BTreeMap;

use anyhow::{Context, bail};

const PAGE_BYTES: usize = 256;
const BLOCK_BYTES: usize = 512;
const MAGIC_START: [u32; 2] = [0x0A32_4655, 0x9E5D_5157];
const MAGIC_END: u32 = 0x0AB1_6F30;
/// The block says for which chip it is.
const FLAG_FAMILY: u32 = 0x2000;
const FAMILY_RP2040: u32 = 0xE48B_FF56;
/// Where flash lies in the chip's memory: 2 MiB, as on a Pico.
const FLASH: std::ops::Range<u32> = 0x1000_0000..0x1020_0000;
/// A segment that is loaded.
const PT_LOAD: u32 = 1;

/// Whether `head` begins like a UF2 file.
pub(super) fn is_uf2(head: &[u8]) -> bool {
    head.starts_with(&MAGIC_START[0].to_le_bytes())
}

/// What is to be in flash, a page of 256 bytes each.
pub(super) struct Image {
    pages: BTreeMap<u32, [u8; PAGE_BYTES]>,
}

impl Image {
    /// Collects what a little-endian 32-bit ELF file loads into flash.
    pub(super) fn of_elf(elf: &[u8]) -> anyhow::Result<Self> {
        if !elf.starts_with(b"\x7fELF\x01\x01") {
            bail!("is no little-endian 32-bit ELF file");
        }
        let (table, entry_bytes, entries) = (word(elf, 28)? as usize, half(elf, 42)?, half(elf, 44)?);
        let mut pages = BTreeMap::new();
        for entry in 0..usize::from(entries) {
            let at = table + entry * usize::from(entry_bytes);
            let (kind, offset) = (word(elf, at)?, word(elf, at + 4)? as usize);
            let (address, length) = (word(elf, at + 12)?, word(elf, at + 16)? as usize);
            if kind != PT_LOAD || length == 0 {
                continue;
            }
            let data = offset
                .checked_add(length)
                .and_then(|end| elf.get(offset..end))
                .context("a segment goes beyond the end of the file")?;
            for (address, byte) in (address..).zip(data) {
                if !FLASH.contains(&address) {
                    bail!("address {address:#x} is not in flash");
                }
                let place = address as usize % PAGE_BYTES;
                pages.entry(address - place as u32).or_insert([0; PAGE_BYTES])[place] = *byte;
            }
        }
        // The boot loader starts what begins there.
        if !pages.contains_key(&FLASH.start) {
            bail!("nothing lies at the start of flash");
        }
        Ok(Self { pages })
    }

    /// Bytes of flash that are written.
    pub(super) fn bytes(&self) -> usize {
        self.pages.len() * PAGE_BYTES
    }

    /// The UF2 file.
    pub(super) fn uf2(&self) -> Vec<u8> {
        let count = self.pages.len() as u32;
        let mut out = Vec::with_capacity(self.pages.len() * BLOCK_BYTES);
        for (number, (address, page)) in (0u32..).zip(&self.pages) {
            let start = out.len();
            for word in [
                MAGIC_START[0],
                MAGIC_START[1],
                FLAG_FAMILY,
                *address,
                PAGE_BYTES as u32,
                number,
                count,
                FAMILY_RP2040,
            ] {
                out.extend(word.to_le_bytes());
            }
            out.extend(page);
            out.resize(start + BLOCK_BYTES - 4, 0);
            out.extend(MAGIC_END.to_le_bytes());
        }
        out
    }
}

fn bytes<const N: usize>(elf: &[u8], at: usize) -> anyhow::Result<[u8; N]> {
    let found = elf.get(at..).and_then(|rest| rest.first_chunk());
    found.copied().context("the file is cut off")
}

fn word(elf: &[u8], at: usize) -> anyhow::Result<u32> {
    Ok(u32::from_le_bytes(bytes(elf, at)?))
}

fn half(elf: &[u8], at: usize) -> anyhow::Result<u16> {
    Ok(u16::from_le_bytes(bytes(elf, at)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file that loads `segments`, each of an address and contents.
    fn elf(segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut out = b"\x7fELF\x01\x01".to_vec();
        out.resize(52, 0);
        out[28..32].copy_from_slice(&52u32.to_le_bytes());
        out[42..44].copy_from_slice(&32u16.to_le_bytes());
        out[44..46].copy_from_slice(&(segments.len() as u16).to_le_bytes());
        let mut offset = 52 + 32 * segments.len() as u32;
        for (address, data) in segments {
            let length = data.len() as u32;
            // Virtual addresses are those of memory, and not what counts.
            for word in [PT_LOAD, offset, 0x2000_0000, *address, length, length, 4, 4] {
                out.extend(word.to_le_bytes());
            }
            offset += length;
        }
        segments.iter().for_each(|(_, data)| out.extend(*data));
        out
    }

    #[test]
    fn pages_of_flash_become_blocks_in_order_with_gaps_filled() {
        let image = Image::of_elf(&elf(&[
            (0x1000_00FE, &[3, 4, 5]),
            (0x1000_0000, &[1, 2]),
            (0x2000_0000, &[]),
        ]))
        .unwrap();
        assert_eq!(image.bytes(), 512);
        let uf2 = image.uf2();
        assert!(is_uf2(&uf2));
        let blocks: Vec<&[u8]> = uf2.chunks(512).collect();
        assert_eq!(blocks.len(), 2);
        for (number, block) in blocks.iter().enumerate() {
            let word = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap());
            assert_eq!(
                [word(0), word(4), word(8), word(28), word(508)],
                [0x0A324655, 0x9E5D5157, 0x2000, 0xE48BFF56, 0x0AB16F30]
            );
            assert_eq!(
                [word(12), word(16), word(20), word(24)],
                [0x1000_0000 + 256 * number as u32, 256, number as u32, 2]
            );
        }
        let mut first = [0; 256];
        first[..2].copy_from_slice(&[1, 2]);
        first[254..].copy_from_slice(&[3, 4]);
        assert_eq!(blocks[0][32..288], first);
        assert_eq!(blocks[1][32..35], [5, 0, 0]);
    }

    #[test]
    fn what_is_no_image_for_flash_is_refused() {
        for (what, file, words) in [
            ("nothing", Vec::new(), "is no little-endian"),
            ("text", b"hello".to_vec(), "is no little-endian"),
            ("memory", elf(&[(0x2000_0000, &[1])]), "not in flash"),
            ("beyond", elf(&[(0x101F_FFFF, &[1, 2])]), "not in flash"),
            ("no start", elf(&[(0x1000_0100, &[1])]), "start of flash"),
            (
                "cut off",
                {
                    let mut cut = elf(&[(0x1000_0000, &[1, 2, 3])]);
                    cut.pop();
                    cut
                },
                "beyond the end",
            ),
            ("a header", elf(&[(0x1000_0000, &[1])])[..60].to_vec(), "cut off"),
        ] {
            let error = Image::of_elf(&file).err().unwrap().to_string();
            assert!(error.contains(words), "{what}: {error}");
        }
    }
}
