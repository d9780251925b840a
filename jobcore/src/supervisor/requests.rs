//! Requests to a supervisor, and its answers.

use std::time::Duration;

use super::command::Input;
use super::run::Supervisor;
use crate::control::{Answer, Request};
use crate::store::file::control;

impl Supervisor<'_> {
    /// Answers all pending requests.
    pub(super) fn answer_requests(&mut self) {
        loop {
            match control::read_request(&self.control) {
                Ok(None) => return,
                Ok(Some((request_id, request))) => {
                    let answer = self.serve(request);
                    control::answer(&self.records.job, request_id, &answer);
                }
                Err(rejected) => match rejected.request_id {
                    Some(request_id) => {
                        let answer = Answer::Refused { reason: rejected.reason };
                        control::answer(&self.records.job, request_id, &answer);
                    }
                    None => return,
                },
            }
        }
    }

    fn serve(&mut self, request: Request) -> Answer {
        match request {
            Request::Count => {
                let survivors = if self.life.is_killing() { self.watched.family.survivors() } else { Vec::new() };
                let members = self.watched.family.members().len().max(survivors.len());
                Answer::Processes { count: members.try_into().unwrap_or(u32::MAX), survivors }
            }
            Request::EndInput => self.end_input(),
            Request::Resize { size } => match &self.watched.input {
                Input::Terminal(terminal) => match terminal.resize(size) {
                    Ok(()) => Answer::Accepted,
                    Err(error) => Answer::Refused { reason: format!("its terminal cannot be resized: {error}") },
                },
                Input::None | Input::Pipe(_) => Answer::Refused { reason: "it has no terminal".to_owned() },
            },
            Request::Stop { grace_ms, requester } => {
                let now = self.age();
                self.life.stop(grace_ms.map(Duration::from_millis), requester, now);
                // What is accepted is on record: a successor of this process continues with it.
                self.act();
                Answer::Accepted
            }
            Request::Signal { signal, requester } => {
                let (watched, now) = (&self.watched, self.age());
                let send = || watched.family.signal_main(watched.main, signal);
                let answer = self.life.signal(signal, requester, now, || super::sent(signal, send()));
                // A resumption that this causes is on record before the answer.
                self.act();
                answer
            }
            Request::Pause => match self.life.pause(self.age()) {
                Ok(()) => {
                    self.act();
                    self.life.pause_answer()
                }
                Err(reason) => Answer::Refused { reason },
            },
            Request::Renew => match self.life.renew(self.age()) {
                Ok(()) => {
                    self.act();
                    Answer::Accepted
                }
                Err(reason) => Answer::Refused { reason },
            },
            Request::Resume => match self.life.resume(self.age()) {
                Ok(()) => {
                    self.act();
                    Answer::Accepted
                }
                Err(reason) => Answer::Refused { reason },
            },
        }
    }

    fn end_input(&mut self) -> Answer {
        match std::mem::replace(&mut self.watched.input, Input::None) {
            Input::Pipe(pipe) => pipe.end(),
            Input::Terminal(mut terminal) => {
                terminal.end(self.watched.log.size().bytes);
                self.watched.input = Input::Terminal(terminal);
            }
            // It was ended before, or never existed: nothing more can be read.
            Input::None => {}
        }
        Answer::Accepted
    }
}
