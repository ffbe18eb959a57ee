-- What is wrong at a meter by its own word (告警): from the reading that told it first until one that does
-- not tell it any more.

create table alarm (
    alarm_id integer not null,
    meter_id text not null,
    -- The common name, e.g. "low-battery".
    name text not null,
    begun_at_ms integer not null,
    -- The reading that told it first.
    reading_id text not null,
    -- Null while it stands.
    ended_at_ms integer,
    constraint alarm_pk primary key (alarm_id),
    constraint alarm_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint alarm_reading_fk foreign key (reading_id) references reading (reading_id)
        on delete restrict on update restrict,
    constraint alarm_ends_after_it_began check (ended_at_ms >= begun_at_ms)
) strict;

create unique index alarm_one_stands on alarm (meter_id, name) where ended_at_ms is null;
create index alarm_of_meter on alarm (meter_id, name, begun_at_ms);

create trigger alarm_ends_once before update on alarm
    when old.ended_at_ms is not null or new.alarm_id <> old.alarm_id
        or new.meter_id <> old.meter_id or new.name <> old.name
        or new.begun_at_ms <> old.begun_at_ms or new.reading_id <> old.reading_id
    begin select raise(abort, 'an alarm ends once, and how it began stays'); end;
create trigger alarm_is_not_deleted before delete on alarm
    begin select raise(abort, 'an alarm is never deleted'); end;
create trigger alarm_is_not_replaced before insert on alarm
    when exists (select 1 from alarm where alarm_id = new.alarm_id)
    begin select raise(abort, 'an alarm is never replaced'); end;
