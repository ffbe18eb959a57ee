-- Credit taken back out of a device (退电), a refund of part of what a meter holds, and the reversal (冲正)
-- of an act that was no sale.

create table counter_act_new (
    -- Made by the client, so that asking twice is one act.
    counter_act_id text not null,
    kind text not null,
    -- What a refund or a reversal takes back; a refund without one takes an amount out of the meter.
    sale_id text,
    meter_id text,
    customer_id text not null,
    -- Null: no money goes over the counter.
    channel text,
    amount_minor integer not null,
    currency text not null,
    reason text not null,
    -- Null: the system itself.
    operator_id text,
    -- The site's day on which it was asked for.
    day text not null,
    -- Of the reservation in the ledger, once there is one. A reversal has none: its contra rows are
    -- written at once when the device has proved that it does not hold the credit.
    pending_transfer_id text,
    state text not null,
    created_at_ms integer not null,
    settled_at_ms integer,
    -- The act that a reversal takes back, where it is no sale's.
    of_act_id text,
    -- What the device was told to give back and to count it as, stored before it is told; and what it
    -- held before, which it cannot hold any more afterwards.
    taken_count integer,
    taken_quantity text,
    taken_amount integer,
    balance_before integer,
    constraint counter_act_pk primary key (counter_act_id),
    constraint counter_act_sale_fk foreign key (sale_id) references sale (sale_id)
        on delete restrict on update restrict,
    constraint counter_act_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint counter_act_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint counter_act_kind_known check (kind in ('refund', 'reversal', 'deposit',
        'deposit-refund', 'arrears', 'arrears-payment', 'write-off')),
    constraint counter_act_takes_something_back check (case kind
        when 'refund' then meter_id is not null and of_act_id is null
        when 'reversal' then (sale_id is not null and meter_id is not null) <> (of_act_id is not null)
        else sale_id is null and meter_id is null and of_act_id is null end),
    constraint counter_act_has_channel check ((kind in ('arrears', 'write-off') and channel is null)
        or (kind = 'reversal' and of_act_id is not null)
        or (kind not in ('arrears', 'write-off') and channel is not null)),
    constraint counter_act_channel_known
        check (channel in ('cash', 'bank', 'card', 'alipay', 'wechat', 'unionpay')),
    constraint counter_act_amount_above_zero check (amount_minor > 0),
    constraint counter_act_state_known check (state in ('waiting', 'reserved', 'dispatched', 'confirmed',
        'refused', 'unresolved', 'cancelled')),
    constraint counter_act_settled_has_time
        check ((state in ('confirmed', 'refused', 'cancelled')) = (settled_at_ms is not null)),
    constraint counter_act_has_pending check (kind = 'reversal'
        or state not in ('reserved', 'dispatched', 'confirmed', 'unresolved')
        or pending_transfer_id is not null),
    constraint counter_act_taking_is_whole check ((taken_count is null) = (taken_quantity is null)
        and (taken_count is null) = (taken_amount is null)
        and (taken_count is null) = (balance_before is null)),
    constraint counter_act_taking_known_once_dispatched check (state <> 'dispatched' or taken_count is not null),
    constraint counter_act_taken_quantity_known check (taken_quantity in ('money', 'energy', 'volume')),
    constraint counter_act_of_act_fk foreign key (of_act_id)
        references counter_act (counter_act_id) on delete restrict on update restrict
) strict;

insert into counter_act_new
select counter_act_id, kind, sale_id, meter_id, customer_id, channel,
       amount_minor, currency, reason, operator_id, day, pending_transfer_id,
       state, created_at_ms, settled_at_ms,
       null, null, null, null, null
from counter_act;
drop table counter_act;
alter table counter_act_new rename to counter_act;

-- A sale is taken back once, whether by a refund or by a reversal; and so is an act.
create unique index counter_act_one_per_sale on counter_act (sale_id)
    where sale_id is not null and state not in ('refused', 'cancelled');
create unique index counter_act_one_per_act on counter_act (of_act_id)
    where of_act_id is not null and state not in ('refused', 'cancelled');
-- The count of a second one would depend on how the first ends.
create unique index counter_act_one_dispatched_per_meter on counter_act (meter_id)
    where state = 'dispatched';
create index counter_act_unsettled on counter_act (meter_id)
    where state in ('waiting', 'reserved', 'dispatched', 'unresolved');
create index counter_act_by_time on counter_act (created_at_ms, counter_act_id);
create index counter_act_of_customer on counter_act (customer_id, created_at_ms, counter_act_id);

create trigger counter_act_is_fixed before update on counter_act
    when old.state in ('confirmed', 'refused', 'cancelled')
        or new.counter_act_id <> old.counter_act_id or new.kind <> old.kind
        or new.sale_id is not old.sale_id or new.meter_id is not old.meter_id
        or new.customer_id <> old.customer_id or new.channel is not old.channel
        or new.amount_minor <> old.amount_minor or new.currency <> old.currency
        or new.reason <> old.reason or new.operator_id is not old.operator_id
        or new.day <> old.day or new.created_at_ms <> old.created_at_ms
        or new.of_act_id is not old.of_act_id
        or (old.pending_transfer_id is not null
            and new.pending_transfer_id is not old.pending_transfer_id)
    begin select raise(abort, 'the terms of a counter act never change'); end;
create trigger counter_act_is_not_deleted before delete on counter_act
    begin select raise(abort, 'a counter act is never deleted'); end;
create trigger counter_act_is_not_replaced before insert on counter_act
    when exists (select 1 from counter_act where counter_act_id = new.counter_act_id)
    begin select raise(abort, 'a counter act is never replaced'); end;

create table counter_act_event_new (
    counter_act_event_id integer not null,
    counter_act_id text not null,
    at_ms integer not null,
    state text not null,
    detail text not null,
    constraint counter_act_event_pk primary key (counter_act_event_id),
    constraint counter_act_event_act_fk foreign key (counter_act_id)
        references counter_act (counter_act_id) on delete restrict on update restrict,
    constraint counter_act_event_state_known check (state in
        ('waiting', 'reserved', 'dispatched', 'confirmed', 'refused', 'unresolved', 'cancelled'))
) strict;

insert into counter_act_event_new
select counter_act_event_id, counter_act_id, at_ms, state, detail from counter_act_event;
drop table counter_act_event;
alter table counter_act_event_new rename to counter_act_event;


create index counter_act_event_of_act on counter_act_event (counter_act_id, counter_act_event_id);

create trigger counter_act_event_is_not_updated before update on counter_act_event
    begin select raise(abort, 'the history of a counter act is append-only'); end;
create trigger counter_act_event_is_not_deleted before delete on counter_act_event
    begin select raise(abort, 'the history of a counter act is append-only'); end;
create trigger counter_act_event_is_not_replaced before insert on counter_act_event
    when exists (select 1 from counter_act_event
                 where counter_act_event_id = new.counter_act_event_id)
    begin select raise(abort, 'the history of a counter act is append-only'); end;
