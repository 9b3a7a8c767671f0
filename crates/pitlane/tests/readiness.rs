//! What a server says of itself when its disk is full and when its launcher is gone: needs root.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts the program it tests"
)]

mod program;

/// By this name the test runner knows that few of these run at a time.
mod privileged {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpStream;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use crate::program::{self, Server};
    use rustix::process::{Resource, Rlimit};
    use serde_json::{Value, json};

    /// Status and body of what a server answers.
    fn ask(url: &str) -> (u16, Value) {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    /// Asks until the part is as wanted, and answers the whole.
    fn eventually(url: &str, part: &str, status: &str) -> (u16, Value) {
        let began = Instant::now();
        loop {
            let told = ask(&format!("{url}/health/ready"));
            if told.1["details"][part]["status"] == status {
                return told;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{told:?}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// The lower of the two limits of open files that a process has, and the higher one.
    fn open_files(id: u32) -> Vec<String> {
        let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        line.split_whitespace().skip(3).take(2).map(str::to_owned).collect()
    }

    #[test]
    fn a_server_and_its_launcher_may_open_as_many_files_as_they_are_allowed() {
        let own = rustix::process::getrlimit(Resource::Nofile);
        let few = Rlimit { current: Some(256), ..own };
        rustix::process::setrlimit(Resource::Nofile, few).unwrap();
        let server = Server::real(&[]);
        rustix::process::setrlimit(Resource::Nofile, own).unwrap();
        let allowed = own.maximum.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
        for id in [&server.launchers()[..], &[server.id()]].concat() {
            assert_eq!(open_files(id), [allowed.as_str(), allowed.as_str()]);
        }
    }

    /// A server in a mount namespace of its own, whose state is on a disk of 16 MiB.
    struct Cramped {
        process: Child,
        url: String,
    }

    impl Cramped {
        fn start(folder: &Path) -> Self {
            let script = "mount -t tmpfs -o size=16m tmpfs \"$1\" && exec \"$2\" serve --driver fake \
                          --state \"$1/state\" --listen 127.0.0.1:0 --config /dev/null --json";
            let mut process = Command::new("unshare")
                .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
                .arg(folder)
                .arg(env!("CARGO_BIN_EXE_pitlane"))
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            Self { process, url: line["url"].as_str().unwrap().to_owned() }
        }

        /// A path as the server's namespace has it.
        fn inside(&self, path: &Path) -> std::path::PathBuf {
            let root = format!("/proc/{}/root", self.process.id());
            Path::new(&root).join(path.strip_prefix("/").unwrap())
        }
    }

    impl Drop for Cramped {
        fn drop(&mut self) {
            program::send("TERM", &self.process);
            drop(self.process.wait());
        }
    }

    #[test]
    fn a_server_whose_disk_is_full_lives_is_not_ready_and_recovers_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let server = Cramped::start(folder.path());
        let (status, told) = ask(&format!("{}/health/ready", server.url));
        assert_eq!((status, &told["details"]["database"]), (503, &json!({"status": "up"})));
        let message = told["error"]["disk"]["message"].as_str().unwrap();
        assert!(message.contains("MiB are left") && message.contains("1024"), "{message}");

        let filler = server.inside(folder.path()).join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        // It ends when nothing more fits.
        while file.write_all(&[0; 4096]).is_ok() {}
        let (status, told) = eventually(&server.url, "database", "down");
        assert_eq!(status, 503);
        assert_eq!(told["error"]["database"]["message"], "the disk of the database is full");
        assert_eq!(ask(&format!("{}/health", server.url)), (200, json!({"status": "ok"})));

        drop(file);
        std::fs::remove_file(filler).unwrap();
        eventually(&server.url, "database", "up");
    }

    #[test]
    fn a_server_whose_launcher_does_not_answer_lives_and_is_not_ready() {
        let server = Server::real(&[]);
        let line: Value = serde_json::from_str(server.ready_line()).unwrap();
        let url = line["url"].as_str().unwrap().to_owned();
        eventually(&url, "launcher", "up");
        let first = server.launchers();
        signal("STOP", &first);
        let (status, told) = eventually(&url, "launcher", "down");
        signal("CONT", &first);
        let message = &told["error"]["launcher"]["message"];
        assert_eq!((status, message), (503, &json!("does not answer in time")));
        assert_eq!(ask(&format!("{url}/health")).0, 200);
        eventually(&url, "launcher", "up");
        // One that is gone is replaced.
        signal("KILL", &first);
        let began = Instant::now();
        while server.launchers() == first {
            eventually(&url, "launcher", "up");
            assert!(began.elapsed() < Duration::from_secs(20), "nobody replaces the launcher");
        }
    }

    fn signal(name: &str, launchers: &[u32]) {
        assert_eq!(launchers.len(), 1);
        for launcher in launchers {
            let number = launcher.to_string();
            assert!(Command::new("kill").args(["-s", name, &number]).status().unwrap().success());
        }
    }
}
