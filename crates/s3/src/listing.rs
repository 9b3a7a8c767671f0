//! Lists of contexts, in pages.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pitlane_storage::Context;
use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListObjectsV2Input, ListObjectsV2Output, Object,
    ObjectStorageClass,
};

use crate::BUCKET;
use crate::objects::{length, time};

/// The most that a page has.
const MAX_PAGE: usize = 1000;

/// What stays as it is where a client asks for names in the form of addresses.
const KEPT: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// What a list shows: a context, or what several begin with.
enum Line<'c> {
    Context(&'c Context),
    Prefix(String),
}

/// The page that a client asks for, of all that is its own.
pub(crate) fn page(contexts: &[Context], input: ListObjectsV2Input) -> ListObjectsV2Output {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|it| !it.is_empty());
    let after = input.continuation_token.as_deref().or(input.start_after.as_deref());
    let maximum =
        input.max_keys.map_or(MAX_PAGE, |it| usize::try_from(it).unwrap_or(0).min(MAX_PAGE));
    let mut lines: Vec<(String, Line<'_>)> = Vec::new();
    for context in contexts {
        let key = context.key().to_string();
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let end = delimiter.and_then(|it| Some(rest.find(it)?.saturating_add(it.len())));
        let line = match end.and_then(|end| rest.get(..end)) {
            Some(common) => {
                let common = format!("{prefix}{common}");
                (common.clone(), Line::Prefix(common))
            }
            None => (key, Line::Context(context)),
        };
        let is_new = lines.last().is_none_or(|(last, _)| *last != line.0);
        if is_new && after.is_none_or(|after| line.0.as_str() > after) {
            lines.push(line);
        }
    }
    let is_truncated = lines.len() > maximum && maximum > 0;
    lines.truncate(maximum);
    let next = lines.last().filter(|_| is_truncated).map(|(name, _)| name.clone());
    let is_url = input.encoding_type.as_ref().is_some_and(|it| it.as_str() == EncodingType::URL);
    let encode = |text: String| {
        if is_url { utf8_percent_encode(&text, &KEPT).to_string() } else { text }
    };
    let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
    let count = lines.len();
    for (_, line) in lines {
        match line {
            Line::Context(context) => objects.push(Object {
                key: Some(encode(context.key().to_string())),
                e_tag: Some(ETag::Strong(context.etag().to_string())),
                last_modified: Some(time(context.modified())),
                size: Some(length(context.bytes())),
                storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                ..Object::default()
            }),
            Line::Prefix(common) => {
                prefixes.push(CommonPrefix { prefix: Some(encode(common)) });
            }
        }
    }
    ListObjectsV2Output {
        name: Some(BUCKET.to_owned()),
        key_count: i32::try_from(count).ok(),
        max_keys: i32::try_from(maximum).ok(),
        is_truncated: Some(is_truncated),
        next_continuation_token: next,
        continuation_token: input.continuation_token,
        start_after: input.start_after.map(encode),
        delimiter: input.delimiter.map(encode),
        prefix: Some(encode(input.prefix.unwrap_or_default())),
        encoding_type: input.encoding_type,
        contents: (!objects.is_empty()).then_some(objects),
        common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
        ..ListObjectsV2Output::default()
    }
}
