-- The customer's file: every change of it, each meter's time at each customer, the applications that
-- changes come from, and states in which a meter is not sold to or not switched.

-- What the customer runs on the supply (用电设备), in words.
alter table customer add column equipment text not null default '';
-- Closed: in the archive. Null: current.
alter table customer add column closed_at_ms integer;
create index customer_closed on customer (closed_at_ms, number);

-- A customer's numbered request (申请). The file begins with the one for supply.
create table application (
    application_id text not null,
    -- 1, 2, 3 ... as the counter counts them; it is what a customer is given.
    number integer not null,
    kind text not null,
    state text not null,
    customer_id text not null,
    -- What is asked for, in words; and how it ended.
    wish text not null,
    outcome text not null,
    operator_id text,
    created_at_ms integer not null,
    ended_at_ms integer,
    constraint application_pk primary key (application_id),
    constraint application_number_unique unique (number),
    constraint application_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint application_kind_known check (kind in
        ('supply', 'meter', 'change', 'swap', 'transfer', 'suspension', 'resumption', 'closing')),
    constraint application_state_known
        check (state in ('received', 'prepared', 'done', 'refused')),
    constraint application_ended_has_time
        check ((state in ('done', 'refused')) = (ended_at_ms is not null))
) strict;

create index application_of_customer on application (customer_id, number);
create index application_open on application (number) where ended_at_ms is null;

-- The meters that an application for supply or for a further meter is to open.
create table application_meter (
    application_id text not null,
    meter_id text not null,
    -- Null: not opened yet.
    opened_at_ms integer,
    constraint application_meter_pk primary key (application_id, meter_id),
    constraint application_meter_application_fk foreign key (application_id)
        references application (application_id) on delete restrict on update restrict,
    constraint application_meter_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict
) strict;

-- Every change of a customer's or a meter's file, by whom, why, and on which application.
create table file_change (
    file_change_id integer not null,
    at_ms integer not null,
    -- Null: the system itself.
    operator_id text,
    application_id text,
    customer_id text,
    meter_id text,
    field text not null,
    old_value text not null,
    new_value text not null,
    reason text not null,
    constraint file_change_pk primary key (file_change_id),
    constraint file_change_application_fk foreign key (application_id)
        references application (application_id) on delete restrict on update restrict,
    constraint file_change_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint file_change_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint file_change_has_file check (customer_id is not null or meter_id is not null)
) strict;

create index file_change_of_customer on file_change (customer_id, file_change_id);
create index file_change_of_meter on file_change (meter_id, file_change_id);
create index file_change_of_application on file_change (application_id, file_change_id);

create trigger file_change_is_not_updated before update on file_change
    begin select raise(abort, 'the history of a file is append-only'); end;
create trigger file_change_is_not_deleted before delete on file_change
    begin select raise(abort, 'the history of a file is append-only'); end;
create trigger file_change_is_not_replaced before insert on file_change
    when exists (select 1 from file_change where file_change_id = new.file_change_id)
    begin select raise(abort, 'the history of a file is append-only'); end;

-- One meter's time at one customer with one ratio (安装). What was used is counted within one and never
-- across: another customer, another meter or another ratio begins a new one.
create table installation (
    installation_id text not null,
    meter_id text not null,
    customer_id text not null,
    from_ms integer not null,
    -- Null: it lasts.
    to_ms integer,
    commodity text not null,
    -- What the register stood at, in Wh or litres before any ratio. Null: nobody read it just then.
    first_reading integer,
    last_reading integer,
    ct integer not null,
    pt integer not null,
    -- Which customer's number the device holds, by which it must be sold to: not every device takes
    -- another one when its owner changes.
    number_in_device text not null,
    -- Why it ended; empty while it lasts.
    ended text not null,
    constraint installation_pk primary key (installation_id),
    constraint installation_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint installation_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint installation_commodity_known check (commodity in ('energy', 'water')),
    constraint installation_readings_are_sound check (
        (first_reading is null or first_reading >= 0)
        and (last_reading is null or last_reading >= coalesce(first_reading, 0))),
    constraint installation_ratios_above_zero check (ct > 0 and pt > 0),
    constraint installation_ended_has_why check ((to_ms is null) = (ended = '')),
    constraint installation_lasting_has_no_last check (to_ms is not null or last_reading is null)
) strict;

-- A meter is at one customer at a time.
create unique index installation_one_lasts_per_meter on installation (meter_id) where to_ms is null;
create index installation_of_meter on installation (meter_id, from_ms);
create index installation_of_customer on installation (customer_id, from_ms);

-- What has ended is history.
create trigger installation_stays_as_it_ended before update on installation
    when old.to_ms is not null or new.installation_id <> old.installation_id
        or new.meter_id <> old.meter_id or new.customer_id <> old.customer_id
        or new.from_ms <> old.from_ms or new.ct <> old.ct or new.pt <> old.pt
    begin select raise(abort, 'an installation that ended never changes'); end;
create trigger installation_is_not_deleted before delete on installation
    begin select raise(abort, 'an installation is never deleted'); end;
create trigger installation_is_not_replaced before insert on installation
    when exists (select 1 from installation where installation_id = new.installation_id)
    begin select raise(abort, 'an installation is never replaced'); end;

-- Meters that are bound already, since their account was opened; the id is the meter's own.
insert into installation (installation_id, meter_id, customer_id, from_ms, to_ms, commodity,
                          first_reading, last_reading, ct, pt, number_in_device, ended)
select meter.meter_id, meter.meter_id, meter.customer_id,
       coalesce((select max(at_ms) from audit
                 where object = 'meter/' || meter.meter_id and act = 'account-opening-ended'),
                meter.created_at_ms),
       null, 'energy', null, null,
       coalesce((select ct from meter_tariff as given where given.meter_id = meter.meter_id
                 order by number desc limit 1), 1),
       coalesce((select pt from meter_tariff as given where given.meter_id = meter.meter_id
                 order by number desc limit 1), 1),
       customer.number, ''
from meter join customer on customer.customer_id = meter.customer_id
where meter.account = 'open';

-- A meter that is suspended (报停) is not sold to; one whose switch is bypassed (旁路) is not switched.
create table hold (
    hold_id text not null,
    meter_id text not null,
    kind text not null,
    from_ms integer not null,
    to_ms integer,
    reason text not null,
    end_reason text not null,
    operator_id text,
    constraint hold_pk primary key (hold_id),
    constraint hold_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint hold_kind_known check (kind in ('suspended', 'bypassed')),
    constraint hold_ended_has_why check ((to_ms is null) = (end_reason = ''))
) strict;

create unique index hold_one_lasts_per_kind on hold (meter_id, kind) where to_ms is null;
create index hold_of_meter on hold (meter_id, from_ms);
