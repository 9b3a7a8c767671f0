//! What git writes: read or refused, and messages that show no secrets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::git::{
    commits, failure, origin, remotes, settings, status, without_secrets,
};

fuzz_target!(|data: &[u8]| {
    if let Some(tree) = status(data) {
        assert!(tree.files.len() <= data.len());
    }
    if let Some(commits) = commits(data) {
        assert!(commits.len() <= data.len());
    }
    assert!(remotes(data).len() <= data.len());
    for setting in settings(data) {
        assert!(setting.key.len() <= data.len() * 3);
        assert!(!(setting.chooses_listeners() && setting.hook().is_some()));
    }
    let text = String::from_utf8_lossy(data);
    // What the remote says decides nothing.
    let said = format!("remote: {}", text.replace(['\n', '\r'], " "));
    assert_eq!(failure(&said), failure(""));
    if let Some(origin) = origin(&text) {
        // It can stand in the name of a setting, and in no other place of one.
        assert!(origin.starts_with("http") && !origin.contains(['=', '\n', '@', ' ', '\0']));
    }
    if let Some((secret, text)) = text.split_once('\0')
        // What stands for a secret may be made of the same letters.
        && !secret.is_empty()
        && !secret.contains(['*', '…'])
        && !secret.contains(char::is_whitespace)
        && !text.contains('*')
    {
        assert!(!without_secrets(text, &[secret]).contains(secret));
    }
});
