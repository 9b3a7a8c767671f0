"""Interpreters: contexts whose state lasts, through the SDK's clients."""

import time

import pytest
from daytona import (
    AsyncDaytona,
    CreateSandboxFromSnapshotParams,
    DaytonaBadRequestError,
    DaytonaConnectionError,
    DaytonaNotFoundError,
    DaytonaRateLimitError,
    DaytonaTimeoutError,
)
from waiting import eventually


@pytest.fixture
def interpreter(make):
    return make().code_interpreter


@pytest.fixture
def context(sandbox):
    made = sandbox.code_interpreter.create_context()
    yield made
    sandbox.code_interpreter.delete_context(made)


def told(result):
    return (result.stdout, result.stderr, result.error)


def test_the_default_context_keeps_its_state(interpreter):
    assert told(interpreter.run_code("import math\nx = 41\ndef f(): return x + 1")) == ("", "", None)
    assert told(interpreter.run_code("x += 1; print(f(), math.floor(2.5))")) == ("43 2\n", "", None)
    assert interpreter.list_contexts() == []


def test_contexts_are_made_listed_used_and_deleted(make):
    sandbox = make()
    interpreter = sandbox.code_interpreter
    sandbox.fs.create_folder("sub", "755")
    first, second = interpreter.create_context(), interpreter.create_context(cwd="sub")
    home = sandbox.get_work_dir()
    assert [(c.cwd, c.language, c.active) for c in (first, second)] == [
        (home, "python", True),
        (f"{home}/sub", "python", True),
    ]
    assert interpreter.list_contexts() == [first, second]
    assert interpreter.run_code("x = 1; import os; print(os.getcwd())", context=second).stdout == f"{home}/sub\n"
    assert interpreter.run_code("print('x' in globals())", context=first).stdout == "False\n"
    interpreter.delete_context(first)
    assert interpreter.list_contexts() == [second]
    with pytest.raises(DaytonaNotFoundError):
        interpreter.delete_context(first)
    with pytest.raises(DaytonaConnectionError, match="there is no interpreter context .*1008"):
        interpreter.run_code("1", context=first)
    with pytest.raises(DaytonaBadRequestError, match="cwd cannot be entered"):
        interpreter.create_context(cwd="/no/such")
    with pytest.raises(DaytonaBadRequestError, match="default context"):
        interpreter.delete_context(first.model_copy(update={"id": "default"}))


def test_output_is_heard_as_it_comes(sandbox, context):
    heard = []
    begun = time.monotonic()
    code = "import sys, time\nprint('one')\ntime.sleep(1)\nprint('two', file=sys.stderr)"
    result = sandbox.code_interpreter.run_code(
        code,
        context=context,
        on_stdout=lambda message: heard.append(("out", message.output, time.monotonic() - begun)),
        on_stderr=lambda message: heard.append(("err", message.output, time.monotonic() - begun)),
    )
    assert told(result) == ("one\n", "two\n", None)
    assert [part[:2] for part in heard] == [("out", "one\n"), ("err", "two\n")]
    assert heard[1][2] - heard[0][2] > 0.5


def test_an_error_has_name_value_and_traceback(sandbox, context):
    interpreter, errors = sandbox.code_interpreter, []
    interpreter.run_code("def divide(a, b):\n    return a / b", context=context)
    result = interpreter.run_code("print(1)\ndivide(1, 0)", context=context, on_error=errors.append)
    assert result.stdout == "1\n"
    assert errors == [result.error]
    assert (result.error.name, result.error.value) == ("ZeroDivisionError", "division by zero")
    lines = [line for line in result.error.traceback.splitlines() if set(line.strip()) - set("^~")]
    assert lines == [
        "Traceback (most recent call last):",
        '  File "<stdin>", line 2, in <module>',
        "    divide(1, 0)",
        '  File "<stdin>", line 2, in divide',
        "    return a / b",
        "ZeroDivisionError: division by zero",
    ]
    assert interpreter.run_code("if x", context=context).error.name == "SyntaxError"
    assert told(interpreter.run_code("import sys; sys.exit(3)", context=context)) == ("", "", None)
    assert interpreter.run_code("input()", context=context).error.name == "EOFError"


