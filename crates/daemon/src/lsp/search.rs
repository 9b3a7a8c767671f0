//! Symbols of a whole project, from a server that only knows those of one file.

use pitlane_wire::toolbox::LspSymbol;

use super::question::{Subject, unreadable};
use super::servers::{Key, Server};
use super::symbols_of;
use crate::files::{Document, Search};
use crate::http::Refusal;
use crate::toolbox::Toolbox;

/// How many files a server is asked about.
const MAX_FILES: usize = 100;

/// One of the project's sources, if there is any.
pub(super) async fn example(toolbox: &Toolbox, key: &Key) -> Result<Option<Document>, Refusal> {
    let (files, project) = (toolbox.files(), key.project.clone());
    let begun = Search::begin(files, project, key.language.extensions(), "").await;
    let search = begun.map_err(|error| unreadable(&error))?;
    let (_search, found) = search.next(files).await?;
    Ok(found)
}

/// The symbols whose names contain `query`, small or large, in the files that have it in them: in the order of the
/// folders.
pub(super) async fn search(
    toolbox: &Toolbox,
    key: &Key,
    server: &Server,
    query: &str,
) -> Result<Vec<LspSymbol>, Refusal> {
    let (files, project) = (toolbox.files(), key.project.clone());
    let begun = Search::begin(files, project, key.language.extensions(), query).await;
    let mut search = begun.map_err(|error| unreadable(&error))?;
    let wanted = query.to_lowercase();
    let mut all = Vec::new();
    for _ in 0..MAX_FILES {
        let document;
        (search, document) = search.next(files).await?;
        let Some(document) = document else { break };
        let found = symbols_of(key, server, Subject::Text(document)).await?;
        all.extend(found.into_iter().filter(|symbol| symbol.name.to_lowercase().contains(&wanted)));
    }
    Ok(all)
}
