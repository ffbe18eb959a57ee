-- The same history as in ../sqlite: a test holds the two to each other.
--
-- What waits for a second person and had no row of its own until then: money that goes back out of a
-- customer's purse, and the clearing of a free meter (清零) that still holds money.

create table purse_refund (
    -- The id that the client made; the payment has it too, once it is made.
    purse_payment_id text collate "C" not null,
    customer_id text collate "C" not null,
    channel text collate "C" not null,
    amount_minor bigint not null,
    currency text collate "C" not null,
    reason text collate "C" not null,
    operator_id text collate "C",
    created_at_ms bigint not null,
    -- paid: the payment stands under the same id.
    state text collate "C" not null,
    ended_at_ms bigint,
    constraint purse_refund_pk primary key (purse_payment_id),
    constraint purse_refund_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint purse_refund_amount_above_zero check (amount_minor > 0),
    constraint purse_refund_state_known check (state in ('waiting', 'paid', 'abandoned')),
    constraint purse_refund_ended_has_time check ((state = 'waiting') = (ended_at_ms is null))
);

create index purse_refund_customer on purse_refund (customer_id, created_at_ms);

create trigger purse_refund_ends_once before update on purse_refund for each row
    when (old.state <> 'waiting' or new.purse_payment_id <> old.purse_payment_id
        or new.customer_id <> old.customer_id or new.channel <> old.channel
        or new.amount_minor <> old.amount_minor)
    execute function refuse('a purse refund is decided once, and nothing else of it changes');
create trigger purse_refund_is_not_deleted before delete on purse_refund for each row
    execute function refuse('a purse refund is never deleted');
create trigger purse_refund_is_not_truncated before truncate on purse_refund for each statement
    execute function refuse('a purse refund is never replaced');

create table meter_clearing (
    meter_clearing_id text collate "C" not null,
    meter_id text collate "C" not null,
    -- What the device held when it was asked for, in money; 0 where it holds energy or volume.
    held_minor bigint not null,
    currency text collate "C" not null,
    reason text collate "C" not null,
    operator_id text collate "C",
    created_at_ms bigint not null,
    -- approved: a second person agreed, and the device has not said yes yet.
    state text collate "C" not null,
    ended_at_ms bigint,
    constraint meter_clearing_pk primary key (meter_clearing_id),
    constraint meter_clearing_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint meter_clearing_held_not_negative check (held_minor >= 0),
    constraint meter_clearing_state_known
        check (state in ('waiting', 'approved', 'cleared', 'abandoned')),
    constraint meter_clearing_ended_has_time check (
        (state in ('cleared', 'abandoned')) = (ended_at_ms is not null))
);

create unique index meter_clearing_one_open_per_meter on meter_clearing (meter_id)
    where state in ('waiting', 'approved');

create trigger meter_clearing_end_is_final before update on meter_clearing for each row
    when (old.state in ('cleared', 'abandoned'))
    execute function refuse('a clearing that ended never changes');
create trigger meter_clearing_is_not_deleted before delete on meter_clearing for each row
    execute function refuse('a clearing is never deleted');
create trigger meter_clearing_is_not_truncated before truncate on meter_clearing for each statement
    execute function refuse('a clearing is never replaced');

-- How far below zero this customer's purse may go (透支额度); null: as far as the site says.
alter table customer add column overdraft_minor bigint;
