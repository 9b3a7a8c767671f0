"""What changes a living sandbox, and what happens to one by itself, through the official SDK."""

import asyncio
from datetime import datetime, timedelta, timezone

import httpx
import pytest
import recorded
from daytona import (
    AsyncDaytona,
    CreateSandboxFromSnapshotParams,
    Daytona,
    DaytonaBadRequestError,
    DaytonaConfig,
    DaytonaError,
    DaytonaInternalServerError,
    DaytonaNotFoundError,
    Resources,
    SandboxState,
    SessionExecuteRequest,
)
from server import Server
from waiting import eventually

# A process that does not end when it is told to; over once that is so.
ENDLESS = (
    "(setsid sh -c 'trap \"\" TERM; touch ~/endless; while :; do sleep 1; done' &) >/dev/null 2>&1; "
    "until [ -e ~/endless ]; do sleep 0.01; done"
)


def at(text):
    """A date of the API."""
    return datetime.fromisoformat(text)


def raw(server, sandbox, method="GET", path="", **kwargs):
    """A sandbox as JSON, with the fields that the SDK does not know."""
    return httpx.request(
        method,
        f"{server.url}/sandbox/{sandbox.id}{path}",
        headers={"Authorization": f"Bearer {server.key}"},
        timeout=60,
        **kwargs,
    )


def archive(sandbox):
    sandbox.archive()

    def is_archived():
        sandbox.refresh_data()
        return sandbox.state == SandboxState.ARCHIVED

    eventually(is_archived, "it is not archived")


def test_labels_are_replaced(make, daytona):
    sandbox = make(CreateSandboxFromSnapshotParams(labels={"old": "1"}))
    wanted = {"a": "b", "é": "", "code-toolbox-language": "python"}
    assert sandbox.set_labels(wanted) == wanted
    assert daytona.get(sandbox.id).labels == wanted
    assert sandbox.set_labels({}) == {}
    assert daytona.get(sandbox.id).labels == {}


def test_intervals_are_set_and_read_back(make, daytona):
    sandbox = make()
    sandbox.set_autostop_interval(60)
    sandbox.set_auto_archive_interval(120)
    sandbox.set_auto_delete_interval(180)
    found = daytona.get(sandbox.id)
    assert (found.auto_stop_interval, found.auto_archive_interval, found.auto_delete_interval) == (60, 120, 180)
    sandbox.set_autostop_interval(0)
    sandbox.set_auto_archive_interval(0)
    sandbox.set_auto_delete_interval(-1)
    found = daytona.get(sandbox.id)
    assert (found.auto_stop_interval, found.auto_archive_interval, found.auto_delete_interval) == (0, 0, -1)


def test_no_sandbox_pauses_by_itself_and_whoever_asks_for_it_is_told(make, server):
    sandbox = make()
    sandbox.set_auto_pause_interval(0)
    for method, path, status, word in [
        ("POST", "/autopause/5", 422, "cannot be paused"),
        ("POST", "/autopause/-1", 400, "interval"),
        ("POST", "/autopause/soon", 400, "interval"),
    ]:
        answer = raw(server, sandbox, method, path)
        assert answer.status_code == status and word in answer.json()["message"], answer.text
    with pytest.raises(DaytonaError, match="cannot be paused"):
        sandbox.set_auto_pause_interval(5)
    assert sandbox.set_auto_pause_interval(0) is None


def test_a_countdown_can_be_seen(make, server):
    sandbox = make(CreateSandboxFromSnapshotParams(auto_stop_interval=30))
    seen = raw(server, sandbox).json()
    assert at(seen["autoStopAt"]) - at(seen["lastActivityAt"]) == timedelta(minutes=30)
    assert "autoArchiveAt" not in seen and "autoDeleteAt" not in seen and "autoDestroyAt" not in seen
    sandbox.set_auto_delete_interval(10)
    sandbox.stop()
    seen = raw(server, sandbox).json()
    assert "autoStopAt" not in seen
    assert at(seen["autoDeleteAt"]) - at(seen["lastActivityAt"]) == timedelta(minutes=10)
    assert at(seen["autoArchiveAt"]) - at(seen["lastActivityAt"]) == timedelta(days=7)


