"""Terminals: made, typed into, shared, left and found again, resized, killed."""

import os
import threading
import time

import pyte
import pytest
from daytona import (
    AsyncDaytona,
    DaytonaConflictError,
    DaytonaError,
    DaytonaNotFoundError,
    DaytonaRateLimitError,
)
from daytona.common.pty import PtySize

DEADLINE = 30


class Drawing(pyte.Screen):
    """pyte stumbles over what editors say to newer terminals."""

    def select_graphic_rendition(self, *attributes, private=False):
        if not private:
            super().select_graphic_rendition(*attributes)


class Screen:
    """A terminal emulator in front of a terminal: what a person would see of it."""

    def __init__(self, handle, columns=80, lines=24, is_drawn=True):
        self.handle = handle
        self.is_drawn = is_drawn  # Drawing is slow: not for megabytes.
        self.screen = Drawing(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.result = None
        self.thread.start()

    def _read(self):
        self.result = self.handle.wait(on_data=self._take)

    def _take(self, data):
        self.raw += data
        if self.is_drawn:
            self.stream.feed(data)

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, wanted):
        deadline = time.monotonic() + DEADLINE
        while not wanted(self):
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.01)

    def shows(self, text):
        self.until(lambda screen: text in screen.text())

    def ended(self):
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive(), self.text()
        return self.result.exit_code, self.result.error


@pytest.fixture
def terminal(sandbox):
    """Makes terminals that do not outlive the test."""
    made = []

    def make(name, **options):
        handle = sandbox.process.create_pty_session(name, **options)
        made.append(handle)
        return handle

    yield make
    for handle in made:
        try:
            handle.kill()
        except Exception:  # It has ended.
            pass
        handle.disconnect()


def test_a_shell_is_typed_into_and_its_code_is_told(sandbox, terminal):
    handle = terminal("typed", envs={"GIVEN": "a b ü"}, cwd="/tmp", pty_size=PtySize(rows=30, cols=100))
    [found] = [s for s in sandbox.process.list_pty_sessions() if s.id == "typed"]
    assert (found.active, found.cols, found.rows, found.cwd, found.envs, found.lazy_start) == (
        True, 100, 30, "/tmp", {"GIVEN": "a b ü"}, False,
    )
    assert found == sandbox.process.get_pty_session_info("typed")
    screen = Screen(handle, 100, 30)
    handle.send_input("echo \"[$GIVEN|$TERM|$PWD|$(stty size)]\"; case $- in *i*) echo inter''active;; esac\n")
    screen.shows("[a b ü|xterm-256color|/tmp|30 100]")
    screen.shows("interactive")
    handle.send_input("shopt -q login_shell && echo a login she''ll; tty; stat -c '%U %G' $(tty)\n")
    screen.shows("a login shell")
    screen.shows("/dev/pts/")
    screen.shows("daytona tty")
    handle.send_input("exit 3\n")
    assert screen.ended() == (3, "non-zero exit")
    assert "typed" not in [s.id for s in sandbox.process.list_pty_sessions()]
    with pytest.raises(DaytonaNotFoundError):
        sandbox.process.get_pty_session_info("typed")


@pytest.mark.parametrize(
    "line, code, reason",
    [("exit", 0, None), ("kill -TERM $$; kill -KILL $$", 137, "SIGKILL"), ("exit 130", 130, "Ctrl+C"),
     ("exit 143", 143, "SIGTERM"), ("kill -HUP $$; sleep 9", 129, "signal 1")],
)
def test_how_a_shell_ends_is_told(terminal, line, code, reason):
    handle = terminal(f"end-{code}")
    screen = Screen(handle)
    handle.send_input(line + "\n")
    assert screen.ended() == (code, reason)


def test_keys_interrupt_what_runs(sandbox, terminal):
    handle = terminal("keys")
    screen = Screen(handle)
    handle.send_input("sleep 4242\n")
    screen.until(lambda _: "sleep 4242" in sandbox.process.exec("ps -eo args").result)
    handle.send_input(b"\x03")
    handle.send_input("echo $?-after\n")
    screen.shows("130-after")


def test_a_new_size_reaches_the_program(sandbox, terminal):
    handle = terminal("size")
    screen = Screen(handle)
    handle.send_input("trap 'echo now: $(stty size)' WINCH; echo rea''dy\n")
    screen.shows("ready")
    info = handle.resize(PtySize(rows=40, cols=132))
    assert (info.rows, info.cols) == (40, 132)
    screen.shows("now: 40 132")
    for cols, rows in [(0, 10), (10, 0), (1001, 10), (10, 1001)]:
        with pytest.raises(DaytonaError):  # Some of these are refused by the client itself.
            sandbox.process.resize_pty_session("size", PtySize(rows=rows, cols=cols))
    with pytest.raises(DaytonaNotFoundError):
        sandbox.process.resize_pty_session("no-such", PtySize(rows=10, cols=10))


