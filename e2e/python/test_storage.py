"""Build contexts: what the SDK uploads, what other S3 clients do, and what nobody may."""

import base64
import functools
import hashlib
import os
import pathlib
import ssl
import subprocess
import sys
import zlib
from concurrent import futures

import pytest
import s3_client
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from daytona import CreateSnapshotParams, Daytona, DaytonaConfig, DaytonaValidationError, Image
from daytona_api_client import ApiClient, ApiKeysApi, Configuration, CreateApiKey, CreateOrganization
from daytona_api_client import ObjectStorageApi, OrganizationsApi
from daytona_api_client.exceptions import ApiException
from server import Server

OTHER = "0d5c0e0e-6f3c-4a52-9f0e-2b9a3a2f5c11"
ROOMS = ["--max-context", "1", "--context-room-per-organization", "1", "--context-room", "2"]


@pytest.fixture(scope="module")
def store():
    """A server for contexts alone, without real sandboxes, which has object storage over https as well."""
    running = Server(["--driver", "fake", "--storage-listen", "127.0.0.1:0", *ROOMS])
    yield running
    running.close()


@pytest.fixture
def given(store):
    """A key for uploads, and where it opens without https."""
    answer = s3_client.access(store)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return {**answer.json(), "storageUrl": store.url.removesuffix("/api")}


def api(server, key=None):
    made = ApiClient(Configuration(host=server.url))
    made.default_headers["Authorization"] = f"Bearer {key or server.key}"
    return made


def code(call, *args, **kwargs):
    """The code with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    return refused.value.response["Error"]["Code"]


def kept(store):
    """The files of contexts and uploads."""
    folder = pathlib.Path(store.state, "state/contexts")
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_a_key_for_uploads_says_where_it_opens(server):
    given = ObjectStorageApi(api(server)).get_push_access()
    assert (given.bucket, given.region) == ("pitlane-contexts", "us-east-1")
    assert given.storage_url == server.url.removesuffix("/api")
    s3 = s3_client.client(given.to_dict())
    assert s3.list_objects_v2(Bucket=given.bucket)["KeyCount"] == 0


def test_a_key_without_a_right_to_build_gets_no_key_for_uploads(server):
    keys = ApiKeysApi(api(server))
    made = keys.create_api_key(CreateApiKey(name="no-builds", permissions=["delete:sandboxes"]))
    try:
        with pytest.raises(ApiException) as refused:
            ObjectStorageApi(api(server, made.value)).get_push_access()
        assert refused.value.status == 403
        assert "write:sandboxes" in refused.value.body
    finally:
        keys.delete_api_key("no-builds")


def test_the_sdk_is_told_that_it_needs_https(server, tmp_path):
    (tmp_path / "file").write_text("x")
    daytona = Daytona(DaytonaConfig(api_key=server.key, api_url=server.url))
    image = Image.base("debian").add_local_file(tmp_path / "file", "/file")
    with pytest.raises(DaytonaValidationError, match="over https only"):
        daytona.snapshot.create(CreateSnapshotParams(name="never", image=image))


UPLOAD = """
import asyncio, sys
from daytona import AsyncDaytona, Daytona, DaytonaConfig, Image
from daytona._async.snapshot import AsyncSnapshotService
from daytona._sync.snapshot import SnapshotService

url, key, folder, way = sys.argv[1:]
config = DaytonaConfig(api_key=key, api_url=url)
image = Image.base("debian").add_local_file(f"{folder}/file", "/file").add_local_dir(f"{folder}/tree", "/tree")
api = lambda daytona: next(v for n, v in vars(daytona.snapshot).items() if "object_storage" in n)

async def asynchronously():
    async with AsyncDaytona(config) as daytona:
        return await AsyncSnapshotService.process_image_context(api(daytona), image)

if way == "sync":
    print(*SnapshotService.process_image_context(api(Daytona(config)), image))
else:
    print(*asyncio.run(asynchronously()))
