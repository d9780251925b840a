use clap::builder::Resettable;
use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches};

/// The arguments of a verb, whose definitions are made when that verb is met: each run of the program is about one of them.
#[derive(Debug)]
pub struct Deferred<T>(pub T);

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| {
            // What was said of the verb already holds, not what is said of the type of its arguments.
            let (about, long_about) = (command.get_about().cloned(), command.get_long_about().cloned());
            let everywhere: Vec<_> = command.get_arguments().map(|argument| argument.get_id().clone()).collect();
            let command = T::augment_args(command);
            let command = command.about(Resettable::from(about)).long_about(Resettable::from(long_about));
            // What all verbs have comes last, as in a help of definitions that were made at once.
            everywhere.into_iter().fold(command, |command, id| command.mut_arg(id, |argument| argument))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }

    fn group_id() -> Option<clap::Id> {
        T::group_id()
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
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
