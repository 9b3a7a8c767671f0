use std::fmt::Write as _;
use std::path::Path;

use clap::Command;

use super::{Setting, Settings, UplinkSetting, arguments, file, list};
use crate::failure::Failure;

fn read(arguments_given: &[&str]) -> Result<Settings, Failure> {
    let command = arguments(Command::new("serve").no_binary_name(true));
    Settings::read(&command.try_get_matches_from(arguments_given)?)
}

/// Reads with a file of settings.
fn read_file(text: &str, more: &[&str]) -> Result<Settings, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap();
    read(&[&["--config", path], more].concat())
        .map_err(|failure| failure.to_string().replace(path, "FILE"))
}

#[test]
fn every_default_is_understood() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.listen, "127.0.0.1:3986".parse().unwrap());
    assert_eq!(settings.state, Path::new("/var/lib/pitlane"));
    assert_eq!((settings.prepared, settings.first_id), (8, 1 << 31));
}

#[test]
fn a_flag_comes_before_the_file_and_the_file_before_the_default() {
    let file = "listen = '127.0.0.1:1'\n[sandboxes]\nprepared = 3\n[network]\nuplink = 'host'\n";
    let settings = read_file(file, &["--listen", "127.0.0.1:2"]).unwrap();
    assert_eq!(settings.listen, "127.0.0.1:2".parse().unwrap());
    assert_eq!(settings.prepared, 3);
    assert_eq!(settings.uplink, UplinkSetting::Host);
    assert_eq!(settings.max_connections, 10_000);
}

#[test]
fn a_list_is_given_with_commas_or_as_a_list() {
    let ranges = ["10.1.0.0/16".parse().unwrap(), "192.168.7.0/24".parse().unwrap()];
    let settings = read(&["--allow-private", "10.1.0.0/16, 192.168.7.0/24"]).unwrap();
    assert_eq!(settings.allow_private, ranges);
    let file = "[network]\nallow_private = ['10.1.0.0/16', '192.168.7.0/24']\n";
    assert_eq!(read_file(file, &[]).unwrap().allow_private, ranges);
}

#[test]
fn a_wrong_value_is_told_with_where_it_stood() {
    let said = |failure: Failure| failure.to_string().lines().next().unwrap_or_default().to_owned();
    let failures = [
        read(&["--listen", "here"]).map_err(said).unwrap_err(),
        read(&["--uplink", "wifi"]).map_err(said).unwrap_err(),
        read(&["--max-cpu", "0"]).map_err(said).unwrap_err(),
        read(&["--public-url", "host"]).map_err(said).unwrap_err(),
        read_file("listen = 'here'\n", &[]).unwrap_err(),
        read_file("[network]\nup = 1\n", &[]).unwrap_err(),
        read_file("listen = 1.5\n", &[]).unwrap_err(),
        read_file("listen = ", &[]).unwrap_err(),
        read(&["--config", "/nowhere.toml"]).map_err(|f| f.to_string()).unwrap_err(),
    ];
    insta::assert_snapshot!(failures.join("\n"));
}

#[test]
fn a_password_in_an_address_that_is_refused_is_not_repeated() {
    for url in
        ["https://me:sesame@h", "http://me:sesame@h/#x", "me:sesame@h", "http://h/?t=sesame@"]
    {
        let refused =
            read(&["--public-url", url]).map_err(|failure| failure.to_string()).unwrap_err();
        assert!(!refused.contains("same"), "{refused}");
        assert!(refused.contains("--public-url cannot be what was given: "), "{refused}");
    }
}

#[test]
fn a_setting_is_shown_with_its_place_and_a_secret_is_not() {
    let command = arguments(Command::new("serve").no_binary_name(true));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[sandboxes]\nprepared = 3\n").unwrap();
    let path = file.path().to_str().unwrap();
    let matches = command.try_get_matches_from(["--config", path, "--first-id", "65536"]).unwrap();
    let shown = Settings::shown(&matches).unwrap();
    assert_eq!(shown.len(), list::all().count());
    let told = |key: &str| {
        let one = shown.iter().find(|one| one.key == key).unwrap();
        (one.value.clone(), one.place)
    };
    assert_eq!(told("sandboxes.prepared"), ("3".to_owned(), "file"));
    assert_eq!(told("sandboxes.first_id"), ("65536".to_owned(), "flag"));
    assert_eq!(told("log.filter"), ("info".to_owned(), "default"));
    for (key, wanted) in [
        ("storage.secret", true),
        ("storage.access_key", true),
        ("proxy.password", true),
        ("rate_limits.create_per_key", false),
        ("listen", false),
    ] {
        assert_eq!(super::is_secret(key), wanted, "{key}");
    }
}

#[test]
fn every_setting_has_one_flag_one_key_and_one_variable() {
    for of in [|setting: &Setting| setting.flag, |setting: &Setting| setting.key] {
        let mut names: Vec<&str> = list::all().map(of).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), list::all().count());
    }
    for setting in list::all() {
        let derived = setting.flag.replace('-', "_").to_uppercase();
        assert_eq!(setting.variable, format!("PITLANE_{derived}"));
    }
}

#[test]
fn the_documentation_has_the_table_that_the_list_gives() {
    let mut table =
        "| in the file | flag | variable | default | what it decides |\n|---|---|---|---|---|\n"
            .to_owned();
    for setting in list::all() {
        let default = match setting.default {
            "" => "–".to_owned(),
            default => format!("`{default}`"),
        };
        writeln!(
            table,
            "| `{}` | `--{} {}` | `{}` | {default} | {} |",
            setting.key,
            setting.flag,
            setting.value,
            setting.variable,
            setting.help.replace('|', "\\|"),
        )
        .unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(&table), "docs/configuration.md lacks this table:\n{table}");
}

#[test]
fn the_example_in_the_documentation_is_understood() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    let example = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(file::understand(example, "the example").unwrap().len() > 3);
    read_file(example, &[]).unwrap();
}
