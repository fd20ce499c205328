//! The memory of a response, reused for the next one.

use crate::lock::Mutex;

use super::Api;

/// The most that is retained between responses; a page of 500 entities has about half as much.
const MAX_RETAINED_BYTES: usize = 2 << 20;

/// An empty buffer with the capacity that the previous response needed.
#[derive(Default)]
pub(super) struct Spare(Mutex<Vec<u8>>);

impl Spare {
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }

    fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() > MAX_RETAINED_BYTES {
            return;
        }
        buffer.clear();
        let mut spare = self.0.lock();
        if spare.capacity() < buffer.capacity() {
            std::mem::swap(&mut *spare, &mut buffer);
        }
        // The other buffer is freed after the lock is released.
        drop(spare);
    }
}

impl Api {
    /// Reuses the memory of a response that was read.
    pub(super) fn done_with(&self, response: Vec<u8>) {
        self.spare.give(response);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_buffer_is_retained_unless_it_is_huge() {
        let spare = Spare::default();
        spare.give(vec![1; 1000]);
        spare.give(vec![2; 10]);
        spare.give(vec![3; MAX_RETAINED_BYTES + 1]);
        let buffer = spare.take();
        assert!(
            buffer.is_empty()
                && buffer.capacity() >= 1000
                && buffer.capacity() <= MAX_RETAINED_BYTES
        );
        assert_eq!(spare.take().capacity(), 0);
    }
}
