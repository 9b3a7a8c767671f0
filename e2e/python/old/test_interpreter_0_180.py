"""Interpreters as an SDK of half a year ago uses them: through another WebSocket library."""

import pytest
from daytona import DaytonaError, DaytonaTimeoutError


def test_interpreters_work_with_an_old_sdk(make):
    interpreter = make().code_interpreter
    assert interpreter.run_code("x = 1").error is None
    context, heard = interpreter.create_context(cwd="/tmp"), []
    assert [c.id for c in interpreter.list_contexts()] == [context.id]
    code = "import os; print(os.getcwd(), 'x' in globals(), os.environ['E'])"
    result = interpreter.run_code(code, context=context, envs={"E": "1"}, on_stdout=lambda m: heard.append(m.output))
    assert (result.stdout, result.error, heard) == ("/tmp False 1\n", None, ["/tmp False 1\n"])
    assert interpreter.run_code("1 / 0", context=context).error.name == "ZeroDivisionError"
    with pytest.raises(DaytonaTimeoutError):
        interpreter.run_code("y = 2\nimport time; time.sleep(1000)", context=context, timeout=1)
    assert interpreter.run_code("print(y)", context=context).stdout == "2\n"
    assert len(interpreter.run_code("print('x' * (3 << 20))", context=context).stdout) == (3 << 20) + 1
    interpreter.delete_context(context)
    with pytest.raises(DaytonaError, match="there is no interpreter context"):
        interpreter.run_code("1", context=context)
