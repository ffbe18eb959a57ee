-- The same history as in ../sqlite: a test holds the two to each other.
--
-- Money that customers have here, what readings take from it, readings that a person has to look at,
-- and supplies that were cut for want of money.

-- What a customer has, or owes where it is below zero: the sum of the ledger's account
-- purse/<customer>, changed in the same job as that. Here so that asking does not add up all transfers.
create table purse (
    customer_id text collate "C" not null,
    balance_minor bigint not null,
    currency text collate "C" not null,
    -- Since when the balance is below zero.
    below_since_ms bigint,
    constraint purse_pk primary key (customer_id),
    constraint purse_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint purse_below_has_time check ((balance_minor < 0) = (below_since_ms is not null))
);

create trigger purse_is_not_deleted before delete on purse for each row
    execute function refuse('a purse is never deleted');

create table purse_payment (
    -- Made by the client, so that asking twice is one payment.
    purse_payment_id text collate "C" not null,
    customer_id text collate "C" not null,
    direction text collate "C" not null,
    channel text collate "C" not null,
    amount_minor bigint not null,
    currency text collate "C" not null,
    -- Why money was given back; empty for a payment in.
    reason text collate "C" not null,
    balance_after_minor bigint not null,
    operator_id text collate "C",
    created_at_ms bigint not null,
    constraint purse_payment_pk primary key (purse_payment_id),
    constraint purse_payment_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint purse_payment_direction_known check (direction in ('in', 'out')),
    constraint purse_payment_amount_above_zero check (amount_minor > 0)
);

create index purse_payment_customer
    on purse_payment (customer_id, created_at_ms, purse_payment_id);

create trigger purse_payment_is_not_updated before update on purse_payment for each row
    execute function refuse('payments are append-only');
create trigger purse_payment_is_not_deleted before delete on purse_payment for each row
    execute function refuse('payments are append-only');
create trigger purse_payment_is_not_truncated before truncate on purse_payment for each statement
    execute function refuse('payments are append-only');

-- One meter's chain of readings that were charged, each from the one before. Number 1 charges
-- nothing: it is where the account began.
create table charge (
    charge_id text collate "C" not null,
    meter_id text collate "C" not null,
    number bigint not null,
    kind text collate "C" not null,
    customer_id text collate "C" not null,
    -- Null where another charge was taken back: then the chain stands where it stood before that.
    reading_id text collate "C",
    -- When it was read: by the host's clock, and at the site.
    at_ms bigint not null,
    day text collate "C" not null,
    second bigint not null,
    -- The registers that the next charge counts from, and the place in steps, month and losses.
    registers text collate "C" not null,
    position text collate "C" not null,
    -- The whole arithmetic as JSON, part by part, so that it can be made again and compared.
    explanation text collate "C" not null,
    commodity text collate "C" not null,
    -- Wh or litres, with ratios and losses.
    used bigint not null,
    amount_minor bigint not null,
    fee_minor bigint not null,
    tax_minor bigint not null,
    currency text collate "C" not null,
    operator_id text collate "C",
    created_at_ms bigint not null,
    constraint charge_pk primary key (charge_id),
    constraint charge_number_unique unique (meter_id, number),
    -- A reading is charged once.
    constraint charge_reading_unique unique (meter_id, reading_id),
    constraint charge_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint charge_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint charge_reading_fk foreign key (reading_id) references reading (reading_id)
        on delete restrict on update restrict,
    constraint charge_number_above_zero check (number > 0),
    constraint charge_kind_known check (kind in ('start', 'reading', 'decided', 'taken-back')),
    constraint charge_day_is_day check (length(day) = 10),
    constraint charge_registers_are_json check (registers::json is not null),
    constraint charge_position_is_json check (position::json is not null),
    constraint charge_explanation_is_json check (explanation::json is not null),
    constraint charge_commodity_known check (commodity in ('energy', 'water'))
);

create index charge_customer on charge (customer_id, created_at_ms, charge_id);

create trigger charge_is_not_updated before update on charge for each row
    execute function refuse('charges are append-only');
create trigger charge_is_not_deleted before delete on charge for each row
    execute function refuse('charges are append-only');
create trigger charge_is_not_truncated before truncate on charge for each statement
    execute function refuse('charges are append-only');

-- A reading that was not charged because it cannot be believed. A meter has at most one that is
-- open; more such readings count it up.
create table reading_case (
    reading_case_id text collate "C" not null,
    meter_id text collate "C" not null,
    -- The newest of them.
    reading_id text collate "C" not null,
    kind text collate "C" not null,
    detail text collate "C" not null,
    times bigint not null,
    opened_at_ms bigint not null,
    last_at_ms bigint not null,
    -- Null while it is open.
    decision text collate "C",
    reason text collate "C",
    operator_id text collate "C",
    decided_at_ms bigint,
    constraint reading_case_pk primary key (reading_case_id),
    constraint reading_case_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint reading_case_reading_fk foreign key (reading_id) references reading (reading_id)
        on delete restrict on update restrict,
    constraint reading_case_kind_known check (kind in ('no-register', 'invalid', 'estimated',
        'went-back', 'implausible', 'other-customer', 'not-charged')),
    constraint reading_case_decision_known
        check (decision in ('charged', 'begun-anew', 'dismissed')),
    constraint reading_case_decided_is_whole check (
        (decision is null) = (reason is null) and (decision is null) = (decided_at_ms is null)),
    constraint reading_case_times_above_zero check (times > 0)
);

create unique index reading_case_one_open_per_meter on reading_case (meter_id)
    where decision is null;

create trigger reading_case_decision_is_final before update on reading_case
    for each row when (old.decision is not null)
    execute function refuse('a decided case never changes');
create trigger reading_case_is_not_deleted before delete on reading_case for each row
    execute function refuse('a case is never deleted');

-- A supply that is to be cut or was cut because of what its customer owes, until it is restored.
-- 'cut' and 'ended' are proved by the device's own answer.
create table supply_cut (
    supply_cut_id text collate "C" not null,
    meter_id text collate "C" not null,
    customer_id text collate "C" not null,
    state text collate "C" not null,
    -- Why, and how the last try ended.
    detail text collate "C" not null,
    tries bigint not null,
    next_try_ms bigint not null,
    opened_at_ms bigint not null,
    cut_at_ms bigint,
    ended_at_ms bigint,
    constraint supply_cut_pk primary key (supply_cut_id),
    constraint supply_cut_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint supply_cut_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint supply_cut_state_known check (state in ('wanted', 'cut', 'ending', 'ended')),
    constraint supply_cut_ended_has_time check ((state = 'ended') = (ended_at_ms is not null))
);

create unique index supply_cut_one_open_per_meter on supply_cut (meter_id)
    where state <> 'ended';
create index supply_cut_customer on supply_cut (customer_id, opened_at_ms);

create trigger supply_cut_end_is_final before update on supply_cut
    for each row when (old.state = 'ended')
    execute function refuse('an ended cut never changes');
create trigger supply_cut_is_not_deleted before delete on supply_cut for each row
    execute function refuse('a cut is never deleted');
