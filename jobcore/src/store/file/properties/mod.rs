//! What holds for the files of a store, whatever they contain.

// In the order in which to read them:
// - `records.rs`, `settings.rs`: files of one record
// - `log.rs`, `events.rs`: files of rows
// - `control.rs`: pipes
// - `damage.rs`: a store with one damaged file

mod control;
mod damage;
mod events;
mod log;
mod records;
mod settings;
