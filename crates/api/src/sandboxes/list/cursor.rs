//! Cursors as they travel: where a list goes on, with a check that it is the same list.
//!
//! The check is over the caller's organization, the filter, the order and the place. It is no secret: whoever reads
//! this can make a cursor for any place of a list that is its own. It shows mistakes: a cursor that was cut, changed,
//! or taken to another list is refused instead of leading somewhere.

use pitlane_control::Cursor;
use pitlane_model::OrganizationId;
use sha2::{Digest as _, Sha256};

use crate::query::Query;
use crate::refusal::Refusal;

/// Parameters that may differ from page to page.
const FREE: [&str; 2] = ["cursor", "limit"];

/// How many bytes of the hash travel.
const CHECK_BYTES: usize = 8;

/// The text of a cursor for the list that `query` asks for.
pub(super) fn seal(organization: OrganizationId, query: &Query, cursor: &Cursor) -> String {
    let place = cursor.to_string();
    let check = check(organization, query, &place);
    format!("{place}_{check}")
}

/// Reads back what [`seal`] gave.
///
/// # Errors
///
/// 400: begin anew.
pub(super) fn open(
    organization: OrganizationId,
    query: &Query,
    text: &str,
) -> Result<Cursor, Refusal> {
    let refused = || Refusal::bad_request("cursor is not one of this list: begin without a cursor");
    let (place, found) = text.rsplit_once('_').ok_or_else(refused)?;
    if found != check(organization, query, place) {
        return Err(refused());
    }
    place.parse().ok().ok_or_else(refused)
}

fn check(organization: OrganizationId, query: &Query, place: &str) -> String {
    let mut pairs: Vec<_> = query.pairs().filter(|(name, _)| !FREE.contains(name)).collect();
    pairs.sort_unstable();
    let mut hash = Sha256::new();
    hash.update(organization.to_bytes());
    for text in pairs.into_iter().flat_map(|(name, value)| [name, value]).chain([place]) {
        // The length in front keeps two texts from reading as two others.
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(CHECK_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWNER: OrganizationId = OrganizationId::from_random([1; 16]);
    const PLACES: [&str; 3] = [
        "ld_1787227200000000_07070707-0707-4707-8707-070707070707",
        "na_x6e61c3af7665_07070707-0707-4707-8707-070707070707",
        "ca_-5_07070707-0707-4707-8707-070707070707",
    ];

    fn opened(query: &str, text: &str) -> Option<Cursor> {
        open(OWNER, &Query::parse(query), text).ok()
    }

    #[test]
    fn a_cursor_leads_on_in_its_own_list_alone() {
        for place in PLACES {
            let cursor: Cursor = place.parse().unwrap();
            let query = Query::parse("states=a&states=b&sort=name&limit=2");
            let text = seal(OWNER, &query, &cursor);
            for same in ["sort=name&states=a&states=b", "states=b&states=a&sort=name&limit=9&id="] {
                assert_eq!(opened(same, &text), Some(cursor.clone()), "{same}");
            }
            for other in ["", "states=a&sort=name", "states=a&states=b&sort=cpu", "states=ab"] {
                assert_eq!(opened(other, &text), None, "{other}");
            }
            let other = OrganizationId::from_random([2; 16]);
            assert!(open(other, &query, &text).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_changed_cursor_leads_nowhere(
            place in prop::sample::select(PLACES.to_vec()),
            position in any::<prop::sample::Index>(),
            instead in prop::option::of(any::<char>()),
        ) {
            let text = seal(OWNER, &Query::parse(""), &place.parse().unwrap());
            let at = position.index(text.len());
            let mut changed = text[..at].to_owned();
            changed.extend(instead);
            changed.push_str(&text[at + 1..]);
            prop_assert_eq!(opened("", &changed).is_some(), changed == text);
            prop_assert_eq!(opened("", &text[..at]), None);
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            prop_assert_eq!(opened("", &text), None);
        }
    }
}
