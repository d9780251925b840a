use clap::builder::Resettable;
use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches};

/// The arguments of a verb. Their definitions are built only for the verb on the command line, to save time.
#[derive(Debug)]
pub struct Deferred<T>(pub T);

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| {
            // The description of the verb takes precedence over that of the type of its arguments.
            let (about, long_about) = (command.get_about().cloned(), command.get_long_about().cloned());
            let everywhere: Vec<_> = command.get_arguments().map(|argument| argument.get_id().clone()).collect();
            let command = T::augment_args(command);
            let command = command.about(Resettable::from(about)).long_about(Resettable::from(long_about));
            // Global options come last, as in a help whose definitions were not deferred.
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
