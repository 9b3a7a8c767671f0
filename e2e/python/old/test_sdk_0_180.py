"""An SDK of half a year ago still works."""

import importlib.metadata

import pytest
from daytona import CodeRunParams, CreateSandboxFromSnapshotParams, DaytonaNotFoundError


def test_the_whole_way_works_with_an_old_sdk(server, daytona, make):
    assert importlib.metadata.version("daytona") == "0.180.0"
    sandbox = make(CreateSandboxFromSnapshotParams(labels={"old": "yes"}, env_vars={"A": "1"}))
    assert sandbox.state == "started"
    ran = sandbox.process.code_run("import os, sys; print(os.environ['A'], sys.argv[1:])", CodeRunParams(argv=["x"]))
    assert (ran.exit_code, ran.result) == (0, "1 ['x']\n")
    ran = sandbox.process.exec("echo out; exit 5")
    assert (ran.exit_code, ran.result) == (5, "out\n")
    sandbox.fs.create_folder("folder", "755")
    sandbox.fs.upload_file(b"content", "folder/file")
    assert sandbox.fs.download_file("folder/file") == b"content"
    assert [info.name for info in sandbox.fs.list_files("folder")] == ["file"]
    sandbox.fs.delete_file("folder/file")
    assert sandbox.get_work_dir()
    assert daytona.get(sandbox.id).id == sandbox.id
    assert sandbox.id in [listed.id for listed in daytona.list()]
    sandbox.stop()
    assert sandbox.state == "stopped"
    sandbox.start()
    assert sandbox.process.exec("ls folder").result == ""
    sandbox.delete()


def test_an_unknown_sandbox_is_not_found(daytona):
    with pytest.raises(DaytonaNotFoundError):
        daytona.get("nowhere")
