-- Tables of host/service: who buys, where, what was sold, what was read and who did it.
-- Accounts and transfers are in 0001; nothing here is money, only what money was moved for.
--
-- Throughout:
-- * Ids are UUIDs as text: readable in every tool and the same in PostgreSQL. Times are Unix
--   milliseconds UTC. Money is whole minor units beside its currency; energy is whole Wh.
-- * No foreign key cascades: deleting a customer must never delete what he bought.
-- * Constraints are named, and the names of unique ones are told apart in service/src/error.rs.
-- * Text is compared by its bytes (collation "C"), as in SQLite.
-- The same history as in ../sqlite: a test holds the two to each other.

create table customer (
    customer_id text collate "C" not null,
    -- As devices keep it (客户编号), therefore digits only; leading zeros count.
    number text collate "C" not null,
    name text collate "C" not null,
    phone text collate "C" not null,
    premises text collate "C" not null,
    created_at_ms bigint not null,
    constraint customer_pk primary key (customer_id),
    constraint customer_number_unique unique (number),
    constraint customer_number_is_digits
        check (length(number) between 1 and 12 and number !~ '[^0-9]')
);

create table meter (
    meter_id text collate "C" not null,
    serial_number text collate "C" not null,
    -- The driver is found by this code at every call, so that a driver can be exchanged.
    vendor text collate "C" not null,
    -- A name from the configuration file, which is not a table: no foreign key.
    line text collate "C" not null,
    -- Only the driver may parse it.
    address text collate "C" not null,
    -- The driver's own parameters, [["name", {"type": value}], ...]: their set differs from vendor
    -- to vendor, and nothing but the driver looks into them.
    parameters text collate "C" not null,
    price_minor_per_kwh bigint not null,
    currency text collate "C" not null,
    customer_id text collate "C",
    account text collate "C" not null default 'none',
    supply text collate "C" not null default 'unknown',
    supply_at_ms bigint,
    -- The device's count after the last purchase that we proved. Another value in the device means
    -- that somebody else sold into it: worth a line in the audit trail, no reason to refuse.
    purchase_count bigint,
    created_at_ms bigint not null,
    constraint meter_pk primary key (meter_id),
    constraint meter_serial_number_unique unique (serial_number),
    -- Two meters of one address on one line would answer at once.
    constraint meter_address_unique unique (line, address),
    constraint meter_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint meter_parameters_are_json check (parameters::json is not null),
    constraint meter_price_above_zero check (price_minor_per_kwh > 0),
    constraint meter_account_known check (account in ('none', 'opening', 'open')),
    constraint meter_account_has_customer check ((account = 'none') = (customer_id is null)),
    constraint meter_supply_known
        check (supply in ('unknown', 'disconnected', 'connected', 'ready-for-reconnection')),
    constraint meter_purchase_count_is_u32 check (purchase_count between 0 and 4294967295)
);

create index meter_customer on meter (customer_id);

create table sale (
    -- Made by the client, so that asking twice is one sale.
    sale_id text collate "C" not null,
    meter_id text collate "C" not null,
    customer_id text collate "C" not null,
    -- Null: the system itself.
    operator_id text collate "C",
    paid_minor bigint not null,
    currency text collate "C" not null,
    price_minor_per_kwh bigint not null,
    energy_wh bigint not null,
    -- What the device is asked to take, fixed when sold: an exchanged driver must not change it.
    quantity text collate "C" not null,
    amount bigint not null,
    pending_transfer_id text collate "C" not null,
    state text collate "C" not null,
    -- The count that the device was asked to give it. Kept when the sale returns to reserved.
    purchase_count bigint,
    balance_quantity text collate "C",
    balance_amount bigint,
    refusal_code bigint,
    refusal_detail text collate "C",
    refusal_device_code text collate "C",
    created_at_ms bigint not null,
    settled_at_ms bigint,
    constraint sale_pk primary key (sale_id),
    constraint sale_pending_transfer_unique unique (pending_transfer_id),
    constraint sale_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint sale_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint sale_paid_above_zero check (paid_minor > 0),
    constraint sale_price_above_zero check (price_minor_per_kwh > 0),
    constraint sale_energy_not_negative check (energy_wh >= 0),
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
);

-- At most one unsettled sale per meter: the purchase count of a second one would depend on how the
-- first ends, and its proof could not be told from the other's.
create unique index sale_one_unsettled_per_meter on sale (meter_id)
    where state in ('reserved', 'dispatched', 'unresolved');
create index sale_meter on sale (meter_id, created_at_ms, sale_id);

-- What was sold to whom for how much never changes, and nothing changes after the end.
create trigger sale_terms_are_fixed before update on sale for each row
    when (old.state in ('confirmed', 'refused', 'cancelled')
        or new.sale_id <> old.sale_id or new.meter_id <> old.meter_id
        or new.customer_id <> old.customer_id
        or new.operator_id is distinct from old.operator_id
        or new.paid_minor <> old.paid_minor or new.currency <> old.currency
        or new.price_minor_per_kwh <> old.price_minor_per_kwh or new.energy_wh <> old.energy_wh
        or new.quantity <> old.quantity or new.amount <> old.amount
        or new.pending_transfer_id <> old.pending_transfer_id
        or new.created_at_ms <> old.created_at_ms)
    execute function refuse('the terms of a sale never change');
