//! `/sandbox`.

use pitlane_wire::control::{
    CreateSandbox, CreateSandboxSnapshot, PaginatedSandboxes, ResizeSandbox, Sandbox,
    SandboxLabels, SandboxPage, ToolboxProxyUrl, UpdateLastActivity,
};
use serde_json::{Value, json};

use crate::openapi::operation::{
    Operation, boolean, date, integer, json_object, list, one_of, text,
};

/// The largest number that a filter takes.
const MOST: u32 = u32::MAX;

pub(super) fn operations() -> Vec<Operation> {
    [lists(), changes(), settings()].into_iter().flatten().collect()
}

fn lists() -> Vec<Operation> {
    vec![
        Operation::new("POST /sandbox", "Creates a sandbox and answers when it can be used")
            .reads::<CreateSandbox>()
            .answers::<Sandbox>(200, "The sandbox.")
            .refuses(&[409]),
        Operation::new("GET /sandbox", "Lists sandboxes, a page at a time")
            .query("cursor", text(), "Where the page begins: `nextCursor` of the one before.")
            .queries(filters())
            .answers::<SandboxPage>(200, "A page."),
        Operation::new("GET /sandbox/paginated", "Lists sandboxes by numbered pages")
            .query("page", integer(1, MOST), "Which page, from 1.")
            .queries(filters())
            .answers::<PaginatedSandboxes>(200, "A page."),
    ]
}

/// What there is to be done with a sandbox.
fn changes() -> Vec<Operation> {
    vec![
        one("GET /sandbox/{sandboxIdOrName}", "Reads a sandbox", "The sandbox."),
        one(
            "DELETE /sandbox/{sandboxIdOrName}",
            "Deletes a sandbox; deleting it again is no error while it is remembered",
            "It can no longer be used; what it held is freed.",
        )
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/start",
            "Starts a stopped sandbox and answers when it can be used",
            "It runs.",
        )
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/stop",
            "Stops a sandbox and keeps its disk",
            "Nothing of it runs.",
        )
        .query("force", boolean(), "Whether its processes get no time to end by themselves.")
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/archive",
            "Packs the disk of a stopped sandbox away; a start brings it back",
            "It is on its way.",
        )
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/recover",
            "Mends a sandbox that failed, if the reason allows it",
            "It runs, or is stopped if that was asked for.",
        )
        .query("skipStart", boolean(), "Whether it stays stopped.")
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/resize",
            "Gives a sandbox other limits: more processors and memory while it runs, a larger disk while it does not",
            "It has them.",
        )
        .reads::<ResizeSandbox>()
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/snapshot",
            "Takes a snapshot of a started or stopped sandbox: its files as they are at one moment",
            "It is taken, or on its way if the sandbox is `snapshotting`.",
        )
        .reads::<CreateSandboxSnapshot>()
        .refuses(&[409, 507]),
        Operation::new(
            "POST /sandbox/{sandboxId}/last-activity",
            "Counts as a use of a sandbox",
        )
        .reads::<UpdateLastActivity>()
        .succeeds(201, "Its idle time begins anew.")
        .refuses(&[404]),
        Operation::new(
            "GET /sandbox/{sandboxId}/signing-key",
            "Tells what signs addresses of a sandbox's files, which then need no key",
        )
        .answers::<String>(200, "The key: the same one until it is rotated.")
        .refuses(&[404]),
        Operation::new(
            "POST /sandbox/{sandboxId}/signing-key/rotate",
            "Gives a sandbox another signing key; what the one before has signed opens nothing any more",
        )
        .answers::<String>(200, "The new key.")
        .refuses(&[404]),
        Operation::new(
            "GET /sandbox/{sandboxId}/toolbox-proxy-url",
            "Tells where a sandbox's toolbox lives",
        )
        .answers::<ToolboxProxyUrl>(200, "The address, to which the sandbox's id is added.")
        .refuses(&[404]),
    ]
}

