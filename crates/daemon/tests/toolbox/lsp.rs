//! `/lsp`, with a server of the tests' own that can misbehave.

mod privileged;

use std::fs::Permissions;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;

use http::StatusCode;
use http_body_util::Full;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::{Daemon, post, refusal, until};

/// A daemon with a project and language servers of the tests' own.
struct Sandbox {
    daemon: Daemon,
    programs: TempDir,
}

impl Deref for Sandbox {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl Sandbox {
    /// How many language servers run, with what they started.
    fn running(&self) -> usize {
        let program = self.programs.path().join("pylsp").to_string_lossy().into_owned();
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&program)).count()
    }
}

/// A sandbox in which the language servers misbehave like this.
fn with_servers(misdeed: &str) -> Sandbox {
    with_servers_and(misdeed, &json!({}), &[])
}

fn with_servers_and(misdeed: &str, boot: &Value, flags: &[&str]) -> Sandbox {
    let programs = TempDir::new().expect("a folder");
    for name in ["pylsp", "typescript-language-server"] {
        let program = programs.path().join(name);
        std::fs::write(&program, include_str!("lsp/server.py")).expect("a program");
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("a mode");
    }
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.path().display());
    let mut boot = boot.clone();
    boot["env"] = json!({"PATH": path, "MISDEED": misdeed});
    let daemon = Daemon::start_with(&boot, flags);
    std::fs::create_dir(daemon.path("project")).expect("a folder");
    Sandbox { daemon, programs }
}

fn server(language: &str) -> Value {
    json!({"languageId": language, "pathToProject": "project"})
}

fn document(uri: &str) -> Value {
    json!({"languageId": "python", "pathToProject": "project", "uri": uri})
}

fn completion(uri: &str, line: u32, character: u32) -> Value {
    let mut asked = document(uri);
    asked["position"] = json!({"line": line, "character": character});
    asked
}

async fn start(daemon: &Sandbox) {
    let (status, answer) = daemon.post("/lsp/start", &server("python")).await;
    assert_eq!((status, answer), (StatusCode::OK, Value::Null));
}

/// The labels of what could be written.
async fn labels(daemon: &Sandbox, asked: &Value) -> Vec<String> {
    let (status, answer) = daemon.post("/lsp/completions", asked).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let items = answer["items"].as_array().expect("a list").iter();
    items.map(|item| item["label"].as_str().expect("a label").to_owned()).collect()
}

/// Status, code and sentence of a refusal.
fn said(status: StatusCode, answer: Value) -> (u16, String, String) {
    let answer = refusal(answer);
    let text = |field: &str| answer[field].as_str().expect("a text").to_owned();
    (status.as_u16(), text("code"), text("message"))
}

const NOT_STARTED: &str =
    "the python language server of this project is not running: it was not started: start it first";

#[tokio::test]
async fn without_a_start_nothing_can_be_asked() {
    let daemon = with_servers("");
    let wanted = (400, "LSP_SERVER_NOT_INITIALIZED".to_owned(), NOT_STARTED.to_owned());
    for (target, body) in [
        ("/lsp/stop", server("python")),
        ("/lsp/did-open", document("file:///a.py")),
        ("/lsp/did-close", document("file:///a.py")),
        ("/lsp/completions", completion("file:///a.py", 0, 0)),
    ] {
        let (status, answer) = daemon.post(target, &body).await;
        assert_eq!(said(status, answer), wanted, "{target}");
    }
    for target in [
        "/lsp/document-symbols?languageId=python&pathToProject=project&uri=file:///a.py",
        "/lsp/workspacesymbols?languageId=python&pathToProject=project&query=a",
    ] {
        let (status, answer) = daemon.call("GET", target).await;
        assert_eq!(said(status, answer), wanted, "{target}");
    }
}

#[tokio::test]
async fn what_is_asked_for_must_make_sense() {
    let daemon = with_servers("");
    start(&daemon).await;
    for (target, body, message) in [
        ("/lsp/start", json!({"languageId": "cobol", "pathToProject": "project"}), "languageId"),
        ("/lsp/start", json!({"languageId": "python", "pathToProject": "none"}), "pathToProject"),
        ("/lsp/start", json!({"languageId": "python", "pathToProject": ""}), "pathToProject"),
        ("/lsp/start", json!({"languageId": "python"}), "missing field `pathToProject`"),
        ("/lsp/did-open", document("http://a"), "uri must be file://"),
        ("/lsp/completions", document("file:///a"), "missing field `position`"),
        ("/lsp/completions", json!({"position": {"line": -1, "character": 0}}), "invalid value"),
    ] {
        let (status, answer) = daemon.post(target, &body).await;
        let text = answer["message"].as_str().expect("a text");
        assert!(status == StatusCode::BAD_REQUEST && text.contains(message), "{target}: {answer}");
    }
    let (status, answer) = daemon.call("GET", "/lsp/document-symbols?languageId=python").await;
    assert_eq!(said(status, answer).2, "pathToProject is required");
    let (status, answer) = daemon.post("/lsp/did-open", &document("file:///none.py")).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("FILE_NOT_FOUND")));
    let (status, answer) = daemon.post("/lsp/did-open", &document("file://.")).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_FILE_PATH")));
    let (status, answer) = daemon.post("/lsp/rename", &server("python")).await;
    assert_eq!(said(status, answer).2, "the toolbox has no POST /lsp/rename");
}

