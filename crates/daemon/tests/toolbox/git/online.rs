//! What talks to a server: clone, pull, push, and passwords.

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::server::{PASSWORD, Server};
use super::{code, commit, daemon, done, sh, status};
use crate::daemon::{Daemon, until};

/// A body with alice's password.
fn with_password(mut body: Value) -> Value {
    body["username"] = json!("alice");
    body["password"] = json!(PASSWORD);
    body
}

/// Everything below a folder that has the password in it.
async fn files_with_password(daemon: &Daemon) -> String {
    // As it is, as an address has it, and as it is sent.
    let sent = "YWxpY2U6cGEgc3M6d8O2cmQl";
    let command =
        format!("grep -rlaF -e '{PASSWORD}' -e 'pa%20ss' -e '{sent}' . \"$HOME\" || true");
    sh(daemon, &command).await
}

#[tokio::test]
async fn a_private_repository_is_cloned_changed_and_pushed_with_a_password_that_stays_nowhere() {
    let (daemon, server) = (daemon().await, Server::start());
    // Somebody looks at what processes show of themselves, all the time.
    sh(
        &daemon,
        "(while [ ! -e stop ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; done >> snooped 2>/dev/null) &",
    )
    .await;
    done(
        &daemon,
        "clone",
        &with_password(json!({"url": server.url("private/a.git"), "path": "repo"})),
    )
    .await;
    let cloned = status(&daemon, "repo").await;
    let wanted = json!({
        "currentBranch": "main", "detached": false, "ahead": 0, "behind": 0, "upstream": "origin/main",
        "branchPublished": true, "fileStatus": [],
    });
    assert_eq!(cloned, wanted);
    commit(&daemon, "repo", "mine").await;
    assert_eq!(status(&daemon, "repo").await["ahead"], 1);
    let refused = daemon.post("/git/push", &json!({"path": "repo"})).await;
    assert_eq!(code(&refused), (401, "GIT_AUTH_FAILED"), "{}", refused.1);
    done(&daemon, "push", &with_password(json!({"path": "repo"}))).await;
    assert_eq!(status(&daemon, "repo").await["ahead"], 0);
    server.run(
        "git clone -q private/a.git w && cd w && echo x > new && git add . && \
                git -c user.name=t -c user.email=t commit -qm theirs && git push -q",
    );
    done(&daemon, "pull", &with_password(json!({"path": "repo"}))).await;
    assert_eq!(daemon.text("repo/new"), "x\n");
    std::fs::write(daemon.path("stop"), "").expect("a file");
    sh(&daemon, "grep -qa remote-http snooped").await;
    assert_eq!(files_with_password(&daemon).await, "");
    assert!(
        server.seen().lines().all(|line| line == format!("alice:{PASSWORD}")),
        "{}",
        server.seen()
    );
}

#[tokio::test]
async fn a_branch_that_is_new_gets_its_upstream_when_that_is_asked_for() {
    let (daemon, server) = (daemon().await, Server::start());
    done(
        &daemon,
        "clone",
        &with_password(json!({"url": server.url("private/a.git"), "path": "repo"})),
    )
    .await;
    done(&daemon, "branches", &json!({"path": "repo", "name": "new"})).await;
    commit(&daemon, "repo", "on new").await;
    let now = status(&daemon, "repo").await;
    assert_eq!(json!([now["branchPublished"], now["upstream"]]), json!([false, ""]));
    done(&daemon, "push", &with_password(json!({"path": "repo"}))).await;
    commit(&daemon, "repo", "more").await;
    let now = status(&daemon, "repo").await;
    assert_eq!(
        json!([now["branchPublished"], now["upstream"], now["ahead"]]),
        json!([true, "", 1])
    );
    done(
        &daemon,
        "push",
        &with_password(
            json!({"path": "repo", "branch": "new", "remote": "origin", "set_upstream": true}),
        ),
    )
    .await;
    let now = status(&daemon, "repo").await;
    assert_eq!(
        json!([now["branchPublished"], now["upstream"], now["ahead"]]),
        json!([true, "origin/new", 0])
    );
    let none =
        daemon.post("/git/push", &with_password(json!({"path": "repo", "branch": "none"}))).await;
    assert_eq!(code(&none), (404, "GIT_BRANCH_NOT_FOUND"), "{}", none.1);
}