def test_a_terminal_is_left_and_found_again_with_its_output(sandbox, terminal):
    handle = terminal("left")
    screen = Screen(handle)
    handle.send_input("VALUE=kept; echo before-$VALUE\n")
    screen.shows("before-kept")
    handle.disconnect()
    again = sandbox.process.connect_pty_session("left")
    seen = Screen(again)
    seen.shows("before-kept")
    again.send_input("echo after-$VALUE\n")
    seen.shows("after-kept")
    other = sandbox.process.connect_pty_session("left")
    both = Screen(other)
    both.shows("after-kept")
    other.send_input("echo to-''both\n")
    seen.shows("to-both")
    both.shows("to-both")
    again.send_input("exit 7\n")
    assert seen.ended() == both.ended() == (7, "non-zero exit")


def test_killing_takes_everything_with_it(sandbox, terminal):
    handle = terminal("killed")
    screen = Screen(handle)
    handle.send_input("(setsid nohup sleep 4243 >/dev/null 2>&1 &); sleep 4244 & sleep 0.2; pgrep -c sleep\n")
    screen.until(lambda s: "sleep 4243" in sandbox.process.exec("ps -eo args").result)
    handle.kill()
    assert screen.ended() == (137, "SIGKILL")
    left = sandbox.process.exec("ps -eo args").result
    assert "sleep 4243" not in left and "sleep 4244" not in left
    with pytest.raises(DaytonaNotFoundError):
        sandbox.process.kill_pty_session("killed")


def test_what_makes_no_sense_is_refused(sandbox, terminal):
    terminal("taken")
    with pytest.raises(DaytonaConflictError):
        sandbox.process.create_pty_session("taken")
    with pytest.raises(DaytonaNotFoundError):
        sandbox.process.get_pty_session_info("no-such")
    for bad in ["", "a/b", "create-connect", "x" * 256, "a\nb"]:
        with pytest.raises(Exception) as refused:
            sandbox.process.create_pty_session(bad)
        assert "400" in str(refused.value), bad
    for options in [{"cwd": "/no/such"}, {"envs": {"A-B": "1"}}, {"pty_size": PtySize(rows=0, cols=5)}]:
        with pytest.raises(Exception) as refused:
            sandbox.process.create_pty_session("bad", **options)
        assert "400" in str(refused.value), options
    assert "bad" not in [s.id for s in sandbox.process.list_pty_sessions()]


def test_a_lazy_terminal_starts_with_its_first_client(sandbox):
    from daytona_toolbox_api_client import PtyCreateRequest

    api = sandbox.process._api_client
    made = api.create_pty_session(PtyCreateRequest(id="lazy", lazy_start=True, cols=90, rows=20))
    assert made.session_id == "lazy"
    info = sandbox.process.get_pty_session_info("lazy")
    assert (info.active, info.lazy_start, info.cols, info.rows) == (False, True, 90, 20)
    sandbox.process.resize_pty_session("lazy", PtySize(rows=21, cols=91))
    handle = sandbox.process.connect_pty_session("lazy")
    assert sandbox.process.get_pty_session_info("lazy").active
    screen = Screen(handle, 91, 21)
    handle.send_input("stty size\n")
    screen.shows("21 91")
    handle.send_input("exit\n")
    assert screen.ended() == (0, None)
    api.create_pty_session(PtyCreateRequest(id="never", lazy_start=True))
    sandbox.process.kill_pty_session("never")
    with pytest.raises(Exception) as refused:
        sandbox.process.connect_pty_session("never")
    assert "404" in str(refused.value)


def test_output_is_byte_exact_and_long_output_is_complete(sandbox, terminal):
    handle = terminal("long")
    screen = Screen(handle, is_drawn=False)
    handle.send_input("stty -echo -opost; PS1=; echo go''es\n")
    screen.until(lambda s: b"goes\n" in s.raw)
    sandbox.process.exec("head -c 1000000 /dev/urandom > /tmp/noise")
    wanted = sandbox.fs.download_file("/tmp/noise")
    before = len(screen.raw)
    handle.send_input("cat /tmp/noise; exit\n")
    screen.ended()
    assert screen.raw[before:].find(wanted) >= 0
    handle = terminal("unicode")
    screen = Screen(handle)
    handle.send_input("for i in $(seq 20); do printf '\\360\\237'; sleep 0.01; printf '\\230\\200'; done; echo; echo en''d\n")
    screen.shows("end")
    assert screen.raw.decode().count("😀") == 20


