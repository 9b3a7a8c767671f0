//! HTTP as the toolbox speaks it: bodies, refusals, queries and the table of routes.

mod answer;
mod body;
mod intake;
mod query;
mod refusal;
mod router;
pub(crate) mod websocket;

pub(crate) use answer::{
    Answer, empty, json, read_json, read_json_held, read_json_within, with_body,
};
pub(crate) use body::{Body, Pipe, pieces, pipe};
pub(crate) use intake::{Held, INTAKE, Intake, TooMuch};
pub(crate) use query::Query;
pub(crate) use refusal::Refusal;
pub(crate) use router::{answer, unknown};
