//! What was measured of one thing, and what it says.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Times of one thing, in microseconds, in the order in which they were taken. None is ever left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Samples(Vec<u64>);

/// A time as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Milliseconds(pub(crate) f64);

impl Samples {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Takes those that came after these.
    pub(crate) fn append(&mut self, mut later: Self) {
        self.0.append(&mut later.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that half of the samples are not above; none without samples.
    pub(crate) fn median(&self) -> Option<Milliseconds> {
        self.quantile(50)
    }

    /// The time that 99 of 100 samples are not above: the longest one when there are fewer than 100.
    pub(crate) fn p99(&self) -> Option<Milliseconds> {
        self.quantile(99)
    }

    pub(crate) fn min(&self) -> Option<Milliseconds> {
        self.quantile(0)
    }

    /// The smallest sample that `percent` of all samples are not above.
    fn quantile(&self, percent: usize) -> Option<Milliseconds> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        let microseconds = *sorted.get(rank - 1)?;
        Some(Milliseconds(Duration::from_micros(microseconds).as_secs_f64() * 1000.0))
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Self {
        let mut samples = Self::default();
        times.into_iter().for_each(|time| samples.push(time));
        samples
    }
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.2}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Samples {
        milliseconds.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn half_of_the_samples_are_not_above_the_median() {
        assert_eq!(of([3, 1, 2]).median(), Some(Milliseconds(2.0)));
        assert_eq!(of([4, 1, 3, 2]).median(), Some(Milliseconds(2.0)));
    }

    #[test]
    fn p99_is_the_longest_of_a_few_and_the_second_longest_of_two_hundred() {
        assert_eq!(of(1..=50).p99(), Some(Milliseconds(50.0)));
        assert_eq!(of(1..=100).p99(), Some(Milliseconds(99.0)));
        assert_eq!(of(1..=200).p99(), Some(Milliseconds(198.0)));
    }

    #[test]
    fn nothing_measured_has_no_median() {
        assert_eq!(Samples::default().median(), None);
    }
}