def test_a_client_that_does_not_read_is_let_go_and_holds_nothing_up(sandbox, terminal):
    slow = terminal("slow")  # Nobody reads it.
    slow.send_input("head -c 20000000 /dev/zero | tr '\\0' x | fold -w 79; echo do''ne; touch /tmp/slow-done\n")
    deadline = time.monotonic() + DEADLINE
    while sandbox.process.exec("test -e /tmp/slow-done").exit_code != 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert slow.wait(timeout=DEADLINE).exit_code is None
    assert slow.error == "the client reads too slowly"
    screen = Screen(sandbox.process.connect_pty_session("slow"))
    screen.shows("done")
    screen.handle.send_input("exit\n")
    screen.ended()


def test_full_screen_programs_work(sandbox, terminal):
    sandbox.fs.upload_file(b"first line\nsecond line\n", "/tmp/edited.txt")
    handle = terminal("vim")
    screen = Screen(handle)
    handle.send_input("vim -u NONE /tmp/edited.txt\n")
    screen.until(lambda s: s.screen.display[0].startswith("first line") and s.screen.display[5].startswith("~"))
    handle.send_input("Gothird line\x1b")
    screen.until(lambda s: s.screen.display[2].startswith("third line"))
    # A second person sees the same screen, and so does one who comes back.
    other = sandbox.process.connect_pty_session("vim")
    same = Screen(other)
    same.until(lambda s: s.screen.display[2].startswith("third line"))
    other.disconnect()
    screen.screen.resize(lines=12, columns=40)
    handle.resize(PtySize(rows=12, cols=40))
    screen.until(lambda s: s.screen.display[10].startswith("~") and s.screen.display[0].startswith("first line"))
    handle.send_input(":wq\r")
    screen.shows("daytona@sandbox")
    handle.send_input("echo the sh''ell again\n")
    screen.shows("the shell again")
    assert sandbox.fs.download_file("/tmp/edited.txt") == b"first line\nsecond line\nthird line\n"
    handle.send_input("htop\n")
    screen.until(lambda s: "F2Setup" in s.text() and "daytona" in s.text())
    handle.send_input("q")
    screen.shows("daytona@sandbox")
    handle.send_input("exit\n")
    assert screen.ended() == (0, None)


def test_sandboxes_have_room_for_many_terminals_and_say_when_they_are_full(make):
    crowd = make()
    from daytona_toolbox_api_client import PtyCreateRequest

    api = crowd.process._api_client
    for number in range(128):
        api.create_pty_session(PtyCreateRequest(id=f"t{number}", lazy_start=number >= 40))
    assert len(crowd.process.list_pty_sessions()) == 128
    with pytest.raises(DaytonaRateLimitError):
        crowd.process.create_pty_session("one-more")
    crowd.process.kill_pty_session("t0")
    handle = crowd.process.create_pty_session("one-more")
    begun = time.monotonic()
    crowd.stop()
    assert time.monotonic() - begun < 3  # Shells do not end when asked to, but when they are hung up.
    assert handle.wait().exit_code is None
    assert handle.error == "the sandbox is stopping"


def test_a_terminal_outlives_the_client(sandbox, terminal):
    handle = terminal("outlives")
    screen = Screen(handle)
    handle.send_input("echo $$ > /tmp/outlives.pid; for i in 1 2 3; do sleep 0.3; echo line-$i; done\n")
    screen.shows("line-1")
    handle.disconnect()
    again = Screen(sandbox.process.connect_pty_session("outlives"))
    again.shows("line-3")
    again.handle.send_input("exit\n")
    assert again.ended() == (0, None)


async def test_terminals_work_asynchronously(server):
    import asyncio

    async with AsyncDaytona() as daytona:
        sandbox = await daytona.create()
        try:
            seen = bytearray()
            handle = await sandbox.process.create_pty_session("a", on_data=seen.extend, envs={"X": "y"})
            await handle.send_input("echo \"<$X>\"\n")
            async with asyncio.timeout(DEADLINE):
                while b"<y>" not in seen:
                    await asyncio.sleep(0.01)
            info = await handle.resize(PtySize(rows=9, cols=9))
            assert (info.rows, info.cols) == (9, 9)
            assert [s.id for s in await sandbox.process.list_pty_sessions()] == ["a"]
            assert (await sandbox.process.get_pty_session_info("a")).active
            with pytest.raises(DaytonaConflictError):
                await sandbox.process.create_pty_session("a", on_data=seen.extend)
            with pytest.raises(DaytonaNotFoundError):
                await sandbox.process.get_pty_session_info("b")
            again = bytearray()
            other = await sandbox.process.connect_pty_session("a", on_data=again.extend)
            await sandbox.process.kill_pty_session("a")
            assert ((await handle.wait()).exit_code, (await other.wait()).exit_code) == (137, 137)
            assert b"<y>" in again
            assert await sandbox.process.list_pty_sessions() == []
        finally:
            await sandbox.delete()
