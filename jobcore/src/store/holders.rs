//! Locks, requests, input and wake-ups of jobs, for stores that only one program uses.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::unix::pipe::Sender;
use tokio::sync::{Notify, mpsc, oneshot};

use super::incoming::Incoming;
use super::lending::Lending;
use crate::control::{Answer, Request};
use crate::error::{Error, NoInput, Result};
use crate::id::JobId;
use crate::record::Record;
use crate::sys::pipe;

/// How long to wait for an answer.
const ANSWER: Duration = Duration::from_secs(1);
/// How long a holder may take to open the input of its job. A slow start does not mean that the input is not read.
pub(crate) const STARTING: Duration = Duration::from_secs(10);
/// How many bells there are. Jobs share them: a waiter that is woken checks whether its own change has come.
const BELLS: usize = 32;

/// The jobs that are held within this program: their locks, the requests to their holders, their input, and wake-ups
/// for changes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Holders(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<BTreeMap<JobId, Seat>>,
    /// How many times the slot of each job is lent.
    lent: Mutex<BTreeMap<JobId, usize>>,
    bells: [Notify; BELLS],
    happened: Notify,
}

/// How a holder is reached.
#[derive(Debug)]
struct Seat {
    requests: mpsc::UnboundedSender<Incoming>,
    input: Input,
}

#[derive(Debug)]
enum Input {
    /// It is not known yet whether there will be one.
    Awaited,
    Open(io::PipeWriter),
    Ended,
}

impl Holders {
    /// Creates the holders of a new store: no job is held.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the lock of a job, or returns nothing if it is held. The store checks whether the job exists.
    pub fn take(&self, id: JobId) -> Option<Hold> {
        let (sender, requests) = mpsc::unbounded_channel();
        self.seats(|seats| match seats.entry(id) {
            std::collections::btree_map::Entry::Occupied(_) => None,
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Seat { requests: sender, input: Input::Awaited });
                Some(Hold { holders: self.clone(), id, requests })
            }
        })
    }

    /// Returns whether the lock of a job is held.
    pub fn is_held(&self, id: JobId) -> bool {
        self.seats(|seats| seats.contains_key(&id))
    }

    /// Wakes everything that waits for a change of a job or for an event. To be called once the change can be read.
    pub fn ring(&self, id: JobId) {
        self.bell(id).notify_waiters();
        self.0.happened.notify_waiters();
    }

    /// Returns what rings when a job changes, or when any job does.
    pub(super) fn bell_of(&self, id: Option<JobId>) -> &Notify {
        id.map_or(&self.0.happened, |id| self.bell(id))
    }

    /// Implements [`JobStore::lend`](super::JobStore::lend).
    pub fn lend(&self, id: JobId) -> Lending {
        *self.lent().entry(id).or_default() += 1;
        Lending::new(Lent { holders: self.clone(), id })
    }

    /// Returns whether the slot of a job is lent.
    pub fn is_lent(&self, id: JobId) -> bool {
        self.lent().contains_key(&id)
    }

    fn lent(&self) -> MutexGuard<'_, BTreeMap<JobId, usize>> {
        self.0.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Implements [`JobStore::send`](super::JobStore::send).
    ///
    /// # Errors
    /// As described there.
    pub async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize> {
        let no_input = |reason| Error::NoInput { id, reason };
        let cannot = |error| Error::io("write to", "a pipe".as_ref())(error);
        let writer = tokio::time::timeout(STARTING, self.writer(id)).await.map_err(|_| Error::NoAnswer { id })?;
        let writer = writer.map_err(cannot)?.ok_or(no_input(NoInput::Ended))?;
        let sender = Sender::from_owned_fd(writer).map_err(cannot)?;
        match pipe::push(&sender, bytes, patience).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(no_input(NoInput::Closed)),
            pushed => pushed.map_err(cannot),
        }
    }

    /// Waits until it is known whether a job has an input, and returns where to write; nothing if it has none.
    async fn writer(&self, id: JobId) -> io::Result<Option<OwnedFd>> {
        loop {
            let mut rung = pin!(self.bell(id).notified());
            rung.as_mut().enable();
            let input = self.seats(|seats| match seats.get(&id).map(|seat| &seat.input) {
                Some(Input::Awaited) => None,
                Some(Input::Open(writer)) => Some(writer.try_clone().map(|writer| Some(writer.into()))),
                Some(Input::Ended) | None => Some(Ok(None)),
            });
            match input {
                Some(decided) => return decided,
                None => rung.await,
            }
        }
    }

    /// Implements [`JobStore::request`](super::JobStore::request).
    ///
    /// # Errors
    /// As described there.
    pub async fn request(&self, id: JobId, request: Request) -> Result<Answer> {
        let (sender, answer) = oneshot::channel();
        let incoming = Incoming::new(request, move |answer| drop(sender.send(answer)));
        let holder = self.seats(|seats| seats.get(&id).map(|seat| seat.requests.clone()));
        let is_sent = holder.is_some_and(|holder| holder.send(incoming).is_ok());
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(answer)) if is_sent => Ok(answer),
            _ => Err(Error::NoAnswer { id }),
        }
    }

    fn bell(&self, id: JobId) -> &Notify {
        let [.., last] = id.to_bytes();
        &self.0.bells[usize::from(last) % BELLS]
    }

    /// Ignores that another thread panicked: every change of the seats is made completely or not at all.
    fn seats<T>(&self, change: impl FnOnce(&mut BTreeMap<JobId, Seat>) -> T) -> T {
        change(&mut self.0.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A slot that is lent within this program.
struct Lent {
    holders: Holders,
    id: JobId,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut lent = self.holders.lent();
        if let Some(count) = lent.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                lent.remove(&self.id);
            }
        }
    }
}

