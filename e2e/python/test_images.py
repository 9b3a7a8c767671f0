"""Images and snapshots: what sandboxes start from, and what an image runs by itself."""

import asyncio
import contextlib
import uuid

import pytest
from daytona import (
    CreateSandboxFromSnapshotParams,
    CreateSnapshotParams,
    DaytonaBadRequestError,
    DaytonaConflictError,
    DaytonaError,
    DaytonaForbiddenError,
    DaytonaNotFoundError,
    Resources,
)
from daytona_api_client import ApiClient, Configuration, SnapshotsApi
from daytona_api_client.exceptions import BadRequestException
from waiting import eventually

GREETER = [
    "/bin/sh",
    "-c",
    'echo "ready as $(whoami) in $PWD for $COLOUR"; echo warned >&2; trap "echo bye; exit 3" TERM; '
    "while :; do sleep 0.1; done",
]


@pytest.fixture
def snapshot(daytona):
    """Makes snapshots that do not outlive the test."""
    made = []

    def create(**options):
        made.append(daytona.snapshot.create(CreateSnapshotParams(name=f"e2e/{uuid.uuid4()}:1", **options)))
        return made[-1]

    yield create
    for one in made:
        with contextlib.suppress(DaytonaNotFoundError):
            daytona.snapshot.delete(one)


@pytest.fixture
def snapshots_api(server):
    with ApiClient(Configuration(host=server.url, access_token=server.key)) as client:
        yield SnapshotsApi(client)


def entrypoint_logs(sandbox):
    return sandbox.process.get_entrypoint_logs()


def test_a_snapshot_of_an_image_is_made_read_and_deleted(daytona, snapshot, make):
    made = snapshot(image="default", resources=Resources(cpu=2, memory=2, disk=4))
    assert (made.state, made.general, made.image_name) == ("active", False, "default")
    assert (made.cpu, made.mem, made.disk) == (2, 2, 4)
    assert (made.entrypoint, made.error_reason) == (None, None)
    assert daytona.snapshot.get(made.name).id == made.id
    assert made.id in [listed.id for listed in daytona.snapshot.list().items]
    sandbox = make(CreateSandboxFromSnapshotParams(snapshot=made.name))
    assert (sandbox.snapshot, sandbox.cpu, sandbox.memory, sandbox.disk) == (made.name, 2, 2, 4)
    daytona.snapshot.delete(made)
    with pytest.raises(DaytonaNotFoundError):
        daytona.snapshot.get(made.name)
    # What started from it stays, and starts again.
    sandbox.stop()
    sandbox.start()
    assert sandbox.process.exec("echo here").result == "here\n"


def test_a_snapshot_that_cannot_be_is_refused_with_a_reason(daytona, snapshot):
    made = snapshot(image="default")
    again = CreateSnapshotParams(name=made.name, image="default")
    with pytest.raises(DaytonaConflictError, match="already exists"):
        daytona.snapshot.create(again)
    for image, reason in [
        ("nobody/nothing", "a tag other than latest, or a digest"),
        ("nobody/nothing:latest", "a tag other than latest, or a digest"),
        ("Not An Image", "imageName"),
        ("../../etc", "imageName"),
    ]:
        with pytest.raises(DaytonaBadRequestError, match=reason):
            daytona.snapshot.create(CreateSnapshotParams(name=f"e2e-{uuid.uuid4()}", image=image))
    for name in ["", "a b", "a" * 256, str(uuid.uuid4())]:
        with pytest.raises(DaytonaBadRequestError, match="the name of a snapshot"):
            daytona.snapshot.create(CreateSnapshotParams(name=name, image="default"))
    with pytest.raises(DaytonaBadRequestError):
        huge = Resources(cpu=64)
        daytona.snapshot.create(CreateSnapshotParams(name=f"e2e-{uuid.uuid4()}", image="default", resources=huge))
    with pytest.raises(DaytonaForbiddenError):
        daytona.snapshot.delete(daytona.snapshot.get("default"))


def test_nothing_starts_from_a_snapshot_that_is_not_active(daytona, snapshot, snapshots_api, make):
    made = snapshot(image="default")
    with pytest.raises(BadRequestException, match="is active"):  # The SDK wraps this one in nothing.
        daytona.snapshot.activate(made)
    snapshots_api.deactivate_snapshot(made.id)
    assert daytona.snapshot.get(made.id).state == "inactive"
    with pytest.raises(DaytonaError, match="inactive"):
        make(CreateSandboxFromSnapshotParams(snapshot=made.name))
    assert daytona.snapshot.activate(made).state == "active"
    assert make(CreateSandboxFromSnapshotParams(snapshot=made.name)).process.exec("echo 1").result == "1\n"


def test_what_an_image_runs_by_itself_is_the_session_entrypoint(snapshot, make):
    made = snapshot(image="default", entrypoint=GREETER)
    assert made.entrypoint == GREETER
    sandbox = make(CreateSandboxFromSnapshotParams(snapshot=made.name, env_vars={"COLOUR": "blue"}))
    eventually(lambda: "warned" in (entrypoint_logs(sandbox).stderr or ""), "the entrypoint does not speak")
    said = entrypoint_logs(sandbox)
    assert said.stdout == "ready as daytona in /home/daytona for blue\n"
    assert said.stderr == "warned\n"
    session = sandbox.process.get_entrypoint_session()
    assert session.session_id == "entrypoint"
    assert [(command.command, command.exit_code) for command in session.commands] == [(" ".join(GREETER), None)]
    assert sandbox.process.exec("pkill -TERM -f 'echo by[e]'; echo told").result.endswith("told\n")
    eventually(
        lambda: sandbox.process.get_entrypoint_session().commands[0].exit_code == 3, "the entrypoint does not end"
    )
    assert entrypoint_logs(sandbox).stdout.endswith("bye\n")


def test_the_entrypoint_runs_again_after_a_stop(snapshot, make):
    made = snapshot(image="default", entrypoint=["sh", "-c", "echo run >> ~/runs; cat ~/runs"])
    sandbox = make(CreateSandboxFromSnapshotParams(snapshot=made.name))
    eventually(lambda: entrypoint_logs(sandbox).stdout == "run\n", "the entrypoint does not run")
    sandbox.stop()
    sandbox.start()
    eventually(lambda: entrypoint_logs(sandbox).stdout == "run\nrun\n", "the entrypoint does not run again")


def test_an_entrypoint_that_is_not_there_is_said_and_harms_nothing(snapshot, make):
    made = snapshot(image="default", entrypoint=["/no/such/program", "--now"])
    sandbox = make(CreateSandboxFromSnapshotParams(snapshot=made.name))
    assert sandbox.process.exec("echo fine").result == "fine\n"
    eventually(
        lambda: [command.exit_code for command in sandbox.process.get_entrypoint_session().commands] == [127],
        "the entrypoint is not given up",
    )
    assert entrypoint_logs(sandbox).stderr == "/no/such/program: not found\n"


def test_a_sandbox_without_an_entrypoint_has_an_empty_session(sandbox):
    assert (sandbox.process.get_entrypoint_session().commands or []) == []


def test_logs_of_the_entrypoint_are_followed(snapshot, make):
    made = snapshot(image="default", entrypoint=["sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.1; done; echo end >&2"])
    sandbox = make(CreateSandboxFromSnapshotParams(snapshot=made.name))
    outputs = ([], [])
    asyncio.run(sandbox.process.get_entrypoint_logs_async(outputs[0].append, outputs[1].append))
    assert ["".join(output) for output in outputs] == ["1\n2\n3\n", "end\n"]
