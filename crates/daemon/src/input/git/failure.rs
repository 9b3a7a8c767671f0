//! What git's errors mean. They are in English: it is told to write no other language.

/// The longest message that is passed on, in bytes.
const MAX_MESSAGE: usize = 4096;

/// Why a git command failed, as far as its caller can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitFailure {
    /// The remote wants other credentials, or any.
    Authentication,
    /// The remote knows who asks and refuses.
    Forbidden,
    /// There is no such repository, here or there.
    RepositoryNotFound,
    /// There is no such branch, tag or commit, here or there.
    BranchNotFound,
    /// There is such a branch already.
    BranchExists,
    /// There is something in the way.
    Exists,
    /// The remote has commits that would be lost.
    PushRejected,
    /// The remote has rules against it.
    RemoteRejected,
    /// Changes that are not committed would be lost.
    DirtyWorktree,
    /// Two histories, or their changes, have to be united by somebody.
    MergeConflict,
    /// Another git works there.
    Busy,
    /// The remote cannot be reached, or not be understood.
    Transport,
    /// The user may not touch the files.
    AccessDenied,
    /// The disk is full.
    DiskFull,
    /// What was asked cannot be done.
    Refused,
}

/// Words of git, the most telling first.
const WORDS: [(&str, GitFailure); 67] = [
    ("No space left on device", GitFailure::DiskFull),
    ("Disk quota exceeded", GitFailure::DiskFull),
    (": File exists", GitFailure::Busy),
    ("could not lock config file", GitFailure::AccessDenied),
    ("dubious ownership", GitFailure::AccessDenied),
    ("[remote rejected]", GitFailure::RemoteRejected),
    ("[rejected]", GitFailure::PushRejected),
    ("Authentication failed", GitFailure::Authentication),
    ("could not read Username", GitFailure::Authentication),
    ("could not read Password", GitFailure::Authentication),
    ("returned error: 401", GitFailure::Authentication),
    ("Permission denied (", GitFailure::Authentication),
    ("returned error: 403", GitFailure::Forbidden),
    ("returned error: 404", GitFailure::RepositoryNotFound),
    ("returned error: 410", GitFailure::RepositoryNotFound),
    ("a branch named", GitFailure::BranchExists),
    ("couldn't find remote ref", GitFailure::BranchNotFound),
    ("not found in upstream", GitFailure::BranchNotFound),
    ("src refspec", GitFailure::BranchNotFound),
    ("invalid reference:", GitFailure::BranchNotFound),
    ("unknown revision", GitFailure::BranchNotFound),
    ("Needed a single revision", GitFailure::BranchNotFound),
    ("not our ref", GitFailure::BranchNotFound),
    ("could not resolve HEAD", GitFailure::BranchNotFound),
    ("could not resolve 'HEAD'", GitFailure::BranchNotFound),
    ("error: branch '", GitFailure::BranchNotFound),
    ("does not appear to be a git repository", GitFailure::RepositoryNotFound),
    ("not a git repository", GitFailure::RepositoryNotFound),
    ("can only be used inside a git repository", GitFailure::RepositoryNotFound),
    ("must be run in a work tree", GitFailure::Refused),
    ("already exists", GitFailure::Exists),
    ("would be overwritten", GitFailure::DirtyWorktree),
    ("not uptodate", GitFailure::DirtyWorktree),
    ("You have unstaged changes", GitFailure::DirtyWorktree),
    ("contains uncommitted changes", GitFailure::DirtyWorktree),
    ("commit your changes or stash them", GitFailure::DirtyWorktree),
    ("CONFLICT (", GitFailure::MergeConflict),
    ("unmerged files", GitFailure::MergeConflict),
    ("unresolved conflict", GitFailure::MergeConflict),
    ("resolve your current index first", GitFailure::MergeConflict),
    ("needs merge", GitFailure::MergeConflict),
    ("is unmerged", GitFailure::MergeConflict),
    ("not concluded your merge", GitFailure::MergeConflict),
    ("middle of a merge", GitFailure::MergeConflict),
    ("rebase-merge directory", GitFailure::MergeConflict),
    ("unrelated histories", GitFailure::MergeConflict),
    ("Not possible to fast-forward", GitFailure::MergeConflict),
    ("could not apply", GitFailure::MergeConflict),
    ("' not allowed", GitFailure::Refused),
    ("Could not resolve host", GitFailure::Transport),
    ("unable to access", GitFailure::Transport),
    ("unable to look up", GitFailure::Transport),
    ("unable to connect", GitFailure::Transport),
    ("unable to update url base", GitFailure::Transport),
    ("unable to find remote helper", GitFailure::Refused),
    ("Could not read from remote repository", GitFailure::Transport),
    ("hung up unexpectedly", GitFailure::Transport),
    ("Host key verification failed", GitFailure::Transport),
    ("unexpected disconnect", GitFailure::Transport),
    ("RPC failed", GitFailure::Transport),
    ("early EOF", GitFailure::Transport),
    ("invalid server response", GitFailure::Transport),
    ("not valid: is this a git repository", GitFailure::Transport),
    ("protocol error", GitFailure::Transport),
    ("index-pack failed", GitFailure::Transport),
    ("Permission denied", GitFailure::AccessDenied),
    ("Read-only file system", GitFailure::AccessDenied),
];

