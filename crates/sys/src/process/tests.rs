//! Programs that are started, and how their ends are told.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::{Program, Reaper, SpawnError, UserThreads, UserThreadsError};
use crate::fork::ExitStatus;

/// Children belong to the whole process: only one test at a time may wait for them.
static CHILDREN: Mutex<()> = Mutex::new(());

const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a shell's command to its end: what it wrote, and how it ended.
fn run(
    candidates: &[&CStr],
    folder: &CStr,
    command: &CStr,
) -> Result<(String, ExitStatus), SpawnError> {
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    run_with(candidates, folder, command, &null.into(), &[], false)
}

fn run_with(
    candidates: &[&CStr],
    folder: &CStr,
    command: &CStr,
    input: &OwnedFd,
    spare: &[OwnedFd],
    has_terminal: bool,
) -> Result<(String, ExitStatus), SpawnError> {
    let reaper = Reaper::default();
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let spare: Vec<_> = spare.iter().map(OwnedFd::as_fd).collect();
    let candidates: Vec<CString> = candidates.iter().map(|path| CString::from(*path)).collect();
    let program = Program {
        candidates: &candidates,
        name: None,
        arguments: &[c"-c".into(), command.into()],
        environment: &[c"A=1".into()],
        folder,
        identity: None,
        standard: [input.as_fd(), writer.as_fd(), input.as_fd()],
        spare: &spare,
        has_terminal,
        joins: &[],
        oom_score_adjustment: None,
    };
    let (ended, how) = mpsc::channel();
    reaper.spawn(program, move |status| ended.send(status).unwrap())?;
    drop(writer);
    let mut output = String::new();
    File::from(reader).read_to_string(&mut output).unwrap();
    // The pipe is closed a moment before the process is a zombie.
    let status = loop {
        reaper.collect();
        if let Ok(status) = how.recv_timeout(Duration::from_millis(1)) {
            break status;
        }
    };
    Ok((output, status))
}

#[test]
fn a_program_gets_what_it_was_given_and_nothing_else() {
    let _alone = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    let command = c"echo $0; env; pwd; ls /proc/$$/fd";
    let (output, status) = run(&[c"/no/such", c"/bin/sh"], c"/usr", command).unwrap();
    assert_eq!(
        (output.as_str(), status),
        ("/bin/sh\nA=1\nPWD=/usr\n/usr\n0\n1\n2\n", ExitStatus::Code(0))
    );
}

#[test]
fn spare_descriptors_are_found_in_their_order() {
    let _alone = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    let input = File::open("/dev/null").unwrap().into();
    let spare = ["three", "four", "five"]
        .map(|text| crate::sealed_memory_file("spare", text.as_bytes()).unwrap());
    // No pipeline: the shell would still hold its pipe while the list is made.
    let command = c"cat <&3; cat <&4; cat <&5; echo; ls /proc/$$/fd";
    let (output, _) = run_with(&[c"/bin/sh"], c"/", command, &input, &spare, false).unwrap();
    assert_eq!(output, "threefourfive\n0\n1\n2\n3\n4\n5\n");
}

#[test]
fn a_terminal_is_the_one_of_its_session() {
    let _alone = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let controller = openpt(flags).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let terminal = ioctl_tiocgptpeer(&controller, flags).unwrap();
    let command = c"test -t 0 && : </dev/tty && echo mine";
    let (output, _) = run_with(&[c"/bin/sh"], c"/", command, &terminal, &[], true).unwrap();
    assert_eq!(output, "mine\n");
    let (output, _) = run_with(&[c"/bin/sh"], c"/", command, &terminal, &[], false).unwrap();
    assert_eq!(output, "");
}

#[test]
fn an_end_is_told_as_it_was() {
    let _alone = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    let ends = [(c"exit 7", ExitStatus::Code(7)), (c"kill -9 $$", ExitStatus::Signal(9))];
    for (command, wanted) in ends {
        assert_eq!(run(&[c"/bin/sh"], c"/", command), Ok((String::new(), wanted)));
    }
}

#[test]
fn what_cannot_start_names_the_step_and_leaves_no_process() {
    let _alone = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    let cases = [
        (c"/bin/sh", c"/no/such", SpawnError::Folder(Errno::NOENT)),
        (c"/bin/sh", c"/dev/null", SpawnError::Folder(Errno::NOTDIR)),
        (c"/no/such", c"/", SpawnError::Execute(Errno::NOENT)),
        (c"/etc/passwd", c"/", SpawnError::Execute(Errno::ACCESS)),
    ];
    for (program, folder, wanted) in cases {
        assert_eq!(run(&[program], folder, c"true"), Err(wanted));
    }
    assert!(!Reaper::default().collect(), "a child is left");
}

#[test]
fn tasks_run_although_one_of_them_fails() {
    let threads = UserThreads::start(None, 1, 4).unwrap();
    let (done, answer) = mpsc::channel();
    threads.run(|| panic!("on purpose")).unwrap();
    threads.run(move || done.send(5).unwrap()).unwrap();
    assert_eq!(answer.recv_timeout(DEADLINE), Ok(5));
}

#[test]
fn tasks_beyond_the_queue_are_refused_and_those_in_it_run_though_nobody_gives_more() {
    let threads = UserThreads::start(None, 2, 3).unwrap();
    let (begun, beginnings) = mpsc::channel();
    let (done, ends) = mpsc::channel();
    let (hold, held) = mpsc::channel::<()>();
    let held = std::sync::Arc::new(Mutex::new(held));
    let task = |number: u8| {
        let (begun, done, held) = (begun.clone(), done.clone(), std::sync::Arc::clone(&held));
        move || {
            begun.send(number).unwrap();
            held.lock().unwrap().recv().unwrap_err();
            done.send(number).unwrap();
        }
    };
    for number in 0..2 {
        threads.run(task(number)).unwrap();
        beginnings.recv_timeout(DEADLINE).unwrap();
    }
    for number in 2..5 {
        threads.run(task(number)).unwrap();
    }
    assert_eq!(threads.run(task(5)), Err(UserThreadsError::Full));
    drop(threads);
    drop(hold);
    let mut ended: Vec<u8> = (0..5).map(|_| ends.recv_timeout(DEADLINE).unwrap()).collect();
    ended.sort_unstable();
    assert_eq!(ended, [0, 1, 2, 3, 4]);
}
