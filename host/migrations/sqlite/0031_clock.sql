-- The clocks in devices (校时): how far each was off when it was read, and what was done about it.

-- Seconds that the clock was proved to be ahead, below zero behind, and how long the call took in which it
-- was read; null where a reading told no clock.
alter table reading add column clock_drift_s integer;
alter table reading add column clock_within_s integer
    constraint reading_drift_is_whole check ((clock_within_s is null) = (clock_drift_s is null));

create table clock_setting (
    clock_setting_id text not null,
    meter_id text not null,
    -- adjust: as the protocol lets anybody do it, within its rules; set: with authority, by any amount.
    way text not null,
    -- As the reading had it that was taken when it was asked for; null: the clock showed no time.
    drift_s integer,
    reason text not null,
    -- Null: the system itself.
    operator_id text,
    created_at_ms integer not null,
    -- waiting: a second person has to agree; approved: nothing was sent yet; asked: the device may have
    -- heard of it. The rest is how it ended: right, wrong: what the clock showed when it was read back.
    state text not null,
    -- How far off it was when it was read back.
    drift_after_s integer,
    -- Why it did not end well; empty where it did.
    detail text not null default '',
    ended_at_ms integer,
    constraint clock_setting_pk primary key (clock_setting_id),
    constraint clock_setting_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint clock_setting_way_known check (way in ('adjust', 'set')),
    constraint clock_setting_state_known check (state in ('waiting', 'approved', 'asked', 'right',
        'wrong', 'refused', 'not-sent', 'unknown', 'withdrawn')),
    constraint clock_setting_judged_by_its_clock
        check ((state in ('right', 'wrong')) = (drift_after_s is not null)),
    constraint clock_setting_ended_has_time
        check ((state in ('waiting', 'approved', 'asked')) = (ended_at_ms is null))
) strict;

create unique index clock_setting_one_open_per_meter on clock_setting (meter_id)
    where state in ('waiting', 'approved', 'asked');
create index clock_setting_of_meter on clock_setting (meter_id, created_at_ms, clock_setting_id);

create trigger clock_setting_end_is_final before update on clock_setting
    when old.ended_at_ms is not null or new.clock_setting_id <> old.clock_setting_id
        or new.meter_id <> old.meter_id or new.way <> old.way or new.reason <> old.reason
        or new.drift_s is not old.drift_s or new.operator_id is not old.operator_id
        or new.created_at_ms <> old.created_at_ms
    begin select raise(abort, 'a clock setting that ended never changes, nor what was asked'); end;
create trigger clock_setting_is_not_deleted before delete on clock_setting
    begin select raise(abort, 'a clock setting is never deleted'); end;
create trigger clock_setting_is_not_replaced before insert on clock_setting
    when exists (select 1 from clock_setting where clock_setting_id = new.clock_setting_id)
    begin select raise(abort, 'a clock setting is never replaced'); end;
