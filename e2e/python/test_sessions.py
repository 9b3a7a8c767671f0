"""Sessions: shells that last, their commands and what those say."""

import asyncio
import contextlib
import json
import subprocess
import time
import uuid

import aiohttp
import httpx
import pytest
from daytona import (
    AsyncDaytona,
    Daytona,
    DaytonaConfig,
    DaytonaConflictError,
    DaytonaError,
    DaytonaNotFoundError,
    DaytonaValidationError,
    SessionExecuteRequest,
)
from server import Server
from waiting import eventually


@pytest.fixture
def session(sandbox):
    """The name of a session that is deleted after the test."""
    name = f"s-{uuid.uuid4()}"
    sandbox.process.create_session(name)
    yield name
    with contextlib.suppress(DaytonaNotFoundError):
        sandbox.process.delete_session(name)


@pytest.fixture
def run(sandbox, session):
    """Runs a command in the session."""

    def execute(command, **options):
        request = SessionExecuteRequest(command=command, **options)
        return sandbox.process.execute_session_command(session, request)

    return execute


def ended(sandbox, session, command):
    return eventually(lambda: exit_code(sandbox, session, command) is not None, "the command does not end")


def exit_code(sandbox, session, command):
    return sandbox.process.get_session_command(session, command).exit_code


async def follow(sandbox, session, command):
    """Both outputs of a command, as the SDK's callbacks get them."""
    outputs = ([], [])
    await sandbox.process.get_session_command_logs_async(session, command, outputs[0].append, outputs[1].append)
    return tuple("".join(output) for output in outputs)


def test_a_session_keeps_folder_variables_functions_and_aliases(run):
    assert run("cd /usr; X=5; f() { echo f$X; }; alias up='echo alias'").exit_code == 0
    ran = run("pwd; f; up; echo oops >&2; false")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (1, "/usr\nf5\nalias\n", "oops\n")
    assert "\x01\x01\x01/usr\n" in ran.output
    assert "\x02\x02\x02oops\n" in ran.output


def test_sessions_are_made_listed_and_deleted(sandbox, session):
    with pytest.raises(DaytonaConflictError):
        sandbox.process.create_session(session)
    sandbox.process.execute_session_command(session, SessionExecuteRequest(command="echo one"))
    found = sandbox.process.get_session(session)
    assert found.session_id == session
    assert [(c.command, c.exit_code) for c in found.commands] == [("echo one", 0)]
    assert session in [listed.session_id for listed in sandbox.process.list_sessions()]
    sandbox.process.delete_session(session)
    for call in (sandbox.process.get_session, sandbox.process.delete_session):
        with pytest.raises(DaytonaNotFoundError):
            call(session)
    with pytest.raises(DaytonaNotFoundError):
        sandbox.process.execute_session_command(session, SessionExecuteRequest(command="true"))
    sandbox.process.create_session(session)
    assert sandbox.process.get_session(session).commands == []


def test_exit_codes_are_the_shells_own(sandbox, session, run):
    assert run("true").exit_code == 0
    assert run("(exit 200)").exit_code == 200
    assert run("sh -c 'kill -TERM $$'").exit_code == 143
    assert run("no-such-program").exit_code == 127
    assert run("echo 'unterminated").exit_code != 0
    assert run("cat <<EOF\nhere").stdout.startswith("here")
    assert run("echo still there").stdout == "still there\n"
    ran = run("echo last; exit 3")
    assert (ran.exit_code, ran.stdout) == (3, "last\n")
    with pytest.raises(DaytonaError, match="the session has ended: its shell exited with 3"):
        run("echo never")
    assert [c.exit_code for c in sandbox.process.get_session(session).commands][-1] == 3


def test_a_shell_that_is_killed_ends_its_session(run):
    assert run("kill -9 $$").exit_code == 137
    with pytest.raises(DaytonaError, match="signal 9 ended its shell"):
        run("true")