/// What the output of a command that failed says.
#[must_use]
pub fn failure(output: &str) -> GitFailure {
    let said: Vec<&str> = output.lines().filter(|line| is_gits_own(line)).collect();
    // `repository 'URL' not found`: what is between may be anything.
    let is_missing = |line: &&str| {
        line.starts_with("fatal: repository '")
            && (line.trim_end_matches('.').ends_with("' not found")
                || line.ends_with("does not exist"))
    };
    if said.iter().any(is_missing) {
        return GitFailure::RepositoryNotFound;
    }
    let found = WORDS.iter().find(|(words, _)| said.iter().any(|line| line.contains(words)));
    found.map_or(GitFailure::Refused, |(_, failure)| *failure)
}

/// Whether git itself says it: not the remote, nor a name of a file, nor a piece of advice.
fn is_gits_own(line: &str) -> bool {
    !line.starts_with("remote:") && !line.starts_with('\t') && !line.starts_with("hint:")
}

/// What git said, for a caller: no advice, no more than fits, and no secrets, be they in an address or on their own.
#[must_use]
pub fn without_secrets(output: &str, secrets: &[&str]) -> String {
    let lines: Vec<&str> =
        output.lines().map(str::trim_end).filter(|line| !is_left_out(line)).collect();
    let mut message = without_users(&lines.join("\n"));
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        message = message.replace(*secret, "***");
    }
    if message.len() > MAX_MESSAGE {
        // What it failed of comes last.
        let start = (message.len().saturating_sub(MAX_MESSAGE)..=message.len())
            .find(|start| message.is_char_boundary(*start));
        message = format!("…{}", message.get(start.unwrap_or_default()..).unwrap_or_default());
    }
    message
}

fn is_left_out(line: &str) -> bool {
    line.is_empty() || line.starts_with("hint:")
}

/// The text without whoever is named between `://` and `@`.
fn without_users(text: &str) -> String {
    const MARK: &str = "://";
    let mut pieces = text.split(MARK);
    let mut shown = pieces.next().unwrap_or_default().replace(":(literal)", "");
    for piece in pieces {
        shown.push_str(MARK);
        let end = piece.find(|c: char| c == '/' || c == '\'' || c.is_whitespace());
        let authority = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
        let user = authority.rfind('@').map_or(0, |at| at.saturating_add(1));
        shown.push_str(&piece.get(user..).unwrap_or_default().replace(":(literal)", ""));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_says_what_went_wrong_in_its_own_words() {
        for (output, wanted) in [
            ("fatal: Authentication failed for 'https://h/a/'", GitFailure::Authentication),
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled",
                GitFailure::Authentication,
            ),
            (
                "remote: Repository not found.\nfatal: repository 'https://h/a/' not found",
                GitFailure::RepositoryNotFound,
            ),
            ("fatal: repository '/x' does not exist", GitFailure::RepositoryNotFound),
            (
                "fatal: unable to access 'https://h/': The requested URL returned error: 403",
                GitFailure::Forbidden,
            ),
            (
                "fatal: unable to access 'https://h/': Could not resolve host: h",
                GitFailure::Transport,
            ),
            ("error: branch 'x' not found", GitFailure::BranchNotFound),
            ("fatal: a branch named 'x' already exists", GitFailure::BranchExists),
            (
                " ! [rejected]  main -> main (fetch first)\nerror: failed to push some refs",
                GitFailure::PushRejected,
            ),
            (
                " ! [remote rejected] main -> main (pre-receive hook declined)",
                GitFailure::RemoteRejected,
            ),
            ("error: pathspec 'x' did not match any files", GitFailure::Refused),
            // What the remote and files are called decides nothing.
            ("remote: Authentication failed\nfatal: early EOF", GitFailure::Transport),
            ("\tCONFLICT (x\nfatal: odd", GitFailure::Refused),
            ("", GitFailure::Refused),
        ] {
            assert_eq!(failure(output), wanted, "{output}");
        }
    }

    #[test]
    fn a_message_has_neither_advice_nor_secrets() {
        let output = "hint: a\n\nfatal: Authentication failed for 'https://me:hunter2@h/a@b' \n\
            error: http://x@y@h: hunter2 and ':(literal)f'\n";
        let wanted = "fatal: Authentication failed for 'https://h/a@b'\n\
            error: http://h: *** and 'f'";
        assert_eq!(without_secrets(output, &["hunter2", ""]), wanted);
        let long = without_secrets(&"ü".repeat(MAX_MESSAGE), &[]);
        assert_eq!(long, format!("…{}", "ü".repeat(MAX_MESSAGE / 2)));
    }
}