#[tokio::test]
async fn a_clone_has_the_branch_the_commit_and_the_depth_that_were_asked_for() {
    let (daemon, server) = (daemon().await, Server::start());
    server.run("git clone -q public/a.git w && cd w && git tag v1 && for i in 1 2 3; do git -c user.name=t -c user.email=t \
                commit -q --allow-empty -m $i; done && git push -q && git push -q --tags");
    let url = server.url("public/a.git");
    done(&daemon, "clone", &json!({"url": url, "path": "other", "branch": "other"})).await;
    assert_eq!(status(&daemon, "other").await["currentBranch"], "other");
    done(&daemon, "clone", &json!({"url": url, "path": "tag", "branch": "v1"})).await;
    assert_eq!(status(&daemon, "tag").await["detached"], true);
    done(&daemon, "clone", &json!({"url": url, "path": "shallow", "depth": 1})).await;
    assert_eq!(sh(&daemon, "git -C shallow rev-list --count HEAD").await, "1\n");
    let old = sh(&daemon, "git -C tag rev-parse HEAD").await.trim().to_owned();
    for (path, depth) in [("commit", json!(null)), ("shallow-commit", json!(1))] {
        done(
            &daemon,
            "clone",
            &json!({"url": url, "path": path, "commit_id": old, "depth": depth}),
        )
        .await;
        assert_eq!(sh(&daemon, &format!("git -C {path} rev-parse HEAD")).await.trim(), old);
        assert_eq!(status(&daemon, path).await["detached"], true);
    }
    done(&daemon, "clone", &json!({"url": url, "path": "short", "commit_id": &old[..8]})).await;
    done(
        &daemon,
        "clone",
        &with_password(json!({"url": server.url("private/empty.git"), "path": "empty"})),
    )
    .await;
    assert_eq!(status(&daemon, "empty").await["currentBranch"], "main");
}

#[tokio::test]
async fn a_clone_that_fails_says_why_and_leaves_nothing() {
    let (daemon, server) = (daemon().await, Server::start());
    std::fs::create_dir(daemon.path("empty")).expect("a folder");
    let wrong = json!({"username": "alice", "password": "wrong"});
    let bob = json!({"username": "bob", "password": PASSWORD});
    for (url, more, wanted) in [
        (server.url("private/a.git"), json!({}), (401, "GIT_AUTH_FAILED")),
        (server.url("private/a.git"), wrong, (401, "GIT_AUTH_FAILED")),
        (server.url("private/a.git"), bob, (403, "FORBIDDEN")),
        (server.url("public/none.git"), json!({}), (404, "GIT_REPO_NOT_FOUND")),
        ("/nowhere/at/all".to_owned(), json!({}), (404, "GIT_REPO_NOT_FOUND")),
        (server.url("public/a.git"), json!({"branch": "none"}), (404, "GIT_BRANCH_NOT_FOUND")),
        (
            server.url("public/a.git"),
            json!({"commit_id": "0123456789"}),
            (404, "GIT_BRANCH_NOT_FOUND"),
        ),
        (server.url("public/a.git"), json!({"commit_id": "-x"}), (400, "BAD_REQUEST")),
        (server.url("public/a.git"), json!({"depth": -1}), (400, "BAD_REQUEST")),
        ("http://127.0.0.1:1/a.git".to_owned(), json!({}), (502, "GIT_TRANSPORT_FAILED")),
        ("http://name.invalid/a.git".to_owned(), json!({}), (502, "GIT_TRANSPORT_FAILED")),
    ] {
        for path in ["new", "empty"] {
            let mut body = json!({"url": url, "path": path});
            body.as_object_mut()
                .expect("an object")
                .extend(more.as_object().expect("an object").clone());
            let answer = daemon.post("/git/clone", &body).await;
            assert_eq!(code(&answer), wanted, "{body}: {}", answer.1);
            assert!(
                !answer.1["message"]
                    .as_str()
                    .is_some_and(|text| text.contains(PASSWORD) || text.contains("wrong"))
            );
        }
    }
    assert!(!daemon.path("new").exists());
    assert_eq!(std::fs::read_dir(daemon.path("empty")).expect("a folder").count(), 0);
    std::fs::write(daemon.path("empty/mine"), "").expect("a file");
    // Git would look for the repository first.
    let body = json!({"url": "/nowhere/at/all", "path": "empty"});
    assert_eq!(code(&daemon.post("/git/clone", &body).await), (409, "CONFLICT"));
    let in_the_way = daemon
        .post("/git/clone", &json!({"url": server.url("public/a.git"), "path": "empty"}))
        .await;
    assert_eq!(code(&in_the_way), (409, "CONFLICT"));
    assert!(daemon.path("empty/mine").exists());
}

