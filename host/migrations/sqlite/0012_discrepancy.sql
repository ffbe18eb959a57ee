-- Where a meter's story differs from ours: its purchase count or its last purchase is another than the
-- last one that was proved (比对充值次数). And how much a meter may hold.

create table discrepancy (
    discrepancy_id text not null,
    meter_id text not null,
    story text not null,
    -- What was being done when it was seen: "sale/<id>", "reading/<id>", "counter-act/<id>".
    seen_by text not null,
    -- Ours and the device's, as they were seen last. An amount is in the purse's own unit.
    known_count integer,
    device_count integer not null,
    known_amount integer,
    device_amount integer,
    quantity text,
    times integer not null,
    opened_at_ms integer not null,
    last_at_ms integer not null,
    -- Null while it is open.
    closed_at_ms integer,
    operator_id text,
    reason text,
    constraint discrepancy_pk primary key (discrepancy_id),
    constraint discrepancy_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint discrepancy_story_known
        check (story in ('count-ahead', 'count-behind', 'other-amount', 'no-record')),
    constraint discrepancy_quantity_known check (quantity in ('money', 'energy', 'volume')),
    constraint discrepancy_times_above_zero check (times > 0),
    constraint discrepancy_closed_has_reason check ((closed_at_ms is null) = (reason is null))
) strict;

-- One record for each story of a meter; seeing it again counts it up.
create unique index discrepancy_one_open on discrepancy (meter_id, story)
    where closed_at_ms is null;
create index discrepancy_by_time on discrepancy (opened_at_ms, discrepancy_id);
create index discrepancy_of_meter on discrepancy (meter_id, opened_at_ms, discrepancy_id);

create trigger discrepancy_is_closed_once before update on discrepancy
    when old.closed_at_ms is not null or new.discrepancy_id <> old.discrepancy_id
        or new.meter_id <> old.meter_id or new.story <> old.story
        or new.seen_by <> old.seen_by or new.opened_at_ms <> old.opened_at_ms
    begin select raise(abort, 'a discrepancy is closed once, and how it began stays'); end;
create trigger discrepancy_is_not_deleted before delete on discrepancy
    begin select raise(abort, 'a discrepancy is never deleted'); end;
create trigger discrepancy_is_not_replaced before insert on discrepancy
    when exists (select 1 from discrepancy where discrepancy_id = new.discrepancy_id)
    begin select raise(abort, 'a discrepancy is never replaced'); end;

-- The most money that a meter may hold after a sale (囤积上限); null: what the configuration says.
alter table meter add column max_credit_minor integer
    constraint meter_max_credit_above_zero check (max_credit_minor > 0);
