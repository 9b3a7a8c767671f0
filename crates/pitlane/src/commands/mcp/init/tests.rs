//! Every client's file, as it is written and as it is left alone.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use clap::ValueEnum as _;

use super::super::server::{Server, Source, Variable};
use super::*;

fn process() -> Server {
    let variable = |name: &str, source| Variable { name: name.to_owned(), source };
    Server::Process {
        command: "/usr/local/bin/pitlane".to_owned(),
        arguments: ["mcp", "start", "--toolset", "minimal"].map(str::to_owned).to_vec(),
        variables: vec![variable("PITLANE_STATE", Source::Text("/srv/pitlane".to_owned()))],
    }
}

fn address() -> Server {
    Server::Address {
        url: "https://pitlane.example.org/mcp".to_owned(),
        key: Source::Text("dtn_0123".to_owned()),
    }
}

fn by_variable() -> Server {
    Server::Address {
        url: "http://127.0.0.1:8001/mcp".to_owned(),
        key: Source::Variable("PITLANE_API_KEY".to_owned()),
    }
}

fn edited(client: Client, text: &str, server: &Server) -> String {
    client.edit(text, "pitlane", server).unwrap_or_else(|refused| format!("refused: {refused}\n"))
}

/// A file of the client's with what people put into one.
fn lived_in(client: Client, has_comments: bool) -> String {
    if client == Client::Codex {
        let text = "# mine\nmodel = \"o9\"   # the good one\n\n[mcp_servers.other] # keep\ncommand = 'other'\nargs = [ 'a',\n  'b' ]\n\n[tui]\ntheme = \"dark\"\n";
        return if has_comments {
            text.to_owned()
        } else {
            text.replace("# mine\n", "").replace("   # the good one", "").replace(" # keep", "")
        };
    }
    let section = match client {
        Client::Vscode => "servers",
        Client::Opencode => "mcp",
        Client::Zed => "context_servers",
        Client::Claude | Client::Cursor | Client::Windsurf | Client::Codex | Client::Gemini => {
            "mcpServers"
        }
    };
    let (top, line, block) = if has_comments {
        ("    // mine\n", "  // the good one", " /* keep */")
    } else {
        ("", "", "")
    };
    format!(
        "{{\n{top}    \"theme\" :  \"dark\",{line}\n    \"{section}\": {{\n        \"other\": {{ \"command\": \"other\", \"n\": 1.50 }}{block}\n    }},\n    \"z\": [1,2],\n    \"a\": null\n}}\n"
    )
}

#[test]
fn every_client_gets_its_own_form() {
    for client in Client::value_variants() {
        let mut shown = String::new();
        for (what, server) in
            [("a process", process()), ("an address", address()), ("by variable", by_variable())]
        {
            writeln!(shown, "=== {what}, no file\n{}", edited(*client, "", &server)).unwrap();
        }
        for has_comments in [false, true] {
            let before = lived_in(*client, has_comments);
            let what = if has_comments { "comments" } else { "other servers" };
            writeln!(shown, "=== {what}\n{}", edited(*client, &before, &process())).unwrap();
        }
        insta::assert_snapshot!(format!("client-{client}"), shown);
    }
}

#[test]
fn doing_it_twice_is_doing_it_once() {
    for client in Client::value_variants() {
        for before in [String::new(), lived_in(*client, false)] {
            for server in [process(), address()] {
                let once = edited(*client, &before, &server);
                assert_ne!(once, before);
                assert_eq!(edited(*client, &once, &server), once, "{client}");
            }
        }
    }
}

#[test]
fn nothing_else_in_the_file_is_changed() {
    for client in Client::value_variants() {
        // Claude Code reads no comments.
        let before = lived_in(*client, *client != Client::Claude);
        let after = edited(*client, &before, &process());
        // Every line is still there, in order, but for the comma that the entry before ours needs.
        let mut lines = after.lines();
        for line in before.lines() {
            let with_comma = line.replacen(" }", " },", 1);
            assert!(
                lines.any(|found| found == line || found == with_comma),
                "{client}: {line:?} in\n{after}"
            );
        }
    }
}

#[test]
fn an_entry_that_is_there_keeps_what_its_user_added_to_it() {
    let json = "{\"mcpServers\": {\n  // ours\n  \"pitlane\": {\"url\": \"http://old/mcp\", \"headers\": {\"X\": \"1\"}, \"timeout\": 5,\n    \"disabled\": true,\n  },\n}}";
    insta::assert_snapshot!("kept-json", edited(Client::Cursor, json, &process()));
    let toml = "[mcp_servers.pitlane] # ours\nurl = \"http://old/mcp\"\nstartup_timeout_sec = 5\n# last\nenabled = false\n";
    insta::assert_snapshot!("kept-toml", edited(Client::Codex, toml, &process()));
    let inline = "mcp_servers = { pitlane = { command = \"old\", env = { A = \"b\" } } }\n";
    insta::assert_snapshot!("kept-inline", edited(Client::Codex, inline, &process()));
    let disabled =
        edited(Client::Opencode, "{\"mcp\": {\"pitlane\": {\"enabled\": false}}}", &address());
    assert!(disabled.contains("\"enabled\": false"), "{disabled}");
}

