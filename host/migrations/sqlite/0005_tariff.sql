-- Tariffs: plans, their versions, and which meter is sold to by which plan. The flat price that a meter
-- had becomes a plan that all meters of that price share; a price is in no other place any more.
--
-- The program runs migrations with foreign keys unchecked and checks them all afterwards: SQLite can
-- remove a column that a check names only by making the table anew.

create table tariff_plan (
    tariff_plan_id text not null,
    name text not null,
    created_at_ms integer not null,
    constraint tariff_plan_pk primary key (tariff_plan_id),
    constraint tariff_plan_name_unique unique (name)
) strict;

create table tariff_version (
    tariff_version_id text not null,
    tariff_plan_id text not null,
    -- 1, 2, 3 ... in the order in which they were written.
    number integer not null,
    -- The site's day (YYYY-MM-DD) from which it counts, until another version's day. Text of this form
    -- sorts as the calendar does.
    effective_from text not null,
    -- In the notation of docs/tariffs.md, in its canonical spelling.
    definition text not null,
    currency text not null,
    -- Null: the system itself.
    operator_id text,
    created_at_ms integer not null,
    constraint tariff_version_pk primary key (tariff_version_id),
    constraint tariff_version_number_unique unique (tariff_plan_id, number),
    constraint tariff_version_plan_fk foreign key (tariff_plan_id)
        references tariff_plan (tariff_plan_id) on delete restrict on update restrict,
    constraint tariff_version_number_above_zero check (number > 0),
    constraint tariff_version_from_is_day check (length(effective_from) = 10)
) strict;

-- A meter's plan from a day on, with what of the arithmetic is the user's own. The row that began last
-- counts, of two of one day the later one; none is ever changed, so a bill of long ago stays explained.
create table meter_tariff (
    meter_id text not null,
    -- 1, 2, 3 ... in the order in which they were written.
    number integer not null,
    tariff_plan_id text not null,
    from_date text not null,
    people integer not null,
    ct integer not null,
    pt integer not null,
    line_loss_ppm integer not null,
    copper_loss_ppm integer not null,
    iron_loss_wh_per_day integer not null,
    operator_id text,
    created_at_ms integer not null,
    constraint meter_tariff_pk primary key (meter_id, number),
    constraint meter_tariff_number_above_zero check (number > 0),
    constraint meter_tariff_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint meter_tariff_plan_fk foreign key (tariff_plan_id)
        references tariff_plan (tariff_plan_id) on delete restrict on update restrict,
    constraint meter_tariff_from_is_day check (length(from_date) = 10),
    constraint meter_tariff_terms_are_sound check (people > 0 and ct > 0 and pt > 0
        and line_loss_ppm >= 0 and copper_loss_ppm >= 0 and iron_loss_wh_per_day >= 0)
) strict;

create index meter_tariff_of_plan on meter_tariff (tariff_plan_id, meter_id);

-- One plan for each flat price that stands in a meter or a sale.
insert into tariff_plan (tariff_plan_id, name, created_at_ms)
select '00000000-0000-8000-8000-' || printf('%012d', price),
       'Flat ' || printf('%d.%02d', price / 100, price % 100), 0
from (select price_minor_per_kwh as price from meter
      union select price_minor_per_kwh from sale) as prices;

insert into tariff_version (tariff_version_id, tariff_plan_id, number, effective_from, definition,
                            currency, operator_id, created_at_ms)
select '00000000-0000-8000-8001-' || substr(tariff_plan_id, 25), tariff_plan_id, 1, '1970-01-01',
       'unit kWh' || char(10) || 'price ' || substr(name, 6) || char(10), 'CNY', null, 0
from tariff_plan;

insert into meter_tariff (meter_id, number, tariff_plan_id, from_date, people, ct, pt,
                          line_loss_ppm, copper_loss_ppm, iron_loss_wh_per_day, operator_id,
                          created_at_ms)
select meter_id, 1, '00000000-0000-8000-8000-' || printf('%012d', price_minor_per_kwh),
       '1970-01-01', 1, 1, 1, 0, 0, 0, null, created_at_ms
from meter;

