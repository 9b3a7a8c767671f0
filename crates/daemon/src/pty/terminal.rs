//! One terminal: a shell, its device, and what it wrote lately.
//!
//!     waiting ──► running ──► ended
//!        └───────────────────────┘
//!
//! A task owns the running shell: it moves bytes between the device and everybody else, and says how it ended. Clients
//! come and go without it.

use std::ffi::CString;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use pitlane_sys::SpawnError;
use pitlane_wire::toolbox::PtySessionInfo;
use rustix::io::fcntl_dupfd_cloexec;
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::asked::Asked;
use super::device::{Device, DeviceError, Size};
use super::output::{CHUNK, Follower, Output};
use crate::clock::Moment;
use crate::http::{Held, Refusal};
use crate::process::{Launch, SHELLS, StartError, Started, Surroundings, exit_code};
use crate::toolbox::Toolbox;

/// What every program is told of the terminal, unless a request says otherwise.
const TERM: (&str, &str) = ("TERM", "xterm-256color");
/// Messages of clients that wait for the program to read.
const WAITING_INPUT: usize = 16;
/// How many clients a terminal has at most.
const MAX_CLIENTS: usize = 32;
/// How much is read after the shell has ended: more than the kernel holds of a terminal.
const MAX_REST: usize = 1 << 20;
/// How long the program waits for a patient client that does not read at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a killed shell may take to be reported.
const REPORT_DEADLINE: Duration = Duration::from_secs(10);

/// A terminal, as everybody sees it.
#[derive(Debug)]
pub(crate) struct Terminal {
    asked: Asked,
    cwd: String,
    created_at: String,
    size: Mutex<Size>,
    /// What the shell is started with; taken when it is.
    prepared: Mutex<Option<Prepared>>,
    /// There while the shell runs.
    device: Mutex<Option<Arc<Device>>>,
    output: Arc<Output>,
    input: mpsc::Sender<Typed>,
    state: watch::Sender<State>,
    /// Cancelled when it is to be killed.
    death: CancellationToken,
}

/// What a client has typed.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) bytes: Bytes,
    /// Counts until it is written.
    pub(super) _held: Held,
}

#[derive(Debug)]
struct Prepared {
    surroundings: Surroundings,
    input: mpsc::Receiver<Typed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Ended(Ending),
}

/// How a terminal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its shell ended with this code.
    Exited(i32),
    /// The sandbox stops.
    HungUp,
    /// It is of no use any more, for this reason.
    Failed(String),
}

