use serde_json::json;

use super::{CreateSandbox, CreatedApiKey, Sandbox, SandboxPage};

/// The smallest sandbox that the strictest client accepts.
fn minimal() -> serde_json::Value {
    json!({
        "id": "0b6ecb4e-0000-4000-8000-000000000000", "organizationId": "o", "name": "n",
        "user": "daytona", "env": {}, "labels": {"code-toolbox-language": "python"},
        "public": false, "networkBlockAll": false, "kvm": false, "target": "us",
        "cpu": 1, "gpu": 0, "memory": 1, "disk": 3, "state": "started",
        "toolboxProxyUrl": "http://127.0.0.1:3986/toolbox"
    })
}

#[test]
fn a_sandbox_keeps_every_field_on_the_way_through() {
    let sandbox: Sandbox = serde_json::from_value(minimal()).unwrap();
    assert_eq!(serde_json::to_value(sandbox).unwrap(), minimal());
}

#[test]
fn a_sandbox_with_fields_of_a_later_version_is_read() {
    let mut value = minimal();
    value["hoverMode"] = json!({"deep": [1, 2]});
    value["state"] = json!("levitating");
    let sandbox: Sandbox = serde_json::from_value(value).unwrap();
    assert_eq!(sandbox.core.state.as_deref(), Some("levitating"));
}

#[test]
fn the_last_page_says_null_and_does_not_leave_the_cursor_out() {
    let page: SandboxPage = SandboxPage { items: Vec::new(), next_cursor: None };
    assert_eq!(serde_json::to_value(page).unwrap(), json!({"items": [], "nextCursor": null}));
}

#[test]
fn a_null_in_a_create_body_is_the_same_as_an_absent_field() {
    let body = json!({"name": null, "env": {}, "cpu": null, "volumes": []});
    let read: CreateSandbox = serde_json::from_value(body).unwrap();
    let wanted = CreateSandbox {
        env: Some([].into()),
        volumes: Some(Vec::new()),
        ..CreateSandbox::default()
    };
    assert_eq!(read, wanted);
}

#[test]
fn a_float_is_no_number_of_cpus() {
    assert!(serde_json::from_value::<CreateSandbox>(json!({"cpu": 1.0})).is_err());
    assert!(serde_json::from_value::<CreateSandbox>(json!({"cpu": -1})).is_err());
    assert!(serde_json::from_value::<CreateSandbox>(json!({"cpu": "1"})).is_err());
}

#[test]
fn a_new_key_does_not_show_itself_in_debug_text() {
    let key = CreatedApiKey {
        name: "ci".into(),
        value: "dtn_secret".into(),
        created_at: String::new(),
        permissions: Vec::new(),
        expires_at: None,
    };
    assert_eq!(format!("{key:?}"), "CreatedApiKey { name: \"ci\", .. }");
}
