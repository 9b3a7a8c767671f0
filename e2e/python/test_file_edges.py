"""Every operation on files where it is hard: odd names, odd files, errors, limits, progress."""

import io
import os
import threading

import httpx
import pytest
from daytona import (
    AsyncDaytona,
    DaytonaBadRequestError,
    DaytonaConflictError,
    DaytonaError,
    DaytonaFileAccessDeniedError,
    DaytonaFileNotFoundError,
    DaytonaForbiddenError,
    DaytonaInvalidFilePathError,
    FileDownloadRequest,
    FileUpload,
)

NAMES = ["new\nline", 'quo"te\'', "ünï cödé 🦀", " blank ", "%41+", "semi;colon=", "l" * 255, "C:\\windows"]


@pytest.fixture
def web(server, sandbox):
    """The sandbox's toolbox without an SDK in between."""
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=f"{sandbox.toolbox_proxy_url}/{sandbox.id}", headers=headers, timeout=60) as client:
        yield client


def test_odd_names_go_in_and_out_by_every_operation(sandbox):
    contents = {f"odd/{name}": name.encode() for name in NAMES}
    sandbox.fs.upload_files([FileUpload(content, path) for path, content in contents.items()])
    listed = {info.name: info.path for info in sandbox.fs.list_files("odd")}
    assert set(listed) == set(NAMES)
    got = sandbox.fs.download_files([FileDownloadRequest(path) for path in contents])
    assert {file.source: file.result for file in got} == contents
    for name in NAMES:
        path = f"odd/{name}"
        assert sandbox.fs.get_file_info(path).name == name
        assert sandbox.fs.download_file(listed[name]) == name.encode()
        sandbox.fs.move_files(path, "odd/moved")
        sandbox.fs.move_files("odd/moved", path)
        sandbox.fs.set_file_permissions(path, mode="0640")
        assert sandbox.fs.search_files("odd", name.replace("\\", "\\\\")).files == [listed[name]]
        sandbox.fs.delete_file(path)
    assert sandbox.fs.list_files("odd") == []


def test_a_name_of_256_bytes_is_refused_as_a_path(sandbox):
    for use in (sandbox.fs.get_file_info, sandbox.fs.list_files, sandbox.fs.delete_file, sandbox.fs.download_file):
        with pytest.raises(DaytonaInvalidFilePathError):
            use("l" * 256)
    with pytest.raises(DaytonaError, match="invalid path"):
        sandbox.fs.upload_file(b"x", "l" * 256)


