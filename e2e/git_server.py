"""A git server over HTTP with basic authentication, for tests: `git_server.py ROOT [CERTIFICATE KEY]`.

Serves the bare repositories below ROOT and prints its port. `public/…` is read by anybody; everything else wants alice or
bob, whose password is `pa ss:wörd%`, and bob may do nothing. `slow/…` never answers, `away/HOST:PORT/…` leads there.
Every name and password that is sent is added to the file `ROOT/seen`.
"""

import base64
import http.server
import os
import ssl
import subprocess
import sys
import threading

PASSWORD = "pa ss:wörd%"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        path, _, query = self.path.partition("?")
        sent = self.headers.get("Authorization", "")
        user = ""
        if sent.startswith("Basic "):
            text = base64.b64decode(sent[6:]).decode("utf-8", "replace")
            with open(os.path.join(root, "seen"), "a", encoding="utf-8") as seen:
                seen.write(text + "\n")
            name, _, password = text.partition(":")
            user = name if password == PASSWORD and name in ("alice", "bob") else ""
        if path.startswith("/slow/"):
            with open(os.path.join(root, "asked"), "w", encoding="utf-8"):
                pass
            threading.Event().wait()
        if path.startswith("/away/"):
            self.send_response(302)
            self.send_header("Location", "http://" + self.path.removeprefix("/away/"))
            self.end_headers()
            return
        is_write = "git-receive-pack" in self.path
        if not user and (is_write or not path.startswith("/public/")):
            self.refuse(401)
        elif user == "bob":
            self.refuse(403)
        else:
            self.serve(path, query, user)

    def refuse(self, status):
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def serve(self, path, query, user):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self.chunks()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": root,
            "GIT_PROJECT_ROOT": root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_USER": user,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE, check=False)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((value for name, value in fields if name == "Status"), "200")
        self.send_response(int(status.split()[0]))
        for name, value in fields:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    def chunks(self):
        body = b""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


root = os.path.abspath(sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
