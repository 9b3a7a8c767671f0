//! What survives the server and the launcher, and what is cleared up after them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use pitlane_driver::{Driver as _, LaunchSpec, Liveness};

use crate::support::{Bench, Folder, files, first_process, launcher, spec, wait_until};

crate::trials![
    a_launcher_rests_though_nobody_asks_how_a_sandbox_ended,
    sandboxes_run_on_without_the_server_and_the_next_one_has_them,
    what_nobody_owns_is_removed_at_the_start,
    a_sandbox_outlives_its_launcher,
    a_launcher_whose_server_died_at_its_start_is_waited_for,
    an_idle_launcher_of_another_build_makes_way,
];

/// An engine in a process of its own, with a running and a stopped sandbox.
pub(crate) struct Held {
    process: Child,
    folder: Folder,
    running: LaunchSpec,
    stopped: LaunchSpec,
}

/// Is that process: says "ready" when its sandboxes are, and waits to be killed.
pub(crate) fn hold([root, name, running, stopped, objects]: [&str; 5]) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let objects = serde_json::from_str(objects).expect("an object storage or none");
        let folder = Folder::of(root.into(), name.to_owned(), objects);
        let bench = Bench::start_in(folder).await;
        let held = crate::volumes::held();
        bench.engine.create_volume(held.volume).await.expect("a volume");
        let id = running.parse().expect("an id");
        let running = LaunchSpec { id, volumes: vec![held], ..spec() };
        bench.engine.create(&running).await.expect("a sandbox");
        bench.exec(running.id, "setsid sleep 1000 >/dev/null 2>&1 & echo $! > ~/pid").await;
        let stopped = LaunchSpec { id: stopped.parse().expect("an id"), ..spec() };
        bench.engine.create(&stopped).await.expect("a sandbox");
        bench.exec(stopped.id, "echo kept > ~/file").await;
        bench.engine.stop(stopped.id, false).await.expect("it stops");
        writeln!(std::io::stdout(), "ready").expect("somebody listens");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

impl Held {
    pub(crate) fn start() -> Self {
        Self::start_in(Folder::new())
    }

    pub(crate) fn start_in(folder: Folder) -> Self {
        let (running, stopped) = (spec(), spec());
        let objects = serde_json::to_string(&folder.objects).expect("an object storage or none");
        #[expect(clippy::disallowed_methods, reason = "the process that will be killed")]
        let mut process = Command::new(std::env::current_exe().expect("a path"))
            .args(["hold", &folder.root().to_string_lossy(), folder.name()])
            .args([running.id.to_string(), stopped.id.to_string(), objects])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        Self { process, folder, running, stopped }
    }

    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Ends the process as a crash does: nothing is closed, nobody is told.
    pub(crate) fn crash(mut self) -> (Folder, LaunchSpec, LaunchSpec) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
        (self.folder, self.running, self.stopped)
    }
}

async fn sandboxes_run_on_without_the_server_and_the_next_one_has_them() {
    let (folder, running, stopped) = Held::start().crash();
    let bench = Bench::start_in(folder).await;
    let mut inventory = bench.engine.inventory().await.expect("an inventory");
    inventory.sort_by_key(|existing| existing.liveness == Liveness::Stopped);
    let found: Vec<_> = inventory.iter().map(|existing| (existing.id, existing.liveness)).collect();
    assert_eq!(found, [(running.id, Liveness::Running), (stopped.id, Liveness::Stopped)]);
    assert_eq!(
        bench.exec(running.id, "kill -0 $(cat ~/pid) && echo alive").await.output,
        "alive\n"
    );
    bench.engine.start(&stopped).await.expect("it starts");
    assert_eq!(bench.exec(stopped.id, "cat ~/file").await.output, "kept\n");
    bench.close().await;
}

