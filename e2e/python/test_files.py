"""Files go in and come out as they are."""

import hashlib
import io
import os
import threading

import httpx
import pytest
from daytona import DaytonaConflictError, DaytonaError, DaytonaFileNotFoundError, DaytonaNotFoundError, FileDownloadRequest, FileUpload
from waiting import eventually

LARGE = 64 * 1024 * 1024


def test_a_file_comes_back_as_it_went_in(sandbox):
    content = bytes(range(256)) * 100
    for path in ("in/out/file.bin", "/tmp/ünï cödé \"quoted\".bin"):
        sandbox.fs.upload_file(content, path)
        assert sandbox.fs.download_file(path) == content
    assert sandbox.process.exec("stat -c '%U %s' ~/in/out/file.bin").result == f"daytona {len(content)}\n"


def test_a_file_that_looks_like_parts_of_an_answer_is_one_file(sandbox):
    forged = b'--DAYTONA-FILE-BOUNDARY\r\nContent-Disposition: form-data; name="file"; filename="honest"\r\n\r\nforged'
    contents = {"forger": b"\r\n" + forged + b"\r\n--DAYTONA-FILE-BOUNDARY--\r\n", "honest": b"honest"}
    for path, content in contents.items():
        sandbox.fs.upload_file(content, path)
    got = sandbox.fs.download_files([FileDownloadRequest(path) for path in contents])
    assert {file.source: file.result for file in got} == contents


def test_an_empty_file_is_a_file(sandbox):
    sandbox.fs.upload_file(b"", "empty")
    assert sandbox.fs.download_file("empty") == b""
    assert sandbox.fs.get_file_info("empty").size == 0


def test_a_second_upload_replaces_the_first(sandbox):
    sandbox.fs.upload_file(b"long content", "twice")
    sandbox.fs.upload_file(b"short", "twice")
    assert sandbox.fs.download_file("twice") == b"short"


def test_many_files_go_in_and_come_out_at_once(sandbox, tmp_path):
    local = tmp_path / "local"
    local.write_bytes(b"from a file")
    uploads = [FileUpload(f"content {n}".encode(), f"many/{n}") for n in range(20)]
    sandbox.fs.upload_files([*uploads, FileUpload(str(local), "many/local")])
    wanted = {f"many/{n}": f"content {n}".encode() for n in range(20)} | {"many/local": b"from a file"}
    got = sandbox.fs.download_files([FileDownloadRequest(path) for path in wanted])
    assert {file.source: file.result for file in got} == wanted


def test_a_missing_file_among_many_does_not_spoil_the_others(sandbox, tmp_path):
    sandbox.fs.upload_file(b"here", "here")
    to = tmp_path / "to"
    got = sandbox.fs.download_files([FileDownloadRequest("missing"), FileDownloadRequest("here", str(to))])
    assert [bool(file.error) for file in got] == [True, False]
    assert to.read_bytes() == b"here"


def test_a_large_file_streams_through_without_growing_the_server(server, sandbox):
    digest = hashlib.sha256()

    class Source(io.RawIOBase):
        left = LARGE

        def readable(self):
            return True

        def read(self, size=-1):
            chunk = os.urandom(min(self.left, 1 << 20 if size < 0 else size))
            self.left -= len(chunk)
            digest.update(chunk)
            return chunk

    before = server.memory_kib()
    sandbox.fs.upload_file_stream(Source(), "large")
    assert sandbox.process.exec("sha256sum < large").result.split()[0] == digest.hexdigest()
    back = hashlib.sha256()
    for chunk in sandbox.fs.download_file_stream("large"):
        back.update(chunk)
    assert back.hexdigest() == digest.hexdigest()
    assert server.memory_kib() - before < 16 * 1024
    sandbox.fs.delete_file("large")


def test_an_upload_that_breaks_off_leaves_the_old_file(sandbox):
    sandbox.fs.upload_file(b"old", "kept")
    broken = threading.Event()

    def progress(sent):
        if sent.bytes_sent > 4 * 1024 * 1024:
            broken.set()

    with pytest.raises(DaytonaError):
        sandbox.fs.upload_file_stream(b"n" * (32 * 1024 * 1024), "kept", on_progress=progress, cancel_event=broken)
    assert sandbox.fs.download_file("kept") == b"old"

    def is_tidy():
        return sorted(info.name for info in sandbox.fs.list_files(".") if "kept" in info.name) == ["kept"]

    eventually(is_tidy, "something of the broken upload is left")


