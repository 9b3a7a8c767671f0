//! One kept connection to a server, as a client that measures needs it.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::server::Server;

/// One connection, over which one request goes at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    authority: String,
    authorization: String,
    /// Holds the task that moves the bytes; it ends with the connection.
    _bytes: JoinSet<()>,
}

/// A sandbox that was created through a connection.
#[derive(Debug, Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) id: String,
    state: String,
}

/// How many sandboxes a server knows of, by what it says.
#[derive(Debug, Deserialize)]
struct Count {
    total: usize,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<serde::de::IgnoredAny>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Executed {
    exit_code: i32,
    result: String,
}

impl Connection {
    pub(crate) async fn open(server: &Server) -> anyhow::Result<Self> {
        let authority = server.authority().to_owned();
        let stream = TcpStream::connect(&authority)
            .await
            .with_context(|| format!("cannot connect to {authority}"))?;
        stream.set_nodelay(true)?;
        let (requests, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut bytes = JoinSet::new();
        bytes.spawn(async move {
            if connection.await.is_err() {
                // The request that was under way says so.
            }
        });
        let authorization = format!("Bearer {}", server.key());
        Ok(Self { requests, authority, authorization, _bytes: bytes })
    }

    /// Creates a sandbox that can be used.
    pub(crate) async fn create(&mut self) -> anyhow::Result<Sandbox> {
        self.create_of(&json!({})).await
    }

    /// The same of what the wish says.
    pub(crate) async fn create_of(&mut self, wish: &Value) -> anyhow::Result<Sandbox> {
        let answer = self.call(Method::POST, "/api/sandbox", Some(wish.clone())).await?;
        let sandbox: Sandbox =
            serde_json::from_slice(&answer).context("cannot read what was created")?;
        if sandbox.state != "started" {
            bail!("sandbox {} was created {}", sandbox.id, sandbox.state);
        }
        Ok(sandbox)
    }

    /// Creates one with as much memory and disk as a sandbox can have by default. What it keeps of its files in memory counts
    /// as its own, and a file system that is almost full waits for its disk: with less, copies of 1 GiB beside bare ones,
    /// which have the machine's memory and disk, would measure that.
    pub(crate) async fn create_large(&mut self) -> anyhow::Result<Sandbox> {
        self.create_of(&json!({ "memory": 8, "disk": 10 })).await
    }

    /// Runs `true`.
    pub(crate) async fn exec_true(&mut self, sandbox: &Sandbox) -> anyhow::Result<()> {
        self.process(sandbox, "execute", json!({ "command": "true" }), "").await
    }

    /// Runs `print(1)`.
    pub(crate) async fn run_code(&mut self, sandbox: &Sandbox) -> anyhow::Result<()> {
        let code = json!({ "code": "print(1)", "language": "python" });
        self.process(sandbox, "code-run", code, "1\n").await
    }

    /// Runs `console.log(1)`.
    pub(crate) async fn run_javascript(&mut self, sandbox: &Sandbox) -> anyhow::Result<()> {
        let code = json!({ "code": "console.log(1)", "language": "javascript" });
        self.process(sandbox, "code-run", code, "1\n").await
    }

    pub(crate) async fn delete(&mut self, sandbox: &Sandbox) -> anyhow::Result<()> {
        self.call(Method::DELETE, &format!("/api/sandbox/{}", sandbox.id), None).await?;
        Ok(())
    }

    /// Walks the whole list with pages as large as they get, and gives how many items and pages it had.
    pub(crate) async fn list(&mut self) -> anyhow::Result<(usize, usize)> {
        let (mut items, mut pages, mut path) = (0, 0, "/api/sandbox?limit=200".to_owned());
        loop {
            let answer = self.call(Method::GET, &path, None).await?;
            let page: Page = serde_json::from_slice(&answer).context("cannot read a list")?;
            items += page.items.len();
            pages += 1;
            match page.next_cursor {
                None => return Ok((items, pages)),
                Some(cursor) => path = format!("/api/sandbox?limit=200&cursor={cursor}"),
            }
        }
    }

    /// How many sandboxes are started.
    pub(crate) async fn count_started(&mut self) -> anyhow::Result<usize> {
        let path = "/api/sandbox/paginated?limit=1&states=started";
        let answer = self.call(Method::GET, path, None).await?;
        let count: Count = serde_json::from_slice(&answer).context("cannot read a list")?;
        Ok(count.total)
    }

    /// Asks whether the server can do its work; fails if it cannot.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        self.call(Method::GET, "/api/health/ready", None).await?;
        Ok(())
    }

    /// Removes a file.
    pub(crate) async fn remove(&mut self, sandbox: &Sandbox, path: &str) -> anyhow::Result<()> {
        let path = format!("/toolbox/{}/files?path={path}", sandbox.id);
        self.call(Method::DELETE, &path, None).await?;
        Ok(())
    }

    async fn process(
        &mut self,
        sandbox: &Sandbox,
        operation: &str,
        body: Value,
        expected: &str,
    ) -> anyhow::Result<()> {
        let path = format!("/toolbox/{}/process/{operation}", sandbox.id);
        let answer = self.call(Method::POST, &path, Some(body)).await?;
        let executed: Executed =
            serde_json::from_slice(&answer).with_context(|| format!("cannot read {operation}"))?;
        if executed.exit_code != 0 || executed.result != expected {
            bail!("{operation} gave {} and {:?}", executed.exit_code, executed.result);
        }
        Ok(())
    }

    /// Sends JSON and gives a successful answer.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Bytes> {
        self.call_with(method, path, body, &[]).await
    }

    /// The same with headers of its own.
    pub(crate) async fn call_with(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Bytes> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header("host", &self.authority)
            .header("authorization", &self.authorization)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body))?;
        self.requests.ready().await.context("the server closed the connection")?;
        let answer = self.requests.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{method} {path} was answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}
