//! Whatever is in a client's file: an entry is put in, and not a character taken out or changed.

use clap::ValueEnum as _;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::super::server::{Server, Source};
use super::Client;

fn server() -> impl Strategy<Value = Server> {
    let process = Server::Process {
        command: "/usr/local/bin/pitlane".to_owned(),
        arguments: ["mcp", "start"].map(str::to_owned).to_vec(),
        variables: Vec::new(),
    };
    let address = Server::Address {
        url: "https://pitlane.example.org/mcp".to_owned(),
        key: Source::Text("dtn_0123".to_owned()),
    };
    prop_oneof![Just(process), Just(address)]
}

/// Clients whose files are JSON, and where in them servers are.
fn client_of_json() -> impl Strategy<Value = (Client, &'static str)> {
    let all: Vec<_> = Client::value_variants()
        .iter()
        .filter_map(|client| match client {
            Client::Codex => None,
            Client::Vscode => Some((*client, "servers")),
            Client::Opencode => Some((*client, "mcp")),
            Client::Zed => Some((*client, "context_servers")),
            Client::Claude | Client::Cursor | Client::Windsurf | Client::Gemini => {
                Some((*client, "mcpServers"))
            }
        })
        .collect();
    prop::sample::select(all)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{1,8}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A file with other settings and perhaps other servers.
fn file() -> impl Strategy<Value = (Map<String, Value>, Option<Map<String, Value>>)> {
    let fields = || prop::collection::btree_map("x\\PC{0,8}", value(), 0..4);
    (fields(), prop::option::of(fields())).prop_map(|(all, servers)| {
        let map = |fields: std::collections::BTreeMap<_, _>| fields.into_iter().collect();
        (map(all), servers.map(map))
    })
}

/// JSON as people lay it out: `gaps` are what stands between its tokens, one after the other and again from the first.
fn laid_out(value: &Value, gaps: &[&str], next: &mut usize, text: &mut String) {
    let mut gap = |text: &mut String| {
        text.push_str(gaps[*next % gaps.len()]);
        *next += 1;
    };
    gap(text);
    match value {
        Value::Array(items) => {
            text.push('[');
            for (number, item) in items.iter().enumerate() {
                text.push_str(if number == 0 { "" } else { "," });
                laid_out(item, gaps, next, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (number, (name, field)) in fields.iter().enumerate() {
                text.push_str(if number == 0 { "" } else { "," });
                laid_out(&Value::from(name.as_str()), gaps, next, text);
                text.push(':');
                laid_out(field, gaps, next, text);
            }
            text.push('}');
        }
        other => text.push_str(&other.to_string()),
    }
    text.push_str(gaps[*next % gaps.len()]);
    *next += 1;
}

fn gap() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", " ", "\n", "\n    ", "\t", "\r\n  "])
}

/// What is between tokens where comments may be; a file is a file with each of them.
fn gap_with_comments() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        " ",
        "\n  ",
        " // mine, {\"a\": 1},\n",
        "/* [ */",
        "\n/* a\n  b */\n",
    ])
}

/// Whether nothing was taken out of `before` or put in another order. White space beside the bracket that something is put
/// in before may change, when one line becomes several.
fn is_kept(before: &str, after: &str) -> bool {
    let mut rest = after.chars();
    let mut wanted = before.chars().filter(|wanted| !wanted.is_whitespace());
    wanted.all(|wanted| rest.any(|found| found == wanted))
}

/// The whole file.
fn whole(all: &Map<String, Value>, section: &str, servers: Option<&Map<String, Value>>) -> Value {
    let mut all = all.clone();
    if let Some(servers) = servers {
        all.insert(section.to_owned(), Value::Object(servers.clone()));
    }
    Value::Object(all)
}

proptest! {
    #[test]
    fn an_entry_is_put_into_any_json_and_nothing_else_is_changed(
        (client, section) in client_of_json(),
        server in server(),
        (all, servers) in file(),
        gaps in prop::collection::vec(gap(), 1..9),
    ) {
        let file = whole(&all, section, servers.as_ref());
        let mut before = String::new();
        laid_out(&file, &gaps, &mut 0, &mut before);
        let after = client.edit(&before, "pitlane", &server).unwrap();
        prop_assert!(is_kept(&before, &after), "{before}\n{after}");
        let mut found: Value = serde_json::from_str(&after).unwrap();
        let fields = found.as_object_mut().unwrap();
        let entry = fields[section].as_object_mut().unwrap().remove("pitlane");
        prop_assert!(entry.is_some());
        if servers.is_none() {
            fields.remove(section);
        }
        prop_assert_eq!(found, file);
        prop_assert_eq!(client.edit(&after, "pitlane", &server).unwrap(), after);
    }

    #[test]
    fn comments_stay_where_they_are(
        (client, section) in client_of_json(),
        server in server(),
        (all, servers) in file(),
        gaps in prop::collection::vec(gap_with_comments(), 1..9),
    ) {
        // Claude Code reads none.
        prop_assume!(client != Client::Claude);
        let mut before = String::new();
        laid_out(&whole(&all, section, servers.as_ref()), &gaps, &mut 0, &mut before);
        let after = client.edit(&before, "pitlane", &server).unwrap();
        prop_assert!(is_kept(&before, &after), "{before}\n{after}");
        prop_assert_eq!(client.edit(&after, "pitlane", &server).unwrap(), after);
    }

    #[test]
    fn an_entry_is_put_into_any_toml_and_nothing_else_is_changed(
        server in server(),
        fields in prop::collection::btree_map("x[a-z_-]{0,6}", line_of_toml(), 0..4),
        others in prop::collection::btree_map("x[a-z]{0,6}", line_of_toml(), 0..3),
        has_servers in any::<bool>(),
    ) {
        let mut before = String::new();
        for (name, (value, end)) in &fields {
            before.push_str(&format!("{name} = {value}{end}\n"));
        }
        for (name, (value, end)) in &others {
            let table = if has_servers { "mcp_servers." } else { "" };
            before.push_str(&format!("\n[{table}y{name}]{end}\ncommand = {value}\n"));
        }
        let after = Client::Codex.edit(&before, "pitlane", &server).unwrap();
        prop_assert!(is_kept(&before, &after), "{before}\n{after}");
        let mut found: toml::Table = toml::from_str(&after).unwrap();
        let servers = found["mcp_servers"].as_table_mut().unwrap();
        prop_assert!(servers.remove("pitlane").is_some());
        if servers.is_empty() {
            found.remove("mcp_servers");
        }
        prop_assert_eq!(found, toml::from_str::<toml::Table>(&before).unwrap());
        prop_assert_eq!(Client::Codex.edit(&after, "pitlane", &server).unwrap(), after);
    }
}

/// A value and what stands behind it.
fn line_of_toml() -> impl Strategy<Value = (&'static str, &'static str)> {
    let value = prop::sample::select(vec![
        "1",
        "\"a # b\"",
        "'lite[r]al'",
        "[ 1,\n  2, # two\n]",
        "{ a = 1, b.c = 'd' }",
        "2026-07-28",
        "\"\"\"\n[mcp_servers.pitlane]\n\"\"\"",
    ]);
    (value, prop::sample::select(vec!["", "  ", " # mine", "\t# [x]"]))
}
