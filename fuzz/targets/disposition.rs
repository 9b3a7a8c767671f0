//! The header `Content-Disposition`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::{Disposition, attachment, part_of_form};

fuzz_target!(|data: &[u8]| {
    let read = Disposition::parse(data);
    for name in [read.name, read.file_name, Some(String::from_utf8_lossy(data).into_owned())] {
        let Some(name) = name else { continue };
        let header = part_of_form("file", &name);
        let wanted = Disposition { name: Some("file".into()), file_name: Some(name.clone()) };
        assert_eq!(Disposition::parse(header.as_bytes()), wanted);
        assert!(!header.bytes().any(|byte| byte.is_ascii_control()));
        let header = attachment(&name);
        assert!(header.is_ascii());
        assert_eq!(Disposition::parse(header.as_bytes()).file_name, Some(name));
    }
});
