//! Dates as they travel: RFC 3339 text.

use pitlane_model::Timestamp;

/// The text of a point in time, in UTC with milliseconds: `2026-08-20T12:00:00.000Z`.
pub(crate) fn text(timestamp: Timestamp) -> String {
    // Points outside of the years -9999 to 9999 have no text; the nearest that has one is as good.
    let point =
        jiff::Timestamp::from_microsecond(timestamp.as_micros()).unwrap_or(jiff::Timestamp::MAX);
    format!("{point:.3}")
}

/// The text of this moment.
pub(crate) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Reads a date with any offset.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|point| Timestamp::from_micros(point.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_in_utc_with_milliseconds() {
        assert_eq!(text(Timestamp::from_micros(1_787_227_200_123_456)), "2026-08-20T12:00:00.123Z");
        assert_eq!(text(Timestamp::from_micros(i64::MAX)), text(Timestamp::from_micros(i64::MAX)));
    }

    #[test]
    fn a_date_is_read_with_any_offset_and_nothing_else_is_a_date() {
        let noon = Some(Timestamp::from_micros(1_787_227_200_000_000));
        for same in
            ["2026-08-20T12:00:00Z", "2026-08-20T14:00:00+02:00", "2026-08-20T12:00:00.000Z"]
        {
            assert_eq!(parse(same), noon, "{same}");
        }
        for other in ["", "now", "2026-08-20", "1787227200", "2026-08-20T12:00:00"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
