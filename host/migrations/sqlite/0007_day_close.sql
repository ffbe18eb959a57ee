-- The day close (日结): the books' head at the end of a day, signed, and what every account had come to.
-- Written by the crate host/ledger alone, and never changed. A close is of a place in the order of
-- booking (a sequence), not of a time: what is booked later belongs to the next close, whatever the clock
-- says.

create table day_close (
    -- 1, 2, 3 ... without a gap.
    number integer not null constraint day_close_pk primary key,
    -- The site's day (YYYY-MM-DD). Text of this form sorts as the calendar does.
    day text not null constraint day_close_day_unique unique,
    -- The last transfer in it; 0 where there is none yet.
    sequence integer not null,
    -- Of that transfer.
    chain_hash text not null,
    -- SHA-256 over every account's sums (see host/ledger/src/close.rs).
    sums_digest text not null,
    -- The last row of the audit trail, and its hash.
    audit_id integer not null,
    audit_hash text not null,
    at_ms integer not null,
    -- Of the head, which is made of the columns above: the text of a .minisig file.
    signature text not null,
    constraint day_close_number_above_zero check (number > 0),
    constraint day_close_day_is_day check (length(day) = 10),
    constraint day_close_sequence_not_negative check (sequence >= 0),
    constraint day_close_hashes_are_sha256 check (
        length(chain_hash) = 64 and length(sums_digest) = 64 and length(audit_hash) = 64)
) strict;

-- An account's sums at a close, of the accounts that have moved since the one before: what it had come to
-- at a close is its last row up to that one.
create table day_close_sum (
    account_id text not null,
    number integer not null,
    debits_pending_minor integer not null,
    credits_pending_minor integer not null,
    debits_posted_minor integer not null,
    credits_posted_minor integer not null,
    constraint day_close_sum_pk primary key (account_id, number),
    constraint day_close_sum_account_fk foreign key (account_id) references account (account_id),
    constraint day_close_sum_close_fk foreign key (number) references day_close (number)
) strict, without rowid;

create index day_close_sum_number on day_close_sum (number);

create trigger day_close_is_never_replaced before insert on day_close
when exists (select 1 from day_close where number = new.number or day = new.day)
begin
    select raise(abort, 'day_close: a day is closed once');
end;

create trigger day_close_follows before insert on day_close
when new.number is not (select coalesce(max(number), 0) + 1 from day_close)
    or new.day <= (select coalesce(max(day), '') from day_close)
    or new.sequence < (select coalesce(max(sequence), 0) from day_close)
begin
    select raise(abort, 'day_close: days are closed in order');
end;

create trigger day_close_is_never_updated before update on day_close
begin
    select raise(abort, 'day_close: a close is never changed');
end;

create trigger day_close_is_never_deleted before delete on day_close
begin
    select raise(abort, 'day_close: a close is never deleted');
end;

create trigger day_close_sum_is_never_replaced before insert on day_close_sum
when exists (select 1 from day_close_sum
             where account_id = new.account_id and number = new.number)
begin
    select raise(abort, 'day_close_sum: a close is never changed');
end;

create trigger day_close_sum_is_never_updated before update on day_close_sum
begin
    select raise(abort, 'day_close_sum: a close is never changed');
end;

create trigger day_close_sum_is_never_deleted before delete on day_close_sum
begin
    select raise(abort, 'day_close_sum: a close is never deleted');
end;

-- The audit trail is a chain too: SHA-256 over the row before and this row (see
-- host/ledger/src/trail.rs). Null in the rows from before.
alter table audit add column chain_hash text;