def test_errors_are_the_sdks_own(sandbox):
    sandbox.fs.upload_file(b"x", "errors/file")
    sandbox.fs.create_folder("errors/folder", "755")
    fs = sandbox.fs
    for error, use in [
        (DaytonaFileNotFoundError, lambda: fs.get_file_info("errors/none")),
        (DaytonaFileNotFoundError, lambda: fs.list_files("errors/none")),
        (DaytonaFileNotFoundError, lambda: fs.delete_file("errors/none")),
        (DaytonaFileNotFoundError, lambda: fs.move_files("errors/none", "errors/new")),
        (DaytonaFileNotFoundError, lambda: fs.move_files("errors/file", "errors/none/new")),
        (DaytonaFileNotFoundError, lambda: fs.set_file_permissions("errors/none", mode="600")),
        (DaytonaFileNotFoundError, lambda: fs.find_files("errors/none", "x")),
        (DaytonaFileNotFoundError, lambda: fs.search_files("errors/none", "x")),
        (DaytonaFileNotFoundError, lambda: fs.download_file("errors/none")),
        (DaytonaFileNotFoundError, lambda: list(fs.download_file_stream("errors/none"))),
        (DaytonaFileAccessDeniedError, lambda: fs.delete_file("/etc/passwd")),
        (DaytonaFileAccessDeniedError, lambda: fs.create_folder("/etc/new", "755")),
        (DaytonaFileAccessDeniedError, lambda: fs.move_files("/etc/passwd", "errors/passwd")),
        (DaytonaFileAccessDeniedError, lambda: fs.set_file_permissions("/etc/passwd", mode="777")),
        (DaytonaFileAccessDeniedError, lambda: fs.set_file_permissions("errors/file", owner="root")),
        (DaytonaFileAccessDeniedError, lambda: fs.download_file("/etc/shadow")),
        (DaytonaFileAccessDeniedError, lambda: fs.list_files("/root")),
        (DaytonaFileAccessDeniedError, lambda: fs.download_file("/proc/1/environ")),
        (DaytonaInvalidFilePathError, lambda: fs.list_files("errors/file")),
        (DaytonaInvalidFilePathError, lambda: fs.get_file_info("errors/file/inner")),
        (DaytonaInvalidFilePathError, lambda: fs.download_file("errors/folder")),
        (DaytonaInvalidFilePathError, lambda: fs.download_file("/dev/zero")),
        (DaytonaInvalidFilePathError, lambda: fs.download_file("/proc/self/root/etc/passwd")),
        (DaytonaInvalidFilePathError, lambda: fs.get_file_info("nul\0byte")),
        (DaytonaInvalidFilePathError, lambda: fs.move_files("errors", "errors/folder/inner")),
        (DaytonaInvalidFilePathError, lambda: fs.delete_file("/", recursive=True)),
        (DaytonaBadRequestError, lambda: fs.delete_file("errors/folder")),
        (DaytonaBadRequestError, lambda: fs.create_folder("errors/new", "9")),
        (DaytonaBadRequestError, lambda: fs.set_file_permissions("errors/file", owner="nobody-has-this-name")),
        (DaytonaBadRequestError, lambda: fs.replace_in_files(["errors/file"], "", "x")),
        (DaytonaConflictError, lambda: fs.move_files("errors/file", "errors/folder")),
        (DaytonaConflictError, lambda: fs.move_files("errors/file", "errors/file")),
        (DaytonaForbiddenError, lambda: fs.find_files("/root", "x")),
    ]:
        with pytest.raises(error) as caught:
            use()
        assert (caught.value.source, bool(caught.value.code)) == ("DAYTONA_DAEMON", True), caught.value
    assert fs.download_file("errors/file") == b"x"


def test_an_upload_that_fails_says_which_file_and_why(sandbox):
    sandbox.fs.create_folder("mixed/folder", "755")
    uploads = [FileUpload(b"1", "mixed/good"), FileUpload(b"2", "/etc/bad"), FileUpload(b"3", "mixed/folder")]
    with pytest.raises(DaytonaError) as caught:
        sandbox.fs.upload_files(uploads)
    assert caught.value.status_code == 400
    assert "access denied: /etc/bad" in str(caught.value)
    assert "invalid path: mixed/folder" in str(caught.value)
    assert sandbox.fs.download_file("mixed/good") == b"1"


def test_a_full_disk_is_said_and_leaves_the_old_file(make):
    sandbox = make()
    sandbox.fs.upload_file(b"old", "kept")
    full = sandbox.process.exec("fallocate -l 100G filler 2>/dev/null || { head -c 4G /dev/zero > filler; } 2>/dev/null; df --output=avail . | tail -1")
    assert int(full.result) < 1024 * 1024, full.result
    with pytest.raises(DaytonaError, match="no space left on the disk: kept"):
        sandbox.fs.upload_file_stream(io.BytesIO(b"n" * (64 * 1024 * 1024)), "kept")
    assert sandbox.fs.download_file("kept") == b"old"
    assert [info.name for info in sandbox.fs.list_files(".") if "pitlane" in info.name] == []
    sandbox.fs.delete_file("filler")
    sandbox.fs.upload_file(b"new", "kept")
    assert sandbox.fs.download_file("kept") == b"new"


