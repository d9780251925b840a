//! What the limits leave for jobs that are to be started.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::StoreSettings;
use super::slot::Slot;
use crate::id::JobId;
use crate::limit::{LimitOn, ReachedLimit, Resource};
use crate::name::Name;
use crate::queue::UNITS;

/// The slots and resources of a store that are left next to the jobs that have some.
#[derive(Debug)]
pub(crate) struct Room<'s> {
    settings: &'s StoreSettings,
    slots: u64,
    groups: BTreeMap<Name, u64>,
    numbers: BTreeMap<Option<Name>, BTreeSet<u32>>,
    resources: BTreeMap<Resource, Vec<Holding>>,
    /// The limits that hold back jobs further ahead in the queue: what is left under them is kept for those jobs.
    kept: BTreeSet<LimitOn>,
    /// The groups among those limits.
    kept_groups: BTreeSet<Name>,
}

/// How much of a resource a job has.
#[derive(Debug)]
struct Holding {
    id: JobId,
    /// Whether it is lent to the jobs that this job submitted.
    lent: bool,
    amount: u32,
    units: u64,
}

impl<'s> Room<'s> {
    /// Returns what is left next to these jobs. A job that has lent its slot takes none. Its resources are lent to its
    /// descendants alone, because other jobs rely on being the only ones to have them.
    pub(crate) fn beside<'j>(settings: &'s StoreSettings, taken: impl IntoIterator<Item = &'j Slot>) -> Self {
        let (groups, numbers, resources) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (kept, kept_groups) = (BTreeSet::new(), BTreeSet::new());
        let mut room = Self { settings, slots: 0, groups, numbers, resources, kept, kept_groups };
        for slot in taken {
            room.add(slot);
        }
        room
    }

    fn add(&mut self, slot: &Slot) {
        let Slot { id, group, lent, weight, resources, place, .. } = slot;
        if !lent {
            self.slots += u64::from(*weight);
            if let Some(group) = group {
                *self.groups.entry(group.clone()).or_default() += u64::from(*weight);
            }
        }
        if let Some(number) = place.slot {
            self.numbers.entry(group.clone()).or_default().insert(number);
        }
        for (resource, amount) in resources {
            let units = place.units.get(resource).copied().unwrap_or(0);
            let holding = Holding { id: *id, lent: *lent, amount: *amount, units };
            self.resources.entry(resource.clone()).or_default().push(holding);
        }
    }

    /// Returns whether a job lacks something that a waiting job has lent: then [`Room::reached`] needs to know whose
    /// descendant it is.
    pub(crate) fn may_inherit(&self, slot: &Slot) -> bool {
        slot.resources.keys().any(|resource| self.holdings(resource).iter().any(|holding| holding.lent))
    }

    /// Returns whether no job can be started, whatever it needs.
    pub(crate) fn is_full(&self) -> bool {
        self.settings.max_running != 0 && self.slots >= u64::from(self.settings.max_running)
    }

    /// Returns whether a job with these ancestors may be started.
    pub(crate) fn is_enough(&self, slot: &Slot, ancestors: &[JobId]) -> bool {
        !self.are_slots_kept(slot)
            && !self.settings.is_paused(slot.group.as_ref())
            && self.limits(slot, ancestors).all(|limit| !limit.is_reached())
            && !self.is_kept(slot, ancestors)
    }

    /// Returns whether the slots that a job would take are kept for jobs further ahead. If very many jobs wait in one
    /// group, nothing else has to be checked for them.
    fn are_slots_kept(&self, slot: &Slot) -> bool {
        !self.kept.is_empty()
            && (self.kept.contains(&LimitOn::Store)
                || slot.group.as_ref().is_some_and(|group| self.kept_groups.contains(group)))
    }

    /// Returns whether something that a job needs is kept for jobs further ahead.
    pub(crate) fn is_kept(&self, slot: &Slot, ancestors: &[JobId]) -> bool {
        let inherits = |limit: &Limit| limit.inherited >= u64::from(limit.needed);
        self.limits(slot, ancestors).any(|limit| self.kept.contains(&limit.on) && !inherits(&limit))
    }

    /// Returns the limit that keeps a job from being started. If several are reached, that is the limit of the group:
    /// the end of a job of another group makes no room.
    pub(crate) fn reached(&self, slot: &Slot, ancestors: &[JobId]) -> Option<ReachedLimit> {
        let limit = self.limits(slot, ancestors).find(Limit::is_reached)?;
        Some(ReachedLimit::new(limit.on, limit.needed, limit.in_use, limit.limit))
    }

    /// Keeps for a job what it lacks: otherwise later jobs could take what it needs again and again, and it would never
    /// start.
    pub(crate) fn pass_over(&mut self, slot: &Slot, ancestors: &[JobId]) {
        if self.are_slots_kept(slot) && slot.resources.is_empty() {
            return;
        }
        let lacking: Vec<_> = self.limits(slot, ancestors).filter(Limit::is_reached).map(|limit| limit.on).collect();
        for on in lacking {
            if let LimitOn::Group(group) = &on {
                self.kept_groups.insert(group.clone());
            }
            self.kept.insert(on);
        }
    }

    /// Gives a job its slot number and its units: the lowest that are free. What is not free
    /// is given beyond the limits, without a unit.
    pub(crate) fn give(&self, slot: &mut Slot, ancestors: &[JobId]) {
        let taken = self.numbers.get(&slot.group);
        slot.place.slot = (0..).find(|number| taken.is_none_or(|taken| !taken.contains(number)));
        for (resource, amount) in &slot.resources {
            let capacity = self.settings.amount_of(resource);
            if capacity > UNITS {
                continue;
            }
            let taken = self.in_use(resource, ancestors).fold(0, |units, holding| units | holding.units);
            let is_free = |unit: &u32| taken & (1 << unit) == 0;
            let given = (0..capacity).filter(is_free).take(*amount as usize).fold(0, |units, unit| units | 1 << unit);
            slot.place.units.insert(resource.clone(), given);
        }
    }

    fn limits<'a>(&'a self, slot: &'a Slot, ancestors: &'a [JobId]) -> impl Iterator<Item = Limit> + 'a {
        let of_slots = |on, in_use, limit| Limit { on, needed: slot.weight, in_use, limit, inherited: 0 };
        let group = slot.group.as_ref().map(|group| {
            let in_use = self.groups.get(group).copied().unwrap_or(0);
            of_slots(LimitOn::Group(group.clone()), in_use, self.settings.group_limit(group))
        });
        let store = of_slots(LimitOn::Store, self.slots, self.settings.max_running);
        let slots = group.into_iter().chain([store]).filter(|limit| limit.limit != 0);
        slots.chain(slot.resources.iter().map(|(resource, needed)| {
            let amount = |holding: &Holding| u64::from(holding.amount);
            let in_use = self.in_use(resource, ancestors).map(amount).sum();
            let inherited = self.holdings(resource).iter().map(amount).sum::<u64>() - in_use;
            let (on, limit) = (LimitOn::Resource(resource.clone()), self.settings.amount_of(resource));
            Limit { on, needed: *needed, in_use, limit, inherited }
        }))
    }

    fn holdings(&self, resource: &Resource) -> &[Holding] {
        self.resources.get(resource).map(Vec::as_slice).unwrap_or_default()
    }

    fn in_use<'a>(&'a self, resource: &Resource, ancestors: &'a [JobId]) -> impl Iterator<Item = &'a Holding> + 'a {
        let is_inherited = |holding: &&Holding| holding.lent && ancestors.contains(&holding.id);
        self.holdings(resource).iter().filter(move |holding| !is_inherited(holding))
    }
}

