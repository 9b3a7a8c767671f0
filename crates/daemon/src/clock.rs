//! Dates as clients read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    seconds: i64,
    nanoseconds: u32,
}

impl Moment {
    /// This moment.
    #[expect(
        clippy::disallowed_methods,
        reason = "the rim of this program: time enters here and nowhere else"
    )]
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        }
    }

    /// A moment as file systems keep it.
    pub(crate) const fn new(seconds: i64, nanoseconds: u32) -> Self {
        Self { seconds, nanoseconds }
    }

    /// Whole seconds since 1970.
    pub(crate) const fn seconds(self) -> i64 {
        self.seconds
    }

    /// RFC 3339 with milliseconds: `2026-08-20T12:00:00.000Z`.
    pub(crate) fn rfc3339(self) -> String {
        let Civil { year, month, day, hour, minute, second } = self.civil();
        let milliseconds = self.nanoseconds / 1_000_000;
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z"
        )
    }

    /// The layout that the deprecated field `modTime` has: `2026-08-20 12:00:00.5 +0000 UTC`.
    pub(crate) fn go_text(self) -> String {
        let Civil { year, month, day, hour, minute, second } = self.civil();
        let fraction = match self.nanoseconds {
            0 => String::new(),
            nanoseconds => format!(".{nanoseconds:09}").trim_end_matches('0').to_owned(),
        };
        format!(
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction} +0000 UTC"
        )
    }

    /// Howard Hinnant's algorithm: years begin in March, so that the leap day is the last of its year.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "no step can overflow for days of an i64 of seconds"
    )]
    const fn civil(self) -> Civil {
        let days = self.seconds.div_euclid(86_400);
        let of_day = self.seconds.rem_euclid(86_400);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Civil {
            year: year_of_era + era * 400 + if month <= 2 { 1 } else { 0 },
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
        }
    }
}

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn dates_are_right_around_leap_days_and_before_1970() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1_787_227_200, "2026-08-20T12:00:00.000Z"),
        ] {
            assert_eq!(Moment::new(seconds, 0).rfc3339(), wanted);
        }
    }

    #[test]
    fn the_old_layout_shows_a_fraction_only_where_there_is_one() {
        assert_eq!(Moment::new(0, 0).go_text(), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(Moment::new(0, 120_000_000).go_text(), "1970-01-01 00:00:00.12 +0000 UTC");
    }
}