impl Terminal {
    /// Makes a terminal whose shell does not run yet.
    pub(super) fn new(
        toolbox: &Toolbox,
        asked: Asked,
        ahead: &Arc<AtomicUsize>,
    ) -> Result<Self, Refusal> {
        let mut variables = asked.variables.clone();
        variables.entry(TERM.0.to_owned()).or_insert_with(|| TERM.1.to_owned());
        let surroundings = Surroundings::new(toolbox, asked.cwd.as_deref(), Some(&variables))?;
        let cwd = match &asked.cwd {
            Some(cwd) => toolbox.absolute(cwd).to_string_lossy().into_owned(),
            None => toolbox.work_dir().to_owned(),
        };
        let (sender, input) = mpsc::channel(WAITING_INPUT);
        let prepared = Prepared { surroundings, input };
        Ok(Self {
            cwd,
            created_at: Moment::now().rfc3339(),
            size: Mutex::new(asked.size),
            prepared: Mutex::new(Some(prepared)),
            device: Mutex::default(),
            output: Arc::new(Output::new(Arc::clone(ahead))),
            input: sender,
            state: watch::Sender::new(State::Waiting),
            death: CancellationToken::new(),
            asked,
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.asked.id
    }

    /// How long its variables are together.
    pub(super) fn weight(&self) -> usize {
        self.asked.weight()
    }

    pub(super) const fn is_lazy(&self) -> bool {
        self.asked.is_lazy
    }

    pub(super) fn info(&self) -> PtySessionInfo {
        let size = *lock(&self.size);
        PtySessionInfo {
            id: self.asked.id.clone(),
            active: *self.state.borrow() == State::Running,
            cols: size.columns(),
            rows: size.rows(),
            created_at: self.created_at.clone(),
            cwd: self.cwd.clone(),
            envs: self.asked.variables.clone(),
            lazy_start: self.asked.is_lazy,
        }
    }

    /// Starts the shell, unless it was started before.
    pub(super) fn start(self: &Arc<Self>, toolbox: &Arc<Toolbox>) -> Result<(), Refusal> {
        let mut place = lock(&self.prepared);
        let Some(prepared) = place.take() else { return Ok(()) };
        match self.begin(toolbox, &prepared) {
            Ok((device, started)) => {
                *lock(&self.device) = Some(Arc::clone(&device));
                self.state.send_replace(State::Running);
                let task =
                    run(Arc::clone(toolbox), Arc::clone(self), device, started, prepared.input);
                toolbox.tasks().spawn(task);
                Ok(())
            }
            Err(refusal) => {
                // The next client may be luckier.
                *place = Some(prepared);
                Err(refusal)
            }
        }
    }

    fn begin(
        &self,
        toolbox: &Toolbox,
        prepared: &Prepared,
    ) -> Result<(Arc<Device>, Started), Refusal> {
        let owner = toolbox.user().identity.as_ref();
        let device =
            Device::open(owner, *lock(&self.size)).map_err(|error| refuse_device(&error))?;
        let input = fcntl_dupfd_cloexec(device.inner(), 0);
        let shells = SHELLS.map(CString::from).into();
        let arguments = vec![c"-i".to_owned(), c"-l".to_owned()];
        let launch = Launch {
            input: input.map_err(|errno| refuse_device(&errno.into()))?,
            has_terminal: true,
            ..prepared.surroundings.launch(shells, arguments, b"")?
        };
        let started = toolbox.processes().start(&launch, device.inner(), device.inner());
        let started = started.map_err(|error| refuse_start(&self.cwd, &error))?;
        Ok((Arc::new(device), started))
    }

    /// Changes its size.
    pub(super) fn resize(&self, size: Size) -> Result<(), Refusal> {
        if matches!(*self.state.borrow(), State::Ended(_)) {
            let message = format!("PTY session {} has ended", self.asked.id);
            return Err(Refusal::new(StatusCode::GONE, "SESSION_ENDED", message));
        }
        if let Some(device) = &*lock(&self.device) {
            device.resize(size).map_err(|errno| refuse_device(&errno.into()))?;
        }
        *lock(&self.size) = size;
        Ok(())
    }

    /// Kills the shell and everything it started, and waits until all of it is gone.
    pub(super) async fn kill(&self) -> Ending {
        self.death.cancel();
        // One that never ran has no task that would say so.
        if lock(&self.prepared).take().is_some() {
            self.state.send_replace(State::Ended(Ending::Exited(137)));
        }
        self.ended().await
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) -> Ending {
        let mut state = self.state.subscribe();
        match state.wait_for(|state| matches!(state, State::Ended(_))).await.as_deref() {
            Ok(State::Ended(ending)) => ending.clone(),
            _ => Ending::Failed(String::from("the terminal is gone")),
        }
    }

    /// Follows its output, recent output first.
    pub(super) fn follow(&self, is_patient: bool) -> Result<Follower, Refusal> {
        self.output.follow(MAX_CLIENTS, is_patient).ok_or_else(|| {
            let message = format!("{MAX_CLIENTS} clients are connected to this terminal already");
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_CLIENTS", message)
        })
    }

    /// What its input is given to.
    pub(super) const fn input(&self) -> &mpsc::Sender<Typed> {
        &self.input
    }
}

/// Looks after a shell until it ends.
async fn run(
    toolbox: Arc<Toolbox>,
    terminal: Arc<Terminal>,
    device: Arc<Device>,
    mut started: Started,
    input: mpsc::Receiver<Typed>,
) {
    let ending = tokio::select! {
        biased;
        () = terminal.death.cancelled() => kill(&mut started).await,
        ending = live(&terminal, &device, &mut started, input) => ending,
        () = toolbox.terminals().hung_up() => Ending::HungUp,
    };
    if let Ending::Exited(_) = ending {
        read_rest(&device, &terminal.output);
    }
    toolbox.terminals().forget(&terminal);
    // What still runs in it hears that it was hung up.
    lock(&terminal.device).take();
    drop(device);
    terminal.state.send_replace(State::Ended(ending));
    drop(started);
    yield_now().await;
    toolbox.processes().tidy();
}

/// Moves bytes until the shell has ended.
async fn live(
    terminal: &Terminal,
    device: &Device,
    started: &mut Started,
    input: mpsc::Receiver<Typed>,
) -> Ending {
    let broken = tokio::select! {
        biased;
        status = &mut started.exit => return match status {
            Ok(status) => Ending::Exited(exit_code(status)),
            Err(_lost) => Ending::Failed(String::from("how the shell ended is not known")),
        },
        error = read(device, &terminal.output) => error,
        error = write(device, input) => error,
    };
    // The daemon holds both sides, so nothing but the kernel itself can break it.
    let _killed = kill(started).await;
    Ending::Failed(format!("the terminal broke: {broken}"))
}

async fn kill(started: &mut Started) -> Ending {
    if let Err(error) = started.kill().await {
        return Ending::Failed(format!("it may still run: {error}"));
    }
    match timeout(REPORT_DEADLINE, &mut started.exit).await {
        Ok(Ok(status)) => Ending::Exited(exit_code(status)),
        Ok(Err(_)) | Err(_) => Ending::Failed(String::from("how the shell ended is not known")),
    }
}

async fn read(device: &Device, output: &Output) -> io::Error {
    let mut buffer = vec![0; CHUNK];
    loop {
        match device.read(&mut buffer).await {
            Ok(count) => output.push(buffer.get(..count).unwrap_or_default()),
            Err(error) => return error,
        }
        // Those who follow come before more output.
        yield_now().await;
        if timeout(PATIENCE, output.room()).await.is_err() {
            output.lose_patience();
        }
    }
}

async fn write(device: &Device, mut input: mpsc::Receiver<Typed>) -> io::Error {
    while let Some(typed) = input.recv().await {
        if let Err(error) = device.write(&typed.bytes).await {
            return error;
        }
    }
    // Nobody can write any more: there is nobody left who knows the terminal.
    std::future::pending().await
}

/// Reads what the shell wrote before it ended. What others still write in its terminal is not waited for.
fn read_rest(device: &Device, output: &Output) {
    let mut buffer = vec![0; CHUNK];
    let mut left = MAX_REST;
    while left > 0 {
        let count = device.read_now(&mut buffer).unwrap_or(0);
        output.push(buffer.get(..count).unwrap_or_default());
        if count == 0 {
            return;
        }
        left = left.saturating_sub(count);
    }
}

fn refuse_device(error: &DeviceError) -> Refusal {
    match error {
        DeviceError::Full => {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_TERMINALS", error.to_string())
        }
        DeviceError::Replaced | DeviceError::Kernel(_) | DeviceError::Wait(_) => {
            Refusal::internal(error.to_string())
        }
    }
}

fn refuse_start(cwd: &str, error: &StartError) -> Refusal {
    match error {
        StartError::Spawn(SpawnError::Folder(errno)) => {
            Refusal::bad_request(format!("cannot start in {cwd}: {errno}"))
        }
        StartError::Spawn(SpawnError::Execute(errno)) => {
            Refusal::bad_request(format!("the image has no shell that can be started: {errno}"))
        }
        StartError::Spawn(error) => Refusal::internal(format!("{error}: {}", error.errno())),
        StartError::Group(error) => Refusal::internal(format!("{error}: {}", error.errno)),
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
