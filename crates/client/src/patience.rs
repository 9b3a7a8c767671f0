//! Whether to ask again, and when.
//!
//! A request that certainly had no effect, or whose effect is none, may be sent again: one that the server turned away
//! for now (429 or 503 with a time to wait), and one that only reads and whose connection broke or whose answer came
//! from something between. All others may have had their effect and fail at once.

use std::time::Duration;

use http::Method;

use crate::RequestError;

/// How often one request is sent at most, unless a client is told otherwise.
pub(crate) const ATTEMPTS: u32 = 4;

/// How long one wait may be; a server that wants more is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The first wait of a request that only reads; each later one is three times as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// How often a request was tried, and what it may do.
#[derive(Debug)]
pub(crate) struct Patience {
    only_reads: bool,
    attempts_left: u32,
    wait: Duration,
}

impl Patience {
    pub(crate) fn new(method: &Method, attempts: u32) -> Self {
        Self { only_reads: method.is_safe(), attempts_left: attempts, wait: FIRST_WAIT }
    }

    /// How long to wait before asking again; `None` if the failure is final.
    pub(crate) fn wait_after(&mut self, failure: &RequestError) -> Option<Duration> {
        self.attempts_left = self.attempts_left.saturating_sub(1);
        if self.attempts_left == 0 {
            return None;
        }
        match failure {
            RequestError::Refused { status: 429 | 503, retry_after: Some(wait), .. } => {
                (*wait <= LONGEST_WAIT).then_some(*wait)
            }
            RequestError::Broken { .. }
            | RequestError::Refused { status: 502..=504, code: None, .. }
                if self.only_reads =>
            {
                let wait = self.wait;
                self.wait *= 3;
                Some(wait)
            }
            RequestError::Refused { .. }
            | RequestError::Broken { .. }
            | RequestError::Unreachable { .. }
            | RequestError::Late { .. }
            | RequestError::Unreadable { .. }
            | RequestError::Unencrypted { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: Option<&str>, seconds: Option<u64>) -> RequestError {
        RequestError::Refused {
            status,
            code: code.map(str::to_owned),
            message: "no".into(),
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    fn broken() -> RequestError {
        RequestError::Broken { url: "u".into(), cause: "c".into() }
    }

    fn first_wait(method: &Method, failure: &RequestError) -> Option<Duration> {
        Patience::new(method, ATTEMPTS).wait_after(failure)
    }

    #[test]
    fn what_only_reads_is_asked_again_a_few_times() {
        let mut patience = Patience::new(&Method::GET, ATTEMPTS);
        let waits: Vec<_> = (0..5).map(|_| patience.wait_after(&broken())).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(waits, [ms(50), ms(150), ms(450), None, None]);
    }

    #[test]
    fn a_client_may_be_told_to_ask_but_once() {
        assert_eq!(Patience::new(&Method::GET, 1).wait_after(&broken()), None);
        assert_eq!(Patience::new(&Method::GET, 0).wait_after(&broken()), None);
    }

    #[test]
    fn what_may_have_had_its_effect_is_not_asked_again() {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(first_wait(&method, &broken()), None);
            assert_eq!(first_wait(&method, &refused(502, None, None)), None);
        }
        assert_eq!(first_wait(&Method::GET, &refused(500, None, None)), None);
        assert_eq!(first_wait(&Method::GET, &refused(503, Some("SANDBOX"), None)), None);
    }

    #[test]
    fn whoever_was_turned_away_comes_back_when_told_unless_that_is_late() {
        for method in [Method::POST, Method::GET] {
            let wait = first_wait(&method, &refused(429, Some("RATE_LIMIT"), Some(2)));
            assert_eq!(wait, Some(Duration::from_secs(2)));
            assert_eq!(first_wait(&method, &refused(503, None, Some(60))), None);
        }
    }
}
