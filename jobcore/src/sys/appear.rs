//! Waiting for a file to be made.

use std::path::Path;
use std::time::Duration;

use super::watch::{Changes, Watch};

/// How often it is looked again where the kernel cannot tell: all of the user's watches are taken.
const UNWATCHED: Duration = Duration::from_millis(200);

/// Tells of changes on the way to a file. Whoever has it looks whether the file is there, and then waits.
#[derive(Debug)]
pub(crate) struct Appearance(Option<Changes>);

impl Appearance {
    /// Watches the nearest directory above `path` that is there.
    pub(crate) fn of(path: &Path) -> Self {
        let watch = || {
            let watch = Watch::new().ok()?;
            let watched = path.ancestors().skip(1).find(|above| watch.names(above).is_ok())?;
            // What was made below it meanwhile is not told, nor what is made where a link leads to.
            let next = path.ancestors().take_while(|part| *part != watched).last();
            match next {
                Some(next) if next.is_symlink() || (next != path && next.exists()) => None,
                _ => watch.register().ok(),
            }
        };
        Self(watch())
    }

    /// Waits for something to change, or for a moment.
    pub(crate) async fn changed(self) {
        match self.0 {
            Some(changes) => changes.next().await,
            None => tokio::time::sleep(UNWATCHED).await,
        }
    }
}