"""


def upload_with_the_sdk(store, folder, way):
    """In a process that trusts the server's certificate: the SDK's library reads the machine's list alone."""
    system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    bundle = pathlib.Path(store.state, "trusted.pem")
    own = pathlib.Path(store.state, "state/tls/authority.pem").read_bytes()
    bundle.write_bytes(system.read_bytes() + own)
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    command = ["unshare", "--mount", "sh", "-ec", script, "sh", str(bundle), str(system)]
    command += [sys.executable, "-c", UPLOAD, store.url, store.key, str(folder), way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("way", ["sync", "async"])
def test_the_sdk_uploads_files_and_folders_once(store, given, tmp_path, way):
    (tmp_path / "file").write_text(f"a file, {way}")
    (tmp_path / "tree/below").mkdir(parents=True)
    (tmp_path / "tree/below/large").write_bytes(os.urandom(11 << 20))
    hashes = upload_with_the_sdk(store, tmp_path, way)
    assert len(hashes) == 2
    s3 = s3_client.client(given)
    keys = [f"{given['organizationId']}/{hash_}/context.tar" for hash_ in hashes]
    first = [s3.head_object(Bucket=given["bucket"], Key=key) for key in keys]
    assert first[1]["ContentLength"] > 11 << 20
    assert upload_with_the_sdk(store, tmp_path, way) == hashes
    again = [s3.head_object(Bucket=given["bucket"], Key=key) for key in keys]
    assert [one["LastModified"] for one in again] == [one["LastModified"] for one in first]
    for key in keys:
        s3.delete_object(Bucket=given["bucket"], Key=key)


@pytest.fixture
def s3(given):
    """Calls of an S3 client on one bucket, with the own organization's keys."""
    made = s3_client.client(given)

    class Calls:
        def __getattr__(self, name):
            return functools.partial(getattr(made, name), Bucket=given["bucket"])

        def key(self, hash_):
            return f"{given['organizationId']}/{hash_}/context.tar"

    calls = Calls()
    yield calls
    for one in made.list_objects_v2(Bucket=given["bucket"]).get("Contents", []):
        made.delete_object(Bucket=given["bucket"], Key=one["Key"])


def test_a_context_is_put_read_listed_and_deleted(s3, given):
    key = s3.key("one")
    assert code(s3.head_object, Key=key) == "404"
    assert code(s3.get_object, Key=key) == "NoSuchKey"
    put = s3.put_object(Key=key, Body=b"hello")
    assert put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    got = s3.get_object(Key=key)
    assert (got["Body"].read(), got["ETag"], got["ContentLength"]) == (b"hello", put["ETag"], 5)
    assert s3.get_object(Key=key, Range="bytes=1-2")["Body"].read() == b"el"
    assert code(s3.get_object, Key=key, Range="bytes=9-") == "InvalidRange"
    assert code(s3.get_object, Key=key, IfMatch='"x"') == "PreconditionFailed"
    assert code(s3.put_object, Key=key, Body=b"y", IfNoneMatch="*") == "PreconditionFailed"
    s3.put_object(Key=s3.key("two"), Body=b"")
    page = s3.list_objects_v2(MaxKeys=1)
    assert (page["KeyCount"], page["IsTruncated"], page["Contents"][0]["Key"]) == (1, True, key)
    page = s3.list_objects_v2(MaxKeys=1, ContinuationToken=page["NextContinuationToken"])
    assert (page["IsTruncated"], page["Contents"][0]["Key"]) == (False, s3.key("two"))
    page = s3.list_objects_v2(Prefix=f"{given['organizationId']}/", Delimiter="/")
    assert [one["Prefix"].split("/")[1] for one in page["CommonPrefixes"]] == ["one", "two"]
    assert s3.list_objects_v2(Prefix=f"{OTHER}/")["KeyCount"] == 0
    s3.delete_object(Key=key)
    s3.delete_object(Key=key)
    assert code(s3.head_object, Key=key) == "404"


def test_a_large_context_comes_in_parts_that_are_put_together(s3, store, tmp_path):
    large = os.urandom(32 << 20) + b"end"
    (tmp_path / "large").write_bytes(large)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=6)
    s3.upload_file(Filename=str(tmp_path / "large"), Key=s3.key("large"), Config=config)
    got = s3.get_object(Key=s3.key("large"))
    assert got["ETag"].endswith('-7"')
    assert got["Body"].read() == large
    assert len(kept(store)) == 1


