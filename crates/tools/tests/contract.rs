//! What the tools answer, word for word, over a server that has the Daytona API and nothing more.
#![expect(clippy::unwrap_used, reason = "a test may")]

#[path = "contract/cloud.rs"]
mod cloud;

use std::time::Duration;

use pitlane_tools::{Call, NO_KEY, Permission, Settings, Tools, Toolset};
use serde_json::{Value, json};

use cloud::{Cloud, ID};

/// The message that an answer of the contract has.
fn message(answer: &pitlane_tools::Answer) -> &str {
    answer.structured["message"].as_str().unwrap()
}

fn no(status: u16, message: &str) -> Option<(u16, Value)> {
    Some((status, json!({"statusCode": status, "message": message})))
}

#[tokio::test]
async fn every_operation_says_in_the_words_of_the_contract_that_it_went_well() {
    let cloud = Cloud::answering(|line, _| match line {
        line if line.starts_with("GET /files/info?path=there") => Some((
            200,
            json!({"name": "there", "size": 1, "mode": "-", "modTime": "", "isDir": false,
                   "owner": "0", "group": "0", "permissions": "0644"}),
        )),
        line if line.starts_with("GET /git/status") => Some((
            200,
            json!({"currentBranch": "main", "detached": false, "ahead": 0, "behind": 0, "upstream": "",
                   "branchPublished": false, "fileStatus": []}),
        )),
        _ => None,
    })
    .await;
    let created = format!("Successfully created sandbox {ID}");
    let git = "Git operation completed successfully";
    for (method, params, wanted) in [
        ("create_sandbox", json!({}), created.as_str()),
        ("execute_code", json!({"sandbox_id": "x", "code": "1"}), "Code executed successfully"),
        (
            "execute_shell",
            json!({"sandbox_id": "x", "command": "ls"}),
            "Command executed successfully",
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "read", "file_path": "f"}),
            "Successfully read file f",
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "write", "file_path": "f", "content": ""}),
            "Successfully wrote to file f",
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "create", "file_path": "f"}),
            "Successfully created f",
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "list", "file_path": "."}),
            "Successfully listed directory .",
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "delete", "file_path": "there"}),
            "Successfully deleted there",
        ),
        (
            "git_operation",
            json!({"sandbox_id": "x", "operation": "clone", "repository_url": "https://h/r.git"}),
            git,
        ),
        ("git_operation", json!({"sandbox_id": "x", "operation": "status"}), git),
        (
            "git_operation",
            json!({"sandbox_id": "x", "operation": "commit", "commit_message": "m"}),
            git,
        ),
        ("git_operation", json!({"sandbox_id": "x", "operation": "checkout", "branch": "b"}), git),
        ("git_operation", json!({"sandbox_id": "x", "operation": "push"}), git),
        ("git_operation", json!({"sandbox_id": "x", "operation": "pull"}), git),
        ("list_sandboxes", json!({}), "Found 1 sandboxes"),
        ("get_sandbox_info", json!({"sandbox_id": "x"}), "Retrieved information for sandbox x"),
        (
            "get_preview_url",
            json!({"sandbox_id": "x", "port": 80}),
            "Preview of port 80 for 3600 s",
        ),
        ("delete_sandbox", json!({"sandbox_id": "x"}), "Successfully deleted sandbox x"),
    ] {
        let answer = cloud.call(method, params.clone()).await;
        assert!(!answer.failed, "{method} {params}: {}", answer.text);
        assert_eq!(message(&answer), wanted, "{method} {params}");
        assert_fits(method, &answer.structured);
    }
}

/// Holds an answer against the operation's own schema: every field that is promised, of its type.
fn assert_fits(method: &str, answer: &Value) {
    let operation = pitlane_tools::operations().iter().find(|one| one.name == method).unwrap();
    let schema = operation.output_schema.as_ref().unwrap();
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(answer.get(required.as_str().unwrap()).is_some(), "{method}: no {required}");
    }
    for (name, value) in answer.as_object().unwrap() {
        let kinds = &schema["properties"][name]["type"];
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let fits = kinds == kind
            || (kind == "integer" && kinds == "number")
            || kinds.as_array().is_some_and(|kinds| kinds.contains(&json!(kind)));
        assert!(fits, "{method}: {name} is {kind}, not {kinds}");
    }
}

