-- What is done at the counter with money and is no sale: refund (退电), reversal (冲正), deposit (押金),
-- arrears (欠费), write-off (核销); and what waits for a second person.

create table counter_act (
    -- Made by the client, so that asking twice is one act.
    counter_act_id text not null,
    kind text not null,
    -- What a refund or a reversal takes back.
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
    constraint counter_act_pk primary key (counter_act_id),
    constraint counter_act_sale_fk foreign key (sale_id) references sale (sale_id)
        on delete restrict on update restrict,
    constraint counter_act_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint counter_act_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint counter_act_kind_known check (kind in ('refund', 'reversal', 'deposit',
        'deposit-refund', 'arrears', 'arrears-payment', 'write-off')),
    constraint counter_act_takes_a_sale_back
        check ((kind in ('refund', 'reversal')) = (sale_id is not null and meter_id is not null)),
    constraint counter_act_has_channel
        check ((kind in ('arrears', 'write-off')) = (channel is null)),
    constraint counter_act_channel_known
        check (channel in ('cash', 'bank', 'card', 'alipay', 'wechat', 'unionpay')),
    constraint counter_act_amount_above_zero check (amount_minor > 0),
    constraint counter_act_state_known check (state in
        ('waiting', 'reserved', 'confirmed', 'refused', 'unresolved', 'cancelled')),
    constraint counter_act_settled_has_time
        check ((state in ('confirmed', 'refused', 'cancelled')) = (settled_at_ms is not null)),
    constraint counter_act_has_pending check (kind = 'reversal'
        or state not in ('reserved', 'confirmed', 'unresolved') or pending_transfer_id is not null)
) strict;

-- A sale is taken back once, whether by a refund or by a reversal.
create unique index counter_act_one_per_sale on counter_act (sale_id)
    where sale_id is not null and state not in ('refused', 'cancelled');
create index counter_act_unsettled on counter_act (meter_id)
    where state in ('waiting', 'reserved', 'unresolved');
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
        or (old.pending_transfer_id is not null
            and new.pending_transfer_id is not old.pending_transfer_id)
    begin select raise(abort, 'the terms of a counter act never change'); end;
create trigger counter_act_is_not_deleted before delete on counter_act
    begin select raise(abort, 'a counter act is never deleted'); end;
create trigger counter_act_is_not_replaced before insert on counter_act
    when exists (select 1 from counter_act where counter_act_id = new.counter_act_id)
    begin select raise(abort, 'a counter act is never replaced'); end;

create table counter_act_event (
    counter_act_event_id integer not null,
    counter_act_id text not null,
    at_ms integer not null,
    state text not null,
    detail text not null,
    constraint counter_act_event_pk primary key (counter_act_event_id),
    constraint counter_act_event_act_fk foreign key (counter_act_id)
        references counter_act (counter_act_id) on delete restrict on update restrict,
    constraint counter_act_event_state_known check (state in
        ('waiting', 'reserved', 'confirmed', 'refused', 'unresolved', 'cancelled'))
) strict;

create index counter_act_event_of_act on counter_act_event (counter_act_id, counter_act_event_id);

create trigger counter_act_event_is_not_updated before update on counter_act_event
    begin select raise(abort, 'the history of a counter act is append-only'); end;
create trigger counter_act_event_is_not_deleted before delete on counter_act_event
    begin select raise(abort, 'the history of a counter act is append-only'); end;
create trigger counter_act_event_is_not_replaced before insert on counter_act_event
    when exists (select 1 from counter_act_event
                 where counter_act_event_id = new.counter_act_event_id)
    begin select raise(abort, 'the history of a counter act is append-only'); end;

-- What a customer owes and has deposited: the sums of the ledger's accounts arrears/<customer> and
-- deposit/<customer>, changed in the same job as those. Here so that asking does not add up all
-- transfers, and so that nobody gets back more than there is.
create table customer_standing (
    customer_id text not null,
    arrears_minor integer not null,
    deposit_minor integer not null,
    currency text not null,
    constraint customer_standing_pk primary key (customer_id),
    constraint customer_standing_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint customer_standing_arrears_not_negative check (arrears_minor >= 0),
    constraint customer_standing_deposit_not_negative check (deposit_minor >= 0)
) strict;

create trigger customer_standing_is_not_deleted before delete on customer_standing
    begin select raise(abort, 'what a customer owes and has is never deleted'); end;

-- What one operator asked for and another has to agree to.
create table approval (
    approval_id text not null,
    -- What is to be done: "refund", "write-off" ...
    act text not null,
    -- To what: "counter-act/<id>".
    object text not null,
    amount_minor integer not null,
    currency text not null,
    reason text not null,
    -- Null: the system itself.
    asked_by text,
    asked_at_ms integer not null,
    expires_at_ms integer not null,
    state text not null,
    decided_by text,
    decided_at_ms integer,
    decision_reason text,
    constraint approval_pk primary key (approval_id),
    constraint approval_act_is_word check (length(act) between 1 and 30),
    constraint approval_state_known
        check (state in ('waiting', 'approved', 'rejected', 'expired', 'withdrawn')),
    constraint approval_decided_has_time
        check ((state = 'waiting') = (decided_at_ms is null)),
    constraint approval_decided_by_somebody check (
        (state in ('approved', 'rejected')) = (decided_by is not null)),
    -- The rule itself (双人复核): nobody agrees to what they asked for.
    constraint approval_takes_two check (state <> 'approved' or asked_by is null
        or asked_by <> decided_by)
) strict;

create unique index approval_one_waiting on approval (object) where state = 'waiting';
create index approval_by_time on approval (asked_at_ms, approval_id);

create trigger approval_is_decided_once before update on approval
    when old.state <> 'waiting' or new.approval_id <> old.approval_id
        or new.act <> old.act or new.object <> old.object
        or new.amount_minor <> old.amount_minor or new.currency <> old.currency
        or new.reason <> old.reason or new.asked_by is not old.asked_by
        or new.asked_at_ms <> old.asked_at_ms or new.expires_at_ms <> old.expires_at_ms
    begin select raise(abort, 'an approval is decided once, and nothing else of it changes'); end;
create trigger approval_is_not_deleted before delete on approval
    begin select raise(abort, 'an approval is never deleted'); end;
create trigger approval_is_not_replaced before insert on approval
    when exists (select 1 from approval where approval_id = new.approval_id)
    begin select raise(abort, 'an approval is never replaced'); end;
