//! Checks from the ELF headers alone whether a file is a complete shared library for this machine.
//!
//! The dynamic loader maps what the headers promise. If the file is shorter, access to the missing pages is SIGBUS in
//! the process that loads it. So every length is compared with the file's size here, before a process is spent on it.
//! Symbols, relocations and versions are left to the loader.

use std::io::{self, Read, Seek, SeekFrom};

/// `sizeof(Elf64_Ehdr)`.
const FILE_HEADER: usize = 64;
/// `sizeof(Elf64_Phdr)`.
const PROGRAM_HEADER: usize = 56;
/// `sizeof(Elf64_Shdr)`.
const SECTION_HEADER: usize = 64;
/// `e_type` of a shared object.
const ET_DYN: u16 = 3;
/// `p_type` of a segment that the loader maps.
const PT_LOAD: u32 = 1;
/// `p_type` of the segment that makes a file loadable by `dlopen`.
const PT_DYNAMIC: u32 = 2;
/// `sh_type` of an unused section header.
const SHT_NULL: u32 = 0;
/// `sh_type` of a section without bytes in the file.
const SHT_NOBITS: u32 = 8;

/// `e_machine` of this host, if known.
const MACHINE: Option<u16> = if cfg!(target_arch = "x86_64") {
    Some(62)
} else if cfg!(target_arch = "aarch64") {
    Some(183)
} else if cfg!(target_arch = "riscv64") {
    Some(243)
} else {
    None
};

/// What is wrong with a library's ELF headers. Each text completes the sentence "the library is …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfProblem {
    /// The file is shorter than its headers say.
    #[error("truncated ({has} bytes of at least {needs})")]
    Truncated {
        /// Bytes the headers promise.
        needs: u64,
        /// Bytes in the file.
        has: u64,
    },
    /// The file does not begin like an ELF file.
    #[error("not an ELF file")]
    NotElf,
    /// A library for another kind of processor.
    #[error("built for another kind of machine than this host ({0})")]
    OtherMachine(String),
    /// An ELF file, but an object file, a program or a core dump.
    #[error("an ELF file, but not a shared library (crate-type = [\"cdylib\"] makes one)")]
    NotShared,
    /// Headers that contradict themselves.
    #[error("damaged ({0})")]
    Damaged(&'static str),
}

/// A failed check: the file is bad, or it cannot be read.
#[derive(Debug)]
pub enum CheckError {
    /// The headers are bad.
    Bad(ElfProblem),
    /// The headers cannot be read.
    Io(io::Error),
}

impl From<ElfProblem> for CheckError {
    fn from(problem: ElfProblem) -> Self {
        Self::Bad(problem)
    }
}

/// Checks the headers of a library of `size` bytes. Reads only the headers and tables, and leaves the read position
/// undefined.
///
/// # Errors
/// [`CheckError::Bad`] when the file is bad, [`CheckError::Io`] when it cannot be read.
pub fn check<R: Read + Seek>(file: &mut R, size: u64) -> Result<(), CheckError> {
    let mut library = Library { file, size };
    let header = library.header()?;
    library.programs(&header)?;
    library.sections(&header)
}

/// The places of the two tables.
struct Header {
    program_offset: u64,
    programs: u16,
    section_offset: u64,
    sections: u16,
}

/// The file under examination.
struct Library<'a, R> {
    file: &'a mut R,
    size: u64,
}

