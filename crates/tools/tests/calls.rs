//! Whatever is sent: it is understood, or refused with a reason, and never worse.
use pitlane_tools::{Call, CallError, Operation, Toolset, operations};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const ALL: [Toolset; 3] = [Toolset::Default, Toolset::Daytona, Toolset::Minimal];

/// Any JSON, with the names of arguments among the keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["read", "clone", "poll", "true", "80", "{}", "[1]"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let known = vec![
            "sandbox_id",
            "code",
            "command",
            "operation",
            "file_path",
            "content",
            "port",
            "environment_vars",
            "persistent",
            "offset",
            "action",
            "timeout",
            "id",
            "volumes",
        ];
        let known = prop::sample::select(known).prop_map(str::to_owned);
        let name = prop_oneof!["[a-z_]{0,12}", known];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_method() -> impl Strategy<Value = String> {
    let names: Vec<&str> =
        ALL.iter().flat_map(|set| set.operations()).map(|operation| operation.name).collect();
    prop_oneof![prop::sample::select(names).prop_map(str::to_owned), "\\PC{0,20}"]
}

proptest! {
    #[test]
    fn anything_is_understood_or_refused_with_what_to_do(
        method in any_method(), params in any_json(), set in 0..3_usize,
    ) {
        match ALL[set].parse(&method, params) {
            Ok(call) => prop_assert_eq!(call.name(), method),
            Err(error) => {
                prop_assert!(!error.to_string().is_empty());
                prop_assert!(!error.guidance().is_empty());
                prop_assert!(error.to_json("t").get("error").is_some());
                if let CallError::InvalidParameter(invalid) = &error {
                    let example = invalid.example.clone();
                    prop_assert!(ALL[set].parse(invalid.method, example).is_ok(), "{error}");
                }
            }
        }
    }

    #[test]
    fn any_envelope_is_understood_or_refused(envelope in any_json()) {
        if let Err(error) = Call::parse_envelope(envelope) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn code_and_contents_arrive_as_they_are(text in any::<String>()) {
        let params = json!({"sandbox_id": "x", "code": text});
        // As an object, and as a text of it.
        for params in [params.clone(), Value::from(params.to_string())] {
            let Call::ExecuteCode(asked) = Call::parse("execute_code", params).unwrap() else {
                panic!("another call");
            };
            prop_assert_eq!(&asked.code, &text);
        }
    }
}

#[test]
fn values_of_the_wrong_kind_are_made_right_where_that_is_plain() {
    let parse = |method, params| Call::parse(method, params);
    for (one, other) in [
        (json!({"sandbox_id": "x", "port": "3000"}), json!({"sandbox_id": "x", "port": 3000})),
        (json!({"sandbox_id": "x", "port": 3000.0}), json!({"sandbox_id": "x", "port": 3000})),
        (
            json!({"sandbox_id": "x", "port": 1, "expires_in_seconds": null}),
            json!({"sandbox_id": "x", "port": 1}),
        ),
        (json!(r#"{"sandbox_id": "x", "port": 1}"#), json!({"sandbox_id": "x", "port": 1})),
        (
            json!({"sandbox_id": "x", "port": 1, "reason": "to see it"}),
            json!({"sandbox_id": "x", "port": 1}),
        ),
    ] {
        assert_eq!(parse("get_preview_url", one), parse("get_preview_url", other));
    }
    for (one, other) in [
        (json!({"persistent": "true"}), json!({"persistent": true})),
        (json!({"environment_vars": {"A": 1}}), json!({"environment_vars": {"A": "1"}})),
        (json!({"environment_vars": "{\"A\": true}"}), json!({"environment_vars": {"A": "true"}})),
    ] {
        let (one, other) = (parse("create_sandbox", one), parse("create_sandbox", other));
        assert!(one.is_ok());
        assert_eq!(one, other);
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (method, params, wanted) in [
        (
            "get_preview_url",
            json!({"sandbox_id": "x", "port": 0}),
            "Invalid parameter 'port': is less than 1",
        ),
        (
            "get_preview_url",
            json!({"sandbox_id": "x", "port": 70000}),
            "Invalid parameter 'port': is more than 65535",
        ),
        (
            "get_preview_url",
            json!({"sandbox_id": "x", "port": "web"}),
            "Invalid parameter 'port': is not a whole number",
        ),
        (
            "execute_shell",
            json!({"sandbox_id": 7, "command": "ls"}),
            "Invalid parameter 'sandbox_id': is not of type string",
        ),
        (
            "execute_shell",
            json!({"sandbox_id": "", "command": "ls"}),
            "Invalid parameter 'sandbox_id': is required",
        ),
        (
            "execute_shell",
            json!({"sandbox_id": "x", "command": "ls", "working_dir": "/"}),
            "Invalid parameter 'working_dir': is unknown; did you mean 'working_directory'?",
        ),
        ("execute_shell", json!([]), "Invalid parameter 'params': is not a JSON object"),
        (
            "create_sandbox",
            json!({"persistent": "perhaps"}),
            "Invalid parameter 'persistent': is neither true nor false",
        ),
        (
            "create_sandbox",
            json!({"environment_vars": {"A": []}}),
            "Invalid parameter 'environment_vars': A is not of type string",
        ),
    ] {
        assert_eq!(Call::parse(method, params).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn an_unknown_operation_is_told_with_those_there_are() {
    let error = Toolset::Minimal.parse("git_operation", json!({})).unwrap_err();
    assert_eq!(error.to_string(), "Unknown method: git_operation");
    assert_eq!(
        error.guidance(),
        "Use one of: create_sandbox, execute_code, execute_shell, file_operation, delete_sandbox."
    );
}

/// An operation as it stands in a list of tools.
fn listed(operation: &Operation) -> Value {
    let mut tool = json!({
        "name": operation.name,
        "title": operation.title,
        "description": operation.description,
        "inputSchema": operation.input_schema,
        "annotations": {
            "readOnlyHint": operation.annotations.read_only,
            "destructiveHint": operation.annotations.destructive,
            "idempotentHint": operation.annotations.idempotent,
            "openWorldHint": operation.annotations.open_world,
        },
    });
    if let Some(schema) = &operation.output_schema {
        tool["outputSchema"] = schema.clone();
    }
    tool
}

#[test]
fn the_list_of_tools_is_small() {
    let list = |set: Toolset| {
        let tools: Vec<Value> = set.operations().iter().map(listed).collect();
        json!({ "tools": tools }).to_string()
    };
    // Common tokenizers make about one token of four such bytes: 2,500 tokens are the bound, checked with one of them.
    assert!(list(Toolset::Default).len() < 10_000, "{}", list(Toolset::Default).len());
    assert!(list(Toolset::Minimal).len() < 5_000, "{}", list(Toolset::Minimal).len());
    assert!(list(Toolset::Daytona).len() < 8_000, "{}", list(Toolset::Daytona).len());
    let names: Vec<&str> = operations().iter().map(|operation| operation.name).collect();
    assert_eq!(
        names,
        [
            "create_sandbox",
            "execute_code",
            "execute_shell",
            "file_operation",
            "git_operation",
            "list_sandboxes",
            "delete_sandbox",
            "get_sandbox_info",
            "get_preview_url",
            "exec_session",
        ]
    );
}

#[test]
fn every_schema_stands_on_its_own() {
    for operation in ALL.iter().flat_map(|set| set.operations()) {
        let schemas = [Some(&operation.input_schema), operation.output_schema.as_ref()];
        for schema in schemas.into_iter().flatten() {
            assert_eq!(schema["type"], "object", "{}", operation.name);
            let text = schema.to_string();
            assert!(
                !text.contains("$ref") && !text.contains("$defs"),
                "{}: {text}",
                operation.name
            );
        }
    }
}
