//! Where those who run jobs within one program and those who ask meet: for stores that no other process uses.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::unix::pipe::Sender;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{Change, Incoming, JobStore, STARTING};
use crate::control::{Answer, Request};
use crate::error::{Error, NoInput, Result};
use crate::id::JobId;
use crate::record::Record;
use crate::sys::pipe;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(1);
/// How many bells there are. Jobs share them: who is woken looks whether it was for him.
const BELLS: usize = 32;

/// Which jobs are held within this program: their locks, what is asked of their holders and sent to their input, and word of
/// what changed. Clones are handles of the same.
#[derive(Debug, Clone, Default)]
pub struct Holders(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<BTreeMap<JobId, Seat>>,
    bells: [Notify; BELLS],
    happened: Notify,
}

/// What a holder can be reached by.
#[derive(Debug)]
struct Seat {
    requests: mpsc::UnboundedSender<Incoming>,
    input: Input,
}

#[derive(Debug)]
enum Input {
    /// Whether there will be one is not known yet.
    Awaited,
    Open(io::PipeWriter),
    Ended,
}

impl Holders {
    /// Returns those of a store that nobody uses yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the lock of a job; nothing while it is held. Whether there is such a job is not known here.
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

    /// Returns whether somebody holds the lock of a job.
    pub fn is_held(&self, id: JobId) -> bool {
        self.seats(|seats| seats.contains_key(&id))
    }

    /// Wakes those who wait for a change of a job, or for an event. To be called after what changed can be seen.
    pub fn ring(&self, id: JobId) {
        self.bell(id).notify_waiters();
        self.0.happened.notify_waiters();
    }

    /// Returns when `change` has come, as `store` sees it. This is what a store may do in [`JobStore::changed`].
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn until<S: JobStore + ?Sized>(&self, store: &S, change: Change) -> Result<()> {
        let bell = match change {
            Change::Event(_) => &self.0.happened,
            Change::Settled(id) | Change::LeftQueue(id) | Change::Output { id, .. } => self.bell(id),
        };
        loop {
            let mut rung = pin!(bell.notified());
            // Listen before looking, so that no change falls between the two.
            rung.as_mut().enable();
            if change.has_come(store).await? {
                return Ok(());
            }
            rung.await;
        }
    }

    /// Does what [`JobStore::send`] says.
    ///
    /// # Errors
    /// As that says.
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

    /// Waits until it is decided whether a job has an input, and returns where to write; nothing if it has none.
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

    /// Does what [`JobStore::request`] says.
    ///
    /// # Errors
    /// As that says.
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
        let [.., last] = *uuid::Uuid::from(id).as_bytes();
        &self.0.bells[usize::from(last) % BELLS]
    }

    /// Goes on where another thread panicked: every change of the seats is whole or not made.
    fn seats<T>(&self, change: impl FnOnce(&mut BTreeMap<JobId, Seat>) -> T) -> T {
        change(&mut self.0.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The lock of a job that is held within this program, and what comes to its holder. Dropping it lets go.
#[derive(Debug)]
pub struct Hold {
    holders: Holders,
    id: JobId,
    requests: mpsc::UnboundedReceiver<Incoming>,
}

impl Hold {
    /// Tells those who wait that a record is there. To be called when it can be read.
    pub fn recorded(&self, record: Record<'_>) {
        let is_undecided = |input: &Input| matches!(input, Input::Awaited);
        self.set_input(|input| match record {
            Record::Start(_) => {}
            // Whoever opens one does so before the command is started.
            Record::Running(_) if is_undecided(input) => *input = Input::Ended,
            Record::Running(_) => {}
            Record::Ended(_) => *input = Input::Ended,
        });
    }

    /// Tells those who wait that something changed: that there is more output, say.
    pub fn ring(&self) {
        self.holders.ring(self.id);
    }

    /// Does what [`JobClaim::open_input`](super::JobClaim::open_input) says.
    ///
    /// # Errors
    /// If no pipe can be made.
    pub fn open_input(&self) -> Result<OwnedFd> {
        let (reader, writer) = io::pipe().map_err(Error::io("make", "a pipe".as_ref()))?;
        self.set_input(|input| *input = Input::Open(writer));
        Ok(reader.into())
    }

    /// Does what [`JobClaim::end_input`](super::JobClaim::end_input) says.
    pub fn end_input(&self) {
        self.set_input(|input| *input = Input::Ended);
    }

    /// Does what [`JobClaim::next_request`](super::JobClaim::next_request) says.
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
