//! How much of the server one caller may take: requests and streams that are open at the same time.
//!
//! Without it one key could hold every connection that there is. Callers that share a key by the operator's will share no
//! bound but the server's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::Response;
use http_body_util::BodyExt as _;

use crate::caller::Caller;

/// The most requests of one caller that are being answered, streams that stay open among them.
pub(crate) const MOST_OF_ONE: usize = 128;

/// Who takes how much.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<Caller, usize>>>);

/// One caller's place, while it is held.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    caller: Caller,
}

impl Places {
    /// A place for one more request; `None` if the caller has too many.
    pub(crate) fn take(&self, caller: Caller) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(caller).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), caller })
    }
}

/// Has something held until an answer is sent, or its client gone.
pub(crate) fn hold_for<T: Send + 'static>(held: T, response: Response) -> Response {
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &held;
            frame
        }))
    })
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.caller) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_takes_so_much_and_none_of_anothers() {
        let (places, one) = (Places::default(), Caller::with("one"));
        let mut held: Vec<_> = (0..MOST_OF_ONE).map(|_| places.take(one).unwrap()).collect();
        assert!(places.take(one).is_none());
        assert!(places.take(Caller::with("other")).is_some());
        let streamed = hold_for(held.pop().unwrap(), Response::new(Body::from("x")));
        assert!(places.take(one).is_none());
        drop(streamed);
        assert!(places.take(one).is_some());
        held.clear();
        assert!(places.0.lock().unwrap().is_empty());
    }
}
