-- Credit taken back out of a device (退电), a refund of part of what a meter holds, and the reversal (冲正)
-- of an act that was no sale.
-- The same history as in ../sqlite: a test holds the two to each other.

drop index counter_act_unsettled;
drop trigger counter_act_is_fixed on counter_act;

alter table counter_act
    -- The act that a reversal takes back, where it is no sale's.
    add column of_act_id text collate "C",
    -- What the device was told to give back and to count it as, stored before it is told; and what it
    -- held before, which it cannot hold any more afterwards.
    add column taken_count bigint,
    add column taken_quantity text collate "C",
    add column taken_amount bigint,
    add column balance_before bigint,
    drop constraint counter_act_takes_a_sale_back,
    drop constraint counter_act_has_channel,
    drop constraint counter_act_state_known,
    drop constraint counter_act_has_pending;

alter table counter_act
    add constraint counter_act_takes_something_back check (case kind
        when 'refund' then meter_id is not null and of_act_id is null
        when 'reversal' then (sale_id is not null and meter_id is not null) <> (of_act_id is not null)
        else sale_id is null and meter_id is null and of_act_id is null end),
    add constraint counter_act_has_channel check ((kind in ('arrears', 'write-off') and channel is null)
        or (kind = 'reversal' and of_act_id is not null)
        or (kind not in ('arrears', 'write-off') and channel is not null)),
    add constraint counter_act_state_known check (state in ('waiting', 'reserved', 'dispatched', 'confirmed',
        'refused', 'unresolved', 'cancelled')),
    add constraint counter_act_has_pending check (kind = 'reversal'
        or state not in ('reserved', 'dispatched', 'confirmed', 'unresolved')
        or pending_transfer_id is not null),
    add constraint counter_act_taking_is_whole check ((taken_count is null) = (taken_quantity is null)
        and (taken_count is null) = (taken_amount is null)
        and (taken_count is null) = (balance_before is null)),
    add constraint counter_act_taking_known_once_dispatched check (state <> 'dispatched' or taken_count is not null),
    add constraint counter_act_taken_quantity_known check (taken_quantity in ('money', 'energy', 'volume')),
    add constraint counter_act_of_act_fk foreign key (of_act_id)
        references counter_act (counter_act_id) on delete restrict on update restrict;

-- An act is taken back once, as a sale is.
create unique index counter_act_one_per_act on counter_act (of_act_id)
    where of_act_id is not null and state not in ('refused', 'cancelled');
-- The count of a second one would depend on how the first ends.
create unique index counter_act_one_dispatched_per_meter on counter_act (meter_id)
    where state = 'dispatched';
create index counter_act_unsettled on counter_act (meter_id)
    where state in ('waiting', 'reserved', 'dispatched', 'unresolved');

create trigger counter_act_is_fixed before update on counter_act for each row
    when (old.state in ('confirmed', 'refused', 'cancelled')
        or new.counter_act_id <> old.counter_act_id or new.kind <> old.kind
        or new.sale_id is distinct from old.sale_id or new.meter_id is distinct from old.meter_id
        or new.customer_id <> old.customer_id or new.channel is distinct from old.channel
        or new.amount_minor <> old.amount_minor or new.currency <> old.currency
        or new.reason <> old.reason or new.operator_id is distinct from old.operator_id
        or new.day <> old.day or new.created_at_ms <> old.created_at_ms
        or new.of_act_id is distinct from old.of_act_id
        or (old.pending_transfer_id is not null
            and new.pending_transfer_id is distinct from old.pending_transfer_id))
    execute function refuse('the terms of a counter act never change');

alter table counter_act_event drop constraint counter_act_event_state_known;
alter table counter_act_event add constraint counter_act_event_state_known check (state in
    ('waiting', 'reserved', 'dispatched', 'confirmed', 'refused', 'unresolved', 'cancelled'));
