use std::cell::Cell;

use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

/// Rarely used arguments. To save time, a command line is parsed without their definitions first, and again with them
/// if that fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rare<T>(pub T);

thread_local! {
    static ARE_DEFINED: Cell<bool> = const { Cell::new(true) };
}

/// Parses something without definitions of rare arguments.
pub(crate) fn without_rare<R>(parse: impl FnOnce() -> R) -> R {
    ARE_DEFINED.set(false);
    let parsed = parse();
    ARE_DEFINED.set(true);
    parsed
}

impl<T: Args + Default> Args for Rare<T> {
    fn augment_args(command: Command) -> Command {
        if ARE_DEFINED.get() { T::augment_args(command) } else { command }
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }

    fn group_id() -> Option<clap::Id> {
        T::group_id()
    }
}

impl<T: Args + Default> FromArgMatches for Rare<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        // A group is present if one of its members is. Without definitions there is no group.
        let is_there = |group: clap::Id| matches.try_contains_id(group.as_str()).unwrap_or(false);
        match T::group_id().is_some_and(is_there) {
            true => T::from_arg_matches_mut(matches).map(Self),
            false => Ok(Self::default()),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Rarely used verbs, treated like [`Rare`] arguments.
#[derive(Debug)]
pub struct RareVerb<T>(pub T);

impl<T: Subcommand> Subcommand for RareVerb<T> {
    fn augment_subcommands(command: Command) -> Command {
        if ARE_DEFINED.get() { T::augment_subcommands(command) } else { command }
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        T::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}

impl<T: Subcommand> FromArgMatches for RareVerb<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