create table meter_new (
    meter_id text not null,
    serial_number text not null,
    -- The driver is found by this code at every call, so that a driver can be exchanged.
    vendor text not null,
    -- A name from the configuration file, which is not a table: no foreign key.
    line text not null,
    -- Only the driver may parse it.
    address text not null,
    -- The driver's own parameters, [["name", {"type": value}], ...]: their set differs from vendor
    -- to vendor, and nothing but the driver looks into them.
    parameters text not null,
    customer_id text,
    account text not null default 'none',
    supply text not null default 'unknown',
    supply_at_ms integer,
    -- The device's count after the last purchase that we proved. Another value in the device means
    -- that somebody else sold into it: worth a line in the audit trail, no reason to refuse.
    purchase_count integer,
    created_at_ms integer not null,
    constraint meter_pk primary key (meter_id),
    constraint meter_serial_number_unique unique (serial_number),
    -- Two meters of one address on one line would answer at once.
    constraint meter_address_unique unique (line, address),
    constraint meter_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint meter_parameters_are_json check (json_valid(parameters)),
    constraint meter_account_known check (account in ('none', 'opening', 'open')),
    constraint meter_account_has_customer check ((account = 'none') = (customer_id is null)),
    constraint meter_supply_known
        check (supply in ('unknown', 'disconnected', 'connected', 'ready-for-reconnection')),
    constraint meter_purchase_count_is_u32 check (purchase_count between 0 and 4294967295)
) strict;

insert into meter_new (meter_id, serial_number, vendor, line, address, parameters, customer_id, account,
       supply, supply_at_ms, purchase_count, created_at_ms)
select meter_id, serial_number, vendor, line, address, parameters, customer_id, account,
       supply, supply_at_ms, purchase_count, created_at_ms
from meter;
drop table meter;
alter table meter_new rename to meter;
create index meter_customer on meter (customer_id);

create table sale_new (
    -- Made by the client, so that asking twice is one sale.
    sale_id text not null,
    meter_id text not null,
    customer_id text not null,
    -- Null: the system itself.
    operator_id text,
    paid_minor integer not null,
    currency text not null,
    tariff_version_id text not null,
    -- The site's day (YYYY-MM-DD) that chose the version and the place in the steps.
    priced_on text not null,
    -- What it buys, with ratios and losses: Wh of energy, litres of water.
    commodity text not null,
    bought integer not null,
    -- The whole arithmetic as JSON: what it was made from and each result, so that it can be made again
    -- and compared (service/src/tariff/explain.rs).
    explanation text not null,
    -- What the device is asked to take, fixed when sold: an exchanged driver must not change it.
    quantity text not null,
    amount integer not null,
    pending_transfer_id text not null,
    state text not null,
    -- The count that the device was asked to give it. Kept when the sale returns to reserved.
    purchase_count integer,
    balance_quantity text,
    balance_amount integer,
    refusal_code integer,
    refusal_detail text,
    refusal_device_code text,
    created_at_ms integer not null,
    settled_at_ms integer,
    constraint sale_pk primary key (sale_id),
    constraint sale_pending_transfer_unique unique (pending_transfer_id),
    constraint sale_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint sale_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint sale_paid_above_zero check (paid_minor > 0),
    constraint sale_tariff_version_fk foreign key (tariff_version_id)
        references tariff_version (tariff_version_id) on delete restrict on update restrict,
    constraint sale_commodity_known check (commodity in ('energy', 'water')),
    constraint sale_bought_not_negative check (bought >= 0),
    constraint sale_explanation_is_json check (json_valid(explanation)),
    constraint sale_quantity_known check (quantity in ('money', 'energy', 'volume')),
    constraint sale_amount_above_zero check (amount > 0),
    constraint sale_state_known check (state in
        ('reserved', 'dispatched', 'confirmed', 'refused', 'unresolved', 'cancelled')),
    constraint sale_count_known_once_dispatched check (
        state not in ('dispatched', 'confirmed', 'unresolved') or purchase_count is not null),
    constraint sale_refused_has_refusal
        check ((state = 'refused') = (refusal_code is not null and refusal_detail is not null)),
    constraint sale_balance_is_whole
        check ((balance_quantity is null) = (balance_amount is null)),
    constraint sale_settled_has_time
        check ((state in ('confirmed', 'refused', 'cancelled')) = (settled_at_ms is not null))
) strict;

