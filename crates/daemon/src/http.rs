//! HTTP as the toolbox speaks it: bodies, refusals, queries and the table of routes.

mod answer;
mod body;
mod query;
mod refusal;
mod router;
pub(crate) mod websocket;

pub(crate) use answer::{Answer, empty, json, read_json, read_json_within, with_body};
pub(crate) use body::{Body, Pipe, pieces, pipe};
pub(crate) use query::Query;
pub(crate) use refusal::Refusal;
pub(crate) use router::{answer, unknown};
