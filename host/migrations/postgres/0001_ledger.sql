-- The books: who can owe or hold money (account) and every movement of it (transfer).
-- The crate host/ledger alone writes both. What the database can refuse by itself it refuses here,
-- so that a person with a database tool meets the same rules as the program.
--
-- UUIDs are text (36 characters, lower case): an auditor reads and joins them with any tool, and
-- the text is what the hash is taken over. Text is compared by its bytes (collation "C") whatever
-- the server is set to, so that an order is the same everywhere, and the same as in SQLite.
-- The same history as in ../sqlite: a test holds the two to each other.

create table account (
    -- Follows from name and currency (see host/ledger/src/book.rs), so the transfers' hashes, which
    -- cover this id, also vouch for the name.
    account_id text collate "C" not null constraint account_pk primary key,
    name text collate "C" not null constraint account_name_unique unique,
    currency text collate "C" not null,
    created_at_ms bigint not null,
    constraint account_id_is_uuid check (length(account_id) = 36),
    constraint account_has_name check (length(name) between 1 and 200),
    constraint account_currency_is_code check (length(currency) = 3),
    -- What transfer's two foreign keys point at: an account is only moved in its own currency.
    constraint account_currency_unique unique (account_id, currency)
);

-- One row moves one amount from one account to one other, so debits equal credits by shape.
-- A reservation is a `pending` row; a later `post` or `void` row ends it. Nothing is ever changed.
create table transfer (
    -- 1, 2, 3 ... without a gap: a row that is missing is seen. Order of booking, not of the clock.
    sequence bigint not null constraint transfer_pk primary key,
    transfer_id text collate "C" not null constraint transfer_id_unique unique,
    kind text collate "C" not null,
    debit_account_id text collate "C" not null,
    credit_account_id text collate "C" not null,
    -- Minor units. Direction is debit and credit, never a sign.
    amount_minor bigint not null,
    currency text collate "C" not null,
    -- The pending row that this row ends. Unique: a reservation ends at most once.
    pending_id text collate "C" constraint transfer_is_resolved_once unique,
    -- What it was made for (a sale's id).
    reference text collate "C" not null,
    -- Milliseconds since 1970 UTC, as the host's clock said; clocks jump, so nothing is ordered by
    -- it.
    at_ms bigint not null,
    -- SHA-256 in hex over the row before and this row (see host/ledger/src/chain.rs).
    chain_hash text collate "C" not null,
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
);

-- "What was booked for this sale" is asked on every look at a sale.
create index transfer_by_reference on transfer (reference, sequence);

-- Triggers that refuse. Row triggers see no TRUNCATE, so that has a trigger of its own.
create function refuse() returns trigger language plpgsql as $$
begin
    raise exception '%', tg_argv[0];
end $$;

create function transfer_is_appended() returns trigger language plpgsql as $$
begin
    if new.sequence is distinct from (select coalesce(max(sequence), 0) + 1 from transfer) then
        raise exception 'transfer: rows are only appended, with the next sequence';
    end if;
    return new;
end $$;

create function transfer_resolves_its_pending() returns trigger language plpgsql as $$
begin
    if new.pending_id is not null and not exists (
        select 1 from transfer as pending
        where pending.transfer_id = new.pending_id
          and pending.kind = 'pending'
          and pending.debit_account_id = new.debit_account_id
          and pending.credit_account_id = new.credit_account_id
          and pending.amount_minor = new.amount_minor
          and pending.currency = new.currency
          and pending.reference = new.reference)
    then
        raise exception 'transfer: accounts, amount or reference differ from the pending row';
    end if;
    return new;
end $$;

create trigger account_is_never_updated before update on account
    for each row execute function refuse('account: rows are never updated');
create trigger account_is_never_deleted before delete on account
    for each row execute function refuse('account: rows are never deleted');
create trigger account_is_never_truncated before truncate on account
    for each statement execute function refuse('account: rows are never deleted');

create trigger transfer_is_appended before insert on transfer
    for each row execute function transfer_is_appended();
create trigger transfer_resolves_its_pending before insert on transfer
    for each row execute function transfer_resolves_its_pending();
create trigger transfer_is_never_updated before update on transfer for each row
    execute function refuse('transfer: rows are never updated; book a new transfer');
create trigger transfer_is_never_deleted before delete on transfer for each row
    execute function refuse('transfer: rows are never deleted; book a new transfer');
create trigger transfer_is_never_truncated before truncate on transfer for each statement
    execute function refuse('transfer: rows are never deleted; book a new transfer');

-- Where the writer's connection breaks in its COMMIT, nobody has told it the outcome. Each group of
-- writes leaves its mark here, in its process's own row, so that the next connection can see
-- whether it was committed. SQLite has no such table: it has no connection that breaks.
create table written_group (
    writer text collate "C" not null constraint written_group_pk primary key,
    mark text collate "C" not null,
    at_ms bigint not null
);
