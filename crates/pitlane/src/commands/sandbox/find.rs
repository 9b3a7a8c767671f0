//! Finding a sandbox by what a person calls it: its id, its name, or how its id begins.

use pitlane_client::{Client, ListSandboxes, RequestError};
use pitlane_wire::control::Sandbox;

use crate::failure::Failure;

/// How much of an id says which one is meant.
const SHORTEST_ID: usize = 4;
/// How many sandboxes are looked at for similar names.
const LOOKED_AT: usize = 1000;
/// How similar a name is to be worth telling.
const SIMILAR: f64 = 0.8;
/// How many similar names are told.
const TOLD: usize = 3;

/// Finds a sandbox.
pub(crate) async fn find(client: &Client, sandbox: &str) -> Result<Sandbox, Failure> {
    on(client, sandbox, async |sandbox| client.sandbox(&sandbox).await).await
}

/// Does something to a sandbox, whichever way it is called.
pub(in crate::commands) async fn on<T>(
    client: &Client,
    sandbox: &str,
    work: impl AsyncFn(String) -> Result<T, RequestError>,
) -> Result<T, Failure> {
    let absent = match work(sandbox.to_owned()).await {
        Ok(done) => return Ok(done),
        Err(absent) if absent.status() == Some(404) => absent,
        Err(failure) => return Err(failure.into()),
    };
    if is_beginning(sandbox) {
        let id = Some(sandbox.to_owned());
        let which = ListSandboxes { id, limit: Some(2), ..ListSandboxes::default() };
        match client.sandboxes(&which).await.unwrap_or_default().as_slice() {
            [only] => return Ok(work(only.id.clone()).await?),
            [] => {}
            [..] => {
                let hint = format!("more than one id begins with {sandbox}");
                return Err(Failure::from(absent).hint(hint));
            }
        }
    }
    let which = ListSandboxes { limit: Some(LOOKED_AT), ..ListSandboxes::default() };
    let known = client.sandboxes(&which).await.unwrap_or_default();
    let names = known.iter().map(|sandbox| sandbox.name.as_str());
    Err(match similar(sandbox, names) {
        names if names.is_empty() => absent.into(),
        names => Failure::from(absent).hint(format!("did you mean {}?", names.join(" or "))),
    })
}

fn is_beginning(text: &str) -> bool {
    text.len() >= SHORTEST_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The names that look like `wanted`, the most similar first.
fn similar<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut similar: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .collect();
    similar.sort_by(|(one, first), (other, second)| other.total_cmp(one).then(first.cmp(second)));
    similar.truncate(TOLD);
    similar.into_iter().map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_told_the_most_similar_first() {
        let names = ["build", "build-2", "Builder", "test", "0b6ecb4e-0000-4000-8000-000000000000"];
        assert_eq!(similar("biuld", names.into_iter()), ["build", "Builder", "build-2"]);
        assert_eq!(similar("nothing", names.into_iter()), Vec::<String>::new());
    }

    #[test]
    fn only_what_could_be_an_id_is_taken_for_the_beginning_of_one() {
        assert!(is_beginning("0b6e") && is_beginning("0b6ecb4e-0000"));
        assert!(!is_beginning("0b6") && !is_beginning("build"));
    }
}