#[tokio::test]
async fn every_operation_says_in_the_words_of_the_contract_why_it_failed() {
    let cloud = Cloud::answering(|line, _| match line {
        line if line.contains("/sandbox/x") && !line.contains("preview") => None,
        _ => no(500, "broken"),
    })
    .await;
    for (method, params, wanted) in [
        ("create_sandbox", json!({}), "Error creating sandbox: broken"),
        ("execute_code", json!({"sandbox_id": "x", "code": "1"}), "Error executing code: broken"),
        (
            "execute_shell",
            json!({"sandbox_id": "x", "command": "ls"}),
            "Error executing command: broken",
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "read", "file_path": "f"}),
            "Error performing file operation: f: broken",
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "fold", "file_path": "f"}),
            "Unsupported file operation: fold",
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "write", "file_path": "f"}),
            "Error performing file operation: Content is required for write operation",
        ),
        (
            "git_operation",
            json!({"sandbox_id": "x", "operation": "blame"}),
            "Unsupported git operation: blame",
        ),
        (
            "git_operation",
            json!({"sandbox_id": "x", "operation": "clone"}),
            "Error performing git operation: Repository URL is required for clone operation",
        ),
        (
            "git_operation",
            json!({"sandbox_id": "x", "operation": "commit"}),
            "Error performing git operation: Commit message is required for commit operation",
        ),
        (
            "git_operation",
            json!({"sandbox_id": "x", "operation": "checkout"}),
            "Error performing git operation: Branch name is required for checkout operation",
        ),
        (
            "git_operation",
            json!({"sandbox_id": "x", "operation": "pull"}),
            "Error performing git operation: broken",
        ),
        ("list_sandboxes", json!({}), "Error listing sandboxes: broken"),
        ("delete_sandbox", json!({"sandbox_id": "y"}), "Error deleting sandbox: broken"),
        ("get_sandbox_info", json!({"sandbox_id": "y"}), "Error getting sandbox info: broken"),
        (
            "get_preview_url",
            json!({"sandbox_id": "y", "port": 80}),
            "Error getting preview URL: broken",
        ),
        (
            "exec_session",
            json!({"sandbox_id": "x", "action": "poll"}),
            "Error performing session operation: session_id is required for poll action",
        ),
    ] {
        let answer = cloud.call(method, params.clone()).await;
        assert!(answer.failed, "{method} {params}: {}", answer.text);
        assert_eq!(message(&answer), wanted, "{method} {params}");
        assert_fits(method, &answer.structured);
        let is_marked = answer.structured["success"] == false
            || answer.structured["status"] == "error"
            || answer.structured["exit_code"] == 1
            || answer.structured["count"] == 0;
        assert!(is_marked, "{method}: {}", answer.structured);
    }
}

#[tokio::test]
async fn a_sandbox_that_is_not_there_is_told_with_what_to_do() {
    let cloud = Cloud::usual().await;
    let answer = cloud.call("execute_code", json!({"sandbox_id": "y", "code": "1"})).await;
    assert_eq!(message(&answer), "Error executing code: Sandbox 'y' not found");
    assert_eq!(answer.structured["stderr"], "Sandbox 'y' not found");
    assert_eq!(
        answer.text,
        "Error executing code: Sandbox 'y' not found. Use list_sandboxes to see what there is."
    );
}

#[tokio::test]
async fn whoever_has_no_key_is_told_how_to_give_one() {
    let tools = Tools::without_key(Settings::default());
    let answer = tools.call(Call::parse("list_sandboxes", Value::Null).unwrap(), &()).await;
    assert_eq!(message(&answer), NO_KEY);
    assert_eq!(
        NO_KEY,
        "Daytona API key is required. Set DAYTONA_API_KEY environment variable or pass api_key parameter."
    );
}

