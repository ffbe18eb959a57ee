-- The books: who can owe or hold money (account) and every movement of it (transfer).
-- The crate host/ledger alone writes both. What the database can refuse by itself it refuses here,
-- so that a person with a database tool meets the same rules as the program.
--
-- UUIDs are text (36 characters, lower case): an auditor reads and joins them with any tool, and
-- the text is what the hash is taken over. Strict tables: SQLite would else store 'abc' as an
-- amount.

create table account (
    -- Follows from name and currency (see host/ledger/src/book.rs), so the transfers' hashes, which
    -- cover this id, also vouch for the name.
    account_id    text    not null constraint account_pk primary key,
    name          text    not null constraint account_name_unique unique,
    currency      text    not null,
    created_at_ms integer not null,
    constraint account_id_is_uuid check (length(account_id) = 36),
    constraint account_has_name check (length(name) between 1 and 200),
    constraint account_currency_is_code check (length(currency) = 3),
    -- What transfer's two foreign keys point at: an account is only moved in its own currency.
    constraint account_currency_unique unique (account_id, currency)
) strict;

-- One row moves one amount from one account to one other, so debits equal credits by shape.
-- A reservation is a `pending` row; a later `post` or `void` row ends it. Nothing is ever changed.
create table transfer (
    -- 1, 2, 3 ... without a gap: a row that is missing is seen. Order of booking, not of the clock.
    sequence          integer not null constraint transfer_pk primary key,
    transfer_id       text    not null constraint transfer_id_unique unique,
    kind              text    not null,
    debit_account_id  text    not null,
    credit_account_id text    not null,
    -- Minor units. Direction is debit and credit, never a sign.
    amount_minor      integer not null,
    currency          text    not null,
    -- The pending row that this row ends. Unique: a reservation ends at most once.
    pending_id        text    constraint transfer_is_resolved_once unique,
    -- What it was made for (a sale's id).
    reference         text    not null,
    -- Milliseconds since 1970 UTC, as the host's clock said; clocks jump, so nothing is ordered by
    -- it.
    at_ms             integer not null,
    -- SHA-256 in hex over the row before and this row (see host/ledger/src/chain.rs).
    chain_hash        text    not null,
    constraint transfer_id_is_uuid check (length(transfer_id) = 36),
    constraint transfer_kind_known check (kind in ('pending', 'post', 'void')),
    constraint transfer_amount_positive check (amount_minor > 0),
    constraint transfer_between_two check (debit_account_id <> credit_account_id),
    constraint transfer_pending_id_by_kind check ((kind = 'pending') = (pending_id is null)),
    constraint transfer_chain_hash_is_sha256 check (length(chain_hash) = 64),
    constraint transfer_debit_account foreign key (debit_account_id, currency)
        references account (account_id, currency),
    constraint transfer_credit_account foreign key (credit_account_id, currency)
        references account (account_id, currency),
    constraint transfer_pending foreign key (pending_id) references transfer (transfer_id)
) strict;

-- "What was booked for this sale" is asked on every look at a sale.
create index transfer_by_reference on transfer (reference, sequence);

-- The unique keys already refuse a second row of the same id, but not to INSERT OR REPLACE, which
-- deletes the first row and, as SQLite is set by default, without asking the delete trigger.
create trigger account_is_never_replaced before insert on account
when exists (select 1 from account
             where account_id = new.account_id or name = new.name)
begin
    select raise(abort, 'account: this id or name exists, and accounts are never replaced');
end;

create trigger account_is_never_updated before update on account
begin
    select raise(abort, 'account: rows are never updated');
end;

create trigger account_is_never_deleted before delete on account
begin
    select raise(abort, 'account: rows are never deleted');
end;

create trigger transfer_is_never_replaced before insert on transfer
when exists (select 1 from transfer
             where transfer_id = new.transfer_id or pending_id = new.pending_id)
begin
    select raise(abort, 'transfer: the id exists or its pending row is resolved; rows stay');
end;

create trigger transfer_is_appended before insert on transfer
when new.sequence is not (select coalesce(max(sequence), 0) + 1 from transfer)
begin
    select raise(abort, 'transfer: rows are only appended, with the next sequence');
end;

create trigger transfer_resolves_its_pending before insert on transfer
when new.pending_id is not null
    and not exists (select 1 from transfer as pending
                    where pending.transfer_id = new.pending_id
                      and pending.kind = 'pending'
                      and pending.debit_account_id = new.debit_account_id
                      and pending.credit_account_id = new.credit_account_id
                      and pending.amount_minor = new.amount_minor
                      and pending.currency = new.currency
                      and pending.reference = new.reference)
begin
    select raise(abort, 'transfer: accounts, amount or reference differ from the pending row');
end;

create trigger transfer_is_never_updated before update on transfer
begin
    select raise(abort, 'transfer: rows are never updated; book a new transfer');
end;

create trigger transfer_is_never_deleted before delete on transfer
begin
    select raise(abort, 'transfer: rows are never deleted; book a new transfer');
end;
