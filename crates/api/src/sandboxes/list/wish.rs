//! What the query of a list asks for.

use pitlane_control::{
    Bounds, ListSandboxes, SandboxFilter, SandboxOrder, SortDirection, SortField,
};
use pitlane_model::{Labels, SandboxState, Timestamp};

use crate::convert;
use crate::query::{self, Query};
use crate::refusal::Refusal;

/// Items of a page for which the caller names no number.
const DEFAULT_LIMIT: u32 = 100;

const FIELDS: [(&str, SortField); 6] = [
    ("name", SortField::Name),
    ("cpu", SortField::CpuCount),
    ("memoryGib", SortField::MemoryGib),
    ("diskGib", SortField::DiskGib),
    ("lastActivityAt", SortField::LastActivityAt),
    ("createdAt", SortField::CreatedAt),
];

const DIRECTIONS: [(&str, SortDirection); 2] =
    [("asc", SortDirection::Ascending), ("desc", SortDirection::Descending)];

/// What both lists are asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Which sandboxes; `None` when it is certain that there are none.
    pub(super) filter: Option<SandboxFilter>,
    pub(super) order: SandboxOrder,
    pub(super) limit: u32,
}

impl Wish {
    /// Reads a query. What is wrong is refused, also where the answer would be certain without it.
    ///
    /// # Errors
    ///
    /// 400 names the parameter.
    pub(super) fn of(query: &Query) -> Result<Self, Refusal> {
        let default = SandboxOrder::DEFAULT;
        let order = SandboxOrder {
            field: query.word("sort", &FIELDS)?.unwrap_or(default.field),
            direction: query.word("order", &DIRECTIONS)?.unwrap_or(default.direction),
        };
        let limit = query::limit(query, DEFAULT_LIMIT, ListSandboxes::MAX_LIMIT)?;
        Ok(Self { filter: filter(query)?, order, limit })
    }
}

fn filter(query: &Query) -> Result<Option<SandboxFilter>, Refusal> {
    let states = states(query);
    let is_of_our_kind = is_of_our_kind(query)?;
    // Nothing waits unclaimed among the sandboxes, so there is nothing more to show.
    query.parsed::<bool>("includeWarm")?;
    let texts = |name| query.texts(name).map(str::to_owned).collect();
    let cpu_count = bounds(query, "minCpu", "maxCpu")?;
    let memory_gib = bounds(query, "minMemoryGiB", "maxMemoryGiB")?;
    let disk_gib = bounds(query, "minDiskGiB", "maxDiskGiB")?;
    let rest = SandboxFilter {
        id_prefix: query.text("id").map(str::to_owned),
        name_prefix: query.text("name").map(str::to_owned),
        labels: query.map("labels")?.unwrap_or_else(Labels::new),
        snapshots: texts("snapshots"),
        targets: texts("regionIds"),
        is_public: query.parsed("isPublic")?,
        created_at: dates(query, "createdAtAfter", "createdAtBefore")?,
        last_activity_at: dates(query, "lastEventAfter", "lastEventBefore")?,
        auto_destroy_at: dates(query, "autoDestroyAtAfter", "autoDestroyAtBefore")?,
        is_recoverable: query.parsed("isRecoverable")?,
        shows_failed_deletions: query.parsed("includeErroredDeleted")?.unwrap_or(false),
        ..SandboxFilter::default()
    };
    let (Some(states), true, Some(cpu_count), Some(memory_gib), Some(disk_gib)) =
        (states, is_of_our_kind, cpu_count, memory_gib, disk_gib)
    else {
        return Ok(None);
    };
    Ok(Some(SandboxFilter { states, cpu_count, memory_gib, disk_gib, ..rest }))
}

/// The states asked for, empty for any. `None` if all that is asked for are words such as `snapshotting`: states of the
/// reference that no sandbox is ever in here.
fn states(query: &Query) -> Option<Vec<SandboxState>> {
    let asked: Vec<&str> = query.texts("states").collect();
    let states: Vec<SandboxState> =
        SandboxState::ALL.into_iter().filter(|state| asked.contains(&state.as_str())).collect();
    (asked.is_empty() || !states.is_empty()).then_some(states)
}

/// Whether a sandbox of this server can be meant: none is of another kind than a container or has a graphics card.
fn is_of_our_kind(query: &Query) -> Result<bool, Refusal> {
    let gpus = bounds(query, "minGpu", "maxGpu")?;
    let has_none = gpus.is_some_and(|gpus| gpus.at_least.is_none_or(|least| least == 0));
    let mut classes = query.texts("sandboxClasses").peekable();
    let is_container =
        classes.peek().is_none() || classes.any(|class| class == convert::SANDBOX_CLASS);
    Ok(has_none && is_container)
}

/// Whole numbers between two that need not be whole; `None` if there are none.
fn bounds(query: &Query, least: &str, most: &str) -> Result<Option<Bounds<u32>>, Refusal> {
    let at_least = number(query, least)?.map(|least| whole(least.ceil()));
    let at_most = number(query, most)?;
    let is_empty = at_most.is_some_and(|most| most < 0.0);
    let at_most = at_most.map(|most| whole(most.floor()));
    Ok((!is_empty).then_some(Bounds { at_least, at_most }))
}

