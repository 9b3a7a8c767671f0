//! Operations on files in any order, beside a model of what they must do.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use proptest::prelude::*;
use proptest::sample::select;

use crate::daemon::Daemon;

/// Few enough to meet each other.
const PATHS: [&str; 9] = ["a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/b/c", "c/d/e", "b/c"];

#[derive(Debug, Clone)]
enum Operation {
    Upload(&'static str, u8),
    Folder(&'static str),
    Delete(&'static str, bool),
    Move(&'static str, &'static str),
    Download(&'static str),
}

fn operation() -> impl Strategy<Value = Operation> {
    let path = || select(&PATHS[..]);
    prop_oneof![
        (path(), any::<u8>()).prop_map(|(path, byte)| Operation::Upload(path, byte)),
        path().prop_map(Operation::Folder),
        (path(), any::<bool>()).prop_map(|(path, all)| Operation::Delete(path, all)),
        (path(), path()).prop_map(|(from, to)| Operation::Move(from, to)),
        path().prop_map(Operation::Download),
    ]
}

/// Files with their bytes, and folders, by path.
#[derive(Debug, Default)]
struct Model(BTreeMap<String, Option<u8>>);

#[derive(PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Missing,
    /// There is a file where a folder would have to be.
    BelowFile,
}

impl Model {
    fn kind(&self, path: &str) -> Kind {
        let above = ancestors(path).any(|above| matches!(self.0.get(above), Some(Some(_))));
        match self.0.get(path) {
            Some(Some(_)) => Kind::File,
            Some(None) => Kind::Folder,
            None if above => Kind::BelowFile,
            None => Kind::Missing,
        }
    }

    fn make_above(&mut self, path: &str) {
        for above in ancestors(path) {
            self.0.insert(above.to_owned(), None);
        }
    }

    /// The status it must be answered with; of two where the kernel may see either reason first.
    fn apply(&mut self, operation: &Operation) -> (u16, u16) {
        let status = match *operation {
            Operation::Upload(path, byte) => match self.kind(path) {
                Kind::File | Kind::Missing => {
                    self.make_above(path);
                    self.0.insert(path.to_owned(), Some(byte));
                    200
                }
                Kind::Folder | Kind::BelowFile => 400,
            },
            Operation::Folder(path) => match self.kind(path) {
                Kind::Folder | Kind::Missing => {
                    self.make_above(path);
                    self.0.insert(path.to_owned(), None);
                    201
                }
                Kind::File | Kind::BelowFile => 400,
            },
            Operation::Delete(path, all) => match self.kind(path) {
                Kind::Missing => 404,
                Kind::BelowFile => 400,
                Kind::Folder if !all => 400,
                Kind::File | Kind::Folder => {
                    self.take(path);
                    204
                }
            },
            Operation::Move(from, to) => return self.relocate(from, to),
            Operation::Download(path) => match self.kind(path) {
                Kind::File => 200,
                Kind::Missing => 404,
                Kind::Folder | Kind::BelowFile => 400,
            },
        };
        (status, status)
    }

    fn relocate(&mut self, from: &str, to: &str) -> (u16, u16) {
        let above = to.rsplit_once('/').map_or(Kind::Folder, |(above, _)| self.kind(above));
        let same = |status| (status, status);
        match (self.kind(from), above) {
            (Kind::Missing, _) => same(404),
            (Kind::BelowFile, _) | (_, Kind::File | Kind::BelowFile) => same(400),
            (_, Kind::Missing) => same(404),
            (Kind::File | Kind::Folder, Kind::Folder) => {
                let is_inside = to.starts_with(&format!("{from}/"));
                match (is_inside, self.0.contains_key(to)) {
                    (true, true) => (400, 409),
                    (true, false) => same(400),
                    (false, true) => same(409),
                    (false, false) => {
                        for (path, kind) in self.take(from) {
                            self.0.insert(format!("{to}{}", &path[from.len()..]), kind);
                        }
                        same(200)
                    }
                }
            }
        }
    }

    /// Takes what is at a path and below it.
    fn take(&mut self, path: &str) -> BTreeMap<String, Option<u8>> {
        let below = format!("{path}/");
        let is_taken = |key: &str| key == path || key.starts_with(&below);
        let (taken, left) =
            std::mem::take(&mut self.0).into_iter().partition(|(key, _)| is_taken(key));
        self.0 = left;
        taken
    }
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

async fn ask(daemon: &Daemon, operation: &Operation) -> (u16, Bytes) {
    let (method, target, body) = match operation {
        Operation::Upload(path, byte) => {
            ("POST", format!("/files/upload-v2?path=root/{path}"), vec![*byte])
        }
        Operation::Folder(path) => ("POST", format!("/files/folder?path=root/{path}"), vec![]),
        Operation::Delete(path, all) => {
            ("DELETE", format!("/files?path=root/{path}&recursive={all}"), vec![])
        }
        Operation::Move(from, to) => {
            ("POST", format!("/files/move?source=root/{from}&destination=root/{to}"), vec![])
        }
        Operation::Download(path) => ("GET", format!("/files/download?path=root/{path}"), vec![]),
    };
    let request = Request::builder().method(method).uri(target).body(Full::from(body));
    let (status, body) = daemon.ask(request.expect("a request")).await;
    (status.as_u16(), body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn files_are_as_the_model_has_them(operations in proptest::collection::vec(operation(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (daemon, mut model) = (Daemon::start(), Model::default());
            std::fs::create_dir(daemon.path("root")).expect("a folder");
            for operation in &operations {
                let (one, other) = model.apply(operation);
                let (status, body) = ask(&daemon, operation).await;
                assert!(status == one || status == other, "{operation:?}: {status} {body:?}");
                if let (Operation::Download(path), 200) = (operation, status) {
                    assert_eq!(Some(body.to_vec()), model.0[*path].map(|byte| vec![byte]));
                }
            }
            let (_, listed) = daemon.call("GET", "/files?path=root&depth=9").await;
            let root = format!("{}/", daemon.path("root").display());
            let mut found: Vec<(String, bool)> = listed
                .as_array()
                .expect("a list")
                .iter()
                .map(|info| {
                    let path = info["path"].as_str().expect("a path");
                    (path.replacen(&root, "", 1), info["isDir"] == true)
                })
                .collect();
            found.sort();
            let wanted: Vec<(String, bool)> =
                model.0.into_iter().map(|(path, file)| (path, file.is_none())).collect();
            assert_eq!(found, wanted);
        });
    }
}
