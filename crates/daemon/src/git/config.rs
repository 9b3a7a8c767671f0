//! Settings of git, and credentials that stay.

use http::StatusCode;
use pitlane_wire::toolbox::{
    GitAuthenticateRequest, GitConfigResponse, GitConfigureUserRequest, GitSetConfigRequest,
};

use super::command::Command;
use super::credentials::check;
use super::repository::{Repository, Work};
use crate::http::{Answer, Query, Refusal, empty, json};

/// Where settings are kept.
struct Scope<'a> {
    flag: &'static str,
    repository: Repository<'a>,
}

/// `GET /git/config`
pub(super) async fn get(work: Work<'_>, query: &Query) -> Answer {
    let key = checked_key(query.required("key")?)?;
    let scope = scope(work, query.optional("scope"), query.optional("path")).await?;
    let command = Command::looking(["config", scope.flag, "--null", "--get", "--"]).argument(key);
    let output = scope.repository.try_run(command).await?;
    // One that is nowhere fails with 1.
    if !matches!(output.exit_code, 0 | 1) {
        return Err(scope.repository.refusal(&output, ""));
    }
    json(StatusCode::OK, &GitConfigResponse { value: output.value() })
}

/// `POST /git/config`
pub(super) async fn set(work: Work<'_>, asked: GitSetConfigRequest) -> Answer {
    let scope = scope(work, asked.scope.as_deref(), asked.path.as_deref()).await?;
    scope.set(checked_key(&asked.key)?, &asked.value).await?;
    empty(StatusCode::OK)
}

/// `POST /git/config/user`
pub(super) async fn set_user(work: Work<'_>, asked: GitConfigureUserRequest) -> Answer {
    for (field, value) in [("name", &asked.name), ("email", &asked.email)] {
        if value.trim().is_empty() {
            return Err(Refusal::bad_request(format!("{field} is required")));
        }
        check(field, value)?;
    }
    let scope = scope(work, asked.scope.as_deref(), asked.path.as_deref()).await?;
    scope.set("user.name", &asked.name).await?;
    scope.set("user.email", &asked.email).await?;
    empty(StatusCode::OK)
}

/// `POST /git/credentials`: what the caller asks for is a file in plain text, which only its user may read.
pub(super) async fn authenticate(work: Work<'_>, asked: GitAuthenticateRequest) -> Answer {
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    let host = given(asked.host).unwrap_or_else(|| String::from("github.com"));
    let protocol = given(asked.protocol).unwrap_or_else(|| String::from("https"));
    if host.contains(['/', '@', '?', '#']) || host.contains(char::is_whitespace) {
        return Err(Refusal::bad_request("host is not the name of a server"));
    }
    if !protocol.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Refusal::bad_request("protocol is not one of git's"));
    }
    let fields = [
        ("protocol", &protocol),
        ("host", &host),
        ("username", &asked.username),
        ("password", &asked.password),
    ];
    let mut input = String::new();
    for (field, value) in fields {
        if value.is_empty() {
            return Err(Refusal::bad_request(format!("{field} is required")));
        }
        check(field, value)?;
        input.push_str(&format!("{field}={value}\n"));
    }
    let global = work.nowhere();
    let command = Command::new(["credential-store", "store"]).reading(input);
    let output = global.try_run(command).await?;
    if output.exit_code != 0 {
        return Err(global.refusal(&output, &asked.password));
    }
    let helpers = Command::looking(["config", "--global", "--null", "--get-all", "--"]);
    let helpers = global.try_run(helpers.argument("credential.helper")).await?;
    if !helpers.stdout.split(|byte| *byte == 0).any(|helper| helper == b"store") {
        let command = Command::new(["config", "--global", "--add", "--"]);
        global.run(command.argument("credential.helper").argument("store")).await?;
    }
    empty(StatusCode::OK)
}

impl Scope<'_> {
    /// Makes a value the only one.
    async fn set(&self, key: &str, value: &str) -> Result<(), Refusal> {
        let command = Command::new(["config", self.flag, "--replace-all", "--"]);
        self.repository.run(command.argument(key).argument(value)).await.map(drop)
    }
}

async fn scope<'a>(
    work: Work<'a>,
    scope: Option<&str>,
    path: Option<&str>,
) -> Result<Scope<'a>, Refusal> {
    let flag = match scope.filter(|scope| !scope.is_empty()) {
        None | Some("global") => "--global",
        Some("system") => "--system",
        Some("local") => {
            let path = path.filter(|path| !path.is_empty());
            let path =
                path.ok_or_else(|| Refusal::bad_request("path is required for scope local"))?;
            return Ok(Scope { flag: "--local", repository: work.repository(path).await? });
        }
        Some(other) => {
            return Err(Refusal::bad_request(format!(
                "scope is {other:?}: use global, local or system"
            )));
        }
    };
    Ok(Scope { flag, repository: work.nowhere() })
}

/// A name of a setting: a section and a name, with anything but lines in between.
fn checked_key(key: &str) -> Result<&str, Refusal> {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let parts = key.split_once('.').zip(key.rsplit_once('.'));
    match parts {
        Some(((section, _), (_, name)))
            if is_word(section) && is_word(name) && !key.contains(['\0', '\n']) =>
        {
            Ok(key)
        }
        _ => Err(Refusal::bad_request("key must be a section and a name, as in user.name")),
    }
}
