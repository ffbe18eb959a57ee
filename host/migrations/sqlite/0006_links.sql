-- Transfers of one act that stand or fall together (a link), transfers that are posted at once (book),
-- and transfers that take a posted one back (contra).
--
-- A row names the row of its link that follows it at once (`next_id`). The database keeps the promise:
-- the next row must be that one, and a COMMIT before it is there is refused by a deferred foreign key.
-- A link of reservations is ended by a link of the same length, row for row.
--
-- SQLite changes no check of a table that is there: the table is made anew, and its rows keep their
-- place and their hash (`form` says over which lines it was taken; see host/ledger/src/chain.rs).

create table transfer_new (
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
    -- Of the text that the hash is taken over. 1: rows from before links, without the two columns below.
    form              integer not null,
    -- The posted row that this row takes back, wholly. Unique: at most once.
    contra_id         text    constraint transfer_is_taken_back_once unique,
    -- The row of the same link that follows at once.
    next_id           text    constraint transfer_follows_one unique,
    constraint transfer_id_is_uuid check (length(transfer_id) = 36),
    constraint transfer_kind_known check (kind in ('pending', 'post', 'void', 'book', 'contra')),
    constraint transfer_amount_positive check (amount_minor > 0),
    constraint transfer_between_two check (debit_account_id <> credit_account_id),
    constraint transfer_pending_id_by_kind
        check ((kind in ('post', 'void')) = (pending_id is not null)),
    constraint transfer_contra_id_by_kind check ((kind = 'contra') = (contra_id is not null)),
    constraint transfer_form_known check (form = 2
        or form = 1 and next_id is null and kind in ('pending', 'post', 'void')),
    constraint transfer_chain_hash_is_sha256 check (length(chain_hash) = 64),
    constraint transfer_debit_account foreign key (debit_account_id, currency)
        references account (account_id, currency),
    constraint transfer_credit_account foreign key (credit_account_id, currency)
        references account (account_id, currency),
    constraint transfer_pending foreign key (pending_id) references transfer_new (transfer_id),
    constraint transfer_contra foreign key (contra_id) references transfer_new (transfer_id),
    constraint transfer_next foreign key (next_id) references transfer_new (transfer_id)
        deferrable initially deferred
) strict;

insert into transfer_new
select sequence, transfer_id, kind, debit_account_id, credit_account_id, amount_minor, currency,
       pending_id, reference, at_ms, chain_hash, 1, null, null
from transfer order by sequence;
drop table transfer;
alter table transfer_new rename to transfer;

-- "What was booked for this sale" is asked on every look at a sale.
create index transfer_by_reference on transfer (reference, sequence);

create trigger transfer_is_never_replaced before insert on transfer
when exists (select 1 from transfer
             where transfer_id = new.transfer_id or pending_id = new.pending_id
                or contra_id = new.contra_id or next_id = new.next_id)
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

create trigger transfer_takes_back_what_was_posted before insert on transfer
when new.contra_id is not null
    and not exists (select 1 from transfer as posted
                    where posted.transfer_id = new.contra_id
                      and posted.kind in ('post', 'book')
                      and posted.debit_account_id = new.credit_account_id
                      and posted.credit_account_id = new.debit_account_id
                      and posted.amount_minor = new.amount_minor
                      and posted.currency = new.currency)
begin
    select raise(abort, 'transfer: a contra row takes back a whole posted row, accounts reversed');
end;

-- Rows posted at once may follow each other in one link; reservations, posts and voids go alone.
create trigger transfer_keeps_its_link before insert on transfer
when exists (select 1 from transfer as earlier
             where earlier.sequence = new.sequence - 1
               and earlier.next_id is not null
               and (earlier.next_id <> new.transfer_id
                    or earlier.reference <> new.reference
                    or replace(earlier.kind, 'contra', 'book') <> replace(new.kind, 'contra', 'book')))
begin
    select raise(abort, 'transfer: the row before is linked to another row; a link is written whole');
end;

create trigger transfer_ends_its_link_whole before insert on transfer
when new.pending_id is not null
    and ((select next_id is null from transfer where transfer_id = new.pending_id)
            <> (new.next_id is null)
         or coalesce((select transfer_id from transfer where next_id = new.pending_id), '')
            <> coalesce((select pending_id from transfer
                         where sequence = new.sequence - 1 and next_id = new.transfer_id), ''))
begin
    select raise(abort, 'transfer: the pending rows of one link are posted or voided together');
end;

create trigger transfer_is_never_updated before update on transfer
begin
    select raise(abort, 'transfer: rows are never updated; book a new transfer');
end;

create trigger transfer_is_never_deleted before delete on transfer
begin
    select raise(abort, 'transfer: rows are never deleted; book a new transfer');
end;