create trigger sale_is_not_deleted before delete on sale for each row
    execute function refuse('a sale is never deleted');
create trigger sale_is_not_truncated before truncate on sale for each statement
    execute function refuse('a sale is never deleted');

-- Every state that a sale has been in and every failed try, in order: what the counter sees.
create table sale_event (
    sale_event_id bigint not null generated by default as identity,
    sale_id text collate "C" not null,
    at_ms bigint not null,
    state text collate "C" not null,
    detail text collate "C" not null,
    constraint sale_event_pk primary key (sale_event_id),
    constraint sale_event_sale_fk foreign key (sale_id) references sale (sale_id)
        on delete restrict on update restrict,
    constraint sale_event_state_known check (state in
        ('quoted', 'reserved', 'dispatched', 'confirmed', 'refused', 'unresolved', 'cancelled'))
);

create index sale_event_sale on sale_event (sale_id, sale_event_id);

create trigger sale_event_is_not_updated before update on sale_event for each row
    execute function refuse('the history of a sale is append-only');
create trigger sale_event_is_not_deleted before delete on sale_event for each row
    execute function refuse('the history of a sale is append-only');
create trigger sale_event_is_not_truncated before truncate on sale_event for each statement
    execute function refuse('the history of a sale is append-only');

create table reading (
    reading_id text collate "C" not null,
    meter_id text collate "C" not null,
    at_ms bigint not null,
    supply text collate "C" not null,
    -- The vendor's own values, in the same form as meter.parameters.
    extras text collate "C" not null,
    constraint reading_pk primary key (reading_id),
    constraint reading_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint reading_supply_known
        check (supply in ('unknown', 'disconnected', 'connected', 'ready-for-reconnection')),
    constraint reading_extras_are_json check (extras::json is not null)
);

create index reading_meter on reading (meter_id, at_ms, reading_id);

-- Numbers are mantissa x 10^scale in columns of their own, so that SQL can compare and add them
-- exactly; everything else that a device may say is {"type": value} in `other`.
create table measurement (
    reading_id text collate "C" not null,
    position bigint not null,
    register text collate "C" not null,
    mantissa bigint,
    scale bigint,
    other text collate "C",
    unit bigint not null,
    quality text collate "C" not null,
    constraint measurement_pk primary key (reading_id, position),
    constraint measurement_reading_fk foreign key (reading_id) references reading (reading_id)
        on delete restrict on update restrict,
    constraint measurement_has_one_value check (
        (mantissa is null) = (scale is null) and (mantissa is null) <> (other is null)),
    constraint measurement_quality_known
        check (quality in ('measured', 'not-measured', 'invalid', 'estimated'))
);

create table operator (
    operator_id text collate "C" not null,
    name text collate "C" not null,
    -- A PHC string: algorithm, cost and salt stand in it, so the cost can be raised later.
    password_hash text collate "C" not null,
    created_at_ms bigint not null,
    constraint operator_pk primary key (operator_id),
    constraint operator_name_unique unique (name)
);

-- The secret of the first-run link. At most one; gone with its use.
create table setup_secret (
    only_row bigint not null,
    -- SHA-256 of 32 random bytes: a copy of the database file does not open the door.
    secret_hash text collate "C" not null,
    created_at_ms bigint not null,
    constraint setup_secret_pk primary key (only_row),
    constraint setup_secret_is_alone check (only_row = 1)
);

create table session (
    -- SHA-256 of 32 random bytes. They cannot be guessed, so a slow hash would protect nothing.
    token_hash text collate "C" not null,
    operator_id text collate "C" not null,
    created_at_ms bigint not null,
    expires_at_ms bigint not null,
    constraint session_pk primary key (token_hash),
    constraint session_operator_fk foreign key (operator_id) references operator (operator_id)
        on delete restrict on update restrict
);

create index session_expires_at on session (expires_at_ms);

-- Who did what, and why. No foreign keys: the trail must be writable about things that do not exist,
-- such as a login under a name that nobody has.
create table audit (
    audit_id bigint not null generated by default as identity,
    at_ms bigint not null,
    -- Null: the system itself.
    operator_id text collate "C",
    act text collate "C" not null,
    object text collate "C" not null,
    detail text collate "C" not null,
    constraint audit_pk primary key (audit_id)
);

create trigger audit_is_not_updated before update on audit for each row
    execute function refuse('the audit trail is append-only');
create trigger audit_is_not_deleted before delete on audit for each row
    execute function refuse('the audit trail is append-only');
create trigger audit_is_not_truncated before truncate on audit for each statement
    execute function refuse('the audit trail is append-only');
