"""Sessions as an SDK of half a year ago uses them."""

import asyncio

import pytest
from daytona import DaytonaError, SessionExecuteRequest


def test_sessions_work_with_an_old_sdk(make):
    sandbox = make()
    process = sandbox.process
    process.create_session("s")
    process.execute_session_command("s", SessionExecuteRequest(command="X=5; cd /usr"))
    ran = process.execute_session_command("s", SessionExecuteRequest(command="echo $X; pwd; echo err >&2; (exit 4)"))
    assert (ran.exit_code, ran.stdout, ran.stderr) == (4, "5\n/usr\n", "err\n")
    begun = process.execute_session_command("s", SessionExecuteRequest(command="read a; echo got $a", run_async=True))
    process.send_session_command_input("s", begun.cmd_id, "it")
    outputs = ([], [])
    asyncio.run(process.get_session_command_logs_async("s", begun.cmd_id, outputs[0].append, outputs[1].append))
    assert ("".join(outputs[0]), outputs[1]) == ("it\ngot it\n", [])
    logs = process.get_session_command_logs("s", begun.cmd_id)
    assert (logs.stdout, logs.stderr) == ("it\ngot it\n", "")
    assert process.get_session_command("s", begun.cmd_id).exit_code == 0
    assert len(process.get_session("s").commands) == 3
    assert [session.session_id for session in process.list_sessions()] == ["s"]
    process.delete_session("s")
    with pytest.raises(DaytonaError):
        process.get_session("s")
