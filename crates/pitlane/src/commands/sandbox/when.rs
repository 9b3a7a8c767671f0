//! Times as people say and read them.

use jiff::Timestamp;
use pitlane_wire::control::SandboxCore;

/// A duration in whole minutes: `45` or `45m`, `2h`, `1d`; `never` is 0.
pub(super) fn minutes(text: &str) -> Result<i64, String> {
    if text == "never" {
        return Ok(0);
    }
    let (number, unit) = match text.char_indices().next_back() {
        Some((end, 'm')) => (&text[..end], 1),
        Some((end, 'h')) => (&text[..end], 60),
        Some((end, 'd')) => (&text[..end], 24 * 60),
        Some(_) | None => (text, 1),
    };
    let number: Option<i64> = number.parse().ok().filter(|number| *number >= 0);
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|minutes| i32::try_from(*minutes).is_ok())
        .ok_or_else(|| "a time is a number of minutes, or such as 30m, 2h, 1d or never".to_owned())
}

/// The same for what happens after a stop, where 0 is at once and `never` is -1.
pub(super) fn after_stop(text: &str) -> Result<i64, String> {
    match text {
        "never" | "-1" => Ok(-1),
        text => minutes(text),
    }
}

/// How long something takes, roughly: its largest unit, and the next one while there are few of it.
pub(in crate::commands) fn roughly(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |first: String, second: i64, unit: char| match second {
        0 => first,
        second => format!("{first} {second}{unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, 1..10) => two(format!("{minutes}m"), seconds % 60, 's'),
        (0, 0, _) => format!("{minutes}m"),
        (0, 1..10, _) => two(format!("{hours}h"), minutes % 60, 'm'),
        (0, ..) => format!("{hours}h"),
        (1..10, ..) => two(format!("{days}d"), hours % 24, 'h'),
        _ => format!("{days}d"),
    }
}

/// A time of the past as a person reads it; as it is if it cannot be understood.
pub(in crate::commands) fn ago(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => {
            let seconds = now.as_second() - time.as_second();
            // After a minute nobody counts seconds.
            let seconds = if seconds < 60 { seconds } else { seconds - seconds % 60 };
            format!("{} ago", roughly(seconds))
        }
        Err(_) => time.to_owned(),
    }
}

/// What happens to a sandbox by itself, and when, unless it is used before: `stops in 12m`. Only what the server tells:
/// it alone knows whether a sandbox is in use.
pub(super) fn next(sandbox: &SandboxCore, now: Timestamp) -> Option<String> {
    if sandbox.state.as_deref() == Some("destroying") {
        return None;
    }
    let coming = [
        ("stops", &sandbox.auto_stop_at),
        ("archived", &sandbox.auto_archive_at),
        ("deleted", &sandbox.auto_delete_at),
        ("deleted", &sandbox.auto_destroy_at),
    ];
    let times = coming.into_iter().filter_map(|(what, time)| {
        let time: Timestamp = time.as_deref()?.parse().ok()?;
        Some((time, what))
    });
    let (time, what) = times.min()?;
    Some(format!("{what} in {}", roughly(time.as_second() - now.as_second())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_minutes_unless_they_have_a_unit() {
        let cases = [("0", 0), ("45", 45), ("45m", 45), ("2h", 120), ("1d", 1440), ("never", 0)];
        for (text, wanted) in cases {
            assert_eq!(minutes(text), Ok(wanted), "{text}");
        }
        for text in ["", "m", "-1", "1.5h", "2w", "9999999999999999d", "ä", "1ä", "3000000000"] {
            assert!(minutes(text).is_err(), "{text}");
        }
        assert_eq!(
            [after_stop("never"), after_stop("0"), after_stop("1h")].map(Result::unwrap),
            [-1, 0, 60]
        );
    }

    #[test]
    fn durations_are_told_roughly() {
        let cases = [
            (-5, "0s"),
            (59, "59s"),
            (61, "1m 1s"),
            (120, "2m"),
            (7200, "2h"),
            (600, "10m"),
            (3660, "1h 1m"),
            (36_000, "10h"),
            (90_000, "1d 1h"),
            (864_000, "10d"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(roughly(seconds), wanted);
        }
    }
}
