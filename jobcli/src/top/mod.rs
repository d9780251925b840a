//! `jobcli top`: the jobs of a store on the whole screen, as they change.
//!
//! What is shown is a value, [`state::State`]. Events change it and ask for effects, and a function draws it: none of that needs a
//! terminal or a store. What reads of jobs runs beside it and reads only what can be seen.

// In the order in which to read them:
// - `filter.rs`, `roster.rs`, `tree.rs`: which jobs are shown, and in which order
// - `row.rs`, `header.rs`: what is known of a job that can be seen, and of the store
// - `messages.rs`: what the parts tell each other
// - `reader.rs`, `output.rs`: reading jobs, and their output
// - `act.rs`, `pager.rs`: what is done to jobs
// - `keys.rs`, `line.rs`, `areas.rs`: the keys, a line that is typed, and where on the screen things are
// - `pane.rs`, `state.rs`, `update.rs`: the output of a job, all that is shown, and how events change it
// - `columns.rs`, `theme.rs`, `draw.rs`: how it looks
// - `terminal.rs`, `view.rs`: the terminal, and the loop that everything meets in
// - `tests.rs`, `snapshots/`: what is shown of jobs that follow a script

mod act;
mod areas;
mod columns;
mod draw;
mod filter;
mod header;
mod keys;
mod line;
mod messages;
mod output;
mod pager;
mod pane;
mod reader;
mod roster;
mod row;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod tree;
mod update;
mod view;

pub(crate) use view::run;
