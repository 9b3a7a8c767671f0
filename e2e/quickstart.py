"""A program written for the official `daytona` package, as anyone would write it. It knows nothing of Pitlane.

    export DAYTONA_API_URL=… DAYTONA_API_KEY=…
    python quickstart.py
"""

import time

from daytona import Daytona

steps = []


def timed(name, action):
    began = time.perf_counter()
    result = action()
    steps.append((name, time.perf_counter() - began))
    return result


daytona = Daytona()
sandbox = timed("create", daytona.create)
try:
    code = "import sys, platform\nprint('hello from Python', platform.python_version())\nprint(sum(range(10)))"
    ran = timed("code_run", lambda: sandbox.process.code_run(code))
    print(ran.result.rstrip())
    assert ran.exit_code == 0, ran

    done = timed("exec", lambda: sandbox.process.exec("id -un && uname -sr && exit 3"))
    print(done.result.rstrip())
    assert done.exit_code == 3, done

    content = b"one\ntwo\n" * 1000
    timed("upload", lambda: sandbox.fs.upload_file(content, "data.txt"))
    lines = sandbox.process.exec("wc -l < data.txt").result.strip()
    print(f"{lines} lines uploaded")
    assert lines == "2000", lines

    back = timed("download", lambda: sandbox.fs.download_file("data.txt"))
    print(f"{len(back)} bytes downloaded")
    assert back == content
finally:
    timed("delete", sandbox.delete)

print()
for name, seconds in steps:
    print(f"{name:<10}{seconds * 1000:8.1f} ms")
