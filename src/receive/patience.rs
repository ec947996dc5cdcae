//! How long a connection may keep us waiting where no request's own deadline runs: before and
//! within a request's head, between two requests, and while it does not read its answers.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

/// Time for a request's head, from its first byte on; and for that byte on a new connection.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two HTTP/1.1 requests. Longer than a minute: metrics are often sent once a minute.
const NEXT_TIMEOUT: Duration = Duration::from_secs(75);
/// What every HTTP/2 connection begins with (RFC 9113, section 3.4). From then on pings tell who is
/// gone, and idle connections stay.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The requests of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request under way, until it is dropped.
pub(super) struct UnderWay(Requests);

impl Requests {
    /// One has begun: its head is here.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    fn is_under_way(&self) -> bool {
        self.begun() != self.0.ended.load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection whose reads and writes fail once the peer took too long.
pub(super) struct Patient {
    stream: TcpStream,
    requests: Requests,
    /// Bytes of the preface that came first; all of them: this is HTTP/2.
    preface: usize,
    is_first: bool,
    /// A head has begun to come in, and how many requests had begun by then.
    head: Option<u64>,
    reading: Deadline,
    writing: Deadline,
    /// Within it a peer must read some of what it is sent.
    read_timeout: Duration,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, requests: Requests, read_timeout: Duration) -> Self {
        Self {
            stream,
            requests,
            preface: 0,
            is_first: true,
            // The first one's clock runs from the start.
            head: Some(0),
            reading: Deadline::default(),
            writing: Deadline::default(),
            read_timeout,
        }
    }

    fn came(&mut self, bytes: &[u8]) {
        if self.is_first {
            let rest = &PREFACE[self.preface..];
            let like = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            self.preface += like;
            self.is_first = like == bytes.len() && like < rest.len();
        }
        if !self.requests.is_under_way() {
            self.head.get_or_insert(self.requests.begun());
        }
    }

    /// How long the next byte may take.
    fn patience(&mut self) -> Option<Duration> {
        if self.preface == PREFACE.len() || self.requests.is_under_way() {
            return None;
        }
        if self.head.is_some_and(|begun| begun < self.requests.begun()) {
            self.head = None;
        }
        Some(match self.head {
            Some(_) => HEAD_TIMEOUT,
            None => NEXT_TIMEOUT,
        })
    }
}

/// A moment, once something is waited for.
#[derive(Default)]
struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    waits: Option<Duration>,
}

impl Deadline {
    /// Nothing is waited for.
    fn forget(&mut self) {
        self.waits = None;
    }

    /// Fails once the wait has taken `patience`; counted from the first call with it.
    fn check(&mut self, patience: Duration, cx: &mut Context<'_>) -> io::Result<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(patience)));
        if self.waits != Some(patience) {
            self.waits = Some(patience);
            sleep.as_mut().reset(Instant::now() + patience);
        }
        match sleep.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.came(&buf.filled()[before..]);
            return read;
        }
        match self.patience() {
            None => self.reading.forget(),
            Some(patience) => self.reading.check(patience, cx)?,
        }
        Poll::Pending
    }
}

impl Patient {
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match written.is_ready() {
            true => self.writing.forget(),
            false => self.writing.check(self.read_timeout, cx)?,
        }
        written
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