def test_parts_are_checked_when_they_are_put_together(s3, store):
    key = s3.key("parts")
    upload = s3.create_multipart_upload(Key=key)["UploadId"]

    def part(number, body):
        return s3.upload_part(Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]

    first, second = part(1, b"a" * 10), part(2, b"b" * 20)
    assert [one["Size"] for one in s3.list_parts(Key=key, UploadId=upload)["Parts"]] == [10, 20]

    def complete(*parts, **more):
        named = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]}
        return s3.complete_multipart_upload(Key=key, UploadId=upload, MultipartUpload=named, **more)

    assert code(complete, (1, first), (2, second)) == "EntityTooSmall"
    assert code(complete, (2, second), (1, first)) == "InvalidPartOrder"
    assert code(complete, (1, second)) == "InvalidPart"
    assert code(complete, (3, second)) == "InvalidPart"
    assert code(complete, (2, second), MpuObjectSize=21) == "InvalidRequest"
    assert code(s3.upload_part, Key=s3.key("other"), UploadId=upload, PartNumber=1, Body=b"x") == "NoSuchUpload"
    assert code(s3.upload_part, Key=key, UploadId=upload, PartNumber=10001, Body=b"x") == "InvalidArgument"
    done = complete((2, second))
    # A client that did not hear of it asks again.
    assert complete((2, second))["ETag"] == done["ETag"]
    assert s3.get_object(Key=key)["Body"].read() == b"b" * 20
    upload = s3.create_multipart_upload(Key=key)["UploadId"]
    part(1, b"x")
    s3.abort_multipart_upload(Key=key, UploadId=upload)
    assert code(s3.abort_multipart_upload, Key=key, UploadId=upload) == "NoSuchUpload"
    assert len(kept(store)) == 1


def test_checksums_are_compared_before_and_behind_the_body(s3, given):
    body = b"checked" * 1000
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    wrong = base64.b64encode(bytes(4)).decode()
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        answer = s3.put_object(Key=s3.key("sum"), Body=body, ChecksumAlgorithm=algorithm)
        assert answer[f"Checksum{algorithm}"]
    assert code(s3.put_object, Key=s3.key("bad"), Body=body, ChecksumCRC32=wrong) == "BadDigest"
    other = base64.b64encode(bytes(16)).decode()
    assert code(s3.put_object, Key=s3.key("bad"), Body=body, ContentMD5=other) == "BadDigest"

    def behind():
        return s3_client.Chunks(given, "behind", len(body), "x-amz-checksum-crc32", signed_chunks=False)

    status, text = behind().send([body[:50], body[50:]], f"x-amz-checksum-crc32:{crc}\r\n")
    assert status == 200, text
    status, text = behind().send([body], f"x-amz-checksum-crc32:{wrong}\r\n")
    assert (status, "BadDigest" in text) == (400, True), text
    status, text = behind().send([body])
    assert (status, "IncompleteBody" in text) == (400, True), text
    assert s3_client.put(given, "bad", body, payload=hashlib.sha256(b"other").hexdigest())[0] == 400
    assert code(s3.head_object, Key=s3.key("bad")) == "404"


def test_chunks_are_signed_one_after_the_other(s3, given):
    chunks = [os.urandom(70_000), b"second", os.urandom(70_000)]
    whole = b"".join(chunks)
    status, text = s3_client.Chunks(given, "chunks", len(whole)).send(chunks)
    assert status == 200, text
    assert s3.get_object(Key=s3.key("chunks"))["Body"].read() == whole
    stream = s3_client.Chunks(given, "forged", len(whole), forged=b"second")
    status, text = stream.send(chunks)
    assert (status, "SignatureDoesNotMatch" in text) == (403, True), text
    for claimed in ["ffffffff", "1000001", "000000005", "-5", "5 ", ""]:
        stream = s3_client.Chunks(given, "forged", 5)
        status, text = stream.send([b"hello"], size_of=lambda _chunk, claimed=claimed: claimed)
        assert status == 400, (claimed, text)
    # Less and more than was announced.
    for length in [len(whole) - 1, len(whole) + 1]:
        status, text = s3_client.Chunks(given, "forged", length).send(chunks)
        assert (status, "IncompleteBody" in text) == (400, True), text
    assert code(s3.head_object, Key=s3.key("forged")) == "404"


