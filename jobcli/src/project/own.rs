//! `jobs.toml` and `jobs.json`: a table `jobs`, in which each job has the fields of `run --spec`.

use serde::Deserialize;

use super::jobs::Jobs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    jobs: Jobs,
}

pub(super) fn toml(text: &str, _: &mut Vec<String>) -> Result<Jobs, String> {
    toml::from_str::<File>(text).map(|file| file.jobs).map_err(|error| error.to_string())
}

pub(super) fn json(text: &str, _: &mut Vec<String>) -> Result<Jobs, String> {
    serde_json::from_str::<File>(text).map(|file| file.jobs).map_err(|error| error.to_string())
}
