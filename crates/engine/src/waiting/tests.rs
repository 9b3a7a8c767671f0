use super::*;

/// Both ends, neither of which blocks.
fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(20)
}

#[test]
fn a_hello_that_is_never_sent_or_never_ended_is_not_waited_for() {
    for begun in ["", r#"{"version":"#] {
        let (read, written) = pipe();
        rustix::io::write(&written, begun.as_bytes()).unwrap();
        let waited = wait_for_hello(&read, soon());
        assert!(matches!(waited, Err(LaunchError::Silent)), "{begun:?}: {waited:?}");
    }
}

#[test]
fn what_process_1_says_instead_of_a_hello_is_the_reason() {
    for (said, wanted) in [("", "it said nothing"), ("no such user\n", "no such user")] {
        let (read, written) = pipe();
        rustix::io::write(&written, said.as_bytes()).unwrap();
        drop(written);
        match wait_for_hello(&read, soon()) {
            Err(LaunchError::Failed { reason }) => assert_eq!(reason, wanted),
            other => panic!("{said:?}: {other:?}"),
        }
    }
}

#[test]
fn a_hello_without_end_is_cut_off() {
    let (read, written) = pipe();
    rustix::io::write(&written, &vec![b'x'; 1 << 20]).unwrap();
    let (mut said, deadline) = (0, Instant::now() + Duration::from_secs(20));
    let waited = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait_for_hello(&read, deadline));
        while !waiting.is_finished() {
            said += rustix::io::write(&written, &[b'x'; 4096]).unwrap_or(0);
            std::thread::yield_now();
        }
        waiting.join().unwrap()
    });
    assert!(matches!(waited, Err(LaunchError::Failed { .. })), "after {said}: {waited:?}");
}

#[test]
fn a_full_pipe_that_nobody_reads_is_not_waited_for() {
    let (read, written) = pipe();
    let whole = vec![b'x'; 1 << 20];
    let refused = write(&written, &whole, soon());
    assert!(matches!(refused, Err(LaunchError::Silent)), "{refused:?}");
    // Whoever should have read it is gone, and has said why elsewhere.
    drop(read);
    write(&written, &whole, soon()).unwrap();
}

#[test]
fn an_image_speaks_where_the_owner_says_nothing_else() {
    let texts = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect()
    };
    let spec = LaunchSpec {
        id: pitlane_model::SandboxId::from_random([7; 16]),
        image: pitlane_model::ImageName::new("image").unwrap(),
        limits: Limits::DEFAULT,
        network: pitlane_model::NetworkPolicy::Open,
        user: String::from("daytona"),
        environment: texts(&[("MODE", "mine"), ("OWN", "1")]),
        entrypoint: vec![String::from("/serve")],
        pools: Vec::new(),
        volumes: Vec::new(),
    };
    let config = ImageConfig {
        environment: texts(&[("MODE", "image"), ("PATH", "/opt/bin:/bin")]),
        work_dir: Some(String::from("/srv")),
        user: Some(String::from("nobody")),
        command: vec![String::from("/other")],
        ..ImageConfig::default()
    };
    let wanted = Boot {
        sandbox_id: spec.id.to_string(),
        snapshot: String::from("image"),
        user: String::from("daytona"),
        work_dir: Some(String::from("/srv")),
        env: texts(&[("MODE", "mine"), ("OWN", "1"), ("PATH", "/opt/bin:/bin")]),
        entrypoint: vec![String::from("/serve")],
        command_group: None,
    };
    assert_eq!(boot(&spec, &config), wanted);
}