impl<R: Read + Seek> Library<'_, R> {
    /// Checks the file header: identity, type, machine, and the places of the tables.
    fn header(&mut self) -> Result<Header, CheckError> {
        let magic = self.read(0, self.size.min(4))?;
        if magic.is_empty() || !b"\x7fELF".starts_with(&magic) {
            return Err(ElfProblem::NotElf.into());
        }
        let header = self.read(0, FILE_HEADER as u64)?;
        if header[4] != 2 {
            return Err(ElfProblem::OtherMachine("32-bit".into()).into());
        }
        if header[5] != if cfg!(target_endian = "little") { 1 } else { 2 } {
            return Err(ElfProblem::OtherMachine("other byte order".into()).into());
        }
        if header[6] != 1 {
            return Err(ElfProblem::Damaged("unknown ELF version").into());
        }
        let machine = u16_at(&header, 18);
        if MACHINE.is_some_and(|own| own != machine) {
            return Err(ElfProblem::OtherMachine(format!("ELF machine {machine}")).into());
        }
        if u16_at(&header, 16) != ET_DYN {
            return Err(ElfProblem::NotShared.into());
        }
        let header_sizes_fit = u16_at(&header, 54) as usize == PROGRAM_HEADER
            && (u16_at(&header, 60) == 0 || u16_at(&header, 58) as usize == SECTION_HEADER);
        if !header_sizes_fit {
            return Err(ElfProblem::Damaged("header entries of unknown size").into());
        }
        Ok(Header {
            program_offset: u64_at(&header, 32),
            programs: u16_at(&header, 56),
            section_offset: u64_at(&header, 40),
            sections: u16_at(&header, 60),
        })
    }

    /// Checks the program headers: every segment is within the file, and there is something to load and to link.
    fn programs(&mut self, header: &Header) -> Result<(), CheckError> {
        let table = self.read(header.program_offset, u64::from(header.programs) * PROGRAM_HEADER as u64)?;
        let (mut loads, mut dynamic) = (false, false);
        for entry in table.chunks_exact(PROGRAM_HEADER) {
            let kind = u32_at(entry, 0);
            let (offset, in_file, in_memory) = (u64_at(entry, 8), u64_at(entry, 32), u64_at(entry, 40));
            loads |= kind == PT_LOAD;
            dynamic |= kind == PT_DYNAMIC;
            if kind == PT_LOAD && in_memory < in_file {
                return Err(ElfProblem::Damaged("a segment is larger than its memory").into());
            }
            if matches!(kind, PT_LOAD | PT_DYNAMIC) {
                self.within(offset, in_file)?;
            }
        }
        if loads && dynamic { Ok(()) } else { Err(ElfProblem::NotShared.into()) }
    }

    /// Checks the section headers. The loader ignores them, but linkers put them last, so they show whether the end is
    /// cut off.
    fn sections(&mut self, header: &Header) -> Result<(), CheckError> {
        if header.section_offset == 0 {
            return Ok(());
        }
        let length = u64::from(header.sections) * SECTION_HEADER as u64;
        let table = self.read(header.section_offset, length)?;
        for entry in table.chunks_exact(SECTION_HEADER) {
            if !matches!(u32_at(entry, 4), SHT_NULL | SHT_NOBITS) {
                self.within(u64_at(entry, 24), u64_at(entry, 32))?;
            }
        }
        Ok(())
    }

    /// Reads `length` bytes at `offset`, after checking that the file has them. At most 4 MiB: 65,535 headers.
    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, CheckError> {
        self.within(offset, length)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| ElfProblem::Damaged("a table has no end"))?];
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut bytes));
        match read {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(ElfProblem::Damaged("shorter than its own size").into())
            }
            Err(error) => Err(CheckError::Io(error)),
        }
    }

    /// Whether the file has `length` bytes at `offset`.
    fn within(&self, offset: u64, length: u64) -> Result<(), ElfProblem> {
        let needs = offset.checked_add(length).ok_or(ElfProblem::Damaged("an offset beyond all files"))?;
        if needs <= self.size { Ok(()) } else { Err(ElfProblem::Truncated { needs, has: self.size }) }
    }
}

/// The `N` bytes of a header at `offset`; the caller has read the whole header.
fn bytes_at<const N: usize>(header: &[u8], offset: usize) -> [u8; N] {
    *header[offset..].first_chunk().expect("the header was read in full")
}

fn u16_at(header: &[u8], offset: usize) -> u16 {
    u16::from_ne_bytes(bytes_at(header, offset))
}

fn u32_at(header: &[u8], offset: usize) -> u32 {
    u32::from_ne_bytes(bytes_at(header, offset))
}

fn u64_at(header: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(bytes_at(header, offset))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::artifact::tests::some_library;
    use proptest::prelude::*;

    fn whole() -> Vec<u8> {
        std::fs::read(some_library()).expect("there")
    }

    fn judge(bytes: &[u8]) -> Result<(), ElfProblem> {
        match check(&mut Cursor::new(bytes), bytes.len() as u64) {
            Ok(()) => Ok(()),
            Err(CheckError::Bad(problem)) => Err(problem),
            Err(CheckError::Io(error)) => panic!("reading memory failed: {error}"),
        }
    }

    #[test]
    fn whole_libraries_pass() {
        assert_eq!(judge(&whole()), Ok(()));
    }

    #[test]
    fn every_truncation_is_seen() {
        let library = whole();
        for percent in 1..=99 {
            let cut = &library[..library.len() * percent / 100];
            let problem = judge(cut).expect_err("a truncated library passed");
            assert!(matches!(problem, ElfProblem::Truncated { .. }), "{percent} %: {problem}");
        }
        assert!(judge(&library[..library.len() - 1]).is_err(), "one byte short");
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(judge(b""), Err(ElfProblem::NotElf));
        assert_eq!(judge(b"#!/bin/sh\necho no library\n"), Err(ElfProblem::NotElf));
        let mut library = whole();
        library[18] ^= 0x40;
        assert!(matches!(judge(&library), Err(ElfProblem::OtherMachine(_))));
        let mut library = whole();
        library[16] = 1;
        assert_eq!(judge(&library), Err(ElfProblem::NotShared));
        let mut library = whole();
        library[4] = 1;
        assert!(matches!(judge(&library), Err(ElfProblem::OtherMachine(_))));
    }

    proptest! {
        #[test]
        fn damage_never_panics(flips in prop::collection::vec((0_usize..1024, any::<u8>()), 1..40)) {
            let mut library = whole();
            for (at, value) in flips {
                library[at] = value;
            }
            let _ = judge(&library);
        }

        #[test]
        fn noise_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for (byte, magic) in bytes.iter_mut().zip(*b"\x7fELF\x02\x01\x01") {
                *byte = magic;
            }
            let _ = judge(&bytes);
        }
    }
}
