//! What HTTP/2 lets a peer do that no client does. After each flood the connection is closed or
//! held back, or it was harmless; the others' requests are all taken at the first try, and the
//! memory is what it was.

use super::Trial;
use crate::support::http2::{
    Attacker, CONTINUATION, DATA, END_HEADERS, END_STREAM, End, HEADERS, PING, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, export, frame, header,
};

/// What all floods together may add.
const GROWTH_MIB: f64 = 32.0;
const CONNECTIONS: usize = 8;

/// Ids of streams that a client opens.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

/// Attacks from several connections at once, each sending the same; gives how each ended.
fn attack(address: &str, frames: &[u8], reads: bool) -> Vec<End> {
    let one = || {
        let mut attacker = Attacker::connect(address);
        let end = attacker.send(frames, reads);
        // What was taken may still be answered by an end.
        let until = std::time::Instant::now() + std::time::Duration::from_millis(500);
        while end == End::Taken && reads && std::time::Instant::now() < until {
            if attacker.read() == End::Closed {
                return End::Closed;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        end
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Scenario: one flood after the other, each over eight connections, under a steady load.
/// Guarantees: those that can only be meant as attacks end the connection; the load notices
/// nothing; memory grows by less than 32 MiB.
#[test]
fn floods_of_frames_hold_nobody_up() {
    let trial = Trial::start("floods", &[], 1000.0);
    let service = &trial.service;
    let block = export(&service.grpc);
    let open = |stream| frame(HEADERS, END_HEADERS, stream, &block);
    let with_each = |count, also: &dyn Fn(u32) -> Vec<u8>| -> Vec<u8> {
        let each = streams(count).map(|stream| [open(stream), also(stream)].concat());
        each.flatten().collect()
    };
    let rapid_reset = with_each(20_000, &|stream| {
        frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])
    });
    let made_to_reset = with_each(20_000, &|stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]));
    let continuations = {
        let part = frame(CONTINUATION, 0, 1, &[0; 16 << 10]);
        [frame(HEADERS, 0, 1, &block), part.repeat(2000)].concat()
    };
    let empty_continuations = {
        let part = frame(CONTINUATION, 0, 1, &[]);
        [frame(HEADERS, 0, 1, &block), part.repeat(200_000)].concat()
    };
    let many_streams = with_each(10_000, &|_| Vec::new());
    let large_headers = {
        let mut block = block.clone();
        header(&mut block, "x", &[b'x'; 15 << 10]);
        streams(120)
            .flat_map(|stream| frame(HEADERS, END_HEADERS, stream, &block))
            .collect::<Vec<u8>>()
    };
    let small_data = [open(1), frame(DATA, 0, 1, &[0]).repeat(200_000)].concat();
    let empty_data = [open(1), frame(DATA, 0, 1, &[]).repeat(200_000)].concat();
    let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]).repeat(100_000);
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(100_000);
    let priorities = frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 9]).repeat(100_000);
    let windows = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(100_000);
    // Each is answered in trailers alone: there is no message in it.
    let unread: Vec<u8> = streams(100_000)
        .flat_map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &block))
        .collect();

    trial.sending.wait_for_more(1000);
    let before = service.resident_mib();
    service.forget_peak();
    for (name, frames, reads, must_end) in [
        ("rapid reset", &rapid_reset, true, true),
        ("made to reset", &made_to_reset, true, true),
        ("continuations", &continuations, true, true),
        ("empty continuations", &empty_continuations, true, true),
        ("many streams", &many_streams, true, false),
        ("large headers", &large_headers, true, false),
        ("small data", &small_data, true, false),
        ("empty data", &empty_data, true, true),
        ("settings", &settings, false, false),
        ("pings", &pings, false, false),
        ("priorities", &priorities, true, false),
        ("windows", &windows, true, false),
        ("answers unread", &unread, false, false),
    ] {
        let ends = attack(&service.grpc, frames, reads);
        println!("{name}: {ends:?}, {:.0} MiB", service.peak_mib());
        if must_end {
            assert!(
                ends.iter().all(|end| *end == End::Closed),
                "{name}: {ends:?}"
            );
        }
        trial.sending.wait_for_more(100);
    }
    let grown = service.peak_mib() - before;
    assert!(grown < GROWTH_MIB, "{grown} MiB");
    assert_eq!(trial.sending.progress().retries, 0);
    trial.end();
}
