//! What a client was told, compared with what there is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::contexts::Contexts;
use crate::server::Server;
use crate::volumes::Volumes;
use crate::{traces, wait_until};

/// What is known of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Known {
    /// Whether it surely exists; else a change that nobody was told the end of may have made or removed it.
    pub(crate) is_certain: bool,
    /// In which state it surely is; `None` while a change was not told the end of.
    pub(crate) state: Option<&'static str>,
    /// Files that were acknowledged.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// What signs addresses of its files since the key before was made void.
    pub(crate) signing_key: Option<Value>,
    /// The token with which its previews can be seen.
    pub(crate) preview_token: Option<Value>,
}

/// What a client was told.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By name. A sandbox that is surely gone is not in it.
    pub(crate) sandboxes: BTreeMap<String, Known>,
    /// Keys that work.
    pub(crate) keys: BTreeMap<String, String>,
    /// Snapshots of sandboxes that surely exist.
    pub(crate) snapshots: BTreeSet<String>,
    /// Keys that were revoked.
    pub(crate) revoked: BTreeMap<String, String>,
    pub(crate) volumes: Volumes,
    pub(crate) contexts: Contexts,
}

/// A change that was not acknowledged.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nobody was told its end.
    Broken,
    /// The server said that it failed, and this.
    Failed(String),
}

pub(crate) const FILE: &str = "/home/daytona/file";

impl Ledger {
    fn known(&mut self, name: &str) -> &mut Known {
        self.sandboxes.entry(name.to_owned()).or_default()
    }

    pub(crate) fn create(&mut self, client: &Client, name: &str) -> Result<String, Lost> {
        *self.known(name) = Known::default();
        let answer = tell(client.create(name))?;
        *self.known(name) = Known { is_certain: true, state: Some("started"), ..Known::default() };
        Ok(answer.json()["id"].as_str().unwrap().to_owned())
    }

    /// Makes a sandbox of a snapshot.
    pub(crate) fn create_from(
        &mut self,
        client: &Client,
        name: &str,
        snapshot: &str,
    ) -> Result<(), Lost> {
        *self.known(name) = Known::default();
        tell(client.post("/api/sandbox", &json!({ "name": name, "snapshot": snapshot })))?;
        *self.known(name) = Known { is_certain: true, state: Some("started"), ..Known::default() };
        Ok(())
    }

    /// Has a sandbox made of an image that is built for it first.
    pub(crate) fn build(&mut self, client: &Client, name: &str) -> Result<(), Lost> {
        *self.known(name) = Known::default();
        tell(client.post("/api/sandbox", &json!({ "name": name, "buildInfo": build_info() })))?;
        // It was told of: whatever happens, it comes.
        *self.known(name) = Known { is_certain: true, ..Known::default() };
        wait_for(client, name, "started")?;
        self.known(name).state = Some("started");
        Ok(())
    }

    /// Wants a sandbox of an image that nobody has, until that is known.
    pub(crate) fn want(&mut self, client: &Client, name: &str) -> Result<(), Lost> {
        *self.known(name) = Known::default();
        let info = json!({ "dockerfileContent": "FROM 127.0.0.1:1/nothing:1\n" });
        tell(client.post("/api/sandbox", &json!({ "name": name, "buildInfo": info })))?;
        *self.known(name) = Known { is_certain: true, ..Known::default() };
        wait_for(client, name, "error")?;
        self.known(name).state = Some("error");
        Ok(())
    }

    /// Has a snapshot built.
    pub(crate) fn bake(&mut self, client: &Client, snapshot: &str) -> Result<(), Lost> {
        let wish = json!({ "name": snapshot, "buildInfo": build_info() });
        tell(client.post("/api/snapshots", &wish))?;
        self.snapshots.insert(snapshot.to_owned());
        let path = format!("/api/snapshots/{snapshot}");
        until(|| Ok(tell(client.get(&path))?.json()["state"] == "active"), snapshot)
    }

    /// Takes a snapshot of a sandbox.
    pub(crate) fn snapshot(
        &mut self,
        client: &Client,
        name: &str,
        snapshot: &str,
    ) -> Result<(), Lost> {
        let path = format!("/api/sandbox/{name}/snapshot");
        tell(client.post(&path, &json!({ "name": snapshot })))?;
        self.snapshots.insert(snapshot.to_owned());
        Ok(())
    }

    pub(crate) fn forget_snapshot(&mut self, client: &Client, snapshot: &str) -> Result<(), Lost> {
        self.snapshots.remove(snapshot);
        tell(client.delete(&format!("/api/snapshots/{}", snapshot_id(client, snapshot)?))).map(drop)
    }

