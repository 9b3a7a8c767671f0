//! What needs no server.

use http::StatusCode;
use serde_json::{Value, json};

use super::{code, commit, daemon, daemon_with, delete, done, repository, sh, status};
use crate::daemon::{is_running, until};

fn file(name: &str, staging: &str, worktree: &str) -> Value {
    json!({"name": name, "extra": "", "staging": staging, "worktree": worktree})
}

#[tokio::test]
async fn a_repository_without_commits_has_a_branch_and_files() {
    let daemon = daemon().await;
    done(&daemon, "init", &json!({"path": "a/b", "initial_branch": "trunk"})).await;
    std::fs::write(daemon.path("a/b/new"), "").expect("a file");
    let wanted = json!({
        "currentBranch": "trunk", "detached": false, "ahead": 0, "behind": 0, "upstream": "",
        "branchPublished": false, "fileStatus": [file("new", "Untracked", "Untracked")],
    });
    assert_eq!(status(&daemon, "a/b").await, wanted);
    assert_eq!(
        daemon.call("GET", "/git/branches?path=a/b").await.1,
        json!({"branches": [], "current": "trunk"})
    );
    assert_eq!(daemon.call("GET", "/git/history?path=a/b").await.1, json!([]));
    done(&daemon, "init", &json!({"path": "bare", "bare": true})).await;
    assert_eq!(sh(&daemon, "git -C bare config core.bare").await, "true\n");
}

#[tokio::test]
async fn every_change_of_a_file_has_its_word_and_names_may_be_anything() {
    let daemon = daemon().await;
    repository(&daemon).await;
    sh(&daemon, "cd repo && for f in gone moved kept; do seq 20 > $f; echo $f >> $f; done && git add . && \
                 git -c user.name=a -c user.email=a commit -qm more && rm gone && git mv moved elsewhere && \
                 echo x >> kept && echo new > staged && git add staged && echo y >> staged").await;
    let odd = ["new\nline", "quo\"te", "ünï 🦀", " blank ", ":(top)x", "-dash", "*"];
    for name in odd {
        std::fs::write(daemon.path("repo").join(name), "").expect("a file");
    }
    let answer = status(&daemon, "repo").await;
    let mut files = answer["fileStatus"].as_array().expect("a list").clone();
    files.sort_by_key(|file| file["name"].as_str().map(str::to_owned));
    let mut wanted = vec![
        json!({"name": "elsewhere", "extra": "moved", "staging": "Renamed", "worktree": "Unmodified"}),
        file("gone", "Unmodified", "Deleted"),
        file("kept", "Unmodified", "Modified"),
        file("staged", "Added", "Modified"),
    ];
    wanted.extend(odd.map(|name| file(name, "Untracked", "Untracked")));
    wanted.sort_by_key(|file| file["name"].as_str().map(str::to_owned));
    assert_eq!(files, wanted);
    // Each means itself: a star is no pattern, a colon no magic, a dash no option.
    done(&daemon, "add", &json!({"path": "repo", "files": ["*", ":(top)x", "-dash"]})).await;
    let staged =
        sh(&daemon, "git -C repo diff --cached --name-only -z --diff-filter=A | tr '\\0' '\\n'")
            .await;
    assert_eq!(staged, "*\n-dash\n:(top)x\nstaged\n");
    done(&daemon, "add", &json!({"path": "repo", "files": odd})).await;
    done(&daemon, "restore", &json!({"path": "repo", "files": ["*"], "staged": true})).await;
    let staged =
        sh(&daemon, "git -C repo diff --cached --name-only -z --diff-filter=A | tr '\\0' ';'")
            .await;
    assert_eq!(staged, " blank ;-dash;:(top)x;new\nline;quo\"te;staged;ünï 🦀;");
}