#[test]
fn an_envelope_that_says_nothing_is_refused_in_the_words_of_the_contract() {
    for (envelope, wanted) in [
        (Value::Null, "No input data provided"),
        (json!({}), "No input data provided"),
        (json!("{"), "Invalid JSON input"),
        (json!([1]), "Invalid JSON input"),
        (json!({"params": {}}), "No method specified"),
        (json!({"method": "fly"}), "Unknown method: fly"),
        (
            json!({"method": "execute_shell", "params": {"sandbox_id": "x"}}),
            "Invalid parameter 'command': is required",
        ),
    ] {
        assert_eq!(Call::parse_envelope(envelope).unwrap_err().to_string(), wanted);
    }
    let call = Call::parse_envelope(json!(r#"{"method": "list_sandboxes"}"#)).unwrap();
    assert_eq!(call.name(), "list_sandboxes");
}

#[tokio::test]
async fn what_a_call_lacks_is_named_so_that_it_can_be_asked_for() {
    let error = Call::parse("execute_shell", json!({})).unwrap_err();
    let names: Vec<_> = error.missing().iter().map(|missing| missing.parameter).collect();
    assert_eq!(names, ["sandbox_id", "command"]);
    assert_eq!(
        error.missing()[1].schema,
        json!({"type": "string", "description": "Shell command line"})
    );
    let feedback = error.to_json("daytona");
    assert_eq!(feedback["error_type"], "parameter_validation_error");
    assert_eq!(
        feedback["actionable_feedback"]["required_fields"],
        json!(["sandbox_id", "command"])
    );
    let cloud = Cloud::usual().await;
    let clone = json!({"sandbox_id": "x", "operation": "clone"});
    let answer = cloud.call("git_operation", clone).await;
    assert_eq!(answer.missing[0].parameter, "repository_url");
}

#[tokio::test]
async fn without_pitlanes_own_operation_a_session_keeps_outputs_apart() {
    let cloud = Cloud::usual().await;
    let command = "echo 'it''s'; exit 3";
    let params = json!({"sandbox_id": "x", "command": command, "working_directory": "/it's"});
    let answer = cloud.call("execute_shell", params.clone()).await;
    let outputs = (&answer.structured["stdout"], &answer.structured["stderr"]);
    assert_eq!(outputs, (&json!("out\n"), &json!("err\n")));
    let asked = cloud.requests();
    let line = r#"\"${BASH:-sh}\" -c 'echo '\\''it'\\'''\\''s'\\''; exit 3'"#;
    assert!(asked.iter().any(|request| request.contains(line)), "{asked:#?}");
    assert!(asked.iter().any(|request| request.contains(r"cd -- '/it'\\''s'")), "{asked:#?}");
    assert!(asked.last().unwrap().starts_with("DELETE /process/session/tool%2D"), "{asked:#?}");
    // It is known from then on what the server has.
    let streams = |cloud: &Cloud| {
        cloud.requests().iter().filter(|request| request.contains("/stream")).count()
    };
    assert_eq!(streams(&cloud), 1);
    cloud.call("execute_shell", params).await;
    assert_eq!(streams(&cloud), 1);
}

#[tokio::test]
async fn without_pitlanes_own_operation_code_goes_into_a_file() {
    let cloud = Cloud::usual().await;
    let code = "print('''$HOME `id` \"'\"''')";
    cloud.call("execute_code", json!({"sandbox_id": "x", "code": code})).await;
    let asked = cloud.requests();
    let run = asked.iter().find(|request| request.contains("python3 -u - < ")).unwrap();
    let path = run.split("python3 -u - < ").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(cloud.file(path).unwrap(), code.as_bytes());
    assert!(!run.contains("HOME"), "{run}");
    let escaped = path.replace('/', "%2F").replace('-', "%2D");
    let removed = format!("DELETE /files?path={escaped}&recursive=false");
    assert!(asked.contains(&removed), "{removed}: {asked:#?}");
    let typescript = json!({"sandbox_id": "x", "code": "let a: number", "language": "ts"});
    let answer = cloud.call("execute_code", typescript).await;
    assert_eq!(answer.structured["stdout"], "ran\n");
    assert!(cloud.requests().last().unwrap().contains(r#""timeout":300"#));
}

#[tokio::test]
async fn a_call_that_is_dropped_deletes_the_session_its_command_runs_in() {
    let cloud =
        Cloud::answering(|line, _| line.ends_with("/exec").then_some((0, Value::Null))).await;
    {
        let call = cloud.call("execute_shell", json!({"sandbox_id": "x", "command": "sleep 9"}));
        tokio::select! {
            answer = call => panic!("{answer:?}"),
            () = cloud.asked("POST /process/session/tool%2D") => {}
        }
    }
    cloud.asked("DELETE /process/session/tool%2D").await;
    cloud.tools.finish(Duration::from_secs(9)).await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_and_that_is_said() {
    let cloud =
        Cloud::answering(|line, _| line.ends_with("/exec").then_some((0, Value::Null))).await;
    let params = json!({"sandbox_id": "x", "command": "sleep 9", "timeout": 1});
    let answer = cloud.call("execute_shell", params).await;
    assert_eq!(message(&answer), "Error executing command: it was ended after 1 s");
    assert_eq!(answer.structured["exit_code"], 124);
    assert!(answer.text.contains("exec_session"), "{}", answer.text);
    cloud.asked("DELETE /process/session/tool%2D").await;
}

#[tokio::test]
async fn a_nonzero_exit_code_is_a_result_and_no_failure() {
    let cloud = Cloud::answering(|line, _| {
        line.ends_with("/exec")
            .then(|| (200, json!({"cmdId": "c", "stdout": "", "stderr": "e", "exitCode": 2})))
    })
    .await;
    let shell = cloud.call("execute_shell", json!({"sandbox_id": "x", "command": "false"})).await;
    assert_eq!((shell.failed, message(&shell)), (false, "Command execution failed"));
    let code = cloud.call("execute_code", json!({"sandbox_id": "x", "code": "1/0"})).await;
    assert_eq!((code.failed, message(&code)), (false, "Code execution failed"));
    assert_eq!(code.structured["exit_code"], 2);
}

#[tokio::test]
async fn what_git_refuses_is_told_as_gits_and_with_what_to_do() {
    let cloud = Cloud::answering(|line, _| {
        let refused =
            json!({"statusCode": 409, "message": "rejected", "code": "GIT_PUSH_REJECTED"});
        line.starts_with("POST /git/push").then_some((409, refused))
    })
    .await;
    let answer = cloud.call("git_operation", json!({"sandbox_id": "x", "operation": "push"})).await;
    assert_eq!(message(&answer), "Git operation failed");
    assert_eq!(answer.structured["output"], "rejected");
    assert_eq!((answer.failed, &answer.structured["success"]), (true, &json!(false)));
    assert!(answer.text.ends_with("Pull first."), "{}", answer.text);
}

#[tokio::test]
async fn passwords_in_addresses_are_in_no_answer_and_no_label() {
    let cloud = Cloud::usual().await;
    let url = "https://me:hush@host/r.git";
    let made = cloud.call("create_sandbox", json!({"git_repo": url})).await;
    assert!(!format!("{made:?}").contains("hush"), "{made:?}");
    let asked = cloud.requests();
    let create = asked.iter().find(|request| request.starts_with("POST /sandbox")).unwrap();
    assert!(create.contains("https://host/r.git") && !create.contains("hush"), "{create}");
    let clone = asked.iter().find(|request| request.starts_with("POST /git/clone")).unwrap();
    assert!(clone.contains(r#""url":"https://host/r.git""#), "{clone}");
    assert!(clone.contains(r#""username":"me","password":"hush""#), "{clone}");
    let info = cloud.call("get_sandbox_info", json!({"sandbox_id": "x"})).await;
    assert_eq!(info.structured["environment_vars"], json!({"API_KEY": "[redacted]", "PLAIN": "1"}));
}

#[tokio::test]
async fn a_sandbox_lives_as_long_as_it_was_asked_to() {
    let cloud = Cloud::usual().await;
    cloud.call("create_sandbox", json!({})).await;
    cloud.call("create_sandbox", json!({"persistent": true, "image": "img:1"})).await;
    let asked = cloud.requests();
    let creates: Vec<Value> = asked
        .iter()
        .filter_map(|request| request.strip_prefix("POST /sandbox "))
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    let labels = json!({"code-toolbox-language": "python"});
    assert_eq!(creates[0], json!({"labels": labels, "autoDeleteInterval": 0}));
    assert_eq!(creates[1], json!({"labels": labels, "snapshot": "img:1"}));
}

#[tokio::test]
async fn an_image_that_is_no_snapshot_is_built_from_its_name() {
    let cloud = Cloud::answering(|line, body| {
        let is_snapshot = String::from_utf8_lossy(body).contains("snapshot");
        (line == "POST /sandbox" && is_snapshot).then(|| no(404, "no snapshot").unwrap())
    })
    .await;
    let made = cloud.call("create_sandbox", json!({"image": "debian:12"})).await;
    assert!(!made.failed, "{}", made.text);
    let asked = cloud.requests();
    assert!(asked.iter().any(|request| request.contains(r#"FROM debian:12\n"#)), "{asked:#?}");
    let odd = cloud.call("create_sandbox", json!({"image": "a\nRUN evil"})).await;
    assert!(odd.failed, "{}", odd.text);
}

#[tokio::test]
async fn a_caller_does_no_more_than_they_are_allowed() {
    let cases = [
        ("list_sandboxes", json!({}), Permission::Anonymous),
        ("get_sandbox_info", json!({"sandbox_id": "x"}), Permission::Anonymous),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "read", "file_path": "f"}),
            Permission::Anonymous,
        ),
        ("git_operation", json!({"sandbox_id": "x", "operation": "status"}), Permission::Anonymous),
        ("create_sandbox", json!({}), Permission::Authenticated),
        ("execute_code", json!({"sandbox_id": "x", "code": "1"}), Permission::Authenticated),
        ("execute_shell", json!({"sandbox_id": "x", "command": "ls"}), Permission::Authenticated),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "write", "file_path": "f", "content": ""}),
            Permission::Authenticated,
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "delete", "file_path": "f"}),
            Permission::Authenticated,
        ),
        (
            "git_operation",
            json!({"sandbox_id": "x", "operation": "commit", "commit_message": "m"}),
            Permission::Authenticated,
        ),
        ("get_preview_url", json!({"sandbox_id": "x", "port": 80}), Permission::Authenticated),
        (
            "exec_session",
            json!({"sandbox_id": "x", "action": "poll", "session_id": "s"}),
            Permission::Authenticated,
        ),
        ("delete_sandbox", json!({"sandbox_id": "x"}), Permission::Authenticated),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "upload", "file_path": "f", "local_path": "f"}),
            Permission::Developer,
        ),
        (
            "file_operation",
            json!({"sandbox_id": "x", "operation": "download", "file_path": "f", "local_path": "f"}),
            Permission::Developer,
        ),
        ("git_operation", json!({"sandbox_id": "x", "operation": "push"}), Permission::Developer),
    ];
    let all = [
        Permission::Anonymous,
        Permission::Authenticated,
        Permission::Developer,
        Permission::Admin,
    ];
    for permission in all {
        let settings = Settings { permission, retry_count: 0, ..Settings::default() };
        let cloud = Cloud::with(settings, |_, _| None).await;
        for (method, params, needed) in &cases {
            let answer = cloud.call(method, params.clone()).await;
            let is_refused = answer.text.contains("needs the permission");
            assert_eq!(is_refused, *needed > permission, "{method} {params} as {permission}");
        }
        if permission == Permission::Anonymous {
            let asked = cloud.requests();
            assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:#?}");
        }
    }
}

#[tokio::test]
async fn what_only_reads_is_tried_again_as_often_as_the_settings_say() {
    for (retry_count, wanted) in [(0, 1), (2, 3)] {
        let settings = Settings { retry_count, ..Settings::default() };
        let cloud = Cloud::with(settings, |_, _| Some((502, json!("<html>")))).await;
        let answer = cloud.call("list_sandboxes", json!({})).await;
        assert_eq!(
            message(&answer),
            "Error listing sandboxes: the server answered 502 Bad Gateway"
        );
        assert_eq!(cloud.requests().len(), wanted);
    }
}

#[tokio::test]
async fn the_twelve_of_daytonas_own_server_answer_in_its_words() {
    let cloud = Cloud::answering(|line, _| match line {
        line if line.starts_with("GET /files/info?path=there") => Some((
            200,
            json!({"name": "there", "size": 1, "mode": "-", "modTime": "", "isDir": false,
                   "owner": "0", "group": "0", "permissions": "0644"}),
        )),
        line if line.starts_with("POST /files/move") => Some((200, Value::Null)),
        line if line.starts_with("POST /files/folder") => Some((201, Value::Null)),
        _ => None,
    })
    .await;
    let created = format!("Created new sandbox {ID}");
    let reused = format!("Reusing existing sandbox {ID}");
    let upload = |path: &str, overwrite: bool| json!({"id": "x", "filePath": path, "content": "aGk=", "encoding": "base64", "overwrite": overwrite});
    let preview =
        |check: bool| json!({"id": "x", "port": 80, "description": "d", "checkServer": check});
    for (method, params, wanted) in [
        ("create_sandbox", json!({}), created.as_str()),
        ("create_sandbox", json!({"id": "x"}), &reused),
        (
            "execute_command",
            json!({"id": "x", "command": "ls"}),
            r#"{"stdout":"out\n","stderr":"err\n","exitCode":0}"#,
        ),
        ("upload_file", upload("new", false), "File uploaded successfully: new"),
        (
            "download_file",
            json!({"id": "x", "filePath": "f"}),
            r#"[{"type":"text","text":"read"}]"#,
        ),
        ("create_folder", json!({"id": "x", "folderPath": "d"}), "Created folder: d"),
        ("list_files", json!({"id": "x"}), "[]"),
        (
            "move_file",
            json!({"id": "x", "sourcePath": "a", "destPath": "b"}),
            "Moved file from a to b",
        ),
        ("delete_file", json!({"id": "x", "filePath": "there"}), "Deleted file: there"),
        (
            "git_clone",
            json!({"id": "x", "url": "https://h/r.git"}),
            "Cloned repository: https://h/r.git to r",
        ),
        ("preview_link", preview(true), "Preview link generated: http://signed"),
        ("destroy_sandbox", json!({"id": "x"}), "Destroyed sandbox with ID x"),
    ] {
        let answer = cloud.daytona(method, params.clone()).await;
        let same = match (
            serde_json::from_str::<Value>(&answer.text),
            serde_json::from_str::<Value>(wanted),
        ) {
            (Ok(answer), Ok(wanted)) => answer == wanted,
            _ => answer.text == wanted,
        };
        assert!(!answer.failed && same, "{method} {params}: {}", answer.text);
    }
    assert_eq!(cloud.file("new").unwrap(), b"hi");
    let taken = cloud.daytona("upload_file", upload("there", false)).await;
    assert_eq!(
        (taken.failed, taken.text.as_str()),
        (true, "file 'there' already exists and overwrite=false")
    );
    let info = cloud.daytona("get_file_info", json!({"id": "x", "filePath": "there"})).await;
    assert!(info.text.contains(r#""isDir":false"#), "{}", info.text);
    for (method, params, wanted) in [
        ("execute_command", json!({}), "sandbox ID is required"),
        ("download_file", json!({"id": "x"}), "filePath parameter is required"),
    ] {
        let error = Toolset::Daytona.parse(method, params).unwrap_err();
        assert_eq!(error.to_string(), wanted);
    }
}

#[tokio::test]
async fn a_port_that_nobody_serves_has_no_link_if_that_is_asked() {
    let cloud = Cloud::answering(|line, _| {
        line.ends_with("/exec")
            .then(|| (200, json!({"cmdId": "c", "stdout": "", "stderr": "", "exitCode": 1})))
    })
    .await;
    let params = json!({"id": "x", "port": 81, "description": "d", "checkServer": true});
    let answer = cloud.daytona("preview_link", params).await;
    assert_eq!((answer.failed, answer.text.as_str()), (true, "no server detected on port 81"));
}
