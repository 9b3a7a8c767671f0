//! Whose rights file operations have. Needs root.

mod privileged {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};

    use bytes::Bytes;
    use http::{Request, StatusCode};
    use http_body_util::Full;
    use rustix::fs::{Gid, Uid, chown};
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    use serde_json::{Value, json};

    use crate::daemon::Daemon;

    fn of_nobody() -> Daemon {
        let daemon = Daemon::start_with(&json!({"user": "nobody"}), &[]);
        open_to_all(daemon.folder());
        daemon
    }

    fn open_to_all(path: &Path) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("a mode");
    }

    async fn upload(
        daemon: &Daemon,
        path: &str,
        contents: impl Into<Bytes>,
    ) -> (StatusCode, Value) {
        let request = Request::post(format!("/files/upload-v2?path={path}"));
        let (status, body) =
            daemon.ask(request.body(Full::new(contents.into())).expect("a request")).await;
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    fn owner(path: PathBuf) -> (u32, u32, u32) {
        let status = std::fs::symlink_metadata(path).expect("a file");
        (status.uid(), status.gid(), status.mode() & 0o7777)
    }

    #[tokio::test]
    async fn root_inside_cannot_read_the_daemon_through_its_own_eyes() {
        // The daemon belongs to root and so does its user: nothing but the daemon itself is in the way.
        let daemon = Daemon::start();
        let own = daemon.id();
        for process in ["self", "thread-self", &own.to_string()] {
            for file in ["environ", "mem", "maps", "status", "fd", "oom_score_adj"] {
                let path = format!("/proc/{process}/{file}");
                for target in ["info", "download", "find"] {
                    let (status, answer) =
                        daemon.call("GET", &format!("/files/{target}?path={path}&pattern=a")).await;
                    assert_eq!(status, StatusCode::FORBIDDEN, "{target} {path}: {answer}");
                }
                let (status, answer) = upload(&daemon, &path, "1").await;
                assert!(status.is_client_error(), "{path}: {answer}");
                let change = json!({"files": [path], "pattern": "a", "newValue": "b"});
                let (_, results) = daemon.post("/files/replace", &change).await;
                assert_eq!(results[0]["success"], false, "{path}");
            }
            for link in ["root", "cwd", "exe", "fd/3", "root/etc/passwd", "cwd/x"] {
                let path = format!("/proc/{process}/{link}");
                let (status, answer) =
                    daemon.call("GET", &format!("/files/download?path={path}")).await;
                assert!(status.is_client_error(), "{path}: {answer}");
                let (status, answer) = upload(&daemon, &path, "1").await;
                assert!(status.is_client_error(), "{path}: {answer}");
            }
        }
        assert_eq!(daemon.execute("echo well").await["result"], "well\n");
    }

    #[tokio::test]
    async fn what_belongs_to_others_stays_theirs_when_it_is_written() {
        let daemon = of_nobody();
        std::fs::write(daemon.path("shared"), "a longer old text").expect("a file");
        std::fs::set_permissions(daemon.path("shared"), std::fs::Permissions::from_mode(0o4666))
            .expect("a mode");
        let inode = std::fs::metadata(daemon.path("shared")).expect("a file").ino();
        let (status, answer) = upload(&daemon, "shared", "new").await;
        assert_eq!((status, daemon.text("shared").as_str()), (StatusCode::OK, "new"), "{answer}");
        assert_eq!(std::fs::metadata(daemon.path("shared")).expect("a file").ino(), inode);
        // Writing takes the setuid bit, as always.
        assert_eq!(owner(daemon.path("shared")), (0, 0, 0o666));
        // In a folder where the user may not make files, one may still be written.
        std::fs::create_dir(daemon.path("closed")).expect("a folder");
        std::fs::write(daemon.path("closed/file"), "old").expect("a file");
        open_to_all(&daemon.path("closed/file"));
        assert_eq!(upload(&daemon, "closed/file", "new").await.0, StatusCode::OK);
        assert_eq!(daemon.text("closed/file"), "new");
        let (status, answer) = upload(&daemon, "closed/other", "new").await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::FORBIDDEN, &json!("FILE_ACCESS_DENIED"))
        );
        // Not to be written, though the folder would let it be replaced.
        std::fs::write(daemon.path("read-only"), "old").expect("a file");
        assert_eq!(upload(&daemon, "read-only", "new").await.0, StatusCode::FORBIDDEN);
        assert_eq!(daemon.text("read-only"), "old");
    }

    #[tokio::test]
    async fn new_files_are_the_users_and_have_no_special_bits() {
        let daemon = of_nobody();
        let id = |flag: &str| {
            let command = format!("id -{flag}");
            let daemon = &daemon;
            async move {
                let answer = daemon.execute(&command).await;
                answer["result"].as_str().expect("text").trim().parse::<u32>().expect("an id")
            }
        };
        let (uid, gid) = (id("u").await, id("g").await);
        assert_eq!(upload(&daemon, "new/inner/file", "1").await.0, StatusCode::OK);
        assert_eq!(owner(daemon.path("new/inner/file")), (uid, gid, 0o644));
        assert_eq!(owner(daemon.path("new/inner")), (uid, gid, 0o755));
        daemon.execute("chmod 6755 new/inner/file").await;
        assert_eq!(upload(&daemon, "new/inner/file", "2").await.0, StatusCode::OK);
        assert_eq!(owner(daemon.path("new/inner/file")), (uid, gid, 0o755));
    }

    #[tokio::test]
    async fn a_hard_link_to_a_file_of_others_gives_no_right_to_it() {
        let daemon = of_nobody();
        let secret = daemon.path("secret");
        std::fs::write(&secret, "root's own").expect("a file");
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        std::fs::hard_link(&secret, daemon.path("link")).expect("a link");
        assert_eq!(upload(&daemon, "link", "new").await.0, StatusCode::FORBIDDEN);
        for target in
            ["/files/permissions?path=link&mode=777", "/files/permissions?path=link&owner=nobody"]
        {
            assert_eq!(daemon.call("POST", target).await.0, StatusCode::FORBIDDEN);
        }
        assert_eq!(daemon.text("secret"), "root's own");
    }

    #[tokio::test]
    async fn links_that_change_meanwhile_never_lead_to_what_the_user_may_not_touch() {
        let daemon = of_nobody();
        std::fs::create_dir(daemon.path("closed")).expect("a folder");
        std::fs::set_permissions(daemon.path("closed"), std::fs::Permissions::from_mode(0o700))
            .expect("a mode");
        std::fs::write(daemon.path("closed/file"), "root's own").expect("a file");
        let command = "mkdir open; echo mine > open/file; i=0; while [ $i -lt 400 ]; do ln -sfn closed way; ln -sfn open way; i=$((i+1)); done";
        let swapping = daemon.execute(command);
        let using = async {
            for _ in 0..100 {
                let (status, body) = daemon
                    .ask(
                        Request::get("/files/download?path=way/file")
                            .body(Full::default())
                            .expect("a request"),
                    )
                    .await;
                assert!(status != StatusCode::OK || !body.starts_with(b"root"), "{body:?}");
                upload(&daemon, "way/file", "mine").await;
                daemon.call("POST", "/files/permissions?path=way/file&mode=666").await;
                daemon.call("DELETE", "/files?path=way/file").await;
                upload(&daemon, "open/file", "mine").await;
            }
        };
        tokio::join!(swapping, using);
        assert_eq!(daemon.text("closed/file"), "root's own");
        assert_eq!(owner(daemon.path("closed/file")), (0, 0, 0o644));
    }

    #[tokio::test]
    async fn a_removal_does_not_leave_its_folder_by_a_link() {
        let daemon = of_nobody();
        std::fs::create_dir(daemon.path("others")).expect("a folder");
        open_to_all(&daemon.path("others"));
        std::fs::write(daemon.path("others/file"), "kept").expect("a file");
        daemon.execute("mkdir -p tree/a/b/c; touch tree/a/b/c/file").await;
        symlink(daemon.path("others"), daemon.path("tree/a/link")).expect("a link");
        let (status, _) = daemon.call("DELETE", "/files?path=tree&recursive=true").await;
        assert_eq!((status, daemon.text("others/file").as_str()), (StatusCode::NO_CONTENT, "kept"));
    }

    #[tokio::test]
    async fn what_stays_of_a_removal_is_named() {
        let daemon = of_nobody();
        daemon.execute("mkdir -p tree/mine").await;
        std::fs::create_dir(daemon.path("tree/mine/roots")).expect("a folder");
        std::fs::write(daemon.path("tree/mine/roots/file"), "").expect("a file");
        let (status, answer) = daemon.call("DELETE", "/files?path=tree&recursive=true").await;
        assert_eq!(
            (status, &answer["code"], &answer["message"]),
            (
                StatusCode::FORBIDDEN,
                &json!("FILE_ACCESS_DENIED"),
                &json!("access denied: tree/mine/roots/file")
            )
        );
        assert!(daemon.path("tree/mine/roots/file").exists());
    }

    #[tokio::test]
    async fn owners_and_groups_go_by_name_or_number() {
        let daemon = Daemon::start();
        std::fs::write(daemon.path("file"), "").expect("a file");
        for (target, wanted) in [
            ("owner=nobody", Some((65_534, 0, 0o644))),
            ("owner=1234&group=5678&mode=4755", Some((1234, 5678, 0o4755))),
            ("owner=root&group=root", Some((0, 0, 0o755))),
            ("owner=no-such-user", None),
            ("group=no-such-group", None),
            ("owner=4294967295", None),
            ("mode=9", None),
            ("mode=-1", None),
        ] {
            let target = format!("/files/permissions?path=file&{target}");
            let (status, answer) = daemon.call("POST", &target).await;
            match wanted {
                Some(wanted) => {
                    assert_eq!(status, StatusCode::OK, "{target}: {answer}");
                    assert_eq!(owner(daemon.path("file")), wanted, "{target}");
                }
                None => assert_eq!(
                    (status, &answer["code"]),
                    (StatusCode::BAD_REQUEST, &json!("BAD_REQUEST")),
                    "{target}"
                ),
            }
        }
    }

    /// A file system of its own in a folder.
    struct Mount(PathBuf);

    impl Mount {
        fn tmpfs(at: PathBuf, options: &std::ffi::CStr) -> Self {
            std::fs::create_dir_all(&at).expect("a folder");
            mount("tmpfs", &at, "tmpfs", MountFlags::empty(), Some(options)).expect("a mount");
            Self(at)
        }
    }

    impl Drop for Mount {
        fn drop(&mut self) {
            unmount(&self.0, UnmountFlags::DETACH).ok();
        }
    }

    #[tokio::test]
    async fn what_moves_to_another_file_system_is_whole_there_and_gone_here() {
        let daemon = of_nobody();
        let other = Mount::tmpfs(daemon.path("other"), c"size=8m,mode=0777");
        let make = "umask 022; mkdir -p tree/in/deep; printf 1 > tree/in/file; chmod 4751 tree/in/file; \
                    touch -d @100 tree/in/file; ln -s in/file tree/link; mkfifo tree/pipe; chmod 2775 tree/in; \
                    printf single > single; ln -s nowhere dangling";
        daemon.execute(make).await;
        let list = "find . -printf '%P %M %u %l\\n' | sort; stat -c '%Y %s' in/file; cat in/file";
        let before = daemon.execute(&format!("cd tree; {list}")).await;
        let moves =
            [("tree", "other/new"), ("single", "other/single"), ("dangling", "other/dangling")];
        for (source, destination) in moves {
            let target = format!("/files/move?source={source}&destination={destination}");
            let (status, answer) = daemon.call("POST", &target).await;
            assert_eq!(status, StatusCode::OK, "{target}: {answer}");
            assert!(daemon.path(source).symlink_metadata().is_err(), "{source} is still there");
        }
        assert_eq!(daemon.execute(&format!("cd other/new; {list}")).await, before);
        assert_eq!(daemon.text("other/single"), "single");
        let shown = daemon.execute("ls -A other; readlink other/dangling").await;
        assert_eq!(shown["result"], "dangling\nnew\nsingle\nnowhere\n");
        drop(other);
    }

    #[tokio::test]
    async fn a_move_to_another_file_system_that_fails_leaves_everything_where_it_was() {
        let daemon = of_nobody();
        let other = Mount::tmpfs(daemon.path("other"), c"size=1m,mode=0777");
        daemon.execute("mkdir tree; head -c 3000000 /dev/zero > tree/large; printf 1 > other/taken; printf 2 > small").await;
        std::fs::create_dir(daemon.path("roots")).expect("a folder");
        std::fs::write(daemon.path("roots/file"), "3").expect("a file");
        for (source, destination, status) in [
            ("tree", "other/new", StatusCode::INSUFFICIENT_STORAGE),
            ("small", "other/taken", StatusCode::CONFLICT),
            ("small", "other/missing/new", StatusCode::NOT_FOUND),
            ("roots/file", "other/new", StatusCode::FORBIDDEN),
        ] {
            let target = format!("/files/move?source={source}&destination={destination}");
            let (got, answer) = daemon.call("POST", &target).await;
            assert_eq!(got, status, "{target}: {answer}");
        }
        let shown =
            daemon.execute("ls -A other; stat -c %s tree/large small roots/file other/taken").await;
        assert_eq!(shown["result"], "taken\n3000000\n1\n1\n1\n");
        drop(other);
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_leaves_the_old_file_and_nothing_else() {
        let daemon = of_nobody();
        let small = Mount::tmpfs(daemon.path("small"), c"size=1m,mode=0777");
        assert_eq!(upload(&daemon, "small/file", "old").await.0, StatusCode::OK);
        let (status, answer) = upload(&daemon, "small/file", vec![b'x'; 3 << 20]).await;
        assert_eq!(
            (status, &answer["code"], &answer["message"]),
            (
                StatusCode::INSUFFICIENT_STORAGE,
                &json!("DISK_FULL"),
                &json!("no space left on the disk: small/file")
            )
        );
        // In place as well: nothing of the old contents is lost where the new ones have no room.
        std::fs::write(daemon.path("small/roots"), "old").expect("a file");
        open_to_all(&daemon.path("small/roots"));
        let (status, _) = upload(&daemon, "small/roots", vec![b'x'; 3 << 20]).await;
        assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE);
        assert_eq!([daemon.text("small/file"), daemon.text("small/roots")], ["old", "old"]);
        assert_eq!(std::fs::read_dir(&small.0).expect("a folder").count(), 2);
        assert_eq!(upload(&daemon, "small/file", "fits").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_daemon_that_is_killed_leaves_no_trace_of_an_upload() {
        use futures_util::StreamExt as _;
        use http_body_util::StreamBody;
        use hyper::body::Frame;

        let mut daemon = of_nobody();
        let folder = daemon.path("d");
        std::fs::create_dir(&folder).expect("a folder");
        chown(&folder, Some(Uid::from_raw(65_534)), Some(Gid::from_raw(65_534))).expect("an owner");
        let begun = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Frame::data(
            Bytes::from(vec![7; 600_000]),
        ))]);
        let request = Request::post("/files/upload-v2?path=d/inner/file")
            .body(StreamBody::new(begun.chain(futures_util::stream::pending())))
            .expect("a request");
        let mut connection = daemon.connect().await;
        let answer = connection.sender.send_request(request);
        let process = daemon.id();
        let is_written = || {
            let files = std::fs::read_dir(format!("/proc/{process}/fd")).expect("descriptors");
            files.flatten().any(|file| {
                std::fs::read_link(file.path()).is_ok_and(|path| {
                    path.starts_with(&folder) && path.to_string_lossy().contains('#')
                })
            })
        };
        tokio::select! {
            _ = answer => panic!("it was answered"),
            () = crate::daemon::until("the file is being written", is_written) => {}
        }
        daemon.kill();
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0);
    }
}