#[tokio::test]
async fn a_document_is_what_its_file_holds() {
    let daemon = with_servers("");
    std::fs::write(daemon.path("project/a.py"), "one").expect("a file");
    start(&daemon).await;
    let uri = format!("file://{}", daemon.path("project/a.py").display());
    let (status, _) = daemon.post("/lsp/did-open", &document(&uri)).await;
    assert_eq!(status, StatusCode::OK);
    // The same document, however it is named.
    for name in [uri.as_str(), "file://a.py", "file://project/a.py", "file://./a.py"] {
        assert_eq!(labels(&daemon, &completion(name, 0, 3)).await, ["one@0:3"]);
    }
    std::fs::write(daemon.path("project/a.py"), "two").expect("a file");
    assert_eq!(labels(&daemon, &completion(&uri, 0, 1)).await, ["two@0:1"]);
    let (status, _) = daemon.post("/lsp/did-close", &document(&uri)).await;
    assert_eq!(status, StatusCode::OK);
    // What is asked about is opened.
    assert_eq!(labels(&daemon, &completion(&uri, 0, 1)).await, ["two@0:1"]);
    let told = format!(
        "textDocument/didOpen {uri} python 1\ntextDocument/didChange {uri} None 2\n\
         textDocument/didClose {uri} None None\ntextDocument/didOpen {uri} python 1\n"
    );
    assert_eq!(daemon.text("project/told"), told);
}

#[tokio::test]
async fn names_may_have_blanks_and_percent_signs_and_be_encoded_or_not() {
    let daemon = with_servers("");
    for (name, text) in [("a b%20c.py", "literal"), ("ü d.py", "encoded")] {
        std::fs::write(daemon.path("project").join(name), text).expect("a file");
    }
    start(&daemon).await;
    let of = |name: &str| completion(&format!("file://{name}"), 0, 0);
    assert_eq!(labels(&daemon, &of("a b%20c.py")).await, ["literal@0:0"]);
    assert_eq!(labels(&daemon, &of("%C3%BC%20d.py")).await, ["encoded@0:0"]);
    assert_eq!(labels(&daemon, &of("ü d.py")).await, ["encoded@0:0"]);
}

#[tokio::test]
async fn characters_are_counted_as_the_protocol_counts_them() {
    let daemon = with_servers("");
    std::fs::write(daemon.path("project/a.py"), "🦀🦀 x").expect("a file");
    start(&daemon).await;
    // Python's server counts characters: five units are three of them.
    assert_eq!(labels(&daemon, &completion("file://a.py", 0, 5)).await, ["🦀🦀 x@0:3"]);
    let target = "/lsp/document-symbols?languageId=python&pathToProject=project&uri=file://a.py";
    let (_, answer) = daemon.call("GET", target).await;
    assert_eq!(answer[0]["location"]["range"]["end"], json!({"line": 0, "character": 4}));
}

#[tokio::test]
async fn completions_and_symbols_are_what_the_interface_has() {
    let daemon = with_servers("");
    std::fs::write(daemon.path("project/a.py"), "outer\ninner").expect("a file");
    start(&daemon).await;
    let (_, answer) = daemon.post("/lsp/completions", &completion("file://a.py", 1, 2)).await;
    let documentation = json!({"kind": "plaintext", "value": "plain"});
    let item = json!({"label": "outer\ninner@1:2", "documentation": documentation});
    assert_eq!(answer, json!({"isIncomplete": false, "items": [item]}));
    let target = "/lsp/document-symbols?languageId=python&pathToProject=project&uri=file://a.py";
    let (_, answer) = daemon.call("GET", target).await;
    let uri = format!("file://{}", daemon.path("project/a.py").display());
    let symbol = |name: &str, line: u32| {
        let start = json!({"line": line, "character": 0});
        let range = json!({"start": start, "end": {"line": line, "character": 5}});
        json!({"name": name, "kind": 12, "location": {"uri": uri, "range": range}})
    };
    assert_eq!(answer, json!([symbol("outer", 0), symbol("inner", 1)]));
    let target = "/lsp/workspacesymbols?languageId=python&pathToProject=project&query=a%20b";
    let (_, answer) = daemon.call("GET", target).await;
    let nowhere = json!({"line": 0, "character": 0});
    let location = json!({"uri": "file:///somewhere", "range": {"start": nowhere, "end": nowhere}});
    assert_eq!(answer, json!([{"name": "found a b", "kind": 5, "location": location}]));
}

