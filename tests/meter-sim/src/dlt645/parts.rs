//! Answers that are longer than one frame (protocols.md 1.1): the first part, then one for each
//! C=12H or C=02H. The whole answer is kept as it was when it was asked for, so that its parts
//! belong together, until another item is read.

use super::meter::Meter;

/// An answer of which not all has been asked for.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    identifier: Vec<u8>,
    chunks: Vec<Vec<u8>>,
    /// The part that goes out next where parts have no number.
    next: usize,
}

impl Meter {
    /// The first part of an answer, and whether there are more.
    pub(super) fn first_part(&mut self, identifier: &[u8], whole: Vec<u8>) -> (Vec<u8>, bool) {
        let most = self.plan().answer_bytes_max.max(1);
        let chunks: Vec<Vec<u8>> = whole.chunks(most).map(<[u8]>::to_vec).collect();
        let (first, more) = (chunks.first().cloned().unwrap_or_default(), chunks.len() > 1);
        self.parts = Parts { identifier: identifier.to_vec(), chunks, next: 1 };
        (first, more)
    }

    /// Part `number` of the answer kept, or the one that is next, and whether there are more.
    pub(super) fn next_part(
        &mut self,
        identifier: &[u8],
        number: Option<u8>,
    ) -> Option<(Vec<u8>, bool)> {
        if self.parts.identifier != identifier {
            return None;
        }
        let at = number.map_or(self.parts.next, usize::from);
        let part = self.parts.chunks.get(at).filter(|_| at > 0)?.clone();
        self.parts.next = at + 1;
        Some((part, at + 1 < self.parts.chunks.len()))
    }
}