def test_outputs_of_all_kinds(run):
    ran = run("true")
    assert (ran.stdout, ran.stderr, ran.output) == ("", "", "")
    ran = run("printf 'no newline'; printf '\\xff\\x00\\xc3' >&2")
    assert (ran.stdout, ran.stderr) == ("no newline", "\ufffd\x00\ufffd")
    size = 10 << 20
    ran = run(f"head -c {size} /dev/zero | tr '\\0' a; echo e >&2")
    assert (len(ran.stdout), set(ran.stdout), ran.stderr) == (size, {"a"}, "e\n")
    ran = run("for i in $(seq 3); do printf '\\xe2\\x82'; sleep 0.02; printf '\\xac'; done")
    assert ran.stdout == "€€€"


def test_background_jobs_hold_up_nothing_and_end_with_the_session(sandbox, session, run):
    begun = time.monotonic()
    ran = run("(sleep 0.3; echo late) & sleep 4711 & setsid sleep 4712 & echo $!")
    assert time.monotonic() - begun < 4
    assert "late" not in ran.stdout
    assert run("echo next").stdout == "next\n"
    # What it says later belongs to the command that began it.
    eventually(
        lambda: sandbox.process.get_session_command_logs(session, ran.cmd_id).stdout.endswith("late\n"),
        "the background's output is missing",
    )
    assert sandbox.process.exec("pgrep -fc '[s]leep 471[12]'").result == "2\n"
    sandbox.process.delete_session(session)
    assert sandbox.process.exec("pgrep -fc '[s]leep 471[12]'").result == "0\n"


def test_an_asynchronous_command_takes_input(sandbox, session, run):
    begun = run("while read line; do echo \"got $line\"; done; echo done", run_async=True)
    assert begun.cmd_id
    assert exit_code(sandbox, session, begun.cmd_id) is None
    send = sandbox.process.send_session_command_input
    send(session, begun.cmd_id, "one")
    send(session, begun.cmd_id, "zwei ü\n")
    wanted = "one\ngot one\nzwei ü\ngot zwei ü\n"
    eventually(
        lambda: sorted(sandbox.process.get_session_command_logs(session, begun.cmd_id).stdout) == sorted(wanted),
        "the input did not arrive",
    )
    quick = f"q-{uuid.uuid4()}"
    sandbox.process.create_session(quick)
    try:
        request = SessionExecuteRequest(command="read x; echo $x | rev", run_async=True, suppress_input_echo=True)
        quiet = sandbox.process.execute_session_command(quick, request).cmd_id
        send(quick, quiet, "abc")
        ended(sandbox, quick, quiet)
        logs = sandbox.process.get_session_command_logs(quick, quiet)
        assert (logs.stdout, logs.stderr, logs.output) == ("cba\n", "", "\x01\x01\x01cba\n")
        with pytest.raises(DaytonaError, match="ended"):
            send(quick, quiet, "more")
        plain = sandbox.process.execute_session_command(quick, SessionExecuteRequest(command="cat"))
        assert (plain.exit_code, plain.stdout) == (0, "")
    finally:
        sandbox.process.delete_session(quick)


def test_the_old_name_of_run_async_works(server, sandbox, session):
    headers = {"Authorization": f"Bearer {server.key}"}
    url = f"{sandbox.toolbox_proxy_url}/{sandbox.id}/process/session/{session}"
    answer = httpx.post(f"{url}/exec", json={"command": "sleep 0.2", "async": True}, headers=headers)
    assert (answer.status_code, set(answer.json())) == (202, {"cmdId"})


