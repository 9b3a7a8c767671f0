//! `POST /files/bulk-upload`, `/files/upload` and `/files/upload-v2`: files in multipart forms or as they are, of any size.
//!
//! Each file goes to the disk as it comes and takes its place when it is complete.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use multer::Field;
use pitlane_daemon::input::Form;
use pitlane_wire::toolbox::{UploadedFile, UploadedFiles, UploadedResource};

use super::asked::Asked;
use super::stage::Staged;
use crate::http::{Answer, Refusal, json, pieces};
use crate::toolbox::Toolbox;

/// The longest path in a form.
const MAX_PATH: usize = 16 << 10;
/// The most files in one form.
const MAX_FILES: usize = 100_000;
/// The most failures that are told one by one.
const MAX_ERRORS: usize = 1_000;

/// Writes files whose paths are in the form: `files[N].path` before `files[N].file`.
pub(crate) async fn upload_many(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let boundary = boundary(request.headers())?;
    let mut form = Form::new(pieces(request.into_body()), boundary);
    let mut upload = Upload::default();
    loop {
        let (name, field) = match form.next_part().await {
            Ok(Some((disposition, field))) => (disposition.name, field),
            Ok(None) => {
                upload.miss();
                break;
            }
            Err(error) => {
                upload.fail(format!("the form is broken: {}", explain(&error)));
                break;
            }
        };
        if upload.paths.len() > MAX_FILES {
            upload.fail(format!("a form may have {MAX_FILES} files"));
            break;
        }
        if let Err(error) = upload.take(toolbox, name.as_deref(), field).await {
            upload.fail(error);
        }
    }
    form.finish().await;
    let done = upload.finish();
    let status = if done.errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    json(status, &done)
}

/// What was read of a form.
#[derive(Debug, Default)]
struct Upload {
    /// The paths by their index; of those whose file came only the index.
    paths: HashMap<String, Option<String>>,
    done: UploadedFiles,
    unsaid: usize,
}

impl Upload {
    async fn take(
        &mut self,
        toolbox: &Toolbox,
        name: Option<&str>,
        mut field: Field<'_>,
    ) -> Result<(), String> {
        // Other fields mean nothing.
        let Some((index, is_file)) = name.and_then(parse_name) else {
            return skip(&mut field).await;
        };
        if !is_file {
            let path = read_path(&mut field).await?;
            self.paths.insert(index.to_owned(), Some(path));
            return Ok(());
        }
        let Some(path) = self.paths.get_mut(index).and_then(Option::take) else {
            skip(&mut field).await?;
            return Err(format!("files[{index}].file came without files[{index}].path before it"));
        };
        let bytes = save_field(toolbox, &path, &mut field).await;
        let bytes = bytes.map_err(|refusal| refusal.message().to_owned())?;
        self.done.files.push(UploadedFile { path, bytes });
        Ok(())
    }

    fn fail(&mut self, error: String) {
        if self.done.errors.len() < MAX_ERRORS {
            self.done.errors.push(error);
        } else {
            self.unsaid = self.unsaid.saturating_add(1);
        }
    }

    /// Notes the paths whose files never came, in order.
    fn miss(&mut self) {
        let awaited = self.paths.drain().filter(|(_, path)| path.is_some());
        let mut awaited: Vec<String> = awaited.map(|(index, _)| index).collect();
        awaited.sort_unstable();
        for index in awaited {
            self.fail(format!("files[{index}].path came without files[{index}].file after it"));
        }
    }

    fn finish(mut self) -> UploadedFiles {
        if self.unsaid > 0 {
            self.done.errors.push(format!("and {} more", self.unsaid));
        }
        self.done
    }
}

/// Writes one file to the path of the query: the field `file` of a form, or a body of any other type as it is.
pub(crate) async fn upload_one(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let path = Asked::in_query(toolbox, request.uri(), "path")?;
    if !is_form(request.headers()) {
        let mut body = pieces(request.into_body());
        save(toolbox, &path, &mut body).await?;
        return json(StatusCode::OK, &uploaded(&path));
    }
    let boundary = boundary(request.headers())?;
    let mut form = Form::new(pieces(request.into_body()), boundary);
    let broken = |error: multer::Error| {
        Refusal::bad_body(format!("the form is broken: {}", explain(&error)))
    };
    while let Some((disposition, mut field)) = form.next_part().await.map_err(broken)? {
        if disposition.name.as_deref() != Some("file") {
            skip(&mut field).await.map_err(Refusal::bad_body)?;
            continue;
        }
        let saved = save(toolbox, &path, &mut of_field(&mut field)).await;
        drop(field);
        form.finish().await;
        saved?;
        return json(StatusCode::OK, &uploaded(&path));
    }
    Err(Refusal::bad_body("the form has no field named file"))
}

fn uploaded(path: &Asked) -> UploadedResource {
    let name = path.text.rsplit('/').next().unwrap_or_default().to_owned();
    UploadedResource { name, path: path.text.clone(), kind: String::from("file") }
}

fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = media_type.get(..b"multipart/".len());
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"))
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

/// Writes the file of a form; whatever fails, the field was read to its end if the form allows.
async fn save_field(toolbox: &Toolbox, path: &str, field: &mut Field<'_>) -> Result<u64, Refusal> {
    let saved = match Asked::new(toolbox, path) {
        Ok(path) => save(toolbox, &path, &mut of_field(field)).await,
        Err(refusal) => Err(refusal),
    };
    if saved.is_err() {
        skip(field).await.map_err(Refusal::bad_body)?;
    }
    saved
}

fn of_field<'a>(field: &'a mut Field<'_>) -> impl Stream<Item = io::Result<Bytes>> + Unpin + 'a {
    field.map(|piece| piece.map_err(|error| io::Error::other(explain(&error))))
}

/// Writes a file as it comes.
async fn save(
    toolbox: &Toolbox,
    path: &Asked,
    contents: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
) -> Result<u64, Refusal> {
    let refused = |errno| path.refusal(errno);
    let begun = Staged::begin(toolbox.files(), path.path.clone()).await;
    let mut staged = begun.map_err(refused)?;
    let filled = async {
        while let Some(piece) = contents.next().await {
            let piece = piece.map_err(|error| {
                Refusal::bad_body(format!("{}: the upload broke off: {error}", path.text))
            })?;
            staged.write(piece).await.map_err(refused)?;
        }
        staged.commit().await.map_err(refused)
    }
    .await;
    if filled.is_err() {
        // Whoever is told that the disk is full finds as much room as before.
        staged.discard().await;
    }
    filled
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
