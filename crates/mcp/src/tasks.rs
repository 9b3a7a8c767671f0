//! Calls that go on while their caller does something else.
//!
//! Tasks belong to a caller: nobody else can see, answer or cancel them. There is a bound for each caller, and each task
//! ends and is forgotten after a time, whether or not somebody asks for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{CallToolResult, CreateTaskResult, DetailedTask, ErrorData, InputResponses};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};

use crate::caller::Caller;

/// The most tasks of one caller that run at the same time.
const MAX_RUNNING: usize = 32;
/// The most tasks of one caller that are known, those that have ended among them.
const MAX_KNOWN: usize = 256;
/// How long a task may run, and how long its result is kept.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How often a client should ask.
const POLL: Duration = Duration::from_secs(1);

/// The tasks of one caller, or of nobody in particular.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owned<'a> {
    tasks: &'a Tasks,
    owner: Option<Caller>,
}

/// The tasks of all callers.
#[derive(Default)]
pub(crate) struct Tasks {
    of_callers: Mutex<HashMap<Option<Caller>, OfCaller>>,
}

#[derive(Default)]
struct OfCaller {
    manager: TaskManager,
    /// When the tasks that are known were started.
    started: Vec<Instant>,
}

impl OfCaller {
    fn is_full(&self) -> bool {
        self.started.len() >= MAX_KNOWN || self.manager.running_task_count() >= MAX_RUNNING
    }
}

/// A result is kept for as long again as its task may run.
fn forget_old(of_callers: &mut HashMap<Option<Caller>, OfCaller>) {
    of_callers.retain(|_, of_caller| {
        of_caller.started.retain(|started| started.elapsed() < LIFETIME * 2);
        !of_caller.started.is_empty()
    });
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tasks")
    }
}

impl Tasks {
    /// Those of `owner`.
    pub(crate) fn of(&self, owner: Option<Caller>) -> Owned<'_> {
        Owned { tasks: self, owner }
    }

    /// Ends all tasks.
    pub(crate) fn end(&self) {
        let of_callers = self.of_callers.lock().unwrap_or_else(PoisonError::into_inner);
        for of_caller in of_callers.values() {
            of_caller.manager.shutdown();
        }
    }
}

impl Owned<'_> {
    /// Whether one more may be started now.
    pub(crate) fn has_room(&self) -> bool {
        let mut of_callers = self.tasks.of_callers.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut of_callers);
        of_callers.get(&self.owner).is_none_or(|of_caller| !of_caller.is_full())
    }

    /// Starts work as a task.
    ///
    /// # Errors
    ///
    /// The caller has too many: cancel one, or wait.
    pub(crate) fn start<F>(&self, work: F) -> Result<CreateTaskResult, ErrorData>
    where
        F: FnOnce(TaskContext) -> TaskFuture,
    {
        let mut of_callers = self.tasks.of_callers.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut of_callers);
        let of_caller = of_callers.entry(self.owner).or_default();
        if of_caller.is_full() {
            return Err(ErrorData::invalid_request(
                "too many tasks: wait for one to end, or cancel one with tasks/cancel",
                None,
            ));
        }
        of_caller.started.push(Instant::now());
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let options =
            TaskOptions::new().with_ttl_ms(millis(LIFETIME)).with_poll_interval_ms(millis(POLL));
        Ok(CreateTaskResult::new(of_caller.manager.spawn(options, work)))
    }

    /// How a task stands.
    pub(crate) fn read(&self, id: &str) -> Result<DetailedTask, ErrorData> {
        self.manager(id)?.get_task(id)
    }

    /// Gives a task what it has asked for.
    pub(crate) fn answer(&self, id: &str, answers: InputResponses) -> Result<(), ErrorData> {
        self.manager(id)?.update_task(id, answers)
    }

    /// Ends a task.
    pub(crate) fn cancel(&self, id: &str) -> Result<(), ErrorData> {
        self.manager(id)?.cancel_task(id)
    }

    fn manager(&self, id: &str) -> Result<TaskManager, ErrorData> {
        let of_callers = self.tasks.of_callers.lock().unwrap_or_else(PoisonError::into_inner);
        let of_caller = of_callers.get(&self.owner);
        of_caller
            .map(|of_caller| of_caller.manager.clone())
            .ok_or_else(|| ErrorData::invalid_params(format!("unknown task: {id}"), None))
    }
}

/// Work that ends when its task is cancelled or has taken too long: the work's future is dropped.
pub(crate) async fn until_cancelled(
    task: TaskContext,
    work: impl Future<Output = CallToolResult>,
) -> Result<CallToolResult, TaskExit> {
    tokio::select! {
        result = work => Ok(result),
        () = task.cancelled() => Err(TaskExit::Cancelled),
        () = tokio::time::sleep(LIFETIME) => {
            Err(ErrorData::internal_error("the task took longer than an hour", None).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ContentBlock, TaskStatus};

    use super::*;

    async fn forever() -> CallToolResult {
        std::future::pending().await
    }

    #[tokio::test]
    async fn a_task_is_its_owners_alone_and_ends_when_it_is_cancelled() {
        let tasks = Tasks::default();
        let (one, other) = (tasks.of(Some(Caller::with("a"))), tasks.of(Some(Caller::with("b"))));
        let started = one.start(|task| Box::pin(until_cancelled(task, forever()))).unwrap();
        let id = started.task.task_id;
        assert!(other.read(&id).is_err());
        assert!(other.cancel(&id).is_err());
        assert_eq!(one.read(&id).unwrap().status(), TaskStatus::Working);
        one.cancel(&id).unwrap();
        while one.read(&id).unwrap().status() == TaskStatus::Working {
            tokio::task::yield_now().await;
        }
        assert_eq!(one.read(&id).unwrap().status(), TaskStatus::Cancelled);
    }

    #[tokio::test]
    async fn a_caller_has_so_many_tasks_and_no_more_and_takes_none_of_anothers() {
        let tasks = Tasks::default();
        let (one, other) = (tasks.of(Some(Caller::with("a"))), tasks.of(Some(Caller::with("b"))));
        for _ in 0..MAX_RUNNING {
            one.start(|task| Box::pin(until_cancelled(task, forever()))).unwrap();
        }
        assert!(one.start(|task| Box::pin(until_cancelled(task, forever()))).is_err());
        assert_eq!((one.has_room(), other.has_room()), (false, true));
        let done = async || CallToolResult::success(vec![ContentBlock::text("done")]);
        let started = other.start(|task| Box::pin(until_cancelled(task, done()))).unwrap();
        let id = started.task.task_id;
        while other.read(&id).unwrap().status() == TaskStatus::Working {
            tokio::task::yield_now().await;
        }
        assert_eq!(other.read(&id).unwrap().status(), TaskStatus::Completed);
        tasks.end();
        assert!(one.read(&id).is_err());
    }
}