def test_old_clients_get_what_they_understand(server, sandbox, session):
    url = f"{sandbox.toolbox_proxy_url}/{sandbox.id}/process/session/{session}"
    command = {"command": "echo out; echo err >&2"}
    for version, wanted in [
        ("0.26.9", {"output": "out\nerr\n"}),
        ("0.166.0", {"output": "\x01\x01\x01out\n\x02\x02\x02err\n"}),
        ("0.167.0", {"output": "\x01\x01\x01out\n\x02\x02\x02err\n", "stdout": "out\n", "stderr": "err\n"}),
    ]:
        headers = {"Authorization": f"Bearer {server.key}", "X-Daytona-SDK-Version": version}
        answer = httpx.post(f"{url}/exec", json=command, headers=headers).json()
        command_id, code = answer.pop("cmdId"), answer.pop("exitCode")
        assert code == 0
        logs = httpx.get(f"{url}/command/{command_id}/logs", headers=headers)
        if version == "0.167.0":
            assert logs.json() == answer
        else:
            assert logs.headers["content-type"].startswith("text/plain")
            assert logs.text == answer["output"]
        # The outputs are two pipes: which of them is read first is nobody's promise.
        assert sorted(answer["output"]) == sorted(wanted["output"])
        assert {k: v for k, v in answer.items() if k != "output"} == {k: v for k, v in wanted.items() if k != "output"}


def test_commands_of_a_session_run_one_after_the_other(sandbox, session, run):
    ids = [run(f"sleep 0.0{n % 3}; echo {n} >> order", run_async=True).cmd_id for n in range(20)]
    assert run("cat order; rm order").stdout == "".join(f"{n}\n" for n in range(20))
    commands = sandbox.process.get_session(session).commands
    assert [c.id for c in commands][:20] == ids
    assert {c.exit_code for c in commands} == {0}


async def test_a_log_can_be_followed_while_it_grows_and_after(sandbox, session, run):
    begun = run("for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.1; done; printf '\\xe2\\x82\\xac'", run_async=True)
    both = await asyncio.gather(*(follow(sandbox, session, begun.cmd_id) for _ in range(2)))
    wanted = ("out 1\nout 2\nout 3\n€", "err 1\nerr 2\nerr 3\n")
    assert both == [wanted, wanted]
    assert exit_code(sandbox, session, begun.cmd_id) == 0
    assert await follow(sandbox, session, begun.cmd_id) == wanted


async def test_a_followed_log_ends_at_once(sandbox, session, run):
    begun = run("read x; echo $x", run_async=True)
    following = asyncio.create_task(follow(sandbox, session, begun.cmd_id))
    await asyncio.sleep(0.1)
    sandbox.process.send_session_command_input(session, begun.cmd_id, "now")
    since = time.monotonic()
    assert await following == ("now\nnow\n", "")
    assert time.monotonic() - since < 0.5, "the reference takes a second"


async def test_a_log_can_be_followed_over_plain_http(server, sandbox, session, run):
    begun = run("echo first; sleep 0.2; echo second", run_async=True)
    url = f"{sandbox.toolbox_proxy_url}/{sandbox.id}/process/session/{session}/command/{begun.cmd_id}/logs?follow=true"
    headers = {"Authorization": f"Bearer {server.key}"}
    async with httpx.AsyncClient() as client, client.stream("GET", url, headers=headers) as answer:
        pieces = [piece async for piece in answer.aiter_bytes()]
    assert b"".join(pieces) == b"\x01\x01\x01first\nsecond\n"
    assert len(pieces) > 1
    async with aiohttp.ClientSession(headers=headers) as client, client.ws_connect(url) as socket:
        received = [message.data async for message in socket if message.type is aiohttp.WSMsgType.BINARY]
    assert b"".join(received) == b"\x01\x01\x01first\nsecond\n"
    assert socket.close_code == 1000


async def test_a_follower_that_stops_reading_holds_up_nothing_and_loses_nothing(server, sandbox, session, run):
    size = 64 << 20
    begun = run(f"sleep 0.2; head -c {size} /dev/zero; echo end >&2", run_async=True)
    url = f"{sandbox.toolbox_proxy_url}/{sandbox.id}/process/session/{session}/command/{begun.cmd_id}/logs?follow=true"
    headers = {"Authorization": f"Bearer {server.key}"}
    async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", url, headers=headers) as answer:
        pieces = answer.aiter_bytes()
        first = await anext(pieces)
        await asyncio.to_thread(ended, sandbox, session, begun.cmd_id)
        received = bytearray(first)
        async for piece in pieces:
            received += piece
    # Which of two outputs was written first, nobody can tell.
    assert received.count(0) == size
    assert b"\x02\x02\x02end\n" in received
    assert not received.replace(b"\0", b"").strip(b"\x01\x02end\n")


