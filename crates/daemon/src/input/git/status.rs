//! A working tree, as `git status --porcelain=v2 --branch -z` describes it.

use pitlane_wire::toolbox::{GitFileState, GitFileStatus};

use super::text;

/// A repository's HEAD, upstream and changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkingTree {
    /// The branch; `None` when HEAD is detached.
    pub branch: Option<String>,
    /// Whether HEAD has a commit.
    pub has_commit: bool,
    /// The upstream of the branch.
    pub upstream: Option<String>,
    /// How many commits are ahead of the upstream and behind it; `None` where it is not there.
    pub distance: Option<(u64, u64)>,
    /// What is not as in HEAD.
    pub files: Vec<GitFileStatus>,
}

/// Reads a working tree; `None` when it is something else.
#[must_use]
pub fn status(output: &[u8]) -> Option<WorkingTree> {
    let mut tree = WorkingTree::default();
    let mut records = output.split(|byte| *byte == 0);
    while let Some(record) = records.next() {
        let Some((kind, rest)) = record.split_first() else { continue };
        let rest = rest.strip_prefix(b" ")?;
        match kind {
            b'#' => tree.read_header(&text(rest))?,
            // The fields before the name: XY, submodule, three modes, two ids.
            b'1' => tree.files.push(changed(rest, 7, "")?),
            // One more, and the former name is a record of its own.
            b'2' => {
                let former = text(records.next()?);
                tree.files.push(changed(rest, 8, &former)?);
            }
            b'u' => {
                let name = text(after(rest, 9)?);
                tree.files.push(both(name, GitFileState::Unmerged));
            }
            b'?' => tree.files.push(both(text(rest), GitFileState::Untracked)),
            // What is ignored, and what a later git may add.
            _ => {}
        }
    }
    Some(tree)
}

impl WorkingTree {
    fn read_header(&mut self, header: &str) -> Option<()> {
        let Some((name, value)) = header.split_once(' ') else { return Some(()) };
        match name {
            "branch.oid" => self.has_commit = value != "(initial)",
            "branch.head" => self.branch = (value != "(detached)").then(|| value.to_owned()),
            "branch.upstream" => self.upstream = Some(value.to_owned()),
            "branch.ab" => {
                let (ahead, behind) = value.split_once(' ')?;
                let count = |text: &str, sign| text.strip_prefix(sign)?.parse().ok();
                self.distance = Some((count(ahead, '+')?, count(behind, '-')?));
            }
            _ => {}
        }
        Some(())
    }
}

fn changed(record: &[u8], fields: usize, former: &str) -> Option<GitFileStatus> {
    let [staging, worktree, b' ', ..] = record else { return None };
    Some(GitFileStatus {
        name: text(after(record, fields)?),
        extra: former.to_owned(),
        staging: state(*staging)?,
        worktree: state(*worktree)?,
    })
}

/// What follows so many fields.
fn after(record: &[u8], fields: usize) -> Option<&[u8]> {
    record.splitn(fields.saturating_add(1), |byte| *byte == b' ').nth(fields)
}

const fn both(name: String, state: GitFileState) -> GitFileStatus {
    GitFileStatus { name, extra: String::new(), staging: state, worktree: state }
}

const fn state(letter: u8) -> Option<GitFileState> {
    Some(match letter {
        b'.' => GitFileState::Unmodified,
        // Its kind has changed.
        b'M' | b'T' => GitFileState::Modified,
        b'A' => GitFileState::Added,
        b'D' => GitFileState::Deleted,
        b'R' => GitFileState::Renamed,
        b'C' => GitFileState::Copied,
        b'U' => GitFileState::Unmerged,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused(output in prop::collection::vec(any::<u8>(), 0..200)) {
            let files = status(&output).map_or(0, |tree| tree.files.len());
            assert!(files <= output.len());
        }

        #[test]
        fn a_name_is_read_as_it_is(name in "[^\0]{1,40}", former in "[^\0]{1,40}") {
            let output = format!("2 R. N... 1 1 1 a b R9 {name}\0{former}\0? {former}\0");
            let names: Vec<_> = status(output.as_bytes())
                .map(|tree| tree.files.into_iter().map(|file| (file.name, file.extra)).collect())
                .unwrap_or_default();
            assert_eq!(names, [(name, former.clone()), (former, String::new())]);
        }
    }

    #[test]
    fn names_are_whatever_a_file_can_be_called() {
        let output = b"# branch.oid 1234\0# branch.head feature/x\0# branch.upstream origin/x\0\
            # branch.ab +2 -1\0# stash 3\0\
            1 M. N... 100644 100644 100644 a b two words\0\
            1 .T N... 100644 100644 120000 a b new\nline\0\
            2 R. N... 100644 100644 100644 a b R100 new \"name\"\x001 A. old\0\
            u UU N... 100644 100644 100644 100644 a b c both\0\
            ? \xc3\xbcn\xff\0! ignored\0";
        let file = |name: &str, extra: &str, staging, worktree| GitFileStatus {
            name: name.into(),
            extra: extra.into(),
            staging,
            worktree,
        };
        use GitFileState as State;
        let wanted = WorkingTree {
            branch: Some("feature/x".into()),
            has_commit: true,
            upstream: Some("origin/x".into()),
            distance: Some((2, 1)),
            files: vec![
                file("two words", "", State::Modified, State::Unmodified),
                file("new\nline", "", State::Unmodified, State::Modified),
                file("new \"name\"", "1 A. old", State::Renamed, State::Unmodified),
                file("both", "", State::Unmerged, State::Unmerged),
                file("ün\u{fffd}", "", State::Untracked, State::Untracked),
            ],
        };
        assert_eq!(status(output), Some(wanted));
    }

    #[test]
    fn a_repository_may_have_no_commit_and_head_no_branch() {
        let empty = status(b"# branch.oid (initial)\0# branch.head main\0").unwrap();
        assert_eq!((empty.has_commit, empty.branch.as_deref()), (false, Some("main")));
        let detached = status(b"# branch.oid 12\0# branch.head (detached)\0").unwrap();
        assert_eq!((detached.has_commit, detached.branch), (true, None));
    }

    #[test]
    fn what_is_cut_off_is_none() {
        for output in [&b"1 M. N..."[..], b"1 XX", b"2 R. N... 1 1 1 a b R1 x", b"garbage", b"1"] {
            assert_eq!(status(output), None, "{output:?}");
        }
    }
}
