//! Which variables have a say in how an interpreter starts.
//!
//! A fork of an interpreter that has started may be given any variable that is only looked at later. For all others, its
//! start would have been another one.

use std::collections::BTreeSet;
use std::ffi::CString;

/// Those with which an interpreter says or does something at its start that no fork would repeat, or that a fork does
/// not survive well.
const SAID_AT_START: [&str; 13] = [
    "PYTHONVERBOSE",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONDUMPREFS",
    "PYTHONDUMPREFSFILE",
    "PYTHONMALLOC",
    "PYTHONMALLOCSTATS",
    "PYTHONTRACEMALLOC",
    "PYTHONPERFSUPPORT",
    "PYTHON_PERF_JIT_SUPPORT",
    "PYTHONINSPECT",
    "PYTHONDEVMODE",
    "PYTHONWARNINGS",
    "COVERAGE_PROCESS_START",
];
const READ_AT_START: [&str; 10] = [
    "HOME",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LOCPATH",
    "CHARSET",
    "OUTPUT_CHARSET",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "SETUPTOOLS_USE_DISTUTILS",
];
const READ_AT_START_ALL: [&str; 5] = ["PYTHON", "LC_", "LD_", "MALLOC_", "__PYVENV"];

/// The longest variable or argument, and all of them together: a new program could not be given more by the kernel.
const MOST_ONE: usize = 120 << 10;
const MOST_ALL: usize = 1 << 20;

/// Whether an interpreter with these variables can be forked at all.
pub(super) fn can_be_forked(environment: &[CString]) -> bool {
    environment.iter().all(|variable| {
        let (name, value) = split(variable);
        let is_relative = name == b"PYTHONPATH"
            && value.split(|byte| *byte == b':').any(|path| !path.starts_with(b"/"));
        !is_relative && !SAID_AT_START.iter().any(|said| said.as_bytes() == name)
    })
}

/// Whether an interpreter that has started with `one` would not have started differently with `other`.
pub(super) fn start_alike(one: &[CString], other: &[CString], is_sensitive: bool) -> bool {
    let (one, other): (BTreeSet<_>, BTreeSet<_>) = (one.iter().collect(), other.iter().collect());
    let mut different = one.symmetric_difference(&other);
    different.all(|variable| !is_sensitive && !is_read_at_start(split(variable).0))
}

/// Whether arguments and variables are no more than a new program could have.
pub(super) fn fit<'a>(texts: impl IntoIterator<Item = &'a CString>) -> bool {
    let mut all: usize = 0;
    texts.into_iter().all(|text| {
        let length = text.as_bytes().len();
        all = all.saturating_add(length).saturating_add(1);
        length <= MOST_ONE && all <= MOST_ALL
    })
}

fn is_read_at_start(name: &[u8]) -> bool {
    READ_AT_START.iter().any(|read| read.as_bytes() == name)
        || READ_AT_START_ALL.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}

fn split(variable: &CString) -> (&[u8], &[u8]) {
    let bytes = variable.as_bytes();
    let end = memchr::memchr(b'=', bytes).unwrap_or(bytes.len());
    (bytes.get(..end).unwrap_or_default(), bytes.get(end.saturating_add(1)..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::{can_be_forked, fit, start_alike};

    fn variables(texts: &[&str]) -> Vec<CString> {
        texts.iter().map(|text| CString::new(*text).unwrap()).collect()
    }

    #[test]
    fn variables_that_are_read_at_the_start_make_another_start() {
        let base = variables(&["A=1", "HOME=/h", "PATH=/bin"]);
        let others =
            [&["A=2", "HOME=/h", "B=3"][..], &["HOME=/x"], &["HOME=/h", "PYTHONHASHSEED=1"]];
        let alike = others.map(|other| start_alike(&base, &variables(other), false));
        assert_eq!(alike, [true, false, false]);
        assert!(!start_alike(&base, &variables(others[0]), true));
        assert!(start_alike(&base, &variables(&["PATH=/bin", "HOME=/h", "A=1"]), true));
    }

    #[test]
    fn what_is_said_at_the_start_would_be_said_once_only() {
        let base = [&["PYTHONPATH=/a:/b"][..], &["PYTHONPATH=/a:"], &["PYTHONVERBOSE=1"], &[]];
        let can = base.map(|texts| can_be_forked(&variables(texts)));
        assert_eq!(can, [true, false, false, true]);
    }

    #[test]
    fn more_than_the_kernel_takes_does_not_fit() {
        let long = CString::new(vec![b'a'; 100 << 10]).unwrap();
        assert!(fit([&long]));
        assert!(!fit(std::iter::repeat_n(&long, 11)));
        assert!(!fit([&CString::new(vec![b'a'; 130 << 10]).unwrap()]));
    }
}
