//! Commands that need no shell: the words of one, quoted again, are the same words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::plain_words;

fuzz_target!(|command: &str| {
    let Some(words) = plain_words(command) else { return };
    let quoted: Vec<String> =
        words.iter().map(|word| format!("'{}'", word.replace('\'', "'\"'\"'"))).collect();
    assert_eq!(plain_words(&quoted.join(" ")), Some(words));
});
