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
}
