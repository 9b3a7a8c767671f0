//! Ctrl-C while something is under way: it is cleaned up, or named.
#![expect(clippy::unwrap_used, reason = "a test may")]
#![expect(clippy::disallowed_methods, reason = "a test starts the program it tests")]

mod program;
mod scripted;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use program::send;
use scripted::server;

#[test]
fn an_interrupted_creation_is_waited_for_and_undone() {
    let (seen, asked) = channel();
    let (release, may_answer) = channel::<()>();
    let (seen, may_answer) = (Mutex::new(seen), Mutex::new(may_answer));
    let url = server(move |line| {
        seen.lock().unwrap().send(line.to_owned()).unwrap();
        if line.starts_with("POST ") {
            may_answer.lock().unwrap().recv().unwrap();
        }
        Ok(Vec::new())
    });
    let mut creating = Command::new(env!("CARGO_BIN_EXE_pitlane"))
        .args(["--api-url", &url, "sandbox", "create"])
        .env("PITLANE_API_KEY", "k")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(asked.recv().unwrap(), "POST /api/sandbox");
    send("INT", &creating);
    let mut said = BufReader::new(creating.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("interrupted: waiting for the sandbox"), "{line}");
    release.send(()).unwrap();
    let id = "0b6ecb4e-0000-4000-8000-000000000000".replace('-', "%2D");
    assert_eq!(asked.recv().unwrap(), format!("DELETE /api/sandbox/{id}"));
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let mut written = String::new();
    creating.stdout.take().unwrap().read_to_string(&mut written).unwrap();
    let code = creating.wait().unwrap().code();
    assert_eq!((code, rest.as_str(), written.as_str()), (Some(130), "error: interrupted\n", ""));
}
