-- What devices keep of the past, as it was read out of them: profiles and events (负荷曲线, 冻结, 事件).

create table record (
    record_id integer not null,
    meter_id text not null,
    -- The driver's name of the list, e.g. "load".
    kind text not null,
    -- By the device's own clock, "2026-03-02T10:15:00": as texts they sort as they happened.
    at text not null,
    -- What happened, by the shared names; empty in a profile.
    event text not null,
    -- The device's own code of that; empty where it has none.
    device_code text not null,
    -- The vendor's own values, in the same form as those of a reading.
    extras text not null,
    stored_at_ms integer not null,
    constraint record_pk primary key (record_id),
    constraint record_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint record_at_is_a_time check (length(at) = 19),
    constraint record_extras_are_json check (json_valid(extras)),
    constraint record_once unique (meter_id, kind, at, event, device_code)
) strict;

create index record_of_meter on record (meter_id, at, record_id);

create table record_value (
    record_id integer not null,
    position integer not null,
    register text not null,
    mantissa integer,
    scale integer,
    other text,
    unit integer not null,
    quality text not null,
    constraint record_value_pk primary key (record_id, position),
    constraint record_value_record_fk foreign key (record_id) references record (record_id)
        on delete restrict on update restrict,
    constraint record_value_is_number_or_other
        check ((mantissa is null) = (scale is null) and (mantissa is null) <> (other is null)),
    constraint record_value_quality_known
        check (quality in ('measured', 'not-measured', 'invalid', 'estimated'))
) strict;
