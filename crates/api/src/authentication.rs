//! Who is asking.

use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use pitlane_control::Principal;
use pitlane_model::OrganizationId;

use crate::refusal::Refusal;
use crate::state::State;

/// The caller, as its bearer key proves it.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Principal);

impl Caller {
    pub(crate) const fn principal(&self) -> &Principal {
        &self.0
    }

    pub(crate) const fn organization(&self) -> OrganizationId {
        self.0.organization
    }
}

impl FromRequestParts<State> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refusal> {
        let Some(token) = bearer(&parts.headers) else {
            return Err(Refusal::unauthorized("an API key is required: Authorization: Bearer KEY"));
        };
        Ok(Self(state.control().keys().authenticate(token)?))
    }
}

/// The one bearer token of a request. Two different ones are none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (first, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_found_and_nothing_else_is_taken_for_one() {
        for (values, wanted) in [
            (&["Bearer abc"][..], Some("abc")),
            (&["bearer  abc "], Some("abc")),
            (&["Bearer "], None),
            (&["Bearer"], None),
            (&["Basic abc"], None),
            (&["abc"], None),
            (&[], None),
            (&["Bearer a", "Bearer b"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(bearer(&headers), wanted, "{values:?}");
        }
    }
}
