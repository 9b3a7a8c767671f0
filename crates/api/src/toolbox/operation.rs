//! Which operation a toolbox path asks for, in words that no client can make up.

use http::Method;

use crate::reference;

/// The operations of the reference, and Pitlane's own.
#[rustfmt::skip]
const OPERATIONS: [(&str, &str); 113] = [
    ("POST", "/computeruse/a11y/find"),
    ("POST", "/computeruse/a11y/node/focus"),
    ("POST", "/computeruse/a11y/node/invoke"),
    ("POST", "/computeruse/a11y/node/value"),
    ("GET", "/computeruse/a11y/tree"),
    ("GET", "/computeruse/display/info"),
    ("GET", "/computeruse/display/windows"),
    ("POST", "/computeruse/keyboard/down"),
    ("POST", "/computeruse/keyboard/hotkey"),
    ("POST", "/computeruse/keyboard/key"),
    ("POST", "/computeruse/keyboard/type"),
    ("POST", "/computeruse/keyboard/up"),
    ("POST", "/computeruse/mouse/click"),
    ("POST", "/computeruse/mouse/down"),
    ("POST", "/computeruse/mouse/drag"),
    ("POST", "/computeruse/mouse/move"),
    ("GET", "/computeruse/mouse/position"),
    ("POST", "/computeruse/mouse/scroll"),
    ("POST", "/computeruse/mouse/up"),
    ("GET", "/computeruse/process-status"),
    ("GET", "/computeruse/process/{processName}/errors"),
    ("GET", "/computeruse/process/{processName}/logs"),
    ("POST", "/computeruse/process/{processName}/restart"),
    ("GET", "/computeruse/process/{processName}/status"),
    ("GET", "/computeruse/recordings"),
    ("POST", "/computeruse/recordings/start"),
    ("POST", "/computeruse/recordings/stop"),
    ("DELETE", "/computeruse/recordings/{id}"),
    ("GET", "/computeruse/recordings/{id}"),
    ("GET", "/computeruse/recordings/{id}/download"),
    ("GET", "/computeruse/screenshot"),
    ("GET", "/computeruse/screenshot/compressed"),
    ("GET", "/computeruse/screenshot/region"),
    ("GET", "/computeruse/screenshot/region/compressed"),
    ("POST", "/computeruse/start"),
    ("GET", "/computeruse/status"),
    ("POST", "/computeruse/stop"),
    ("POST", "/env"),
    ("DELETE", "/files"),
    ("GET", "/files"),
    ("POST", "/files/bulk-download"),
    ("POST", "/files/bulk-upload"),
    ("GET", "/files/download"),
    ("GET", "/files/find"),
    ("POST", "/files/folder"),
    ("GET", "/files/info"),
    ("POST", "/files/move"),
    ("POST", "/files/permissions"),
    ("POST", "/files/replace"),
    ("GET", "/files/search"),
    ("POST", "/files/upload-v2"),
    ("POST", "/git/add"),
    ("POST", "/git/branches"),
    ("DELETE", "/git/branches"),
    ("GET", "/git/branches"),
    ("POST", "/git/checkout"),
    ("POST", "/git/clone"),
    ("POST", "/git/commit"),
    ("GET", "/git/config"),
    ("POST", "/git/config"),
    ("POST", "/git/config/user"),
    ("POST", "/git/credentials"),
    ("GET", "/git/history"),
    ("POST", "/git/init"),
    ("POST", "/git/pull"),
    ("POST", "/git/push"),
    ("POST", "/git/remotes"),
    ("GET", "/git/remotes"),
    ("POST", "/git/reset"),
    ("POST", "/git/restore"),
    ("GET", "/git/status"),
    ("POST", "/init"),
    ("POST", "/lsp/completions"),
    ("POST", "/lsp/did-close"),
    ("POST", "/lsp/did-open"),
    ("GET", "/lsp/document-symbols"),
    ("POST", "/lsp/start"),
    ("POST", "/lsp/stop"),
    ("GET", "/lsp/workspacesymbols"),
    ("GET", "/port"),
    ("GET", "/port/{port}/in-use"),
    ("POST", "/process/code-run"),
    ("POST", "/process/execute"),
    ("POST", "/process/interpreter/context"),
    ("GET", "/process/interpreter/context"),
    ("DELETE", "/process/interpreter/context/{id}"),
    ("GET", "/process/interpreter/execute"),
    ("POST", "/process/pty"),
    ("GET", "/process/pty"),
    ("GET", "/process/pty/create-connect"),
    ("DELETE", "/process/pty/{sessionId}"),
    ("GET", "/process/pty/{sessionId}"),
    ("GET", "/process/pty/{sessionId}/connect"),
    ("POST", "/process/pty/{sessionId}/resize"),
    ("POST", "/process/session"),
    ("GET", "/process/session"),
    ("GET", "/process/session/entrypoint"),
    ("GET", "/process/session/entrypoint/logs"),
    ("DELETE", "/process/session/{sessionId}"),
    ("GET", "/process/session/{sessionId}"),
    ("GET", "/process/session/{sessionId}/command/{commandId}"),
    ("POST", "/process/session/{sessionId}/command/{commandId}/input"),
    ("GET", "/process/session/{sessionId}/command/{commandId}/logs"),
    ("POST", "/process/session/{sessionId}/exec"),
    ("GET", "/system/metrics"),
    ("GET", "/user-home-dir"),
    ("GET", "/version"),
    ("GET", "/work-dir"),
    ("POST", "/files/upload"),
    ("GET", "/project-dir"),
    ("POST", "/process/execute/stream"),
    ("GET", "/process/kept"),
    ("GET", "/process/kept/{request}"),
];

