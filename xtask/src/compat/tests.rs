use std::path::Path;

use super::row::{Coverage, Operations, Status};
use super::{Files, Wanted, wanted};

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn the_checked_in_list_and_table_are_what_the_command_writes() {
    let files = Files::under(repository());
    let found = Wanted {
        coverage: std::fs::read_to_string(&files.coverage).unwrap(),
        table: std::fs::read_to_string(&files.table).unwrap(),
    };
    let wanted = wanted(&files).unwrap();
    assert!(found == wanted, "run `cargo xtask compat` and commit what it changes");
}

#[test]
fn a_new_operation_gets_a_row_and_an_old_row_keeps_its_answer() {
    let operations: Operations = serde_json::from_str(
        r#"{"control": {"published": [
              {"method": "GET", "path": "/a", "id": "getA"},
              {"method": "PUT", "path": "/a", "id": "putA"}], "unpublished": []},
            "toolbox": {"published": [], "unpublished": []}}"#,
    )
    .unwrap();
    let known: Coverage = toml::from_str(
        r#"[control]
           "GET /a" = { id = "oldName", status = "partial", why = "no \"b\"" }
           "GET /gone" = { id = "gone", status = "implemented" }"#,
    )
    .unwrap();

    let coverage = known.brought_up_to(&operations);

    let text = coverage.to_text(&operations);
    assert!(
        text.ends_with(
            r#"
# 2 operations: 0 implemented, 1 partial, 1 planned, 0 refused
[control]
"GET /a" = { id = "getA", status = "partial", why = 'no "b"' }
"PUT /a" = { id = "putA", status = "planned", why = "not begun" }

# 0 operations: 0 implemented, 0 partial, 0 planned, 0 refused
[toolbox]
"#
        ),
        "{text}"
    );
    assert_eq!(toml::from_str::<Coverage>(&text).unwrap(), coverage);
}

#[test]
fn a_row_that_promises_less_than_everything_must_say_why() {
    let silent: Coverage =
        toml::from_str(r#"control."GET /a" = { id = "a", status = "refused" }"#).unwrap();
    assert_eq!(silent.check().unwrap_err().to_string(), "GET /a is refused and does not say why");
    assert_eq!(silent.control["GET /a"].status, Status::Refused);
}
