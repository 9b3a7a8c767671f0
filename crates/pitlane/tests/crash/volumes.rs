//! Volumes, in what a client was told of them.

use std::collections::BTreeMap;

use serde_json::json;

use crate::client::Client;
use crate::ledger::{Known, Ledger, Lost, tell};
use crate::server::Server;
use crate::wait_until;

/// What is known of volumes.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    /// Those that are surely there, with what was acknowledged to be in their file.
    present: BTreeMap<String, Option<Vec<u8>>>,
    /// Those that surely are not.
    gone: Vec<String>,
}

const FILE: &str = "/data/file";

impl Ledger {
    pub(crate) fn make_volume(&mut self, client: &Client, name: &str) -> Result<(), Lost> {
        let made = tell(client.post("/api/volumes", &json!({ "name": name })))?.json();
        assert_eq!(made["state"], "ready", "{made}");
        self.volumes.present.insert(name.to_owned(), None);
        Ok(())
    }

    /// Makes a sandbox with a volume and with a folder of it, and writes to both.
    pub(crate) fn mount(
        &mut self,
        client: &Client,
        name: &str,
        volume: &str,
        contents: Vec<u8>,
    ) -> Result<(), Lost> {
        let wish = json!({ "name": name, "volumes": [
            { "volumeId": volume, "mountPath": "/data" },
            { "volumeId": volume, "mountPath": "/mnt/part", "subpath": "a/b" },
        ]});
        self.sandboxes.insert(name.to_owned(), Known::default());
        let made = tell(client.post("/api/sandbox", &wish))?.json();
        let known = Known { is_certain: true, state: Some("started"), ..Known::default() };
        self.sandboxes.insert(name.to_owned(), known);
        let id = made["id"].as_str().expect("an id");
        tell(client.upload(id, FILE, &contents))?;
        self.volumes.present.insert(volume.to_owned(), Some(contents));
        let seen = tell(client.execute(id, "echo x > /mnt/part/file && cat /data/a/b/file"))?;
        assert_eq!(seen.json()["result"], "x\n");
        Ok(())
    }

    pub(crate) fn delete_volume(&mut self, client: &Client, name: &str) -> Result<(), Lost> {
        self.volumes.present.remove(name);
        let found = tell(client.get(&format!("/api/volumes/by-name/{name}")))?.json();
        let id = found["id"].as_str().expect("an id");
        tell(client.delete(&format!("/api/volumes/{id}")))?;
        self.volumes.gone.push(name.to_owned());
        Ok(())
    }

    /// Every volume is whole or gone, and holds what it held.
    pub(crate) fn check_volumes(&self, client: &Client) {
        wait_until("every volume is ready or gone", || {
            let all = client.get("/api/volumes").unwrap().json();
            all.as_array().expect("a list").iter().all(|volume| volume["state"] == "ready")
        });
        let status =
            |name: &String| client.get(&format!("/api/volumes/by-name/{name}")).unwrap().status;
        for name in &self.volumes.gone {
            assert_eq!(status(name), 404, "{name} came back");
        }
        for (name, contents) in &self.volumes.present {
            assert_eq!(status(name), 200, "{name} is lost");
            let Some(contents) = contents else { continue };
            let wish = json!({ "volumes": [{ "volumeId": name, "mountPath": "/data" }]});
            let made = client.post("/api/sandbox", &wish).unwrap();
            assert!(made.is_success(), "{name}: {}", made.text());
            let id = made.json()["id"].as_str().expect("an id").to_owned();
            let file = client.download(&id, FILE).unwrap();
            assert!(file.body == *contents, "{name} does not hold what was uploaded");
            assert!(client.delete(&format!("/api/sandbox/{id}")).unwrap().is_success());
            wait_until("it is gone", || {
                client.get(&format!("/api/sandbox/{id}")).unwrap().status == 404
            });
        }
    }
}

/// Deletes every volume, and waits until nothing is left of them.
pub(crate) fn forget(server: &Server) {
    let client = server.client();
    for volume in client.get("/api/volumes").unwrap().json().as_array().expect("a list") {
        let id = volume["id"].as_str().expect("an id");
        let deleted = client.delete(&format!("/api/volumes/{id}")).unwrap();
        assert!(deleted.is_success(), "{}", deleted.text());
    }
    let folder = server.state().join("volumes");
    let names = |folder: &std::path::Path| -> Vec<_> {
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name()).collect()
    };
    // With object storage there is a folder for files that are not uploaded yet, and nothing in it.
    wait_until("no volume is left", || names(&folder).iter().all(|name| name == "staging"));
    for staging in names(&folder) {
        assert_eq!(names(&folder.join(staging)), Vec::<std::ffi::OsString>::new());
    }
}