async def test_a_caller_that_goes_away_ends_no_command(server, sandbox, session):
    url = f"{sandbox.toolbox_proxy_url}/{sandbox.id}/process/session/{session}"
    headers = {"Authorization": f"Bearer {server.key}"}
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"{url}/exec", json={"command": "sleep 1; echo went on"}, headers=headers, timeout=0.3)
    command = sandbox.process.get_session(session).commands[-1].id
    await asyncio.to_thread(ended, sandbox, session, command)
    assert sandbox.process.get_session_command_logs(session, command).stdout == "went on\n"


def test_what_makes_no_sense_is_refused(sandbox, session, run):
    with pytest.raises(DaytonaError, match="command is required"):
        run("  ")
    with pytest.raises(DaytonaNotFoundError):
        sandbox.process.get_session_command(session, "nothing")
    with pytest.raises(DaytonaNotFoundError):
        sandbox.process.get_session_command_logs(session, "nothing")
    with pytest.raises(DaytonaError):
        sandbox.process.create_session("")
    for call in (sandbox.process.create_session, sandbox.process.delete_session):
        with pytest.raises((DaytonaValidationError, DaytonaError), match="entrypoint"):
            call("entrypoint")


async def test_an_image_without_a_program_has_an_empty_entrypoint(sandbox):
    found = sandbox.process.get_entrypoint_session()
    assert (found.session_id, found.commands) == ("entrypoint", [])
    assert "entrypoint" not in [session.session_id for session in sandbox.process.list_sessions()]
    logs = sandbox.process.get_entrypoint_logs()
    assert (logs.output, logs.stdout, logs.stderr) == ("", "", "")
    said = []
    await sandbox.process.get_entrypoint_logs_async(said.append, said.append)
    assert said == []


async def test_changes_of_the_environment_are_for_later_sessions(server, sandbox, session, run):
    url = f"{sandbox.toolbox_proxy_url}/{sandbox.id}/env"
    headers = {"Authorization": f"Bearer {server.key}"}
    httpx.post(url, json={"set": {"FOR_LATER": "yes"}}, headers=headers).raise_for_status()
    try:
        assert run("echo [$FOR_LATER]").stdout == "[]\n"
        sandbox.process.create_session("later")
        ran = sandbox.process.execute_session_command("later", SessionExecuteRequest(command="echo [$FOR_LATER]"))
        assert ran.stdout == "[yes]\n"
    finally:
        sandbox.process.delete_session("later")
        httpx.post(url, json={"unset": ["FOR_LATER"]}, headers=headers).raise_for_status()


async def test_two_hundred_sessions_work_at_the_same_time(server):
    async with AsyncDaytona() as daytona:
        sandbox = await daytona.create()
        try:
            process, names = sandbox.process, [f"s{n}" for n in range(200)]
            gate = asyncio.Semaphore(32)

            async def use(name):
                async with gate:
                    await process.create_session(name)
                    ran = await process.execute_session_command(name, SessionExecuteRequest(command=f"X={name}"))
                    assert ran.exit_code == 0

            async def use_again(name):
                async with gate:
                    ran = await process.execute_session_command(name, SessionExecuteRequest(command="echo $X"))
                    return ran.stdout

            await asyncio.gather(*(use(name) for name in names))
            assert len(await process.list_sessions()) == 200
            said = await asyncio.gather(*(use_again(name) for name in names))
            assert said == [f"{name}\n" for name in names]
        finally:
            await sandbox.delete()


