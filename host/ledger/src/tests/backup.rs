//! Backups: what is restored is what was backed up, on the same engine and on the other; what is broken or
//! in the way is refused with a sentence.

use super::*;
use crate::{BackupError, Part, back_up, manifest_of, restore, restore_part};
use std::path::{Path, PathBuf};

/// A database with transfers of every kind, a closed day, a trail, and a row with every kind of text.
async fn full() -> Books {
    let books = books().await;
    for line in [
        "t1 pending cash meter 50.00",
        "t2 post t1",
        "t4 pending cash meter 9.00 + t5 pending cash fee 1.00",
        "t6 contra t2",
        "t7 void t4",
    ] {
        book(&books.database, line).await.expect(line);
    }
    let customer =
        "insert into customer (customer_id, number, name, phone, premises, created_at_ms) values
        ('00000000-0000-7000-8000-000000000001', '007', '王 \"x\" \\ \u{1}', '', 'a\nb', 5)";
    books.by_hand(customer).await.expect("a customer");
    let prepared = books.database.prepare_close("2026-03-01", 7).await.expect("a close");
    let closed: Result<(), LedgerError> = books
        .database
        .write(move |tx| {
            Box::pin(async move {
                crate::close_day(tx, &prepared, "signed").await?;
                let row = crate::TrailRow {
                    at_ms: 1,
                    operator_id: None,
                    act: "day-closed",
                    object: "x",
                    detail: "",
                };
                crate::audit(tx.connection(), row).await
            })
        })
        .await;
    closed.expect("closed");
    books
}

async fn backed_up(books: &Books, folder: &Path) -> PathBuf {
    let folder = folder.join("kept.backup");
    back_up(&books.place, &folder, 9).await.expect("a backup");
    folder
}

/// Restored there, and as good as new: verified, guarded, and ready to be written to.
async fn check_restored(backup: &Path, place: &Place, as_before: &crate::Verified) {
    let restoring = restore(backup, place).await.expect("restored");
    let restored = restoring.finish().await.expect("in place");
    assert_eq!(&restored.verified, as_before);
    let database = Database::open(place).await.expect("opened");
    let name: String = sqlx::query_scalar("select name from customer")
        .fetch_one(database.reader())
        .await
        .expect("the customer");
    assert_eq!(name, "王 \"x\" \\ \u{1}");
    let refused: Result<(), LedgerError> = database
        .write(|tx| {
            Box::pin(async move {
                let sql = "update transfer set at_ms = 1";
                let done = sqlx::query(sql).execute(tx.connection()).await;
                done.map(|_| ()).map_err(LedgerError::storage("trying"))
            })
        })
        .await;
    assert!(refused.is_err(), "the triggers are back");
    book(&database, "t8 book cash fee 2.00").await.expect("goes on");
    assert_eq!(database.verify().await.expect("whole").transfers, as_before.transfers + 1);
    // Onto what is there by now nothing is restored.
    let error = restore(backup, place).await.expect_err("in the way").to_string();
    let refused = ["a backup is restored into", "is in use"].iter().any(|why| error.contains(why));
    assert!(refused, "{error}");
}

#[tokio::test]
async fn what_is_restored_is_what_was_backed_up_on_either_engine() {
    let books = full().await;
    let verified = books.database.verify().await.expect("whole");
    let folder = tempfile::tempdir().expect("a folder");
    let backup = backed_up(&books, folder.path()).await;
    let manifest = manifest_of(&backup).expect("whole");
    assert_eq!((manifest.sequence, manifest.at_ms), (7, 9));

    // Whichever engine it came from: into a file, and where there is a server, into a database of that.
    check_restored(&backup, &Place::File(folder.path().join("new.db")), &verified).await;
    if let Some(fresh) = Fresh::new().await {
        check_restored(&backup, &server(&fresh.url()), &verified).await;
        // And back from a file.
        let again = folder.path().join("again.backup");
        let from = Place::File(folder.path().join("new.db"));
        back_up(&from, &again, 10).await.expect("a backup");
        let other = Fresh::new().await.expect("a server");
        let restoring = restore(&again, &server(&other.url())).await.expect("restored");
        let restored = restoring.finish().await.expect("in place");
        assert_eq!(restored.verified.transfers, 8);
    }
}

