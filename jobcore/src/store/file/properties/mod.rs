//! What holds for the files of a store, whatever they say.

mod control;
mod damage;
mod events;
mod log;
mod records;
mod settings;