async fn what_nobody_owns_is_removed_at_the_start() {
    let (folder, running, _) = Held::start().crash();
    // The disk is gone, as after an operator's hand: its process must not go on as nobody's.
    let owned = folder.state().join("disks/owned");
    for disk in files(&owned).into_iter().filter(|disk| disk.starts_with(&running.id.to_string())) {
        std::fs::remove_file(owned.join(disk)).expect("the disk can be removed");
    }
    std::fs::write(folder.state().join("disks/prepared/77.ext4"), "half a disk").expect("a file");
    let bench = Bench::start_in(folder).await;
    let inventory = bench.engine.inventory().await.expect("an inventory");
    assert!(inventory.iter().all(|existing| existing.id != running.id), "{inventory:?}");
    // Closing checks that no group, socket or disk is left.
    bench.close().await;
}

async fn a_sandbox_outlives_its_launcher() {
    let held = Held::start();
    let launcher = launcher(&held.folder.run()).expect("a launcher");
    rustix::process::kill_process(launcher, rustix::process::Signal::KILL)
        .expect("it can be ended");
    let (folder, running, _) = held.crash();

    let bench = Bench::start_in(folder).await;
    assert_eq!(bench.exec(running.id, "echo here").await.output, "here\n");
    // The router has died with both; the sandbox is linked to the next one.
    assert_eq!(bench.exec(running.id, "cat /sys/class/net/eth0/carrier").await.output, "1\n");
    bench.engine.stop(running.id, false).await.expect("it stops");
    bench.engine.start(&running).await.expect("it starts");
    bench.close().await;
}

async fn an_idle_launcher_of_another_build_makes_way() {
    let folder = Folder::new();
    let old = folder.root().join("old-build");
    std::fs::copy("/proc/self/exe", &old).expect("a copy");
    std::fs::create_dir_all(folder.run()).expect("a folder");
    #[expect(clippy::disallowed_methods, reason = "what an earlier build would have left")]
    let mut process =
        Command::new(&old).arg("launch").arg(folder.run()).spawn().expect("a launcher");
    let socket = folder.run().join("launcher-1.sock");
    wait_until("it listens", || socket.exists()).await;

    let bench = Bench::start_in(folder).await;
    process.wait().expect("it has ended");
    let id = bench.create().await;
    assert_eq!(bench.exec(id, "echo here").await.output, "here\n");
    bench.close().await;
}

async fn a_launcher_whose_server_died_at_its_start_is_waited_for() {
    let folder = Folder::new();
    let run = folder.run();
    std::fs::create_dir_all(&run).expect("a folder");
    let lock = std::fs::File::open(&run).expect("a folder");
    lock.try_lock().expect("a lock");
    let refused = || {
        let log = std::fs::read_to_string(run.join("launcher-1.log"));
        log.is_ok_and(|log| log.contains("lock the run-time folder"))
    };
    let go = async {
        wait_until("one was started and found the folder in use", refused).await;
        drop(lock);
    };
    let (bench, ()) = tokio::join!(Bench::start_in(folder), go);
    let id = bench.create().await;
    assert_eq!(bench.exec(id, "echo here").await.output, "here\n");
    bench.close().await;
}

/// Processor time that a process has used so far.
fn processor_time(process: rustix::process::Pid) -> Duration {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    // After the name, which ends with a bracket: utime and stime are the 12th and 13th.
    let fields = line.rsplit(") ").next().expect("fields").split(' ').skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().expect("a number")).sum();
    // A tick is told as a hundredth of a second, whatever the kernel's own is (proc(5)).
    Duration::from_millis(ticks * 10)
}

async fn a_launcher_rests_though_nobody_asks_how_a_sandbox_ended() {
    use rustix::process::{Signal, kill_process, test_kill_process};

    let held = Held::start();
    let (state, name) = (held.folder.state(), held.folder.name().to_owned());
    let server = rustix::process::Pid::from_child(&held.process);
    let launcher = launcher(&held.folder.run()).expect("a launcher");
    let process = first_process(&state, &name, held.running.id).expect("a process");
    // A server that is stuck has its copies of descriptors open, and takes note of nothing.
    kill_process(server, Signal::STOP).expect("it can be stopped");
    kill_process(process, Signal::KILL).expect("it can be killed");
    wait_until("it has ended", || test_kill_process(process).is_err()).await;
    let before = processor_time(launcher);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let used = processor_time(launcher) - before;
    assert!(used < Duration::from_millis(200), "{used:?} of 500 ms");
    let (folder, ..) = held.crash();
    Bench::start_in(folder).await.close().await;
}
