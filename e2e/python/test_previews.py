"""Ports inside sandboxes, reached from outside."""

import hashlib
import pathlib
import urllib.parse

import httpx
import pytest
import websocket
from daytona import CreateSandboxFromSnapshotParams, DaytonaBadRequestError, DaytonaNotFoundError
from daytona_api_client import ApiClient, ApiKeysApi, Configuration, CreateApiKey
from waiting import eventually

APPLICATION = pathlib.Path(__file__).resolve().parents[1] / "application.py"
TOKEN = "x-daytona-preview-token"


def serve(sandbox, port=3000, address="127.0.0.1"):
    """Runs the application in a sandbox and waits until it can be reached; gives its preview."""
    sandbox.fs.upload_file(APPLICATION.read_bytes(), "application.py")
    started = sandbox.process.exec(f"setsid python3 application.py {port} {address} >/dev/null 2>&1 </dev/null & echo ok")
    assert started.exit_code == 0
    preview = sandbox.get_preview_link(port)
    eventually(lambda: get(preview, "/").status_code == 200, "the application does not answer")
    return preview


def get(preview, path, **headers):
    return httpx.get(preview.url + path, headers={TOKEN: preview.token, **headers})


@pytest.fixture(scope="module")
def preview(sandbox):
    return serve(sandbox)


def test_an_application_is_reached_with_the_token_and_sees_none(server, sandbox, preview):
    assert preview.url.endswith(f"/toolbox/{sandbox.id}/proxy/3000")
    headers = {"authorization": f"Bearer {server.key}", "cookie": f"a=b; daytona-sandbox-auth-{sandbox.id}=x"}
    seen = get(preview, "/a%2Fb//c?d=%26&e", **headers).json()
    assert seen["target"] == "/a%2Fb//c?d=%26&e"
    assert seen["headers"]["host"] == "localhost:3000"
    assert seen["headers"]["cookie"] == "a=b"
    told = str(seen)
    assert preview.token not in told and server.key not in told and "authorization" not in told
    for headers in [{}, {TOKEN: "wrong"}]:
        assert httpx.get(preview.url, headers=headers).status_code == 401
    other_port = sandbox.get_preview_link(3001)
    assert httpx.get(preview.url, headers={TOKEN: other_port.token}).status_code == 401
    answer = httpx.get(preview.url, headers={"authorization": f"Bearer {server.key}"})
    assert answer.status_code == 200


def test_a_signed_address_is_enough_until_it_is_revoked(sandbox, preview):
    signed = sandbox.create_signed_preview_url(3000, 600)
    assert (signed.sandbox_id, signed.port) == (sandbox.id, 3000)
    seen = httpx.get(signed.url).json()
    assert seen["target"] == "/"
    browser = httpx.Client(headers={"accept": "text/html"})
    sent_on = browser.get(signed.url)
    assert sent_on.status_code == 302
    assert urllib.parse.urlsplit(sent_on.headers["location"]).query == ""
    assert browser.get(preview.url + "/").json()["headers"].get("cookie") is None
    sandbox.expire_signed_preview_url(3000, signed.token)
    assert httpx.get(signed.url).status_code == 401
    page = browser.get(preview.url + "/")
    assert page.status_code == 401
    assert page.headers["content-type"].startswith("text/html")
    with pytest.raises(DaytonaNotFoundError):
        sandbox.expire_signed_preview_url(3000, signed.token)
    for seconds in [0, 86401]:
        with pytest.raises(DaytonaBadRequestError):
            sandbox.create_signed_preview_url(3000, seconds)


def test_events_come_as_they_are_said(preview):
    with httpx.stream("GET", preview.url + "/events", headers={TOKEN: preview.token}) as answer:
        lines = (line for line in answer.iter_lines() if line)
        for number in range(3):
            assert next(lines) == f"data: {number}"
            get(preview, f"/go/{number}")
        assert list(lines) == []


def test_a_websocket_gives_back_what_it_gets(preview):
    url = preview.url.replace("http", "ws", 1) + "/socket"
    stream = websocket.create_connection(url, header=[f"{TOKEN}: {preview.token}"], timeout=30)
    for text in ["hello", "grün", "x" * 100]:
        stream.send(text)
        assert stream.recv() == text
    stream.close()
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        websocket.create_connection(url, timeout=30)


def test_a_large_body_passes_whole(preview):
    body = b"0123456789abcdef" * (4 << 20)
    answer = httpx.post(preview.url + "/", content=body, headers={TOKEN: preview.token}, timeout=60)
    assert answer.text == hashlib.sha256(body).hexdigest()


def test_an_application_stays_within_its_path(sandbox, preview):
    answer = get(preview, "/login")
    path = urllib.parse.urlsplit(preview.url).path
    assert answer.headers["location"] == path + "/"
    assert answer.headers["set-cookie"] == f"session=1; HttpOnly; Path={path}/"


def test_where_nothing_listens_it_says_so(sandbox):
    nothing = sandbox.get_preview_link(4999)
    answer = get(nothing, "/")
    assert answer.status_code == 502
    assert "nothing listens on port 4999" in answer.json()["message"]


def test_files_of_python_are_listed_and_read_in_part(sandbox):
    sandbox.process.exec("mkdir -p site && printf 0123456789 > site/digits.txt")
    command = "setsid python3 -m http.server 8123 --directory site >/dev/null 2>&1 </dev/null & echo ok"
    sandbox.process.exec(command)
    files = sandbox.get_preview_link(8123)
    eventually(lambda: get(files, "/").status_code == 200, "python's server does not answer")
    assert "digits.txt" in get(files, "/").text
    assert get(files, "/digits.txt").content == b"0123456789"
    head = httpx.head(files.url + "/digits.txt", headers={TOKEN: files.token})
    assert (head.status_code, head.headers["content-length"]) == (200, "10")
    # A browser that asks without the slash is sent to the page whose links then lead on.
    bare = get(files, "", accept="text/html")
    assert bare.status_code == 302
    assert bare.headers["location"].endswith("/proxy/8123/")


def test_a_program_is_found_on_the_sandboxs_own_address(make):
    sandbox = make()
    own = sandbox.process.exec("hostname -I").result.split()
    assert own
    serve(sandbox, 3002, own[0])


def test_a_public_sandbox_needs_no_token_and_its_toolbox_does(make):
    sandbox = make(CreateSandboxFromSnapshotParams(public=True))
    preview = serve(sandbox)
    assert httpx.get(preview.url + "/x").json()["target"] == "/x"
    assert httpx.get(f"{sandbox.toolbox_proxy_url}/{sandbox.id}/version").status_code == 401


def test_a_sandbox_without_a_network_has_previews(make):
    serve(make(CreateSandboxFromSnapshotParams(network_block_all=True)))


def test_a_deleted_key_opens_no_port_any_more(server, sandbox, preview):
    client = ApiClient(Configuration(host=server.url))
    client.default_headers["Authorization"] = f"Bearer {server.key}"
    keys = ApiKeysApi(client)
    made = keys.create_api_key(CreateApiKey(name="e2e-previews", permissions=["write:sandboxes"]))
    headers = {"authorization": f"Bearer {made.value}"}
    assert httpx.get(preview.url, headers=headers).status_code == 200
    url = preview.url.replace("http", "ws", 1) + "/socket"
    stream = websocket.create_connection(url, header=headers, timeout=30)
    keys.delete_api_key("e2e-previews")
    assert httpx.get(preview.url, headers=headers).status_code == 401
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        stream.recv()
