//! The books as they stood: by sequence and by time, with a clock that jumps.

use super::books::shown;
use super::*;
use crate::Moment;

/// Line by line, with what the clock said.
const LEDGER: [(i64, &str); 6] = [
    (10, "t1 pending cash meter 50.00"),
    (20, "t2 book cash fee 1.00"),
    // The clock is set back.
    (5, "t3 book cash fee 2.00"),
    (29, "t4 post t1"),
    (40, "t5 contra t2"),
    (50, "t6 pending cash meter 7.00"),
];

#[tokio::test]
async fn the_books_of_a_past_moment() {
    let books = books().await;
    for (at_ms, line) in LEDGER {
        let job =
            books.database.write(move |tx| Box::pin(async move { book_in(tx, line, at_ms).await }));
        let done: Result<(), LedgerError> = job.await;
        done.expect(line);
    }
    let first = ["cash 50.00 0.00 0.00 0.00", "meter 0.00 50.00 0.00 0.00"];
    let third = ["cash 50.00 0.00 3.00 0.00", "fee 0.00 0.00 0.00 3.00", first[1]];
    let fourth = ["cash 0.00 0.00 53.00 0.00", third[1], "meter 0.00 0.00 0.00 50.00"];
    let last =
        ["cash 7.00 0.00 53.00 1.00", "fee 0.00 0.00 1.00 3.00", "meter 0.00 7.00 0.00 50.00"];
    let check = async |moment: Moment, sequence: i64, lines: &[&str]| {
        let found = books.database.balances(moment).await.expect("sums");
        let beside = Database::balances_at(&books.place, moment).await.expect("sums");
        assert_eq!(found, beside);
        let shown: Vec<String> = found.balances.iter().map(shown).collect();
        assert_eq!(
            (found.sequence, shown),
            (sequence, lines.iter().map(ToString::to_string).collect())
        );
    };
    check(Moment::Sequence(0), 0, &[]).await;
    check(Moment::Sequence(1), 1, &first).await;
    check(Moment::Sequence(3), 3, &third).await;
    check(Moment::Sequence(4), 4, &fourth).await;
    check(Moment::Sequence(6), 6, &last).await;
    check(Moment::Sequence(99), 6, &last).await;
    check(Moment::Now, 6, &last).await;
    check(Moment::Time(4), 0, &[]).await;
    // Row 3 was booked last at or before these; that row 2 bears a later time does not take it out.
    check(Moment::Time(5), 3, &third).await;
    check(Moment::Time(29), 3, &third).await;
    check(Moment::Time(30), 4, &fourth).await;
    check(Moment::Time(i64::MAX), 6, &last).await;
}