def test_a_huge_error_arrives_shortened(sandbox, context):
    error = sandbox.code_interpreter.run_code("raise ValueError('a' * 5_000_000)", context=context).error
    assert error.name == "ValueError"
    assert 30_000 < len(error.value) < 33_000 and "bytes are left out" in error.value
    assert 60_000 < len(error.traceback) < 66_000


def test_variables_are_there_for_one_run(sandbox, context):
    interpreter = sandbox.code_interpreter
    code = "import os; print(os.environ.get('COLOUR'), os.environ['DAYTONA_SANDBOX_ID'])"
    assert interpreter.run_code(code, context=context, envs={"COLOUR": "grün"}).stdout == f"grün {sandbox.id}\n"
    assert interpreter.run_code(code, context=context).stdout == f"None {sandbox.id}\n"
    with pytest.raises(DaytonaConnectionError, match="not an identifier"):
        interpreter.run_code(code, context=context, envs={"A-B": "1"})


def test_a_run_that_takes_too_long_is_interrupted_and_its_state_kept(sandbox, context):
    interpreter = sandbox.code_interpreter
    begun = time.monotonic()
    with pytest.raises(DaytonaTimeoutError):
        interpreter.run_code("x = 5\nimport time\ntime.sleep(1000)", context=context, timeout=1)
    assert 0.9 < time.monotonic() - begun < 3
    assert interpreter.run_code("print(x)", context=context).stdout == "5\n"
    with pytest.raises(DaytonaConnectionError, match="must not be negative"):
        interpreter.run_code("1", context=context, timeout=-1)
    assert interpreter.run_code("print(6)", context=context, timeout=0).stdout == "6\n"


def test_what_cannot_be_interrupted_is_killed_with_everything_it_started(sandbox, context):
    interpreter = sandbox.code_interpreter
    code = "import subprocess, time\nsubprocess.Popen(['setsid', 'sleep', '4351'])\n"
    code += "while True:\n  try: time.sleep(4352)\n  except BaseException: pass"
    begun = time.monotonic()
    with pytest.raises(DaytonaTimeoutError):
        interpreter.run_code(code, context=context, timeout=1)
    assert 2.9 < time.monotonic() - begun < 8
    assert sandbox.process.exec("pgrep -c -f 'sleep 435[1]'").result.strip() == "0"
    result = interpreter.run_code("print('time' in globals())", context=context)
    assert result.stdout == "False\n"
    assert "its state is lost" in result.stderr


def test_memory_that_runs_out_is_told_and_the_context_starts_anew(interpreter):
    result = interpreter.run_code("x = 1\nblock = [bytearray(1 << 24) for _ in range(1000)]")
    # The kernel ends it, unless Python was told first.
    assert result.error.name in ("InterpreterDied", "MemoryError")
    if result.error.name == "InterpreterDied":
        assert "memory was used up" in result.error.value
        assert interpreter.run_code("print('x' in globals())").stdout == "False\n"


def test_a_process_that_ends_is_told(interpreter):
    result = interpreter.run_code("import os; print('last', flush=True); os._exit(7)")
    assert result.stdout == "last\n"
    assert (result.error.name, result.error.value) == (
        "InterpreterDied",
        "its process ended with exit code 7; the context's state is lost, its next run starts anew",
    )
    result = interpreter.run_code("print(1)")
    assert result.stdout == "1\n"
    assert "its state is lost: its process ended with exit code 7" in result.stderr


def test_output_of_any_kind_arrives(sandbox, context):
    interpreter = sandbox.code_interpreter
    assert interpreter.run_code("print('🦀' * 100_000, end='')", context=context).stdout == "🦀" * 100_000
    assert len(interpreter.run_code("print('x' * (10 << 20))", context=context).stdout) == (10 << 20) + 1
    code = "import os, subprocess\nprint('a', end='')\nsubprocess.run('echo b', shell=True)\nos.write(1, b'\\xff\\n')"
    assert interpreter.run_code(code, context=context).stdout == "ab\n\ufffd\n"
    assert told(interpreter.run_code("pass", context=context)) == ("", "", None)