fn number(query: &Query, name: &str) -> Result<Option<f64>, Refusal> {
    match query.parsed::<f64>(name)? {
        Some(number) if !number.is_finite() => {
            Err(Refusal::bad_request(format!("query parameter {name} is not valid")))
        }
        number => Ok(number),
    }
}

/// The nearest number that there is.
fn whole(number: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is too large or below zero becomes the last or the first number"
    )]
    let whole = number as u32;
    whole
}

fn dates(query: &Query, least: &str, most: &str) -> Result<Bounds<Timestamp>, Refusal> {
    Ok(Bounds { at_least: query.date(least)?, at_most: query.date(most)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wish(text: &str) -> Result<Wish, Refusal> {
        Wish::of(&Query::parse(text))
    }

    fn filtered(text: &str) -> Option<SandboxFilter> {
        wish(text).unwrap().filter
    }

    #[test]
    fn numbers_need_not_be_whole_and_keep_what_lies_between() {
        let between = |least, most| Bounds { at_least: least, at_most: most };
        for (text, wanted) in [
            ("", between(None, None)),
            ("minCpu=1.2&maxCpu=3.9", between(Some(2), Some(3))),
            ("minCpu=-5&maxCpu=1e30", between(Some(0), Some(u32::MAX))),
        ] {
            assert_eq!(filtered(text).unwrap().cpu_count, wanted, "{text}");
        }
        assert_eq!(filtered("maxCpu=-0.5"), None);
        for text in ["minCpu=", "minGpu=0&maxGpu=0", "maxGpu=7"] {
            assert_eq!(filtered(text), Some(SandboxFilter::default()), "{text}");
        }
        for text in ["minGpu=1", "minGpu=0.1", "maxGpu=-1"] {
            assert_eq!(filtered(text), None, "{text}");
        }
        for text in ["minCpu=x", "minCpu=nan", "maxDiskGiB=inf", "minGpu=1,0", "maxMemoryGiB=0x1"] {
            assert!(wish(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_no_sandbox_can_be_is_answered_without_looking() {
        for text in ["states=paused", "sandboxClasses=windows"] {
            assert_eq!(filtered(text), None, "{text}");
        }
        let both = filtered("sandboxClasses=windows&sandboxClasses=container");
        assert_eq!(both, Some(SandboxFilter::default()));
        let some = filtered("states=paused&states=stopped").unwrap();
        assert_eq!(some.states, [SandboxState::Stopped]);
    }

    #[test]
    fn every_part_of_a_filter_is_read() {
        let text = "id=ab&name=n&labels=%7B%22a%22%3A%22b%22%7D&includeErroredDeleted=true\
            &includeWarm=true&states=started&snapshots=s&snapshots=t&regionIds=r&isPublic=true\
            &createdAtAfter=1970-01-01T00:00:01Z&createdAtBefore=1970-01-01T00:00:02Z\
            &lastEventAfter=1970-01-01T00:00:03Z&lastEventBefore=1970-01-01T00:00:04Z\
            &isRecoverable=false&autoDestroyAtAfter=1970-01-01T00:00:05Z&autoDestroyAtBefore=1970-01-01T00:00:06Z\
            &minCpu=1&maxCpu=2&minMemoryGiB=3&maxMemoryGiB=4&minDiskGiB=5&maxDiskGiB=6\
            &sort=diskGib&order=asc&limit=7";
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let seconds = |least: i64, most: i64| {
            let at = |seconds| Some(Timestamp::from_micros(seconds * 1_000_000));
            Bounds { at_least: at(least), at_most: at(most) }
        };
        let between = |least, most| Bounds { at_least: Some(least), at_most: Some(most) };
        let filter = SandboxFilter {
            id_prefix: Some("ab".to_owned()),
            name_prefix: Some("n".to_owned()),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            states: vec![SandboxState::Started],
            snapshots: texts(&["s", "t"]),
            targets: texts(&["r"]),
            cpu_count: between(1, 2),
            memory_gib: between(3, 4),
            disk_gib: between(5, 6),
            is_public: Some(true),
            created_at: seconds(1, 2),
            last_activity_at: seconds(3, 4),
            auto_destroy_at: seconds(5, 6),
            is_recoverable: Some(false),
            shows_failed_deletions: true,
        };
        let order = SandboxOrder { field: SortField::DiskGib, direction: SortDirection::Ascending };
        assert_eq!(wish(text).unwrap(), Wish { filter: Some(filter), order, limit: 7 });
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(text in "[ -~é]{0,60}") {
            // Not to panic is all that is asked.
            drop(wish(&text));
        }

        #[test]
        fn any_value_of_a_parameter_is_read_or_refused(
            name in prop::sample::select(vec![
                "limit", "labels", "minCpu", "maxCpu", "createdAtAfter", "states", "id", "sort",
            ]),
            value in any::<String>(),
        ) {
            let text: String = form_urlencoded::Serializer::new(String::new())
                .append_pair(name, &value)
                .finish();
            drop(wish(&text));
        }
    }
}
