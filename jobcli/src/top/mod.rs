//! `jobcli top`: a full-screen view of the jobs of a store, updated live.
//!
//! The screen is a value, [`state::State`]. Events change it and return effects, and a function draws it: none of that
//! needs a terminal or a store. A reader runs beside it and reads only what is visible.

// In the order in which to read them:
// - `filter.rs`, `roster.rs`, `tree.rs`: which jobs are shown, and in which order
// - `row.rs`, `header.rs`: what is known about a visible job, and about the store
// - `messages.rs`: messages between the parts
// - `reader.rs`, `output.rs`: reading jobs, and their output
// - `act.rs`, `pager.rs`: actions on jobs, and the pager
// - `keys.rs`, `line.rs`, `areas.rs`: the keys, the input line, and the layout of the screen
// - `pane.rs`, `state.rs`, `update.rs`: the output of a job, the whole state, and how events change it
// - `columns.rs`, `theme.rs`, `draw.rs`: drawing
// - `terminal.rs`, `view.rs`: the terminal, and the main loop
// - `tests.rs`, `snapshots/`: screens of scripted jobs

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
