"""Every git operation of the SDKs, with a git server inside the sandbox."""

import asyncio
import pathlib
import subprocess
import types

import httpx
import pytest
from daytona import (
    AsyncDaytona,
    DaytonaBadRequestError,
    DaytonaConflictError,
    DaytonaForbiddenError,
    DaytonaGitAuthFailedError,
    DaytonaGitBranchExistsError,
    DaytonaGitBranchNotFoundError,
    DaytonaGitDirtyWorktreeError,
    DaytonaGitMergeConflictError,
    DaytonaGitPushRejectedError,
    DaytonaGitRemoteRejectedError,
    DaytonaGitRepoNotFoundError,
    DaytonaGitTransportFailedError,
)
from waiting import eventually

SERVER = pathlib.Path(__file__).resolve().parents[1] / "git_server.py"
PASSWORD = "pa ss:wörd%"
ALICE = {"username": "alice", "password": PASSWORD}
WHO = {"author": "Ann", "email": "ann@example.org"}
SEED = """
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=s GIT_AUTHOR_EMAIL=s GIT_COMMITTER_NAME=s GIT_COMMITTER_EMAIL=s
mkdir -p served && cd served && git init -q -b main seed && cd seed && seq 9 > file && git add file
git commit -qm first && git branch other && cd ..
git clone -q --bare seed public/a.git && git clone -q --bare seed private/a.git
"""


def sh(sandbox, command):
    ran = sandbox.process.exec(command)
    assert ran.exit_code == 0, f"{command}: {ran.result}"
    return ran.result


def theirs(sandbox, repository, script="git commit -q --allow-empty -m theirs"):
    """Somebody else changes a repository on the server."""
    identity = "-c user.name=t -c user.email=t"
    script = script.replace("git commit", f"git {identity} commit")
    sh(sandbox, f"cd served && rm -rf w && git clone -q {repository} w && cd w && {script} && git push -q")


