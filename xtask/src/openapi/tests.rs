use std::path::Path;

use super::{check, wanted};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn the_documents_are_what_the_code_says() {
    check(root()).unwrap();
}

#[test]
fn a_document_is_the_same_twice() {
    assert_eq!(wanted(root()).unwrap(), wanted(root()).unwrap());
}
