//! Tests of the real binaries, each in a store and a home of its own. A test fails if it leaves a process behind.

mod background;
mod mcp_client;
mod needs;
mod support;

mod adopt;
mod bad_input;
mod bad_store;
mod complete;
mod crash;
mod daily;
mod damaged;
mod docs;
mod doctor;
mod examples;
mod full;
mod input;
mod keep;
mod many;
mod mcp;
mod mcp_extras;
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
mod terminal;
mod trees;
mod until;
