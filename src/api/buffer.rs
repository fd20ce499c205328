//! The memory of an answer that was read, for the next one.

use crate::lock::Mutex;

use super::Api;

/// What is kept between answers at the most; a page of 500 entities has about half as much.
const LARGEST: usize = 2 << 20;

/// An empty buffer with the room that the answer before needed.
#[derive(Default)]
pub(super) struct Spare(Mutex<Vec<u8>>);

impl Spare {
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }

    fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() > LARGEST {
            return;
        }
        buffer.clear();
        let mut spare = self.0.lock();
        if spare.capacity() < buffer.capacity() {
            std::mem::swap(&mut *spare, &mut buffer);
        }
        // What is left is freed when the lock is gone.
        drop(spare);
    }
}

impl Api {
    /// Reuses the memory of a response that was read.
    pub(crate) fn done_with(&self, answer: Vec<u8>) {
        self.spare.give(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_buffer_is_kept_unless_it_is_huge() {
        let spare = Spare::default();
        spare.give(vec![1; 1000]);
        spare.give(vec![2; 10]);
        spare.give(vec![3; LARGEST + 1]);
        let buffer = spare.take();
        assert!(buffer.is_empty() && buffer.capacity() >= 1000 && buffer.capacity() <= LARGEST);
        assert_eq!(spare.take().capacity(), 0);
    }
}
