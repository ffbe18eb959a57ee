-- How what a meter counts is paid for. Meters that are there hold money, unless they were sold
-- something else; only drivers with a purse of money had accounts so far.

alter table meter add column mode text not null default 'money-in-meter'
    constraint meter_mode_known check (mode in ('money-in-meter', 'energy-in-meter',
        'volume-in-meter', 'platform-purse', 'post-paid'));

-- 1: its supply is never cut by the program, whatever is owed (保电).
alter table meter add column keeps_power integer not null default 0
    constraint meter_keeps_power_is_flag check (keeps_power in (0, 1));

update meter set mode = 'energy-in-meter' where exists (
    select 1 from sale where sale.meter_id = meter.meter_id and quantity = 'energy');
update meter set mode = 'volume-in-meter' where exists (
    select 1 from sale where sale.meter_id = meter.meter_id and quantity = 'volume');
