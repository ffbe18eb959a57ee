-- The same history as in ../sqlite: a test holds the two to each other.
--
-- Public-area use shared out (公摊): a master meter's charge, allotted to customers.

create table allocation (
    allocation_id text collate "C" not null,
    name text collate "C" not null,
    -- Post-paid, of whoever stands for the public area; its charges go to the members instead.
    master_meter_id text collate "C" not null,
    basis text collate "C" not null,
    paid_from text collate "C" not null,
    operator_id text collate "C",
    created_at_ms bigint not null,
    constraint allocation_pk primary key (allocation_id),
    constraint allocation_name_unique unique (name),
    constraint allocation_master_unique unique (master_meter_id),
    constraint allocation_master_fk foreign key (master_meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint allocation_basis_known check (basis in ('ratio', 'area', 'use')),
    constraint allocation_paid_from_known check (paid_from in ('purse', 'bill'))
);

create table allocation_member (
    allocation_id text collate "C" not null,
    customer_id text collate "C" not null,
    -- By use: the meter that tells it.
    meter_id text collate "C",
    -- By ratio.
    weight bigint,
    constraint allocation_member_pk primary key (allocation_id, customer_id),
    constraint allocation_member_allocation_fk foreign key (allocation_id)
        references allocation (allocation_id) on delete restrict on update restrict,
    constraint allocation_member_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint allocation_member_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint allocation_member_weight_above_zero check (weight > 0)
);

create table allocation_run (
    allocation_run_id text collate "C" not null,
    allocation_id text collate "C" not null,
    -- The master meter's, with the whole arithmetic. One run for one charge.
    charge_id text collate "C" not null,
    amount_minor bigint not null,
    currency text collate "C" not null,
    operator_id text collate "C",
    created_at_ms bigint not null,
    constraint allocation_run_pk primary key (allocation_run_id),
    constraint allocation_run_charge_unique unique (charge_id),
    constraint allocation_run_allocation_fk foreign key (allocation_id)
        references allocation (allocation_id) on delete restrict on update restrict,
    constraint allocation_run_charge_fk foreign key (charge_id) references charge (charge_id)
        on delete restrict on update restrict,
    constraint allocation_run_amount_above_zero check (amount_minor > 0)
);

create index allocation_run_of on allocation_run (allocation_id, created_at_ms);

create trigger allocation_run_is_not_updated before update on allocation_run for each row
    execute function refuse('a run never changes: undo it');
create trigger allocation_run_is_not_deleted before delete on allocation_run for each row
    execute function refuse('a run is never deleted: undo it');
create trigger allocation_run_is_not_truncated before truncate on allocation_run for each statement
    execute function refuse('a run is never replaced');

create table allocation_part (
    allocation_run_id text collate "C" not null,
    customer_id text collate "C" not null,
    weight bigint not null,
    amount_minor bigint not null,
    bill_id text collate "C",
    constraint allocation_part_pk primary key (allocation_run_id, customer_id),
    constraint allocation_part_run_fk foreign key (allocation_run_id)
        references allocation_run (allocation_run_id) on delete restrict on update restrict,
    constraint allocation_part_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint allocation_part_bill_fk foreign key (bill_id) references bill (bill_id)
        on delete restrict on update restrict,
    constraint allocation_part_not_negative check (weight >= 0 and amount_minor >= 0)
);

create trigger allocation_part_is_not_updated before update on allocation_part for each row
    execute function refuse('a run never changes: undo it');
create trigger allocation_part_is_not_deleted before delete on allocation_part for each row
    execute function refuse('a run is never deleted: undo it');
create trigger allocation_part_is_not_truncated before truncate on allocation_part for each statement
    execute function refuse('a run is never replaced');

create table allocation_undo (
    allocation_run_id text collate "C" not null,
    reason text collate "C" not null,
    operator_id text collate "C",
    created_at_ms bigint not null,
    constraint allocation_undo_pk primary key (allocation_run_id),
    constraint allocation_undo_run_fk foreign key (allocation_run_id)
        references allocation_run (allocation_run_id) on delete restrict on update restrict
);

create trigger allocation_undo_is_not_updated before update on allocation_undo for each row
    execute function refuse('what was undone stays undone');
create trigger allocation_undo_is_not_deleted before delete on allocation_undo for each row
    execute function refuse('what was undone stays undone');
create trigger allocation_undo_is_not_truncated before truncate on allocation_undo for each statement
    execute function refuse('what was undone stays undone');
