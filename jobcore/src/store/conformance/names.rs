//! Names and keys.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Backend, create_from, ended, submission};
use crate::error::Error;
use crate::spec::JobSpec;
use crate::store::{Created, Query};

/// Two unfinished jobs never have the same name; a lookup by name returns the newest.
pub async fn a_name_is_taken_until_its_job_has_ended(backend: &Backend) {
    let (store, other) = (backend.open(), backend.open());
    let name: crate::Name = "web".parse().expect("a name");
    assert_eq!(store.named(&name, None).await.expect("it is read"), None);
    let submit = || submission(JobSpec::command(["true"]).name("web".parse().expect("a name")));
    let (first, mut claim) = create_from(store.as_ref(), submit()).await;
    let taken = other.create(submit()).await;
    assert!(matches!(&taken, Err(Error::NameTaken { id, .. }) if *id == first), "{taken:?}");
    assert_eq!(other.ids(&Query::default(), None, 10).await.expect("it is read"), [first]);
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    let (second, mut claim) = create_from(other.as_ref(), submit()).await;
    assert_eq!(store.named(&name, None).await.expect("it is read"), Some(second));
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    store.remove(second).await.expect("it is removed");
    assert_eq!(other.named(&name, None).await.expect("it is read"), Some(first), "an earlier one is still there");
    store.remove(first).await.expect("it is removed");
    assert_eq!(other.named(&name, None).await.expect("it is read"), None);
}

/// Each project names its jobs independently.
pub async fn each_project_has_its_own_names(backend: &Backend) {
    let store = backend.open();
    let name: crate::Name = "web".parse().expect("a name");
    let submit = |project: Option<&str>| {
        let spec = JobSpec::command(["true"]).name(name.clone());
        submission(match project {
            Some(project) => spec.project(project),
            None => spec,
        })
    };
    let mut ids = Vec::new();
    for project in [None, Some("/src/shop"), Some("/src/blog")] {
        let (id, mut claim) = create_from(store.as_ref(), submit(project)).await;
        let taken = backend.open().create(submit(project)).await;
        assert!(matches!(&taken, Err(Error::NameTaken { id: taken, .. }) if *taken == id), "{taken:?}");
        ids.push(id);
        if project == Some("/src/shop") {
            claim.finish(&ended(0)).await.expect("it is written");
        }
    }
    for (project, id) in [None, Some("/src/shop"), Some("/src/blog")].into_iter().zip(&ids) {
        assert_eq!(store.named(&name, project.map(Path::new)).await.expect("it is read"), Some(*id));
    }
    assert_eq!(store.named(&name, Some(Path::new("/src"))).await.expect("it is read"), None);
    assert_eq!(store.create(submit(Some("/src/shop"))).await.expect("that one has ended"), Created::New);
    store.remove(ids[2]).await.expect("it is removed");
    assert_eq!(store.named(&name, Some(Path::new("/src/blog"))).await.expect("it is read"), None);
}

/// Submitting twice with one key is submitting once.
pub async fn a_key_makes_one_job(backend: &Backend) {
    let store = backend.open();
    let submit = |program: &str| submission(JobSpec::command([program]).key("a/b: ä"));
    let first = submit("true");
    let id = first.job_id;
    assert_eq!(store.keyed("a/b: ä").await.expect("it is read"), None);
    assert_eq!(store.create(first).await.expect("it is new"), Created::New);
    assert_eq!(backend.open().keyed("a/b: ä").await.expect("it is read"), Some(id));
    assert_eq!(backend.open().create(submit("true")).await.expect("it is known"), Created::Existing(id));
    let other = store.create(submit("false")).await;
    assert!(matches!(&other, Err(Error::KeyTaken { id: taken, .. }) if *taken == id), "{other:?}");
    assert_eq!(store.ids(&Query::default(), None, 10).await.expect("it is read"), [id]);
    store.remove(id).await.expect("it is removed");
    assert_eq!(store.keyed("a/b: ä").await.expect("it is read"), None);
    assert_eq!(store.create(submit("false")).await.expect("it is new again"), Created::New);
}

/// Even if all submit at the same time.
pub async fn concurrent_submissions_with_one_key_make_one_job(backend: &Backend) {
    let submitters: Vec<_> = (0..20)
        .map(|_| {
            let store = backend.open();
            tokio::spawn(async move {
                let submission = submission(JobSpec::command(["true"]).key("k"));
                let id = submission.job_id;
                match store.create(submission).await.expect("it is created or known") {
                    Created::New => id,
                    Created::Existing(id) => id,
                }
            })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for submitter in submitters {
        ids.insert(submitter.await.expect("no panic"));
    }
    let listed = backend.open().ids(&Query::default(), None, 100).await.expect("it is read");
    assert_eq!((ids.len(), listed), (1, ids.into_iter().collect()));
}
