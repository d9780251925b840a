//! The tree: jobs by group, with each job above those that start after it.

use std::collections::{BTreeMap, BTreeSet};

use jobcore::store::Load;
use jobcore::{Job, JobId, Name, Status};

use super::messages::{Entry, group_title};

/// Returns jobs as a tree in the given order, with those without a group last. A job that starts after several is below
/// the last of them.
pub(super) fn entries(jobs: &[Job], load: Option<&Load>) -> Vec<Entry> {
    let known: BTreeMap<JobId, usize> = jobs.iter().enumerate().map(|(place, job)| (job.id, place)).collect();
    let parent = |job: &Job| job.spec.after.iter().map(|after| after.job_id).rfind(|id| known.contains_key(id));
    let mut below: BTreeMap<JobId, Vec<&Job>> = BTreeMap::new();
    let mut roots: BTreeMap<(bool, Option<&Name>), Vec<&Job>> = BTreeMap::new();
    for job in jobs {
        match parent(job) {
            Some(parent) => below.entry(parent).or_default().push(job),
            None => roots.entry((job.spec.group.is_none(), job.spec.group.as_ref())).or_default().push(job),
        }
    }
    let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
    for ((_, group), roots) in roots {
        entries.push(Entry::Group(title(group, jobs, load)));
        let mut open: Vec<(&Job, u16)> = roots.into_iter().rev().map(|job| (job, 1)).collect();
        while let Some((job, depth)) = open.pop() {
            if !seen.insert(job.id) {
                continue;
            }
            entries.push(Entry::Job { id: job.id, depth });
            let followers = below.get(&job.id).into_iter().flatten().rev();
            open.extend(followers.map(|follower| (*follower, depth.saturating_add(1))));
        }
    }
    // Jobs edited so that they wait for each other are shown, too.
    entries.extend(jobs.iter().filter(|job| !seen.contains(&job.id)).map(|job| Entry::Job { id: job.id, depth: 1 }));
    entries
}

/// Returns the title of a group, with its slots and the number of its queued jobs.
fn title(group: Option<&Name>, jobs: &[Job], load: Option<&Load>) -> String {
    let of_group = |job: &&Job| job.spec.group.as_ref() == group;
    let queued = jobs.iter().filter(of_group).filter(|job| job.status() == Status::Queued).count();
    let queued = if queued > 0 { format!(", {queued} queued") } else { String::new() };
    let Some(load) = load else { return group_title(group) + &queued };
    let in_use: u64 = load
        .running
        .iter()
        .filter(|slot| slot.group.as_ref() == group && !slot.lent)
        .map(|slot| u64::from(slot.weight))
        .sum();
    let settings = group.and_then(|group| load.settings.groups.get(group));
    let limit = settings.map(|settings| settings.limit).filter(|limit| *limit > 0);
    let slots = limit.map_or_else(|| format!("{in_use} running"), |limit| format!("{in_use} of {limit} running"));
    let paused = if settings.is_some_and(|settings| settings.paused) { ", paused" } else { "" };
    format!("{}: {slots}{queued}{paused}", group_title(group))
}