#[tokio::test]
async fn a_client_that_leaves_during_a_clone_leaves_nothing() {
    let (daemon, server) = (daemon().await, Server::start());
    let body = json!({"url": server.url("slow/a.git"), "path": "repo"});
    let request = Request::post("/git/clone").header("x-pitlane-request", "gone");
    let request = request.body(Full::from(body.to_string())).expect("a request");
    let cancel = async {
        until("the server is asked", || server.path("asked").exists()).await;
        daemon.call("POST", "/pitlane/cancel/gone").await
    };
    let ((gone, _), _) = tokio::join!(daemon.ask(request), cancel);
    assert_eq!(gone, StatusCode::GONE);
    assert!(!daemon.path("repo").exists());
}

#[tokio::test]
async fn a_certificate_of_its_own_is_taken_only_when_that_is_asked_for() {
    let (daemon, server) = (daemon().await, Server::start_with_tls());
    let body = with_password(json!({"url": server.url("private/a.git"), "path": "repo"}));
    let refused = daemon.post("/git/clone", &body).await;
    assert_eq!(code(&refused), (502, "GIT_TRANSPORT_FAILED"), "{}", refused.1);
    assert_eq!(server.seen(), "");
    let mut body = body;
    body["insecure_skip_tls"] = json!(true);
    done(&daemon, "clone", &body).await;
    // For that clone, not for ever.
    assert_eq!(sh(&daemon, "git -C repo config --get http.sslVerify || echo none").await, "none\n");
}

#[tokio::test]
async fn a_push_that_would_lose_commits_and_one_against_the_rules_are_told_apart() {
    let (daemon, server) = (daemon().await, Server::start());
    done(
        &daemon,
        "clone",
        &with_password(json!({"url": server.url("private/a.git"), "path": "repo"})),
    )
    .await;
    server.run("git clone -q private/a.git w && cd w && git -c user.name=t -c user.email=t commit -q --allow-empty -m t && git push -q");
    commit(&daemon, "repo", "mine").await;
    let behind = daemon.post("/git/push", &with_password(json!({"path": "repo"}))).await;
    assert_eq!(code(&behind), (409, "GIT_PUSH_REJECTED"), "{}", behind.1);
    done(&daemon, "config/user", &json!({"name": "a", "email": "a@b"})).await;
    done(&daemon, "pull", &with_password(json!({"path": "repo"}))).await;
    assert_eq!(sh(&daemon, "git -C repo log -1 --format=%P | wc -w").await.trim(), "2");
    server.run("printf '#!/bin/sh\\necho not today >&2\\nexit 1\\n' > private/a.git/hooks/pre-receive && chmod +x private/a.git/hooks/pre-receive");
    let rejected = daemon.post("/git/push", &with_password(json!({"path": "repo"}))).await;
    assert_eq!(code(&rejected), (422, "GIT_REMOTE_REJECTED"), "{}", rejected.1);
    assert!(rejected.1["message"].as_str().is_some_and(|message| message.contains("not today")));
}

#[tokio::test]
async fn a_pull_that_conflicts_leaves_the_conflict_to_be_solved() {
    let (daemon, server) = (daemon().await, Server::start());
    done(&daemon, "clone", &json!({"url": server.url("public/a.git"), "path": "repo"})).await;
    server.run("git clone -q public/a.git w && cd w && echo theirs > file && git -c user.name=t -c user.email=t commit -qam t && git push -q");
    std::fs::write(daemon.path("repo/file"), "mine\n").expect("a file");
    let dirty = daemon.post("/git/pull", &json!({"path": "repo"})).await;
    assert_eq!(code(&dirty), (409, "GIT_DIRTY_WORKTREE"), "{}", dirty.1);
    done(&daemon, "add", &json!({"path": "repo", "files": ["file"]})).await;
    commit(&daemon, "repo", "mine").await;
    done(&daemon, "config/user", &json!({"name": "a", "email": "a@b"})).await;
    let conflict = daemon.post("/git/pull", &json!({"path": "repo"})).await;
    assert_eq!(code(&conflict), (409, "GIT_MERGE_CONFLICT"), "{}", conflict.1);
    let word = "Updated but unmerged";
    let file = json!({"name": "file", "extra": "", "staging": word, "worktree": word});
    assert_eq!(status(&daemon, "repo").await["fileStatus"], json!([file]));
    for (operation, body) in [
        ("commit", json!({"path": "repo", "message": "m", "author": "a", "email": "e"})),
        ("checkout", json!({"path": "repo", "branch": "other"})),
        ("pull", json!({"path": "repo"})),
    ] {
        let refused = daemon.post(&format!("/git/{operation}"), &body).await;
        assert_eq!(code(&refused), (409, "GIT_MERGE_CONFLICT"), "{operation}: {}", refused.1);
    }
    std::fs::write(daemon.path("repo/file"), "both\n").expect("a file");
    done(&daemon, "add", &json!({"path": "repo", "files": ["file"]})).await;
    commit(&daemon, "repo", "merged").await;
    let none = daemon.post("/git/pull", &json!({"path": "repo", "branch": "none"})).await;
    assert_eq!(code(&none), (404, "GIT_BRANCH_NOT_FOUND"), "{}", none.1);
    let none = daemon.post("/git/pull", &json!({"path": "repo", "remote": "none"})).await;
    assert_eq!(code(&none), (404, "GIT_REPO_NOT_FOUND"), "{}", none.1);
}

