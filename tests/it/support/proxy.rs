//! Something between two ends of a TCP connection that can be told to misbehave.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread::spawn,
};

/// Listens on a port of its own for as long as it lives, and forwards.
pub struct Proxy {
    pub address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Where to; nowhere: connections are closed at once.
    target: Option<String>,
    /// Nothing is forwarded, connections stay open.
    is_frozen: bool,
    /// After the client sent this, the server's answer is lost and the connection cut.
    lose_after: Option<Loss>,
    /// Of both ends, to cut them.
    open: Vec<TcpStream>,
    /// Answers that were lost.
    lost: u32,
    is_over: bool,
}

struct Loss {
    needle: Vec<u8>,
    /// One of so many, spread.
    one_of: u32,
    seen: u32,
    /// How often yet.
    times: u32,
}

impl Proxy {
    pub fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let proxy = Self { address, shared };
        proxy.point_to(Some(target));
        let shared = Arc::clone(&proxy.shared);
        spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.state.lock().unwrap().is_over {
                    return;
                }
                shared.accept(client);
            }
        });
        proxy
    }

    /// New connections go there from now on.
    pub fn point_to(&self, target: Option<&str>) {
        self.shared.state.lock().unwrap().target = target.map(str::to_owned);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for stream in self.shared.state.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Holds everything back, or lets it go on.
    pub fn freeze(&self, freeze: bool) {
        self.shared.state.lock().unwrap().is_frozen = freeze;
        self.shared.changed.notify_all();
    }

    /// When a client sends something with `needle` in it, it reaches the server, which answers; one
    /// of `one_of` times the answer is lost and the connection cut, until that was `times` times.
    pub fn lose_answers(&self, needle: &[u8], one_of: u32, times: u32) {
        self.shared.state.lock().unwrap().lose_after = Some(Loss {
            needle: needle.to_vec(),
            one_of,
            seen: 0,
            times,
        });
    }

    /// Answers lost so far.
    pub fn lost(&self) -> u32 {
        self.shared.state.lock().unwrap().lost
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.freeze(false);
        self.shared.state.lock().unwrap().is_over = true;
        self.cut();
        let _ = TcpStream::connect(&self.address);
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, client: TcpStream) {
        let target = self.state.lock().unwrap().target.clone();
        let server = target.and_then(|target| TcpStream::connect(target).ok());
        let Some(server) = server else {
            let _ = client.shutdown(Shutdown::Both);
            return;
        };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            let clone = stream.try_clone().unwrap();
            self.state.lock().unwrap().open.push(clone);
        }
        let (from_client, from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let loses = Arc::new(Mutex::new(false));
        let (shared, mark) = (Arc::clone(self), Arc::clone(&loses));
        spawn(move || shared.forward(from_client, server, |bytes| shared.note(bytes, &mark)));
        let shared = Arc::clone(self);
        spawn(move || {
            shared.forward(from_server, client, |_| {
                let is_lost = *loses.lock().unwrap();
                if is_lost {
                    shared.state.lock().unwrap().lost += 1;
                }
                !is_lost
            });
        });
    }

    /// Marks the connection whose next answer is to be lost.
    fn note(&self, bytes: &[u8], mark: &Mutex<bool>) -> bool {
        let mut state = self.state.lock().unwrap();
        if let Some(loss) = &mut state.lose_after
            && loss.times > 0
            && bytes
                .windows(loss.needle.len())
                .any(|window| window == loss.needle)
        {
            loss.seen += 1;
            // Not every so many-th: what the client sends may have the same beat.
            if (loss.seen.wrapping_mul(0x9E37_79B9) >> 16) % loss.one_of == 0 {
                loss.times -= 1;
                *mark.lock().unwrap() = true;
            }
        }
        true
    }

    /// Until one end is closed, or `pass` says no; then both are.
    fn forward(&self, mut from: TcpStream, mut to: TcpStream, mut pass: impl FnMut(&[u8]) -> bool) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let frozen = self.state.lock().unwrap();
            let running = self.changed.wait_while(frozen, |state| state.is_frozen);
            drop(running.unwrap());
            let bytes = &buffer[..read];
            if !pass(bytes) || to.write_all(bytes).is_err() {
                break;
            }
        }
        for stream in [&from, &to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
