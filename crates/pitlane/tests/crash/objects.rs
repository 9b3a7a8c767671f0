//! Object storage for the volumes of one server, which outlives it; and servers that end while it has their volumes.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::client::Client;
use crate::ledger::{Ledger, Lost, tell};
use crate::server::Server;
use crate::{traces, trial, wait_until};

#[path = "../../../objects/tests/storage/mod.rs"]
#[expect(dead_code, reason = "each test uses a part of it")]
mod storage;

use storage::{BUCKET, ID, Mood, SECRET, Storage};

/// Objects in memory, and what serves them.
pub(crate) struct ObjectStore {
    storage: Storage,
    _runtime: tokio::runtime::Runtime,
}

/// What all keys begin with.
const PREFIX: &str = "all";
/// Objects of a volume that others have filled.
const MANY: usize = 400;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("a_server_ends_while_a_volume_of_many_objects_is_deleted", ends_while_deleting)]
}

impl ObjectStore {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self { storage: runtime.block_on(Storage::start()), _runtime: runtime }
    }

    /// Has a server keep volumes here from its next start on.
    pub(crate) fn serve(&self, server: &mut Server) {
        let key = server.folder().join("object-key");
        std::fs::write(&key, format!("{ID}\n{SECRET}\n")).unwrap();
        let access = self.storage.access(PREFIX);
        server.say(&["--volume-endpoint", &access.location().endpoint]);
        server.say(&["--volume-bucket", BUCKET, "--volume-prefix", PREFIX]);
        server.say(&["--volume-access-key-file", key.to_str().unwrap()]);
    }

    /// Puts files into a volume, as another machine would.
    pub(crate) fn fill(&self, client: &Client, volume: &str, count: usize) -> Result<(), Lost> {
        let found = tell(client.get(&format!("/api/volumes/by-name/{volume}")))?.json();
        let id = found["id"].as_str().expect("an id");
        for number in 0..count {
            self.storage.put(&format!("{PREFIX}/{id}/folder/{number}"), b"contents");
        }
        Ok(())
    }

    /// Checks that every object is one of a volume that there is.
    pub(crate) fn check(&self, client: &Client) {
        let volumes = client.get("/api/volumes").unwrap().json();
        let ids = volumes.as_array().expect("a list").iter().map(|volume| volume["id"].as_str());
        let prefixes: Vec<String> = ids.map(|id| format!("{PREFIX}/{}/", id.unwrap())).collect();
        let is_known = |key: &String| prefixes.iter().any(|prefix| key.starts_with(prefix));
        let others: Vec<String> =
            self.storage.keys().into_iter().filter(|key| !is_known(key)).collect();
        assert_eq!(others, Vec::<String>::new(), "nobody's: {prefixes:?}");
        assert_eq!(self.storage.uploads(), 0);
    }
}

fn ends_while_deleting() {
    let objects = ObjectStore::start();
    let mut server = Server::new(0);
    objects.serve(&mut server);
    server.start();
    let client = server.client();
    let mut ledger = Ledger::default();
    ledger.make_volume(&client, "many").unwrap();
    objects.fill(&client, "many", MANY).unwrap();
    let before = objects.storage.keys().len();
    objects.storage.be(Mood::Slow);
    let found = client.get("/api/volumes/by-name/many").unwrap().json();
    let path = format!("/api/volumes/{}", found["id"].as_str().unwrap());
    let asked = client.open("DELETE", &path, "application/json", b"").unwrap();
    wait_until("some are gone", || objects.storage.keys().len() < before - 3);
    drop(asked);
    let began = Instant::now();
    server.terminate();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(objects.storage.keys().len() > 10, "the rest was left to the next one");
    objects.storage.be(Mood::Working);
    server.start();
    let client = server.client();
    wait_until("the next server goes on", || {
        client.get("/api/volumes").unwrap().json().as_array().expect("a list").is_empty()
    });
    assert_eq!(objects.storage.keys(), Vec::<String>::new());
    crate::volumes::forget(&server);
    traces::settle(&server, &[], &[], &[]);
    server.terminate();
    traces::gone(&server);
}
