//! A piece of a log, for whoever reads it bit by bit and knows how far they are.

use std::sync::Arc;

use http::StatusCode;
use pitlane_wire::toolbox::SessionLogPiece;
use tokio::sync::OwnedSemaphorePermit;

use super::command::Command;
use super::log::{Log, Next};
use crate::http::{Answer, Query, Refusal, json};

/// How many bytes a piece has at most, unless told.
const USUAL: usize = 64 << 10;
/// How many it may be told to have: enough for a character, and less than what would fill memory.
const LIMITS: std::ops::RangeInclusive<usize> = 16..=256 << 10;

/// Which piece is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What follows the first so many bytes.
    From(u64, usize),
    /// The end.
    Last(usize),
}

impl Wanted {
    /// Which piece a query asks for; `None` if it asks for all of the log.
    pub(super) fn of(query: &Query) -> Result<Option<Self>, Refusal> {
        let number = |name: &str| -> Result<Option<u64>, Refusal> {
            let Some(text) = query.optional(name) else { return Ok(None) };
            let number = text.parse().map_err(|_none| {
                Refusal::bad_request(format!("{name} must be a number of bytes"))
            })?;
            Ok(Some(number))
        };
        let size = |name: &str| -> Result<Option<usize>, Refusal> {
            let Some(size) = number(name)? else { return Ok(None) };
            let size = usize::try_from(size).ok().filter(|size| LIMITS.contains(size));
            size.map(Some).ok_or_else(|| {
                let (least, most) = LIMITS.into_inner();
                Refusal::bad_request(format!("{name} must be a number from {least} to {most}"))
            })
        };
        match (number("offset")?, size("tail")?, size("limit")?) {
            (Some(_), Some(_), _) => Err(Refusal::bad_request("give offset or tail, not both")),
            (_, Some(_), Some(_)) => Err(Refusal::bad_request("tail is a limit already")),
            (Some(offset), None, limit) => Ok(Some(Self::From(offset, limit.unwrap_or(USUAL)))),
            (None, Some(last), None) => Ok(Some(Self::Last(last))),
            (None, None, Some(_)) => Err(Refusal::bad_request("limit belongs to an offset")),
            (None, None, None) => Ok(None),
        }
    }
}

/// Answers with a piece of a command's log as it is now. `permit` is a place among those that may read.
pub(super) async fn piece(
    command: &Command,
    wanted: Wanted,
    permit: OwnedSemaphorePermit,
) -> Answer {
    // Asked first: whatever is in the log afterwards is then all of it.
    let is_over = command.is_over();
    let log = Arc::clone(&command.log);
    let piece = read(&log, wanted, is_over).await.map_err(Refusal::internal)?;
    drop(permit);
    json(StatusCode::OK, &piece)
}

async fn read(log: &Log, wanted: Wanted, is_over: bool) -> Result<SessionLogPiece, String> {
    let length = log.length();
    let (offset, limit) = match wanted {
        Wanted::From(offset, limit) => (offset.min(length), limit),
        Wanted::Last(last) => (length.saturating_sub(count(last)), last),
    };
    let reader = log.reader();
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < limit {
        let at = offset.saturating_add(count(bytes.len()));
        let most = limit.saturating_sub(bytes.len()).min(reader.share());
        match log.read(at, most).await? {
            Next::Pieces(pieces) => {
                for piece in pieces {
                    bytes.extend_from_slice(&piece.bytes);
                }
                bytes.truncate(limit);
            }
            Next::Wait | Next::End => break,
        }
    }
    let length = log.length().max(offset.saturating_add(count(bytes.len())));
    let begin = if matches!(wanted, Wanted::Last(_)) && offset > 0 { beginning(&bytes) } else { 0 };
    let rest = bytes.get(begin..).unwrap_or_default();
    let is_end = is_over && offset.saturating_add(count(bytes.len())) >= length;
    let text = if is_end { rest } else { rest.get(..end(rest)).unwrap_or_default() };
    let offset = offset.saturating_add(count(begin));
    Ok(SessionLogPiece {
        output: String::from_utf8_lossy(text).into_owned(),
        offset,
        next_offset: offset.saturating_add(count(text.len())),
        length,
    })
}

/// Where the first whole character begins.
fn beginning(bytes: &[u8]) -> usize {
    match bytes.iter().take(4).take_while(|byte| *byte & 0xC0 == 0x80).count() {
        // No character has so many that do not begin it.
        4 => 0,
        rest => rest,
    }
}

/// Where the last whole character ends: of the rest of it more may come.
fn end(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(4);
    let tail = bytes.get(last..).unwrap_or_default();
    let lead = tail.iter().rposition(|byte| byte & 0xC0 != 0x80);
    let Some(lead) = lead else { return bytes.len() };
    match std::str::from_utf8(tail.get(lead..).unwrap_or_default()) {
        Err(error) if error.error_len().is_none() => last.saturating_add(lead),
        Ok(_) | Err(_) => bytes.len(),
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_of_a_text_end_between_its_characters(text in "\\PC{1,60}", cut in 0_usize..240) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let kept = end(&bytes[..cut]);
            prop_assert!(text.is_char_boundary(kept) && cut - kept < 4, "{kept} of {cut}");
            let begun = cut + beginning(&bytes[cut..]);
            prop_assert!(text.is_char_boundary(begun) && begun - cut < 4, "{begun} of {cut}");
        }

        #[test]
        fn what_is_no_text_loses_no_more_than_a_characters_beginning(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(bytes.len() - end(&bytes) < 4);
        }
    }
}
