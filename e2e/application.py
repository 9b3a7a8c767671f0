"""What the tests of previews run inside a sandbox: a small web application of the standard library alone."""

import base64
import hashlib
import http.server
import json
import socket
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, media_type="text/plain", status=200, **headers):
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(3):
                self.chunk(f"data: {number}\n\n".encode())
                go[number].wait()
            self.chunk(b"")
        elif path.startswith("/go/"):
            go[int(path.rpartition("/")[2])].set()
            self.answer(b"")
        elif path == "/socket":
            self.socket()
        elif path == "/login":
            self.answer(b"", status=302, Location="/", Set_Cookie="session=1; Path=/; HttpOnly")
        else:
            seen = {"target": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}}
            self.answer(json.dumps(seen).encode(), "application/json")

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 1 << 16))
            left -= len(piece)
            digest.update(piece)
        self.answer(digest.hexdigest().encode())

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def socket(self):
        """Gives short text messages back until the other side closes."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        for name, value in [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]:
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        while True:
            first, length = self.rfile.read(2)
            mask, data = self.rfile.read(4), self.rfile.read(length & 0x7F)
            data = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
            self.wfile.write(bytes([first, len(data)]) + data)
            self.wfile.flush()
            if first & 0x0F == 8:
                return


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET


go = [threading.Event() for _ in range(3)]
Server((sys.argv[2], int(sys.argv[1])), Handler).serve_forever()
