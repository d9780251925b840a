//! Restart rules as people write them.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use crate::parse_error::ParseError;
use crate::spec::{Restart, RestartWhen};

/// The delays between attempts: `1s..5m` doubles from one second to five minutes, `10s` is constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl FromStr for Backoff {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (first, longest) = text.split_once("..").unwrap_or((text, text));
        let parse = |part: &str| {
            let wrong =
                |error| ParseError::new(format!("`{text}`: {error}; write `1s..5m`, or `10s` for equal delays"));
            humantime::parse_duration(part.trim()).map_err(wrong)
        };
        let (first, longest) = (parse(first)?, parse(longest)?);
        if first > longest {
            return Err(ParseError::new(format!("`{text}`: the first delay is longer than the longest")));
        }
        Ok(Self { first, longest })
    }
}

/// An exit code, or a range of them: `75`, `100..110`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitCodes(std::ops::RangeInclusive<u8>);

impl From<u8> for ExitCodes {
    fn from(code: u8) -> Self {
        Self(code..=code)
    }
}

impl FromStr for ExitCodes {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        match (first.trim().parse::<u8>(), last.trim().parse::<u8>()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(ParseError::new(format!(
                "`{text}`: write an exit code from 0 to 255, or a range such as `100..110`"
            ))),
        }
    }
}

/// A requested restart rule.
#[derive(Debug, Clone, Default)]
#[expect(clippy::exhaustive_structs, reason = "a front end sets all fields")]
pub struct Restarting {
    /// Which attempts are followed by another.
    pub when: Option<RestartWhen>,
    /// How many attempts may follow the first.
    pub retries: Option<u32>,
    /// The delays between them.
    pub backoff: Option<Backoff>,
    /// The exit codes that are retried.
    pub retry_on: Vec<ExitCodes>,
}

impl Restarting {
    /// Returns the rule, or `None` if the command is to be started only once.
    ///
    /// # Errors
    /// If details are set without a number of retries or a rule.
    pub fn rule(self) -> Result<Option<Restart>, ParseError> {
        let has_details = self.backoff.is_some() || !self.retry_on.is_empty();
        let when = match (self.when, self.retries) {
            (_, Some(0)) => return Ok(None),
            (Some(when), _) => when,
            (None, Some(_)) => RestartWhen::OnFailure,
            (None, None) if has_details => {
                let reason = "delays and exit codes apply to further attempts: set their number with `retries`, or use \
                              `restart` for any number";
                return Err(ParseError::new(reason));
            }
            (None, None) => return Ok(None),
        };
        let exit_codes: BTreeSet<u8> = self.retry_on.into_iter().flat_map(|codes| codes.0).collect();
        let restart = Restart::new(when).with_limit(self.retries).with_exit_codes(exit_codes);
        Ok(Some(match self.backoff {
            Some(Backoff { first, longest }) => restart.with_backoff(first, longest),
            None => restart,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_and_exit_codes_are_read() {
        let seconds = Duration::from_secs;
        let backoff = |text: &str| text.parse::<Backoff>();
        assert_eq!(backoff("1s..5m").unwrap(), Backoff { first: seconds(1), longest: seconds(300) });
        assert_eq!(backoff("10s").unwrap(), Backoff { first: seconds(10), longest: seconds(10) });
        for wrong in ["", "5", "1s..", "5m..1s", "1s...2s"] {
            assert!(backoff(wrong).is_err(), "{wrong}");
        }
        let codes = |text: &str| text.parse::<ExitCodes>().map(|codes| codes.0);
        assert_eq!((codes("75").unwrap(), codes("100..110").unwrap()), (75..=75, 100..=110));
        for wrong in ["", "256", "-1", "9..1", "1.."] {
            assert!(codes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_of_retries_is_a_rule() {
        let asked = |when, retries| Restarting { when, retries, ..Restarting::default() };
        assert_eq!(asked(None, None).rule().unwrap(), None);
        assert_eq!(asked(Some(RestartWhen::Always), Some(0)).rule().unwrap(), None);
        assert_eq!(asked(None, Some(3)).rule().unwrap(), Some(Restart::default().with_limit(Some(3))));
        assert_eq!(asked(Some(RestartWhen::Always), None).rule().unwrap(), Some(Restart::new(RestartWhen::Always)));
        let backoff = Some("1s".parse().unwrap());
        assert!(Restarting { backoff, ..Restarting::default() }.rule().is_err());
    }
}
