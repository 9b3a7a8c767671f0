"""Snapshots of sandboxes through the official SDK: taken running and stopped, started from, listed, deleted, refused."""

import asyncio
import contextlib
import uuid

import httpx
import pytest
from daytona import (
    AsyncDaytona,
    CreateSandboxFromSnapshotParams,
    CreateSnapshotParams,
    DaytonaBadRequestError,
    DaytonaConflictError,
    DaytonaNotFoundError,
)
from daytona_api_client import ApiClient, Configuration, SnapshotsApi
from waiting import eventually


def new_name():
    return f"e2e-{uuid.uuid4()}"


@pytest.fixture
def name(daytona):
    """A name; the snapshot that gets it does not outlive the test."""
    chosen = new_name()
    yield chosen
    with contextlib.suppress(DaytonaNotFoundError):
        daytona.snapshot.delete(daytona.snapshot.get(chosen))


@pytest.fixture
def snapshots(server):
    """The generated client, for what the SDK has no method for."""
    client = ApiClient(Configuration(host=server.url))
    client.default_headers["Authorization"] = f"Bearer {server.key}"
    return SnapshotsApi(client)


@pytest.fixture
def http(server):
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}) as client:
        yield client


def of(name):
    return CreateSandboxFromSnapshotParams(snapshot=name)


def run(sandbox, command):
    done = sandbox.process.exec(command)
    assert done.exit_code == 0, done.result
    return done.result


def test_a_sandbox_starts_from_what_another_wrote_running_and_stopped(daytona, make, name, snapshots):
    first = make()
    run(first, "echo one > ~/file; pip --version > ~/pip; sudo rm /etc/issue; sudo mkdir -m 1777 /srv/shared")
    first.create_snapshot(name)
    assert first.state == "started"
    run(first, "echo later > ~/file")
    second = make(of(name))
    assert (second.snapshot, run(second, "cat ~/file")) == (name, "one\n")
    assert run(second, "stat -c %a:%U /srv/shared; ls /etc/issue 2>&1 || true").startswith("1777:root\nls: ")
    # It goes on with a life of its own, and so does a snapshot of it.
    run(second, "echo two > ~/second")
    again = new_name()
    second.stop()
    second.create_snapshot(again)
    assert second.state == "stopped"
    third = make(of(again))
    assert run(third, "cat ~/file ~/second") == "one\ntwo\n"
    assert run(first, "cat ~/file") == "later\n"

    listed = snapshots.get_all_snapshots(source_sandbox_id=first.id)
    assert [(item.name, item.state, item.source_sandbox_id) for item in listed.items] == [(name, "active", first.id)]
    assert snapshots.get_all_snapshots(source_sandbox_id="none").total == 0
    got = daytona.snapshot.get(name)
    assert (got.cpu, got.mem, got.disk) == (first.cpu, first.memory, first.disk)
    assert got.size > 0
    daytona.snapshot.delete(daytona.snapshot.get(again))
    with pytest.raises(DaytonaNotFoundError):
        daytona.snapshot.get(again)
    # Its sandbox lies on its files, and keeps them.
    third.stop()
    third.start()
    assert run(third, "cat ~/file ~/second") == "one\ntwo\n"
    with pytest.raises(DaytonaBadRequestError, match="not found"):
        daytona.create(of(again))


def test_a_snapshot_is_deactivated_activated_and_deleted(daytona, make, name, http):
    sandbox = make()
    sandbox.create_snapshot(name)
    taken = daytona.snapshot.get(name)
    assert http.post(f"/snapshots/{taken.id}/deactivate").is_success
    with pytest.raises(DaytonaBadRequestError):
        daytona.create(of(name))
    assert daytona.snapshot.activate(daytona.snapshot.get(name)).state == "active"
    make(of(name))
    daytona.snapshot.delete(taken)
    with pytest.raises(DaytonaNotFoundError):
        daytona.snapshot.get(name)


