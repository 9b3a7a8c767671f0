//! What an image says of the sandboxes that start from it, as it is kept beside the image.

use std::collections::{BTreeMap, BTreeSet};

pub use pitlane_model::ImageConfig;
use serde::{Deserialize, Serialize};

/// How an [`ImageConfig`] is written down; what is absent was not said.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ImageConfig")]
pub(crate) struct Kept {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    command: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    work_dir: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    ports: BTreeSet<String>,
}

/// The user that images made from this crate's recipes name.
pub(crate) const RECIPE_USER: &str = "daytona";

/// What images made from this crate's recipes say.
pub(crate) fn of_recipes() -> ImageConfig {
    ImageConfig { user: Some(RECIPE_USER.to_owned()), ..ImageConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct File(#[serde(with = "Kept")] ImageConfig);

    #[test]
    fn what_was_not_said_is_not_kept() {
        let kept = serde_json::to_string(&File(ImageConfig::default())).unwrap();
        assert_eq!(kept, "{}");
        let read: File = serde_json::from_str(&kept).unwrap();
        assert_eq!(read.0, ImageConfig::default());
    }

    #[test]
    fn what_was_said_is_kept() {
        let words = |word: &str| vec![word.to_owned()];
        let said = ImageConfig {
            entrypoint: words("/run"),
            command: words("-v"),
            environment: BTreeMap::from([(String::from("A"), String::from("1"))]),
            work_dir: Some(String::from("/srv")),
            user: Some(String::from("7")),
            labels: BTreeMap::from([(String::from("a"), String::from("b"))]),
            ports: BTreeSet::from([String::from("80/tcp")]),
        };
        let kept = serde_json::to_string(&File(said.clone())).unwrap();
        assert_eq!(serde_json::from_str::<File>(&kept).unwrap().0, said);
    }
}