/// The lock of a job that is held within this program, and the requests to its holder. Dropping it releases the lock.
#[derive(Debug)]
pub struct Hold {
    holders: Holders,
    id: JobId,
    requests: mpsc::UnboundedReceiver<Incoming>,
}

impl Hold {
    /// Wakes everything that waits for a record. To be called once the record can be read.
    pub fn recorded(&self, record: Record<'_>) {
        let is_undecided = |input: &Input| matches!(input, Input::Awaited);
        self.set_input(|input| match record {
            Record::Start(_) => {}
            // An input is opened before the command is started.
            Record::Running(_) if is_undecided(input) => *input = Input::Ended,
            Record::Running(_) | Record::Noted(..) => {}
            Record::Ended(_) => *input = Input::Ended,
        });
    }

    /// Wakes everything that waits for a change of the job, such as more output.
    pub fn ring(&self) {
        self.holders.ring(self.id);
    }

    /// Implements [`JobClaim::open_input`](super::JobClaim::open_input).
    ///
    /// # Errors
    /// If no pipe can be made.
    pub fn open_input(&self) -> Result<OwnedFd> {
        let (reader, writer) = io::pipe().map_err(Error::io("make", "a pipe".as_ref()))?;
        self.set_input(|input| *input = Input::Open(writer));
        Ok(reader.into())
    }

    /// Implements [`JobClaim::end_input`](super::JobClaim::end_input).
    pub fn end_input(&self) {
        self.set_input(|input| *input = Input::Ended);
    }

    /// Implements [`JobClaim::next_request`](super::JobClaim::next_request).
    pub async fn next_request(&mut self) -> Incoming {
        match self.requests.recv().await {
            Some(incoming) => incoming,
            // The sender is kept for as long as this lives.
            None => std::future::pending().await,
        }
    }

    fn set_input(&self, set: impl FnOnce(&mut Input)) {
        self.holders.seats(|seats| {
            if let Some(seat) = seats.get_mut(&self.id) {
                set(&mut seat.input);
            }
        });
        self.ring();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holders.seats(|seats| seats.remove(&self.id));
        self.ring();
    }
}
