//! Requests to a server that may die at any moment. One connection each, so that nothing is sent twice.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than any request here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server's address and a key.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) key: String,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    pub(crate) fn text(&self) -> String {
        format!("{}: {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Client {
    /// Sends a request; an error means that nobody knows whether it was carried out.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut stream = self.open(method, path, kind, body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let incomplete = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n").ok_or_else(incomplete)?;
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_off(end + 4);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.and_then(|length| length.trim().parse::<usize>().ok());
        if length.is_some_and(|length| length != body.len()) {
            return Err(incomplete());
        }
        Ok(Answer { status: status.ok_or_else(incomplete)?, body })
    }

    /// Sends a request and does not wait for its answer.
    pub(crate) fn open(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        let Self { address, key } = self;
        let length = body.len();
        // In this version of HTTP an answer ends with its connection.
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        Ok(stream)
    }

    pub(crate) fn get(&self, path: &str) -> io::Result<Answer> {
        self.send("GET", path, "application/json", b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> io::Result<Answer> {
        self.send("POST", path, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn delete(&self, path: &str) -> io::Result<Answer> {
        self.send("DELETE", path, "application/json", b"")
    }

    pub(crate) fn create(&self, name: &str) -> io::Result<Answer> {
        self.post("/api/sandbox", &json!({ "name": name }))
    }

    pub(crate) fn execute(&self, id: &str, command: &str) -> io::Result<Answer> {
        self.post(&format!("/toolbox/{id}/process/execute"), &json!({ "command": command }))
    }

    pub(crate) fn upload(&self, id: &str, path: &str, contents: &[u8]) -> io::Result<Answer> {
        const BOUNDARY: &str = "a-boundary-that-no-test-writes";
        let mut body = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"file\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(contents);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let path = format!("/toolbox/{id}/files/upload?path={path}");
        self.send("POST", &path, &format!("multipart/form-data; boundary={BOUNDARY}"), &body)
    }

    pub(crate) fn download(&self, id: &str, path: &str) -> io::Result<Answer> {
        self.get(&format!("/toolbox/{id}/files/download?path={path}"))
    }

    /// Every sandbox: name, id and state, sorted.
    pub(crate) fn sandboxes(&self) -> io::Result<Vec<(String, String, String)>> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self.get(&format!("/api/sandbox?limit=200{cursor}"))?;
            assert!(answer.is_success(), "{}", answer.text());
            let page = answer.json();
            let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
            let items = page["items"].as_array().expect("items");
            all.extend(
                items
                    .iter()
                    .map(|item| (text(item, "name"), text(item, "id"), text(item, "state"))),
            );
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        all.sort();
        Ok(all)
    }
}
