-- What each operator may do, and whether they may log in at all. Who gave a right and who took it
-- away stands in the audit trail, as every change of an operator does.

alter table operator add column disabled_at_ms bigint;

create table operator_right (
    operator_id text collate "C" not null,
    name text collate "C" not null,
    constraint operator_right_pk primary key (operator_id, name),
    constraint operator_right_operator_fk foreign key (operator_id)
        references operator (operator_id) on delete restrict on update restrict,
    constraint operator_right_known check (name in ('sell', 'refund', 'approve', 'customers',
        'supply', 'settings', 'tariffs', 'billing', 'ledger', 'drivers', 'operators'))
);

-- Until here every operator could do everything, and goes on so.
insert into operator_right (operator_id, name)
select operator_id, "right".name from operator
cross join (select 'sell' as name union all select 'refund' union all select 'approve'
            union all select 'customers' union all select 'supply' union all select 'settings'
            union all select 'tariffs' union all select 'billing' union all select 'ledger'
            union all select 'drivers' union all select 'operators') as "right";
