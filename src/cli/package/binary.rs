//! Whether the host can start a binary: what machine it is for, and which C library it asks for.
//!
//! In: the bytes of an ELF file. Out: the newest `GLIBC_x.y` among the symbol versions it needs. Refused:
//! anything but 64-bit Linux on x86-64, and a version newer than the host's.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A version of the GNU C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc {
    major: u32,
    minor: u32,
}

impl FromStr for Glibc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no version such as 2.31");
        let (major, rest) = text.split_once('.').ok_or_else(wrong)?;
        let minor = rest.split('.').next().unwrap_or_default();
        let number = |part: &str| part.parse::<u32>().map_err(|_| wrong());
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for Glibc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The first 20 bytes of what the host runs: ELF, 64 bits, little end first; type and machine follow
/// (System V ABI, ELF header).
const ELF64_LITTLE: &[u8] = b"\x7fELF\x02\x01";
const MACHINE: std::ops::Range<usize> = 18..20;
const X86_64: [u8; 2] = [62, 0];

/// The C library that a binary asks for, none when it asks for none; or why the host cannot run it.
pub(super) fn inspect(program: &[u8], host: Glibc) -> Result<Option<Glibc>, String> {
    if !program.starts_with(ELF64_LITTLE) || program.get(MACHINE) != Some(&X86_64) {
        return Err("the binary is not for 64-bit Linux on x86-64, which the host is".to_owned());
    }
    let needed = needed(program);
    match needed {
        Some(version) if version > host => Err(format!(
            "the binary needs glibc {version} and the host has {host}: install cargo-zigbuild \
             (`pip install ziglang cargo-zigbuild`) and let this command build it, or name the host's \
             version with --glibc"
        )),
        _ => Ok(needed),
    }
}

/// The newest version among the names of needed symbol versions. These names are whole strings between
/// NULs in the table of dynamic strings; texts of a Rust program have no NULs around them.
fn needed(program: &[u8]) -> Option<Glibc> {
    const NAME: &[u8] = b"GLIBC_";
    let strings = program.split(|byte| *byte == 0);
    let versions = strings.filter_map(|string| string.strip_prefix(NAME));
    versions.filter_map(|version| std::str::from_utf8(version).ok()?.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(strings: &str) -> Vec<u8> {
        let mut program = [ELF64_LITTLE, &[0; 12], &X86_64].concat();
        program.extend(strings.as_bytes());
        program
    }

    fn inspected(strings: &str) -> Result<Option<String>, String> {
        let found = inspect(&program(strings), "2.31".parse().unwrap());
        found.map(|version| version.map(|version| version.to_string()))
    }

    #[test]
    fn the_newest_symbol_version_counts() {
        let found = inspected("\0GLIBC_2.2.5\0GLIBC_2.28\0GLIBC_2.9\0GLIBC_PRIVATE\0");
        assert_eq!(found, Ok(Some("2.28".to_owned())));
        assert_eq!(inspected("\0a text of GLIBC_2.99 \0"), Ok(None));
    }

    #[test]
    fn what_the_host_cannot_run_is_refused_with_what_to_do() {
        assert!(inspected("\0GLIBC_2.34\0").unwrap_err().contains("cargo-zigbuild"));
        assert!(inspect(b"MZ\x90\0", "2.31".parse().unwrap()).is_err());
        let mut arm = program("");
        arm[18] = 183;
        assert!(inspect(&arm, "2.31".parse().unwrap()).is_err());
        assert!("2".parse::<Glibc>().is_err() && "x.y".parse::<Glibc>().is_err());
    }
}
