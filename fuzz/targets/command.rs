//! Commands that need no shell: the words of one, quoted again, are the same command.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::plain_command;

fuzz_target!(|command: &str| {
    let Some(plain) = plain_command(command) else { return };
    let quoted: Vec<String> = std::iter::once(&plain.name)
        .chain(&plain.arguments)
        .map(|word| format!("'{}'", word.replace('\'', "'\"'\"'")))
        .collect();
    assert_eq!(plain_command(&quoted.join(" ")), Some(plain));
});