async def test_the_asynchronous_client_does_the_same(server):
    async with AsyncDaytona() as daytona:
        sandbox = await daytona.create()
        process = sandbox.process
        try:
            await process.create_session("a")
            ran = await process.execute_session_command("a", SessionExecuteRequest(command="echo out; exit 7"))
            assert (ran.exit_code, ran.stdout) == (7, "out\n")
            await process.create_session("b")
            begun = await process.execute_session_command(
                "b", SessionExecuteRequest(command="read x; echo got $x; echo e >&2", run_async=True)
            )
            await process.send_session_command_input("b", begun.cmd_id, "it")
            assert await follow(sandbox, "b", begun.cmd_id) == ("it\ngot it\n", "e\n")
            assert (await process.get_session_command("b", begun.cmd_id)).exit_code == 0
            logs = await process.get_session_command_logs("b", begun.cmd_id)
            assert (logs.stdout, logs.stderr) == ("it\ngot it\n", "e\n")
            assert (await process.get_session("b")).commands[0].id == begun.cmd_id
            await process.delete_session("a")
            with pytest.raises(DaytonaNotFoundError):
                await process.get_session("a")
        finally:
            await sandbox.delete()


def test_sessions_and_logs_survive_the_death_of_the_server():
    first = Server()
    try:
        sandbox = Daytona(DaytonaConfig(api_key=first.key, api_url=first.url)).create()
        sandbox.process.create_session("a")
        request = SessionExecuteRequest(command="X=kept; echo before; sleep 2; echo after", run_async=True)
        begun = sandbox.process.execute_session_command("a", request)
        first.process.kill()
        first.process.wait()
        # The same command line, therefore the same state.
        first.process = subprocess.Popen(first.process.args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        url = json.loads(first.process.stdout.readline())["url"]
        sandbox = Daytona(DaytonaConfig(api_key=first.key, api_url=url)).get(sandbox.id)
        ended(sandbox, "a", begun.cmd_id)
        assert sandbox.process.get_session_command_logs("a", begun.cmd_id).stdout == "before\nafter\n"
        ran = sandbox.process.execute_session_command("a", SessionExecuteRequest(command="echo $X"))
        assert ran.stdout == "kept\n"
        sandbox.delete()
    finally:
        first.close()


def test_a_gibibyte_of_output_is_kept_and_takes_no_memory(make):
    sandbox = make()
    process = sandbox.process
    process.create_session("a")

    def memory_kib():
        return int(process.exec("sed -n 's/^VmRSS:[^0-9]*//p' /proc/1/status | tr -d ' kB'").result)

    def used_mib():
        return int(process.exec("df --output=used -BM / | tail -1 | tr -d 'M '").result)

    before, used = memory_kib(), used_mib()
    request = SessionExecuteRequest(command="head -c 1G /dev/zero | tr '\\0' a; echo end >&2", run_async=True)
    begun = process.execute_session_command("a", request)
    most = before

    def is_over():
        nonlocal most
        most = max(most, memory_kib())
        return process.get_session_command("a", begun.cmd_id).exit_code is not None

    eventually(is_over, "the command does not end", seconds=120)
    assert most - before < 24 << 10, f"{before} KiB, then {most} KiB"
    assert used_mib() > used + 1000
    process.delete_session("a")
    # The room comes back.
    eventually(lambda: used_mib() < used + 64, "the disk is still full")


def test_a_full_disk_ends_the_log_and_not_the_command(make):
    sandbox = make()
    process = sandbox.process
    process.create_session("a")
    process.exec("fallocate -l $(($(df --output=avail -B1 / | tail -1) - 230000000)) filler")
    command = "head -c 100M /dev/zero | tr '\\0' a; echo end >&2; echo written > file && cat file; exit 5"
    ran = process.execute_session_command("a", SessionExecuteRequest(command=command, run_async=True))
    eventually(lambda: exit_code(sandbox, "a", ran.cmd_id) == 5, "the command does not end", seconds=60)
    logs = process.get_session_command_logs("a", ran.cmd_id)
    assert "bytes of output were dropped: the sandbox's disk is almost full]" in logs.stderr
    assert 0 < len(logs.stdout) < 100 << 20
    assert process.exec("cat file").result == "written\n"
    process.exec("rm filler")
    process.create_session("b")
    ran = process.execute_session_command("b", SessionExecuteRequest(command="head -c 2M /dev/zero | tr '\\0' b"))
    assert (ran.exit_code, len(ran.stdout), ran.stderr) == (0, 2 << 20, "")
