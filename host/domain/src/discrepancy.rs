//! What it means when a device's figures are not ours (比对充值次数): one story for every difference, so
//! that none is passed over. Not here: keeping them (service).

use crate::{Credit, Evidence, Purchase};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Story {
    /// The device has taken purchases that are not ours: somebody else sold into it.
    CountAhead,
    /// It has taken fewer than we proved: it was reset, or another device answers.
    CountBehind,
    /// The same number of purchases, the last with another amount: a rival's, or one that was applied in
    /// part.
    OtherAmount,
    /// It counts the purchase and has no record of it.
    NoRecord,
}

impl Story {
    pub const ALL: [Story; 4] =
        [Story::CountAhead, Story::CountBehind, Story::OtherAmount, Story::NoRecord];

    /// As it is stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Story::CountAhead => "count-ahead",
            Story::CountBehind => "count-behind",
            Story::OtherAmount => "other-amount",
            Story::NoRecord => "no-record",
        }
    }

    pub fn from_name(name: &str) -> Option<Story> {
        Story::ALL.into_iter().find(|story| story.name() == name)
    }

    /// What the device's count and last purchase say against what we know of it: its count after the
    /// last purchase that was proved, and what that purchase was. `None`: they agree.
    pub fn of(known: u32, known_last: Option<Credit>, seen: Evidence) -> Option<Story> {
        let stands = seen.count.get();
        if stands > known {
            return Some(Story::CountAhead);
        }
        if stands < known {
            return Some(Story::CountBehind);
        }
        let last = seen.purchase.filter(|last| last.count == seen.count);
        match (known_last, last) {
            (Some(ours), Some(last)) if last.credit != ours => Some(Story::OtherAmount),
            _ => None,
        }
    }

    /// Of a purchase that the device neither has nor can have missed.
    pub fn of_unproved(asked: Purchase, seen: &Evidence) -> Story {
        match seen.purchase {
            Some(found) if found.count == asked.count => Story::OtherAmount,
            _ if seen.count < asked.count => Story::CountBehind,
            _ if seen.count > asked.count => Story::CountAhead,
            _ => Story::NoRecord,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PurchaseCount, Quantity, Sale};

    fn credit(fen: u64) -> Credit {
        Credit { quantity: Quantity::Money, amount: fen }
    }

    fn purchase(count: u32, fen: u64) -> Purchase {
        Purchase { count: PurchaseCount::new(count), credit: credit(fen) }
    }

    fn seen(count: u32, purchase: Option<Purchase>) -> Evidence {
        Evidence { count: PurchaseCount::new(count), purchase, balance: None }
    }

    #[test]
    fn every_difference_has_a_story() {
        let of = |count, last| Story::of(7, Some(credit(500)), seen(count, last));
        assert_eq!(of(7, Some(purchase(7, 500))), None);
        assert_eq!(of(7, None), None);
        assert_eq!(of(7, Some(purchase(6, 1))), None);
        assert_eq!(of(7, Some(purchase(7, 499))), Some(Story::OtherAmount));
        assert_eq!(of(8, Some(purchase(8, 1))), Some(Story::CountAhead));
        assert_eq!(of(u32::MAX, None), Some(Story::CountAhead));
        assert_eq!(of(0, None), Some(Story::CountBehind));
        assert_eq!(Story::of(7, None, seen(7, Some(purchase(7, 1)))), None);
    }

    /// Whatever a device may show of a sale that is unresolved, it is settled or has a story.
    #[test]
    fn r10_whatever_a_device_shows_is_settled_or_has_a_story() {
        let asked = purchase(8, 5000);
        let records = [None, Some(asked), Some(purchase(8, 1)), Some(purchase(3, 5000))];
        for count in [0, 6, 7, 8, 9, u32::MAX] {
            for record in records {
                let seen = seen(count, record);
                let after = Sale::Unresolved(asked).reconcile(&seen).expect("unresolved");
                let story = Story::of_unproved(asked, &seen);
                let is_open = matches!(after, Sale::Unresolved(_));
                let expected = match (count, record) {
                    (_, Some(found)) if found == asked => "confirmed",
                    (7, _) => "reserved",
                    (_, Some(found)) if found.count == asked.count => "other-amount",
                    (0 | 6, _) => "count-behind",
                    (8, _) => "no-record",
                    _ => "count-ahead",
                };
                let told = if is_open { story.name() } else { after.name() };
                assert_eq!(told, expected, "{count} {record:?}");
            }
        }
    }

    #[test]
    fn stories_are_found_by_their_names() {
        for story in Story::ALL {
            assert_eq!(Story::from_name(story.name()), Some(story));
        }
        assert_eq!(Story::from_name(""), None);
    }
}
