//! Contexts that mean harm.

use pitlane_build::BuildRequest;

use crate::support::{Site, keep, request};

crate::trials! {
    a_hostile_context_is_refused_before_anything_runs,
}

async fn a_hostile_context_is_refused_before_anything_runs() {
    let site = Site::start().await;
    let mut device = tar::Header::new_gnu();
    device.set_entry_type(tar::EntryType::Block);
    device.set_size(0);
    device.set_path("disk").unwrap();
    device.set_cksum();
    let mut bytes = device.as_bytes().to_vec();
    bytes.extend_from_slice(&[0; 1024]);
    let archive = keep(site.folder.path(), &bytes);
    let dockerfile = "FROM default\nRUN touch /ran\nCOPY . /x\n";
    let outcome = site.build(BuildRequest { contexts: vec![archive], ..request(dockerfile) }).await;
    assert_eq!(
        outcome.built.unwrap_err().to_string(),
        "a build context was refused: \"disk\" is a device, and a context has none"
    );
    assert!(!outcome.log.contains("RUN"), "{}", outcome.log);
    site.close().await;
}
