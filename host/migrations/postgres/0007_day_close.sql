-- The day close (日结): the books' head at the end of a day, signed, and what every account had come to.
-- Written by the crate host/ledger alone, and never changed. A close is of a place in the order of
-- booking (a sequence), not of a time: what is booked later belongs to the next close, whatever the clock
-- says.
-- The same history as in ../sqlite: a test holds the two to each other.

create table day_close (
    -- 1, 2, 3 ... without a gap.
    number bigint not null constraint day_close_pk primary key,
    -- The site's day (YYYY-MM-DD). Text of this form sorts as the calendar does.
    day text collate "C" not null constraint day_close_day_unique unique,
    -- The last transfer in it; 0 where there is none yet.
    sequence bigint not null,
    -- Of that transfer.
    chain_hash text collate "C" not null,
    -- SHA-256 over every account's sums (see host/ledger/src/close.rs).
    sums_digest text collate "C" not null,
    -- The last row of the audit trail, and its hash.
    audit_id bigint not null,
    audit_hash text collate "C" not null,
    at_ms bigint not null,
    -- Of the head, which is made of the columns above: the text of a .minisig file.
    signature text collate "C" not null,
    constraint day_close_number_above_zero check (number > 0),
    constraint day_close_day_is_day check (length(day) = 10),
    constraint day_close_sequence_not_negative check (sequence >= 0),
    constraint day_close_hashes_are_sha256 check (
        length(chain_hash) = 64 and length(sums_digest) = 64 and length(audit_hash) = 64)
);

-- An account's sums at a close, of the accounts that have moved since the one before: what it had come to
-- at a close is its last row up to that one.
create table day_close_sum (
    account_id text collate "C" not null,
    number bigint not null,
    debits_pending_minor bigint not null,
    credits_pending_minor bigint not null,
    debits_posted_minor bigint not null,
    credits_posted_minor bigint not null,
    constraint day_close_sum_pk primary key (account_id, number),
    constraint day_close_sum_account_fk foreign key (account_id) references account (account_id),
    constraint day_close_sum_close_fk foreign key (number) references day_close (number)
);

create index day_close_sum_number on day_close_sum (number);

create function day_close_follows() returns trigger language plpgsql as $$
begin
    if new.number is distinct from (select coalesce(max(number), 0) + 1 from day_close)
        or new.day <= (select coalesce(max(day), '') from day_close)
        or new.sequence < (select coalesce(max(sequence), 0) from day_close)
    then
        raise exception 'day_close: days are closed in order';
    end if;
    return new;
end $$;

create trigger day_close_follows before insert on day_close
    for each row execute function day_close_follows();
create trigger day_close_is_never_updated before update on day_close
    for each row execute function refuse('day_close: a close is never changed');
create trigger day_close_is_never_deleted before delete on day_close
    for each row execute function refuse('day_close: a close is never deleted');
create trigger day_close_is_never_truncated before truncate on day_close
    for each statement execute function refuse('day_close: a close is never deleted');
create trigger day_close_sum_is_never_updated before update on day_close_sum
    for each row execute function refuse('day_close_sum: a close is never changed');
create trigger day_close_sum_is_never_deleted before delete on day_close_sum
    for each row execute function refuse('day_close_sum: a close is never deleted');
create trigger day_close_sum_is_never_truncated before truncate on day_close_sum
    for each statement execute function refuse('day_close_sum: a close is never deleted');

-- The audit trail is a chain too: SHA-256 over the row before and this row (see
-- host/ledger/src/trail.rs). Null in the rows from before.
alter table audit add column chain_hash text collate "C";
