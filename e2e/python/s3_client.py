"""Ways to upload a build context: botocore as it is, and requests by hand for what no library sends."""

import hashlib
import hmac
import http.client
import ssl
import urllib.parse
from datetime import datetime, timezone

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials


def access(server, key=None, **headers):
    """What `GET /object-storage/push-access` answers."""
    import httpx

    headers = {"Authorization": f"Bearer {key or server.key}", **headers}
    return httpx.get(f"{server.url}/object-storage/push-access", headers=headers)


def client(given, **changes):
    """An S3 client with a key that a server gave."""
    given = {**given, **changes}
    return boto3.client(
        "s3",
        endpoint_url=given["storageUrl"],
        aws_access_key_id=given["accessKey"],
        aws_secret_access_key=given["secret"],
        aws_session_token=given["sessionToken"],
        region_name=given["region"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def connection(given):
    """A connection to where objects are kept."""
    url = urllib.parse.urlsplit(given["storageUrl"])
    if url.scheme == "https":
        return http.client.HTTPSConnection(url.netloc, timeout=60, context=ssl._create_unverified_context())
    return http.client.HTTPConnection(url.netloc, timeout=60)


def path(given, hash_):
    """Where a context is, on the server."""
    return f"/{given['bucket']}/{given['organizationId']}/{hash_}/context.tar"


def signed(given, method, where, headers, payload):
    """The headers of a request with a signature; `payload` is what the signature says of the body."""
    request = AWSRequest(method, given["storageUrl"] + where, headers={**headers, "X-Amz-Content-SHA256": payload})
    request.context["payload_signing_enabled"] = True
    signer = S3SigV4Auth(
        Credentials(given["accessKey"], given["secret"], given["sessionToken"]), "s3", given["region"]
    )
    signer.payload = lambda _request: payload
    signer.add_auth(request)
    return dict(request.headers.items())


def put(given, hash_, body, headers=(), payload=None):
    """Puts a body by hand; answers the status and the text of the answer."""
    headers = {"Content-Length": str(len(body)), **dict(headers)}
    payload = payload or hashlib.sha256(body).hexdigest()
    return send(given, "PUT", path(given, hash_), signed(given, "PUT", path(given, hash_), headers, payload), body)


def send(given, method, where, headers, body=b""):
    """Sends a request as it is given."""
    link = connection(given)
    try:
        link.putrequest(method, where, skip_host=any(name.lower() == "host" for name in headers))
        for name, value in headers.items():
            link.putheader(name, value)
        link.endheaders()
        if body:
            link.send(body)
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


class Chunks:
    """A body in chunks that are signed one after the other."""

    def __init__(self, given, hash_, length, trailer=None, signed_chunks=True, forged=None):
        self.given, self.where, self.signs, self.forged = given, path(given, hash_), signed_chunks, forged
        kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" if signed_chunks else "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        headers = {"X-Amz-Decoded-Content-Length": str(length), "Content-Encoding": "aws-chunked"}
        if trailer:
            headers["X-Amz-Trailer"] = trailer
        self.kind, self.headers = kind, headers

    def send(self, chunks, trailers="", size_of=None):
        """Sends chunks; `size_of` says how long each claims to be."""
        given = self.given
        headers = signed(given, "PUT", self.where, self.headers, self.kind)
        signature = headers["Authorization"].rsplit("Signature=", 1)[1]
        date = headers["X-Amz-Date"]
        scope = f"{date[:8]}/{given['region']}/s3/aws4_request"
        key = f"AWS4{given['secret']}".encode()
        for part in (date[:8], given["region"], "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        body = b""
        for chunk in [*chunks, b""]:
            if self.signs:
                empty = hashlib.sha256(b"").hexdigest()
                text = f"AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{signature}\n{empty}\n"
                text += hashlib.sha256(chunk).hexdigest()
                signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
            length = size_of(chunk) if size_of else f"{len(chunk):x}"
            shown = "0" * 64 if chunk and chunk == self.forged else signature
            extension = f";chunk-signature={shown}" if self.signs else ""
            body += f"{length}{extension}\r\n".encode() + chunk
            body += b"\r\n" if chunk or self.signs else b""
        body += trailers.encode() + (b"" if self.signs else b"\r\n")
        headers["Content-Length"] = str(len(body))
        return send(given, "PUT", self.where, headers, body)


def now():
    """The time as signatures have it."""
    return datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
