//! Which job is meant by what somebody typed.

use std::collections::BTreeSet;
use std::path::Path;

use super::JobManager;
use crate::error::{Error, Result};
use crate::id::{IdPrefix, JobId, looks_like_id};
use crate::job::Job;
use crate::name::Name;
use crate::store::Query;

/// How many jobs are looked at for one that may have been meant: the newest.
const LOOKED_AT: usize = 100;
/// How many are suggested at most.
const SUGGESTED: usize = 3;
/// Longer references are no slips of the keyboard.
const LONGEST: usize = 64;

impl JobManager {
    /// Returns the job that a person or a program means: by its full id; by its name; or by a part of its id, see [`IdPrefix`].
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Ambiguous`]. A full id is taken as it is.
    pub async fn find(&self, reference: &str) -> Result<JobId> {
        self.find_in(reference, None).await
    }

    /// Returns the job that is meant in this project, as [`JobManager::find`] does. A name means the newest job of this project that has
    /// it; if there is none, the only unfinished job of another project; if there is none either, the newest of all.
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
        // No job is called like a part of an id.
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
            // A store may know of ids whose jobs were never published, or have been removed.
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

    /// Returns the job that is called so, as somebody in this project says it.
    async fn named(&self, name: &Name, project: Option<&Path>) -> Result<Option<JobId>> {
        // Also one that has ended: nobody who stops it is to stop a job of another project instead.
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

    /// Returns whether a job has ended, or is no longer on record.
    pub(super) async fn has_ended(&self, id: JobId) -> Result<bool> {
        match self.store.evidence(id).await {
            Err(Error::NotFound { .. } | Error::Damaged { .. }) => Ok(true),
            evidence => Ok(evidence?.judge(self.clock.now())?.0.status().is_final()),
        }
    }

    /// Returns whether a job is called so: a store may return more jobs than a query wants.
    async fn is_named(&self, id: JobId, name: &Name) -> Result<bool> {
        match self.store.evidence(id).await {
            Err(Error::NotFound { .. } | Error::Damaged { .. }) => Ok(false),
            evidence => Ok(evidence?.submission.spec.name.as_ref() == Some(name)),
        }
    }

    /// Returns what may have been meant by a reference that [`JobManager::find`] does not know: names and short ids of the
    /// newest jobs that look like it, at most three, the likeliest first. Empty if nothing does, or the store cannot be
    /// read.
    pub async fn near(&self, reference: &str) -> Vec<String> {
        if reference.len() > LONGEST {
            return Vec::new();
        }
        let ids = self.store.ids(&Query::default(), None, LOOKED_AT).await.unwrap_or_default();
        let mut near = Vec::new();
        let mut seen = BTreeSet::new();
        for id in ids {
            // One that was removed, or cannot be read, is not what was meant.
            let Ok(job) = self.store.evidence(id).await.and_then(|evidence| evidence.judge(self.clock.now())) else {
                continue;
            };
            near.extend(names_of(&job.0).filter(|name| seen.insert(name.clone())).filter_map(|name| {
                let distance = distance(&reference.to_lowercase(), &name.to_lowercase())?;
                Some((distance, name))
            }));
        }
        // Among those that are equally near, the newest come first, as they were found.
        near.sort_by_key(|(distance, _)| *distance);
        near.into_iter().take(SUGGESTED).map(|(_, name)| name).collect()
    }
}

/// Returns what a job is called.
fn names_of(job: &Job) -> impl Iterator<Item = String> {
    job.spec.name.iter().map(ToString::to_string).chain([job.id.short()])
}

/// Returns in how many characters a reference differs from a name, if it is few enough to be a slip.
fn distance(reference: &str, name: &str) -> Option<usize> {
    let length = reference.chars().count();
    if length < 2 {
        return None;
    }
    // Whoever typed only the beginning meant the beginning.
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
    fn a_slip_is_near_and_another_word_is_not() {
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
