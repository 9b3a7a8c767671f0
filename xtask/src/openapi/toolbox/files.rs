//! `/files`.

use pitlane_wire::control::ErrorBody;
use pitlane_wire::toolbox::{
    DownloadFiles, FileInfo, FileMatch, FoundFiles, ReplaceInFiles, Replaced, UploadedFiles,
    UploadedResource,
};
use serde_json::{Value, json};

use crate::openapi::operation::{Content, Operation, boolean, integer, text, word};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("GET /files", "Lists a folder")
            .query("path", text(), "The folder; the work folder without it.")
            .query("depth", integer(1, u32::MAX), "How many levels; 1 without it.")
            .answers::<Vec<FileInfo>>(200, "What is in it, in order."),
        Operation::new("GET /files/info", "Reads what is known of a file or folder")
            .needs("path", word(), "The file or folder.")
            .answers::<FileInfo>(200, "What is known of it."),
        Operation::new("DELETE /files", "Removes a file or folder")
            .needs("path", word(), "The file or folder.")
            .query("recursive", boolean(), "Whether a folder is removed with what is in it.")
            .succeeds(204, "It is gone."),
        Operation::new("POST /files/folder", "Makes a folder and those above it")
            .needs("path", word(), "The folder.")
            .query("mode", mode(), "Its permissions, in octal.")
            .succeeds(201, "It is there.")
            .refuses(&[507]),
        Operation::new("POST /files/move", "Moves or renames a file or folder")
            .needs("source", word(), "What is moved.")
            .needs("destination", word(), "What it is then; nothing may be there yet.")
            .succeeds(200, "It is moved."),
        Operation::new("POST /files/permissions", "Changes permissions and owners")
            .needs("path", word(), "The file or folder.")
            .query("mode", mode(), "Permissions, in octal.")
            .query("owner", text(), "A user, by name or id.")
            .query("group", text(), "A group, by name or id.")
            .succeeds(200, "They are changed."),
        Operation::new("GET /files/find", "Finds lines with a text")
            .needs("path", word(), "A file, or a folder to look through.")
            .needs("pattern", word(), "The text.")
            .answers::<Vec<FileMatch>>(200, "The lines."),
        Operation::new("GET /files/search", "Finds files and folders by their names")
            .needs("path", word(), "The folder to look through.")
            .needs("pattern", word(), "A pattern with `*`, `?` and `[…]` for a whole name.")
            .answers::<FoundFiles>(200, "Their paths."),
        Operation::new("POST /files/replace", "Replaces a text in files")
            .reads::<ReplaceInFiles>()
            .answers::<Vec<Replaced>>(200, "What became of each file."),
        Operation::new("POST /files/bulk-upload", "Writes files of any size")
            .takes(Content::Form(files()))
            .answers::<UploadedFiles>(200, "All were written.")
            .gives(400, Content::Json(not_all), "Not all were written, or none could be."),
        upload("POST /files/upload", "Writes a file of any size, by old clients"),
        upload("POST /files/upload-v2", "Writes a file of any size"),
        Operation::new("POST /files/bulk-download", "Reads files of any size")
            .reads::<DownloadFiles>()
            .gives(
                200,
                Content::Form(json!({ "type": "object" })),
                "A part for each: `file` with its bytes, or `error` with why there are none.",
            ),
        Operation::new("GET /files/download", "Reads a file of any size")
            .needs("path", word(), "The file.")
            .header("Range", range(), "The part that is wanted: `bytes=FIRST-LAST`.")
            .gives(200, Content::Bytes("application/octet-stream"), "Its bytes.")
            .gives(206, Content::Bytes("application/octet-stream"), "The bytes of that part.")
            .refuses(&[416]),
    ]
}

fn upload(key: &'static str, summary: &'static str) -> Operation {
    let file = json!({ "contentMediaType": "application/octet-stream" });
    Operation::new(key, summary)
        .needs("path", word(), "What it will be.")
        .takes(Content::Form(json!({
            "type": "object",
            "properties": { "file": file },
            "required": ["file"],
        })))
        .answers::<UploadedResource>(200, "It was written.")
        .refuses(&[507])
}

/// A form of any number of files, numbered from 0.
fn files() -> Value {
    let file = json!({ "contentMediaType": "application/octet-stream" });
    json!({
        "type": "object",
        "description": "For each file `files[N].path`, a path, and after it `files[N].file`, its bytes.",
        "properties": { "files[0].path": word(), "files[0].file": file },
    })
}

/// What a form that was not wholly written is answered; or a refusal of the whole request.
fn not_all(schemas: &mut crate::openapi::schemas::Schemas) -> Value {
    json!({ "anyOf": [schemas.written::<UploadedFiles>(), schemas.written::<ErrorBody>()] })
}

/// What is no range of bytes is not obeyed, as HTTP has it.
fn range() -> Value {
    json!({ "type": "string", "examples": ["bytes=0-499"] })
}

fn mode() -> Value {
    // Empty is the same as left out.
    json!({ "type": "string", "pattern": "^[0-7]{0,4}$" })
}