#[tokio::test]
async fn hooks_and_helpers_see_no_password() {
    let (daemon, server) = (daemon().await, Server::start());
    // A hook of every kind that looks wherever a password could be.
    sh(&daemon, "mkdir -p template/hooks && printf '#!/bin/sh\\n{ echo \"ran $0\"; env; ls -l /proc/self/fd /proc/$PPID/fd; \
                 cat /proc/$PPID/environ /proc/$PPID/cmdline; cat /proc/self/fd/3 <&-; cat <&3; } >> \"$HOME/spied\" 2>/dev/null\\n\
                 printf \"protocol=http\\\\nhost=%s\\\\n\\\\n\" | GIT_ASKPASS= git credential fill >> \"$HOME/spied\" 2>&1\\n\
                 exit 0\\n' SERVER > template/hooks/spy && chmod +x template/hooks/spy").await;
    sh(&daemon, &format!("sed -i 's/SERVER/{}/' template/hooks/spy", server.host())).await;
    sh(&daemon, "cd template/hooks && for h in post-checkout reference-transaction post-merge pre-push post-index-change; \
                 do cp spy $h; done; git config --global init.templateDir $(cd ..; pwd)").await;
    // Helpers of the user's are neither asked nor told.
    sh(&daemon, "git config --global credential.helper '!cat >> \"$HOME/spied\"; :'").await;
    done(
        &daemon,
        "clone",
        &with_password(json!({"url": server.url("private/a.git"), "path": "repo"})),
    )
    .await;
    commit(&daemon, "repo", "mine").await;
    done(&daemon, "push", &with_password(json!({"path": "repo"}))).await;
    server.run("git clone -q private/a.git w && cd w && git -c user.name=t -c user.email=t commit -q --allow-empty -m t && git push -q");
    done(&daemon, "pull", &with_password(json!({"path": "repo"}))).await;
    let ran =
        sh(&daemon, "grep -ao 'ran .*hooks/.*' \"$HOME/spied\" | sed 's/.*hooks.//' | sort -u")
            .await;
    assert_eq!(
        ran,
        "post-checkout\npost-index-change\npost-merge\npre-push\nreference-transaction\n"
    );
    assert_eq!(files_with_password(&daemon).await, "");
}

#[tokio::test]
async fn programs_that_a_repository_names_see_no_password() {
    let (daemon, server) = (daemon().await, Server::start());
    let clone = with_password(json!({"url": server.url("private/a.git"), "path": "repo"}));
    done(&daemon, "clone", &clone).await;
    sh(&daemon, "printf '#!/bin/sh\\necho ran >> \"$HOME/spied\"; cat /proc/self/fd/3 >> \"$HOME/spied\"\\n' > spy; chmod +x spy; \
                 git init -q --bare other && git -C other fetch -q ../repo && \
                 echo \"$PWD/other/objects\" > repo/.git/objects/info/alternates; \
                 git -C repo config core.alternateRefsCommand \"$PWD/spy\"; git -C repo config gpg.program \"$PWD/spy\"; \
                 git -C repo config push.gpgSign if-asked; git -C repo config core.fsmonitor \"$PWD/spy\"; \
                 git -C repo config core.sshCommand \"$PWD/spy\"; git -C repo config core.askPass \"$PWD/spy\"").await;
    server.run("git clone -q private/a.git w && cd w && git -c user.name=t -c user.email=t commit -q --allow-empty -m t && git push -q");
    done(&daemon, "pull", &with_password(json!({"path": "repo"}))).await;
    commit(&daemon, "repo", "mine").await;
    done(&daemon, "push", &with_password(json!({"path": "repo"}))).await;
    assert_eq!(files_with_password(&daemon).await, "");
}

