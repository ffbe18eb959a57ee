-- What meters were told to keep (the writable parameters of their drivers), as far as the device
-- answered. Per parameter at most two rows: the last value that the device was proved to hold, and
-- the last attempt that did not end so. Who asked stands in the audit trail.

create table setting (
    meter_id text collate "C" not null,
    name text collate "C" not null,
    -- 1: written and read back. 0: refused, not sent, or nobody knows.
    is_held bigint not null,
    -- {"type": value}, as in meter.parameters.
    value text collate "C" not null,
    at_ms bigint not null,
    ending text collate "C" not null,
    -- Why it did not end well; empty where it did.
    detail text collate "C" not null,
    constraint setting_pk primary key (meter_id, name, is_held),
    constraint setting_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint setting_value_is_json check (value::json is not null),
    constraint setting_ending_known
        check (ending in ('confirmed', 'refused', 'not-sent', 'unknown')),
    constraint setting_held_is_confirmed check (
        is_held = case when ending = 'confirmed' then 1 else 0 end)
);
