"""An S3 server for volumes: objects in memory, with the operations that volumes need. It checks no signatures."""

import hashlib
import http.server
import threading
import urllib.parse
from email.utils import formatdate
from xml.sax.saxutils import escape

BUCKET = "volumes"


class ObjectStore:
    """Started by `ObjectStore()`, stopped by `close()`; `objects` are bytes by key."""

    def __init__(self):
        self.objects = {}
        self.uploads = {}
        self.lock = threading.Lock()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}"

    def keys(self):
        with self.lock:
            return sorted(self.objects)

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def _tag(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


def _handler(store):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments):
            pass

        def answer(self, status, body=b"", headers=(), length=None):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def document(self, name, content, status=200):
            self.answer(status, f"<{name}>{content}</{name}>".encode())

        def refuse(self, status, code):
            self.document("Error", f"<Code>{code}</Code>", status)

        def asked(self):
            address = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
            bucket, _, key = urllib.parse.unquote(address.path).lstrip("/").partition("/")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return (key if bucket == BUCKET else None), query, body

        def handle_any(self):
            key, query, body = self.asked()
            if key is None:
                return self.refuse(404, "NoSuchBucket")
            with store.lock:
                return getattr(self, f"on_{self.command.lower()}")(key, query, body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def on_get(self, key, query, _body):
            if "list-type" in query:
                return self.list(query)
            if "uploads" in query:
                return self.document("ListMultipartUploadsResult", "")
            if key not in store.objects:
                return self.refuse(404, "NoSuchKey")
            body = store.objects[key]
            if self.headers.get("If-Match", _tag(body)) != _tag(body):
                return self.refuse(412, "PreconditionFailed")
            headers = [("ETag", _tag(body)), ("Last-Modified", formatdate(usegmt=True))]
            if "Range" not in self.headers:
                return self.answer(200, body, headers)
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            return self.answer(206, body[int(first) : int(last) + 1], headers)

        def on_head(self, key, _query, _body):
            if key not in store.objects:
                return self.answer(404)
            body = store.objects[key]
            headers = [("ETag", _tag(body)), ("Last-Modified", formatdate(usegmt=True))]
            return self.answer(200, headers=headers, length=len(body))

        def list(self, query):
            prefix, most = query.get("prefix", ""), int(query.get("max-keys", 1000))
            after, lines = query.get("continuation-token", ""), {}
            for key in sorted(store.objects):
                if key.startswith(prefix):
                    end = key.find("/", len(prefix)) if "delimiter" in query else -1
                    lines[key if end < 0 else key[: end + 1]] = end >= 0
            lines = [(line, is_folder) for line, is_folder in lines.items() if line > after]
            page = lines[:most]
            content = "<EncodingType>url</EncodingType>"
            for line, is_folder in page:
                name = escape(urllib.parse.quote(line))
                if is_folder:
                    content += f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
                else:
                    body = store.objects[line]
                    content += f"<Contents><Key>{name}</Key><Size>{len(body)}</Size><ETag>{escape(_tag(body))}</ETag>"
                    content += "<LastModified>2024-01-02T03:04:05.000Z</LastModified></Contents>"
            if len(lines) > most:
                content += f"<IsTruncated>true</IsTruncated><NextContinuationToken>{escape(page[-1][0])}"
                content += "</NextContinuationToken>"
            self.document("ListBucketResult", content)

        def on_put(self, key, query, body):
            if "uploadId" in query:
                store.uploads[query["uploadId"]][int(query["partNumber"])] = body
            elif "x-amz-copy-source" in self.headers:
                source = urllib.parse.unquote(self.headers["x-amz-copy-source"]).lstrip("/").partition("/")[2]
                if source not in store.objects:
                    return self.refuse(404, "NoSuchKey")
                store.objects[key] = store.objects[source]
                return self.document("CopyObjectResult", "")
            else:
                store.objects[key] = body
            return self.answer(200, headers=[("ETag", _tag(body))])

        def on_post(self, key, query, _body):
            if "uploads" in query:
                name = f"upload-{len(store.uploads)}"
                store.uploads[name] = {}
                return self.document("InitiateMultipartUploadResult", f"<UploadId>{name}</UploadId>")
            parts = store.uploads.pop(query["uploadId"])
            store.objects[key] = b"".join(parts[number] for number in sorted(parts))
            tag = escape(_tag(store.objects[key]))
            return self.document("CompleteMultipartUploadResult", f"<ETag>{tag}</ETag>")

        def on_delete(self, key, query, _body):
            if "uploadId" in query:
                store.uploads.pop(query["uploadId"], None)
            else:
                store.objects.pop(key, None)
            return self.answer(204)

    return Handler