    pub(crate) fn delete(&mut self, client: &Client, name: &str) -> Result<(), Lost> {
        *self.known(name) = Known::default();
        tell(client.delete(&format!("/api/sandbox/{name}")))?;
        self.sandboxes.remove(name);
        Ok(())
    }

    /// Deletes what may be there.
    pub(crate) fn clear_away(&mut self, client: &Client, name: &str) -> Result<(), Lost> {
        *self.known(name) = Known::default();
        match client.delete(&format!("/api/sandbox/{name}")) {
            Ok(answer) if answer.status == 404 => {}
            answer => drop(tell(answer)?),
        }
        self.sandboxes.remove(name);
        Ok(())
    }

    pub(crate) fn change(
        &mut self,
        client: &Client,
        name: &str,
        verb: &str,
        then: &'static str,
    ) -> Result<(), Lost> {
        self.known(name).state = None;
        let answer = tell(client.post(&format!("/api/sandbox/{name}/{verb}"), &json!({})))?;
        if answer.json()["state"] != then {
            // Begun, and going on.
            wait_for(client, name, then)?;
        }
        self.known(name).state = Some(then);
        Ok(())
    }

    pub(crate) fn resize(
        &mut self,
        client: &Client,
        name: &str,
        limits: &Value,
    ) -> Result<(), Lost> {
        let state = self.known(name).state.take();
        tell(client.post(&format!("/api/sandbox/{name}/resize"), limits))?;
        self.known(name).state = state;
        Ok(())
    }

    pub(crate) fn upload(
        &mut self,
        client: &Client,
        (name, id): (&str, &str),
        path: &str,
        contents: Vec<u8>,
    ) -> Result<(), Lost> {
        self.known(name).files.remove(path);
        tell(client.upload(id, path, &contents))?;
        self.known(name).files.insert(path.to_owned(), contents);
        Ok(())
    }

    pub(crate) fn make_key(&mut self, client: &Client, name: &str) -> Result<(), Lost> {
        let request = json!({ "name": name, "permissions": ["write:sandboxes"] });
        let answer = tell(client.post("/api/api-keys", &request))?;
        self.keys.insert(name.to_owned(), answer.json()["value"].as_str().unwrap().to_owned());
        Ok(())
    }

    pub(crate) fn revoke_key(&mut self, client: &Client, name: &str) -> Result<(), Lost> {
        let key = self.keys.remove(name);
        tell(client.delete(&format!("/api/api-keys/{name}")))?;
        self.revoked.extend(key.map(|key| (name.to_owned(), key)));
        Ok(())
    }

    /// Gives a sandbox another signing key.
    pub(crate) fn rotate(&mut self, client: &Client, (name, id): (&str, &str)) -> Result<(), Lost> {
        self.known(name).signing_key = None;
        let path = format!("/api/sandbox/{id}/signing-key/rotate");
        let answer = tell(client.post(&path, &json!({})))?;
        self.known(name).signing_key = Some(answer.json());
        Ok(())
    }

    /// Has a preview's token made, and an address that is made void at once.
    pub(crate) fn preview(
        &mut self,
        client: &Client,
        (name, id): (&str, &str),
    ) -> Result<(), Lost> {
        self.known(name).preview_token = None;
        let path = format!("/api/sandbox/{id}/ports/3000");
        let told = tell(client.get(&format!("{path}/preview-url")))?;
        self.known(name).preview_token = Some(told.json()["token"].clone());
        let signed = tell(client.get(&format!("{path}/signed-preview-url")))?.json();
        let token = signed["token"].as_str().unwrap();
        let path = format!("{path}/signed-preview-url/{token}/expire");
        tell(client.post(&path, &json!({}))).map(drop)
    }

    /// Adds what another client was told.
    pub(crate) fn merge(&mut self, other: Self) {
        self.sandboxes.extend(other.sandboxes);
        self.keys.extend(other.keys);
        self.snapshots.extend(other.snapshots);
        self.revoked.extend(other.revoked);
    }

