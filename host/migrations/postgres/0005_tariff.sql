-- Tariffs: plans, their versions, and which meter is sold to by which plan. The flat price that a meter
-- had becomes a plan that all meters of that price share; a price is in no other place any more.
-- The same history as in ../sqlite: a test holds the two to each other.

create table tariff_plan (
    tariff_plan_id text collate "C" not null,
    name text collate "C" not null,
    created_at_ms bigint not null,
    constraint tariff_plan_pk primary key (tariff_plan_id),
    constraint tariff_plan_name_unique unique (name)
);

create table tariff_version (
    tariff_version_id text collate "C" not null,
    tariff_plan_id text collate "C" not null,
    -- 1, 2, 3 ... in the order in which they were written.
    number bigint not null,
    -- The site's day (YYYY-MM-DD) from which it counts, until another version's day. Text of this form
    -- sorts as the calendar does.
    effective_from text collate "C" not null,
    -- In the notation of docs/tariffs.md, in its canonical spelling.
    definition text collate "C" not null,
    currency text collate "C" not null,
    -- Null: the system itself.
    operator_id text collate "C",
    created_at_ms bigint not null,
    constraint tariff_version_pk primary key (tariff_version_id),
    constraint tariff_version_number_unique unique (tariff_plan_id, number),
    constraint tariff_version_plan_fk foreign key (tariff_plan_id)
        references tariff_plan (tariff_plan_id) on delete restrict on update restrict,
    constraint tariff_version_number_above_zero check (number > 0),
    constraint tariff_version_from_is_day check (length(effective_from) = 10)
);

-- A meter's plan from a day on, with what of the arithmetic is the user's own. The row that began last
-- counts, of two of one day the later one; none is ever changed, so a bill of long ago stays explained.
create table meter_tariff (
    meter_id text collate "C" not null,
    -- 1, 2, 3 ... in the order in which they were written.
    number bigint not null,
    tariff_plan_id text collate "C" not null,
    from_date text collate "C" not null,
    people bigint not null,
    ct bigint not null,
    pt bigint not null,
    line_loss_ppm bigint not null,
    copper_loss_ppm bigint not null,
    iron_loss_wh_per_day bigint not null,
    operator_id text collate "C",
    created_at_ms bigint not null,
    constraint meter_tariff_pk primary key (meter_id, number),
    constraint meter_tariff_number_above_zero check (number > 0),
    constraint meter_tariff_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint meter_tariff_plan_fk foreign key (tariff_plan_id)
        references tariff_plan (tariff_plan_id) on delete restrict on update restrict,
    constraint meter_tariff_from_is_day check (length(from_date) = 10),
    constraint meter_tariff_terms_are_sound check (people > 0 and ct > 0 and pt > 0
        and line_loss_ppm >= 0 and copper_loss_ppm >= 0 and iron_loss_wh_per_day >= 0)
);

create index meter_tariff_of_plan on meter_tariff (tariff_plan_id, meter_id);

-- One plan for each flat price that stands in a meter or a sale.
insert into tariff_plan (tariff_plan_id, name, created_at_ms)
select '00000000-0000-8000-8000-' || lpad(price::text, 12, '0'),
       'Flat ' || (price / 100)::text || '.' || lpad((price % 100)::text, 2, '0'), 0
from (select price_minor_per_kwh as price from meter
      union select price_minor_per_kwh from sale) as prices;

insert into tariff_version (tariff_version_id, tariff_plan_id, number, effective_from, definition,
                            currency, operator_id, created_at_ms)
select '00000000-0000-8000-8001-' || substr(tariff_plan_id, 25), tariff_plan_id, 1, '1970-01-01',
       'unit kWh' || chr(10) || 'price ' || substr(name, 6) || chr(10), 'CNY', null, 0
from tariff_plan;

insert into meter_tariff (meter_id, number, tariff_plan_id, from_date, people, ct, pt,
                          line_loss_ppm, copper_loss_ppm, iron_loss_wh_per_day, operator_id,
                          created_at_ms)
select meter_id, 1, '00000000-0000-8000-8000-' || lpad(price_minor_per_kwh::text, 12, '0'),
       '1970-01-01', 1, 1, 1, 0, 0, 0, null, created_at_ms
from meter;

alter table meter drop constraint meter_price_above_zero;
alter table meter drop column price_minor_per_kwh;
alter table meter drop column currency;

