//! Advice follows the load, and not every wave of it.

use std::time::{Duration, Instant};

use prometheus::Registry;

use super::*;

fn reason(signal: &'static str, load: f64) -> Reason {
    Reason {
        signal,
        value: load,
        target: 1.0,
        load,
    }
}

#[test]
fn advice_waits_until_the_load_stays() {
    let start = Instant::now();
    let mut advisor = Advisor::new(start);
    let mut second = 0;
    let mut hear = |seconds: u64, reasons: &[Reason]| {
        let mut heard = Vec::new();
        for _ in 0..seconds / 10 {
            second += 10;
            heard.extend(advisor.hear(reasons, start + Duration::from_secs(second)));
        }
        heard
    };
    assert_eq!(hear(600, &[]), [], "nothing is known");
    assert_eq!(hear(50, &[reason("gpu", 1.2)]), [], "a wave");
    assert_eq!(hear(60, &[reason("gpu", 0.8)]), []);
    let busy = [reason("gpu", 1.2), reason("in_flight", 0.1)];
    assert_eq!(hear(120, &busy), [Advice::Up], "once");
    assert_eq!(hear(60, &[reason("gpu", 0.8)]), [Advice::Hold]);
    assert_eq!(hear(500, &[reason("gpu", 0.2)]), []);
    assert_eq!(hear(200, &[reason("gpu", 0.2)]), [Advice::Down]);
    // What fails is not taken away from, and not mended by more.
    let failing = [reason("gpu", 0.2), reason("error_rate", 3.0)];
    assert_eq!(hear(1_200, &failing), [Advice::Hold]);
}

#[test]
fn signals_come_from_the_metrics() {
    let registry = Registry::new();
    let busy = prometheus::GaugeVec::new(
        Opts::new("genai_gpu_utilization_ratio", "help"),
        &["service", "gpu"],
    )
    .unwrap();
    registry.register(Box::new(busy.clone())).unwrap();
    busy.with_label_values(&["s", "0"]).set(0.4);
    busy.with_label_values(&["s", "1"]).set(0.96);
    let scaler = Scaler::new(Config::default(), &registry).unwrap();
    let start = Instant::now();
    let mut history = History::new(start, WINDOW);
    history.note(start, &registry.gather());
    let reasons = scaler.reasons(&history, start);
    let [gpu] = &reasons[..] else {
        panic!("what nobody sends is no reason: {reasons:?}");
    };
    assert_eq!((gpu.signal, gpu.value, gpu.target), ("gpu", 0.96, 0.8));
    scaler.show(&reasons);
    let shown = |name: &str| scaler.shown.with_label_values(&[name]).get();
    assert!((shown("gpu") - 1.2).abs() < 1e-9 && (shown("all") - 1.2).abs() < 1e-9);
}

#[tokio::test]
async fn the_webhook_hears_what_and_why() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/scale", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Read, Write};
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if let Some(n) = line.strip_prefix("content-length: ") {
                length = n.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        reader.get_mut().write_all(answer).unwrap();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()
    });
    let config = Config {
        webhook: Some(url.into()),
        ..Config::default()
    };
    let scaler = Scaler::new(config, &Registry::new()).unwrap();
    let reasons = [reason("gpu", 1.5), reason("error_rate", 2.0)];
    scaler.tell(Advice::Up, &reasons).await;
    let message = heard.join().unwrap();
    assert_eq!(message["recommendation"], "up");
    assert_eq!(message["load"], 1.5, "failing is not mended by more");
    assert_eq!(message["reasons"][0]["signal"], "gpu");
}
