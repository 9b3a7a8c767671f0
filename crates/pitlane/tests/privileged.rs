//! The commands against a server that makes real sandboxes: needs root.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod program;

/// By this name the test runner knows that few of these run at a time.
mod privileged {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::time::{Duration, Instant};

    use crate::program::{Server, outcome, send};

    /// A server that takes its sandboxes along when it ends.
    fn server() -> Server {
        Server::real(&["--stop-sandboxes"])
    }

    /// Waits until the server has no sandbox: deleting one goes on after the answer.
    fn wait_until_empty(server: &Server) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let listed = server.run(&["sandbox", "ls", "--json"], "");
            if listed == outcome(0, "[]\n", "") {
                return;
            }
            assert!(Instant::now() < deadline, "sandboxes are left: {listed:?}");
        }
    }

    #[test]
    fn a_program_runs_its_output_arrives_unchanged_and_so_does_its_code() {
        let server = server();
        let source = "import sys, os\nprint(sys.argv[1:], os.environ['A'])\nprint('oops', file=sys.stderr)\nsys.exit(7)\n";
        let ran = server.run(&["run", "--env", "A=b c", "-", "x y", "--z"], source);
        assert_eq!(ran, outcome(7, "['x y', '--z'] b c\n", "oops\n"));
        wait_until_empty(&server);
    }

    #[test]
    fn arguments_after_two_dashes_reach_the_command_one_by_one() {
        let server = server();
        assert_eq!(server.run(&["sandbox", "create", "--name", "x"], "").0, 0);
        let arguments = ["a b", "", "it's", "$HOME", "`id`", "*", "A=1", "x\ny", "é", "\\n"];
        let command = ["sandbox", "exec", "x", "--", "printf", "<%s>"];
        let printed: String = arguments.iter().map(|argument| format!("<{argument}>")).collect();
        assert_eq!(server.run(&[&command[..], &arguments].concat(), ""), outcome(0, &printed, ""));
    }

    #[test]
    fn output_comes_while_the_program_runs_and_ctrl_c_leaves_no_sandbox() {
        let server = server();
        let script = tempfile::Builder::new().suffix(".sh").tempfile().unwrap();
        std::fs::write(script.path(), "echo begun; sleep 1000").unwrap();
        let mut running = server.begin(&["run", script.path().to_str().unwrap()]);
        let mut output = BufReader::new(running.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "begun\n");
        send("INT", &running);
        let mut said = String::new();
        running.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(
            (running.wait().unwrap().code(), said.as_str()),
            (Some(130), "error: interrupted\n")
        );
        wait_until_empty(&server);
    }

    #[test]
    fn a_killed_server_leaves_sandboxes_running_and_the_next_one_takes_them_over() {
        let mut server = server();
        assert_eq!(server.run(&["sandbox", "create", "--name", "x"], "").0, 0);
        let begin = [
            "sandbox",
            "exec",
            "x",
            "--",
            "sh",
            "-c",
            "sleep 1000 >/dev/null 2>&1 & echo $! >/tmp/pid",
        ];
        assert_eq!(server.run(&begin, ""), outcome(0, "", ""));
        assert!(!server.end("KILL").success());
        server.start_again();
        let look =
            ["sandbox", "exec", "x", "--", "sh", "-c", "kill -0 $(cat /tmp/pid) && echo runs"];
        assert_eq!(server.run(&look, ""), outcome(0, "runs\n", ""));
    }

    #[test]
    fn a_server_that_ends_leaves_sandboxes_running_unless_told_otherwise() {
        let mut server = Server::real(&[]);
        let look = [
            "sandbox",
            "exec",
            "x",
            "--",
            "cat",
            "/proc/sys/kernel/random/boot_id",
            "/proc/1/stat",
        ];
        assert_eq!(server.run(&["sandbox", "create", "--name", "x"], "").0, 0);
        let before = server.run(&look, "");
        assert!(server.end("TERM").success());
        server.start_again();
        let after = server.run(&look, "");
        assert_eq!(before.0, 0, "{before:?}");
        // The time at which process 1 started is the 22nd number: the same process answers.
        let started = |text: &str| text.split_whitespace().nth(22).map(str::to_owned);
        assert_eq!(started(&before.1), started(&after.1));
        assert_eq!(server.run(&["sandbox", "rm", "x"], "").0, 0);
    }

    #[test]
    fn folders_and_streams_are_copied_into_out_of_and_between_sandboxes() {
        use std::os::unix::fs::PermissionsExt as _;

        let server = server();
        for name in ["x", "y"] {
            assert_eq!(server.run(&["sandbox", "create", "--name", name], "").0, 0);
        }
        let here = tempfile::tempdir().unwrap();
        let tree = here.path().join("tree");
        std::fs::create_dir_all(tree.join("empty")).unwrap();
        // More than one piece, and no text.
        let bytes: Vec<u8> = (0..700_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        std::fs::write(tree.join("ü \n b"), &bytes).unwrap();
        std::fs::write(tree.join("run"), "#!/bin/sh\necho ran\n").unwrap();
        std::fs::set_permissions(tree.join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("run", tree.join("link")).unwrap();

        let path = tree.to_str().unwrap();
        let said = format!("left out {path}/link: a symbolic link; --follow-links follows it\n");
        assert_eq!(server.run(&["sandbox", "cp", path, "x:"], ""), outcome(0, "", &said));
        assert_eq!(server.run(&["sandbox", "cp", "x:tree", "y:/tmp/new"], ""), outcome(0, "", ""));
        let back = here.path().join("back");
        let back_path = back.to_str().unwrap();
        assert_eq!(server.run(&["sandbox", "cp", "y:/tmp/new", back_path], ""), outcome(0, "", ""));
        assert_eq!(std::fs::read(back.join("ü \n b")).unwrap(), bytes);
        assert!(back.join("empty").is_dir() && !back.join("link").exists());
        let mode = std::fs::metadata(back.join("run")).unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o700);
        let ran = server.run(&["sandbox", "exec", "y", "--", "/tmp/new/run"], "");
        assert_eq!(ran, outcome(0, "ran\n", ""));

        assert_eq!(server.run(&["sandbox", "cp", "-", "x:/tmp/in"], "a\nb"), outcome(0, "", ""));
        assert_eq!(server.run(&["sandbox", "cp", "x:/tmp/in", "-"], ""), outcome(0, "a\nb", ""));
        let itself = server.run(&["sandbox", "cp", "x:/tmp", "x:/tmp/./inner"], "");
        let said = "error: x:/tmp would be copied into itself, x:/tmp/./inner\n";
        assert_eq!(itself, outcome(2, "", said));
        let absent = server.run(&["sandbox", "cp", "x:/nope", back_path], "");
        assert!(absent.0 == 4 && absent.2.contains("error: cannot copy x:/nope\n"), "{absent:?}");
    }
}
