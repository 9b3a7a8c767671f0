//! Commits, as `git log -z --format=%H%x00%an%x00%ae%x00%aI%x00%B` lists them.

use pitlane_wire::toolbox::GitCommitInfo;

use super::text;

/// How many fields a commit has.
const FIELDS: usize = 5;

/// Reads a list of commits; `None` when it is something else.
#[must_use]
pub fn commits(output: &[u8]) -> Option<Vec<GitCommitInfo>> {
    if output.is_empty() {
        return Some(Vec::new());
    }
    // Each commit ends with a NUL, or only stands between two.
    let output = output.strip_suffix(b"\0").unwrap_or(output);
    let fields: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
    fields.chunks(FIELDS).map(commit).collect()
}

fn commit(fields: &[&[u8]]) -> Option<GitCommitInfo> {
    let [hash, author, email, timestamp, message] = fields else { return None };
    Some(GitCommitInfo {
        hash: text(hash),
        author: text(author),
        email: text(email),
        timestamp: text(timestamp),
        message: text(message),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(fields: [&str; FIELDS]) -> GitCommitInfo {
        let [hash, author, email, timestamp, message] = fields.map(str::to_owned);
        GitCommitInfo { hash, author, email, message, timestamp }
    }

    #[test]
    fn fields_may_be_empty_and_messages_have_lines() {
        let output = b"b\0A <x>\0a@b\x002026-01-02T03:04:05+01:00\0one\n\ntwo\n\0a\0\0\0t\0\0";
        let wanted = vec![
            info(["b", "A <x>", "a@b", "2026-01-02T03:04:05+01:00", "one\n\ntwo\n"]),
            info(["a", "", "", "t", ""]),
        ];
        assert_eq!(commits(output), Some(wanted));
        assert_eq!(commits(b""), Some(Vec::new()));
    }

    #[test]
    fn a_commit_without_all_its_fields_is_none() {
        assert_eq!(commits(b"a\0b\0c\0"), None);
        assert_eq!(commits(b"\0"), None);
    }
}