    /// Checks all of it against a server that has started after a crash, and the machine against the server.
    pub(crate) fn check(&self, server: &Server) {
        self.check_contexts(server);
        let client = server.client();
        // In state error is one whose image nobody has.
        let is_settled =
            |state: &str| matches!(state, "started" | "stopped" | "archived" | "error");
        let mut found = Vec::new();
        wait_until("every sandbox is started, stopped or gone", || {
            found = client.sandboxes().unwrap();
            let are_settled = found.iter().all(|(_, _, state)| is_settled(state));
            let are_known = found.iter().all(|(name, ..)| self.sandboxes.contains_key(name));
            are_settled && are_known
        });
        for (name, known) in &self.sandboxes {
            let Some((_, id, state)) = found.iter().find(|(found, ..)| found == name) else {
                assert!(!known.is_certain, "{name} is lost:\n{}", server.last_words());
                continue;
            };
            if let Some(wanted) = known.state {
                assert_eq!(state, wanted, "{name}:\n{}", server.words_about(id));
            }
            if let Some(wanted) = &known.signing_key {
                let told = client.get(&format!("/api/sandbox/{id}/signing-key")).unwrap();
                assert_eq!(told.json(), *wanted, "{name}");
            }
            if let Some(wanted) = &known.preview_token {
                let told =
                    client.get(&format!("/api/sandbox/{id}/ports/3000/preview-url")).unwrap();
                assert_eq!(told.json()["token"], *wanted, "{name}");
            }
            if state == "started" {
                let answer = client.execute(id, "echo works").unwrap();
                assert_eq!(answer.json()["result"], "works\n", "{name}: {}", answer.text());
                for (path, contents) in &known.files {
                    let file = client.download(id, path).unwrap();
                    assert!(file.is_success(), "{name} {path}: {}", file.text());
                    assert!(file.body == *contents, "{path} of {name} is not what was uploaded");
                }
            }
        }
        wait_until("every snapshot is whole, on its way out or gone", || {
            let found = snapshots(&client).unwrap();
            found.iter().all(|(.., state)| matches!(state.as_str(), "active" | "inactive"))
        });
        let found = snapshots(&client).unwrap();
        for name in &self.snapshots {
            assert!(found.iter().any(|(_, found, _)| found == name), "{name} is lost");
        }
        for (name, key) in &self.keys {
            let client = Client { key: key.clone(), ..client.clone() };
            assert_eq!(client.get("/api/sandbox").unwrap().status, 200, "the key {name}");
        }
        for (name, key) in &self.revoked {
            let client = Client { key: key.clone(), ..client.clone() };
            assert_eq!(client.get("/api/sandbox").unwrap().status, 401, "the key {name}");
        }
        settle(server);
    }
}

/// Checks that the machine has what the server lists, and nothing else.
pub(crate) fn settle(server: &Server) {
    let found = server.client().sandboxes().unwrap();
    let ids = |wanted: &str| -> Vec<String> {
        found.iter().filter(|(.., state)| state == wanted).map(|(_, id, _)| id.clone()).collect()
    };
    traces::settle(server, &ids("started"), &ids("stopped"), &ids("archived"));
}

/// What an image is built from.
fn build_info() -> Value {
    json!({ "dockerfileContent": "FROM default\nENV BUILT=here\n" })
}

/// The snapshots that were taken of sandboxes or built: id, name, state.
fn snapshots(client: &Client) -> Result<Vec<(String, String, String)>, Lost> {
    let listed = tell(client.get("/api/snapshots?limit=200"))?.json();
    let made = listed["items"].as_array().cloned().unwrap_or_default().into_iter();
    let is_made =
        |item: &Value| item["sourceSandboxId"].is_string() || item["buildInfo"].is_object();
    let made = made.filter(is_made);
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    Ok(made.map(|item| (text(&item, "id"), text(&item, "name"), text(&item, "state"))).collect())
}

fn snapshot_id(client: &Client, name: &str) -> Result<String, Lost> {
    let found = snapshots(client)?.into_iter().find(|(_, found, _)| found == name);
    Ok(found.unwrap().0)
}

/// Deletes every snapshot that was taken of a sandbox or built.
pub(crate) fn forget_snapshots(client: &Client) -> Result<(), Lost> {
    for (id, ..) in snapshots(client)? {
        tell(client.delete(&format!("/api/snapshots/{id}")))?;
    }
    Ok(())
}

/// Waits until a sandbox is in a state.
fn wait_for(client: &Client, name: &str, state: &str) -> Result<(), Lost> {
    let path = format!("/api/sandbox/{name}");
    let what = format!("{name} {state}");
    until(|| Ok(tell(client.get(&path))?.json()["state"] == state), &what)
}

/// Looks again and again until it is so.
fn until(is_so: impl Fn() -> Result<bool, Lost>, what: &str) -> Result<(), Lost> {
    let began = std::time::Instant::now();
    while !is_so()? {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "not in time: {what}");
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    Ok(())
}

pub(crate) fn tell(answer: std::io::Result<Answer>) -> Result<Answer, Lost> {
    match answer {
        Ok(answer) if answer.is_success() => Ok(answer),
        // The server says that it failed: what that left is nobody's promise.
        Ok(answer) => {
            assert!(answer.status >= 500, "{}", answer.text());
            let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
            Err(Lost::Failed(message))
        }
        Err(_broken) => Err(Lost::Broken),
    }
}