def test_nobody_gets_in_without_the_right_key_token_and_signature(store, given):
    key = f"{given['organizationId']}/x/context.tar"
    another = "1" if given["accessKey"].endswith("0") else "0"
    for changes, wanted in [
        ({"secret": "0" * 64}, "SignatureDoesNotMatch"),
        ({"sessionToken": "0" * 64}, "InvalidToken"),
        ({"sessionToken": None}, "InvalidToken"),
        ({"accessKey": "AKIAIOSFODNN7EXAMPLE"}, "InvalidAccessKeyId"),
        ({"accessKey": given["accessKey"][:-1] + another}, "SignatureDoesNotMatch"),
        # It says that it is older than its secret.
        ({"accessKey": given["accessKey"][:35] + "0" * 16}, "ExpiredToken"),
    ]:
        s3 = s3_client.client(given, **changes)
        assert code(s3.put_object, Bucket=given["bucket"], Key=key, Body=b"x") == wanted, changes
    assert kept(store) == []


def test_ways_around_the_signature_are_closed(store, given):
    where = s3_client.path(given, "x")
    plain = {"Content-Length": "1"}
    signed = s3_client.signed(given, "PUT", where, plain, hashlib.sha256(b"x").hexdigest())
    wanted = [
        (where, plain, 403),
        (where, {**plain, "Authorization": f"AWS {given['accessKey']}:c2lnbmF0dXJl", "Date": s3_client.now()}, 403),
        (where, {**plain, "Authorization": f"Bearer {store.key}"}, 403),
        (f"{where}?AWSAccessKeyId={given['accessKey']}&Expires=4102444800&Signature=x", plain, 403),
        (f"{where}?X-Amz-Signature=x&X-Amz-Algorithm=AWS4-HMAC-SHA256", signed, 403),
        # Of another path, method, query or host.
        (where.replace("/x/", "/y/"), signed, 403),
        (f"{where}?uploads=", signed, 403),
        (where, {**signed, "Host": "elsewhere.example"}, 403),
        (where, {**signed, "X-Amz-Date": "20200101T000000Z"}, 403),
        (where, {**signed, "X-Amz-Security-Token": "x"}, 403),
    ]
    for path, headers, status in wanted:
        got = s3_client.send(given, "PUT", path, headers, b"x")
        assert got[0] == status, (path, headers, got)
        assert "<Code>" in got[1]
    form = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": "1"}
    assert s3_client.send(given, "POST", f"/{given['bucket']}", form, b"x")[0] == 403
    link = s3_client.connection(given)
    link.request("GET", f"/{given['bucket']}")
    assert link.getresponse().status == 403
    link.close()
    # What was captured does for nothing else, and neither key opens the other door.
    assert s3_client.access(store, given["secret"]).status_code == 401
    assert kept(store) == []


@pytest.mark.parametrize(
    "hash_", ["../x", "..", "a/b", "a%2fb", "a\0b", "a.b", "", "é", "a" * 129, "%2e%2e", "context.tar"]
)
def test_a_key_of_another_form_is_refused(given, store, hash_):
    s3 = s3_client.client(given)
    for key in [f"{given['organizationId']}/{hash_}/context.tar", f"{given['organizationId']}/x/{hash_}"]:
        if key.endswith("/x/context.tar"):
            continue
        with pytest.raises(ClientError) as refused:
            s3.put_object(Bucket=given["bucket"], Key=key, Body=b"x")
        assert refused.value.response["Error"]["Code"] in ("InvalidArgument", "SignatureDoesNotMatch"), key
    assert kept(store) == []