def test_a_time_to_live_is_a_date_that_can_be_taken_back(make, daytona):
    sandbox = make()
    sandbox.set_ttl(60)
    left = at(daytona.get(sandbox.id).auto_destroy_at) - datetime.now(timezone.utc)
    assert timedelta(minutes=59) < left <= timedelta(minutes=61)
    sandbox.set_ttl(0)
    assert daytona.get(sandbox.id).auto_destroy_at is None


def test_a_sandbox_becomes_public_and_private(make, daytona):
    sandbox = make()
    for is_public in (True, False):
        sandbox.set_public(is_public)
        assert daytona.get(sandbox.id).public is is_public


def test_activity_is_what_is_asked_of_a_sandbox_and_not_what_is_asked_about_it(make, server):
    sandbox = make()

    def last():
        return at(raw(server, sandbox).json()["lastActivityAt"])

    before = last()
    assert last() == before
    sandbox.process.exec("true")
    used = last()
    assert used > before
    quiet = httpx.post(
        f"{sandbox.toolbox_proxy_url}/{sandbox.id}/process/execute",
        json={"command": "true"},
        headers={"Authorization": f"Bearer {server.key}", "X-Daytona-Skip-Last-Activity-Update": "true"},
    )
    assert quiet.json()["exitCode"] == 0
    assert last() == used
    sandbox.refresh_activity()
    assert last() > used


def test_a_running_sandbox_gets_more_processors_and_memory(make, daytona):
    sandbox = make()
    sandbox.process.exec("echo running > /tmp/mark; (sleep 300 &) >/dev/null 2>&1")
    sandbox.resize(Resources(cpu=2, memory=2))
    assert (sandbox.state, sandbox.cpu, sandbox.memory, sandbox.disk) == (SandboxState.STARTED, 2, 2, 3)
    assert (daytona.get(sandbox.id).cpu, daytona.get(sandbox.id).memory) == (2, 2)
    assert sandbox.process.exec("cat /tmp/mark; pgrep -c sleep").result == "running\n1\n"
    # More memory than it had at first.
    taken = sandbox.process.exec("python3 -c 'x = bytearray(1100 << 20); print(len(x) >> 20)'")
    assert taken.result == "1100\n"


def test_a_stopped_sandbox_gets_a_larger_disk_with_what_is_on_it(make):
    sandbox = make()
    made = sandbox.process.exec("head -c 300000000 /dev/urandom > ~/data && sha256sum ~/data && sudo touch /root-made")
    before = int(sandbox.process.exec("df --output=size -BM / | tail -1").result.strip().rstrip("M"))
    sandbox.stop()
    sandbox.resize(Resources(disk=6))
    assert (sandbox.state, sandbox.disk) == (SandboxState.STOPPED, 6)
    sandbox.start()
    after = int(sandbox.process.exec("df --output=size -BM / | tail -1").result.strip().rstrip("M"))
    assert after - before > 2900, (before, after)
    assert sandbox.process.exec("sha256sum ~/data; ls /root-made").result == made.result + "/root-made\n"
    assert sandbox.process.exec("fallocate -l 3500M ~/more && echo fits").result == "fits\n"


def test_limits_that_cannot_be_had_are_refused(make, daytona):
    sandbox = make()
    for wanted, why in [
        (Resources(cpu=1), "already"),
        (Resources(cpu=5), "maximum of 4"),
        (Resources(memory=9), "maximum of 8"),
        (Resources(disk=5), "stop it first"),
    ]:
        with pytest.raises(DaytonaBadRequestError, match=why):
            sandbox.resize(wanted)
    sandbox.resize(Resources(cpu=2))
    with pytest.raises(DaytonaBadRequestError, match="only grow"):
        sandbox.resize(Resources(cpu=1))
    sandbox.stop()
    with pytest.raises(DaytonaBadRequestError, match="only grow"):
        sandbox.resize(Resources(disk=2))
    sandbox.resize(Resources(cpu=1))
    assert (daytona.get(sandbox.id).cpu, daytona.get(sandbox.id).disk) == (1, 3)