/// What requests to applications in a sandbox begin with.
const PREVIEWS: &str = "/proxy/";

/// The path of an operation as `/toolbox/{id}/…` with words for its variables; of others only that it is a toolbox's.
pub(crate) fn template(method: &Method, path: &str) -> String {
    let rest = path.strip_prefix(super::PREFIX).unwrap_or_default();
    let rest = rest.find('/').map_or("", |slash| &rest[slash..]);
    if rest.starts_with(PREVIEWS) {
        return format!("{}{{id}}{PREVIEWS}{{port}}/…", super::PREFIX);
    }
    let known = OPERATIONS
        .iter()
        .find(|(of, template)| *of == method && reference::matches(template, rest));
    format!("{}{{id}}{}", super::PREFIX, known.map_or("/…", |(_, template)| template))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_path_is_told_as_the_operation_it_asks_for_and_never_as_it_is() {
        for (method, path, wanted) in [
            (Method::POST, "/toolbox/x/process/execute", "/toolbox/{id}/process/execute"),
            (
                Method::GET,
                "/toolbox/x/process/session/mine/command/7/logs",
                "/toolbox/{id}/process/session/{sessionId}/command/{commandId}/logs",
            ),
            (Method::GET, "/toolbox/x/process/execute", "/toolbox/{id}/…"),
            (Method::GET, "/toolbox/x/secret", "/toolbox/{id}/…"),
            (Method::GET, "/toolbox/x", "/toolbox/{id}/…"),
            (Method::GET, "/toolbox/x/proxy/80/secret", "/toolbox/{id}/proxy/{port}/…"),
        ] {
            assert_eq!(template(&method, path), wanted, "{method} {path}");
        }
    }

    #[test]
    fn every_operation_of_the_reference_is_known() {
        let list: toml::Table =
            toml::from_str(include_str!("../../../../openapi/compat.toml")).unwrap();
        let rows = list["toolbox"].as_table().unwrap().keys().cloned();
        let known: BTreeSet<String> =
            OPERATIONS.iter().map(|(method, path)| format!("{method} {path}")).collect();
        let missing: Vec<String> = rows.filter(|row| !known.contains(row)).collect();
        assert_eq!(missing, [""; 0]);
    }
}
