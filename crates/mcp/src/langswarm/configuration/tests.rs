use std::path::Path;
use std::time::Duration;

use pitlane_tools::{Permission, Settings};

use super::{Backend, Configuration, Sandboxes};

fn variable(name: &str) -> Option<String> {
    (name == "KEY").then(|| "dtn_secret".to_owned())
}

fn parse(text: &str) -> Result<Configuration, String> {
    Configuration::parse(Path::new("tools.yaml"), text, &variable)
        .map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err()
}

#[test]
fn a_tool_for_a_server_has_all_that_its_file_says() {
    let text = "
version: '2.0'
agents: [{anything: goes}]
tools:
  - id: daytona
    type: daytona_environment
    description: Sandboxes
    local_mode: true
    pattern: hybrid
    main_workflow: use_daytona_environment_tool
    permission: developer
    methods: [execute_code, execute_shell]
    config:
      api_key: ${KEY}
      api_url: 'https://app.example.org/api/'
      default_language: typescript
      default_persistent: yes
      timeout: 60
      retry_count: 0
";
    let parsed = parse(text).unwrap();
    let tool = parsed.tool(None).unwrap();
    let settings = Settings {
        default_language: "typescript".to_owned(),
        default_persistent: true,
        timeout: Duration::from_secs(60),
        retry_count: 0,
        permission: Permission::Developer,
        ..Settings::default()
    };
    let described = (tool.id.as_str(), tool.description.as_deref());
    assert_eq!(described, ("daytona", Some("Sandboxes")));
    assert_eq!(
        parsed.notes(),
        [
            "tools.yaml:8:17: tools[0].local_mode: has no effect: these tools run in this process, and not in LangSwarm's",
            "tools.yaml:9:14: tools[0].pattern: has no effect: calls are understood as a method with parameters, not as a \
             sentence",
            "tools.yaml:10:20: tools[0].main_workflow: has no effect: workflows are run by LangSwarm, not here",
        ]
    );
    assert_eq!((&tool.settings, tool.methods.len()), (&settings, 2));
    let sandboxes = Sandboxes {
        api_url: Some("https://app.example.org/api".to_owned()),
        api_key: Some("dtn_secret".to_owned()),
    };
    assert_eq!(tool.backend, Backend::Sandboxes(sandboxes));
    assert!(!format!("{parsed:?}").contains("secret"));
}

#[test]
fn a_remote_server_is_named_in_either_spelling() {
    let seeds = "tools:\n- {id: a, type: remote_mcp, url: 'http://h:8001', timeout: 30, retry_count: 3,\n   \
                 auth: {type: api_key, header: X-API-Key, key: '${KEY}'}}\n";
    let loader = "tools:\n- {id: a, type: mcpremote, mcp_url: 'http://h:8001', timeout: 30, retry_count: 3,\n   \
                  headers: {x-api-key: '${KEY}'}}\n";
    let (one, other) = (parse(seeds).unwrap(), parse(loader).unwrap());
    assert_eq!(one, other);
    let Backend::Remote(remote) = &one.tools()[0].backend else { unreachable!() };
    let (name, value) = &remote.headers[0];
    assert_eq!((remote.url.as_str(), name.as_str()), ("http://h:8001", "x-api-key"));
    assert_eq!((value.to_str().unwrap(), value.is_sensitive()), ("dtn_secret", true));
    assert!(!format!("{one:?}").contains("secret"));
    let bearer = "tools:\n- {id: a, type: remote_mcp, url: 'http://h', auth: {type: bearer, token: '${KEY}'}}\n";
    let Backend::Remote(remote) = &parse(bearer).unwrap().tools()[0].backend.clone() else {
        unreachable!()
    };
    assert_eq!(remote.headers[0].1.to_str().unwrap(), "Bearer dtn_secret");
}

#[test]
fn what_says_how_it_is_anyway_needs_no_note() {
    let text = "tools:\n- {id: a, type: daytona_environment, local_mode: false, pattern: direct}\n";
    assert_eq!(parse(text).unwrap().notes(), [""; 0]);
}

#[test]
fn all_faults_are_told_with_file_line_and_key() {
    let text = "tools:
  - id: a b
    type: daytona_environment
    permision: admin
    config:
      api_key: ${MISSING}
      timeout: soon
      defaultlanguage: python
  - id: x
    type: remote_mcp
    url: ftp://h
    retrycount: 3
  - type: filesystem
  - id: x
    type: mcpremote
    methods: [create_sandboxes]
    local_mode: maybe
    auth: {type: basic}
";
    let wanted = "\
tools.yaml:2:9: tools[0].id: is not made of letters, digits, '_' and '-'
tools.yaml:4:5: tools[0].permision: is unknown here; did you mean 'permission'?
tools.yaml:6:16: tools[0].config.api_key: the variable MISSING is not set; export MISSING=…
tools.yaml:7:16: tools[0].config.timeout: is not a whole number from 1 to 86400
tools.yaml:8:7: tools[0].config.defaultlanguage: is unknown here; did you mean 'default_language'?
tools.yaml:11:10: tools[1].url: is not an http:// or https:// address without a user or password
tools.yaml:12:5: tools[1].retrycount: is unknown here; did you mean 'retry_count'?
tools.yaml:13:5: tools[2].id: is missing
tools.yaml:13:11: tools[2].type: 'filesystem' is unknown; there are daytona_environment, remote_mcp, mcpremote
tools.yaml:14:5: tools[3].url: is missing: the server's address
tools.yaml:16:15: tools[3].methods[0]: 'create_sandboxes' is unknown; did you mean 'create_sandbox'?
tools.yaml:17:17: tools[3].local_mode: is neither true nor false
tools.yaml:18:18: tools[3].auth.type: 'basic' is not one of api_key, bearer";
    assert_eq!(refused(text), wanted);
}

