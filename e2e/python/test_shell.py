"""`pitlane sandbox shell` as a person uses it: in a terminal of its own."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time

import pytest
from server import ROOT

BINARY = os.environ.get("PITLANE_BIN") or str(ROOT / "target/debug/pitlane")
DEADLINE = 30


class Person:
    """The program in a terminal, and whoever sits in front of it."""

    def __init__(self, server, *arguments, size=(30, 100)):
        self.outer, inner = pty.openpty()
        self.inner = inner
        self.resize(size)
        self.before = termios.tcgetattr(inner)
        environment = {**os.environ, "PITLANE_API_URL": server.url, "PITLANE_API_KEY": server.key}

        def lead():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        command = [BINARY, "sandbox", "shell", *arguments]
        self.process = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, env=environment, preexec_fn=lead
        )
        self.seen = b""
        os.set_blocking(self.outer, False)

    def resize(self, size):
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    def types(self, text):
        os.write(self.outer, text.encode())

    def _read(self):
        try:
            self.seen += os.read(self.outer, 65536)
        except BlockingIOError:
            time.sleep(0.01)

    def sees(self, text):
        deadline = time.monotonic() + DEADLINE
        while text.encode() not in self.seen:
            assert time.monotonic() < deadline, self.seen
            self._read()

    def ends(self):
        deadline = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.seen
            self._read()
        self._read()
        # However it ended, the terminal is as it was.
        assert termios.tcgetattr(self.inner) == self.before
        return self.process.returncode


@pytest.fixture
def person(server):
    people = []

    def sit(*arguments, **options):
        people.append(Person(server, *arguments, **options))
        return people[-1]

    yield sit
    for one in people:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        os.close(one.outer)
        os.close(one.inner)


def terminals(sandbox):
    return [session.id for session in sandbox.process.list_pty_sessions()]


def test_a_shell_is_used_and_its_code_passed_through(sandbox, person):
    me = person(sandbox.id, "--env", "A=b c", "--cwd", "/tmp")
    me.types("echo \"[$A|$PWD|$(stty size)]\"\n")
    me.sees("[b c|/tmp|30 100]")
    me.types("trap 'echo now $(stty size)' WINCH; echo rea''dy\n")
    me.sees("ready")
    me.resize((20, 60))
    me.sees("now 20 60")
    me.types("sleep 4245\n")
    while "sleep 4245" not in sandbox.process.exec("ps -eo args").result:
        time.sleep(0.01)
    me.types("\x03")
    me.types("echo $?-after\n")
    me.sees("130-after")
    me.types("exit 9\n")
    assert me.ends() == 9
    assert terminals(sandbox) == []


def test_leaving_ends_a_shell_without_a_name_and_keeps_one_with(sandbox, person):
    me = person(sandbox.id)
    me.types("echo rea''dy\r")
    me.sees("ready")
    me.types("\r~.")
    assert me.ends() == 0
    assert terminals(sandbox) == []
    me = person(sandbox.id, "--id", "work")
    me.types("VALUE=kept; echo rea''dy\r")
    me.sees("ready")
    me.types("\r~.")
    assert me.ends() == 0
    me.sees("--id work")
    assert terminals(sandbox) == ["work"]
    me = person(sandbox.id, "--id", "work")
    me.sees("ready")
    me.types("echo still-$VALUE; exit\r")
    me.sees("still-kept")
    assert me.ends() == 0


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_restores_the_terminal(sandbox, person, number, code):
    me = person(sandbox.id)
    me.types("echo rea''dy\r")
    me.sees("ready")
    me.process.send_signal(number)
    assert me.ends() == code
    assert terminals(sandbox) == []


def test_a_killed_terminal_ends_it(sandbox, person):
    me = person(sandbox.id, "--id", "doomed")
    me.types("echo rea''dy\r")
    me.sees("ready")
    sandbox.process.kill_pty_session("doomed")
    assert me.ends() == 137


def test_a_sandbox_that_stops_ends_it(make, person):
    doomed = make()
    me = person(doomed.id)
    me.types("echo rea''dy\r")
    me.sees("ready")
    doomed.stop()
    assert me.ends() == 125
    me.sees("the sandbox is stopping")


def test_without_a_terminal_it_says_so(server, sandbox):
    environment = {**os.environ, "PITLANE_API_URL": server.url, "PITLANE_API_KEY": server.key}
    ran = subprocess.run(
        [BINARY, "sandbox", "shell", sandbox.id], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment
    )
    assert (ran.returncode, ran.stdout) == (125, "")
    assert "standard input is no terminal" in ran.stderr and "pitlane sandbox exec" in ran.stderr
