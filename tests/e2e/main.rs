//! Tests of the real binaries, each in a store and a home of its own. A test fails if it leaves a process behind.

mod background;
mod support;

mod daily;
mod docs;
mod output;
mod runner;
mod survive;
mod trees;