#[tokio::test]
async fn other_addresses_of_a_remote_run_nothing_that_sees_a_password() {
    let (daemon, server) = (daemon().await, Server::start());
    let clone = with_password(json!({"url": server.url("private/a.git"), "path": "repo"}));
    done(&daemon, "clone", &clone).await;
    sh(&daemon, "printf '#!/bin/sh\\necho ran >> \"$HOME/spied\"; cat /proc/self/fd/3 >> \"$HOME/spied\"\\n' > spy; chmod +x spy; \
                 git init -q --bare mirror && cp spy mirror/hooks/pre-receive && cp spy git-remote-spy; \
                 git -C repo config core.sshCommand \"$PWD/spy\"; git -C repo config core.gitProxy \"$PWD/spy\"; \
                 for kind in ssh git file spy; do git -C repo config protocol.$kind.allow always; done").await;
    let here = daemon.folder().display().to_string();
    let path = json!({"set": {"PATH": format!("{here}:/usr/local/bin:/usr/bin:/bin")}});
    assert_eq!(daemon.post("/env", &path).await.0, StatusCode::OK);
    for second in ["ssh://x/y", "git://127.0.0.1/y", &format!("{here}/mirror"), "spy::x"] {
        commit(&daemon, "repo", "mine").await;
        let first = server.url("private/a.git");
        sh(
            &daemon,
            &format!(
                "git -C repo config --unset-all remote.origin.pushurl; \
                              git -C repo config --add remote.origin.pushurl {first} && \
                              git -C repo config --add remote.origin.pushurl {second}"
            ),
        )
        .await;
        let refused = daemon.post("/git/push", &with_password(json!({"path": "repo"}))).await;
        assert_eq!(code(&refused), (400, "BAD_REQUEST"), "{second}: {}", refused.1);
    }
    assert!(!daemon.path(".home/spied").exists());
    assert_eq!(files_with_password(&daemon).await, "");
}

#[tokio::test]
async fn a_repositorys_settings_do_not_choose_who_hears_a_password() {
    let (daemon, server, other) = (daemon().await, Server::start_with_tls(), Server::start());
    let clone = with_password(
        json!({"url": server.url("private/a.git"), "path": "repo", "insecure_skip_tls": true}),
    );
    done(&daemon, "clone", &clone).await;
    let seen = server.seen();
    let (proxy, url) = (other.url(""), server.url(""));
    for setting in [
        String::from("http.sslVerify=false"),
        format!("http.{url}.sslVerify=false"),
        format!("http.proxy={proxy}"),
        format!("remote.origin.proxy={proxy}"),
        format!("http.sslCAInfo={}", server.path("cert").display()),
        format!("http.curloptResolve=example.org:443:{}", other.host()),
    ] {
        let (key, value) = setting.split_once('=').expect("a setting");
        // Also by a file that the repository's settings include.
        for command in [
            format!("git -C repo config '{key}' '{value}'"),
            format!(
                "git config --file included '{key}' '{value}' && \
                     git -C repo config include.path \"$PWD/included\""
            ),
        ] {
            sh(&daemon, &format!("cp repo/.git/config kept && {command}")).await;
            for operation in ["pull", "push"] {
                let asked = with_password(json!({"path": "repo"}));
                let refused = daemon.post(&format!("/git/{operation}"), &asked).await;
                assert_eq!(code(&refused), (400, "BAD_REQUEST"), "{setting}: {}", refused.1);
                let message = refused.1["message"].as_str().expect("a text").to_lowercase();
                assert!(message.contains(&key.to_lowercase()), "{message}");
            }
            sh(&daemon, "mv kept repo/.git/config; rm -f included").await;
        }
    }
    assert_eq!((server.seen(), other.seen()), (seen, String::new()));
    // The user's own settings count.
    done(&daemon, "config", &json!({"key": "http.sslVerify", "value": "false"})).await;
    done(&daemon, "pull", &with_password(json!({"path": "repo"}))).await;
}