def test_what_belongs_to_another_organization_is_out_of_reach(store, given):
    organizations = OrganizationsApi(api(store))
    made = organizations.create_organization(CreateOrganization(name="others", default_region_id="local"))
    keys = ApiKeysApi(api(store))
    key = keys.create_api_key(
        CreateApiKey(name="theirs", permissions=["write:sandboxes"]), x_daytona_organization_id=made.id
    )
    theirs = {**s3_client.access(store, key.value).json(), "storageUrl": given["storageUrl"]}
    assert theirs["organizationId"] == made.id
    own, other = s3_client.client(given), s3_client.client(theirs)
    there = {"Bucket": given["bucket"], "Key": f"{made.id}/x/context.tar"}
    other.put_object(**there, Body=b"theirs")
    upload = other.create_multipart_upload(**there)["UploadId"]
    for name, arguments in [
        ("put_object", {"Body": b"mine"}),
        ("get_object", {}),
        ("delete_object", {}),
        ("create_multipart_upload", {}),
        ("upload_part", {"UploadId": upload, "PartNumber": 1, "Body": b"x"}),
        ("list_parts", {"UploadId": upload}),
        ("abort_multipart_upload", {"UploadId": upload}),
    ]:
        assert code(getattr(own, name), **there, **arguments) == "AccessDenied", name
    assert code(own.head_object, **there) == "403"
    nothing = {**there, "Key": f"{OTHER}/x/context.tar"}
    assert code(own.head_object, **nothing) == "403"
    assert own.list_objects_v2(Bucket=given["bucket"])["KeyCount"] == 0
    assert own.list_objects_v2(Bucket=given["bucket"], Prefix=f"{made.id}/")["KeyCount"] == 0
    assert other.get_object(**there)["Body"].read() == b"theirs"
    other.delete_object(**there)
    other.abort_multipart_upload(**there, UploadId=upload)
    # The keys for uploads end with the key behind them.
    keys.delete_api_key("theirs", x_daytona_organization_id=made.id)
    assert code(other.get_object, **there) == "InvalidAccessKeyId"
    organizations.delete_organization(made.id)


def test_other_operations_are_refused_by_name(given):
    s3 = s3_client.client(given)
    bucket = {"Bucket": given["bucket"]}
    key = {**bucket, "Key": f"{given['organizationId']}/x/context.tar"}
    for call, arguments in [
        (s3.list_objects, bucket),
        (s3.put_bucket_acl, {**bucket, "ACL": "public-read"}),
        (s3.delete_bucket, bucket),
        (s3.list_multipart_uploads, bucket),
        (s3.copy_object, {**key, "CopySource": f"{given['bucket']}/{key['Key']}"}),
        (s3.put_object_tagging, {**key, "Tagging": {"TagSet": []}}),
    ]:
        assert code(call, **arguments) == "NotImplemented", call
    # What would change what is kept is refused, not overlooked.
    assert code(s3.put_object, **key, Body=b"x", IfMatch='"x"') == "NotImplemented"
    assert code(s3.put_object, **key, Body=b"x", ObjectLockMode="GOVERNANCE") == "NotImplemented"


def test_room_is_refused_before_it_is_taken(given, store):
    s3 = s3_client.client(given)
    where = s3_client.path(given, "huge")
    # Nothing of it has to come: the length that is announced is enough.
    headers = s3_client.signed(given, "PUT", where, {"Content-Length": str((1 << 30) + 1)}, "UNSIGNED-PAYLOAD")
    status, text = s3_client.send(given, "PUT", where, {**headers, "Expect": "100-continue"})
    assert (status, "EntityTooLarge" in text) == (400, True), text
    link = s3_client.connection(given)
    headers = s3_client.signed(given, "PUT", where, {"Content-Length": str(900 << 20)}, "UNSIGNED-PAYLOAD")
    link.putrequest("PUT", where)
    for name, value in headers.items():
        link.putheader(name, value)
    link.endheaders()
    link.send(b"x" * 100_000)
    key = f"{given['organizationId']}/x/context.tar"
    refused = ""
    for _ in range(100):
        try:
            s3.put_object(Bucket=given["bucket"], Key=key, Body=b"x" * (200 << 20))
        except ClientError as error:
            refused = error.response["Error"]["Code"]
            break
    assert refused == "QuotaExceeded"
    # A client that goes away gives its room back.
    link.close()
    for _ in range(100):
        try:
            s3.put_object(Bucket=given["bucket"], Key=key, Body=b"x" * (200 << 20))
            break
        except ClientError as error:
            assert error.response["Error"]["Code"] == "QuotaExceeded"
    s3.delete_object(Bucket=given["bucket"], Key=key)
    assert kept(store) == []


