//! From `buildInfo` to what the platform is asked for.

use std::collections::BTreeMap;

use pitlane_model::{Build, ImageReference};
use pitlane_wire::control as wire;

use crate::refusal::Refusal;

/// The longest Dockerfile, in bytes.
const MAX_DOCKERFILE_BYTES: usize = 256 * 1024;
/// The most archives of files, and the longest name of one.
const MAX_CONTEXTS: usize = 100;
const MAX_CONTEXT_BYTES: usize = 128;
/// The most values of `ARG`, and the most bytes in them.
const MAX_ARGUMENTS: usize = 256;
const MAX_ARGUMENTS_BYTES: usize = 64 * 1024;

/// What `buildInfo` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// An image as it is: a Dockerfile of one `FROM` and nothing else, which the SDKs make of an image's name.
    Image(ImageReference),
    /// An image that is built.
    Build(Build),
}

/// Reads a `buildInfo`.
///
/// # Errors
///
/// 400 says what is wrong with it.
pub(crate) fn of(info: wire::CreateBuildInfo) -> Result<Wish, Refusal> {
    let wire::CreateBuildInfo { dockerfile_content, context_hashes, build_args, target, no_cache } =
        info;
    let no_cache = no_cache.unwrap_or(false);
    let contexts = context_hashes.unwrap_or_default();
    let arguments = build_args.unwrap_or_default();
    let target = target.filter(|target| !target.is_empty());
    if contexts.is_empty()
        && arguments.is_empty()
        && target.is_none()
        && !no_cache
        && let Some(name) = only_name(&dockerfile_content)
    {
        let named: Result<ImageReference, _> = name.parse();
        return named
            .map(Wish::Image)
            .map_err(|error| Refusal::bad_request(format!("buildInfo: {error}")));
    }
    if dockerfile_content.len() > MAX_DOCKERFILE_BYTES {
        return Err(Refusal::bad_request(format!(
            "buildInfo: the Dockerfile is longer than {MAX_DOCKERFILE_BYTES} bytes"
        )));
    }
    check_contexts(&contexts)?;
    check_arguments(&arguments)?;
    Ok(Wish::Build(Build { dockerfile: dockerfile_content, contexts, arguments, target, no_cache }))
}

/// The image that a Dockerfile of one `FROM` names: one line, no stage's name, no variable.
fn only_name(dockerfile: &str) -> Option<&str> {
    let mut lines = dockerfile.lines().map(str::trim).filter(|line| !line.is_empty());
    let (first, None) = (lines.next()?, lines.next()) else { return None };
    let (word, name) = first.split_once(char::is_whitespace)?;
    let name = name.trim();
    let is_name = !name.contains(|c: char| c.is_whitespace() || c == '$' || c == '\\')
        && !name.starts_with("--")
        && name != "scratch";
    (word.eq_ignore_ascii_case("FROM") && is_name).then_some(name)
}

fn check_contexts(contexts: &[String]) -> Result<(), Refusal> {
    let is_name = |name: &String| {
        (1..=MAX_CONTEXT_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if contexts.len() > MAX_CONTEXTS || !contexts.iter().all(is_name) {
        return Err(Refusal::bad_request(format!(
            "buildInfo: contextHashes are up to {MAX_CONTEXTS} names of letters and digits"
        )));
    }
    Ok(())
}

fn check_arguments(arguments: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let bytes: usize = arguments.iter().map(|(name, value)| name.len() + value.len()).sum();
    let is_plain = |text: &String| !text.contains('\0');
    if arguments.len() > MAX_ARGUMENTS
        || bytes > MAX_ARGUMENTS_BYTES
        || !arguments.iter().all(|(name, value)| is_plain(name) && is_plain(value))
    {
        return Err(Refusal::bad_request(format!(
            "buildInfo: buildArgs are up to {MAX_ARGUMENTS} texts of {MAX_ARGUMENTS_BYTES} bytes in all"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(dockerfile: &str) -> wire::CreateBuildInfo {
        wire::CreateBuildInfo {
            dockerfile_content: dockerfile.to_owned(),
            context_hashes: None,
            build_args: None,
            target: None,
            no_cache: None,
        }
    }

    #[test]
    fn a_dockerfile_of_one_line_names_an_image() {
        let named = |text: &str| match of(info(text)) {
            Ok(Wish::Image(image)) => Some(image.to_string()),
            Ok(Wish::Build(_)) | Err(_) => None,
        };
        assert_eq!(named("FROM debian:12\n").as_deref(), Some("debian:12"));
        assert_eq!(named("\n from  a.example/b:1 \n\n").as_deref(), Some("a.example/b:1"));
        for text in ["FROM a AS b", "FROM a\nRUN x", "FROM $A", "FROM scratch", "# FROM a"] {
            assert_eq!(named(text), None, "{text}");
            assert!(matches!(of(info(text)), Ok(Wish::Build(_))), "{text}");
        }
        assert!(of(info("FROM ../x")).is_err());
    }

    #[test]
    fn whatever_goes_into_a_build_makes_it_one() {
        let hashes = Some(vec!["0123abcd".to_owned()]);
        let with_files = wire::CreateBuildInfo { context_hashes: hashes, ..info("FROM a:1") };
        let with_stage = wire::CreateBuildInfo { target: Some("a".to_owned()), ..info("FROM a:1") };
        for build in [with_files, with_stage] {
            assert!(matches!(of(build), Ok(Wish::Build(_))));
        }
        for name in ["../x", "", "a/b", "a b"] {
            let hashes = Some(vec![name.to_owned()]);
            let build = wire::CreateBuildInfo { context_hashes: hashes, ..info("FROM a:1") };
            assert!(of(build).is_err(), "{name}");
        }
        assert!(of(info(&"#".repeat(MAX_DOCKERFILE_BYTES + 1))).is_err());
    }
}