/// A limit that applies to a job.
struct Limit {
    on: LimitOn,
    needed: u32,
    in_use: u64,
    limit: u32,
    /// How much of it ancestors of the job lend it.
    inherited: u64,
}

impl Limit {
    fn is_reached(&self) -> bool {
        let is_too_much = self.in_use + u64::from(self.needed) > u64::from(self.limit);
        match self.on {
            // A job may take more slots than there are if it runs alone; there is never more of a resource than there
            // is.
            LimitOn::Store | LimitOn::Group(_) => is_too_much && self.in_use > 0,
            LimitOn::Resource(_) => is_too_much,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u64, group: Option<&str>, weight: u32, resources: &[(&str, u32)]) -> Slot {
        let id = JobId::mint(crate::clock::Timestamp::UNIX_EPOCH, &crate::testing::SeededRandom::new(number)).unwrap();
        let mut slot = Slot::new(id);
        (slot.group, slot.weight) = (group.map(|group| group.parse().unwrap()), weight);
        slot.resources = resources.iter().map(|(name, amount)| (name.parse().unwrap(), *amount)).collect();
        slot
    }

    fn settings(max_running: u32) -> StoreSettings {
        StoreSettings { max_running, ..StoreSettings::default() }
    }

    #[test]
    fn a_group_has_its_own_limit_and_the_store_counts_all() {
        let mut settings = settings(3);
        settings.set_group("web".parse().unwrap(), 1);
        let (web, db, none) = (slot(1, Some("web"), 1, &[]), slot(2, Some("db"), 1, &[]), slot(3, None, 1, &[]));
        let is_enough = |settings: &StoreSettings, slot: &Slot, taken: &[&Slot]| {
            Room::beside(settings, taken.iter().copied()).is_enough(slot, &[])
        };
        assert!(is_enough(&settings, &web, &[&none, &db]));
        assert!(!is_enough(&settings, &web, &[&web]));
        let reached = |slot: &Slot, taken: &[&Slot]| {
            let reached = Room::beside(&settings, taken.iter().copied()).reached(slot, &[]).unwrap();
            (reached.on, reached.in_use, reached.limit)
        };
        assert_eq!(reached(&web, &[&none, &web, &db]), (LimitOn::Group("web".parse().unwrap()), 1, 1));
        assert_eq!(reached(&db, &[&none, &web, &db]), (LimitOn::Store, 3, 3));
        assert!(is_enough(&settings, &db, &[&web, &db]));
        assert!(!is_enough(&settings, &none, &[&none, &none, &db]));
        settings.max_running = 0;
        assert!(is_enough(&settings, &none, &vec![&none; 1000]));
        settings.pause_group("db".parse().unwrap(), true);
        assert!(!is_enough(&settings, &db, &[]) && is_enough(&settings, &web, &[]) && is_enough(&settings, &none, &[]));
        settings.paused = true;
        assert!(!is_enough(&settings, &none, &[]) && Room::beside(&settings, []).reached(&none, &[]).is_none());
    }

    #[test]
    fn a_job_that_needs_more_slots_is_not_overtaken_forever_and_may_run_alone() {
        let settings = settings(3);
        let (light, heavy) = (slot(1, None, 1, &[]), slot(2, None, 2, &[]));
        let mut room = Room::beside(&settings, [&light, &light]);
        assert!(!room.is_enough(&heavy, &[]) && room.is_enough(&light, &[]));
        room.pass_over(&heavy, &[]);
        assert!(!room.is_enough(&light, &[]) && room.is_kept(&light, &[]));
        let heaviest = slot(3, None, 9, &[]);
        assert!(!Room::beside(&settings, [&light]).is_enough(&heaviest, &[]));
        assert!(Room::beside(&settings, []).is_enough(&heaviest, &[]));
    }

    #[test]
    fn units_and_numbers_are_the_lowest_free_ones() {
        let mut settings = settings(0);
        settings.set_resource("gpu".parse().unwrap(), Some(3));
        let give = |room: &mut Room<'_>, mut slot: Slot| {
            room.give(&mut slot, &[]);
            room.add(&slot);
            let units: Vec<_> = slot.place.units_of(&"gpu".parse().unwrap()).collect();
            (slot.place.slot.unwrap(), units)
        };
        let mut room = Room::beside(&settings, []);
        assert_eq!(give(&mut room, slot(1, None, 1, &[("gpu", 1)])), (0, vec![0]));
        assert_eq!(give(&mut room, slot(2, Some("a"), 1, &[("gpu", 2)])), (0, vec![1, 2]));
        assert_eq!(give(&mut room, slot(3, Some("a"), 1, &[("gpu", 1)])), (1, vec![]));
        let asked = slot(4, None, 1, &[("gpu", 1)]);
        assert!(!room.is_enough(&asked, &[]));
        assert!(room.is_enough(&slot(5, None, 1, &[("lock:db", 1)]), &[]));
        assert!(!room.is_enough(&slot(5, None, 1, &[("lock:db", 2)]), &[]), "an unset resource has an amount of 1");
    }

    #[test]
    fn the_resources_of_a_waiting_job_are_for_its_descendants() {
        let settings = settings(1);
        let mut parent = slot(1, None, 1, &[("lock:db", 1)]);
        let (child, stranger) = (slot(2, None, 1, &[("lock:db", 1)]), slot(3, None, 1, &[("lock:db", 1)]));
        Room::beside(&settings, []).give(&mut parent, &[]);
        parent.lent = true;
        let mut room = Room::beside(&settings, [&parent]);
        assert!(room.may_inherit(&child) && !room.is_enough(&stranger, &[]));
        room.pass_over(&stranger, &[]);
        assert!(room.is_enough(&child, &[parent.id]), "the first waiter cannot have it before the child has ended");
        let mut given = child;
        room.give(&mut given, &[parent.id]);
        assert_eq!(given.place.units, parent.place.units);
    }
}
