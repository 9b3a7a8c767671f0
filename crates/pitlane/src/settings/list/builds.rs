//! Builds of images.

use std::collections::BTreeMap;
use std::time::Duration;

use super::values::positive;
use crate::settings::Setting;

/// What builds get and may take.
pub(super) const SETTINGS: [Setting; 3] = [
    Setting {
        key: "build.variables",
        flag: "build-variables",
        variable: "PITLANE_BUILD_VARIABLES",
        value: "VARIABLES",
        default: "",
        help: "Variables of RUN steps that no image keeps, for mirrors of packages: PIP_INDEX_URL=URL, NPM_CONFIG_REGISTRY=URL, http_proxy=URL, …, separated by spaces [default: none]",
        apply: |settings, text| {
            settings.builds.mirrors.variables = variables(text)?;
            Ok(())
        },
    },
    Setting {
        key: "build.deadline",
        flag: "build-deadline",
        variable: "PITLANE_BUILD_DEADLINE",
        value: "MINUTES",
        default: "60",
        help: "Minutes that one build may take",
        apply: |settings, text| {
            let minutes: u32 = positive(text)?;
            settings.builds.limits.deadline = Duration::from_secs(u64::from(minutes) * 60);
            Ok(())
        },
    },
    Setting {
        key: "build.concurrent",
        flag: "build-concurrent",
        variable: "PITLANE_BUILD_CONCURRENT",
        value: "NUMBER",
        default: "4",
        help: "Builds that run at the same time; more wait. Each step may use what a sandbox may at most",
        apply: |settings, text| {
            settings.builds.limits.concurrent = positive(text)?;
            Ok(())
        },
    },
];

/// Variables, `NAME=VALUE`, separated by spaces.
fn variables(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = text.split_whitespace().map(|word| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{word:?} is not NAME=VALUE")),
    });
    let pairs: BTreeMap<String, String> = pairs.collect::<Result<_, String>>()?;
    pitlane_model::Environment::new(pairs.clone()).map_err(|error| error.to_string())?;
    Ok(pairs)
}
