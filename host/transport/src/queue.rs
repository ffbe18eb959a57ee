//! Who gets the line next: by class, oldest first, and nobody is passed over for ever.
//!
//! Invariant: the order depends on the order of arrivals and grants alone; there is no clock.
//! Only the oldest of each class ages. If all aged together, a burst of sales would promote a
//! whole round of reads above the next sale.
//! Not here: how many may wait (`line`), and the line itself.

use std::collections::VecDeque;

use crate::limits::GRANTS_PER_CLASS;

/// Higher first; waiting makes a lower one rise, so that routine reads never starve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    RoutineRead,
    AlarmRead,
    SupplyControl,
    Sale,
}

/// One class: its waiters in order of arrival.
#[derive(Debug)]
struct Class<T> {
    waiters: VecDeque<Waiter<T>>,
    /// Grants that went elsewhere since this class last had one.
    passed_over: u32,
}

#[derive(Debug)]
struct Waiter<T> {
    arrival: u64,
    ask: T,
}

/// What can tell that nobody waits for it any more.
pub(crate) struct Queue<T> {
    /// Lowest class first, in the order of `Priority`.
    classes: [Class<T>; 4],
    arrivals: u64,
    is_gone: fn(&T) -> bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(is_gone: fn(&T) -> bool) -> Self {
        let class = || Class { waiters: VecDeque::new(), passed_over: 0 };
        Self { classes: [class(), class(), class(), class()], arrivals: 0, is_gone }
    }

    pub(crate) fn push(&mut self, priority: Priority, ask: T) {
        self.arrivals += 1;
        let [routine, alarm, supply, sale] = &mut self.classes;
        let class = match priority {
            Priority::RoutineRead => routine,
            Priority::AlarmRead => alarm,
            Priority::SupplyControl => supply,
            Priority::Sale => sale,
        };
        // Those who left must not pile up while one long lease is out.
        class.waiters.retain(|waiter| !(self.is_gone)(&waiter.ask));
        class.waiters.push_back(Waiter { arrival: self.arrivals, ask });
    }

    /// True when nobody is waiting any more.
    pub(crate) fn is_empty(&self) -> bool {
        let mut waiters = self.classes.iter().flat_map(|class| &class.waiters);
        waiters.all(|waiter| (self.is_gone)(&waiter.ask))
    }

    /// The next to have the line.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let highest = (0u32..).zip(&mut self.classes).filter_map(|(level, class)| {
            class.waiters.retain(|waiter| !(self.is_gone)(&waiter.ask));
            let oldest = class.waiters.front()?;
            let raised = level + class.passed_over / GRANTS_PER_CLASS;
            let sale_level = 3;
            Some((raised.min(sale_level), std::cmp::Reverse(oldest.arrival), level))
        });
        let (_, _, chosen) = highest.max()?;
        let mut granted = None;
        for (level, class) in (0u32..).zip(&mut self.classes) {
            if level == chosen {
                class.passed_over = 0;
                granted = class.waiters.pop_front();
            } else if class.waiters.is_empty() {
                class.passed_over = 0;
            } else {
                class.passed_over = class.passed_over.saturating_add(1);
            }
        }
        granted.map(|waiter| waiter.ask)
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting: usize = self.classes.iter().map(|class| class.waiters.len()).sum();
        out.debug_struct("Queue").field("waiting", &waiting).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Priority, Queue};

    /// `asks` in order of arrival, each its class letter (r, a, c, s) and name; a name that ends
    /// in `!` has left. `expected` is the order of grants.
    fn check(asks: &str, expected: &str) {
        let mut queue: Queue<String> = Queue::new(|name| name.ends_with('!'));
        for name in asks.split_whitespace() {
            let priority = match name.as_bytes().first() {
                Some(b'r') => Priority::RoutineRead,
                Some(b'a') => Priority::AlarmRead,
                Some(b'c') => Priority::SupplyControl,
                _ => Priority::Sale,
            };
            queue.push(priority, name.to_owned());
        }
        let granted: Vec<String> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(granted.join(" "), expected, "asked: {asks}");
        assert!(queue.is_empty());
    }

    #[test]
    fn the_higher_class_goes_first_and_the_oldest_within_it() {
        check("", "");
        check("r1 a1 c1 s1", "s1 c1 a1 r1");
        check("s1 s2 s3", "s1 s2 s3");
        check("r1 s1 r2 s2", "s1 s2 r1 r2");
    }

    #[test]
    fn those_who_left_are_skipped() {
        check("s1! r1 s2! r2!", "r1");
        check("r1!", "");
    }

    #[test]
    fn four_grants_passed_over_raise_the_oldest_by_one_class() {
        // r1 came before the alarm reads, and counts as one of them after four grants.
        check("r1 a1 a2 a3 a4 a5 a6", "a1 a2 a3 a4 r1 a5 a6");
        // Came after them: same class, but they are older.
        check("a1 a2 a3 a4 a5 a6 r1", "a1 a2 a3 a4 a5 a6 r1");
        check(
            "r1 r2 s01 s02 s03 s04 s05 s06 s07 s08 s09 s10 s11 s12 s13 s14",
            "s01 s02 s03 s04 s05 s06 s07 s08 s09 s10 s11 s12 r1 s13 s14 r2",
        );
    }

    #[test]
    fn a_routine_read_among_endless_sales_gets_the_line() {
        let mut queue: Queue<(Priority, u32)> = Queue::new(|_| false);
        queue.push(Priority::RoutineRead, (Priority::RoutineRead, 0));
        for number in 1..100 {
            queue.push(Priority::Sale, (Priority::Sale, number));
            let (priority, _) = queue.pop().expect("somebody waits");
            if priority == Priority::RoutineRead {
                assert_eq!(number, 13, "after twelve sales: three classes, four grants each");
                return;
            }
        }
        panic!("the read starved");
    }
}
