//! Which jobs are shown: the selection on the command line, and the typed filter.

use std::path::PathBuf;

use jobcore::{Job, Query, Status};

/// Which jobs are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    query: Query,
    /// Words in lower case. Each must occur in the name, the id, the command or a label.
    words: Vec<String>,
}

impl Filter {
    /// Returns the filter for the jobs of a query, and of a project if one is given, that match a text: words, and
    /// `status:`, `label:`, `group:`, `name:` and `caller:` with a value.
    ///
    /// # Errors
    /// Returns a message about the first word that is not understood.
    pub(super) fn new(base: &Query, project: Option<PathBuf>, text: &str) -> Result<Self, String> {
        let mut query = base.clone();
        if project.is_some() {
            query = query.with_project(project);
        }
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            query = match word.split_once(':') {
                // The value is still being typed.
                Some(("status" | "label" | "group" | "name" | "caller", "")) => query,
                Some(("status", status)) => {
                    let statuses = statuses(status)?;
                    query.with_statuses(statuses)
                }
                Some(("label", label)) => {
                    let (name, value) = label.split_once('=').unwrap_or((label, ""));
                    let mut labels = query.labels.clone();
                    labels.push((name.to_owned(), value.to_owned()));
                    query.with_labels(labels)
                }
                Some(("group", group)) => query.with_group(Some(parsed(group)?)),
                Some(("name", pattern)) => query.with_name_pattern(Some(parsed(pattern)?)),
                Some(("caller", caller)) => query.with_caller(Some(parsed(caller)?)),
                _ => {
                    words.push(word.to_lowercase());
                    query
                }
            };
        }
        Ok(Self { query, words })
    }

    /// Returns the part of the filter that the store can apply.
    pub(super) fn query(&self) -> &Query {
        &self.query
    }

    /// Returns whether jobs with this status may be shown.
    pub(super) fn wants(&self, status: Status) -> bool {
        self.query.statuses.is_empty() || self.query.statuses.contains(&status)
    }

    /// Returns whether a job has to be opened to know whether it is shown, even if its status is known.
    pub(super) fn opens_jobs(&self) -> bool {
        !self.words.is_empty() || self.query.clone().with_statuses(Vec::new()) != Query::default()
    }

    /// Returns whether a job is shown.
    pub(super) fn matches(&self, job: &Job) -> bool {
        self.query.matches(job) && self.words.iter().all(|word| has(job, word))
    }
}

fn has(job: &Job, word: &str) -> bool {
    let contains = |text: &str| text.to_lowercase().contains(word);
    job.spec.name.as_ref().is_some_and(|name| contains(name.as_str()))
        || contains(&job.spec.command.line())
        || job.id.to_string().contains(word)
        || job.spec.labels.iter().any(|(name, value)| contains(name) || contains(value))
}

/// Returns the statuses that begin with one of the comma-separated parts.
fn statuses(text: &str) -> Result<Vec<Status>, String> {
    let parts: Vec<_> = text.split(',').filter(|part| !part.is_empty()).collect();
    let is_meant = |status: &Status| parts.iter().any(|part| status.as_str().starts_with(part));
    let found: Vec<_> = Status::ALL.into_iter().filter(is_meant).collect();
    match found.is_empty() && !parts.is_empty() {
        true => Err(format!("no status begins with `{text}`")),
        false => Ok(found),
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::tests::job;

    fn shows(text: &str) -> Result<bool, String> {
        Ok(Filter::new(&Query::default(), None, text)?.matches(&job("web", "npm run dev")))
    }

    #[test]
    fn all_words_and_fields_must_match() {
        for (text, expected) in [
            ("", true),
            ("NPM", true),
            ("we dev", true),
            ("we test", false),
            ("status:", true),
            ("status:run", true),
            ("status:fail,que", false),
            ("label:kind", true),
            ("label:kind=server npm", true),
            ("label:kind=job", false),
            ("group:web", false),
            ("name:w*", true),
            ("name:x*", false),
            ("http://x", false),
        ] {
            assert_eq!(shows(text), Ok(expected), "{text}");
        }
        for text in ["status:nonsense", "group:a b/", "caller:x"] {
            assert_eq!(shows(text).is_err(), text != "group:a b/", "{text}");
        }
    }

    #[test]
    fn a_filter_that_the_index_answers_opens_no_job() {
        let opens = |text: &str| Filter::new(&Query::default(), None, text).unwrap().opens_jobs();
        assert_eq!(["", "status:run", "x", "label:x", "group:x"].map(opens), [false, false, true, true, true]);
        assert!(Filter::new(&Query::default(), Some("/".into()), "").unwrap().opens_jobs());
    }
}