@pytest.fixture(scope="module")
def box(daytona):
    """A sandbox in which git repositories are served at `box.url` and, with TLS, at `box.tls`."""
    sandbox = daytona.create()
    sh(sandbox, SEED)
    sandbox.fs.upload_file(SERVER.read_bytes(), "git_server.py")
    subject = ["-subj", "/CN=127.0.0.1", "-keyout", "/dev/stdout", "-out", "/dev/stdout"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    pem = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    sandbox.fs.upload_file(pem, "pem")
    sh(sandbox, "nohup python3 git_server.py served > port 2>server.log &")
    sh(sandbox, "nohup python3 git_server.py served pem pem > tls_port 2>server.log &")
    eventually(lambda: sandbox.process.exec("test -s port && test -s tls_port").exit_code == 0, "no git server")
    host = f"127.0.0.1:{sh(sandbox, 'cat port').strip()}"
    tls = f"https://127.0.0.1:{sh(sandbox, 'cat tls_port').strip()}"
    toolbox = f"{sandbox.toolbox_proxy_url}/{sandbox.id}"
    parts = {"git": sandbox.git, "fs": sandbox.fs, "process": sandbox.process, "id": sandbox.id, "toolbox": toolbox}
    yield types.SimpleNamespace(**parts, host=host, url=f"http://{host}", tls=tls)
    sandbox.delete()


def test_a_repository_from_its_beginning(box):
    git = box.git
    git.init("new/repo", initial_branch="trunk")
    status = git.status("new/repo")
    assert (status.current_branch, status.detached, status.file_status) == ("trunk", False, [])
    box.fs.upload_file(b"one\n", "new/repo/a b\n\"c\"")
    names = [(file.name, file.staging.value, file.worktree.value) for file in git.status("new/repo").file_status]
    assert names == [('a b\n"c"', "Untracked", "Untracked")]
    git.add("new/repo", ['a b\n"c"'])
    assert git.status("new/repo").file_status[0].staging.value == "Added"
    git.reset("new/repo")
    assert git.status("new/repo").file_status[0].staging.value == "Untracked"
    git.add("new/repo", ["."])
    sha = git.commit("new/repo", "# first\n\nmore", "Ann", "ann@example.org").sha
    assert sh(box, "git -C new/repo rev-parse HEAD").strip() == sha
    with pytest.raises(DaytonaBadRequestError, match="nothing to commit"):
        git.commit("new/repo", "again", "Ann", "ann@example.org")
    git.commit("new/repo", "again", "Ann", "ann@example.org", allow_empty=True)
    git.init("new/bare", bare=True)
    assert sh(box, "git -C new/bare config core.bare") == "true\n"


def test_history_has_whole_commits(server, box):
    box.git.init("history")
    sha = box.git.commit("history", "a\n\nb\n", "Ann", "ann@example.org", allow_empty=True).sha
    headers = {"Authorization": f"Bearer {server.key}"}
    url = f"{box.toolbox}/git/history"
    (info,) = httpx.get(url, params={"path": "history"}, headers=headers).json()
    assert info.pop("timestamp").startswith("20")
    assert info == {"hash": sha, "author": "Ann", "email": "ann@example.org", "message": "a\n\nb\n"}


def test_branches(box):
    git = box.git
    git.clone(f"{box.url}/public/a.git", "branches")
    git.create_branch("branches", "feature/x")
    listed = git.branches("branches")
    assert (listed.branches, listed.current) == (["feature/x", "main"], "feature/x")
    with pytest.raises(DaytonaGitBranchExistsError):
        git.create_branch("branches", "main")
    git.checkout_branch("branches", "main")
    git.delete_branch("branches", "feature/x")
    with pytest.raises(DaytonaGitBranchNotFoundError):
        git.delete_branch("branches", "feature/x")
    with pytest.raises(DaytonaGitBranchNotFoundError):
        git.checkout_branch("branches", "none")
    for name in ("-f", "a b", "@{-1}"):
        with pytest.raises(DaytonaBadRequestError):
            git.create_branch("branches", name)
    # A branch of the remote's becomes one here.
    git.checkout_branch("branches", "other")
    status = git.status("branches")
    assert (status.current_branch, status.upstream, status.branch_published) == ("other", "origin/other", True)


def test_reset_and_restore(box):
    git = box.git
    git.clone(f"{box.url}/public/a.git", "undo")
    box.fs.upload_file(b"mine\n", "undo/file")
    git.add("undo", ["file"])
    git.restore("undo", ["file"], staged=True)
    assert [file.worktree.value for file in git.status("undo").file_status] == ["Modified"]
    git.restore("undo", ["file"])
    assert git.status("undo").file_status == []
    git.commit("undo", "second", **WHO, allow_empty=True)
    git.reset("undo", mode="hard", target="HEAD~1")
    assert (git.status("undo").ahead, git.status("undo").behind) == (0, 0)
    for mode in ("soft", "mixed", "merge", "keep"):
        git.reset("undo", mode=mode)
    with pytest.raises(DaytonaBadRequestError):
        git.reset("undo", mode="odd")
    with pytest.raises(DaytonaGitBranchNotFoundError):
        git.reset("undo", target="none")


def test_remotes(box):
    git = box.git
    git.init("remotes")
    git.remote_add("remotes", "origin", f"{box.url}/public/a.git", fetch=True)
    with pytest.raises(DaytonaConflictError):
        git.remote_add("remotes", "origin", "/elsewhere")
    git.remote_add("remotes", "up", "/elsewhere")
    git.remote_add("remotes", "up", "/somewhere", overwrite=True)
    assert {remote.name: remote.url for remote in git.remotes("remotes").remotes} == {
        "origin": f"{box.url}/public/a.git",
        "up": "/somewhere",
    }
    assert (git.remote_get("remotes", "up"), git.remote_get("remotes", "none")) == ("/somewhere", None)
    git.pull("remotes", branch="main")
    assert box.fs.download_file("remotes/file").startswith(b"1\n")


def test_settings(box):
    git = box.git
    assert git.get_config("pitlane.none") is None
    git.set_config("pitlane.some", "a = \"b\"\n")
    assert git.get_config("pitlane.some") == "a = \"b\"\n"
    git.init("settings")
    git.configure_user("Bob", "bob@example.org", scope="local", path="settings")
    assert git.get_config("user.email", scope="local", path="settings") == "bob@example.org"
    with pytest.raises(DaytonaBadRequestError):
        git.set_config("user.name", "x", scope="odd")
    with pytest.raises(DaytonaGitRepoNotFoundError):
        git.get_config("user.name", scope="local", path="nowhere")


def test_clones(box):
    git = box.git
    git.clone(f"{box.url}/public/a.git", "other", branch="other", depth=1)
    assert git.status("other").current_branch == "other"
    sha = sh(box, "git -C other rev-parse HEAD").strip()
    git.clone(f"{box.url}/public/a.git", "commit", commit_id=sha)
    assert git.status("commit").detached
    with pytest.raises(DaytonaGitTransportFailedError):
        git.clone(f"{box.tls}/public/a.git", "tls")
    git.clone(f"{box.tls}/private/a.git", "tls", insecure_skip_tls=True, **ALICE)
    with pytest.raises(DaytonaConflictError):
        git.clone(f"{box.url}/public/a.git", "tls")
    url = f"{box.url}/private/a.git"
    for error, arguments in [
        (DaytonaGitAuthFailedError, {"url": url}),
        (DaytonaGitAuthFailedError, {"url": url, "username": "alice", "password": "wrong"}),
        (DaytonaForbiddenError, {"url": url, "username": "bob", "password": PASSWORD}),
        (DaytonaGitRepoNotFoundError, {"url": f"{box.url}/public/none.git"}),
        (DaytonaGitBranchNotFoundError, {"url": f"{box.url}/public/a.git", "branch": "none"}),
        (DaytonaGitTransportFailedError, {"url": "http://127.0.0.1:1/a.git"}),
        (DaytonaBadRequestError, {"url": "ext::touch proof"}),
    ]:
        with pytest.raises(error):
            git.clone(path="failed", **arguments)
    assert box.process.exec("test -e failed || test -e proof").exit_code == 1


def test_pull_and_push(box):
    git = box.git
    git.clone(f"{box.url}/private/a.git", "work", **ALICE)
    git.configure_user("Ann", "ann@example.org")
    git.commit("work", "mine", **WHO, allow_empty=True)
    assert git.status("work").ahead == 1
    with pytest.raises(DaytonaGitAuthFailedError):
        git.push("work")
    git.push("work", **ALICE)
    git.create_branch("work", "feature")
    git.push("work", branch="feature", set_upstream=True, **ALICE)
    assert git.status("work").upstream == "origin/feature"
    git.checkout_branch("work", "main")
    theirs(box, "private/a.git", "echo theirs > file && git commit -qam theirs")
    git.commit("work", "mine", **WHO, allow_empty=True)
    with pytest.raises(DaytonaGitPushRejectedError):
        git.push("work", **ALICE)
    box.fs.upload_file(b"mine\n", "work/file")
    with pytest.raises(DaytonaGitDirtyWorktreeError):
        git.pull("work", **ALICE)
    git.add("work", ["file"])
    git.commit("work", "mine", **WHO)
    with pytest.raises(DaytonaGitMergeConflictError):
        git.pull("work", **ALICE)
    (file,) = git.status("work").file_status
    assert (file.name, file.staging.value, file.worktree.value) == ("file",) + ("Updated but unmerged",) * 2
    box.fs.upload_file(b"both\n", "work/file")
    git.add("work", ["file"])
    git.commit("work", "merged", **WHO)
    git.push("work", **ALICE)
    hook = "served/private/a.git/hooks/pre-receive"
    sh(box, f"printf '#!/bin/sh\\nexit 1\\n' > {hook}; chmod +x {hook}")
    git.commit("work", "mine", **WHO, allow_empty=True)
    with pytest.raises(DaytonaGitRemoteRejectedError):
        git.push("work", **ALICE)
    sh(box, f"rm {hook}")
    with pytest.raises(DaytonaGitBranchNotFoundError):
        git.pull("work", branch="none", **ALICE)
    with pytest.raises(DaytonaGitRepoNotFoundError):
        git.pull("nowhere")


def test_passwords_are_nowhere_to_be_found(box):
    sh(box, "(while [ ! -e stop ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; done > snooped 2>/dev/null) &")
    spy = "#!/bin/sh\\n(env; cat <&3; cat /proc/*/fd/3) >> ~/spied 2>&1\\nexit 0\\n"
    template = f"mkdir -p t/hooks && printf '{spy}' > t/hooks/HOOK"
    for hook in ("post-checkout", "reference-transaction", "pre-push"):
        sh(box, template.replace("HOOK", hook) + f" && chmod +x t/hooks/{hook}")
    sh(box, "git config --global init.templateDir $PWD/t")
    box.git.clone(f"{box.url}/private/a.git", "secret", **ALICE)
    box.git.commit("secret", "mine", **WHO, allow_empty=True)
    box.git.push("secret", **ALICE)
    sh(box, "touch stop; test -s ~/spied; git config --global --unset init.templateDir")
    found = sh(box, f"grep -rlaF -e '{PASSWORD}' -e 'pa%20ss' ~ . --exclude-dir=served --exclude=git_server.py || true")
    assert found == ""


def test_credentials_that_are_to_stay(box):
    box.git.dangerously_authenticate("alice", PASSWORD, host=box.host, protocol="http")
    box.git.clone(f"{box.url}/private/a.git", "kept")
    assert sh(box, "stat -c %a ~/.git-credentials; git config --global credential.helper") == "600\nstore\n"
    sh(box, "rm ~/.git-credentials")


def test_a_client_that_leaves_ends_its_clone(server, box):
    body = {"url": f"{box.url}/slow/a.git", "path": "gone"}
    headers = {"Authorization": f"Bearer {server.key}"}
    sh(box, "rm -f served/asked")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{box.toolbox}/git/clone", json=body, headers=headers, timeout=2)
    eventually(lambda: box.process.exec("pgrep -f slow/a.git | grep -v $$").exit_code == 1, "git still runs")
    sh(box, "test -e served/asked")
    assert box.process.exec("test -e gone").exit_code == 1


async def test_the_asynchronous_client_does_the_same(box):
    async with AsyncDaytona() as daytona:
        git = (await daytona.get(box.id)).git
        await git.clone(f"{box.url}/private/a.git", "async", **ALICE)
        await git.create_branch("async", "side")
        await git.add("async", ["."])
        commit = await git.commit("async", "mine", **WHO, allow_empty=True)
        assert len(commit.sha) == 40
        await git.push("async", set_upstream=True, **ALICE)
        await git.pull("async", **ALICE)
        status, listed = await asyncio.gather(git.status("async"), git.branches("async"))
        assert (status.current_branch, status.ahead, listed.branches) == ("side", 0, ["main", "side"])
        with pytest.raises(DaytonaGitAuthFailedError):
            await git.push("async")