#[tokio::test]
async fn a_broken_backup_is_refused_and_leaves_no_database() {
    let books = full().await;
    let folder = tempfile::tempdir().expect("a folder");
    let backup = backed_up(&books, folder.path()).await;
    let target = Place::File(folder.path().join("new.db"));
    let file = backup.join("transfer.jsonl");
    let whole = std::fs::read_to_string(&file).expect("a file");
    let manifest_file = backup.join("manifest.json");
    let manifest = std::fs::read_to_string(&manifest_file).expect("a file");
    let lost = "is not what the manifest says: another SHA-256 or number of rows";
    let cut = whole.lines().next().expect("a row").to_owned() + "\n";
    for (rows, manifest, why) in [
        (whole.replacen("5000", "5001", 1), manifest.clone(), lost),
        (cut, manifest.clone(), lost),
        (whole.replacen('[', "{", 1), manifest.clone(), "has a bad row 1"),
        (
            whole.clone(),
            manifest.replacen("polymeter-backup-1", "x", 1),
            "is none of this program's",
        ),
        (
            whole.clone(),
            manifest.replacen("\"sequence\": 7", "\"sequence\": 6", 1),
            "its books end at transfer 7 with",
        ),
        (
            whole.clone(),
            manifest.replacen("\"migrations\": [", "\"migrations\": [9999,", 1),
            "was made by a newer program (migration 9999)",
        ),
        (
            whole.clone(),
            manifest.replacen("\"amount_minor\"", "\"amount\"", 1),
            "has other columns",
        ),
    ] {
        std::fs::write(&file, rows).expect("written");
        std::fs::write(&manifest_file, manifest).expect("written");
        let error = match restore(&backup, &target).await {
            Err(error) => error,
            Ok(restoring) => restoring.finish().await.expect_err(why),
        };
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert!(!folder.path().join("new.db").exists(), "{why}");
    }
    std::fs::write(&file, &whole).expect("written");
    std::fs::write(&manifest_file, &manifest).expect("written");
    restore(&backup, &target).await.expect("restored").finish().await.expect("in place");
}

/// Killed in the midst, on either side: nothing that looks like a backup or a database is left.
#[tokio::test]
async fn r27_what_was_interrupted_is_begun_anew() {
    let books = full().await;
    let folder = tempfile::tempdir().expect("a folder");
    let backup = folder.path().join("kept.backup");
    std::fs::create_dir(folder.path().join("kept.backup.part")).expect("a rest");
    std::fs::write(folder.path().join("kept.backup.part/transfer.jsonl"), "[1").expect("a rest");
    back_up(&books.place, &backup, 9).await.expect("a backup");
    assert!(!folder.path().join("kept.backup.part").exists());
    let error = back_up(&books.place, &backup, 9).await.expect_err("there").to_string();
    assert!(error.ends_with("a backup goes into a folder of its own, which must not be there"));

    let path = folder.path().join("new.db");
    drop(restore(&backup, &Place::File(path.clone())).await.expect("restored, and never finished"));
    assert!(!path.exists());
    let again = restore(&backup, &Place::File(path.clone())).await.expect("restored");
    again.finish().await.expect("in place");
    assert!(path.exists());
}

#[tokio::test]
async fn a_part_puts_back_what_is_missing_and_no_money() {
    let books = full().await;
    let more =
        "insert into customer (customer_id, number, name, phone, premises, created_at_ms) values
        ('00000000-0000-7000-8000-000000000002', '8', 'b', '', '', 50)";
    books.by_hand(more).await.expect("a customer");
    let folder = tempfile::tempdir().expect("a folder");
    let backup = backed_up(&books, folder.path()).await;
    books.by_hand("delete from customer").await.expect("lost");
    let part = |table: &str| Part { table: table.to_owned(), ..Part::default() };
    let old = Part { until_ms: Some(50), ..part("customer") };
    let done = restore_part(&books.database, &backup, &old).await.expect("put back");
    assert_eq!((done.put_back, done.there_already), (1, 0));
    let changed = "update customer set phone = '1' where number = '007'";
    books.by_hand(changed).await.expect("changed since");
    let done = restore_part(&books.database, &backup, &part("customer")).await.expect("put back");
    assert_eq!((done.put_back, done.there_already), (1, 1));
    let phone: String = sqlx::query_scalar("select phone from customer where number = '007'")
        .fetch_one(books.database.reader())
        .await
        .expect("a customer");
    assert_eq!(phone, "1", "what is there stays");
    for table in ["transfer", "account", "sale", "audit", "day_close", "operator", "x; drop"] {
        let refused = restore_part(&books.database, &backup, &part(table)).await;
        assert!(matches!(refused, Err(BackupError::Refused(_))), "{table}: {refused:?}");
    }
}
