-- Public-area use shared out (公摊): a master meter's charge, allotted to customers.

create table allocation (
    allocation_id text not null,
    name text not null,
    -- Post-paid, of whoever stands for the public area; its charges go to the members instead.
    master_meter_id text not null,
    basis text not null,
    paid_from text not null,
    operator_id text,
    created_at_ms integer not null,
    constraint allocation_pk primary key (allocation_id),
    constraint allocation_name_unique unique (name),
    constraint allocation_master_unique unique (master_meter_id),
    constraint allocation_master_fk foreign key (master_meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint allocation_basis_known check (basis in ('ratio', 'area', 'use')),
    constraint allocation_paid_from_known check (paid_from in ('purse', 'bill'))
) strict;

create table allocation_member (
    allocation_id text not null,
    customer_id text not null,
    -- By use: the meter that tells it.
    meter_id text,
    -- By ratio.
    weight integer,
    constraint allocation_member_pk primary key (allocation_id, customer_id),
    constraint allocation_member_allocation_fk foreign key (allocation_id)
        references allocation (allocation_id) on delete restrict on update restrict,
    constraint allocation_member_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint allocation_member_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint allocation_member_weight_above_zero check (weight > 0)
) strict;

create table allocation_run (
    allocation_run_id text not null,
    allocation_id text not null,
    -- The master meter's, with the whole arithmetic. One run for one charge.
    charge_id text not null,
    amount_minor integer not null,
    currency text not null,
    operator_id text,
    created_at_ms integer not null,
    constraint allocation_run_pk primary key (allocation_run_id),
    constraint allocation_run_charge_unique unique (charge_id),
    constraint allocation_run_allocation_fk foreign key (allocation_id)
        references allocation (allocation_id) on delete restrict on update restrict,
    constraint allocation_run_charge_fk foreign key (charge_id) references charge (charge_id)
        on delete restrict on update restrict,
    constraint allocation_run_amount_above_zero check (amount_minor > 0)
) strict;

create index allocation_run_of on allocation_run (allocation_id, created_at_ms);

create trigger allocation_run_is_not_updated before update on allocation_run
    begin select raise(abort, 'a run never changes: undo it'); end;
create trigger allocation_run_is_not_deleted before delete on allocation_run
    begin select raise(abort, 'a run is never deleted: undo it'); end;
create trigger allocation_run_is_not_replaced before insert on allocation_run
    when exists (select 1 from allocation_run
                 where allocation_run_id = new.allocation_run_id or charge_id = new.charge_id)
    begin select raise(abort, 'a run is never replaced'); end;

create table allocation_part (
    allocation_run_id text not null,
    customer_id text not null,
    weight integer not null,
    amount_minor integer not null,
    bill_id text,
    constraint allocation_part_pk primary key (allocation_run_id, customer_id),
    constraint allocation_part_run_fk foreign key (allocation_run_id)
        references allocation_run (allocation_run_id) on delete restrict on update restrict,
    constraint allocation_part_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint allocation_part_bill_fk foreign key (bill_id) references bill (bill_id)
        on delete restrict on update restrict,
    constraint allocation_part_not_negative check (weight >= 0 and amount_minor >= 0)
) strict;

create trigger allocation_part_is_not_updated before update on allocation_part
    begin select raise(abort, 'a run never changes: undo it'); end;
create trigger allocation_part_is_not_deleted before delete on allocation_part
    begin select raise(abort, 'a run is never deleted: undo it'); end;
create trigger allocation_part_is_not_replaced before insert on allocation_part
    when exists (select 1 from allocation_part
                 where allocation_run_id = new.allocation_run_id
                   and customer_id = new.customer_id)
    begin select raise(abort, 'a run is never replaced'); end;

create table allocation_undo (
    allocation_run_id text not null,
    reason text not null,
    operator_id text,
    created_at_ms integer not null,
    constraint allocation_undo_pk primary key (allocation_run_id),
    constraint allocation_undo_run_fk foreign key (allocation_run_id)
        references allocation_run (allocation_run_id) on delete restrict on update restrict
) strict;

create trigger allocation_undo_is_not_updated before update on allocation_undo
    begin select raise(abort, 'what was undone stays undone'); end;
create trigger allocation_undo_is_not_deleted before delete on allocation_undo
    begin select raise(abort, 'what was undone stays undone'); end;
create trigger allocation_undo_is_not_replaced before insert on allocation_undo
    when exists (select 1 from allocation_undo where allocation_run_id = new.allocation_run_id)
    begin select raise(abort, 'what was undone stays undone'); end;
