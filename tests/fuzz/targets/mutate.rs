//! Mutations that know nothing of the code that they are for: fast, and the same each time.

/// A small generator; the same seed gives the same mutations.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed | 1 << 63)
    }

    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 0x0a, 0x12, 0x7f, 0x80, 0xfe, 0xff];
        match self.below(2) {
            0 => TELLING[self.below(TELLING.len())],
            _ => self.below(256) as u8,
        }
    }

    /// One of the pool, changed in a few places.
    pub fn mutation(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut input = pool[self.below(pool.len())].clone();
        for _ in 0..=self.below(6) {
            let at = self.below(input.len() + 1);
            let end = (at + 1 + self.below(16)).min(input.len());
            match self.below(6) {
                0 if at < end => input[at] ^= 1 << self.below(8),
                1 if at < end => input[at] = self.byte(),
                2 if at < end => drop(input.drain(at..end)),
                3 if at < end => {
                    let again = input[at..end].to_vec();
                    input.splice(at..at, again);
                }
                4 => {
                    let other = &pool[self.below(pool.len())];
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(200)).min(other.len());
                    let piece = other[from..to].to_vec();
                    input.splice(at..at, piece);
                }
                _ => {
                    let piece: Vec<u8> = (0..self.below(64)).map(|_| self.byte()).collect();
                    input.splice(at..at, piece);
                }
            }
        }
        input
    }
}
