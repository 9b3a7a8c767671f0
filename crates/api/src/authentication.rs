//! Who is asking, and whether they may.

mod permissions;
mod validity;

use axum::extract::{FromRequestParts, MatchedPath};
use http::header::{AUTHORIZATION, HeaderMap};
use http::request::Parts;
use pitlane_control::Principal;
use pitlane_model::OrganizationId;

use crate::refusal::Refusal;
use crate::request::Notes;
use crate::state::State;

pub(crate) use self::permissions::EVENTS;
pub(crate) use self::validity::Validity;

/// For whom an operator acts. Of other keys it is ignored, as the reference does: a key has one organization.
const ORGANIZATION: &str = "x-daytona-organization-id";

/// The caller, as its bearer key proves it, who may do what the route is for.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Principal);

impl Caller {
    pub(crate) const fn principal(&self) -> &Principal {
        &self.0
    }

    pub(crate) const fn organization(&self) -> OrganizationId {
        self.0.organization
    }

    /// How long the caller's key works.
    pub(crate) fn validity(&self, state: &State) -> Validity {
        Validity::new(state.control().keys().validity(&self.0))
    }
}

impl FromRequestParts<State> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refusal> {
        let KeyHolder(principal) = KeyHolder::of(&parts.headers, state)?;
        Notes::asked_by(parts, principal.organization);
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        permissions::check(&principal, &parts.method, route)?;
        let caller = Self(principal);
        // A body can be long in coming, and the key end before it has.
        parts.extensions.insert(caller.validity(state));
        Ok(caller)
    }
}

/// Whoever has a valid key, whatever it is for: to be counted, and to be told what there is not.
#[derive(Debug)]
pub(crate) struct KeyHolder(Principal);

impl KeyHolder {
    pub(crate) const fn principal(&self) -> &Principal {
        &self.0
    }

    pub(crate) const fn organization(&self) -> OrganizationId {
        self.0.organization
    }

    fn of(headers: &HeaderMap, state: &State) -> Result<Self, Refusal> {
        let Some(token) = bearer(headers) else {
            return Err(Refusal::unauthorized("an API key is required: Authorization: Bearer KEY"));
        };
        Ok(Self(state.control().keys().authenticate(token)?))
    }
}

impl FromRequestParts<State> for KeyHolder {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refusal> {
        let holder = Self::of(&parts.headers, state)?;
        Notes::asked_by(parts, holder.organization());
        Ok(holder)
    }
}

/// A caller who manages keys: its own organization's, or as an operator those of the one that a header names.
#[derive(Debug)]
pub(crate) struct KeyKeeper(Principal);

impl KeyKeeper {
    pub(crate) const fn principal(&self) -> &Principal {
        &self.0
    }
}

impl FromRequestParts<State> for KeyKeeper {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refusal> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        let Some(named) = parts.headers.get(ORGANIZATION) else { return Ok(Self(principal)) };
        if !principal.may(pitlane_model::Permission::ManageOrganizations) {
            return Ok(Self(principal));
        }
        let id = String::from_utf8_lossy(named.as_bytes());
        Ok(Self(state.control().organizations().act_for(&principal, id.trim())?))
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
