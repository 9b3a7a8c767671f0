//! Volumes in object storage, as the settings have them.

use std::path::Path;

use pitlane_engine::{LaunchCommand, ObjectVolumes, volume_files_first_id};
use pitlane_objects::{Location, ObjectStorage, Secret, VOLUME_FILES};

use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};
use crate::settings::{ObjectStorageSettings, Settings};

/// Where volumes are made from now on, if not on this machine.
pub(super) fn of(settings: &Settings) -> Result<Option<ObjectVolumes>, Failure> {
    let Some(storage) = storage(&settings.object_storage)? else { return Ok(None) };
    Ok(Some(ObjectVolumes {
        storage,
        command: LaunchCommand {
            program: std::env::current_exe().doing("cannot find this program's own file")?,
            arguments: vec![VOLUME_FILES.into()],
        },
        first_id: volume_files_first_id(settings.first_id),
    }))
}

fn storage(settings: &ObjectStorageSettings) -> Result<Option<ObjectStorage>, Failure> {
    let ObjectStorageSettings { endpoint, region, bucket, prefix, access_key_file } = settings;
    let Some(endpoint) = endpoint else { return Ok(None) };
    let Some(file) = access_key_file else {
        return Err(Failure::new("object storage for volumes needs a key")
            .hint("name the file that has it with --volume-access-key-file")
            .exit(Exit::Usage));
    };
    let (id, secret) = key(file)?;
    let location = Location {
        endpoint: endpoint.clone(),
        region: region.clone(),
        bucket: bucket.clone(),
        prefix: prefix.clone(),
    };
    let storage = ObjectStorage::new(&location, id, secret).map_err(|why| {
        Failure::new(format!("object storage for volumes cannot be used: {why}"))
            .hint("the settings volumes.object_storage.* say where it is")
            .exit(Exit::Usage)
    })?;
    Ok(Some(storage))
}

/// The two lines of a file with a key.
fn key(file: &Path) -> Result<(String, Secret), Failure> {
    let text = std::fs::read_to_string(file)
        .doing(format!("cannot read the key to object storage in {}", file.display()))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next(), lines.next()) {
        (Some(id), Some(secret), None) => Ok((id.to_owned(), Secret::new(secret.to_owned()))),
        _ => Err(Failure::new(format!("{} is no key to object storage", file.display()))
            .hint("it has two lines: the id of an access key, and its secret")
            .exit(Exit::Usage)),
    }
}

#[cfg(test)]
mod tests {
    use super::{key, storage};
    use crate::settings::ObjectStorageSettings;

    #[test]
    fn a_key_is_two_lines_and_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for (text, wanted) in [
            ("id\nword\n", Some("id")),
            ("\n id \n word \n\n", Some("id")),
            ("id", None),
            ("id\nword\nmore", None),
            ("", None),
        ] {
            std::fs::write(&file, text).unwrap();
            let found = key(&file);
            assert_eq!(found.as_ref().ok().map(|(id, _)| id.as_str()), wanted, "{text:?}");
        }
        std::fs::write(&file, "id\nword\n").unwrap();
        let settings = ObjectStorageSettings {
            endpoint: Some("https://storage.example".to_owned()),
            region: "us-east-1".to_owned(),
            bucket: "volumes".to_owned(),
            prefix: String::new(),
            access_key_file: Some(file),
        };
        let made = storage(&settings).unwrap().unwrap();
        assert!(!format!("{made:?}").contains("word"));
        let nowhere = ObjectStorageSettings { endpoint: None, ..settings.clone() };
        assert_eq!(storage(&nowhere).unwrap(), None);
        let without_key = ObjectStorageSettings { access_key_file: None, ..settings };
        assert!(storage(&without_key).is_err());
    }
}