#[tokio::test]
async fn a_commit_is_as_it_was_asked_for() {
    let daemon = daemon().await;
    repository(&daemon).await;
    let message = "# no comment\n\n'\"$(x)` \u{1f980}\n--amend\n\n\nend  ";
    let body = json!({"path": "repo", "message": message, "author": "Zoë \"Z\" Y", "email": "z@x", "allow_empty": true});
    let hash = done(&daemon, "commit", &body).await["hash"].clone();
    let (_, history) = daemon.call("GET", "/git/history?path=repo").await;
    assert_eq!(history.as_array().map(Vec::len), Some(2));
    let newest = &history[0];
    assert_eq!(
        json!([newest["hash"], newest["message"], newest["author"], newest["email"]]),
        json!([hash, message, "Zoë \"Z\" Y", "z@x"])
    );
    assert!(
        newest["timestamp"]
            .as_str()
            .is_some_and(|time| time.starts_with("20") && time.contains('T'))
    );
    assert_eq!(sh(&daemon, "git -C repo log -1 --format=%cn:%ce").await, "Zoë \"Z\" Y:z@x\n");
    let nothing = json!({"path": "repo", "message": "m", "author": "a", "email": "e"});
    let refused = daemon.post("/git/commit", &nothing).await;
    assert_eq!(code(&refused), (400, "BAD_REQUEST"));
    assert!(
        refused.1["message"].as_str().is_some_and(|message| message.contains("nothing to commit"))
    );
    for field in ["message", "author", "email"] {
        for value in ["", " \n", "a\0b"] {
            let mut body = nothing.clone();
            body[field] = json!(value);
            assert_eq!(code(&daemon.post("/git/commit", &body).await), (400, "BAD_REQUEST"));
        }
    }
}

#[tokio::test]
async fn branches_are_made_checked_out_and_deleted() {
    let daemon = daemon().await;
    repository(&daemon).await;
    let branch = |name: &str| json!({"path": "repo", "name": name});
    assert_eq!(daemon.post("/git/branches", &branch("feature/x")).await.0, StatusCode::CREATED);
    let (_, listed) = daemon.call("GET", "/git/branches?path=repo").await;
    assert_eq!(listed, json!({"branches": ["feature/x", "main"], "current": "feature/x"}));
    assert_eq!(
        code(&daemon.post("/git/branches", &branch("main")).await),
        (409, "GIT_BRANCH_EXISTS")
    );
    let own = delete(&daemon, "/git/branches", &branch("feature/x")).await;
    assert_eq!(code(&own), (400, "BAD_REQUEST"), "{}", own.1);
    let hash = commit(&daemon, "repo", "unmerged").await;
    done(&daemon, "checkout", &json!({"path": "repo", "branch": "main"})).await;
    assert_eq!(
        delete(&daemon, "/git/branches", &branch("feature/x")).await.0,
        StatusCode::NO_CONTENT
    );
    let gone = delete(&daemon, "/git/branches", &branch("feature/x")).await;
    assert_eq!(code(&gone), (404, "GIT_BRANCH_NOT_FOUND"), "{}", gone.1);
    done(&daemon, "checkout", &json!({"path": "repo", "branch": hash})).await;
    let now = status(&daemon, "repo").await;
    assert_eq!((&now["detached"], &now["currentBranch"]), (&json!(true), &json!("HEAD")));
    assert_eq!(daemon.call("GET", "/git/branches?path=repo").await.1["current"], "");
    let none = daemon.post("/git/checkout", &json!({"path": "repo", "branch": "none"})).await;
    assert_eq!(code(&none), (404, "GIT_BRANCH_NOT_FOUND"));
}

#[tokio::test]
async fn nothing_a_caller_sends_becomes_an_option() {
    let daemon = daemon().await;
    repository(&daemon).await;
    for name in ["-f", "--orphan=x", "a b", "a..b", "@{-1}", "@", "HEAD", "x\ny", "", "^main"] {
        let made = daemon.post("/git/branches", &json!({"path": "repo", "name": name})).await;
        assert_eq!(code(&made), (400, "BAD_REQUEST"), "{name}: {}", made.1);
    }
    for word in ["-b", "--quiet", "--upload-pack=touch proof"] {
        let remote = json!({"path": "repo", "name": "origin", "url": word});
        assert_eq!(code(&daemon.post("/git/remotes", &remote).await), (400, "BAD_REQUEST"));
        let cloned = daemon.post("/git/clone", &json!({"url": word, "path": "x"})).await;
        assert_eq!(code(&cloned), (400, "BAD_REQUEST"));
        for (operation, field) in
            [("checkout", "branch"), ("reset", "target"), ("pull", "remote"), ("push", "remote")]
        {
            let mut body = json!({"path": "repo"});
            body[field] = json!(word);
            let answer = daemon.post(&format!("/git/{operation}"), &body).await;
            assert_eq!(code(&answer), (400, "BAD_REQUEST"), "{operation}");
        }
    }
    for url in ["ext::sh -c 'touch proof'", "fd::3", "ext::sh% -c% touch% proof"] {
        let cloned = daemon.post("/git/clone", &json!({"url": url, "path": "x"})).await;
        assert_eq!(code(&cloned), (400, "BAD_REQUEST"), "{}", cloned.1);
    }
    for key in ["user", "-x", "--list", "user.", ".name", "a.b\nc.d", "1a.b", "alias.x y"] {
        let set = daemon.post("/git/config", &json!({"key": key, "value": "x"})).await;
        assert_eq!(code(&set), (400, "BAD_REQUEST"), "{key}");
    }
    assert!(!daemon.path("proof").exists() && !daemon.path("repo/proof").exists());
    assert!(!daemon.path("x").exists());
}

