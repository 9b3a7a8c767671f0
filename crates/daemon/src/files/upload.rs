//! `POST /files/bulk-upload`, `/files/upload` and `/files/upload-v2`: files in multipart forms, of any size.
//!
//! Each file goes to the disk as it comes and takes its place when it is complete.

use std::collections::HashMap;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use multer::Field;
use pitlane_wire::toolbox::{UploadedFile, UploadedFiles, UploadedResource};

use super::form::Form;
use super::stage::Staged;
use crate::http::{Answer, Query, Refusal, json};
use crate::toolbox::Toolbox;

/// How much is collected before it is written.
const PIECE: usize = 256 << 10;
/// The longest path in a form.
const MAX_PATH: usize = 16 << 10;
/// The most files in one form.
const MAX_FILES: usize = 100_000;

/// The path of a file that a form is to bring.
struct Announced {
    path: String,
    /// Whether the file came, whatever became of it.
    came: bool,
}

/// Writes files whose paths are in the form: `files[N].path` before `files[N].file`.
pub(crate) async fn upload_many(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let mut form = form(request)?;
    let mut paths = HashMap::new();
    let mut done = UploadedFiles::default();
    loop {
        let field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => {
                done.errors.extend(without_file(&paths));
                break;
            }
            Err(error) => {
                done.errors.push(format!("the form is broken: {}", explain(&error)));
                break;
            }
        };
        if paths.len() > MAX_FILES {
            done.errors.push(format!("a form may have {MAX_FILES} files"));
            break;
        }
        if let Err(error) = take_field(toolbox, field, &mut paths, &mut done).await {
            done.errors.push(error);
        }
    }
    form.finish().await;
    let status = if done.errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    json(status, &done)
}

async fn take_field(
    toolbox: &Toolbox,
    mut field: Field<'_>,
    paths: &mut HashMap<String, Announced>,
    done: &mut UploadedFiles,
) -> Result<(), String> {
    let (index, is_file) = match field.name().and_then(parse_name) {
        Some((index, is_file)) => (index.to_owned(), is_file),
        // Other fields mean nothing.
        None => return skip(&mut field).await,
    };
    if !is_file {
        let path = read_path(&mut field).await?;
        paths.insert(index, Announced { path, came: false });
        return Ok(());
    }
    let Some(Announced { path, came }) = paths.get_mut(&index) else {
        skip(&mut field).await?;
        return Err(format!("files[{index}].file came without files[{index}].path before it"));
    };
    *came = true;
    let bytes = save(toolbox, path, &mut field).await?;
    done.files.push(UploadedFile { path: path.clone(), bytes });
    Ok(())
}

/// What to say of paths whose files never came, in order.
fn without_file(paths: &HashMap<String, Announced>) -> Vec<String> {
    let mut awaited: Vec<String> = paths
        .iter()
        .filter(|(_, announced)| !announced.came)
        .map(|(index, _)| format!("files[{index}].path came without files[{index}].file after it"))
        .collect();
    awaited.sort_unstable();
    awaited
}

/// Writes the one file of a form to the path of the query.
pub(crate) async fn upload_one(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let path = Query::of(request.uri()).required("path")?.to_owned();
    let mut form = form(request)?;
    let broken = |error: multer::Error| {
        Refusal::bad_body(format!("the form is broken: {}", explain(&error)))
    };
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        if field.name() != Some("file") {
            skip(&mut field).await.map_err(Refusal::bad_body)?;
            continue;
        }
        save(toolbox, &path, &mut field).await.map_err(Refusal::bad_request)?;
        form.finish().await;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let uploaded = UploadedResource { name, path, kind: String::from("file") };
        return json(StatusCode::OK, &uploaded);
    }
    Err(Refusal::bad_body("the form has no field named file"))
}

fn form(request: Request<Incoming>) -> Result<Form, Refusal> {
    let boundary = boundary(request.headers())?;
    Ok(Form::new(request.into_body(), boundary))
}

fn boundary(headers: &HeaderMap) -> Result<String, Refusal> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default();
    multer::parse_boundary(media_type)
        .map_err(|error| Refusal::bad_body(format!("not a multipart form: {error}")))
}

/// `files[INDEX].path` or `files[INDEX].file`: the index, and whether it is the file.
fn parse_name(name: &str) -> Option<(&str, bool)> {
    let (index, field) = name.strip_prefix("files[")?.split_once("].")?;
    match field {
        "path" => Some((index, false)),
        "file" => Some((index, true)),
        _ => None,
    }
}

async fn read_path(field: &mut Field<'_>) -> Result<String, String> {
    let mut path = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| explain(&error))? {
        if path.len().saturating_add(piece.len()) > MAX_PATH {
            skip(field).await?;
            return Err(format!("a path is longer than {MAX_PATH} bytes"));
        }
        path.extend_from_slice(&piece);
    }
    match String::from_utf8(path) {
        Ok(path) if !path.is_empty() => Ok(path),
        Ok(_) => Err(String::from("a path is empty")),
        Err(error) => Err(format!("a path is not UTF-8: {error}")),
    }
}

/// Reads past a field, so that the next one can be read.
async fn skip(field: &mut Field<'_>) -> Result<(), String> {
    while field.chunk().await.map_err(|error| explain(&error))?.is_some() {}
    Ok(())
}

/// Writes a file; whatever fails, the field was read to its end if the form allows.
async fn save(toolbox: &Toolbox, path: &str, field: &mut Field<'_>) -> Result<u64, String> {
    let failed = |errno| Refusal::of_file(path, errno).message().to_owned();
    let written = match Staged::begin(toolbox.files(), toolbox.absolute(path)).await {
        Ok(mut staged) => match copy(field, &mut staged).await {
            Ok(()) => staged.commit().await.map_err(failed),
            Err(CopyError::Form(error)) => Err(format!("{path}: {error}")),
            Err(CopyError::Disk(errno)) => Err(failed(errno)),
        },
        Err(errno) => Err(failed(errno)),
    };
    if written.is_err() {
        skip(field).await?;
    }
    written
}

enum CopyError {
    Form(String),
    Disk(rustix::io::Errno),
}

async fn copy(field: &mut Field<'_>, staged: &mut Staged) -> Result<(), CopyError> {
    let mut waiting = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| CopyError::Form(explain(&error)))? {
        if waiting.is_empty() && piece.len() >= PIECE {
            staged.write(piece).await.map_err(CopyError::Disk)?;
            continue;
        }
        waiting.extend_from_slice(&piece);
        if waiting.len() >= PIECE {
            staged.write(std::mem::take(&mut waiting)).await.map_err(CopyError::Disk)?;
        }
    }
    if !waiting.is_empty() {
        staged.write(waiting).await.map_err(CopyError::Disk)?;
    }
    Ok(())
}

/// The whole chain in one line: the outer sentence alone says little.
fn explain(error: &multer::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::parse_name;

    #[test]
    fn fields_are_told_apart_by_their_names() {
        let names = ["files[0].path", "files[12].file", "files[0].mode", "file", "files[].path"];
        let wanted = [Some(("0", false)), Some(("12", true)), None, None, Some(("", false))];
        assert_eq!(names.map(parse_name), wanted);
    }
}
