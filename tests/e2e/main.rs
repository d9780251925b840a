//! Tests of the real binaries, each in a store and a home of its own. A test fails if it leaves a process behind.

mod background;
mod needs;
mod support;

mod adopt;
mod bad_input;
mod crash;
mod daily;
mod docs;
mod full;
mod keep;
mod many;
mod names;
mod namespaces;
mod nested;
mod output;
mod policy;
mod queue;
mod reading;
mod reboot;
mod runner;
mod spec;
mod storm;
mod survive;
mod trees;
