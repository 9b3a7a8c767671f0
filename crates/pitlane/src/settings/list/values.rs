//! Values as text, understood.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Whatever its type can be told from.
pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|why: T::Err| why.to_string())
}

/// Puts a value in its place.
pub(super) fn set<T: FromStr<Err: std::fmt::Display>>(
    place: &mut T,
    text: &str,
) -> Result<(), String> {
    *place = parse(text)?;
    Ok(())
}

/// Values with commas between them.
pub(super) fn list<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<Vec<T>, String> {
    text.split(',').filter(|one| !one.trim().is_empty()).map(parse).collect()
}

/// The parts of a list with commas.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// A number that is not zero.
pub(super) fn positive<T: FromStr<Err: std::fmt::Display> + From<u8> + PartialOrd>(
    text: &str,
) -> Result<T, String> {
    let number: T = parse(text)?;
    if number < T::from(1) { Err("it is at least 1".to_owned()) } else { Ok(number) }
}

/// A size in GiB, kept in bytes.
pub(super) fn gib(place: &mut u64, text: &str) -> Result<(), String> {
    let number: u32 = positive(text)?;
    *place = u64::from(number) << 30;
    Ok(())
}

/// A time in seconds, at least one.
pub(super) fn seconds(place: &mut Duration, text: &str) -> Result<(), String> {
    *place = Duration::from_secs(positive(text)?);
    Ok(())
}

/// A file or folder.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path is not empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}
