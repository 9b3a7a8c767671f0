//! The tools of agents against a server that makes real sandboxes: needs root.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod program;

/// By this name the test runner knows that few of these run at a time.
mod privileged {
    use std::time::{Duration, Instant};

    use pitlane_tools::{Answer, Call, Client, Endpoint, Key, Settings, Tools};
    use serde_json::{Value, json};

    use crate::program::Server;

    /// A server with one sandbox named `x`, and tools for it.
    struct Place {
        runtime: tokio::runtime::Runtime,
        tools: Tools,
        server: Server,
    }

    impl Place {
        fn new(settings: Settings) -> Self {
            let place = Self::empty(settings);
            let made = place.ok("create_sandbox", json!({ "name": "x" }));
            assert_eq!((&made["name"], &made["status"]), (&json!("x"), &json!("started")));
            place
        }

        fn empty(settings: Settings) -> Self {
            Self::with(settings, &["--stop-sandboxes"])
        }

        fn with(settings: Settings, more: &[&str]) -> Self {
            let server = Server::real(more);
            let ready: Value = serde_json::from_str(server.ready_line()).unwrap();
            let key = std::fs::read_to_string(format!("{}/admin-key", server.state())).unwrap();
            let endpoint =
                Endpoint::new(ready["url"].as_str().unwrap(), Key::new(&key).unwrap()).unwrap();
            let tools = Tools::new(Client::new(endpoint), settings);
            let runtime = tokio::runtime::Runtime::new().unwrap();
            Self { runtime, tools, server }
        }

        fn call(&self, method: &str, params: Value) -> Answer {
            let call = Call::parse(method, params).unwrap();
            self.runtime.block_on(self.tools.call(call, &()))
        }

        /// What an operation answers that must not fail.
        fn ok(&self, method: &str, params: Value) -> Value {
            let answer = self.call(method, params);
            assert!(!answer.failed, "{}", answer.text);
            answer.structured
        }

        fn shell(&self, command: &str) -> Value {
            self.ok("execute_shell", json!({ "sandbox_id": "x", "command": command }))
        }

        fn file(&self, operation: &str, path: &str, more: Value) -> Answer {
            let mut params = more;
            params["sandbox_id"] = json!("x");
            params["operation"] = json!(operation);
            params["file_path"] = json!(path);
            self.call("file_operation", params)
        }

        fn git(&self, operation: &str, more: Value) -> Answer {
            let mut params = more;
            params["sandbox_id"] = json!("x");
            params["operation"] = json!(operation);
            self.call("git_operation", params)
        }

        fn session(&self, action: &str, more: Value) -> Answer {
            let mut params = more;
            params["sandbox_id"] = json!("x");
            params["action"] = json!(action);
            self.call("exec_session", params)
        }

