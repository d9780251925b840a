use std::io::Write;
use std::process::ExitCode;

use jobcore::front::{Failure, codes, store_settings};
use jobcore::{JobManager, escape};

use super::Result;
use crate::cli::{Config, ConfigVerb};

pub(super) async fn run(jobs: &JobManager, arguments: Config) -> Result {
    match arguments.what {
        ConfigVerb::Get { key } => get(jobs, key.as_deref()).await,
        ConfigVerb::Set { key, value } => set(jobs, &key, &value).await,
    }
}

async fn get(jobs: &JobManager, key: Option<&str>) -> Result {
    let entries = store_settings::entries(&jobs.store().settings().await?)?;
    let mut out = std::io::stdout().lock();
    match key {
        None => {
            for (key, value) in entries {
                writeln!(out, "{key} = {}", escape::one_line(&value))?;
            }
        }
        Some(key) => match entries.iter().find(|(name, _)| name == key) {
            Some((_, value)) => writeln!(out, "{}", escape::one_line(value))?,
            None => {
                return Err(Failure::new(codes::USAGE, format!("there is no setting `{key}`"))
                    .with_hint("run `jobcli config get`"));
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(jobs: &JobManager, key: &str, value: &str) -> Result {
    let (key, value) = (key.to_owned(), value.to_owned());
    let refuse = |reason| Failure::new(codes::USAGE, reason);
    // Tried on a copy first, so that an invalid value changes nothing.
    store_settings::set(&mut jobs.store().settings().await?, &key, &value).map_err(refuse)?;
    jobs.change_settings(move |settings| {
        let _ = store_settings::set(settings, &key, &value);
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
