//! Images from a registry, and the passwords of registries, in what a client was told of them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::client::Client;
use crate::ledger::{Ledger, Lost, tell};
use crate::server::Server;
use crate::wait_until;

const SNAPSHOT: &str = "pulled";
const REGISTRY: &str = "registry";
/// What the file in a layer has.
const LAYER_BYTES: usize = 2 << 20;

/// The registry of all tests, which has one image of two layers. It lives as long as the process.
pub(crate) fn registry() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| serve(|| {}))
}

/// A registry of its own with the same image, which stops half-way through each layer until it is let go on.
pub(crate) struct Halting {
    pub(crate) name: String,
    door: Arc<Door>,
}

#[derive(Default)]
struct Door {
    /// How many wait, and whether they may go on.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Halting {
    pub(crate) fn start() -> Self {
        let door = Arc::new(Door::default());
        let halt = {
            let door = Arc::clone(&door);
            move || {
                let mut state = door.state.lock().unwrap();
                state.0 += 1;
                door.changed.notify_all();
                drop(door.changed.wait_while(state, |(_, is_open)| !*is_open).unwrap());
            }
        };
        Self { name: serve(halt), door }
    }

    /// Waits until somebody has had half of a layer.
    pub(crate) fn is_half_way(&self) {
        let state = self.door.state.lock().unwrap();
        let limit = std::time::Duration::from_secs(60);
        let (_state, waited) =
            self.door.changed.wait_timeout_while(state, limit, |(count, _)| *count == 0).unwrap();
        assert!(!waited.timed_out(), "nobody asks for a layer");
    }

    /// Lets it go on, from now on without a stop.
    pub(crate) fn go_on(&self) {
        self.door.state.lock().unwrap().1 = true;
        self.door.changed.notify_all();
    }
}

/// Starts a registry that calls `halt` in the middle of each layer, and answers what it is called.
fn serve(halt: impl Fn() + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    let answers = image();
    std::thread::spawn(move || {
        std::thread::scope(|scope| {
            for stream in listener.incoming().flatten() {
                let (answers, halt) = (&answers, &halt);
                // Whoever asks may die in the middle, or open a connection and say nothing.
                scope.spawn(move || drop(answer(&stream, answers, halt)));
            }
        });
    });
    name
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// What is answered to which path.
fn image() -> BTreeMap<String, Vec<u8>> {
    let layer = |name: &str| {
        let mut archive = tar::Builder::new(Vec::new());
        let contents = crate::points::contents(LAYER_BYTES);
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len().try_into().unwrap());
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        archive.append_data(&mut header, name, contents.as_slice()).unwrap();
        archive.into_inner().unwrap()
    };
    let layers = [layer("one"), layer("two")];
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture, "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": layers.each_ref().map(|layer| digest(layer))},
    })
    .to_string()
    .into_bytes();
    let descriptor = |kind: &str, blob: &[u8]| json!({"mediaType": kind, "digest": digest(blob), "size": blob.len()});
    let manifest = json!({
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": layers.each_ref().map(|it| descriptor("application/vnd.oci.image.layer.v1.tar", it)),
    });
    let mut answers = BTreeMap::new();
    answers.insert("/v2/app/manifests/1".to_owned(), manifest.to_string().into_bytes());
    for blob in layers.into_iter().chain([config]) {
        answers.insert(format!("/v2/app/blobs/{}", digest(&blob)), blob);
    }
    answers
}

fn answer(
    mut stream: &TcpStream,
    answers: &BTreeMap<String, Vec<u8>>,
    halt: &impl Fn(),
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let asked = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let found = asked.split(' ').nth(1).and_then(|path| answers.get(path));
    let (status, body) = found.map_or(("404 Not Found", [].as_slice()), |body| ("200 OK", body));
    write!(
        stream,
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    if body.len() < LAYER_BYTES {
        return stream.write_all(body);
    }
    let (first, second) = body.split_at(body.len() / 2);
    stream.write_all(first)?;
    halt();
    stream.write_all(second)
}

impl Ledger {
    /// Keeps a password, has an image pulled, and forgets the password.
    pub(crate) fn pull(&mut self, client: &Client) -> Result<(), Lost> {
        let name = registry();
        let kept = json!({ "name": REGISTRY, "url": format!("http://{name}"), "username": "me", "password": "word" });
        let kept = tell(client.post("/api/docker-registry", &kept))?.json();
        let wish = json!({ "name": SNAPSHOT, "imageName": format!("{name}/app:1") });
        tell(client.post("/api/snapshots", &wish))?;
        let began = std::time::Instant::now();
        while state(client)?.as_deref() != Some("active") {
            let listed = tell(client.get("/api/snapshots?limit=200"))?.text();
            assert_ne!(state(client)?.as_deref(), Some("error"), "{listed}");
            assert!(
                began.elapsed() < std::time::Duration::from_secs(60),
                "the image does not come"
            );
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        let id = kept["id"].as_str().unwrap();
        tell(client.delete(&format!("/api/docker-registry/{id}"))).map(drop)
    }
}

/// The state of the snapshot, if there is one.
fn state(client: &Client) -> Result<Option<String>, Lost> {
    let listed = tell(client.get("/api/snapshots?limit=200"))?.json();
    let items = listed["items"].as_array().cloned().unwrap_or_default();
    let found = items.into_iter().find(|item| item["name"] == SNAPSHOT);
    Ok(found.and_then(|item| item["state"].as_str().map(str::to_owned)))
}

/// What was begun is finished by whichever server comes next, and nothing half-made is left.
pub(crate) fn check(server: &Server) {
    let client = server.client();
    if state(&client).unwrap().is_some() {
        wait_until("the image comes", || state(&client).unwrap().as_deref() == Some("active"));
    }
    let layers = std::fs::read_dir(server.images().join("layers")).into_iter().flatten().flatten();
    let names = layers.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let half_made: Vec<String> = names.filter(|name| name.starts_with(".unpacking")).collect();
    assert_eq!(half_made, Vec::<String>::new());
    // Registries are there or gone, and can be read.
    let registries = tell(client.get("/api/docker-registry")).unwrap().json();
    for registry in registries.as_array().unwrap() {
        assert_eq!(registry["name"], REGISTRY);
        tell(client.delete(&format!("/api/docker-registry/{}", registry["id"].as_str().unwrap())))
            .unwrap();
    }
}

/// Deletes the snapshot and its image, if they are there; then nothing of them is left.
pub(crate) fn forget(server: &Server) {
    let client = server.client();
    if state(&client).unwrap().is_some() {
        let found = tell(client.get(&format!("/api/snapshots/{SNAPSHOT}"))).unwrap().json();
        let id = found["id"].as_str().unwrap();
        tell(client.delete(&format!("/api/snapshots/{id}"))).unwrap();
    }
    let cache = server.images();
    let cache = cache.to_str().unwrap();
    let image = |arguments: &[&str]| {
        let words = [&["image"], arguments, &["--image-cache", cache]].concat();
        server.command(&words).wait_with_output().unwrap()
    };
    let name = format!("{}/app:1", registry());
    if String::from_utf8_lossy(&image(&["ls"]).stdout).contains(&name) {
        let removed = image(&["rm", &name]);
        assert!(removed.status.success(), "{removed:?}");
    }
    assert!(image(&["gc"]).status.success());
    let layers = std::fs::read_dir(server.images().join("layers")).into_iter().flatten().flatten();
    let is_layer = |name: &String| name.len() == 64;
    let names = layers.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert_eq!(names.filter(is_layer).count(), 0);
}