def test_an_archived_sandbox_comes_back_as_it_was(make, daytona):
    sandbox = make()
    sandbox.process.exec("echo kept > ~/file; sudo touch /root-made; ln -s file ~/link; sudo chown 1234:4321 /root-made")
    with pytest.raises(DaytonaBadRequestError, match="cannot be archived"):
        sandbox.archive()
    sandbox.stop()
    archive(sandbox)
    assert sandbox.desired_state == "archived"
    with pytest.raises(DaytonaBadRequestError, match="archived"):
        sandbox.process.exec("true")
    with pytest.raises(DaytonaBadRequestError):
        sandbox.stop()
    sandbox.start()
    assert sandbox.state == SandboxState.STARTED
    found = sandbox.process.exec("cat ~/link; stat -c %u:%g /root-made").result
    assert found == "kept\n1234:4321\n"


def test_an_archived_sandbox_can_be_deleted(make, daytona):
    sandbox = make()
    sandbox.stop()
    archive(sandbox)
    sandbox.delete(wait=True)
    with pytest.raises(DaytonaNotFoundError):
        daytona.get(sandbox.id)


def test_an_ephemeral_sandbox_is_not_archived(make):
    sandbox = make(CreateSandboxFromSnapshotParams(ephemeral=True))
    with pytest.raises(DaytonaBadRequestError, match="cannot be archived"):
        sandbox.archive()


def test_what_has_not_failed_is_not_recovered(make):
    sandbox = make()
    with pytest.raises(DaytonaBadRequestError, match="a sandbox that is started cannot be recovered"):
        sandbox.recover()


def test_what_did_not_stop_in_time_says_so_and_is_recovered():
    server = Server(["--stop-deadline", "1"])
    recorded.watch(server.url)
    try:
        daytona = Daytona(DaytonaConfig(api_key=server.key, api_url=server.url))
        sandbox = daytona.create()
        sandbox.process.exec(f"echo kept > ~/file; {ENDLESS}")
        with pytest.raises(DaytonaInternalServerError, match="could not be stopped"):
            sandbox.stop()
        sandbox.refresh_data()
        assert (sandbox.state, sandbox.recoverable) == (SandboxState.ERROR, True)
        assert sandbox.error_reason == "the machine could not stop it: not done after 1 seconds"
        with pytest.raises(DaytonaBadRequestError, match="recover or delete it"):
            sandbox.process.exec("true")

        def is_recovered():
            try:
                sandbox.recover()
            except DaytonaInternalServerError:
                return False  # It still stops.
            return True

        eventually(is_recovered, "it is not recovered")
        assert (sandbox.state, sandbox.error_reason) == (SandboxState.STARTED, None)
        assert sandbox.process.exec("cat ~/file").result == "kept\n"
        sandbox.delete(wait=True)
    finally:
        server.close()


def test_changes_wait_for_each_other(make, server):
    sandbox = make()
    # A process that does not end when it is told to makes the stop take a while.
    sandbox.process.exec(ENDLESS)

    async def both():
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {server.key}"}, timeout=60) as client:
            url = f"{server.url}/sandbox/{sandbox.id}"
            return await asyncio.gather(*[client.post(f"{url}/stop") for _ in range(5)])

    answers = sorted(answer.status_code for answer in asyncio.run(both()))
    assert answers[0] == 200 and set(answers[1:]) <= {400, 409}, answers


def test_values_that_are_none_are_refused_and_nothing_changes(make, server):
    sandbox = make()
    before = raw(server, sandbox).json()
    for method, path, body in [
        ("POST", "/autostop/-1", None),
        ("POST", "/autostop/soon", None),
        ("POST", "/autostop/4294967296", None),
        ("POST", "/autoarchive/-1", None),
        ("POST", "/autodelete/1.5", None),
        ("POST", "/ttl/-5", None),
        ("POST", "/public/maybe", None),
        ("POST", "/resize", {"cpu": -1}),
        ("POST", "/resize", {"cpu": "2"}),
        ("POST", "/resize", {"cpu": 0}),
        ("POST", "/resize", {}),
        ("POST", "/recover?skipStart=perhaps", None),
        ("PUT", "/labels", {"labels": {"a": 1}}),
        ("PUT", "/labels", {}),
        ("PUT", "/labels", {"labels": {f"{n}": "" for n in range(1001)}}),
        ("POST", "/last-activity", [1]),
    ]:
        answer = raw(server, sandbox, method, path, json=body)
        assert answer.status_code == 400, (path, answer.text)
        assert answer.json()["statusCode"] == 400 and answer.json()["message"], answer.text
    after = raw(server, sandbox).json()
    assert {k: v for k, v in after.items() if k != "lastActivityAt"} == {
        k: v for k, v in before.items() if k != "lastActivityAt"
    }


