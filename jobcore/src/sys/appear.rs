//! Waiting for a file to be created.

use std::path::Path;
use std::time::Duration;

use super::watch::{Changes, Watch};

/// How often to look again if the kernel cannot notify because all of the user's watches are taken.
const UNWATCHED: Duration = Duration::from_millis(200);

/// Reports changes on the way to a file. The caller checks whether the file exists, and then waits.
#[derive(Debug)]
pub(crate) struct Appearance(Option<Changes>);

impl Appearance {
    /// Watches the nearest existing directory above `path`.
    pub(crate) fn of(path: &Path) -> Self {
        let watch = || {
            let watch = Watch::new().ok()?;
            let watched = path.ancestors().skip(1).find(|above| watch.names(above).is_ok())?;
            // Files created below it meanwhile are not reported, nor those created where a symbolic link leads.
            let next = path.ancestors().take_while(|part| *part != watched).last();
            match next {
                Some(next) if next.is_symlink() || (next != path && next.exists()) => None,
                _ => watch.register().ok(),
            }
        };
        Self(watch())
    }

    /// Waits for a change, or for a moment.
    pub(crate) async fn changed(self) {
        match self.0 {
            Some(changes) => changes.next().await,
            None => tokio::time::sleep(UNWATCHED).await,
        }
    }
}
