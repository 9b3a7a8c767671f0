"""A registry of the tests' own, Debian's `docker-registry`, and images to put into it."""

import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import uuid

import httpx
from server import ROOT
from waiting import eventually

PROGRAMS = ["bash", "cat", "id", "whoami", "env", "ls", "sleep", "stat", "mkdir", "touch"]


class Registry:
    """Started by `Registry()`, stopped by `close()`; `name` is what the names of its images begin with."""

    def __init__(self):
        program = shutil.which("docker-registry")
        if not program:
            raise RuntimeError("no registry\nhint: apt-get install docker-registry")
        self.folder = tempfile.mkdtemp(prefix="pitlane-registry-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.name = f"127.0.0.1:{free.getsockname()[1]}"
        configuration = os.path.join(self.folder, "config.json")
        pathlib.Path(configuration).write_text(
            json.dumps(
                {
                    "version": 0.1,
                    "storage": {"filesystem": {"rootdirectory": os.path.join(self.folder, "data")}},
                    "http": {"addr": self.name},
                }
            ),
            encoding="ascii",
        )
        log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen([program, "serve", configuration], stdout=log, stderr=log)
        log.close()
        eventually(self._answers, "the registry does not start")

    def _answers(self):
        try:
            return httpx.get(f"http://{self.name}/v2/").status_code == 200
        except httpx.TransportError:
            return False

    def push(self, path, tag, layers, config):
        """Puts an image of archives there, compressed by gzip. Answers its name."""
        blobs = [gzip.compress(layer, 1) for layer in layers]
        described = {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        }
        configuration = json.dumps(described).encode()
        for blob in [*blobs, configuration]:
            self._upload(path, blob)
        kind = "application/vnd.oci.image"
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": descriptor(f"{kind}.config.v1+json", configuration),
            "layers": [descriptor(f"{kind}.layer.v1.tar+gzip", blob) for blob in blobs],
        }
        answer = httpx.put(
            f"http://{self.name}/v2/{path}/manifests/{tag}",
            content=json.dumps(manifest),
            headers={"Content-Type": manifest["mediaType"]},
        )
        answer.raise_for_status()
        return f"{self.name}/{path}:{tag}"

    def _upload(self, path, blob):
        begun = httpx.post(f"http://{self.name}/v2/{path}/blobs/uploads/")
        begun.raise_for_status()
        place = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": digest(blob)})
        httpx.put(place, content=blob).raise_for_status()

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


class Guard:
    """Lets whoever says the right password read from a registry; `name` is what names of images begin with."""

    def __init__(self, registry):
        self.user, self.password = "robot", f"word-{uuid.uuid4().hex}"
        said = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        inner = f"http://{registry.name}"

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.headers.get("Authorization") != f"Basic {said}":
                    self._answer(401, {"WWW-Authenticate": 'Basic realm="guarded"'}, b"")
                    return
                found = httpx.get(inner + self.path, headers={"Accept": self.headers.get("Accept", "*/*")})
                kind = found.headers.get("content-type", "application/octet-stream")
                self._answer(found.status_code, {"Content-Type": kind}, found.content)

            def _answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(kind, blob):
    return {"mediaType": kind, "digest": digest(blob), "size": len(blob)}


def base_layer():
    """A few programs of the default image with their libraries, and two users."""
    cache = pathlib.Path(os.environ.get("PITLANE_IMAGE_CACHE") or ROOT / ".cache/images")
    newest = max(cache.glob("default-*/image.json"), key=lambda path: path.stat().st_mtime)
    root = newest.parent / "rootfs"
    paths = set()
    for program in PROGRAMS:
        paths.add(f"/usr/bin/{program}")
        listed = subprocess.run(
            ["chroot", root, "ldd", f"/usr/bin/{program}"], capture_output=True, text=True, check=True
        )
        paths.update(word for line in listed.stdout.splitlines() for word in line.split() if word.startswith("/"))
    archive = Archive()
    for folder in ("usr", "usr/bin", "etc", "home"):
        archive.folder(folder)
    archive.folder("tmp", mode=0o1777)
    for name in ("bin", "lib", "lib64"):
        archive.link(name, f"usr/{name}")
    for path in sorted(paths):
        inside = pathlib.PurePosixPath(path)
        source = root / inside.relative_to("/")
        parts = inside.parts[1:]
        place = "/".join(parts if parts[0] == "usr" else ("usr", *parts))
        archive.file(place, source.read_bytes(), mode=0o755)
    archive.link("usr/bin/sh", "bash")
    users = "root:x:0:0::/root:/bin/sh\nworker:x:1000:1000::/home/worker:/bin/sh\n"
    archive.file("etc/passwd", users.encode())
    archive.file("etc/group", b"root:x:0:\nworker:x:1000:\n")
    archive.file("etc/secret", b"only in the lower layer\n")
    archive.folder("home/worker", owner=1000)
    return archive.bytes()


class Archive:
    """A layer."""

    def __init__(self):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w")

    def _add(self, name, kind, mode, owner=0, data=b"", target=""):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = kind, mode, owner, owner
        entry.size, entry.linkname = len(data), target
        self.tar.addfile(entry, io.BytesIO(data))

    def folder(self, name, mode=0o755, owner=0):
        self._add(name, tarfile.DIRTYPE, mode, owner)

    def file(self, name, data, mode=0o644, owner=0):
        self._add(name, tarfile.REGTYPE, mode, owner, data)

    def link(self, name, target):
        self._add(name, tarfile.SYMTYPE, 0o777, target=target)

    def bytes(self):
        self.tar.close()
        return self.buffer.getvalue()