/// What can be changed about a sandbox while it is what it is.
fn settings() -> Vec<Operation> {
    vec![
        Operation::new("PUT /sandbox/{sandboxIdOrName}/labels", "Replaces all labels of a sandbox")
            .reads::<SandboxLabels>()
            .answers::<SandboxLabels>(200, "The labels.")
            .refuses(&[404, 409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/public/{isPublic}",
            "Opens a sandbox's previews to anyone, or closes them",
            "The sandbox.",
        )
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/autostop/{interval}",
            "Sets after how many idle minutes a sandbox stops; 0 for never",
            "The sandbox.",
        )
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/autopause/{interval}",
            "Takes 0, for never; no sandbox can be paused",
            "The sandbox.",
        )
        .refuses(&[422]),
        one(
            "POST /sandbox/{sandboxIdOrName}/autoarchive/{interval}",
            "Sets after how many minutes a stopped sandbox is archived; 0 for the longest possible",
            "The sandbox.",
        )
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/autodelete/{interval}",
            "Sets after how many minutes a stopped sandbox is deleted; 0 for at once, negative for never",
            "The sandbox.",
        )
        .refuses(&[409]),
        one(
            "POST /sandbox/{sandboxIdOrName}/ttl/{ttlMinutes}",
            "Sets in how many minutes a sandbox is deleted whatever it does; 0 for never",
            "The sandbox.",
        )
        .refuses(&[409]),
    ]
}

/// An operation on one sandbox that answers with it.
fn one(key: &'static str, summary: &'static str, about: &'static str) -> Operation {
    Operation::new(key, summary).answers::<Sandbox>(200, about).refuses(&[404])
}

/// What narrows and orders both lists.
fn filters() -> Vec<(&'static str, Value, &'static str)> {
    // Sizes are whole; what is asked for need not be.
    let number = || json!({ "type": "number" });
    vec![
        ("limit", integer(1, MOST), "How many at most; the server has a limit of its own."),
        ("id", text(), "The beginning of ids."),
        ("name", text(), "The beginning of names."),
        ("labels", json_object(), "Labels that all of them have, as a JSON object."),
        ("states", list(), "States; words that are none match nothing."),
        ("snapshots", list(), "Names of snapshots."),
        ("regionIds", list(), "Regions."),
        ("sandboxClasses", list(), "Kinds of sandboxes."),
        ("minCpu", number(), "The fewest CPUs."),
        ("maxCpu", number(), "The most CPUs."),
        ("minMemoryGiB", number(), "The least memory, in GiB."),
        ("maxMemoryGiB", number(), "The most memory, in GiB."),
        ("minDiskGiB", number(), "The smallest disk, in GiB."),
        ("maxDiskGiB", number(), "The largest disk, in GiB."),
        ("minGpu", number(), "The fewest graphics cards."),
        ("maxGpu", number(), "The most graphics cards."),
        (
            "includeErroredDeleted",
            boolean(),
            "Whether those are shown as well that failed on their way out.",
        ),
        ("includeWarm", boolean(), "Whether those are shown as well that nobody claimed: none."),
        ("isPublic", boolean(), "Whether previews are open to anyone."),
        ("isRecoverable", boolean(), "Whether they failed and can be mended."),
        ("createdAtAfter", date(), "Made then or later."),
        ("createdAtBefore", date(), "Made then or earlier."),
        ("lastEventAfter", date(), "Used then or later."),
        ("lastEventBefore", date(), "Used then or earlier."),
        ("autoDestroyAtAfter", date(), "Going by themselves then or later."),
        ("autoDestroyAtBefore", date(), "Going by themselves then or earlier."),
        (
            "sort",
            one_of(&["name", "cpu", "memoryGib", "diskGib", "lastActivityAt", "createdAt"]),
            "What orders them.",
        ),
        ("order", one_of(&["asc", "desc"]), "In which direction."),
    ]
}
