//! Numbers from a seed: SplitMix64 (Steele, Lea, Flood 2014), the same on every machine.

use std::time::Duration;

/// A stream of numbers. Two dice of one seed roll the same.
#[derive(Debug, Clone)]
pub(super) struct Dice {
    state: u64,
}

impl Dice {
    /// Dice of a seed and a name, so that streams of one seed differ.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let mut dice = Dice { state: seed };
        for byte in name.bytes() {
            dice.state ^= u64::from(byte);
            dice.state = dice.roll();
        }
        dice
    }

    /// 64 random bits.
    pub(super) fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.fraction() * (high - low + 1) as f64) as i64
    }

    /// True `percent` times of a hundred.
    pub(super) fn percent(&mut self, percent: i64) -> bool {
        self.between(0, 99) < percent
    }

    /// One of the items.
    pub(super) fn pick<'a, T, const N: usize>(&mut self, items: &'a [T; N]) -> &'a T {
        const { assert!(N > 0) };
        &items[(self.fraction() * N as f64) as usize]
    }

    /// A time around `median_ms`, with the long tail that networks and models have: about one in
    /// a hundred takes three times as long.
    pub(super) fn latency(&mut self, median_ms: f64) -> Duration {
        // The sum of twelve uniform numbers is close to a normal one: mean 6, variance 1.
        let normal: f64 = (0..12).map(|_| self.fraction()).sum::<f64>() - 6.0;
        Duration::from_micros((median_ms * 1e3 * (normal * 0.45).exp()) as u64)
    }

    /// Lower-case hex digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        let mut text = String::new();
        while text.len() < digits {
            text.push_str(&format!("{:016x}", self.roll()));
        }
        text.truncate(digits);
        text
    }

    /// A random UUID (version 4).
    pub(super) fn uuid(&mut self) -> String {
        let (a, b) = (self.roll(), self.roll());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            (b >> 48) & 0x3fff | 0x8000,
            b & 0xffff_ffff_ffff,
        )
    }
}