def test_what_is_refused_says_why_and_leaves_the_sandbox_as_it_was(daytona, make, name, http):
    sandbox = make()
    sandbox.create_snapshot(name)
    with pytest.raises(DaytonaConflictError, match="already exists"):
        sandbox.create_snapshot(name)
    with pytest.raises(DaytonaConflictError, match="already exists"):
        daytona.snapshot.create(CreateSnapshotParams(name=name, image="default"))
    for bad in ("", "no spaces", "ü", str(uuid.uuid4()), "a" * 256):
        with pytest.raises(DaytonaBadRequestError, match="the name of a snapshot"):
            sandbox.create_snapshot(bad)
    memory = http.post(f"/sandbox/{sandbox.id}/snapshot", json={"name": new_name(), "includeMemory": True})
    assert (memory.status_code, "includeMemory" in memory.json()["message"]) == (400, True)
    assert http.post(f"/sandbox/{sandbox.id}/snapshot", json={}).status_code == 400
    assert http.post(f"/sandbox/{uuid.uuid4()}/snapshot", json={"name": new_name()}).status_code == 404
    sandbox.refresh_data()
    assert (sandbox.state, run(sandbox, "echo works")) == ("started", "works\n")
    sandbox.stop()
    sandbox.archive()
    with pytest.raises((DaytonaBadRequestError, DaytonaConflictError)):
        sandbox.create_snapshot(new_name())

    def is_archived():
        sandbox.refresh_data()
        return sandbox.state == "archived"

    eventually(is_archived, "it is not archived")
    with pytest.raises(DaytonaBadRequestError, match="archived"):
        sandbox.create_snapshot(new_name())
    sandbox.start()
    assert run(sandbox, "echo works") == "works\n"


def test_a_reader_takes_none_and_nobody_gets_at_an_image_by_its_inner_name(daytona, make, name, http):
    made = http.post("/api-keys", json={"name": new_name(), "permissions": ["write:sandboxes"]}).json()
    sandbox = make()
    refused = http.post(
        f"/sandbox/{sandbox.id}/snapshot",
        json={"name": name},
        headers={"Authorization": f"Bearer {made['value']}"},
    )
    assert refused.status_code == 403
    sandbox.create_snapshot(name)
    inner = http.get(f"/snapshots/{name}").json()["imageName"]
    answer = http.post("/snapshots", json={"name": new_name(), "imageName": inner})
    assert answer.status_code == 400, answer.text
    answer = http.post("/sandbox", json={"buildInfo": {"dockerfileContent": f"FROM {inner}\n"}})
    assert answer.status_code == 400, answer.text


def test_commands_go_on_while_a_snapshot_is_taken(make, name):
    sandbox = make()
    run(sandbox, "(while :; do date +%N >> ~/log; sleep 0.01; done) >/dev/null 2>&1 & echo begun")
    sandbox.create_snapshot(name)
    before = int(run(sandbox, "wc -l < ~/log"))
    assert int(run(sandbox, "sleep 0.2; wc -l < ~/log")) > before
    assert run(make(of(name)), "pgrep -c date || true; test -s ~/log && echo there").endswith("there\n")


def test_the_asynchronous_client_takes_snapshots_side_by_side(server, daytona):
    names = [new_name() for _ in range(4)]

    async def work():
        async with AsyncDaytona() as client:
            sandbox = await client.create()
            made = []
            try:
                await sandbox.process.exec("echo async > ~/file")
                for name in names[:2]:
                    await sandbox.create_snapshot(name)
                made = await asyncio.gather(*(client.create(of(name)) for name in names[:2]))
                taken = await asyncio.gather(*(one.create_snapshot(name) for one, name in zip(made, names[2:])))
                assert len(taken) == 2
                for one in made:
                    assert (await one.process.exec("cat ~/file")).result == "async\n"
                with pytest.raises(DaytonaConflictError):
                    await sandbox.create_snapshot(names[0])
                await sandbox.stop()
                await sandbox.create_snapshot(again)
                assert sandbox.state == "stopped"
                for name in [*names, again]:
                    await client.snapshot.delete(await client.snapshot.get(name))
            finally:
                for one in [sandbox, *made]:
                    await one.delete()

    again = new_name()
    asyncio.run(work())