drop trigger sale_terms_are_fixed on sale;
alter table sale add column tariff_version_id text collate "C";
-- The site's day (YYYY-MM-DD) that chose the version and the place in the steps.
alter table sale add column priced_on text collate "C";
-- What it buys, with ratios and losses: Wh of energy, litres of water.
alter table sale add column commodity text collate "C";
alter table sale rename column energy_wh to bought;
-- The whole arithmetic as JSON: what it was made from and each result, so that it can be made again
-- and compared (service/src/tariff/explain.rs).
alter table sale add column explanation text collate "C";
update sale set
    tariff_version_id = '00000000-0000-8000-8001-' || lpad(price_minor_per_kwh::text, 12, '0'),
    priced_on = to_char(to_timestamp(created_at_ms / 1000) at time zone 'UTC', 'YYYY-MM-DD'),
    commodity = 'energy',
    explanation =
       '{"before":0,"people":1,"ct":1,"pt":1,"line_loss_ppm":0,"copper_loss_ppm":0,'
       || '"iron_loss_wh_per_day":0,"metered":' || bought || ',"billed":' || bought
       || ',"price_minor":' || ((bought * price_minor_per_kwh + 999) / 1000)
       || ',"tax_minor":0,"is_least":false,"cost_before":{"total":0,"shares":[]},"cost_after":{"total":'
       || bought || ',"shares":['
       || case when bought = 0 then '' else '[1,null,' || bought || ',' || bought || ','
                                            || (price_minor_per_kwh * 10000) || ']' end || ']}}';
alter table sale drop constraint sale_price_above_zero;
alter table sale drop constraint sale_energy_not_negative;
alter table sale drop column price_minor_per_kwh;
alter table sale alter column tariff_version_id set not null;
alter table sale alter column priced_on set not null;
alter table sale alter column commodity set not null;
alter table sale alter column explanation set not null;
alter table sale
    add constraint sale_tariff_version_fk foreign key (tariff_version_id)
        references tariff_version (tariff_version_id) on delete restrict on update restrict,
    add constraint sale_commodity_known check (commodity in ('energy', 'water')),
    add constraint sale_bought_not_negative check (bought >= 0),
    add constraint sale_explanation_is_json check (explanation::json is not null);

-- How much a meter bought in this accumulation is asked at every sale.
create index sale_bought on sale (meter_id, priced_on);

-- What was sold to whom for how much never changes, and nothing changes after the end.
create trigger sale_terms_are_fixed before update on sale for each row
    when (old.state in ('confirmed', 'refused', 'cancelled')
        or new.sale_id <> old.sale_id or new.meter_id <> old.meter_id
        or new.customer_id <> old.customer_id
        or new.operator_id is distinct from old.operator_id
        or new.paid_minor <> old.paid_minor or new.currency <> old.currency
        or new.tariff_version_id <> old.tariff_version_id or new.priced_on <> old.priced_on
        or new.commodity <> old.commodity or new.bought <> old.bought
        or new.explanation <> old.explanation
        or new.quantity <> old.quantity or new.amount <> old.amount
        or new.pending_transfer_id <> old.pending_transfer_id
        or new.created_at_ms <> old.created_at_ms)
    execute function refuse('the terms of a sale never change');

create function refuse_used_tariff_version() returns trigger language plpgsql as $$
begin
    if exists (select 1 from meter_tariff where tariff_plan_id = old.tariff_plan_id)
        or exists (select 1 from sale where tariff_version_id = old.tariff_version_id) then
        raise exception 'a version of a tariff that was used is kept';
    end if;
    return old;
end $$;
create trigger tariff_version_is_not_updated before update on tariff_version for each row
    execute function refuse('a version of a tariff never changes: add a new one');
create trigger tariff_version_is_kept before delete on tariff_version for each row
    execute function refuse_used_tariff_version();
create trigger tariff_version_is_not_truncated before truncate on tariff_version for each statement
    execute function refuse('a version of a tariff that was used is kept');
create trigger meter_tariff_is_not_updated before update on meter_tariff for each row
    execute function refuse('the tariffs of a meter are append-only');
create trigger meter_tariff_is_not_deleted before delete on meter_tariff for each row
    execute function refuse('the tariffs of a meter are append-only');
create trigger meter_tariff_is_not_truncated before truncate on meter_tariff for each statement
    execute function refuse('the tariffs of a meter are append-only');