#[test]
fn odd_files_keep_their_oddities() {
    let crlf = edited(Client::Cursor, "{\r\n\t\"a\": 1\r\n}\r\n", &by_variable());
    assert_eq!(crlf.matches('\n').count(), crlf.matches("\r\n").count(), "{crlf:?}");
    assert!(crlf.contains("\r\n\t\t\"pitlane\""), "{crlf:?}");
    assert!(edited(Client::Zed, "\u{feff}{}", &address()).starts_with("\u{feff}{"));
    insta::assert_snapshot!(
        "one-line",
        edited(Client::Cursor, "{\"mcpServers\":{\"a\":{\"command\":\"x\"}}}", &address())
    );
    let comment = edited(Client::Zed, "// Zed settings\n", &address());
    assert!(comment.starts_with("// Zed settings\n{"), "{comment}");
}

#[test]
fn a_broken_file_is_refused_with_the_place() {
    let refused = |client: Client, text: &str| {
        client.edit(text, "pitlane", &process()).unwrap_err().to_string()
    };
    let mut shown = String::new();
    for (client, text) in [
        (Client::Claude, "{\n  \"mcpServers\": {\n    \"a\": {}\n    \"b\": {}\n  }\n}"),
        (Client::Claude, "{\n  // no\n}"),
        (Client::Claude, "{\"mcpServers\": {},}"),
        (Client::Gemini, "{\n  \"a\": 1, // yes\n}"),
        (Client::Cursor, "{\"mcpServers\": {"),
        (Client::Cursor, "[]"),
        (Client::Cursor, "{} {}"),
        (Client::Vscode, "{\"servers\": \"none\"}"),
        (Client::Vscode, "{\"servers\": {},\n \"servers\": {}}"),
        (Client::Windsurf, "{'mcpServers': {}}"),
        (Client::Opencode, "{\"mcp\": {\"pitlane\": [1]}}"),
        (Client::Opencode, "{\"mcp\": {\"pitlane\": {\"environment\": 1}}}"),
        (Client::Zed, "{\"context_servers\": null}"),
        (Client::Codex, "model = \"o9\"\n[mcp_servers\n"),
        (Client::Codex, "a = 1\na = 2\n"),
        (Client::Codex, "mcp_servers = 3\n"),
        (Client::Codex, "[mcp_servers]\npitlane = \"x\"\n"),
        (Client::Codex, "[[mcp_servers]]\n"),
    ] {
        writeln!(shown, "{client}: {text:?}\n  {}", refused(client, text)).unwrap();
    }
    insta::assert_snapshot!("broken", shown);
    let question = Client::Vscode.edit("{\"inputs\": {}}", "pitlane", &by_variable()).unwrap_err();
    assert_eq!(question.to_string(), "line 1, column 12: `inputs` is no list");
}

#[test]
fn variables_are_written_as_each_client_reads_them() {
    let server = Server::Process {
        command: "pitlane".to_owned(),
        arguments: Vec::new(),
        variables: vec![Variable {
            name: "PITLANE_API_KEY".to_owned(),
            source: Source::Variable("PITLANE_API_KEY".to_owned()),
        }],
    };
    let found: Vec<String> = Client::value_variants()
        .iter()
        .map(|client| {
            let text = edited(*client, "", &server);
            let line = text
                .lines()
                .find(|line| line.contains("PITLANE_API_KEY") || line.starts_with("refused"));
            format!("{client}: {}", line.unwrap_or_default().trim())
        })
        .collect();
    insta::assert_snapshot!("variables", found.join("\n"));
}

#[test]
fn a_file_is_written_once_and_then_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let folders = Folders {
        home: home.path().to_owned(),
        settings: home.path().join(".config"),
        claude: None,
        codex: None,
        gemini: None,
    };
    let access = Access { follow_links: false, is_private: true };
    for client in Client::value_variants() {
        let place = client.users(&folders).unwrap();
        let change = || write(*client, "pitlane", &address(), &place, access).unwrap().0.change;
        assert_eq!((change(), change()), (Change::Created, Change::Unchanged));
        let inode =
            || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&place.file).unwrap());
        let before = inode();
        assert_eq!((change(), inode()), (Change::Unchanged, before));
        std::fs::set_permissions(&place.file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (_, notes) = write(*client, "pitlane", &address(), &place, access).unwrap();
        assert!(notes[0].starts_with("others may read the key in it: chmod 600 "), "{notes:?}");
        std::fs::write(&place.file, "{ = ").unwrap();
        let refused =
            write(*client, "pitlane", &address(), &place, access).unwrap_err().to_string();
        assert!(
            refused.contains("cannot change") && refused.contains("line 1, column "),
            "{refused}"
        );
        assert_eq!(std::fs::read_to_string(&place.file).unwrap(), "{ = ");
    }
}

#[test]
fn a_name_is_plain() {
    assert_eq!(server_name("pitlane-2_x"), Ok("pitlane-2_x".to_owned()));
    for bad in ["", "a b", "a.b", "ä", &"x".repeat(65)] {
        assert!(server_name(bad).is_err(), "{bad}");
    }
}
