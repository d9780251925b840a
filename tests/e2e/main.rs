//! Tests of the real binaries, each in a store and a home of its own. A test fails if it leaves a process behind.

mod needs;
mod support;

mod bad_input;
mod crash;
mod daily;
mod full;
mod many;
