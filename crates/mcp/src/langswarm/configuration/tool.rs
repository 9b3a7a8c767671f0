//! One tool of the list.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use pitlane_tools::{Permission, Settings};

use super::fields::{Fields, Reader, meant};
use super::yaml::Node;

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub id: String,
    /// What it is for, for people and models.
    pub description: Option<String>,
    /// The operations that may be called; all if empty.
    pub methods: Vec<String>,
    /// How it behaves.
    pub settings: Settings,
    /// Whom it speaks to.
    pub backend: Backend,
}

/// Whom a tool speaks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// The API of a server: Pitlane's, or Daytona's cloud.
    Sandboxes(Sandboxes),
    /// A server that has the tools itself.
    Remote(RemoteServer),
}

/// A server's API. What is absent is found as for every command of `pitlane`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sandboxes {
    /// The address, such as `http://127.0.0.1:3986/api`.
    pub api_url: Option<String>,
    /// The key.
    pub api_key: Option<String>,
}

/// A server that speaks MCP, or JSON-RPC as LangSwarm does.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteServer {
    /// Where calls are sent.
    pub url: String,
    /// What every request brings along; keys among it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// How agents call a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    /// By sentences.
    Intent,
    /// By methods and parameters.
    Direct,
    /// By both.
    Hybrid,
}

/// The types, as LangSwarm's loader and its documents spell them.
const TYPES: [&str; 3] = ["daytona_environment", "remote_mcp", "mcpremote"];
/// Languages that sandboxes are made for.
const LANGUAGES: [&str; 3] = ["python", "javascript", "typescript"];
/// The longest that a call may take, in seconds.
const MAX_TIMEOUT: u32 = 86_400;
/// What is for LangSwarm alone.
const OF_LANGSWARM: [&str; 6] =
    ["auto_initialize", "brief", "enabled", "gateway", "instruction", "name"];

/// Reads a tool. Its faults are with the reader; without it being whole there is none.
pub(super) fn read(reader: &Reader<'_>, node: &Node, key: String) -> Option<Tool> {
    let mut fields = Fields::of(reader, node, key)?;
    for name in OF_LANGSWARM {
        fields.pass_over(name);
    }
    let id = fields.text("id");
    match &id {
        Some(id) if !is_id(id) => fields.fault("id", "is not made of letters, digits, '_' and '-'"),
        None if !fields.has("id") => fields.fault("id", "is missing"),
        Some(_) | None => {}
    }
    let kind = fields.text("type");
    let description = fields.text("description");
    of_agents(&mut fields);
    let operations: Vec<&str> =
        pitlane_tools::operations().iter().map(|operation| operation.name).collect();
    let methods = fields.words("methods", &operations).unwrap_or_default();
    let mut settings = Settings::default();
    if let Some(permission) = fields.parsed::<Permission>("permission") {
        settings.permission = permission;
    }
    let backend = match kind.as_deref() {
        Some("daytona_environment") => {
            sandboxes(&mut fields, &mut settings).map(Backend::Sandboxes)
        }
        Some("remote_mcp" | "mcpremote") => remote(&mut fields, &mut settings).map(Backend::Remote),
        Some(other) => {
            let (written, meant) = (fields.written("type"), meant(other, &TYPES));
            let why = format!("'{written}' is unknown{meant}; there are {}", TYPES.join(", "));
            fields.fault("type", &why);
            // Without it nobody knows which other keys there may be.
            return None;
        }
        None => {
            fields.fault("type", &format!("is missing: one of {}", TYPES.join(", ")));
            return None;
        }
    };
    fields.finish();
    let (id, backend) = (id?, backend?);
    Some(Tool { id, description, methods, settings, backend })
}

/// What LangSwarm decides by, and changes nothing about tools that are a process of their own.
fn of_agents(fields: &mut Fields<'_>) {
    if fields.is("local_mode") == Some(true) {
        let why = "has no effect: these tools run in this process, and not in LangSwarm's";
        fields.note("local_mode", why);
    }
    match fields.parsed("pattern") {
        Some(Pattern::Intent | Pattern::Hybrid) => {
            let why = "has no effect: calls are understood as a method with parameters, not as a sentence";
            fields.note("pattern", why);
        }
        Some(Pattern::Direct) | None => {}
    }
    if fields.text("main_workflow").is_some() {
        fields.note("main_workflow", "has no effect: workflows are run by LangSwarm, not here");
    }
}

/// What stands at the tool itself in some files and under `config` in others.
fn sandboxes(fields: &mut Fields<'_>, settings: &mut Settings) -> Option<Sandboxes> {
    let mut sandboxes = Sandboxes::default();
    read_sandboxes(fields, settings, &mut sandboxes);
    if let Some(mut inner) = fields.fields("config") {
        read_sandboxes(&mut inner, settings, &mut sandboxes);
        inner.finish();
    }
    Some(sandboxes)
}

