//! Which process listens on a TCP port, proc_pid_net(5).

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

use super::process;
use super::stat::{self, Stat};

/// Which process listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listener {
    /// None.
    Nobody,
    /// One of the given processes, or one that cannot be ruled out.
    Own,
    /// Another process: its id and name, if they can be seen.
    Other(Option<(i32, String)>),
}

/// The state of a listening socket in `/proc/net/tcp`, the kernel's `TCP_LISTEN`.
const LISTENS: &str = "0A";

/// Returns which process listens on a port, in the network that the process `main` sees, and whether it is one of
/// `members`.
pub(crate) fn listener(port: u16, main: i32, members: impl Fn() -> Vec<Stat>) -> Listener {
    // Processes that outlive the main process see the same network.
    let Some(view) = view(main, &members) else { return Listener::Nobody };
    let Some(sockets) = listening(Some(port), &view) else {
        // A dead process listens to nothing. Without a socket table, all that is left is to try to connect.
        let answers = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        return if answers() { Listener::Own } else { Listener::Nobody };
    };
    if sockets.is_empty() {
        return Listener::Nobody;
    }
    let mut all_seen = true;
    for member in members() {
        match holds(&member, &sockets) {
            Some(true) => return Listener::Own,
            Some(false) => {}
            None => all_seen &= !process_is_there(&member),
        }
    }
    let other = stat::all().into_iter().find(|stat| holds(stat, &sockets) == Some(true));
    match other {
        Some(other) => Listener::Other(Some((other.pid, other.name))),
        None if all_seen => Listener::Other(None),
        None => Listener::Own,
    }
}

/// Returns whether one of `members` is seen to listen on a port, in the network that the process `main` sees.
pub(crate) fn listens(main: i32, members: impl Fn() -> Vec<Stat>) -> bool {
    let sockets = view(main, &members).and_then(|view| listening(None, &view)).unwrap_or_default();
    !sockets.is_empty() && members().iter().any(|member| holds(member, &sockets) == Some(true))
}

/// Returns the `/proc` directory of the network of the process `main`, or of another member if that has ended; `None`
/// if all have ended.
fn view(main: i32, members: &impl Fn() -> Vec<Stat>) -> Option<PathBuf> {
    let main = match Stat::read(main).filter(|stat| !stat.is_dead()) {
        Some(stat) => Some(stat.path("net")),
        None => (!is_gone(main)).then(|| format!("/proc/{main}/net").into()),
    };
    main.or_else(|| members().first().map(|member| member.path("net")))
}

/// Returns whether a process has ended, even if `/proc` hides those of other users.
fn is_gone(pid: i32) -> bool {
    match Stat::read(pid) {
        Some(stat) => stat.is_dead(),
        None => process::is_free(pid),
    }
}

fn process_is_there(stat: &Stat) -> bool {
    Stat::read(stat.pid).is_some_and(|now| now.start_time == stat.start_time && !now.is_dead())
}

/// Returns the inodes of the sockets that listen on a port, or on any, from the tables in `net`; `None` if they cannot
/// be read.
fn listening(port: Option<u16>, net: &Path) -> Option<HashSet<u64>> {
    let mut sockets = HashSet::new();
    let mut seen = false;
    for table in ["tcp", "tcp6"] {
        let Ok(text) = fs::read_to_string(net.join(table)) else { continue };
        seen = true;
        sockets.extend(text.lines().skip(1).filter_map(|line| inode(line, port)));
    }
    seen.then_some(sockets)
}

/// Returns the inode in a row of `/proc/net/tcp`, if its socket listens on this port, or on any.
fn inode(row: &str, port: Option<u16>) -> Option<u64> {
    let mut words = row.split_ascii_whitespace();
    let (_, local) = words.nth(1)?.rsplit_once(':')?;
    if port.is_some_and(|port| u16::from_str_radix(local, 16) != Ok(port)) || words.nth(1)? != LISTENS {
        return None;
    }
    words.nth(5)?.parse().ok()
}

/// Returns whether a process has one of the sockets open; `None` if that cannot be seen.
fn holds(process: &Stat, sockets: &HashSet<u64>) -> Option<bool> {
    let entries = fs::read_dir(process.path("fd")).ok()?;
    let is_one = |link: &Path| {
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(sockets.contains(&inode.parse().ok()?))
    };
    let mut links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    Some(links.any(|link| is_one(&link) == Some(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_the_kernel_writes_them() {
        let listens = "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0";
        assert_eq!(inode(listens, Some(3000)), Some(4711));
        assert_eq!((inode(listens, None), inode(listens, Some(3001))), (Some(4711), None));
        assert_eq!(inode(&listens.replace(" 0A ", " 01 "), None), None, "a connection");
        let six = "   1: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 99 1";
        assert_eq!(inode(six, Some(3000)), Some(99));
        for noise in ["", "x", "0: 1:2", "  0: 0100007F:0BB8 00000000:0000 0A"] {
            assert_eq!(inode(noise, None), None, "{noise}");
        }
    }

    #[test]
    fn a_port_belongs_to_the_process_that_listens() {
        let own = i32::try_from(std::process::id()).unwrap();
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port, own, || vec![Stat::read(own).unwrap()]), Listener::Own);
        let name = Stat::read(own).unwrap().name;
        assert_eq!(listener(port, own, Vec::new), Listener::Other(Some((own, name))));
        assert!(listens(own, || vec![Stat::read(own).unwrap()]) && !listens(own, Vec::new));
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(gone.id()).unwrap();
        let is_zombie = || Stat::read(pid).is_some_and(|stat| stat.is_dead());
        while !is_zombie() {
            std::thread::yield_now();
        }
        assert_eq!(listener(port, pid, Vec::new), Listener::Nobody, "a process that has just ended");
        gone.wait().unwrap();
        assert_eq!(listener(port, pid, Vec::new), Listener::Nobody, "a reaped process");
        drop(socket);
        assert_eq!(listener(port, own, Vec::new), Listener::Nobody);
    }
}
