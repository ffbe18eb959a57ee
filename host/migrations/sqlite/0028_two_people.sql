-- What waits for a second person and had no row of its own until then: money that goes back out of a
-- customer's purse, and the clearing of a free meter (清零) that still holds money.

create table purse_refund (
    -- The id that the client made; the payment has it too, once it is made.
    purse_payment_id text not null,
    customer_id text not null,
    channel text not null,
    amount_minor integer not null,
    currency text not null,
    reason text not null,
    operator_id text,
    created_at_ms integer not null,
    -- paid: the payment stands under the same id.
    state text not null,
    ended_at_ms integer,
    constraint purse_refund_pk primary key (purse_payment_id),
    constraint purse_refund_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint purse_refund_amount_above_zero check (amount_minor > 0),
    constraint purse_refund_state_known check (state in ('waiting', 'paid', 'abandoned')),
    constraint purse_refund_ended_has_time check ((state = 'waiting') = (ended_at_ms is null))
) strict;

create index purse_refund_customer on purse_refund (customer_id, created_at_ms);

create trigger purse_refund_ends_once before update on purse_refund
    when old.state <> 'waiting' or new.purse_payment_id <> old.purse_payment_id
        or new.customer_id <> old.customer_id or new.channel <> old.channel
        or new.amount_minor <> old.amount_minor
    begin select raise(abort, 'a purse refund is decided once, and nothing else of it changes'); end;
create trigger purse_refund_is_not_deleted before delete on purse_refund
    begin select raise(abort, 'a purse refund is never deleted'); end;
create trigger purse_refund_is_not_replaced before insert on purse_refund
    when exists (select 1 from purse_refund where purse_payment_id = new.purse_payment_id)
    begin select raise(abort, 'a purse refund is never replaced'); end;

create table meter_clearing (
    meter_clearing_id text not null,
    meter_id text not null,
    -- What the device held when it was asked for, in money; 0 where it holds energy or volume.
    held_minor integer not null,
    currency text not null,
    reason text not null,
    operator_id text,
    created_at_ms integer not null,
    -- approved: a second person agreed, and the device has not said yes yet.
    state text not null,
    ended_at_ms integer,
    constraint meter_clearing_pk primary key (meter_clearing_id),
    constraint meter_clearing_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint meter_clearing_held_not_negative check (held_minor >= 0),
    constraint meter_clearing_state_known
        check (state in ('waiting', 'approved', 'cleared', 'abandoned')),
    constraint meter_clearing_ended_has_time check (
        (state in ('cleared', 'abandoned')) = (ended_at_ms is not null))
) strict;

create unique index meter_clearing_one_open_per_meter on meter_clearing (meter_id)
    where state in ('waiting', 'approved');

create trigger meter_clearing_end_is_final before update on meter_clearing
    when old.state in ('cleared', 'abandoned')
    begin select raise(abort, 'a clearing that ended never changes'); end;
create trigger meter_clearing_is_not_deleted before delete on meter_clearing
    begin select raise(abort, 'a clearing is never deleted'); end;
create trigger meter_clearing_is_not_replaced before insert on meter_clearing
    when exists (select 1 from meter_clearing where meter_clearing_id = new.meter_clearing_id)
    begin select raise(abort, 'a clearing is never replaced'); end;

-- How far below zero this customer's purse may go (透支额度); null: as far as the site says.
alter table customer add column overdraft_minor integer;