def test_what_is_not_there_is_not_found(make, server):
    sandbox = make()
    sandbox.delete(wait=True)
    for method, path, body in [
        ("POST", "/autostop/1", None),
        ("POST", "/autoarchive/1", None),
        ("POST", "/autodelete/1", None),
        ("POST", "/ttl/1", None),
        ("POST", "/public/true", None),
        ("POST", "/resize", {"cpu": 2}),
        ("POST", "/archive", None),
        ("POST", "/recover", None),
        ("POST", "/last-activity", None),
        ("PUT", "/labels", {"labels": {}}),
    ]:
        answer = raw(server, sandbox, method, path, json=body)
        assert answer.status_code == 404, (path, answer.text)
        assert answer.json()["message"] == f"Sandbox with ID or name {sandbox.id} not found"


def test_an_idle_sandbox_stops_by_itself_and_a_busy_one_does_not(make, server, daytona):
    """The one test that waits for a real minute; the rest is tested on a clock that is told what time it is."""
    busy = make(CreateSandboxFromSnapshotParams(auto_stop_interval=1))
    left = make(CreateSandboxFromSnapshotParams(auto_stop_interval=1))
    left.process.create_session("work")
    order = SessionExecuteRequest(command="sleep 70; echo done", run_async=True)
    command = left.process.execute_session_command("work", order).cmd_id
    idle = make(CreateSandboxFromSnapshotParams(auto_stop_interval=1))
    gone = make()
    gone.set_auto_delete_interval(1)
    gone.stop()
    ends = at(raw(server, idle).json()["autoStopAt"])
    worked = busy.process.exec("sleep 75; echo done")
    assert worked.result == "done\n"
    assert daytona.get(busy.id).state == SandboxState.STARTED
    assert daytona.get(left.id).state == SandboxState.STARTED
    assert left.process.get_session_command("work", command).exit_code == 0
    found = daytona.get(idle.id)
    assert found.state == SandboxState.STOPPED
    assert timedelta(0) <= at(found.updated_at) - ends < timedelta(seconds=5)
    with pytest.raises(DaytonaNotFoundError):
        daytona.get(gone.id)
    idle.start()
    assert idle.process.exec("echo back").result == "back\n"


def test_the_same_through_the_async_client(server):
    async def changes():
        async with AsyncDaytona() as daytona:
            sandbox = await daytona.create()
            try:
                assert await sandbox.set_labels({"a": "b"}) == {"a": "b"}
                await sandbox.set_autostop_interval(5)
                await sandbox.set_auto_archive_interval(6)
                await sandbox.set_auto_delete_interval(7)
                await sandbox.set_ttl(8)
                await sandbox.set_public(True)
                await sandbox.refresh_activity()
                await sandbox.resize(Resources(cpu=2))
                assert (sandbox.state, sandbox.cpu) == (SandboxState.STARTED, 2)
                await sandbox.stop()
                await sandbox.archive()
                while sandbox.state != SandboxState.ARCHIVED:
                    await sandbox.refresh_data()
                await sandbox.start()
                found = await daytona.get(sandbox.id)
                assert (found.auto_stop_interval, found.auto_archive_interval) == (5, 6)
                assert (found.auto_delete_interval, found.public, found.labels) == (7, True, {"a": "b"})
                with pytest.raises(DaytonaBadRequestError, match="cannot be recovered"):
                    await sandbox.recover()
            finally:
                await sandbox.delete()

    asyncio.run(asyncio.wait_for(changes(), 60))