def test_two_hundred_uploads_at_once_are_all_whole(given, store):
    s3 = s3_client.client(given)

    def upload(number):
        body = hashlib.sha256(str(number).encode()).digest() * 4000
        key = f"{given['organizationId']}/n{number % 50}/context.tar"
        for _ in range(200):
            try:
                return s3.put_object(Bucket=given["bucket"], Key=key, Body=body)["ETag"]
            except ClientError as error:
                assert error.response["Error"]["Code"] == "SlowDown"
        raise AssertionError("never let in")

    with futures.ThreadPoolExecutor(24) as pool:
        tags = set(pool.map(upload, range(200)))
    assert len(tags) == 200
    listed = s3.list_objects_v2(Bucket=given["bucket"])["Contents"]
    assert len(listed) == 50
    for one in listed:
        body = s3.get_object(Bucket=given["bucket"], Key=one["Key"])["Body"].read()
        assert f'"{hashlib.md5(body).hexdigest()}"' == one["ETag"] and one["ETag"] in tags
        s3.delete_object(Bucket=given["bucket"], Key=one["Key"])
    assert kept(store) == []


def test_https_shows_object_storage_and_nothing_else(store):
    import httpx

    over_https = s3_client.access(store).json()["storageUrl"]
    assert over_https.startswith("https://127.0.0.1:")
    authority = os.path.join(store.state, "state/tls/authority.pem")
    with httpx.Client(base_url=over_https, verify=ssl.create_default_context(cafile=authority)) as client:
        assert client.get("/pitlane-contexts").status_code == 403
        for path in ["/", "/api/health", "/api/sandbox", "/toolbox/x/files", "/mcp"]:
            assert client.get(path, headers={"Authorization": f"Bearer {store.key}"}).status_code == 404, path
    key = pathlib.Path(store.state, "state/tls/certificate-and-key.pem")
    assert key.stat().st_mode & 0o077 == 0
    assert "PRIVATE KEY" not in pathlib.Path(authority).read_text()


def test_secrets_are_not_in_the_log(given, store):
    code(s3_client.client(given, sessionToken="x").list_objects_v2, Bucket=given["bucket"])
    log = store.log()
    assert not [secret for secret in (given["secret"], given["sessionToken"], store.key) if secret in log]


def test_memory_does_not_grow_with_what_is_uploaded(given, store, s3, tmp_path):
    with open(tmp_path / "large", "wb") as large:
        large.truncate(300 << 20)
    s3.put_object(Key=s3.key("small"), Body=b"x" * (20 << 20))
    before = store.memory_kib("VmHWM")
    with open(tmp_path / "large", "rb") as large:
        s3.put_object(Key=s3.key("large"), Body=large)
    read = sum(len(piece) for piece in s3.get_object(Key=s3.key("large"))["Body"].iter_chunks(1 << 20))
    assert read == 300 << 20
    grown = store.memory_kib("VmHWM") - before
    assert grown < 48 << 10, f"{grown} KiB more"


FULL = """
import sys
import s3_client
from botocore.exceptions import ClientError
from server import Server

store = Server(["--driver", "fake"])
given = {**s3_client.access(store).json(), "storageUrl": store.url.removesuffix("/api")}
s3 = s3_client.client(given)
where = lambda hash_: {"Bucket": given["bucket"], "Key": f"{given['organizationId']}/{hash_}/context.tar"}
s3.put_object(**where("first"), Body=b"x" * (20 << 20))
for size in (70, 90, 200):
    try:
        s3.put_object(**where("second"), Body=b"y" * (size << 20))
    except ClientError as refused:
        print(refused.response["Error"]["Code"], end=" ")
upload = s3.create_multipart_upload(**where("third"))["UploadId"]
try:
    for number in range(1, 40):
        s3.upload_part(**where("third"), UploadId=upload, PartNumber=number, Body=b"z" * (5 << 20))
except ClientError as refused:
    print(refused.response["Error"]["Code"], number > 2, end=" ")
s3.abort_multipart_upload(**where("third"), UploadId=upload)
s3.put_object(**where("second"), Body=b"y" * (20 << 20))
print(len(s3.get_object(**where("first"))["Body"].read()), s3_client.access(store).status_code)
store.close()
"""


def test_a_full_disk_is_said_and_stops_nothing_else(tmp_path):
    script = 'mount -t tmpfs -o size=90m tmpfs "$1" && export TMPDIR="$1" && shift && exec "$@"'
    command = ["unshare", "--mount", "sh", "-ec", script, "sh", str(tmp_path), sys.executable, "-c", FULL]
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parent)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    full = "InsufficientStorage " * 3 + "InsufficientStorage True "
    assert (done.returncode, done.stdout) == (0, f"{full}{20 << 20} 200\n"), done.stderr
