use pitlane_control::{CreateSandbox, RequestedLimits, RequestedMount, Source};
use pitlane_model::{
    Environment, Labels, Lifecycle, MountPath, NetworkPolicy, SandboxName, Subpath,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::of;

fn wish(body: Value) -> Option<CreateSandbox> {
    of(serde_json::from_value(body).ok()?).ok()
}

#[test]
fn an_empty_body_wishes_for_a_plain_sandbox() {
    assert_eq!(wish(json!({})), Some(CreateSandbox::plain()));
    let empty = json!({
        "name": "", "snapshot": "", "user": "", "target": "", "env": {}, "labels": {}, "volumes": [],
        "secrets": [], "gpu": 0, "gpuType": [], "networkAllowList": "", "autoPauseInterval": 0,
    });
    assert_eq!(wish(empty), Some(CreateSandbox::plain()));
}

#[test]
fn a_sandbox_starts_from_one_thing() {
    let build = json!({"dockerfileContent": "FROM a:1"});
    let source = wish(json!({"buildInfo": build})).unwrap().source;
    assert_eq!(source, Source::Image("a:1".parse().unwrap()));
    let built = wish(json!({"buildInfo": {"dockerfileContent": "FROM a\nRUN b"}})).unwrap().source;
    assert!(matches!(built, Source::Build(_)), "{built:?}");
    assert_eq!(wish(json!({"snapshot": "s", "buildInfo": build})), None);
}

#[test]
fn every_field_that_is_understood_is_in_the_wish() {
    let body = json!({
        "name": "n", "snapshot": "s", "user": "u", "target": "t", "env": {"A": "1"},
        "labels": {"a": "b"}, "cpu": 1, "memory": 2, "disk": 3, "public": true,
        "networkBlockAll": true, "autoStopInterval": 4, "autoArchiveInterval": 5,
        "autoDeleteInterval": 6, "ttlMinutes": 7,
        "volumes": [{"volumeId": "v", "mountPath": "/v/", "subpath": "a/b"},
                    {"volumeId": "w", "mountPath": "/w", "subpath": ""}],
    });
    let volume = |volume: &str, path: &str, subpath: Option<&str>| RequestedMount {
        volume: volume.to_owned(),
        path: MountPath::new(path).unwrap(),
        subpath: subpath.map(|path| Subpath::new(path).unwrap()),
    };
    let pair = |key: &str, value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
    let wanted = CreateSandbox {
        name: Some(SandboxName::new("n").unwrap()),
        source: Source::Snapshot("s".to_owned()),
        user: Some("u".to_owned()),
        environment: Environment::new(pair("A", "1")).unwrap(),
        labels: pair("a", "b"),
        limits: RequestedLimits { cpu_count: Some(1), memory_gib: Some(2), disk_gib: Some(3) },
        lifecycle: Lifecycle { auto_stop: 4, auto_archive: 5, auto_delete: Some(6), ttl: 7 },
        network: NetworkPolicy::Blocked,
        is_public: true,
        volumes: vec![volume("v", "/v", Some("a/b")), volume("w", "/w", None)],
        target: Some("t".to_owned()),
    };
    assert_eq!(wish(body), Some(wanted));
}

#[test]
fn an_interval_of_deletion_is_never_at_once_or_later() {
    for (interval, wanted) in [(-5, None), (-1, None), (0, Some(0)), (1, Some(1))] {
        let made = wish(json!({"autoDeleteInterval": interval})).unwrap();
        assert_eq!(made.lifecycle.auto_delete, wanted, "{interval}");
    }
    assert!(wish(json!({"autoDeleteInterval": 0})).unwrap().lifecycle.is_ephemeral());
    assert_eq!(wish(json!({"autoDeleteInterval": 1_i64 << 40})), None);
}

#[test]
fn an_open_network_is_never_what_a_blocked_one_becomes() {
    let network = |body: Value| wish(body).unwrap().network;
    assert_eq!(network(json!({"networkBlockAll": true})), NetworkPolicy::Blocked);
    assert_eq!(network(json!({"networkBlockAll": false})), NetworkPolicy::Open);
    assert_eq!(network(json!({"networkBlockAll": null})), NetworkPolicy::Open);
    for almost in [json!("true"), json!(1), json!([true])] {
        assert_eq!(wish(json!({ "networkBlockAll": almost })), None);
    }
}

/// Any JSON, small and not deep.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const FIELDS: [&str; 28] = [
    "name",
    "snapshot",
    "user",
    "env",
    "labels",
    "public",
    "networkBlockAll",
    "kvm",
    "networkAllowList",
    "domainAllowList",
    "outboundProxyUrl",
    "otelEndpointOverride",
    "target",
    "cpu",
    "gpu",
    "gpuType",
    "spot",
    "memory",
    "disk",
    "autoStopInterval",
    "autoPauseInterval",
    "autoArchiveInterval",
    "autoDeleteInterval",
    "ttlMinutes",
    "volumes",
    "buildInfo",
    "secrets",
    "linkedSandbox",
];

/// What may be asked for without being given, because nothing of a sandbox depends on it.
const INDIFFERENT: [&str; 2] = ["kvm", "spot"];

proptest! {
    #[test]
    fn a_field_changes_the_wish_or_says_nothing_or_is_refused(
        field in prop::sample::select(&FIELDS[..]),
        value in any_value(),
    ) {
        if let Some(made) = wish(json!({field: value})) {
            let says_nothing = match &value {
                Value::Null | Value::Bool(false) => true,
                Value::Number(number) => number.as_i64().is_some_and(|n| n <= 0 || n == 15),
                Value::String(text) => text.is_empty(),
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                Value::Bool(true) => false,
            };
            prop_assert!(
                made != CreateSandbox::plain() || says_nothing || INDIFFERENT.contains(&field),
                "{field} = {value} was left out in silence"
            );
        }
    }
}
