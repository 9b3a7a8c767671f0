"""A real nginx with the configuration of deploy/, between clients that speak TLS and the two processes."""

import base64
import json
import os
import re
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
from conftest import DEPLOY, TOOLS, call_tool, run, tool, use, wait_for

NAME = "pitlane.example.org"


@pytest.fixture(scope="module")
def proxy(watched, tmp_path_factory):
    """The port of a proxy, and a context that knows its certificate."""
    server, mcp = watched
    folder = tmp_path_factory.mktemp("proxy")
    subject = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    run(tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (DEPLOY / "proxy/nginx.conf").read_text()
    for given, here in {
        "127.0.0.1:3986": re.search(r"//([^/]+)/", server.url).group(1),
        "127.0.0.1:8001": re.search(r"//([^/]+)/", mcp.ready["url"]).group(1),
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/ssl/pitlane/": f"{folder}/",
    }.items():
        assert given in text
        text = text.replace(given, here)
    (folder / "pitlane.conf").write_text(text)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary} include {folder}/pitlane.conf; }}\n"
    )
    program = tool("nginx")
    environment = {"PATH": os.environ["PATH"]}
    if str(TOOLS) in program:
        environment["LD_LIBRARY_PATH"] = f"{TOOLS}/usr/lib/x86_64-linux-gnu"
    command = [program, "-p", str(folder), "-e", str(folder / "log"), "-c", str(folder / "nginx.conf")]
    assert "syntax is ok" in run(*command, "-t", env=environment)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    context = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    try:
        wait_for("the proxy listens", lambda: socket.create_connection(("127.0.0.1", port)).close() is None)
        yield port, context
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def through(proxy, monkeypatch):
    """Sends what `ask` asks through the proxy's certificate."""
    port, context = proxy
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    monkeypatch.setattr(urllib.request, "urlopen", opener.open)
    return f"https://127.0.0.1:{port}"


def request(url, key, method="GET", body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Host": NAME}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def test_sandboxes_are_made_and_their_toolbox_named_by_the_proxys_name(watched, through):
    server, _ = watched
    made = request(f"{through}/api/sandbox", server.key, "POST", {"name": "behind-a-proxy"})
    assert made["toolboxProxyUrl"].split("://")[1].startswith(NAME)
    ran = request(f"{through}/toolbox/{made['id']}/process/execute", server.key, "POST", {"command": "echo a b"})
    assert ran["exitCode"] == 0
    request(f"{through}/api/sandbox/{made['id']}", server.key, "DELETE")


def test_agents_use_tools_through_it(watched, through):
    server, _ = watched
    use(f"{through}/mcp", server.key)


def test_a_body_of_any_size_gets_to_the_server(watched, through):
    server, _ = watched
    # Larger than what proxies allow unless they are told: the server itself says what is too much.
    with pytest.raises(urllib.error.HTTPError) as refused:
        request(f"{through}/api/sandbox", server.key, "POST", {"name": "x" * (2 << 20)})
    assert refused.value.code == 413 and "message" in json.loads(refused.value.read())


def test_websockets_are_upgraded(watched, proxy):
    server, _ = watched
    port, context = proxy
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /api/socket.io/?EIO=4&transport=websocket HTTP/1.1",
        f"Host: {NAME}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Authorization: Bearer {server.key}",
    ]
    with socket.create_connection(("127.0.0.1", port), 30) as plain:
        with context.wrap_socket(plain, server_hostname=NAME) as stream:
            stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            assert stream.recv(1024).startswith(b"HTTP/1.1 101 ")


def test_figures_are_not_shown_to_the_world(through):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{through}/metrics", timeout=30)
    assert refused.value.code == 401


def test_a_key_that_nobody_knows_opens_nothing(through):
    with pytest.raises(urllib.error.HTTPError) as refused:
        call_tool(f"{through}/mcp", "dtn_wrong", "list_sandboxes")
    assert refused.value.code == 401
