-- The counter: by which channel money comes and goes, the shift (班次) in which an operator answers for
-- it, and the numbered receipts (收据) that people are given.
-- Nothing here is the ledger: a shift says who held the money, not whose it is.

-- A trigger of its own, so that what else is fixed in a sale stays in one place.
alter table sale add column channel text not null default 'cash'
    constraint sale_channel_known
    check (channel in ('cash', 'bank', 'card', 'alipay', 'wechat', 'unionpay'));
create trigger sale_channel_is_fixed before update on sale
    when new.channel <> old.channel
    begin select raise(abort, 'the terms of a sale never change'); end;

create table shift (
    shift_id text not null,
    operator_id text not null,
    -- The site's day on which it was opened.
    day text not null,
    currency text not null,
    -- What lies in the till for change when it begins. It is cash before and after, so it is not booked.
    float_minor integer not null,
    opened_at_ms integer not null,
    -- What the till should hold and what was counted; both once it is closed.
    expected_minor integer,
    counted_minor integer,
    note text,
    closed_at_ms integer,
    constraint shift_pk primary key (shift_id),
    constraint shift_day_is_day check (length(day) = 10),
    constraint shift_float_not_negative check (float_minor >= 0),
    constraint shift_counted_not_negative check (counted_minor >= 0),
    constraint shift_closed_is_whole check (
        (closed_at_ms is null) = (counted_minor is null)
        and (closed_at_ms is null) = (expected_minor is null)
        and (closed_at_ms is null) = (note is null))
) strict;

-- An operator answers for one till at a time.
create unique index shift_one_open_per_operator on shift (operator_id) where closed_at_ms is null;
create index shift_by_time on shift (opened_at_ms, shift_id);

create trigger shift_is_fixed before update on shift
    when old.closed_at_ms is not null
        or new.shift_id <> old.shift_id or new.operator_id <> old.operator_id
        or new.day <> old.day or new.currency <> old.currency
        or new.float_minor <> old.float_minor or new.opened_at_ms <> old.opened_at_ms
    begin select raise(abort, 'a shift is closed once, and nothing else of it changes'); end;
create trigger shift_is_not_deleted before delete on shift
    begin select raise(abort, 'a shift is never deleted'); end;
create trigger shift_is_not_replaced before insert on shift
    when exists (select 1 from shift where shift_id = new.shift_id)
    begin select raise(abort, 'a shift is never replaced'); end;

-- Money over the counter, in whichever channel: taken for something, given back because that came to
-- nothing, or paid out.
create table shift_entry (
    shift_entry_id integer not null,
    -- Null: the operator had no open shift, or the shift that took it was closed meanwhile.
    shift_id text,
    -- Null: the system itself.
    operator_id text,
    kind text not null,
    -- What it was for: the id of a sale or of another act.
    reference text not null,
    channel text not null,
    -- Above zero; the kind says which way.
    amount_minor integer not null,
    currency text not null,
    at_ms integer not null,
    constraint shift_entry_pk primary key (shift_entry_id),
    -- One act takes once and gives back once.
    constraint shift_entry_once unique (reference, kind),
    constraint shift_entry_shift_fk foreign key (shift_id) references shift (shift_id)
        on delete restrict on update restrict,
    constraint shift_entry_kind_known check (kind in ('taken', 'given-back', 'paid-out')),
    constraint shift_entry_channel_known
        check (channel in ('cash', 'bank', 'card', 'alipay', 'wechat', 'unionpay')),
    constraint shift_entry_amount_above_zero check (amount_minor > 0)
) strict;

create index shift_entry_of_shift on shift_entry (shift_id, shift_entry_id);

create trigger shift_entry_is_for_an_open_shift before insert on shift_entry
    when exists (select 1 from shift
                 where shift_id = new.shift_id and closed_at_ms is not null)
    begin select raise(abort, 'the shift is closed: nothing is added to it'); end;
create trigger shift_entry_is_not_updated before update on shift_entry
    begin select raise(abort, 'the entries of a shift are append-only'); end;
create trigger shift_entry_is_not_deleted before delete on shift_entry
    begin select raise(abort, 'the entries of a shift are append-only'); end;
create trigger shift_entry_is_not_replaced before insert on shift_entry
    when exists (select 1 from shift_entry
                 where shift_entry_id = new.shift_entry_id
                    or (reference = new.reference and kind = new.kind))
    begin select raise(abort, 'the entries of a shift are append-only'); end;

-- 1, 2, 3 ... without a gap: a receipt that is missing is seen. A number is taken in the transaction that
-- settles what the receipt is for, so that none is lost to something that came to nothing.
create table receipt (
    number integer not null,
    -- What it is for: "sale", "refund" ...
    kind text not null,
    -- Its id.
    reference text not null,
    customer_id text,
    meter_id text,
    operator_id text,
    channel text not null,
    amount_minor integer not null,
    currency text not null,
    -- What is printed, [["label", "标签", "text"], ...]: a copy shows what the original showed, whatever
    -- has changed in the files since.
    lines text not null,
    at_ms integer not null,
    constraint receipt_pk primary key (number),
    constraint receipt_once unique (reference, kind),
    constraint receipt_kind_is_word check (length(kind) between 1 and 30),
    constraint receipt_channel_known
        check (channel in ('cash', 'bank', 'card', 'alipay', 'wechat', 'unionpay')),
    constraint receipt_amount_above_zero check (amount_minor > 0),
    constraint receipt_lines_are_json check (json_valid(lines))
) strict;

create index receipt_of_customer on receipt (customer_id, number);

create trigger receipt_is_appended before insert on receipt
    when new.number is not (select coalesce(max(number), 0) + 1 from receipt)
    begin select raise(abort, 'receipts are numbered without gaps'); end;
create trigger receipt_is_not_updated before update on receipt
    begin select raise(abort, 'a receipt never changes'); end;
create trigger receipt_is_not_deleted before delete on receipt
    begin select raise(abort, 'a receipt is never deleted'); end;
create trigger receipt_is_not_replaced before insert on receipt
    when exists (select 1 from receipt where reference = new.reference and kind = new.kind)
    begin select raise(abort, 'a receipt is never replaced'); end;

-- Each time that a receipt was printed: 0 the original, from 1 on copies (副本).
create table receipt_print (
    number integer not null,
    copy integer not null,
    operator_id text,
    at_ms integer not null,
    constraint receipt_print_pk primary key (number, copy),
    constraint receipt_print_receipt_fk foreign key (number) references receipt (number)
        on delete restrict on update restrict
) strict;

create trigger receipt_print_is_appended before insert on receipt_print
    when new.copy is not (select coalesce(max(copy), -1) + 1 from receipt_print
                          where number = new.number)
    begin select raise(abort, 'prints of a receipt are counted without gaps'); end;
create trigger receipt_print_is_not_updated before update on receipt_print
    begin select raise(abort, 'the prints of a receipt are append-only'); end;
create trigger receipt_print_is_not_deleted before delete on receipt_print
    begin select raise(abort, 'the prints of a receipt are append-only'); end;
create trigger receipt_print_is_not_replaced before insert on receipt_print
    when exists (select 1 from receipt_print where number = new.number and copy = new.copy)
    begin select raise(abort, 'the prints of a receipt are append-only'); end;
