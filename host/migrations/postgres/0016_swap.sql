-- Meter swaps (换表), and money brought in from another system's meter (老表金额转入).

create table swap (
    swap_id text collate "C" not null,
    old_meter_id text collate "C" not null,
    new_meter_id text collate "C" not null,
    customer_id text collate "C" not null,
    -- begun: the old meter's figures are kept, nothing has changed; switched: the new meter is the
    -- customer's, and what was left goes into it by a sale of its own; abandoned: nothing was changed.
    state text collate "C" not null,
    reason text collate "C" not null,
    application_id text collate "C",
    -- As asked for, so that a repeat can be told from another request.
    keyed_reading bigint,
    keyed_minor bigint,
    keyed_new_reading bigint,
    is_excess_accepted bigint not null,
    -- What the old meter stood at, in Wh or litres, and what its purse held.
    old_reading bigint not null,
    remaining_minor bigint not null,
    currency text collate "C" not null,
    told_by text collate "C" not null,
    -- What the switch made of it.
    new_reading bigint,
    consumed_minor bigint,
    excess_minor bigint,
    -- The sale that carries the money; the last one, if one was refused. Null: nothing was left.
    sale_id text collate "C",
    -- Whether the old device still holds what was carried over: it must not be opened again before.
    old_purse text collate "C" not null,
    operator_id text collate "C",
    created_at_ms bigint not null,
    ended_at_ms bigint,
    constraint swap_pk primary key (swap_id),
    constraint swap_old_meter_fk foreign key (old_meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint swap_new_meter_fk foreign key (new_meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint swap_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint swap_sale_fk foreign key (sale_id) references sale (sale_id)
        on delete restrict on update restrict,
    constraint swap_between_two check (old_meter_id <> new_meter_id),
    constraint swap_state_known check (state in ('begun', 'switched', 'abandoned')),
    constraint swap_told_by_known check (told_by in ('device', 'operator')),
    constraint swap_old_purse_known check (old_purse in ('full', 'cleared')),
    constraint swap_remaining_not_negative check (remaining_minor >= 0),
    constraint swap_switched_is_whole check ((state = 'switched') =
        (new_reading is not null and consumed_minor is not null and excess_minor is not null)),
    constraint swap_ended_has_time check ((state = 'begun') = (ended_at_ms is null))
);

-- One swap of a meter at a time, on either side of it.
create unique index swap_one_begun_per_old_meter on swap (old_meter_id) where state = 'begun';
create unique index swap_one_begun_per_new_meter on swap (new_meter_id) where state = 'begun';
create index swap_of_old_meter on swap (old_meter_id, created_at_ms);
create index swap_of_new_meter on swap (new_meter_id, created_at_ms);
create index swap_of_customer on swap (customer_id, created_at_ms);

create trigger swap_figures_are_fixed before update on swap for each row
    when (new.swap_id <> old.swap_id or new.old_meter_id <> old.old_meter_id
        or new.new_meter_id <> old.new_meter_id or new.customer_id <> old.customer_id
        or new.old_reading <> old.old_reading or new.remaining_minor <> old.remaining_minor
        or (old.state <> 'begun' and new.state <> old.state))
    execute function refuse('the figures of a swap never change');
create trigger swap_is_not_deleted before delete on swap for each row
    execute function refuse('a swap is never deleted');
create trigger swap_is_not_truncated before truncate on swap for each statement
    execute function refuse('a swap is never replaced');

-- Sales that are paid by what another system's meter still held, once per installation.
create table brought_in (
    sale_id text collate "C" not null,
    installation_id text collate "C" not null,
    reason text collate "C" not null,
    constraint brought_in_pk primary key (sale_id),
    constraint brought_in_sale_fk foreign key (sale_id) references sale (sale_id)
        on delete restrict on update restrict,
    constraint brought_in_installation_fk foreign key (installation_id)
        references installation (installation_id) on delete restrict on update restrict
);

create index brought_in_of_installation on brought_in (installation_id);

-- A sale that is paid from an account of the books (a swap's, money brought in) and not over a counter.
alter table sale add column carried_from text collate "C";
create trigger sale_carried_from_is_fixed before update on sale for each row
    when (new.carried_from is distinct from old.carried_from)
    execute function refuse('the terms of a sale never change');
