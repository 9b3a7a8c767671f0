//! What a request for a new terminal asks, checked.

use std::collections::BTreeMap;

use pitlane_daemon::input::Offer;
use pitlane_wire::toolbox::PtyCreateRequest;

use super::device::Size;
use crate::http::{Query, Refusal};

/// Longer names are no use to anybody.
const MAX_NAME: usize = 255;
/// Names that could not be told from paths.
const RESERVED: [&str; 3] = ["create-connect", ".", ".."];

/// A terminal that somebody wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) size: Size,
    pub(super) cwd: Option<String>,
    pub(super) variables: BTreeMap<String, String>,
    /// Whether its shell waits for the first client.
    pub(super) is_lazy: bool,
}

impl Asked {
    /// How long its variables are together.
    pub(super) fn weight(&self) -> usize {
        self.variables.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum()
    }

    /// As the body of a request says it.
    pub(super) fn of_body(body: PtyCreateRequest) -> Result<Self, Refusal> {
        let PtyCreateRequest { id, cols, rows, cwd, envs, lazy_start } = body;
        Ok(Self {
            id: name(id.as_deref().unwrap_or_default())?,
            size: size(cols, rows)?,
            cwd: cwd.filter(|cwd| !cwd.is_empty()),
            variables: envs.unwrap_or_default(),
            is_lazy: lazy_start.unwrap_or(false),
        })
    }

    /// As the query and the subprotocols of a request for a WebSocket say it.
    pub(super) fn of_query(query: &Query, offer: &Offer) -> Result<Self, Refusal> {
        let number = |name: &str| {
            let number = query.optional(name).map(str::parse);
            number.transpose().map_err(|_no_number| no_size())
        };
        Ok(Self {
            id: name(query.required("id")?)?,
            size: size(number("cols")?, number("rows")?)?,
            cwd: query.optional("cwd").map(str::to_owned),
            variables: offer.variables.clone().unwrap_or_default(),
            is_lazy: false,
        })
    }
}

fn name(name: &str) -> Result<String, Refusal> {
    if name.is_empty() {
        return Err(Refusal::bad_request("id is required"));
    }
    let is_plain = !name.contains('/') && !name.contains(char::is_control);
    if name.len() > MAX_NAME || !is_plain || RESERVED.contains(&name) {
        let message = format!(
            "{name:?} cannot be a terminal's id: it has at most {MAX_NAME} bytes, without slashes or control \
             characters, and is not create-connect"
        );
        return Err(Refusal::bad_request(message));
    }
    Ok(name.to_owned())
}

fn size(columns: Option<u32>, rows: Option<u32>) -> Result<Size, Refusal> {
    let columns = columns.unwrap_or(Size::DEFAULT.columns().into());
    Size::new(columns, rows.unwrap_or(Size::DEFAULT.rows().into())).ok_or_else(no_size)
}

/// What to say of a size that no terminal has.
pub(super) fn no_size() -> Refusal {
    Refusal::bad_request("cols and rows must be whole numbers from 1 to 1000")
}
