use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::{option, proptest};

use super::{Listed, Page};
use crate::xml::{escaped, parse};

#[test]
fn a_page_is_read() {
    let document = "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>n/1</NextContinuationToken>\
        <Contents><Key>v/a%20b+c%2Bd</Key><Size>3</Size><ETag>&quot;e&quot;</ETag>\
        <LastModified>2024-01-02T03:04:05.000Z</LastModified></Contents>\
        <Contents><Key>v/broken</Key><Size>many</Size></Contents>\
        <CommonPrefixes><Prefix>v/f/</Prefix></CommonPrefixes></ListBucketResult>";
    let wanted = Page {
        objects: vec![Listed {
            key: "v/a b c+d".to_owned(),
            size: 3,
            etag: "\"e\"".to_owned(),
            modified: "2024-01-02T03:04:05Z".parse().unwrap(),
        }],
        folders: vec!["v/f/".to_owned()],
        unreadable: 1,
        next: Some("n/1".to_owned()),
    };
    assert_eq!(Page::read(&parse(document.as_bytes()).unwrap()), Some(wanted));
    // A list that says it goes on and not where would be taken for the whole.
    let cut = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    assert_eq!(Page::read(&parse(cut.as_bytes()).unwrap()), None);
}

fn any_object() -> impl Strategy<Value = Listed> {
    (any::<String>(), any::<u64>(), any::<String>(), 0i64..4_000_000_000).prop_map(
        |(key, size, etag, second)| {
            let modified = jiff::Timestamp::from_second(second).unwrap();
            Listed { key, size, etag, modified }
        },
    )
}

fn any_page() -> impl Strategy<Value = Page> {
    let next = option::of("[ -~é]{1,20}");
    (vec(any_object(), 0..5), vec(any::<String>(), 0..5), next)
        .prop_map(|(objects, folders, next)| Page { objects, folders, unreadable: 0, next })
}

/// A list as storages write it.
fn written(page: &Page, is_encoded: bool) -> String {
    let key = |key: &str| {
        if !is_encoded {
            return escaped(key);
        }
        let encoded =
            percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
        encoded.to_string().replace("%20", "+")
    };
    let mut text = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\">".to_owned();
    if is_encoded {
        text.push_str("<EncodingType>url</EncodingType>");
    }
    if let Some(next) = &page.next {
        let next = escaped(next);
        text.push_str("<IsTruncated>true</IsTruncated>");
        text.push_str(&format!("<NextContinuationToken>{next}</NextContinuationToken>"));
    }
    for Listed { key: name, size, etag, modified } in &page.objects {
        let (name, etag) = (key(name), escaped(etag));
        text.push_str(&format!(
            "<Contents><Key>{name}</Key><Size> {size} </Size><ETag>{etag}</ETag>\
             <LastModified>{modified}</LastModified></Contents>"
        ));
    }
    for folder in &page.folders {
        let prefix = key(folder);
        text.push_str(&format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>"));
    }
    text + "</ListBucketResult>"
}

/// Pieces of lists, in any order.
fn any_document() -> impl Strategy<Value = String> {
    let tags = select(vec![
        "ListBucketResult",
        "Contents",
        "Key",
        "Size",
        "ETag",
        "LastModified",
        "CommonPrefixes",
        "Prefix",
        "IsTruncated",
        "NextContinuationToken",
        "EncodingType",
    ]);
    let texts = select(vec![
        "true",
        "url",
        "1",
        "-1",
        "18446744073709551616",
        "%ff",
        "%",
        "a+b",
        "&amp;",
        "&#0;",
        "&#x41;",
        "&who;",
        "2024-01-02T03:04:05Z",
        "9999999-01-01T00:00:00Z",
        "<![CDATA[x]]>",
        "<!-- x -->",
        "..",
        "/",
    ]);
    let leaf =
        (tags.clone(), texts.clone()).prop_map(|(tag, text)| format!("<{tag}>{text}</{tag}>"));
    let element = (tags.clone(), vec(leaf.clone(), 0..6))
        .prop_map(|(tag, leaves)| format!("<{tag}>{}</{tag}>", leaves.concat()));
    let loose = (tags, texts).prop_map(|(tag, text)| format!("</{tag}{text}<{tag}>"));
    let piece = prop_oneof![4 => leaf, 8 => element, 1 => loose];
    vec(piece, 0..8)
        .prop_map(|pieces| format!("<ListBucketResult>{}</ListBucketResult>", pieces.concat()))
}

proptest! {
    #[test]
    fn what_a_storage_writes_is_what_is_read(page in any_page(), is_encoded: bool) {
        let text = written(&page, is_encoded);
        assert_eq!(parse(text.as_bytes()).as_ref().and_then(Page::read), Some(page));
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused_or_told_to_have_more(text in any_document()) {
        let Some(document) = parse(text.as_bytes()) else { return Ok(()) };
        let Some(page) = Page::read(&document) else { return Ok(()) };
        let told = document.all("Contents").count() + document.all("CommonPrefixes").count();
        assert_eq!(page.objects.len() + page.folders.len() + page.unreadable, told);
        assert!(page.next.is_none_or(|next| !next.is_empty()));
    }
}
