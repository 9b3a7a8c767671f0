//! The daemon's program: from the file that was named, else from this binary.

use std::path::Path;

use crate::failure::{Doing as _, Failure};

/// Put here by the build script; empty in a binary that was built without.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/daemon"));

/// Whether this binary was built with the daemon inside.
pub(crate) const fn has_daemon() -> bool {
    !EMBEDDED.is_empty()
}

/// The daemon's program.
pub(crate) fn load(named: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let Some(path) = named else {
        if has_daemon() {
            return Ok(EMBEDDED.to_vec());
        }
        return Err(Failure::new(
            "this binary was built without the daemon that serves inside sandboxes",
        )
        .hint("`cargo xtask dist` builds one with it: target/release/pitlane")
        .hint("or build the daemon alone and name it: --daemon \"$(cargo xtask daemon)\""));
    };
    let program =
        std::fs::read(path).doing(format!("cannot read the daemon {}", path.display()))?;
    check(&program).map_err(|why| {
        Failure::new(format!("{} cannot be the daemon: {why}", path.display()))
            .hint("`cargo xtask daemon` builds one and prints its path")
    })?;
    Ok(program)
}

/// Checks that a sandbox can run the program whatever libraries its image has.
fn check(program: &[u8]) -> Result<(), &'static str> {
    const INTERPRETER: u32 = 3;
    let header = ElfHeader::read(program).ok_or("it is no program for x86-64 Linux")?;
    let mut segments = (0..header.count).map(|index| {
        let start =
            header.offset.checked_add(usize::from(index).checked_mul(usize::from(header.size))?)?;
        number::<4>(program, start).map(u32::from_le_bytes)
    });
    if segments.any(|kind| kind == Some(INTERPRETER)) {
        return Err("it needs libraries that a sandbox may not have");
    }
    Ok(())
}

/// Where an ELF file's program headers are.
struct ElfHeader {
    offset: usize,
    size: u16,
    count: u16,
}

impl ElfHeader {
    fn read(program: &[u8]) -> Option<Self> {
        const X86_64: u16 = 62;
        let is_elf = program.starts_with(b"\x7fELF\x02\x01");
        let machine = u16::from_le_bytes(number(program, 18)?);
        (is_elf && machine == X86_64).then_some(())?;
        Some(Self {
            offset: usize::try_from(u64::from_le_bytes(number(program, 32)?)).ok()?,
            size: u16::from_le_bytes(number(program, 54)?),
            count: u16::from_le_bytes(number(program, 56)?),
        })
    }
}

fn number<const N: usize>(bytes: &[u8], start: usize) -> Option<[u8; N]> {
    bytes.get(start..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header with one program header of this kind.
    fn elf(kind: u32) -> Vec<u8> {
        let mut program = vec![0; 64];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        program[18] = 62;
        program[32] = 64;
        program[54] = 56;
        program[56] = 1;
        program.extend(kind.to_le_bytes());
        program
    }

    #[test]
    fn only_a_program_without_libraries_is_taken() {
        assert_eq!(check(&elf(1)), Ok(()));
        assert_eq!(check(&elf(3)), Err("it needs libraries that a sandbox may not have"));
        for other in [&b""[..], b"#!/bin/sh\n", b"\x7fELF\x01\x01", &elf(1)[..40]] {
            assert_eq!(check(other), Err("it is no program for x86-64 Linux"));
        }
    }
}