def test_folders_are_made_listed_and_deleted(sandbox):
    sandbox.fs.create_folder("folder/inner", "750")
    sandbox.fs.upload_file(b"1234", "folder/file")
    listed = {info.name: (info.is_dir, info.size) for info in sandbox.fs.list_files("folder")}
    assert set(listed) == {"inner", "file"}
    assert listed["inner"][0] is True
    assert listed["file"] == (False, 4)
    assert sandbox.fs.get_file_info("folder/inner").permissions == "0750"
    with pytest.raises(DaytonaError):
        sandbox.fs.delete_file("folder")
    sandbox.fs.delete_file("folder", recursive=True)
    with pytest.raises(DaytonaNotFoundError):
        sandbox.fs.get_file_info("folder")


def test_files_are_moved_and_nothing_is_overwritten(sandbox):
    sandbox.fs.upload_file(b"1", "moving/from")
    sandbox.fs.move_files("moving/from", "moving/to")
    assert sandbox.fs.download_file("moving/to") == b"1"
    with pytest.raises(DaytonaNotFoundError):
        sandbox.fs.move_files("moving/from", "moving/else")
    sandbox.fs.upload_file(b"2", "moving/other")
    with pytest.raises(DaytonaConflictError):
        sandbox.fs.move_files("moving/other", "moving/to")


def test_permissions_are_changed(sandbox):
    sandbox.fs.upload_file(b"#!/bin/sh\necho ran\n", "script")
    sandbox.fs.set_file_permissions("script", mode="755")
    assert sandbox.fs.get_file_info("script").permissions == "0755"
    assert sandbox.process.exec("./script").result == "ran\n"


def test_files_are_found_by_content_and_by_name_and_changed(sandbox):
    sandbox.fs.upload_file(b"one\nneedle two\n", "tree/a.txt")
    sandbox.fs.upload_file(b"needle\n", "tree/deep/b.txt")
    sandbox.fs.upload_file(b"nothing", "tree/c.md")
    found = {(match.file.rsplit("/", 1)[1], match.line, match.content) for match in sandbox.fs.find_files("tree", "needle")}
    assert found == {("a.txt", 2, "needle two"), ("b.txt", 1, "needle")}
    names = {name.rsplit("/", 1)[1] for name in sandbox.fs.search_files("tree", "*.txt").files}
    assert names == {"a.txt", "b.txt"}
    done = sandbox.fs.replace_in_files(["tree/a.txt", "tree/missing"], "needle", "thread")
    assert [result.success for result in done] == [True, False]
    assert sandbox.fs.download_file("tree/a.txt") == b"one\nthread two\n"


def test_one_file_goes_in_and_out_by_its_own_address(server, sandbox):
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=f"{sandbox.toolbox_proxy_url}/{sandbox.id}", headers=headers) as client:
        sent = client.post("/files/upload-v2", params={"path": "single"}, files={"file": ("x", b"content")})
        assert (sent.status_code, sorted(sent.json())) == (200, ["name", "path", "type"])
        got = client.get("/files/download", params={"path": "single"})
        assert (got.status_code, got.content) == (200, b"content")
        old = client.post("/files/upload", params={"path": "single"}, files={"file": ("x", b"older way")})
        assert old.status_code == 200
        assert client.get("/files/download", params={"path": "single"}).content == b"older way"
        for path in ("/project-dir", "/user-home-dir"):
            assert client.get(path).json() == {"dir": "/home/daytona"}
        assert client.get("/version").json()["version"]


def test_a_missing_file_has_an_error_of_its_own(sandbox):
    with pytest.raises(DaytonaFileNotFoundError):
        sandbox.fs.download_file("/nowhere/at/all")
    with pytest.raises(DaytonaNotFoundError):
        sandbox.fs.get_file_info("/nowhere")
    with pytest.raises(DaytonaNotFoundError):
        sandbox.fs.list_files("/nowhere")


def test_what_the_user_may_not_write_is_not_written(sandbox):
    with pytest.raises(DaytonaError):
        sandbox.fs.upload_file(b"x", "/etc/passwd")
    assert sandbox.process.exec("head -c 4 /etc/passwd").result == "root"


def test_the_work_folder_and_the_home_are_told(sandbox):
    assert sandbox.get_user_home_dir() == "/home/daytona"
    assert sandbox.get_work_dir() == sandbox.process.exec("pwd").result.strip()
