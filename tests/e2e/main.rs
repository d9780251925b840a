//! Tests of the real binaries, each in a store and a home of its own. A test fails if it leaves a process behind.

mod support;

mod daily;
mod docs;
mod runner;
