//! Which job a typed reference means.

use std::collections::BTreeSet;
use std::path::Path;

use super::JobManager;
use crate::error::{Error, Result};
use crate::id::{IdPrefix, JobId, looks_like_id};
use crate::job::Job;
use crate::name::Name;
use crate::store::Query;

/// How many jobs, the newest first, are considered as suggestions.
const LOOKED_AT: usize = 100;
/// The most suggestions.
const SUGGESTED: usize = 3;
/// Longer references are not typing mistakes.
const LONGEST: usize = 64;

impl JobManager {
    /// Returns the job that a reference means: by its full id, by its name, or by part of its id, see [`IdPrefix`].
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Ambiguous`]. A full id is not looked up.
    pub async fn find(&self, reference: &str) -> Result<JobId> {
        self.find_in(reference, None).await
    }

    /// Returns the job that a reference means in this project, as [`JobManager::find`] does. A name means the newest
    /// job of this project that has it; failing that, the only unfinished job of another project; failing that, the
    /// newest job of all.
    ///
    /// # Errors
    /// As [`JobManager::find`].
    pub async fn find_in(&self, reference: &str, project: Option<&Path>) -> Result<JobId> {
        if let Ok(id) = reference.parse() {
            return Ok(id);
        }
        let (reference, project) = (reference.to_owned(), project.map(Path::to_owned));
        self.offload(move |jobs| async move { jobs.find_here(&reference, project.as_deref()).await }).await
    }

    async fn find_here(&self, reference: &str, project: Option<&Path>) -> Result<JobId> {
        let not_found = || Error::NotFound { reference: reference.to_owned() };
        // No job has a name that looks like part of an id.
        if !looks_like_id(reference)
            && let Ok(name) = reference.parse::<Name>()
            && let Some(id) = self.named(&name, project).await?
        {
            return Ok(id);
        }
        let part: IdPrefix = reference.parse().map_err(|_| not_found())?;
        let mut candidates = self.store.ids(&Query::default().with_prefix(part.clone()), None, usize::MAX).await?;
        candidates.retain(|id| part.matches(*id));
        let mut found = Vec::new();
        for id in candidates {
            // A store may know ids of jobs that were never published or have been removed.
            if !matches!(self.store.evidence(id).await, Err(Error::NotFound { .. })) {
                found.push(id);
            }
        }
        match found.as_slice() {
            [] => Err(not_found()),
            [id] => Ok(*id),
            _ => Err(Error::Ambiguous { reference: reference.to_owned(), candidates: found }),
        }
    }

    /// Returns the job with this name, as used in this project.
    async fn named(&self, name: &Name, project: Option<&Path>) -> Result<Option<JobId>> {
        // Even one that has ended: a stop must not reach a job of another project instead.
        if let Some(id) = self.store.named(name, project).await? {
            return Ok(Some(id));
        }
        let all = Query::default().with_name(Some(name.clone()));
        let mut unfinished = Vec::new();
        for id in self.store.ids(&all.clone().live(), None, usize::MAX).await? {
            if self.is_named(id, name).await? && !self.has_ended(id).await? {
                unfinished.push(id);
            }
        }
        match unfinished.as_slice() {
            [id] => return Ok(Some(*id)),
            [] => {}
            _ => return Err(Error::Ambiguous { reference: name.to_string(), candidates: unfinished }),
        }
        for id in self.store.ids(&all, None, usize::MAX).await? {
            if self.is_named(id, name).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Returns whether a job has ended or is no longer on record.
    pub(super) async fn has_ended(&self, id: JobId) -> Result<bool> {
        match self.store.evidence(id).await {
            Err(Error::NotFound { .. } | Error::Damaged { .. }) => Ok(true),
            evidence => Ok(evidence?.judge(self.clock.now())?.0.status().is_final()),
        }
    }

    /// Returns whether a job has this name: a store may return more jobs than match a query.
    async fn is_named(&self, id: JobId, name: &Name) -> Result<bool> {
        match self.store.evidence(id).await {
            Err(Error::NotFound { .. } | Error::Damaged { .. }) => Ok(false),
            evidence => Ok(evidence?.submission.spec.name.as_ref() == Some(name)),
        }
    }

    /// Returns what a reference that [`JobManager::find`] does not know may have meant: at most three names and short
    /// ids of the newest jobs that resemble it, the likeliest first. Empty if nothing does, or if the store cannot be
    /// read.
    pub async fn near(&self, reference: &str) -> Vec<String> {
        if reference.len() > LONGEST {
            return Vec::new();
        }
        let ids = self.store.ids(&Query::default(), None, LOOKED_AT).await.unwrap_or_default();
        let mut near = Vec::new();
        let mut seen = BTreeSet::new();
        for id in ids {
            // A job that was removed or cannot be read is not what was meant.
            let Ok(job) = self.store.evidence(id).await.and_then(|evidence| evidence.judge(self.clock.now())) else {
                continue;
            };
            near.extend(names_of(&job.0).filter(|name| seen.insert(name.clone())).filter_map(|name| {
                let distance = distance(&reference.to_lowercase(), &name.to_lowercase())?;
                Some((distance, name))
            }));
        }
        // Among equally near names, those of the newest jobs come first, as they were found.
        near.sort_by_key(|(distance, _)| *distance);
        near.into_iter().take(SUGGESTED).map(|(_, name)| name).collect()
    }
}

/// Returns the names of a job.
fn names_of(job: &Job) -> impl Iterator<Item = String> {
    job.spec.name.iter().map(ToString::to_string).chain([job.id.short()])
}

/// Returns by how many characters a reference differs from a name, if they are few enough for a typing mistake.
fn distance(reference: &str, name: &str) -> Option<usize> {
    let length = reference.chars().count();
    if length < 2 {
        return None;
    }
    // A short reference is compared with the beginning of the name.
    let beginning: String = name.chars().take(length).collect();
    let whole = strsim::osa_distance(reference, name);
    let part = strsim::osa_distance(reference, &beginning);
    let (distance, allowed) = if part < whole { (part + 1, length / 4 + 1) } else { (whole, length.div_ceil(4)) };
    (distance <= allowed).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_near_and_another_word_is_not() {
        for (reference, name, near) in [
            ("wbe", "web", true),
            ("web", "web-server", true),
            ("weeb", "web", true),
            ("3f9a2c1c", "3f9a2c1b", true),
            ("3f9a2c", "3f9b2c1b", true),
            ("f39a2c1b", "3f9a2c1b", true),
            ("nope", "live", false),
            ("web", "api", false),
            ("build", "tests", false),
            ("w", "web", false),
            ("", "web", false),
            ("3f9a2c1b", "77aa01c2", false),
        ] {
            assert_eq!(distance(reference, name).is_some(), near, "{reference} {name}");
        }
    }
}
