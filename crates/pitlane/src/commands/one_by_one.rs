//! The same for several things, one after the other.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::output::{Format, say_failure};

/// Does something for each name and tells what it was called, in JSON all of them together under the word `done`; goes on
/// after one that fails, and fails in the end.
pub(super) async fn one_by_one(
    names: &[String],
    format: Format,
    done: &str,
    work: impl AsyncFn(&str) -> Result<String, Failure>,
) -> Result<ExitCode, Failure> {
    let (mut told, mut last) = (Vec::new(), None::<Failure>);
    for name in names {
        match work(name).await {
            Ok(name) => {
                format.line(&name)?;
                told.push(name);
            }
            Err(failure) => {
                if let Some(earlier) = last.replace(failure) {
                    say_failure(&earlier);
                }
            }
        }
    }
    format.write(&BTreeMap::from([(done, told)]), |_| String::new())?;
    last.map_or(Ok(ExitCode::SUCCESS), Err)
}
