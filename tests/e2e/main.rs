//! Tests of the real binaries, each in a store and a home of its own. A test fails if it leaves a process behind.

mod background;
mod support;

mod daily;
mod output;
mod survive;
mod trees;