def test_lists_are_in_order_as_deep_as_asked_and_show_what_is_hidden(sandbox):
    sandbox.process.exec("mkdir -p listed/b/c/d; touch listed/.hidden listed/a listed/b/x; ln -s /etc listed/link; mkfifo listed/pipe")
    names = [info.name for info in sandbox.fs.list_files("listed")]
    assert names == [".hidden", "a", "b", "link", "pipe"]
    home = sandbox.get_user_home_dir()
    paths = [info.path.removeprefix(f"{home}/listed/") for info in sandbox.fs.list_files("listed", depth=3)]
    assert paths == [".hidden", "a", "b", "b/c", "b/c/d", "b/x", "link", "pipe"]
    modes = {info.name: info.mode for info in sandbox.fs.list_files("listed")}
    assert (modes["link"][0], modes["pipe"][0], modes["b"]) == ("L", "p", "drwxr-xr-x")
    info = sandbox.fs.get_file_info("listed/link")
    assert (info.name, info.is_dir) == ("link", True)
    info = sandbox.fs.get_file_info("listed/a")
    assert (info.size, info.is_dir, info.owner, info.group, info.permissions) == (0, False, "1000", "1000", "0644")
    assert info.mod_time.endswith(" +0000 UTC") and info.modified_at.endswith("Z")


def test_paths_begin_at_home_in_the_work_folder_or_at_the_root(sandbox):
    home = sandbox.get_user_home_dir()
    sandbox.fs.upload_file(b"1", "~/begun/file")
    assert sandbox.fs.get_file_info("begun/file").path == f"{sandbox.get_work_dir()}/begun/file"
    for path in ("~/begun/file", "begun/../begun/file", f"{home}/begun//file", "./begun/file"):
        assert sandbox.fs.download_file(path) == b"1"


def test_ten_thousand_files_are_listed_and_removed(sandbox):
    sandbox.process.exec("mkdir many && cd many && seq -f %06.0f 10000 | xargs touch")
    assert [info.name for info in sandbox.fs.list_files("many")] == [f"{n:06}" for n in range(1, 10_001)]
    assert len(sandbox.fs.search_files("many", "*9").files) == 1000
    sandbox.fs.delete_file("many", recursive=True)
    with pytest.raises(DaytonaFileNotFoundError):
        sandbox.fs.list_files("many")


def test_a_tree_deeper_than_a_path_is_long_is_searched_and_removed(sandbox):
    program = "import os\nos.mkdir('deep'); os.chdir('deep')\nfor _ in range(3000):\n    os.mkdir('d'); os.chdir('d')\nopen('end', 'w').close()"
    assert sandbox.process.code_run(program).exit_code == 0
    assert len(sandbox.fs.search_files("deep", "end").files) == 1
    sandbox.fs.delete_file("deep", recursive=True)
    with pytest.raises(DaytonaFileNotFoundError):
        sandbox.fs.get_file_info("deep")


def test_files_of_the_kernel_have_their_contents_and_pipes_have_none(sandbox):
    assert sandbox.fs.download_file("/proc/version").startswith(b"Linux")
    assert b"".join(sandbox.fs.download_file_stream("/proc/cpuinfo")).startswith(b"processor")
    sandbox.process.exec("mkfifo pipe")
    with pytest.raises(DaytonaInvalidFilePathError):
        sandbox.fs.download_file("pipe")
    with pytest.raises(DaytonaError, match="invalid path: pipe"):
        sandbox.fs.upload_file(b"x", "pipe")


def test_progress_counts_every_byte(sandbox):
    content, sent, got = os.urandom(3_000_000), [], []
    sandbox.fs.upload_file_stream(content, "progress", on_progress=lambda progress: sent.append(progress.bytes_sent))
    pieces = list(sandbox.fs.download_file_stream("progress", on_progress=got.append))
    assert b"".join(pieces) == content
    assert (sent[-1], got[-1].bytes_received, {one.total_bytes for one in got}) == (len(content), len(content), {len(content)})


def test_a_download_can_be_left(sandbox):
    sandbox.process.exec("head -c 50000000 /dev/zero > left")
    cancelled = threading.Event()
    with pytest.raises(DaytonaError, match="cancelled"):
        for _ in sandbox.fs.download_file_stream("left", cancel_event=cancelled):
            cancelled.set()
    assert sandbox.process.exec("echo well").result == "well\n"


def test_a_file_that_shrinks_on_its_way_is_an_error_and_never_a_short_file(sandbox):
    sandbox.process.exec("head -c 200000000 /dev/zero > shrinking")
    with pytest.raises(Exception) as caught:  # What the SDK makes of a connection that breaks is its own matter.
        for number, _ in enumerate(sandbox.fs.download_file_stream("shrinking")):
            if number == 0:
                sandbox.process.exec("truncate -s 1000 shrinking")
    assert not isinstance(caught.value, AssertionError)
    sandbox.fs.delete_file("shrinking")


