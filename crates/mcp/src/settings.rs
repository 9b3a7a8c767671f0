//! What the operator decides about this rim.

use pitlane_tools::Toolset;

/// How the rim behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Which tools there are.
    pub toolset: Toolset,
    /// Those of them that may be called; all if empty.
    pub methods: Vec<String>,
    /// This program's version, as clients are told it.
    pub version: String,
    /// Where callers get tokens, if they do: an OAuth issuer's address.
    pub issuer: Option<String>,
    /// The address under which clients reach this server, for what names it; their own `Host` header if `None`.
    pub public_url: Option<String>,
    /// Names under which this server may be reached beside `localhost` and IP addresses.
    pub hosts: Vec<String>,
    /// Web origins whose pages may call, beside those on this machine, such as `https://app.example.org`.
    pub origins: Vec<String>,
    /// How many calls may be under way at the same time; any number if `None`. For a server whose calls come back to its
    /// own door, and must find a place there.
    pub max_calls: Option<usize>,
    /// Whether the official conformance suite's fixtures are there as well.
    pub conformance: bool,
}
