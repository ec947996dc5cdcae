//! HTTP/2 frame by frame, as only an attacker writes them (RFC 9113, section 4.1; header blocks
//! by RFC 7541, without its tables).

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_HEADERS: u8 = 4;
pub const END_STREAM: u8 = 1;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of an export over gRPC.
pub fn export(authority: &str) -> Vec<u8> {
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    // By the static table: POST, http; the names of path and authority.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(0x04, path), (0x01, authority)] {
        block.push(name);
        string(&mut block, value.as_bytes());
    }
    header(&mut block, "content-type", b"application/grpc");
    header(&mut block, "te", b"trailers");
    block
}

/// Adds a header, name and value as they are.
pub fn header(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.push(0);
    string(block, name.as_bytes());
    string(block, value);
}

fn string(block: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text.len();
    if rest < 127 {
        block.push(rest as u8);
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push(rest as u8 | 128);
            rest >>= 7;
        }
        block.push(rest as u8);
    }
    block.extend(text);
}

/// A connection whose frames nobody checks.
pub struct Attacker(TcpStream);

/// How an attack ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server closed the connection.
    Closed,
    /// The server reads no more.
    HeldBack,
    /// The server took all of it.
    Taken,
}

impl Attacker {
    /// A connection with the preface and empty settings.
    pub fn connect(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self(stream)
    }

    /// Sends as much of this as the server takes; what it answers is read and dropped, or not even
    /// read.
    pub fn send(&mut self, bytes: &[u8], reads: bool) -> End {
        const PATIENCE: Duration = Duration::from_secs(2);
        let (mut sent, mut since) = (0, Instant::now());
        while sent < bytes.len() {
            if reads && self.read() == End::Closed {
                return End::Closed;
            }
            match self.0.write(&bytes[sent..]) {
                Ok(more) => (sent, since) = (sent + more, Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if since.elapsed() > PATIENCE {
                        return End::HeldBack;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(_) => return End::Closed,
            }
        }
        End::Taken
    }

    /// Reads what is there.
    pub fn read(&mut self) -> End {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return End::Closed,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return End::Taken,
                Err(_) => return End::Closed,
            }
        }
    }
}