def test_text_is_found_and_replaced_as_text(sandbox):
    sandbox.fs.upload_file(b"a.c\nabc\n\r\n" + b"x" * 100_000 + b"a.c\n", "text/one")
    sandbox.fs.upload_file(b"\0a.c", "text/binary")
    assert [(match.line, len(match.content)) for match in sandbox.fs.find_files("text", "a.c")] == [(1, 3), (4, 65_536)]
    assert sandbox.fs.find_files("text/one", "abc")[0].content == "abc"
    done = sandbox.fs.replace_in_files(["text/one", "text/binary", "/etc/passwd", "text"], "a.c", "$0\\1")
    assert [one.success for one in done] == [True, True, True, False]
    assert sandbox.fs.download_file("text/one").startswith(b"$0\\1\nabc\n")
    assert sandbox.fs.download_file("text/binary") == b"\0$0\\1"


def test_what_is_overwritten_keeps_its_mode_and_links_stay_links(sandbox):
    sandbox.process.exec("echo old > real; chmod 750 real; ln -s real link")
    sandbox.fs.upload_file(b"new", "link")
    assert sandbox.process.exec("stat -c '%a %F' real; readlink link; cat real").result == "750 regular file\nreal\nnew"


def test_a_folder_of_another_file_system_moves_with_everything_in_it(sandbox):
    sandbox.process.exec("mkdir -p /dev/shm/over/in; echo 1 > /dev/shm/over/in/file; chmod 640 /dev/shm/over/in/file; ln -s in/file /dev/shm/over/link")
    sandbox.fs.move_files("/dev/shm/over", "over")
    ran = sandbox.process.exec("cat over/in/file; stat -c %a over/in/file; readlink over/link; ls /dev/shm")
    assert ran.result == "1\n640\nin/file\n"


def test_a_folder_of_the_image_moves_as_any_other(make):
    sandbox = make()
    before = sandbox.process.exec("mkdir -p .config && cd .config && find . | sort").result
    sandbox.fs.move_files(".config", "moved")
    assert sandbox.process.exec("cd moved && find . | sort; ls -d ~/.config 2>/dev/null").result == before