#[tokio::test]
async fn a_dirty_worktree_is_not_overwritten() {
    let daemon = daemon().await;
    repository(&daemon).await;
    sh(&daemon, "cd repo && git checkout -qb other && echo two > file && \
                 git -c user.name=a -c user.email=a commit -qam two && git checkout -q main && echo mine > file").await;
    let refused = daemon.post("/git/checkout", &json!({"path": "repo", "branch": "other"})).await;
    assert_eq!(code(&refused), (409, "GIT_DIRTY_WORKTREE"), "{}", refused.1);
    assert_eq!(daemon.text("repo/file"), "mine\n");
    let lock = daemon.path("repo/.git/index.lock");
    std::fs::write(&lock, "").expect("a file");
    let busy = daemon.post("/git/add", &json!({"path": "repo", "files": ["."]})).await;
    assert_eq!(code(&busy), (409, "CONFLICT"), "{}", busy.1);
    // Looking takes no lock.
    assert_eq!(
        status(&daemon, "repo").await["fileStatus"],
        json!([file("file", "Unmodified", "Modified")])
    );
}

#[tokio::test]
async fn a_reset_takes_back_what_its_mode_says() {
    let daemon = daemon().await;
    repository(&daemon).await;
    let first = sh(&daemon, "git -C repo rev-parse HEAD").await;
    let staged = |answer: &Value| answer["fileStatus"].clone();
    for (mode, wanted) in [
        (json!("soft"), json!([file("file", "Modified", "Unmodified")])),
        (json!("mixed"), json!([file("file", "Unmodified", "Modified")])),
        (json!(null), json!([file("file", "Unmodified", "Modified")])),
        (json!("hard"), json!([])),
        (json!("merge"), json!([])),
        (json!("keep"), json!([])),
    ] {
        std::fs::write(daemon.path("repo/file"), "two\n").expect("a file");
        done(&daemon, "add", &json!({"path": "repo", "files": ["file"]})).await;
        commit(&daemon, "repo", "second").await;
        done(&daemon, "reset", &json!({"path": "repo", "mode": mode, "target": "HEAD~1"})).await;
        assert_eq!(staged(&status(&daemon, "repo").await), wanted, "{mode}");
        assert_eq!(sh(&daemon, "git -C repo rev-parse HEAD").await, first, "{mode}");
        done(&daemon, "reset", &json!({"path": "repo", "mode": "hard"})).await;
    }
    std::fs::write(daemon.path("repo/file"), "two\n").expect("a file");
    std::fs::write(daemon.path("repo/other"), "").expect("a file");
    done(&daemon, "add", &json!({"path": "repo", "files": ["."]})).await;
    done(&daemon, "reset", &json!({"path": "repo", "files": ["other"]})).await;
    let wanted =
        json!([file("file", "Modified", "Unmodified"), file("other", "Untracked", "Untracked")]);
    assert_eq!(staged(&status(&daemon, "repo").await), wanted);
    for body in [
        json!({"path": "repo", "mode": "odd"}),
        json!({"path": "repo", "mode": "hard", "files": ["file"]}),
    ] {
        assert_eq!(code(&daemon.post("/git/reset", &body).await), (400, "BAD_REQUEST"));
    }
    let none = daemon.post("/git/reset", &json!({"path": "repo", "target": "none"})).await;
    assert_eq!(code(&none), (404, "GIT_BRANCH_NOT_FOUND"));
}

