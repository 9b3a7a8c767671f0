"""Signed addresses of files: plain HTTP clients without a key."""

import hashlib
import os
import socket
import subprocess
import time
import urllib.parse

import httpx
import pytest
from daytona import AsyncDaytona, DaytonaNotFoundError

PATHS = ["plain.txt", "/tmp/über näme+plus & more=1?#.txt", "signed/a%20b.txt", "日本語 .bin", "-dash"]


def curl(*arguments, given=None):
    """What curl prints, and the status last."""
    command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments]
    output = subprocess.run(command, input=given, capture_output=True, check=True, timeout=120).stdout
    body, _, status = output.rpartition(b"\n")
    return body, int(status)


@pytest.mark.parametrize("path", PATHS)
def test_a_file_goes_up_and_down_with_its_addresses_alone(sandbox, tmp_path, path):
    contents = os.urandom(100_000)
    local = tmp_path / "local.bin"
    local.write_bytes(contents)
    answer, status = curl("--form", f"file=@{local}", sandbox.upload_url(path))
    name = path.rsplit("/", 1)[-1]
    assert (status, httpx.Response(200, content=answer).json()) == (
        200,
        {"name": name, "path": path, "type": "file"},
    )
    assert curl(sandbox.download_url(path)) == (contents, 200)
    assert sandbox.fs.download_file(path) == contents
    part = httpx.get(sandbox.download_url(path), headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, contents[10:20])


def test_a_browsers_form_and_a_bare_body_are_uploads(sandbox):
    boundary = "----WebKitFormBoundaryAbCdEf"
    fields = [('name="other"', b"x"), ('name="file"; filename="C:\\up.txt"\r\nContent-Type: text/plain', b"from a form")]
    form = b"".join(f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + body + b"\r\n" for head, body in fields)
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Origin": "https://else.example",
        "Sec-Fetch-Mode": "cors",
    }
    answer = httpx.post(sandbox.upload_url("form.txt"), content=form + f"--{boundary}--\r\n".encode(), headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert sandbox.fs.download_file("form.txt") == b"from a form"
    answer = httpx.post(sandbox.upload_url("bare.txt"), content=b"bare", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, sandbox.fs.download_file("bare.txt")) == (200, b"bare")
    asked = {"Origin": "https://else.example", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(sandbox.upload_url("bare.txt"), headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-methods"]) == (204, "GET, POST")


def test_a_large_file_passes_whole(sandbox, tmp_path):
    local = tmp_path / "large.bin"
    block = os.urandom(1 << 20)
    with open(local, "wb") as file:
        for number in range(200):
            file.write(number.to_bytes(4, "big") + block[4:])
    assert curl("--form", f"file=@{local}", sandbox.upload_url("large.bin"))[1] == 200
    back = tmp_path / "back.bin"
    assert curl("--output", str(back), sandbox.download_url("large.bin"))[1] == 200
    digests = [hashlib.file_digest(open(path, "rb"), "sha256").hexdigest() for path in (local, back)]
    assert digests[0] == digests[1]
    sandbox.fs.delete_file("large.bin")


def test_what_was_not_signed_is_refused_alike(sandbox):
    sandbox.fs.upload_file(b"x", "signed.txt")
    url = sandbox.download_url("signed.txt")
    expired = sandbox.download_url("signed.txt", ttl_seconds=1)
    assert "expires=0" in sandbox.download_url("signed.txt", ttl_seconds=0)
    assert httpx.get(sandbox.download_url("signed.txt", ttl_seconds=-5)).content == b"x"
    over = int(urllib.parse.parse_qs(urllib.parse.urlsplit(expired).query)["expires"][0])
    while time.time() < over:
        time.sleep(0.05)
    nobodys = url.replace(sandbox.id, "00000000-0000-4000-8000-000000000000")
    refused = [
        httpx.get(expired),
        httpx.get(url.replace("signed.txt", "other.txt")),
        httpx.get(url + "&path=other.txt"),
        httpx.get(url.replace("/files/download", "/files/info")),
        httpx.post(url),
        httpx.get(nobodys),
        httpx.get(url[:-1]),
    ]
    assert [answer.status_code for answer in refused] == [401] * len(refused)
    messages = {answer.json()["message"] for answer in (refused[0], refused[1], refused[2], refused[5], refused[6])}
    assert messages == {"the signature is not valid, or not any more"}
    missing = httpx.get(sandbox.download_url("nowhere.txt"))
    assert (missing.status_code, missing.json()["code"]) == (404, "FILE_NOT_FOUND")


def test_rotation_counts_at_once_and_ends_what_has_begun(sandbox):
    sandbox.fs.upload_file(b"x", "rotated.txt")
    download, upload = sandbox.download_url("rotated.txt"), sandbox.upload_url("slow.txt")
    address = urllib.parse.urlsplit(upload)
    head = f"POST {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 10\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=30) as stream:
        stream.sendall(head.encode() + b"01234")
        assert httpx.get(download).content == b"x"
        sandbox.rotate_signing_key()
        assert [httpx.get(download).status_code, httpx.post(upload).status_code] == [401, 401]
        assert httpx.get(sandbox.download_url("rotated.txt")).content == b"x"
        try:
            stream.sendall(b"56789")
            answer = stream.recv(65536)
        except ConnectionError:
            answer = b""
        assert not answer.startswith(b"HTTP/1.1 200 ")
    with pytest.raises(DaytonaNotFoundError):
        sandbox.fs.download_file("slow.txt")


def test_addresses_outlive_a_stop_and_die_with_their_sandbox(make):
    sandbox = make()
    sandbox.fs.upload_file(b"kept", "kept.txt")
    sandbox.rotate_signing_key()
    url = sandbox.download_url("kept.txt", ttl_seconds=0)
    sandbox.stop()
    assert httpx.get(url).status_code == 400
    sandbox.start()
    assert httpx.get(url).content == b"kept"
    sandbox.delete()
    assert httpx.get(url).status_code == 401


def test_without_a_sandbox_there_is_no_signing_key(daytona, make):
    sandbox = make()
    sandbox.delete()
    with pytest.raises(DaytonaNotFoundError):
        for _ in range(600):
            sandbox.rotate_signing_key()
            time.sleep(0.05)


async def test_the_asynchronous_client_signs_the_same(sandbox):
    async with AsyncDaytona() as daytona:
        same = await daytona.get(sandbox.id)
        async with httpx.AsyncClient() as client:
            url = await same.upload_url("async ü.txt")
            assert (await client.post(url, files={"file": b"async"})).status_code == 200
            url = await same.download_url("async ü.txt")
            assert (await client.get(url)).content == b"async"
            await same.rotate_signing_key()
            assert (await client.get(url)).status_code == 401
            assert (await client.get(await same.download_url("async ü.txt"))).content == b"async"