def test_raw_bodies_and_ranges_work_without_an_sdk(web):
    sent = web.post("/files/upload-v2", params={"path": "raw"}, content=iter([b"0123", b"456789"]))
    assert (sent.status_code, sent.json()) == (200, {"name": "raw", "path": "raw", "type": "file"})
    got = web.get("/files/download", params={"path": "raw"}, headers={"Range": "bytes=2-4"})
    assert (got.status_code, got.content, got.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    got = web.get("/files/download", params={"path": "raw"}, headers={"Range": "bytes=10-"})
    assert (got.status_code, got.headers["content-range"]) == (416, "bytes */10")
    got = web.get("/files/download", params={"path": "raw"})
    assert (got.content, got.headers["content-length"], got.headers["accept-ranges"]) == (b"0123456789", "10", "bytes")
    assert got.headers["content-disposition"] == "attachment; filename=\"raw\"; filename*=utf-8''raw"


def test_an_upload_that_is_refused_is_told_so_before_all_of_it_is_read(web):
    def pieces():
        for _ in range(64):
            yield b"x" * (1 << 20)

    for body in ({"content": pieces()}, {"content": b"x" * (64 << 20)}, {"files": {"file": ("x", b"x" * (64 << 20))}}):
        answer = web.post("/files/upload-v2", params={"path": "/etc/bad"}, **body)
        assert (answer.status_code, answer.json()["code"]) == (403, "FILE_ACCESS_DENIED")


def test_of_uploads_to_one_path_one_is_there_as_a_whole(server, sandbox):
    contents = [bytes([number]) * 3_000_000 for number in range(12)]
    uploads = [threading.Thread(target=sandbox.fs.upload_file, args=(content, "same/file")) for content in contents]
    for upload in uploads:
        upload.start()
    for upload in uploads:
        upload.join()
    assert sandbox.fs.download_file("same/file") in contents
    assert [info.name for info in sandbox.fs.list_files("same")] == ["file"]


def test_a_file_that_a_program_holds_back_is_in_use_and_hangs_nobody(sandbox):
    program = """
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
held = os.open("held", os.O_RDONLY | os.O_CREAT)
fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
open("is-held", "w").close()
while not os.path.exists("enough"):
    signal.sigtimedwait([], 0.02)
"""
    sandbox.fs.upload_file(program.encode(), "hold.py")
    sandbox.process.exec("python3 hold.py >/dev/null 2>&1 & while [ ! -e is-held ]; do sleep 0.01; done")
    with pytest.raises(DaytonaError, match="in use"):
        sandbox.fs.download_file("held")
    assert sandbox.fs.find_files(".", "no file has this text " + "in it") == []
    sandbox.fs.upload_file(b"", "enough")


def test_an_error_without_an_sdk_is_whole(web):
    answer = web.get("/files/info", params={"path": "/no/such"})
    body = answer.json()
    assert answer.status_code == 404
    assert body.pop("timestamp").endswith("Z")
    assert body == {
        "statusCode": 404, "message": "file not found: /no/such", "error": "Not Found", "code": "FILE_NOT_FOUND",
        "source": "DAYTONA_DAEMON", "path": "/files/info", "method": "GET",
    }
    twice = web.get("/files/info?path=/etc/passwd&path=/etc/shadow")
    assert (twice.status_code, twice.json()["code"]) == (400, "BAD_REQUEST")


def test_a_form_that_makes_no_sense_is_refused(web):
    for content, kind in [
        (b"", "multipart/form-data"),
        (b"--B--\r\n", "multipart/form-data; boundary=B"),
        (b"--B\r\nno head", "multipart/form-data; boundary=B"),
        (b'--B\r\nContent-Disposition: form-data; name="files[0].file"\r\n\r\nx\r\n--B--', "multipart/form-data; boundary=B"),
        (b'--B\r\nContent-Disposition: form-data; name="files[0].path"\r\n\r\nx\r\n--B--', "multipart/form-data; boundary=B"),
        (b"{}", "application/json"),
    ]:
        answer = web.post("/files/bulk-upload", content=content, headers={"Content-Type": kind})
        wanted = 200 if content == b"--B--\r\n" else 400
        assert answer.status_code == wanted, (content, answer.text)


async def test_every_operation_works_asynchronously(server):
    async with AsyncDaytona() as daytona:
        sandbox = await daytona.create()
        try:
            fs = sandbox.fs
            await fs.create_folder("a/b", "755")
            await fs.upload_files([FileUpload(b"one needle\n", "a/ünï 1"), FileUpload(b"two", "a/b/2")])
            await fs.upload_file_stream(io.BytesIO(b"s" * 1_000_000), "a/stream")
            pieces = [piece async for piece in await fs.download_file_stream("a/stream")]
            assert b"".join(pieces) == b"s" * 1_000_000
            assert sorted(info.name for info in await fs.list_files("a", depth=2)) == ["2", "b", "stream", "ünï 1"]
            assert [match.line for match in await fs.find_files("a", "needle")] == [1]
            assert len((await fs.search_files("a", "*1")).files) == 1
            assert [one.success for one in await fs.replace_in_files(["a/ünï 1"], "needle", "pin")] == [True]
            got = await fs.download_files([FileDownloadRequest("a/ünï 1"), FileDownloadRequest("a/none")])
            assert [file.result for file in got] == [b"one pin\n", None]
            await fs.set_file_permissions("a/b/2", mode="600")
            assert (await fs.get_file_info("a/b/2")).permissions == "0600"
            await fs.move_files("a/b", "a/c")
            await fs.delete_file("a", recursive=True)
            for error, use in [
                (DaytonaFileNotFoundError, fs.list_files("a")),
                (DaytonaFileNotFoundError, fs.download_file("a/none")),
                (DaytonaFileAccessDeniedError, fs.delete_file("/etc/passwd")),
                (DaytonaInvalidFilePathError, fs.list_files("/etc/passwd")),
            ]:
                with pytest.raises(error):
                    await use
        finally:
            await sandbox.delete()
