//! TCP_NODELAY on connections to the server.
//!
//! sqlx 0.9.0 lost it (its issue #4335), and the end of a COPY, a small packet after another, then
//! waits up to 40 ms for the server's delayed acknowledgement: three times a batch, which cost a
//! quarter of the rows a second. sqlx does not show the socket of a connection, so it is looked up
//! by the port at its other end. To be deleted with the first release of sqlx that sets it again
//! (its pull request #4336).

use std::{net::SocketAddr, os::fd::BorrowedFd};

use rustix::net::{getpeername, sockopt::set_tcp_nodelay};

/// Sets it on this process's TCP connections to that port. Does nothing where the system does not
/// list them (`/proc` is Linux's).
pub(super) fn set(port: u16) {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = entries.flatten().filter_map(|entry| {
        let number: i32 = entry.file_name().to_str()?.parse().ok()?;
        (number >= 0).then_some(number)
    });
    for number in numbers {
        #[allow(unsafe_code, reason = "no safe way to a socket by its number")]
        // SAFETY: not -1. The number was open a moment ago; if it is another's by now, the calls
        // below fail, or send small packets of a connection to the same port early. They read and
        // write nothing, close nothing and keep nothing.
        let socket = unsafe { BorrowedFd::borrow_raw(number) };
        let peer = getpeername(socket).ok().flatten();
        let address = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        if address.is_some_and(|address| address.port() == port)
            && let Err(error) = set_tcp_nodelay(socket, true)
        {
            tracing::debug!(%error, "can't set TCP_NODELAY on a connection to Postgres");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_to_the_port_sends_at_once_and_others_are_left_alone() {
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, other] = [0, 1].map(|n: usize| listeners[n].local_addr().unwrap().port());
        let [ours, theirs] =
            [port, other].map(|port| TcpStream::connect(("127.0.0.1", port)).unwrap());
        super::set(port);
        assert!(ours.nodelay().unwrap() && !theirs.nodelay().unwrap());
    }
}