#[tokio::test]
async fn files_are_restored_in_the_tree_the_index_or_both() {
    let daemon = daemon().await;
    repository(&daemon).await;
    std::fs::write(daemon.path("repo/file"), "two\n").expect("a file");
    done(&daemon, "add", &json!({"path": "repo", "files": ["file"]})).await;
    commit(&daemon, "repo", "second").await;
    std::fs::write(daemon.path("repo/file"), "three\n").expect("a file");
    done(&daemon, "add", &json!({"path": "repo", "files": ["file"]})).await;
    done(&daemon, "restore", &json!({"path": "repo", "files": ["file"], "staged": true})).await;
    assert_eq!(
        status(&daemon, "repo").await["fileStatus"],
        json!([file("file", "Unmodified", "Modified")])
    );
    done(&daemon, "restore", &json!({"path": "repo", "files": ["file"]})).await;
    assert_eq!(daemon.text("repo/file"), "two\n");
    let body = json!({"path": "repo", "files": ["file"], "source": "HEAD~1", "staged": true, "worktree": true});
    done(&daemon, "restore", &body).await;
    assert_eq!(daemon.text("repo/file"), "one\n");
    assert_eq!(
        status(&daemon, "repo").await["fileStatus"],
        json!([file("file", "Modified", "Unmodified")])
    );
    let none = daemon.post("/git/restore", &json!({"path": "repo", "files": []})).await;
    assert_eq!(code(&none), (400, "BAD_REQUEST"));
    let unknown = daemon.post("/git/restore", &json!({"path": "repo", "files": ["none"]})).await;
    assert_eq!(
        unknown.1["message"],
        "error: pathspec 'none' did not match any file(s) known to git"
    );
}