        /// Waits until a command prints what is wanted.
        fn wait_for(&self, command: &str, wanted: &str) {
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let said = self.shell(command)["stdout"].as_str().unwrap().to_owned();
                if said.trim() == wanted {
                    return;
                }
                assert!(Instant::now() < deadline, "{command}: {said}");
            }
        }
    }

    #[test]
    fn code_is_data_whatever_quotes_are_in_it() {
        let place = Place::new(Settings::default());
        let run = |code: &str, language: &str, folder: Option<&str>| {
            let params = json!({
                "sandbox_id": "x", "code": code, "language": language, "working_directory": folder,
            });
            let done = place.ok("execute_code", params);
            let text = |name: &str| done[name].as_str().unwrap().to_owned();
            (done["exit_code"].as_i64().unwrap(), text("stdout"), text("stderr"), text("message"))
        };
        let ended = |code, stdout: &str, stderr: &str| {
            let message =
                if code == 0 { "Code executed successfully" } else { "Code execution failed" };
            (code, stdout.to_owned(), stderr.to_owned(), message.to_owned())
        };
        let quotes = "print('it\\'s', \"$HOME `id` \\\\ !\", '''a\nb''')";
        let printed = "it's $HOME `id` \\ ! a\nb\n";
        assert_eq!(run(quotes, "python", None), ended(0, printed, ""));
        assert_eq!(run(quotes, "python", Some("/tmp")), ended(0, printed, ""));
        let both = "import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(3)";
        assert_eq!(run(both, "python", None), ended(3, "out\n", "err\n"));
        let future = "from __future__ import annotations\nimport os\nprint(os.getcwd(), __name__)";
        assert_eq!(run(future, "python", Some("/usr/lib")), ended(0, "/usr/lib __main__\n", ""));
        let failed = run("1/0", "python", Some("/tmp"));
        assert!(failed.0 == 1 && failed.2.contains("ZeroDivisionError"), "{failed:?}");
        let nowhere = run("print(1)", "python", Some("/no'where"));
        assert!(nowhere.0 == 1 && nowhere.2.contains("/no'where"), "{nowhere:?}");
        if place.shell("command -v node || true")["stdout"] != "" {
            let script = "console.log(`it's`, \"\\\"\", process.cwd())";
            assert_eq!(run(script, "js", Some("/tmp")), ended(0, "it's \" /tmp\n", ""));
        }
    }

    #[test]
    fn a_command_keeps_its_outputs_apart_and_its_code_is_no_failure() {
        let place = Place::new(Settings::default());
        let ran = place.shell("pwd; echo err >&2; exit 7");
        assert_eq!(ran["stdout"], "/home/daytona\n");
        assert_eq!(ran["stderr"], "err\n");
        assert_eq!(ran["exit_code"], 7);
        assert_eq!(ran["message"], "Command execution failed");
        assert_eq!(place.shell("true")["message"], "Command executed successfully");
        let elsewhere = json!({ "sandbox_id": "x", "command": "pwd", "working_directory": "/usr" });
        assert_eq!(place.ok("execute_shell", elsewhere)["stdout"], "/usr\n");
    }

    #[test]
    fn a_call_that_is_dropped_or_too_late_leaves_nothing_running() {
        let place = Place::new(Settings::default());
        let call = |command: &str, timeout: u32| {
            let params = json!({ "sandbox_id": "x", "command": command, "timeout": timeout });
            Call::parse("execute_shell", params).unwrap()
        };
        let command = "echo before; touch begun; sleep 4711";
        place.runtime.block_on(async {
            let dropped = place.tools.call(call(command, 60), &());
            let begun = async {
                let look = "test -e begun && echo yes || echo no";
                while place.tools.call(call(look, 9), &()).await.structured["stdout"] != "yes\n" {}
            };
            tokio::select! {
                answer = dropped => panic!("{answer:?}"),
                () = begun => {}
            }
        });
        place.wait_for("pgrep -f 'sleep 471[1]' || echo none", "none");
        let late = place.runtime.block_on(place.tools.call(call(command, 1), &()));
        assert!(late.failed, "{late:?}");
        assert_eq!(late.structured["exit_code"], 124);
        assert_eq!(late.structured["stdout"], "before\n");
        assert_eq!(late.structured["message"], "Error executing command: it was ended after 1 s");
        place.wait_for("pgrep -f 'sleep 471[1]' || echo none", "none");
    }

    #[test]
    fn of_a_long_output_the_end_is_told_and_the_rest_can_be_read() {
        let place = Place::new(Settings::default());
        let ran =
            place.call("execute_shell", json!({ "sandbox_id": "x", "command": "seq 100000" }));
        let shown = ran.structured["stdout"].as_str().unwrap();
        assert!(shown.ends_with("99999\n100000\n") && shown.len() <= 16 << 10, "{}", shown.len());
        assert!(
            ran.text.contains("left out") && ran.text.contains(&ran.links[0].uri),
            "{}",
            ran.text
        );
        let mut whole = Vec::new();
        let mut next = Some(ran.links[0].uri.clone());
        while let Some(uri) = next {
            let read = place.runtime.block_on(place.tools.read(&uri)).unwrap();
            whole.extend_from_slice(&read.bytes);
            next = read.next;
        }
        let wanted: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
        assert!(whole == wanted.as_bytes(), "{} bytes", whole.len());
    }

    #[test]
    fn files_are_written_byte_for_byte_and_read_in_windows() {
        let place = Place::new(Settings::default());
        let content = "é'\"\\ $HOME\nno line end";
        let wrote = place.file("write", "a b/ü.txt", json!({ "content": content }));
        assert_eq!(wrote.structured["message"], "Successfully wrote to file a b/ü.txt");
        let read = place.file("read", "a b/ü.txt", json!({}));
        assert_eq!(read.structured["content"], content);
        assert_eq!(read.structured["message"], "Successfully read file a b/ü.txt");
        let large: String = (0..20_000).map(|number| format!("ä{number}\n")).collect();
        assert!(!place.file("write", "large", json!({ "content": large })).failed);
        let (mut whole, mut offset) = (String::new(), json!(0));
        while !offset.is_null() {
            let part = place.file("read", "large", json!({ "offset": offset })).structured;
            whole.push_str(part["content"].as_str().unwrap());
            offset = part["next_offset"].clone();
        }
        assert!(whole == large, "{} bytes", whole.len());
        let listed = place.file("list", "a b", json!({}));
        assert_eq!(listed.structured["files"], json!(["ü.txt"]));
        assert_eq!(listed.structured["message"], "Successfully listed directory a b");
        assert_eq!(
            place.file("create", "new", json!({ "content": "x" })).structured["message"],
            "Successfully created new"
        );
        let again = place.file("create", "new", json!({}));
        assert!(again.failed && again.text.contains("already exists"), "{}", again.text);
        assert!(!place.file("create", "folder/inner/", json!({})).failed);
        let deleted = place.file("delete", "a b", json!({}));
        assert_eq!(deleted.structured["message"], "Successfully deleted a b");
        let gone = place.file("read", "a b/ü.txt", json!({}));
        let message = gone.structured["message"].as_str().unwrap();
        assert!(
            gone.failed && message.starts_with("Error performing file operation: "),
            "{message}"
        );
        place.shell("head -c 100 /dev/urandom > noise; printf '\\377' >> noise");
        let noise = place.file("read", "noise", json!({}));
        assert!(noise.failed && noise.text.contains("is no text"), "{}", noise.text);
    }

    #[test]
    fn files_of_this_machine_are_copied_from_and_to_allowed_folders_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("here"), b"\0\xffbytes").unwrap();
        let folders = vec![folder.path().to_path_buf()];
        let place = Place::new(Settings { folders, ..Settings::default() });
        let up = place.file("upload", "there", json!({ "local_path": "here" }));
        assert_eq!(up.structured["message"], "Successfully uploaded here to there");
        let down = place.file("download", "there", json!({ "local_path": "back" }));
        assert_eq!(down.structured["message"], "Successfully downloaded there to back");
        assert_eq!(std::fs::read(folder.path().join("back")).unwrap(), b"\0\xffbytes");
        for local in ["/etc/passwd", "../etc/passwd"] {
            let refused = place.file("upload", "there", json!({ "local_path": local }));
            assert!(
                refused.failed && refused.text.contains("is not in a folder"),
                "{}",
                refused.text
            );
        }
        let missing = place.file("download", "nothing", json!({ "local_path": "nothing" }));
        assert!(missing.failed, "{}", missing.text);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn repositories_are_cloned_changed_and_pushed_without_a_shell() {
        // The small image has no git.
        let image = ["--stop-sandboxes", "--image", "default"];
        let place = Place::with(Settings::default(), &image);
        place.ok("create_sandbox", json!({ "name": "x" }));
        place.shell(
            "git init -q --bare -b main origin.git && git clone -q origin.git first 2>&1 && cd first && \
             git -c user.name=n -c user.email=e commit -q --allow-empty -m one && git push -q origin HEAD:main",
        );
        let cloned = place.git("clone", json!({ "repository_url": "/home/daytona/origin.git" }));
        assert!(!cloned.failed, "{}", cloned.text);
        assert_eq!(cloned.structured["message"], "Git operation completed successfully");
        let folder = "origin";
        place.file("write", "origin/it's $(id).txt", json!({ "content": "x" }));
        let status = place.git("status", json!({ "working_directory": folder }));
        assert!(status.text.contains("?? it's $(id).txt"), "{}", status.text);
        let message = "it's \"quoted\" $(touch /tmp/pwned) `id`\n\nbody";
        let committed =
            place.git("commit", json!({ "working_directory": folder, "commit_message": message }));
        assert!(!committed.failed, "{}", committed.text);
        let log = place.shell("git -C origin log -1 --format=%B; ls /tmp/pwned 2>/dev/null");
        assert_eq!(log["stdout"].as_str().unwrap().trim_end(), message);
        let pushed = place.git("push", json!({ "working_directory": folder }));
        assert!(!pushed.failed, "{}", pushed.text);
        let pulled = place.git("pull", json!({ "working_directory": folder }));
        assert!(!pulled.failed, "{}", pulled.text);
        place.shell("git -C origin branch other");
        let other =
            place.git("checkout", json!({ "working_directory": folder, "branch": "other" }));
        assert!(!other.failed, "{}", other.text);
        let none = place.git("checkout", json!({ "working_directory": folder, "branch": "none" }));
        assert_eq!(none.structured["message"], "Git operation failed");
        assert!(none.failed && none.structured["success"] == false, "{}", none.text);
    }

    #[test]
    fn a_command_in_a_session_is_polled_fed_and_ended() {
        let place = Place::new(Settings::default());
        let command = "echo ready; read line; echo \"got $line\"; sleep 4712";
        let started = place.session("start", json!({ "command": command }));
        let id = started.structured["session_id"].clone();
        assert!(!started.failed && started.structured["running"] == true, "{}", started.text);
        let poll = |wanted: &str| {
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let polled = place.session("poll", json!({ "session_id": id }));
                if polled.structured["output"].as_str().unwrap().ends_with(wanted) {
                    return polled.structured;
                }
                assert!(Instant::now() < deadline, "{}", polled.text);
            }
        };
        let offset = poll("ready\n")["next_offset"].clone();
        let fed = place.session("stdin", json!({ "session_id": id, "input": "it's" }));
        assert!(!fed.failed, "{}", fed.text);
        poll("got it's\n");
        let rest = place.session("poll", json!({ "session_id": id, "offset": offset }));
        assert!(!rest.structured["output"].as_str().unwrap().contains("ready"), "{}", rest.text);
        let killed = place.session("kill", json!({ "session_id": id }));
        assert!(!killed.failed, "{}", killed.text);
        place.wait_for("pgrep -f 'sleep 471[2]' || echo none", "none");
        let gone = place.session("poll", json!({ "session_id": id }));
        assert!(gone.failed && gone.text.contains("start another"), "{}", gone.text);
        let short = place
            .session("start", json!({ "command": "cat f; exit 3", "working_directory": "/tmp" }));
        let id = short.structured["session_id"].clone();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let polled = place.session("poll", json!({ "session_id": id })).structured;
            if polled["running"] == false {
                assert_eq!(polled["exit_code"], 3);
                break;
            }
            assert!(Instant::now() < deadline, "{polled}");
        }
    }

    #[test]
    fn a_sandbox_is_made_with_everything_found_started_and_deleted() {
        let place = Place::empty(Settings::default());
        let made = place.call(
            "create_sandbox",
            json!({
                "name": "y", "language": "js", "persistent": true,
                "environment_vars": { "API_KEY": "hush", "PLAIN": 1 },
            }),
        );
        assert!(!made.failed, "{}", made.text);
        let id = made.structured["sandbox_id"].as_str().unwrap().to_owned();
        assert_eq!(made.structured["message"], format!("Successfully created sandbox {id}"));
        assert_eq!(made.structured["language"], "javascript");
        for name in [&id[..], "y"] {
            let printed = json!({ "sandbox_id": name, "command": "echo $API_KEY $PLAIN" });
            assert_eq!(place.ok("execute_shell", printed)["stdout"], "hush 1\n");
        }
        let info = place.ok("get_sandbox_info", json!({ "sandbox_id": "y" }));
        assert_eq!(info["environment_vars"], json!({ "API_KEY": "[redacted]", "PLAIN": "1" }));
        assert_eq!(info["message"], "Retrieved information for sandbox y");
        let listed = place.ok("list_sandboxes", json!({}));
        assert_eq!(
            (&listed["count"], &listed["message"]),
            (&json!(1), &json!("Found 1 sandboxes"))
        );
        let preview = place.ok("get_preview_url", json!({ "sandbox_id": "y", "port": 8000 }));
        assert!(preview["url"].as_str().unwrap().starts_with("http://"), "{preview}");
        assert_eq!(place.server.run(&["sandbox", "stop", "y"], "").0, 0);
        // Also one of which it is known where it was.
        let again = json!({ "sandbox_id": id, "command": "echo back" });
        assert_eq!(place.ok("execute_shell", again)["stdout"], "back\n");
        let deleted = place.ok("delete_sandbox", json!({ "sandbox_id": "y" }));
        assert_eq!(deleted["message"], "Successfully deleted sandbox y");
        for name in [&id[..], "y"] {
            let gone =
                place.call("execute_shell", json!({ "sandbox_id": name, "command": "true" }));
            let message = format!("Error executing command: Sandbox '{name}' not found");
            assert_eq!(gone.structured["message"], message);
            assert!(gone.text.contains("list_sandboxes"), "{}", gone.text);
        }
    }

    #[test]
    fn a_sandbox_whose_repository_cannot_be_cloned_is_not_left() {
        let place = Place::empty(Settings::default());
        let params = json!({ "name": "z", "git_repo": "/nowhere/at/all.git" });
        let failed = place.call("create_sandbox", params);
        assert_eq!(failed.structured["status"], "error");
        let message = failed.structured["message"].as_str().unwrap();
        assert!(message.starts_with("Error creating sandbox: cannot clone /nowhere"), "{message}");
        place.runtime.block_on(place.tools.finish(Duration::from_secs(20)));
        let deadline = Instant::now() + Duration::from_secs(20);
        while place.ok("list_sandboxes", json!({}))["count"] != 0 {
            assert!(Instant::now() < deadline, "it is left");
        }
    }
}
