//! A contactless card as it was selected, and the answer to reset that stands for it: cards without
//! contacts have none, and readers make one up by PC/SC part 3, 3.1.3.2.3, so that one profile knows a
//! card in any of them.
//!
//! Invariant: the same card has the same answer to reset each time. Not here: what it is asked (`desk`).

/// Of SEL_RES: the card speaks ISO/IEC 14443-4 (ISO/IEC 14443-3, 6.5.3.4).
const SPEAKS_14443_4: u8 = 0x20;

/// Historical bytes that an answer to reset has room for (ISO/IEC 7816-3, 8.2.2).
const HISTORICAL_BYTES_MAX: usize = 15;

/// One card of type A.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// SEL_RES, which tells its type.
    select: u8,
    uid: Vec<u8>,
    /// The answer to select of a card that speaks ISO/IEC 14443-4.
    ats: Vec<u8>,
}

impl Target {
    pub(super) fn new(select: u8, uid: Vec<u8>, ats: Vec<u8>) -> Target {
        Target { select, uid, ats }
    }

    pub(super) fn uid(&self) -> &[u8] {
        &self.uid
    }

    /// It takes commands of a processor card's own.
    pub(super) fn is_processor(&self) -> bool {
        self.select & SPEAKS_14443_4 != 0
    }

    /// Whether this may be that one, selected again. A number that begins with 08 is made up anew each
    /// time (ISO/IEC 14443-3, 6.5.4) and tells no two apart.
    pub(super) fn may_be(&self, other: &Target) -> bool {
        let is_made_up = |uid: &[u8]| uid.len() == 4 && uid.first() == Some(&0x08);
        let same_number = self.uid == other.uid || is_made_up(&self.uid) && is_made_up(&other.uid);
        same_number && self.select == other.select && self.ats == other.ats
    }

    /// The bytes of its number that prove a key to a Mifare Classic: the last four (NXP AN10927, 3).
    pub(super) fn proving_uid(&self) -> [u8; 4] {
        self.uid.last_chunk().copied().unwrap_or_default()
    }

    pub(super) fn atr(&self) -> Vec<u8> {
        let historical =
            if self.is_processor() { self.historical().to_vec() } else { self.named() };
        // T=0 is said and T=1 follows, with the historical bytes' count in the low half of T0.
        let count = u8::try_from(historical.len()).unwrap_or_default();
        let mut atr = vec![0x3B, 0x80 | count, 0x80, 0x01];
        atr.extend(historical);
        atr.push(atr.iter().skip(1).fold(0, |check, byte| check ^ byte));
        atr
    }

    /// Behind length, T0 and the interface bytes that T0 names (ISO/IEC 14443-4, 5.2).
    fn historical(&self) -> &[u8] {
        let [_, format, rest @ ..] = self.ats.as_slice() else { return &[] };
        let interface = (format & 0x70).count_ones() as usize;
        let historical = rest.get(interface..).unwrap_or_default();
        historical.get(..HISTORICAL_BYTES_MAX).unwrap_or(historical)
    }

    /// A card that is memory, by the name that PC/SC has for it (PC/SC part 3, supplement, 4): the RID of
    /// the PC/SC workgroup, ISO/IEC 14443-3 type A, two bytes of name.
    fn named(&self) -> Vec<u8> {
        let name = match self.select {
            // As the maker NXP and as Infineon have it (NXP AN10833, table 3).
            0x08 | 0x88 => [0x00, 0x01],
            0x18 => [0x00, 0x02],
            0x00 => [0x00, 0x03],
            0x09 => [0x00, 0x26],
            other => [0xFF, other],
        };
        let rid = [0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06, 0x03];
        [&rid[..], &name, &[0; 4]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(select: u8, ats: &[u8], want: &[u8]) {
        assert_eq!(Target::new(select, vec![1, 2, 3, 4], ats.to_vec()).atr(), want);
    }

    /// ACR122U API 2.04, 3.1: a Mifare Classic 4K and a DESFire; ACS's example of the latter's ATS.
    #[test]
    fn answers_to_reset_are_those_of_other_readers() {
        let mifare = |name: [u8; 2], check: u8| {
            let head = [0x3B, 0x8F, 0x80, 0x01, 0x80, 0x4F, 0x0C, 0xA0, 0, 0, 3, 6, 3];
            [&head[..], &name, &[0, 0, 0, 0, check]].concat()
        };
        check(0x08, &[], &mifare([0, 1], 0x6A));
        check(0x88, &[], &mifare([0, 1], 0x6A));
        check(0x18, &[], &mifare([0, 2], 0x69));
        check(0x11, &[], &mifare([0xFF, 0x11], 0x85));
        check(0x20, &[6, 0x75, 0x77, 0x81, 2, 0x80], &[0x3B, 0x81, 0x80, 1, 0x80, 0x80]);
    }

    #[test]
    fn an_answer_to_select_of_any_shape_makes_one_to_reset() {
        check(0x20, &[], &[0x3B, 0x80, 0x80, 1, 1]);
        check(0x20, &[1], &[0x3B, 0x80, 0x80, 1, 1]);
        // Interface bytes are announced that are not there.
        check(0x20, &[3, 0x78, 0x80], &[0x3B, 0x80, 0x80, 1, 1]);
        let long = [&[22, 0x02][..], &[7; 20]].concat();
        let atr = Target::new(0x28, vec![1; 4], long).atr();
        assert_eq!((atr.len(), atr[1], &atr[4..19]), (20, 0x8F, &[7; 15][..]));
    }

    #[test]
    fn a_number_that_is_made_up_tells_no_two_cards_apart() {
        let card = |uid: [u8; 4]| Target::new(0x20, uid.to_vec(), vec![]);
        assert!(card([1, 2, 3, 4]).may_be(&card([1, 2, 3, 4])));
        assert!(!card([1, 2, 3, 4]).may_be(&card([1, 2, 3, 5])));
        assert!(card([8, 2, 3, 4]).may_be(&card([8, 9, 9, 9])));
        assert_eq!(Target::new(8, vec![1, 2, 3, 4, 5, 6, 7], vec![]).proving_uid(), [4, 5, 6, 7]);
    }
}