#[tokio::test]
async fn settings_have_scopes() {
    let daemon = daemon().await;
    repository(&daemon).await;
    let value = async |query: &str| {
        let (status, answer) = daemon.call("GET", &format!("/git/config?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["value"].clone()
    };
    assert_eq!(value("key=user.name").await, Value::Null);
    let odd = "-x\n\"y\" = #z ";
    done(&daemon, "config", &json!({"key": "user.name", "value": odd})).await;
    assert_eq!(value("key=user.name&scope=global").await, odd);
    assert_eq!(value("key=user.name&scope=local&path=repo").await, Value::Null);
    let body = json!({"name": "N", "email": "n@x", "scope": "local", "path": "repo"});
    done(&daemon, "config/user", &body).await;
    assert_eq!(value("key=user.email&scope=local&path=repo").await, "n@x");
    assert_eq!(value("key=user.name").await, odd);
    for (query, wanted) in [
        ("key=user.name&scope=local", (400, "BAD_REQUEST")),
        ("key=user.name&scope=odd", (400, "BAD_REQUEST")),
        ("key=user.name&scope=local&path=/nowhere", (404, "GIT_REPO_NOT_FOUND")),
        ("key=user.name&scope=local&path=/tmp", (404, "GIT_REPO_NOT_FOUND")),
        ("key=", (400, "BAD_REQUEST")),
    ] {
        let answer = daemon.call("GET", &format!("/git/config?{query}")).await;
        assert_eq!(code(&answer), wanted, "{query}: {}", answer.1);
    }
}

#[tokio::test]
async fn remotes_are_added_and_replaced() {
    let daemon = daemon().await;
    repository(&daemon).await;
    let remote = |url: &str, more: Value| {
        let mut body = json!({"path": "repo", "name": "origin", "url": url});
        body.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        body
    };
    assert_eq!(daemon.call("GET", "/git/remotes?path=repo").await.1, json!({"remotes": []}));
    assert_eq!(
        daemon.post("/git/remotes", &remote("/a b", json!({}))).await.0,
        StatusCode::CREATED
    );
    assert_eq!(
        code(&daemon.post("/git/remotes", &remote("/c", json!({}))).await),
        (409, "CONFLICT")
    );
    sh(
        &daemon,
        "git -C repo remote set-url --push origin /elsewhere; git init -q other; git -C other \
                 -c user.name=a -c user.email=a commit -q --allow-empty -m other",
    )
    .await;
    let other = daemon.path("other").to_str().expect("a path").to_owned();
    done(&daemon, "remotes", &remote(&other, json!({"overwrite": true, "fetch": true}))).await;
    let listed = daemon.call("GET", "/git/remotes?path=repo").await.1;
    assert_eq!(listed, json!({"remotes": [{"name": "origin", "url": other}]}));
    assert_eq!(sh(&daemon, "git -C repo remote get-url --push origin").await, format!("{other}\n"));
    sh(&daemon, "git -C repo rev-parse --verify origin/main").await;
    let odd =
        daemon.post("/git/remotes", &json!({"path": "repo", "name": "a b", "url": "/x"})).await;
    assert_eq!(code(&odd), (400, "BAD_REQUEST"));
}

#[tokio::test]
async fn a_path_is_a_repository_itself_and_nothing_above_it() {
    let daemon = daemon().await;
    repository(&daemon).await;
    std::fs::create_dir(daemon.path("repo/inner")).expect("a folder");
    std::os::unix::fs::symlink(daemon.path("repo"), daemon.path("link")).expect("a link");
    std::os::unix::fs::symlink(daemon.path("repo/inner"), daemon.path("repo/deep"))
        .expect("a link");
    for path in ["repo/inner", "repo/deep", "nowhere", "repo/file", "/tmp"] {
        let answer = daemon.call("GET", &format!("/git/status?path={path}")).await;
        assert_eq!(code(&answer), (404, "GIT_REPO_NOT_FOUND"), "{path}: {}", answer.1);
    }
    for path in ["link", "repo/.", "repo/inner/..", "./repo/"] {
        assert_eq!(status(&daemon, path).await["currentBranch"], "main", "{path}");
    }
    assert_eq!(code(&daemon.call("GET", "/git/status").await), (400, "BAD_REQUEST"));
    assert_eq!(code(&daemon.call("GET", "/git/nothing").await), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn variables_of_the_sandbox_do_not_lead_git_elsewhere() {
    let daemon = daemon_with(&json!({
        "GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/tmp", "GIT_INDEX_FILE": "/nowhere", "GIT_TRACE": "1",
        "GIT_CURL_VERBOSE": "1", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "GIT_EDITOR": "false", "PAGER": "false",
    })).await;
    repository(&daemon).await;
    assert_eq!(status(&daemon, "repo").await["fileStatus"], json!([]));
    let none = daemon.post("/git/checkout", &json!({"path": "repo", "branch": "none"})).await;
    assert_eq!(none.1["message"], "fatal: invalid reference: none");
}

#[tokio::test]
async fn an_image_without_git_says_so_and_what_to_do() {
    let daemon = daemon_with(&json!({"PATH": "/nowhere"})).await;
    let (status, answer) = daemon.post("/git/init", &json!({"path": "repo"})).await;
    assert_eq!(code(&(status, answer.clone())), (422, "UNPROCESSABLE_ENTITY"));
    let message = answer["message"].as_str().expect("a text");
    assert!(message.contains("has no git") && message.contains("apt-get install git"), "{message}");
}

#[tokio::test]
async fn hooks_run_and_may_refuse() {
    let daemon = daemon().await;
    repository(&daemon).await;
    sh(&daemon, "cd repo/.git/hooks && printf '#!/bin/sh\\necho no such thing >&2\\nexit 1\\n' > pre-commit && \
                 chmod +x pre-commit").await;
    let body =
        json!({"path": "repo", "message": "m", "author": "a", "email": "e", "allow_empty": true});
    let refused = daemon.post("/git/commit", &body).await;
    assert_eq!(code(&refused), (400, "BAD_REQUEST"));
    assert_eq!(refused.1["message"], "no such thing");
}

#[tokio::test]
async fn a_client_that_leaves_ends_git_with_everything_it_started() {
    let daemon = daemon().await;
    repository(&daemon).await;
    sh(
        &daemon,
        "cd repo/.git/hooks && printf '#!/bin/sh\\nsleep 1000 & echo $! > ../child\\nwait\\n' > \
                 pre-commit && chmod +x pre-commit",
    )
    .await;
    let body =
        json!({"path": "repo", "message": "m", "author": "a", "email": "e", "allow_empty": true});
    let request = http::Request::post("/git/commit").header("x-pitlane-request", "gone");
    let request = request.body(http_body_util::Full::from(body.to_string())).expect("a request");
    let cancel = async {
        let child =
            || std::fs::read_to_string(daemon.path("child")).is_ok_and(|pid| pid.ends_with('\n'));
        until("the hook runs", child).await;
        daemon.call("POST", "/pitlane/cancel/gone").await
    };
    let ((gone, _), _) = tokio::join!(daemon.ask(request), cancel);
    assert_eq!(gone, StatusCode::GONE);
    assert!(!is_running(&daemon.text("child")));
    assert!(!daemon.path("repo/.git/index.lock").exists());
}
