//! Bytes to choices. Where the bytes end every choice is the first one, so any input is a whole
//! one, and a shorter input is a simpler one.

pub struct Draw<'a> {
    rest: &'a [u8],
}

impl<'a> Draw<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub fn u64(&mut self) -> u64 {
        let mut all = [0; 8];
        let taken = self.bytes(8);
        all[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(all)
    }

    /// From 0 to `most` - 1, which is at most 65,535.
    pub fn below(&mut self, most: usize) -> usize {
        let drawn = if most <= 256 {
            usize::from(self.byte())
        } else {
            usize::from(self.byte()) | usize::from(self.byte()) << 8
        };
        drawn % most.max(1)
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 1
    }

    /// Some bytes as text.
    pub fn text(&mut self, most: usize) -> String {
        let len = self.below(most + 1);
        String::from_utf8_lossy(self.bytes(len)).into_owned()
    }
}
