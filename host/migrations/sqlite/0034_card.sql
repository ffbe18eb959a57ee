-- Cards (IC卡): which card is a meter's now, and which ones were before it was lost or recycled.

create table card (
    vendor text not null,
    -- The card's own number, as its vendor's driver tells it.
    serial text not null,
    -- When it became this meter's: one card may come back after it was recycled.
    issued_at_ms integer not null,
    meter_id text not null,
    customer_id text not null,
    -- current: sales go onto it; lost: another took its place; recycled: it was made blank.
    state text not null,
    -- A supervisor said that the meter has taken purchases up to this one, though the card does not show
    -- it (and why stands in the audit trail).
    said_taken integer,
    ended_at_ms integer,
    constraint card_pk primary key (vendor, serial, issued_at_ms),
    constraint card_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint card_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint card_state_known check (state in ('current', 'lost', 'recycled')),
    constraint card_ended_has_time check ((state = 'current') = (ended_at_ms is null))
) strict;

create unique index card_one_per_meter on card (meter_id) where state = 'current';
create unique index card_at_one_meter on card (vendor, serial) where state = 'current';
create index card_of_meter on card (meter_id, issued_at_ms);
