use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use pitlane_client::{Client, Endpoint, Key};
use pitlane_tools::{Settings as ToolSettings, Tools, Toolset};
use serde_json::{Value, json};
use tower_service::Service as _;

use super::{is_lenient, router};
use crate::{Access, AccessError, Keys, OpenWith, Server, Settings};

/// The surface over a backend that nobody reaches: what it says of itself needs none.
fn surface(shared: bool) -> axum::Router {
    surface_with(Settings::default(), shared)
}

fn surface_with(settings: Settings, shared: bool) -> axum::Router {
    let open: OpenWith = Arc::new(|key: String| {
        let known = key == "dtn_known";
        Box::pin(async move {
            if known { Ok(tools()) } else { Err(AccessError::Unknown(String::from("no"))) }
        })
    });
    let shared = shared.then(|| Access::new("dtn_known", tools()));
    let server = Server::new(settings, None).unwrap();
    router(&server, Arc::new(Keys::new(open, shared)))
}

fn tools() -> Tools {
    let endpoint = Endpoint::new("http://127.0.0.1:1/api", Key::new("dtn_known").unwrap()).unwrap();
    Tools::new(Client::new(endpoint), ToolSettings { retry_count: 0, ..ToolSettings::default() })
}

async fn send(surface: &mut axum::Router, request: Request) -> (StatusCode, Value) {
    let response: Response = surface.call(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    (status, body)
}

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request {
    http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1:8001")
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

async fn post(path: &str, body: &Value) -> (StatusCode, Value) {
    send(&mut surface(true), request(Method::POST, path, body.to_string())).await
}

async fn rpc(body: &Value) -> Value {
    let (status, answer) = post("/", body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

async fn get(path: &str) -> (StatusCode, Value) {
    send(&mut surface(true), request(Method::GET, path, Body::empty())).await
}

fn names() -> Vec<&'static str> {
    Toolset::Default.operations().iter().map(|operation| operation.name).collect()
}

#[tokio::test]
async fn the_schema_lists_every_operation_with_its_addresses() {
    let (status, schema) = get("/schema").await;
    assert_eq!((status, &schema["tool"]), (StatusCode::OK, &json!("pitlane")));
    let tasks = schema["tasks"].as_array().unwrap();
    let listed: Vec<&str> = tasks.iter().map(|task| task["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names());
    for task in tasks {
        let name = task["name"].as_str().unwrap();
        assert_eq!(
            (&task["path"], &task["schema_path"]),
            (&json!(format!("/{name}")), &json!(format!("/{name}/schema")))
        );
        let (status, schema) = get(&format!("/{name}/schema")).await;
        let keys: Vec<&String> = schema.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["description", "input_schema", "name", "output_schema"]);
        assert_eq!((status, &schema["input_schema"]["type"]), (StatusCode::OK, &json!("object")));
    }
    assert_eq!(get("/").await, get("/schema").await);
    assert_eq!(get("/health").await, (StatusCode::OK, json!({"status": "healthy"})));
}

#[tokio::test]
async fn other_addresses_and_methods_are_told_as_by_fastapi() {
    let not_found = (StatusCode::NOT_FOUND, json!({"detail": "Not Found"}));
    for path in ["/nope", "/nope/schema", "/a/b/c"] {
        assert_eq!(
            get(path).await.1["detail"].as_str().map(|detail| &detail[..3]).unwrap(),
            if path == "/nope" { "Met" } else { "Not" }
        );
    }
    assert_eq!(post("/nope", &json!({})).await, not_found);
    let not_allowed = (StatusCode::METHOD_NOT_ALLOWED, json!({"detail": "Method Not Allowed"}));
    assert_eq!(get("/create_sandbox").await, not_allowed);
    assert_eq!(post("/schema", &json!({})).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_wrong_body_is_refused_with_422_and_what_is_wrong_with_it() {
    let given = json!({"code": "1"});
    let missing = |name: &str| json!({"type": "missing", "loc": ["body", name], "msg": "Field required", "input": given});
    assert_eq!(
        post("/execute_code", &given).await,
        (StatusCode::UNPROCESSABLE_ENTITY, json!({"detail": [missing("sandbox_id")]}))
    );
    let (status, wrong) = post("/create_sandbox", &json!({"environment_vars": 5})).await;
    let detail = &wrong["detail"][0];
    assert_eq!(
        (status, &detail["loc"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!(["body", "environment_vars"]))
    );
    assert_eq!(
        (&detail["type"], &detail["input"]),
        (&json!("value_error"), &json!({"environment_vars": 5}))
    );
    let (status, list) = post("/execute_code", &json!([1])).await;
    assert_eq!(
        (status, &list["detail"][0]["type"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("model_attributes_type"))
    );
    let mut surface = surface(true);
    let empty = send(&mut surface, request(Method::POST, "/execute_code", Body::empty())).await;
    let detail =
        json!({"type": "missing", "loc": ["body"], "msg": "Field required", "input": null});
    assert_eq!(empty, (StatusCode::UNPROCESSABLE_ENTITY, json!({"detail": [detail]})));
    for text in ["{", "nul", "{\"a\": 1}}", "\u{0}", "{'a': 1}"] {
        let (status, wrong) =
            send(&mut surface, request(Method::POST, "/execute_code", text)).await;
        let detail = &wrong["detail"][0];
        assert_eq!(
            (status, &detail["type"], &detail["msg"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("json_invalid"), &json!("JSON decode error"))
        );
    }
}

#[tokio::test]
async fn what_fails_has_the_form_of_what_succeeds() {
    let (status, listed) =
        send(&mut surface(true), request(Method::POST, "/list_sandboxes", Body::empty())).await;
    assert_eq!(
        (status, &listed["sandboxes"], &listed["count"]),
        (StatusCode::OK, &json!([]), &json!(0))
    );
    assert!(
        listed["message"].as_str().unwrap().starts_with("Error listing sandboxes: "),
        "{listed}"
    );
    let (status, ran) = post("/execute_code", &json!({"sandbox_id": "x", "code": "1"})).await;
    assert_eq!(
        (status, &ran["exit_code"], &ran["stdout"]),
        (StatusCode::OK, &json!(1), &json!(""))
    );
    assert!(ran["message"].as_str().unwrap().starts_with("Error executing code: "), "{ran}");
    let (status, made) = post("/create_sandbox", &json!({})).await;
    assert_eq!((status, &made["status"]), (StatusCode::OK, &json!("error")));
    assert!(made["message"].as_str().unwrap().starts_with("Error creating sandbox: "), "{made}");
}

#[tokio::test]
async fn json_rpc_needs_neither_jsonrpc_nor_a_session_nor_parameters() {
    let started = rpc(&json!({"method": "initialize", "id": "init-1795219223"})).await;
    assert_eq!((&started["jsonrpc"], &started["id"]), (&json!("2.0"), &json!("init-1795219223")));
    assert_eq!(started["result"]["serverInfo"]["name"], "pitlane");
    assert_eq!(started["result"]["protocolVersion"], "2025-11-25");
    let asked =
        json!({"method": "initialize", "id": 1, "params": {"protocolVersion": "2025-03-26"}});
    assert_eq!(rpc(&asked).await["result"]["protocolVersion"], "2025-03-26");
    let listed = rpc(&json!({"method": "tools/list", "id": "list-1"})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let listed: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names());
    assert!(tools.iter().all(|tool| tool["inputSchema"]["type"] == "object"));
    assert_eq!(
        rpc(&json!({"method": "ping", "id": 2})).await,
        json!({"jsonrpc": "2.0", "id": 2, "result": {}})
    );
    let (status, silence) = post("/", &json!({"method": "notifications/initialized"})).await;
    assert_eq!((status, silence), (StatusCode::ACCEPTED, Value::Null));
}

#[tokio::test]
async fn a_call_is_made_in_any_of_three_forms() {
    let called = rpc(&json!({"method": "tools/call", "id": "call-1", "params": {"name": "list_sandboxes", "arguments": {}}})).await;
    let result = &called["result"];
    assert_eq!((&called["id"], &result["isError"]), (&json!("call-1"), &json!(true)));
    assert_eq!(result["structuredContent"]["count"], 0);
    assert_eq!(result["content"][0]["type"], "text");
    for form in [
        json!({"name": "list_sandboxes", "arguments": {}}),
        json!({"name": "list_sandboxes", "args": {}}),
        json!({"name": "list_sandboxes"}),
        json!({"method": "list_sandboxes", "params": {}}),
        json!({"method": "list_sandboxes", "params": "{}"}),
        json!({"method": "list_sandboxes"}),
    ] {
        assert_eq!(rpc(&form).await, result["structuredContent"], "{form}");
    }
}

#[tokio::test]
async fn calls_that_are_none_are_told_in_the_contracts_words() {
    let not_available = json!({
        "success": false, "error": "Method 'nope' is not available", "available_methods": names(), "tool_name": "pitlane",
    });
    assert_eq!(rpc(&json!({"name": "nope"})).await, not_available);
    let called = rpc(&json!({"method": "tools/call", "id": 1, "params": {"name": "nope"}})).await;
    assert_eq!(
        called["error"],
        json!({"code": -32602, "message": "Method 'nope' is not available", "data": not_available})
    );
    assert_eq!(
        rpc(&json!({"method": "nope", "params": {}})).await,
        json!({"error": "Unknown method: nope"})
    );
    assert_eq!(rpc(&json!({})).await, json!({"error": "No method specified"}));
    assert_eq!(rpc(&json!({"name": ""})).await["error"], "No method specified");
    let unknown = rpc(&json!({"method": "tools/nope", "id": 1})).await;
    assert_eq!(unknown["error"], json!({"code": -32601, "message": "Unknown method: tools/nope"}));
}

#[tokio::test]
async fn wrong_parameters_are_told_so_that_a_model_can_mend_them() {
    let wrong = rpc(&json!({"name": "execute_shell", "arguments": {"command": "ls"}})).await;
    let keys: Vec<&String> = wrong.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "actionable_feedback",
            "error",
            "error_type",
            "guidance",
            "method",
            "retry_enabled",
            "success",
            "tool_name",
            "validation_details"
        ]
    );
    assert_eq!(wrong["error"], "Invalid parameter 'sandbox_id': is required");
    assert_eq!(wrong["error_type"], "parameter_validation_error");
    assert_eq!(wrong["actionable_feedback"]["required_fields"], json!(["sandbox_id", "command"]));
    let called = json!({"method": "tools/call", "id": 1, "params": {"name": "execute_shell", "arguments": {"command": "ls"}}});
    let called = rpc(&called).await;
    assert_eq!(
        (&called["result"]["isError"], &called["result"]["structuredContent"]),
        (&json!(true), &wrong)
    );
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_nothing_long_is_said_back() {
    let mut surface = surface(true);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_text = json!({"method": "execute_code", "params": format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))}).to_string();
    let huge = json!({"name": "x".repeat(1 << 20)}).to_string();
    let huge_method =
        json!({"method": format!("tools/{}", "x".repeat(1 << 20)), "id": 1}).to_string();
    let huge_key =
        json!({"name": "execute_code", "arguments": {"sandbox_ie".repeat(100_000): 1}}).to_string();
    let huge_id = json!({"method": "tools/list", "id": "x".repeat(1000)}).to_string();
    let long = " ".repeat((4 << 20) + 1);
    let cases = [
        (deep.as_str(), StatusCode::BAD_REQUEST),
        (deep_text.as_str(), StatusCode::OK),
        (huge.as_str(), StatusCode::OK),
        (huge_method.as_str(), StatusCode::OK),
        (huge_key.as_str(), StatusCode::OK),
        (huge_id.as_str(), StatusCode::BAD_REQUEST),
        (long.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        ("{", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
        ("[]", StatusCode::BAD_REQUEST),
        ("\"text\"", StatusCode::BAD_REQUEST),
        ("{\"method\": 5}", StatusCode::OK),
        ("{\"method\": \"tools/call\", \"params\": []}", StatusCode::OK),
        ("{\"method\": \"tools/call\", \"id\": {\"a\": 1}}", StatusCode::BAD_REQUEST),
    ];
    for (body, wanted) in cases {
        let (status, answer) =
            send(&mut surface, request(Method::POST, "/", body.to_owned())).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(status, wanted, "{shown}: {answer}");
        assert!(answer.to_string().len() < 5000 && !answer["error"].is_null(), "{shown}: {answer}");
    }
    let (status, _) = send(&mut surface, request(Method::POST, "/execute_code", deep)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let wide = json!({"x".repeat(1 << 20): "y".repeat(1 << 20)}).to_string();
    let (status, answer) = send(&mut surface, request(Method::POST, "/execute_code", wide)).await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && answer.to_string().len() < 5000);
}

#[tokio::test]
async fn pages_of_other_sites_other_names_and_other_kinds_of_body_come_to_nothing() {
    let mut surface = surface(true);
    let with = |name: &'static str, value: &'static str| {
        let mut request = request(Method::POST, "/list_sandboxes", "{}");
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let cases = [
        (with("origin", "https://evil.example"), StatusCode::FORBIDDEN),
        (with("origin", "null"), StatusCode::FORBIDDEN),
        (with("host", "evil.example"), StatusCode::FORBIDDEN),
        (with("content-type", "text/plain"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            with("content-type", "application/x-www-form-urlencoded"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (with("x-api-key", "dtn_unknown"), StatusCode::UNAUTHORIZED),
        (with("origin", "http://localhost:3000"), StatusCode::OK),
        (with("content-type", "application/json; charset=utf-8"), StatusCode::OK),
    ];
    for (request, wanted) in cases {
        let shown = format!("{:?}", request.headers());
        assert_eq!(send(&mut surface, request).await.0, wanted, "{shown}");
    }
}

#[tokio::test]
async fn a_call_without_room_is_told_to_come_again() {
    let settings = Settings { max_calls: Some(0), ..Settings::default() };
    let mut surface = surface_with(settings, true);
    for path in ["/", "/list_sandboxes"] {
        let body = "{\"name\": \"list_sandboxes\"}";
        let response = surface.call(request(Method::POST, path, body)).await.unwrap();
        assert_eq!(
            (response.status(), response.headers()["retry-after"].as_bytes()),
            (StatusCode::TOO_MANY_REQUESTS, &b"1"[..])
        );
    }
}

#[tokio::test]
async fn only_the_operations_that_were_named_are_there() {
    let methods = vec!["list_sandboxes".to_owned()];
    let mut surface = surface_with(Settings { methods, ..Settings::default() }, true);
    let (_, schema) = send(&mut surface, request(Method::GET, "/schema", "")).await;
    assert_eq!(schema["tasks"].as_array().unwrap().len(), 1);
    let (status, _) = send(&mut surface, request(Method::POST, "/create_sandbox", "{}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let named = request(Method::POST, "/", "{\"name\": \"create_sandbox\"}");
    let (_, refused) = send(&mut surface, named).await;
    assert_eq!(refused["error"], "Method 'create_sandbox' is not available");
    assert_eq!(refused["available_methods"], json!(["list_sandboxes"]));
}

#[tokio::test]
async fn without_a_key_nothing_is_done_and_the_contract_says_why() {
    let mut surface = surface(false);
    let why = "Daytona API key is required. Set DAYTONA_API_KEY environment variable or pass api_key parameter.";
    for (path, body) in
        [("/", "{\"method\":\"initialize\"}"), ("/", "{\"name\":\"x\"}"), ("/list_sandboxes", "{}")]
    {
        let answer = send(&mut surface, request(Method::POST, path, body)).await;
        assert_eq!(answer, (StatusCode::UNAUTHORIZED, json!({"detail": why})), "{path}");
    }
    assert_eq!(send(&mut surface, request(Method::GET, "/schema", "")).await.0, StatusCode::OK);
    let mut known = request(Method::POST, "/list_sandboxes", "{}");
    known.headers_mut().insert("authorization", "Bearer dtn_known".parse().unwrap());
    assert_eq!(send(&mut surface, known).await.0, StatusCode::OK);
}

#[test]
fn what_a_client_of_mcp_sends_is_left_to_the_protocol() {
    let request = |method: Method, headers: &[(&'static str, &'static str)]| {
        let mut request = http::Request::builder().method(method).uri("/mcp");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    };
    let lenient = |headers: &[_]| is_lenient(&request(Method::POST, headers));
    assert!(
        lenient(&[("accept", "*/*")]) && lenient(&[]) && lenient(&[("accept", "application/json")])
    );
    for headers in [
        &[("accept", "application/json, text/event-stream")][..],
        &[("accept", "Text/Event-Stream;q=0.5")],
        &[("accept", "*/*"), ("mcp-protocol-version", "2025-06-18")],
        &[("mcp-session-id", "x")],
        &[("mcp-method", "tools/list")],
    ] {
        assert!(!lenient(headers), "{headers:?}");
    }
    assert!(!is_lenient(&request(Method::GET, &[])));
}