fn read_sandboxes(fields: &mut Fields<'_>, settings: &mut Settings, sandboxes: &mut Sandboxes) {
    if let Some(key) = fields.text("api_key") {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            fields.fault("api_key", "is empty or has characters that no key has");
        }
        sandboxes.api_key = Some(key);
    }
    if let Some(url) = url(fields, "api_url") {
        sandboxes.api_url = Some(url);
    }
    if let Some(language) = fields.text("default_language") {
        if !LANGUAGES.contains(&language.as_str()) {
            let written = fields.written("default_language");
            let why = format!("'{written}' is not one of {}", LANGUAGES.join(", "));
            fields.fault("default_language", &why);
        }
        settings.default_language = language;
    }
    if let Some(is_persistent) = fields.is("default_persistent") {
        settings.default_persistent = is_persistent;
    }
    patience(fields, settings);
}

fn patience(fields: &mut Fields<'_>, settings: &mut Settings) {
    if let Some(seconds) = fields.number("timeout", 1, MAX_TIMEOUT) {
        settings.timeout = Duration::from_secs(seconds.into());
    }
    if let Some(count) = fields.number("retry_count", 0, 10) {
        settings.retry_count = count;
    }
}

fn remote(fields: &mut Fields<'_>, settings: &mut Settings) -> Option<RemoteServer> {
    patience(fields, settings);
    let (one, other) = (url(fields, "url"), url(fields, "mcp_url"));
    match (fields.has("url"), fields.has("mcp_url")) {
        (true, true) => fields.fault("mcp_url", "is the same as 'url': give one of them"),
        (false, false) => fields.fault("url", "is missing: the server's address"),
        (true, false) | (false, true) => {}
    }
    let mut headers = Vec::new();
    for (name, value) in fields.pairs("headers") {
        headers.extend(header(fields, "headers", &name, &value));
    }
    if let Some(mut auth) = fields.fields("auth") {
        headers.extend(authentication(&mut auth));
        auth.finish();
    }
    Some(RemoteServer { url: one.or(other)?, headers })
}

/// `auth: {type: api_key, header?, key}` or `{type: bearer, key | token}`.
fn authentication(auth: &mut Fields<'_>) -> Option<(HeaderName, HeaderValue)> {
    let kind = auth.text("type");
    let name = auth.text("header");
    let key = auth.text("key").or_else(|| auth.text("token"));
    auth.pass_over("token");
    let kind = match kind.as_deref() {
        Some(kind @ ("api_key" | "bearer")) => kind,
        Some(_) => {
            let written = auth.written("type");
            auth.fault("type", &format!("'{written}' is not one of api_key, bearer"));
            return None;
        }
        None => {
            auth.fault("type", "is missing: api_key or bearer");
            return None;
        }
    };
    let Some(key) = key else {
        if !auth.has("key") && !auth.has("token") {
            auth.fault("key", "is missing");
        }
        return None;
    };
    match kind {
        "bearer" => header(auth, "key", "authorization", &format!("Bearer {key}")),
        _ => header(auth, "key", name.as_deref().unwrap_or("x-api-key"), &key),
    }
}

/// A header; its value is not to be shown.
fn header(
    fields: &Fields<'_>,
    field: &str,
    name: &str,
    value: &str,
) -> Option<(HeaderName, HeaderValue)> {
    let (Ok(known), Ok(mut value)) =
        (HeaderName::from_str(name), HeaderValue::from_str(value.trim()))
    else {
        fields.fault(field, &format!("'{name}' or its value cannot be sent as a header"));
        return None;
    };
    value.set_sensitive(true);
    Some((known, value))
}

fn url(fields: &mut Fields<'_>, name: &'static str) -> Option<String> {
    let text = fields.text(name)?;
    let text = text.trim().trim_end_matches('/');
    let is_usable = text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            // A key in an address ends up in logs.
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if !is_usable {
        fields.fault(name, "is not an http:// or https:// address without a user or password");
        return None;
    }
    Some(text.to_owned())
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "intent" => Ok(Self::Intent),
            "direct" => Ok(Self::Direct),
            "hybrid" => Ok(Self::Hybrid),
            other => Err(format!("'{other}' is not one of intent, direct and hybrid")),
        }
    }
}

impl fmt::Debug for Sandboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.api_key.as_ref().map(|_| "…");
        f.debug_struct("Sandboxes").field("api_url", &self.api_url).field("api_key", &key).finish()
    }
}

impl fmt::Debug for RemoteServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&HeaderName> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("RemoteServer").field("url", &self.url).field("headers", &names).finish()
    }
}