insert into sale_new
select sale_id, meter_id, customer_id, operator_id, paid_minor, currency,
       '00000000-0000-8000-8001-' || printf('%012d', price_minor_per_kwh),
       date(created_at_ms / 1000, 'unixepoch'), 'energy', energy_wh,
       '{"before":0,"people":1,"ct":1,"pt":1,"line_loss_ppm":0,"copper_loss_ppm":0,'
       || '"iron_loss_wh_per_day":0,"metered":' || energy_wh || ',"billed":' || energy_wh
       || ',"price_minor":' || ((energy_wh * price_minor_per_kwh + 999) / 1000)
       || ',"tax_minor":0,"is_least":false,"cost_before":{"total":0,"shares":[]},"cost_after":{"total":'
       || energy_wh || ',"shares":['
       || case when energy_wh = 0 then '' else '[1,null,' || energy_wh || ',' || energy_wh || ','
                                               || (price_minor_per_kwh * 10000) || ']' end || ']}}',
       quantity, amount, pending_transfer_id, state, purchase_count, balance_quantity,
       balance_amount, refusal_code, refusal_detail, refusal_device_code, created_at_ms,
       settled_at_ms
from sale;
drop table sale;
alter table sale_new rename to sale;

-- At most one unsettled sale per meter: the purchase count of a second one would depend on how the
-- first ends, and its proof could not be told from the other's.
create unique index sale_one_unsettled_per_meter on sale (meter_id)
    where state in ('reserved', 'dispatched', 'unresolved');
create index sale_meter on sale (meter_id, created_at_ms, sale_id);

-- What was sold to whom for how much never changes, and nothing changes after the end.
create trigger sale_terms_are_fixed before update on sale
    when old.state in ('confirmed', 'refused', 'cancelled')
        or new.sale_id <> old.sale_id or new.meter_id <> old.meter_id
        or new.customer_id <> old.customer_id or new.operator_id is not old.operator_id
        or new.paid_minor <> old.paid_minor or new.currency <> old.currency
        or new.tariff_version_id <> old.tariff_version_id or new.priced_on <> old.priced_on
        or new.commodity <> old.commodity or new.bought <> old.bought
        or new.explanation <> old.explanation
        or new.quantity <> old.quantity or new.amount <> old.amount
        or new.pending_transfer_id <> old.pending_transfer_id
        or new.created_at_ms <> old.created_at_ms
    begin select raise(abort, 'the terms of a sale never change'); end;
create trigger sale_is_not_deleted before delete on sale
    begin select raise(abort, 'a sale is never deleted'); end;
create trigger sale_is_not_replaced before insert on sale
    when exists (select 1 from sale where sale_id = new.sale_id)
    begin select raise(abort, 'a sale is never replaced'); end;

-- How much a meter bought in this accumulation is asked at every sale.
create index sale_bought on sale (meter_id, priced_on);

create trigger tariff_version_is_not_updated before update on tariff_version
    begin select raise(abort, 'a version of a tariff never changes: add a new one'); end;
create trigger tariff_version_is_kept before delete on tariff_version
    when exists (select 1 from meter_tariff where tariff_plan_id = old.tariff_plan_id)
        or exists (select 1 from sale where tariff_version_id = old.tariff_version_id)
    begin select raise(abort, 'a version of a tariff that was used is kept'); end;
create trigger tariff_version_is_not_replaced before insert on tariff_version
    when exists (select 1 from tariff_version
                 where tariff_version_id = new.tariff_version_id
                    or (tariff_plan_id = new.tariff_plan_id and number = new.number))
    begin select raise(abort, 'a version of a tariff is never replaced'); end;
create trigger meter_tariff_is_not_updated before update on meter_tariff
    begin select raise(abort, 'the tariffs of a meter are append-only'); end;
create trigger meter_tariff_is_not_deleted before delete on meter_tariff
    begin select raise(abort, 'the tariffs of a meter are append-only'); end;
create trigger meter_tariff_is_not_replaced before insert on meter_tariff
    when exists (select 1 from meter_tariff
                 where meter_id = new.meter_id and number = new.number)
    begin select raise(abort, 'the tariffs of a meter are append-only'); end;
