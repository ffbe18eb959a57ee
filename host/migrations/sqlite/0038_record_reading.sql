-- Readings of records that were begun and did not come to their end: devices tell their lists in orders of
-- their own, so that what is stored does not say what is missing.
create table record_reading (
    meter_id text not null,
    kind text not null,
    -- By the device's own clock; all since then is read again.
    since text not null,
    constraint record_reading_pk primary key (meter_id, kind),
    constraint record_reading_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint record_reading_since_is_a_time check (length(since) = 19)
) strict;