#[tokio::test]
async fn a_server_that_finds_no_symbols_in_projects_is_asked_file_by_file() {
    let daemon = with_servers("no-search");
    for (name, text) in [
        ("a.py", "needle hay"),
        ("deep/b.py", "hay myNeedle"),
        ("c.py", "hay"),
        ("d.txt", "needle"),
        ("node_modules/e.py", "needle"),
        (".hidden/f.py", "needle"),
    ] {
        let path = daemon.path("project").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    start(&daemon).await;
    let target = "/lsp/workspacesymbols?languageId=python&pathToProject=project&query=Needle";
    let (_, answer) = daemon.call("GET", target).await;
    let found = answer.as_array().expect("a list").iter().map(|symbol| {
        let uri = symbol["location"]["uri"].as_str().expect("a text");
        let file = uri.rsplit_once("/project/").expect("a file").1;
        format!("{} in {file}", symbol["name"].as_str().expect("a text"))
    });
    let found: Vec<_> = found.collect();
    assert_eq!(found, ["needle in a.py", "myNeedle in deep/b.py"]);
}

#[tokio::test]
async fn a_server_that_knows_projects_by_documents_is_told_of_one() {
    let daemon = with_servers("");
    std::fs::write(daemon.path("project/a.tsx"), "x").expect("a file");
    let (status, _) = daemon.post("/lsp/start", &server("typescript")).await;
    assert_eq!(status, StatusCode::OK);
    let target = "/lsp/workspacesymbols?languageId=typescript&pathToProject=project&query=a";
    for _ in 0..2 {
        let (_, answer) = daemon.call("GET", target).await;
        assert_eq!(answer[0]["name"], "found a");
    }
    let uri = format!("file://{}", daemon.path("project/a.tsx").display());
    let told = format!("textDocument/didOpen {uri} typescriptreact 1\n");
    assert_eq!(daemon.text("project/told"), told);
}

#[tokio::test]
async fn starting_twice_or_at_once_starts_one_server() {
    let daemon = with_servers("");
    let body = server("python");
    let starts = (0..8).map(|_| daemon.post("/lsp/start", &body));
    for (status, answer) in futures_util::future::join_all(starts).await {
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    start(&daemon).await;
    assert_eq!(daemon.running(), 1);
}

#[tokio::test]
async fn many_questions_at_once_get_their_own_answers() {
    let daemon = with_servers("");
    std::fs::write(daemon.path("project/a.py"), "x").expect("a file");
    start(&daemon).await;
    let asked: Vec<_> = (0..40).map(|number| completion("file://a.py", number, 0)).collect();
    let answers = asked.iter().map(|asked| labels(&daemon, asked));
    let answers = futures_util::future::join_all(answers).await;
    let wanted: Vec<_> = (0..40).map(|number| vec![format!("x@{number}:0")]).collect();
    assert_eq!(answers, wanted);
}

#[tokio::test]
async fn a_stop_ends_everything_the_server_started() {
    let daemon = with_servers("child");
    start(&daemon).await;
    until("the child runs", || daemon.running() == 2).await;
    let (status, _) = daemon.post("/lsp/stop", &server("python")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(daemon.running(), 0);
    let (status, answer) = daemon.post("/lsp/stop", &server("python")).await;
    assert_eq!(said(status, answer).2, NOT_STARTED);
    start(&daemon).await;
}

#[tokio::test]
async fn a_server_that_crashes_says_so_to_all_who_wait_and_can_be_started_again() {
    let daemon = with_servers("crashes");
    std::fs::write(daemon.path("project/a.py"), "x").expect("a file");
    start(&daemon).await;
    let wanted = (
        400,
        "LSP_SERVER_NOT_INITIALIZED".to_owned(),
        "the python language server of this project is not running: signal 9 ended it: thread \
         'main' panicked: start it first"
            .to_owned(),
    );
    for _ in 0..2 {
        let (status, answer) =
            daemon.post("/lsp/completions", &completion("file://a.py", 0, 0)).await;
        assert_eq!(said(status, answer), wanted);
    }
    start(&daemon).await;
}

#[tokio::test]
async fn a_server_that_does_not_become_one_says_why() {
    for (misdeed, reason) in [
        ("dies-at-once", "it ended by itself with exit code 3: ImportError: no module named jedi"),
        ("garbage", "it sent a header without one Content-Length"),
    ] {
        let daemon = with_servers(misdeed);
        let (status, answer) = daemon.post("/lsp/start", &server("python")).await;
        let message = format!("cannot start the python language server: {reason}");
        assert_eq!(said(status, answer), (500, "INTERNAL_SERVER_ERROR".to_owned(), message));
    }
}

#[tokio::test]
async fn an_image_without_a_server_says_how_it_gets_one() {
    let folder = TempDir::new().expect("a folder");
    let daemon = Daemon::start_with(&json!({"env": {"PATH": folder.path()}}), &[]);
    for (language, program, installation) in [
        ("python", "pylsp", "pip install python-lsp-server"),
        (
            "typescript",
            "typescript-language-server",
            "npm install -g typescript typescript-language-server",
        ),
    ] {
        let body = json!({"languageId": language, "pathToProject": "."});
        let (status, answer) = daemon.post("/lsp/start", &body).await;
        let message = format!(
            "there is no {language} language server in this sandbox: install {program}, for \
             example with `{installation}`"
        );
        let wanted = (400, "LSP_SERVER_NOT_INITIALIZED".to_owned(), message);
        assert_eq!(said(status, answer), wanted);
    }
}

#[tokio::test]
async fn questions_of_a_server_are_answered() {
    let daemon = with_servers("asks-first");
    start(&daemon).await;
    let answers: Vec<Value> = daemon
        .text("project/told")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let error = json!({"code": -32601, "message": "this client cannot do it"});
    let wanted = vec![
        json!({"id": "q0", "result": [null, null], "error": null}),
        json!({"id": "q1", "result": null, "error": null}),
        json!({"id": "q2", "result": {"applied": false}, "error": null}),
        json!({"id": "q3", "result": null, "error": error}),
    ];
    assert_eq!(answers, wanted);
}

#[tokio::test]
async fn a_server_that_asks_without_end_and_reads_nothing_is_ended() {
    let daemon = with_servers("asks-without-end");
    let (status, answer) = daemon.post("/lsp/start", &server("python")).await;
    let message = "cannot start the python language server: it does not read what it is sent";
    assert_eq!(said(status, answer).2, message);
    assert_eq!(daemon.running(), 0);
}

#[tokio::test]
async fn a_flood_of_notices_hides_no_answer_and_takes_no_memory() {
    let daemon = with_servers("flood");
    std::fs::write(daemon.path("project/a.py"), "x").expect("a file");
    start(&daemon).await;
    assert_eq!(labels(&daemon, &completion("file://a.py", 0, 0)).await, ["x@0:0"]);
    let peak = peak_kib(&daemon);
    assert!(peak < 40 << 10, "{peak} KiB");
}

/// The most memory that the daemon has had.
fn peak_kib(daemon: &Sandbox) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).expect("a text");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    peak.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

#[tokio::test]
async fn what_a_server_refuses_or_makes_no_sense_of_is_told() {
    for (misdeed, status, message) in [
        ("refuses", 400, "the python language server: index out of range"),
        ("nonsense", 500, "the python language server answered something else than was asked"),
    ] {
        let daemon = with_servers(misdeed);
        std::fs::write(daemon.path("project/a.py"), "x").expect("a file");
        start(&daemon).await;
        let asked = completion("file://a.py", 0, 0);
        let (got, answer) = daemon.post("/lsp/completions", &asked).await;
        let said = said(got, answer);
        assert_eq!((said.0, said.2.as_str()), (status, message));
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_told_when_nobody_waits_any_more() {
    let daemon = with_servers("hangs");
    std::fs::write(daemon.path("project/a.py"), "x").expect("a file");
    start(&daemon).await;
    let told = || daemon.text("project/told");
    // By a broken connection, and by the server's word that the client has gone.
    let mut connection = daemon.connect::<Full<_>>().await;
    let asked = completion("file://a.py", 0, 0);
    let question = connection.sender.send_request(post("/lsp/completions", &asked));
    tokio::select! {
        _ = question => panic!("it was answered"),
        () = until("it is asked", || told().contains("asked\n")) => {}
    }
    drop(connection);
    until("it is told", || told().contains("$/cancelRequest {'id': 1}")).await;

    let mut named = post("/lsp/completions", &asked);
    named.headers_mut().insert("x-pitlane-request", "the-name".parse().expect("a value"));
    let (cancelled, answered) = tokio::join!(
        async {
            until("it is asked again", || told().matches("asked\n").count() == 2).await;
            daemon.post("/pitlane/cancel/the-name", &Value::Null).await
        },
        daemon.ask(named)
    );
    assert_eq!((cancelled.0, answered.0), (StatusCode::NO_CONTENT, StatusCode::GONE));
    until("it is told", || told().contains("$/cancelRequest {'id': 2}")).await;
}

#[tokio::test]
async fn a_server_that_does_not_start_in_time_can_be_stopped_meanwhile() {
    let daemon = with_servers("deaf");
    let (body, target) = (server("python"), "/lsp/start");
    let (started, stopped) = tokio::join!(daemon.post(target, &body), async {
        until("it runs", || daemon.path("project/told").exists()).await;
        daemon.post("/lsp/stop", &body).await
    });
    assert_eq!(stopped.0, StatusCode::OK);
    let message = "cannot start the python language server: it was stopped";
    assert_eq!(said(started.0, started.1).2, message);
}

#[tokio::test]
async fn a_server_that_says_nothing_for_a_minute_is_ended() {
    // A real minute: the daemon is another process, whose clock is nobody's to set.
    let daemon = with_servers("child");
    let silent = with_servers("deaf");
    let endless = with_servers("endless-header");
    let (body, target) = (server("python"), "/lsp/start");
    let begun = std::time::Instant::now();
    let (well, late, garbled) = tokio::join!(
        daemon.post(target, &body),
        silent.post(target, &body),
        endless.post(target, &body)
    );
    assert_eq!(well.0, StatusCode::OK);
    let message = "cannot start the python language server: it did not become ready within 60 s";
    assert_eq!(said(late.0, late.1).2, message);
    let waited = begun.elapsed().as_secs();
    assert!((59..75).contains(&waited), "{waited} s");
    let message =
        "cannot start the python language server: it sent a header of more than 4096 bytes";
    assert_eq!(said(garbled.0, garbled.1).2, message);
    assert_eq!((silent.running(), endless.running()), (0, 0));
    let (status, answer) = silent.post("/lsp/did-open", &document("file:///a.py")).await;
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::BAD_REQUEST, &json!("LSP_SERVER_NOT_INITIALIZED"))
    );
    // One that is ready has no such deadline.
    assert_eq!(daemon.running(), 2);
}

#[tokio::test]
async fn lengths_that_no_message_has_end_a_server_and_take_no_memory() {
    for (misdeed, reason) in [
        ("giant-length", "it sent a message of more than 16 MiB"),
        ("overflowing-length", "it sent a message of more than 16 MiB"),
        ("negative-length", "it sent a header without one Content-Length"),
        ("two-lengths", "it sent a header without one Content-Length"),
        ("binary", "it sent a header of more than 4096 bytes"),
    ] {
        let daemon = with_servers(misdeed);
        let (status, answer) = daemon.post("/lsp/start", &server("python")).await;
        let wanted = format!("cannot start the python language server: {reason}");
        assert_eq!(said(status, answer).2, wanted, "{misdeed}");
        assert_eq!(daemon.running(), 0, "{misdeed}");
        assert!(peak_kib(&daemon) < 40 << 10, "{misdeed}");
    }
}

#[tokio::test]
async fn there_are_not_more_servers_than_allowed() {
    let daemon = with_servers("");
    let body = |number: usize| {
        let project = format!("project/{number}");
        std::fs::create_dir_all(daemon.path(&project)).expect("a folder");
        json!({"languageId": "javascript", "pathToProject": project})
    };
    for number in 0..8 {
        let (status, answer) = daemon.post("/lsp/start", &body(number)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let (status, answer) = daemon.post("/lsp/start", &body(8)).await;
    let message = "8 language servers run already: stop one first";
    assert_eq!(
        said(status, answer),
        (429, "TOO_MANY_LANGUAGE_SERVERS".to_owned(), message.to_owned())
    );
    let (status, _) = daemon.post("/lsp/stop", &body(0)).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = daemon.post("/lsp/start", &body(8)).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let daemon = with_servers("");
    let file = std::fs::File::create(daemon.path("project/a.py")).expect("a file");
    file.set_len((4 << 20) + 1).expect("a length");
    start(&daemon).await;
    let (status, answer) = daemon.post("/lsp/did-open", &document("file://a.py")).await;
    assert_eq!((status, &answer["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("BAD_REQUEST")));
}
