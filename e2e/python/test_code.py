"""Commands and code in a sandbox: results, exit codes, time limits."""

import time

import httpx
import pytest
from daytona import CodeRunParams, CreateSandboxFromSnapshotParams, DaytonaTimeoutError
from daytona_toolbox_api_client.exceptions import ApiException
from waiting import eventually

PROGRAMS = {
    "python": "import sys, os\nprint(sys.argv[1:], os.environ['COLOUR'])\nprint('bad', file=sys.stderr)\nsys.exit(7)",
    "javascript": "console.log(process.argv.slice(2), process.env.COLOUR); console.error('bad'); process.exit(7)",
    "typescript": "const n: number = 7; console.log(process.argv.slice(2), process.env.COLOUR); "
    "console.error('bad'); process.exit(n)",
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_code_gets_arguments_and_variables_and_gives_its_exit_code(make, language):
    sandbox = make(CreateSandboxFromSnapshotParams(language=language))
    ran = sandbox.process.code_run(PROGRAMS[language], CodeRunParams(argv=["a b", "$c"], env={"COLOUR": "grün"}))
    lists = {"python": "['a b', '$c']"}.get(language, "[ 'a b', '$c' ]")
    assert (ran.exit_code, sorted(ran.result.splitlines())) == (7, sorted([f"{lists} grün", "bad"]))


def test_each_run_starts_anew(sandbox):
    assert sandbox.process.code_run("x = 1").exit_code == 0
    ran = sandbox.process.code_run("print(x)")
    assert ran.exit_code == 1
    assert "NameError" in ran.result


IS_FORKED = "print('/proc/self/fd/3' in open('/proc/self/environ').read())"


def test_later_runs_are_forked_and_each_has_a_group_and_a_session_of_its_own(make):
    sandbox = make()
    assert sandbox.process.code_run(IS_FORKED).result == "False\n"
    eventually(lambda: sandbox.process.code_run(IS_FORKED).result == "True\n", "no run is forked", 10)
    code = (
        "import os\n"
        "print([line for line in open('/proc/self/cgroup') if 'command-' in line])\n"
        "print(os.getppid(), os.getsid(0) == os.getpid(), open('/proc/self/oom_score_adj').read().strip())"
    )
    first, second = (sandbox.process.code_run(code).result.splitlines() for _ in range(2))
    assert first[1] == second[1] == "1 True 1000"
    assert "command-" in first[0]
    assert first[0] != second[0]


def test_a_fork_is_killed_with_everything_it_started(make):
    sandbox = make()
    eventually(lambda: sandbox.process.code_run(IS_FORKED).result == "True\n", "no run is forked", 10)
    code = "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '4351'])\nsubprocess.run(['sleep', '4352'])"
    with pytest.raises(ApiException) as refused:
        sandbox.process.code_run(code, timeout=1)
    assert refused.value.status == 408
    assert sandbox.process.exec("pgrep -c -f 'sleep 435[12]'").result.strip() == "0"
    assert sandbox.process.code_run("print(1)").result == "1\n"


def test_a_package_that_was_installed_is_there_for_the_next_run(make):
    sandbox = make()
    eventually(lambda: sandbox.process.code_run(IS_FORKED).result == "True\n", "no run is forked", 10)
    site = sandbox.process.code_run("import site; print(site.USER_SITE)").result.strip()
    sandbox.process.exec(f"mkdir -p {site}; echo 'import builtins; builtins.NEW = 5' > {site}/new.pth")
    assert sandbox.process.code_run("print(NEW)").result == "5\n"


def test_variables_of_a_run_reach_a_fork_and_stay_with_it(make):
    sandbox = make()
    eventually(lambda: sandbox.process.code_run(IS_FORKED).result == "True\n", "no run is forked", 10)
    code = "import os; print(os.environ.get('OWN'), os.environ.get('TZ'), __import__('time').tzname[0])"
    ran = sandbox.process.code_run(code, CodeRunParams(env={"OWN": "grün"}))
    assert ran.result == "grün None UTC\n"
    ran = sandbox.process.code_run(code, CodeRunParams(env={"TZ": "XYZ-3"}))
    assert ran.result == "None XYZ-3 XYZ\n"
    assert sandbox.process.code_run(code).result == "None None UTC\n"


def test_code_larger_than_an_argument_may_be_runs(sandbox):
    code = f"text = '{'x' * 300_000}'\nprint(len(text))"
    assert sandbox.process.code_run(code).result == "300000\n"


def test_numpy_is_there(sandbox):
    assert sandbox.process.code_run("import numpy; print(numpy.arange(4).sum())").result == "6\n"


@pytest.mark.parametrize(
    "command, exit_code, result",
    [
        ("echo hi; echo err >&2; exit 3", 3, "hi\nerr\n"),
        ("true", 0, ""),
        ("false", 1, ""),
        ("printf 'no newline'", 0, "no newline"),
        ("no-such-command 2>/dev/null", 127, ""),
        ("printf 'a\\377b'", 0, "a\ufffdb"),
        ("echo \"it's\" '\"quoted\"'", 0, "it's \"quoted\"\n"),
    ],
)
def test_a_command_gives_its_output_and_exit_code(sandbox, command, exit_code, result):
    ran = sandbox.process.exec(command)
    assert (ran.exit_code, ran.result) == (exit_code, result)


def test_a_command_has_a_folder_and_variables(sandbox):
    ran = sandbox.process.exec('pwd; echo "$A|$B"', cwd="/tmp", env={"A": "1 2", "B": "$A"})
    assert (ran.exit_code, ran.result) == (0, "/tmp\n1 2|$A\n")


def test_variables_of_later_commands_are_set_and_unset(make):
    sandbox = make(CreateSandboxFromSnapshotParams(env_vars={"KEPT": "1", "GOES": "2"}))
    sandbox.update_env({"NEW": "grün"}, unset=["GOES"])
    assert sandbox.process.exec('echo "$KEPT|$GOES|$NEW"').result == "1||grün\n"


def test_all_output_of_a_long_answer_arrives(sandbox):
    ran = sandbox.process.exec("seq 1 300000")
    assert ran.exit_code == 0
    assert ran.result.split() == [str(n) for n in range(1, 300001)]


def test_a_command_that_takes_too_long_is_killed_with_everything_it_started(sandbox):
    begun = time.monotonic()
    with pytest.raises(DaytonaTimeoutError):
        sandbox.process.exec("setsid sleep 4321 & (sleep 4322 & sleep 4323) & sleep 4324", timeout=1)
    assert time.monotonic() - begun < 5

    def is_gone():
        return sandbox.process.exec("pgrep -c -f 'sleep 432[1-4]'").result.strip() == "0"

    eventually(is_gone, "something of it still runs", 10)


def test_code_that_takes_too_long_is_killed(sandbox):
    # The SDK does not turn the errors of code_run into its own classes.
    with pytest.raises(ApiException) as refused:
        sandbox.process.code_run("import time; time.sleep(4331)", timeout=1)
    assert refused.value.status == 408
    assert refused.value.data.code == "PROCESS_EXECUTION_TIMEOUT"


def test_a_client_that_hangs_up_ends_its_command(server, sandbox):
    url = f"{sandbox.toolbox_proxy_url}/{sandbox.id}/process/execute"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            url,
            json={"command": "sleep 4341 & sleep 4342"},
            headers={"Authorization": f"Bearer {server.key}"},
            timeout=1,
        )

    def is_gone():
        return sandbox.process.exec("pgrep -c -f 'sleep 434[12]'").result.strip() == "0"

    eventually(is_gone, "it still runs", 10)


def test_many_commands_at_once_do_not_mix_their_answers(sandbox):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        ran = list(pool.map(lambda n: sandbox.process.exec(f"echo {n}; exit {n % 100}"), range(64)))
    assert [(r.exit_code, r.result) for r in ran] == [(n % 100, f"{n}\n") for n in range(64)]