#[tokio::test]
async fn a_password_goes_to_its_server_alone() {
    let (daemon, server, other) = (daemon().await, Server::start(), Server::start());
    let away = server.url(&format!("away/{}/private/a.git", other.host()));
    let led_away =
        daemon.post("/git/clone", &with_password(json!({"url": away, "path": "repo"}))).await;
    assert_eq!(code(&led_away), (401, "GIT_AUTH_FAILED"), "{}", led_away.1);
    assert_eq!(other.seen(), "");
    // A setting of the user's that leads elsewhere is obeyed, but not with a password for the address that was named.
    let key = format!("url.{}.insteadOf", other.url(""));
    done(&daemon, "config", &json!({"key": key, "value": server.url("")})).await;
    let named = json!({"url": server.url("private/a.git"), "path": "repo"});
    let led_away = daemon.post("/git/clone", &with_password(named)).await;
    assert_eq!(code(&led_away), (400, "BAD_REQUEST"), "{}", led_away.1);
    let message = led_away.1["message"].as_str().expect("a text");
    assert!(message.contains(&other.host()) && !daemon.path("repo").exists(), "{message}");
    assert_eq!(server.seen() + &other.seen(), "");
    let free = json!({"url": server.url("public/a.git"), "path": "free"});
    done(&daemon, "clone", &free).await;
    // A name of the user's own for a server is that server.
    let value = json!({"key": key, "value": "short:"});
    done(&daemon, "config", &value).await;
    let named = json!({"url": "short:private/a.git", "path": "repo"});
    done(&daemon, "clone", &with_password(named)).await;
    assert_eq!(server.seen(), "");
    for (field, value) in [("username", "a\nhost=x"), ("password", "a\0"), ("password", "x\r")] {
        let mut body = with_password(json!({"url": server.url("private/a.git"), "path": "x"}));
        body[field] = json!(value);
        assert_eq!(code(&daemon.post("/git/clone", &body).await), (400, "BAD_REQUEST"));
    }
}

#[tokio::test]
async fn a_pre_push_hook_learns_what_is_pushed_and_may_refuse() {
    let (daemon, server) = (daemon().await, Server::start());
    done(
        &daemon,
        "clone",
        &with_password(json!({"url": server.url("private/a.git"), "path": "repo"})),
    )
    .await;
    let old = sh(&daemon, "git -C repo rev-parse HEAD").await.trim().to_owned();
    let new = commit(&daemon, "repo", "mine").await;
    sh(&daemon, "cd repo/.git/hooks && printf 'echo \"$@\" > ../told; cat >> ../told\\n test -e ../yes' > pre-push && chmod +x pre-push").await;
    let refused = daemon.post("/git/push", &with_password(json!({"path": "repo"}))).await;
    assert_eq!(code(&refused), (400, "BAD_REQUEST"), "{}", refused.1);
    let told = format!(
        "origin {}\nrefs/heads/main {new} refs/heads/main {old}\n",
        server.url("private/a.git")
    );
    assert_eq!(daemon.text("told"), told);
    std::fs::write(daemon.path("yes"), "").expect("a file");
    done(&daemon, "push", &with_password(json!({"path": "repo"}))).await;
}

#[tokio::test]
async fn credentials_that_are_to_stay_stay_for_their_user_alone() {
    let (daemon, server) = (daemon().await, Server::start());
    let body = json!({"username": "alice", "password": PASSWORD, "host": server.host(), "protocol": "http"});
    for _ in 0..2 {
        done(&daemon, "credentials", &body).await;
    }
    assert_eq!(
        sh(
            &daemon,
            "stat -c %a ~/.git-credentials; git config --global --get-all credential.helper"
        )
        .await,
        "600\nstore\n"
    );
    done(&daemon, "clone", &json!({"url": server.url("private/a.git"), "path": "repo"})).await;
    done(&daemon, "credentials", &json!({"username": "u", "password": "p"})).await;
    assert_eq!(sh(&daemon, "grep -c '^https://u:p@github.com$' ~/.git-credentials").await, "1\n");
    for (field, value) in
        [("host", "a/b"), ("host", "a\nb"), ("protocol", "a b"), ("username", ""), ("password", "")]
    {
        let mut wrong = body.clone();
        wrong[field] = json!(value);
        assert_eq!(
            code(&daemon.post("/git/credentials", &wrong).await),
            (400, "BAD_REQUEST"),
            "{field}"
        );
    }
}