#[test]
fn files_that_are_no_list_of_tools_are_told_why() {
    let cases = [
        ("", "tools.yaml:1:1: is empty"),
        ("tools:\n", "tools.yaml:1:1: tools: is missing: a list of tools"),
        ("tools: []\n", "tools.yaml:1:1: tools: is empty: name at least one tool"),
        ("tools: {}\n", "tools.yaml:1:8: tools: is not a list\ntools.yaml:1:1: tools: is empty"),
        ("- a\n", "tools.yaml:1:1: is not a map of keys and values"),
        ("tool: []\n", "tools.yaml:1:1: tool: is unknown here; did you mean 'tools'?"),
        ("tools: [a]\n", "tools.yaml:1:9: tools[0]: is not a map of keys and values"),
        ("a: 1\na: 2\n", "tools.yaml:2:1: the key 'a' is there twice"),
        ("a: &x 1\nb: *x\n", "tools.yaml:2:4: aliases are not understood here"),
        ("a: !!str 1\n", "tools.yaml:1:4: tags are not understood here"),
        ("a: 1\n---\nb: 2\n", "tools.yaml:2:1: a second document begins; one is read"),
        ("tools: [\n", "tools.yaml:2:1: is not YAML: "),
        ("[a]: 1\n", "tools.yaml:1:1: a key is a text"),
    ];
    for (text, wanted) in cases {
        let said = refused(text);
        let begins = said.lines().any(|line| wanted.lines().any(|wanted| line.starts_with(wanted)));
        assert!(begins, "{text:?} said {said}");
    }
}

#[test]
fn two_tools_of_one_id_and_two_addresses_of_one_tool_are_faults() {
    let twice =
        "tools:\n- {id: a, type: daytona_environment}\n- {id: a, type: daytona_environment}\n";
    assert_eq!(
        refused(twice),
        "tools.yaml:3:3: tools[1].id: 'a' is the id of another tool of this file"
    );
    let both = "tools:\n- {id: a, type: remote_mcp, url: 'http://h', mcp_url: 'http://h'}\n";
    assert_eq!(
        refused(both),
        "tools.yaml:2:55: tools[0].mcp_url: is the same as 'url': give one of them"
    );
}

#[test]
fn variables_are_filled_in_anywhere_and_never_repeated_in_a_message() {
    let tool = |line: &str| format!("tools:\n- id: a\n  type: daytona_environment\n  {line}\n");
    let wrong = refused(&tool("timeout: ${KEY}"));
    assert!(wrong.contains("tools[0].timeout") && !wrong.contains("secret"), "{wrong}");
    for line in
        ["description: '${'", "description: '${}'", "description: '${A-B}'", "description: '${1}'"]
    {
        assert!(refused(&tool(line)).contains("tools.yaml:4:16: tools[0].description: "), "{line}");
    }
    let parsed = parse(&tool("description: 'a ${KEY} b ${KEY}'")).unwrap();
    assert_eq!(parsed.tools()[0].description.as_deref(), Some("a dtn_secret b dtn_secret"));
    let pattern = refused(&tool("pattern: ${KEY}"));
    assert!(!pattern.contains("secret"), "{pattern}");
}

#[test]
fn deep_long_and_broken_files_end_quickly() {
    let deep = "[".repeat(10_000);
    assert!(refused(&deep).contains("recursion limit exceeded"), "{}", refused(&deep));
    let less_deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    assert!(refused(&less_deep).contains("is nested deeper than 32 levels"));
    let blocks: String =
        (0..10_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).take(200).collect();
    assert!(refused(&blocks).contains("is nested deeper than 32 levels"));
    assert!(refused(&"a".repeat((1 << 20) + 1)).contains("is longer than"));
    let name = "x".repeat(1000);
    assert!(refused(&format!("{name}: 1")).contains("is unknown here"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_understood_or_refused(text in "\\PC{0,400}") {
        drop(parse(&text));
    }

    #[test]
    fn texts_that_look_like_files_of_tools_are_understood_or_refused_with_a_place(
        lines in proptest::collection::vec((0..6_usize, "(- )?(id|type|url|auth|config|tools|headers|x)?:? ?([\\[\\]{},&*!'\"|>-]|a|daytona_environment|remote_mcp|\\$\\{KEY\\}|\\$\\{)?"), 0..12)
    ) {
        let lines: Vec<String> = lines.into_iter().map(|(depth, line)| format!("{}{line}", " ".repeat(depth))).collect();
        let text = format!("tools:\n{}\n", lines.join("\n"));
        if let Err(error) = Configuration::parse(Path::new("f"), &text, &variable) {
            proptest::prop_assert!(!error.faults().is_empty() && !error.to_string().contains("secret"));
            proptest::prop_assert!(error.faults().iter().all(|fault| fault.line >= 1 && fault.column >= 1));
        }
    }
}
