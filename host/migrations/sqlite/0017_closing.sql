-- Transfer of ownership (过户) and closing (销户).

create table takeover (
    takeover_id text not null,
    from_customer_id text not null,
    to_customer_id text not null,
    reason text not null,
    application_id text,
    -- What the one owed and the other took over; nothing where the arrears were settled before.
    arrears_minor integer not null,
    currency text not null,
    -- What was asked for, so that a repeat can be told from another request.
    request text not null,
    operator_id text,
    at_ms integer not null,
    constraint takeover_pk primary key (takeover_id),
    constraint takeover_from_fk foreign key (from_customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint takeover_to_fk foreign key (to_customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint takeover_between_two check (from_customer_id <> to_customer_id),
    constraint takeover_arrears_not_negative check (arrears_minor >= 0)
) strict;

create index takeover_from on takeover (from_customer_id, at_ms);
create index takeover_to on takeover (to_customer_id, at_ms);

create trigger takeover_is_not_updated before update on takeover
    begin select raise(abort, 'a transfer of ownership never changes'); end;
create trigger takeover_is_not_deleted before delete on takeover
    begin select raise(abort, 'a transfer of ownership is never deleted'); end;
create trigger takeover_is_not_replaced before insert on takeover
    when exists (select 1 from takeover where takeover_id = new.takeover_id)
    begin select raise(abort, 'a transfer of ownership is never replaced'); end;

create table closing (
    closing_id text not null,
    customer_id text not null,
    -- begun: every meter's figures are kept and nothing is sold any more; settled: all is booked and the
    -- file is in the archive; abandoned: before any device was cleared.
    state text not null,
    reason text not null,
    application_id text,
    request text not null,
    -- How what was still owed after all was settled: none, paid, written-off.
    arrears text not null,
    currency text not null,
    -- What was paid out, and what was taken for arrears; null until settled.
    refunded_minor integer,
    recovered_minor integer,
    operator_id text,
    created_at_ms integer not null,
    ended_at_ms integer,
    constraint closing_pk primary key (closing_id),
    constraint closing_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint closing_state_known check (state in ('begun', 'settled', 'abandoned')),
    constraint closing_arrears_known check (arrears in ('none', 'paid', 'written-off')),
    constraint closing_settled_is_whole check ((state = 'settled') =
        (refunded_minor is not null and recovered_minor is not null)),
    constraint closing_ended_has_time check ((state = 'begun') = (ended_at_ms is null))
) strict;

create unique index closing_one_begun_per_customer on closing (customer_id)
    where state = 'begun';
create index closing_by_time on closing (created_at_ms, closing_id);

create table closing_meter (
    closing_id text not null,
    meter_id text not null,
    -- measured: the figures are kept; clearing: stored before the device is asked to empty its purse;
    -- cleared: it said yes; kept: it holds its money still, and must not be opened again before.
    state text not null,
    reading integer not null,
    remaining_minor integer not null,
    told_by text not null,
    constraint closing_meter_pk primary key (closing_id, meter_id),
    constraint closing_meter_closing_fk foreign key (closing_id) references closing (closing_id)
        on delete restrict on update restrict,
    constraint closing_meter_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint closing_meter_state_known
        check (state in ('measured', 'clearing', 'cleared', 'kept')),
    constraint closing_meter_told_by_known check (told_by in ('device', 'operator')),
    constraint closing_meter_figures_are_sound check (reading >= 0 and remaining_minor >= 0)
) strict;

create index closing_meter_of_meter on closing_meter (meter_id);

create trigger closing_is_settled_once before update on closing
    when new.closing_id <> old.closing_id or new.customer_id <> old.customer_id
        or (old.state <> 'begun')
    begin select raise(abort, 'a closing that ended never changes'); end;
create trigger closing_is_not_deleted before delete on closing
    begin select raise(abort, 'a closing is never deleted'); end;
create trigger closing_is_not_replaced before insert on closing
    when exists (select 1 from closing where closing_id = new.closing_id)
    begin select raise(abort, 'a closing is never replaced'); end;
