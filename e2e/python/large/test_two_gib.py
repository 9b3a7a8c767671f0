"""A file larger than any buffer goes through with flat memory. Slow: run it by its folder, `pytest large`."""

import hashlib
import io

SIZE = 2 * 1024 * 1024 * 1024
CHUNK = bytes(range(256)) * 4096


class Source(io.RawIOBase):
    """`SIZE` bytes that are nowhere kept; notes the server's largest memory while they are read."""

    def __init__(self, server):
        self.server, self.left, self.digest, self.most = server, SIZE, hashlib.sha256(), 0

    def readable(self):
        return True

    def read(self, size=-1):
        chunk = CHUNK[: min(self.left, len(CHUNK) if size < 0 else size)]
        self.left -= len(chunk)
        self.digest.update(chunk)
        if self.left % (64 * 1024 * 1024) < len(chunk):
            self.most = max(self.most, self.server.memory_kib())
        return chunk


def test_two_gib_go_in_and_come_out_without_growing_the_server(server, make):
    sandbox = make()
    before = server.memory_kib()
    source = Source(server)
    sandbox.fs.upload_file_stream(source, "large")
    assert source.most - before < 16 * 1024
    assert sandbox.process.exec("sha256sum < large").result.split()[0] == source.digest.hexdigest()
    back, most, count = hashlib.sha256(), 0, 0
    for chunk in sandbox.fs.download_file_stream("large"):
        back.update(chunk)
        count += len(chunk)
        if count % (64 * 1024 * 1024) < len(chunk):
            most = max(most, server.memory_kib())
    assert (count, back.hexdigest()) == (SIZE, source.digest.hexdigest())
    assert most - before < 16 * 1024