def test_numpy_keeps_its_arrays(interpreter):
    assert interpreter.run_code("import numpy as np; a = np.arange(6).reshape(2, 3)").error is None
    assert interpreter.run_code("print(a.sum(axis=0)); display(a.shape)").stdout == "[3 5 7]\n(2, 3)\n"


def test_runs_of_one_context_wait_for_each_other(sandbox, context):
    from concurrent.futures import ThreadPoolExecutor

    interpreter = sandbox.code_interpreter
    interpreter.run_code("import time; count = 0", context=context)
    code = "seen = count; time.sleep(0.01); count = seen + 1"
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: interpreter.run_code(code, context=context), range(24)))
    assert [result.error for result in results] == [None] * 24
    assert interpreter.run_code("print(count)", context=context).stdout == "24\n"


def test_deleting_a_context_ends_its_run(make):
    from concurrent.futures import ThreadPoolExecutor

    sandbox = make()
    interpreter = sandbox.code_interpreter
    context = interpreter.create_context()
    code = "import os; os.system('touch begun; sleep 4361')"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(interpreter.run_code, code, context=context)
        eventually(lambda: sandbox.process.exec("test -e begun").exit_code == 0, "it did not begin", 10)
        interpreter.delete_context(context)
        with pytest.raises(DaytonaConnectionError, match="was deleted"):
            running.result(10)
    assert sandbox.process.exec("pgrep -c -f 'sleep 436[1]'").result.strip() == "0"


def test_there_is_a_most_number_of_contexts(make):
    from concurrent.futures import ThreadPoolExecutor

    interpreter = make().code_interpreter
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: interpreter.create_context(), range(64)))
    with pytest.raises(DaytonaRateLimitError, match="64 interpreter contexts"):
        interpreter.create_context()
    assert len(interpreter.list_contexts()) == 64
    interpreter.delete_context(made[0])
    interpreter.create_context()


def test_the_state_goes_when_the_sandbox_stops(make):
    sandbox = make(CreateSandboxFromSnapshotParams(env_vars={"OWN": "1"}))
    interpreter = sandbox.code_interpreter
    code = "import os; print(os.environ['OWN'], 'x' in globals()); x = 1"
    assert interpreter.run_code(code).stdout == "1 False\n"
    context = interpreter.create_context()
    sandbox.stop()
    sandbox.start()
    assert told(sandbox.code_interpreter.run_code(code)) == ("1 False\n", "", None)
    assert context not in sandbox.code_interpreter.list_contexts()


async def test_the_asynchronous_client_does_the_same(server):
    async with AsyncDaytona() as daytona:
        sandbox = await daytona.create()
        try:
            interpreter, heard = sandbox.code_interpreter, []

            def hear(message):
                heard.append(message.output)

            context = await interpreter.create_context()
            assert await interpreter.list_contexts() == [context]
            result = await interpreter.run_code("x = 2\nprint(x)\nraise ValueError('v')", context=context, on_stdout=hear)
            assert (result.stdout, heard, result.error.name) == ("2\n", ["2\n"], "ValueError")
            with pytest.raises(DaytonaTimeoutError):
                await interpreter.run_code("import time; time.sleep(1000)", context=context, timeout=1)
            result = await interpreter.run_code("import os; print(x, os.environ['E'])", context=context, envs={"E": "1"})
            assert told(result) == ("2 1\n", "", None)
            result = await interpreter.run_code("raise ValueError('a' * 5_000_000)", context=context)
            assert 64_000 < len(result.error.traceback) < 70_000
            await interpreter.delete_context(context)
            with pytest.raises(DaytonaConnectionError, match="there is no interpreter context"):
                await interpreter.run_code("1", context=context)
            with pytest.raises(DaytonaNotFoundError):
                await interpreter.delete_context(context)
        finally:
            await sandbox.delete()
