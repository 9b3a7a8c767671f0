//! Sandboxes in which something runs though nobody waits for it.

use pitlane_driver::fake::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;

/// What daemons say when they are asked whether they are busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Idle,
    Busy,
    Nothing,
}

/// A machine whose daemons say this, and how often they were asked.
fn machine(says: Says) -> (Machine, watch::Sender<Says>, Arc<AtomicI64>) {
    let (says, asked) = (watch::Sender::new(says), Arc::new(AtomicI64::new(0)));
    let (told, count) = (says.clone(), Arc::clone(&asked));
    let service: Service = Arc::new(move |_inside, stream| {
        let (told, count) = (told.subscribe(), Arc::clone(&count));
        Box::pin(answer(stream, told, count))
    });
    (Machine { driver: FakeDriver::new(service), ..Machine::new() }, says, asked)
}

async fn answer(mut stream: DuplexStream, mut says: watch::Receiver<Says>, asked: Arc<AtomicI64>) {
    let question = b"GET /pitlane/busy HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n";
    let mut heard = vec![0; question.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, question);
    let now = *says.borrow_and_update();
    asked.fetch_add(1, Ordering::SeqCst);
    match now {
        Says::Idle => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap(),
        Says::Busy => {
            stream.write_all(b"HTTP/1.1 202 Accepted\r\n\r\n").await.unwrap();
            says.wait_for(|says| *says == Says::Idle).await.unwrap();
        }
        Says::Nothing => {
            says.wait_for(|says| *says == Says::Idle).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    }
}

impl Server {
    /// Waits until the sandbox counts as used until now.
    async fn until_in_use(&self, machine: &Machine, id: SandboxId) {
        eventually("the sandbox is in use", async || {
            let now = Timestamp::from_micros(machine.now.load(Ordering::SeqCst));
            find(self, &id.to_string()).last_activity_at == now
        })
        .await;
    }
}

#[tokio::test]
async fn what_runs_unattended_keeps_a_sandbox_and_its_end_begins_the_countdown() {
    let (machine, says, asked) = machine(Says::Busy);
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    machine.advance_clock(minutes(15));
    server.until_in_use(&machine, id).await;
    machine.advance_clock(minutes(9));
    let found = find(&server, "first");
    let now = Timestamp::from_micros(machine.now.load(Ordering::SeqCst));
    assert_eq!((found.state, found.last_activity_at), (SandboxState::Started, now));
    assert_eq!(found.deadlines().stop, Some(now.after(minutes(15))));
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    says.send_replace(Says::Idle);
    // It is over once time passes without being counted as use.
    eventually("the countdown runs", async || {
        let now = machine.advance_clock(Duration::from_millis(1));
        find(&server, "first").last_activity_at < now
    })
    .await;
    assert_eq!(find(&server, "first").state, SandboxState::Started);
    machine.advance_clock(minutes(15));
    server.until_state(id, SandboxState::Stopped).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    server.shut_down().await;
}

#[tokio::test]
async fn a_daemon_that_is_busy_for_ever_is_asked_again_and_ends_with_its_time_to_live() {
    let (machine, _says, asked) = machine(Says::Busy);
    let server = machine.start().await;
    let mut request = named("first");
    request.lifecycle.ttl = 60;
    let made = server.control.sandboxes().create(&server.principal, request).await.unwrap();
    machine.advance_clock(minutes(15));
    server.until_in_use(&machine, made.spec.id).await;
    machine.advance_clock(minutes(11));
    eventually("it is asked again", async || asked.load(Ordering::SeqCst) == 2).await;
    assert_eq!(server.state("first"), Some(SandboxState::Started));
    machine.advance_clock(minutes(40));
    server.until_gone(made.spec.id).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_keeps_nothing() {
    let (machine, _says, asked) = machine(Says::Nothing);
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    machine.advance_clock(minutes(15));
    server.until_state(id, SandboxState::Stopped).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    server.shut_down().await;
}

#[tokio::test]
async fn a_use_while_its_daemon_is_asked_keeps_a_sandbox() {
    let (machine, says, asked) = machine(Says::Nothing);
    let server = machine.start().await;
    let id = server.create("first").await.spec.id;
    machine.advance_clock(minutes(15));
    eventually("it is asked", async || asked.load(Ordering::SeqCst) == 1).await;
    server.control.sandboxes().touch(&server.principal, "first").unwrap();
    says.send_replace(Says::Idle);
    server.stays(&machine, id, SandboxState::Started).await;
    machine.advance_clock(minutes(14));
    server.until_state(id, SandboxState::Stopped).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    server.shut_down().await;
}
