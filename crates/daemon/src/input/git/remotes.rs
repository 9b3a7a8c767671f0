//! Remotes, as `git config --null --get-regexp` lists their addresses.

use std::collections::BTreeMap;

use pitlane_wire::toolbox::GitRemote;

use super::text;

/// Reads `remote.NAME.url` and its value, again and again; what is something else is left out.
#[must_use]
pub fn remotes(output: &[u8]) -> Vec<GitRemote> {
    let mut all = BTreeMap::new();
    for entry in output.split(|byte| *byte == 0) {
        let entry = text(entry);
        // A name may have dots, a value lines.
        let name_and_url = entry.split_once('\n').and_then(|(key, url)| {
            Some((key.strip_prefix("remote.")?.strip_suffix(".url")?.to_owned(), url))
        });
        if let Some((name, url)) = name_and_url {
            all.entry(name).or_insert_with(|| url.to_owned());
        }
    }
    all.into_iter().map(|(name, url)| GitRemote { name, url }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_each_counts() {
        let output = b"remote.up.stream.url\nhttp://a\0remote.origin.url\n/b\nc\0\
            remote.origin.url\nhttp://d\0remote.x.url\0remote.x.fetch\n+a:b\0";
        let remote = |name: &str, url: &str| GitRemote { name: name.into(), url: url.into() };
        let wanted = vec![remote("origin", "/b\nc"), remote("up.stream", "http://a")];
        assert_eq!(remotes(output), wanted);
        assert_eq!(remotes(b""), Vec::new());
    }
}
