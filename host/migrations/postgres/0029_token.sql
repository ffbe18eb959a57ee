-- The same history as in ../sqlite: a test holds the two to each other.
--
-- Tokens (充值码) for meters without a line: what each shall say, by which number the meter knows it, and
-- its digits. And the billing mode of such meters.

alter table meter drop constraint meter_mode_known;
alter table meter add column mode_next text collate "C" not null default 'money-in-meter'
    constraint meter_mode_known check (mode_next in ('money-in-meter', 'energy-in-meter',
        'volume-in-meter', 'platform-purse', 'post-paid', 'token'));
update meter set mode_next = mode;
alter table meter drop column mode;
alter table meter rename column mode_next to mode;

create table token_order (
    -- Of a credit token the sale's id; of others made by the client.
    token_order_id text collate "C" not null,
    meter_id text collate "C" not null,
    sale_id text collate "C",
    kind text collate "C" not null,
    -- What the meter adds: only of credit.
    quantity text collate "C",
    amount bigint,
    -- Which register, how many W, which rate; 0 where the kind takes none.
    value bigint not null,
    -- The driver's parameters that a key change brings, as those of the meter are written.
    change text collate "C" not null,
    reason text collate "C" not null,
    -- Null: the system itself.
    operator_id text collate "C",
    -- waiting: a second person has to agree; approved: nothing is promised yet; ordered: its number is
    -- taken, and all that makes its digits stands here; issued: the digits stand here.
    state text collate "C" not null,
    -- How often the meter's numbers had begun anew before.
    number_round bigint,
    -- 1: once this token is typed in, the meter's numbers begin anew.
    begins_anew bigint not null default 0,
    -- By which the meter knows a token that it has taken; null where tokens of the kind have none.
    identifier bigint,
    -- What the driver is told at every issue, as it was when the number was taken.
    address text collate "C",
    parameters text collate "C",
    -- The site's civil time, as the driver's values are written.
    issued_for text collate "C",
    -- Twenty each, with a blank between two; worth money.
    digits text collate "C",
    created_at_ms bigint not null,
    ended_at_ms bigint,
    constraint token_order_pk primary key (token_order_id),
    constraint token_order_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint token_order_sale_fk foreign key (sale_id) references sale (sale_id)
        on delete restrict on update restrict,
    constraint token_order_kind_known check (kind in ('credit', 'clear-credit', 'max-power',
        'tariff-rate', 'clear-tamper', 'max-phase-unbalance', 'key-change')),
    constraint token_order_credit_is_sold check ((kind = 'credit') = (sale_id is not null)
        and (kind = 'credit') = (quantity is not null) and (kind = 'credit') = (amount is not null)),
    constraint token_order_begins_anew_is_flag check (begins_anew in (0, 1)),
    constraint token_order_quantity_known check (quantity in ('money', 'energy', 'volume')),
    constraint token_order_state_known
        check (state in ('waiting', 'approved', 'ordered', 'issued', 'cancelled')),
    constraint token_order_basis_is_whole check ((number_round is null) = (address is null)
        and (number_round is null) = (parameters is null)
        and (number_round is null) = (issued_for is null)),
    constraint token_order_number_has_basis check (identifier is null or number_round is not null),
    constraint token_order_ordered_has_basis
        check (state not in ('ordered', 'issued') or number_round is not null),
    constraint token_order_issued_has_digits check ((state = 'issued') = (digits is not null)),
    constraint token_order_ended_has_time
        check ((state in ('issued', 'cancelled')) = (ended_at_ms is not null))
);

-- A meter takes each number once: two tokens of one number would be one.
create unique index token_order_number on token_order (meter_id, number_round, identifier)
    where identifier is not null;
create unique index token_order_one_per_sale on token_order (sale_id) where sale_id is not null;
create index token_order_open on token_order (meter_id)
    where state in ('waiting', 'approved', 'ordered');
create index token_order_of_meter on token_order (meter_id, created_at_ms, token_order_id);

create trigger token_order_is_fixed before update on token_order for each row
    when (old.state in ('issued', 'cancelled')
        or new.token_order_id <> old.token_order_id or new.meter_id <> old.meter_id
        or new.sale_id is distinct from old.sale_id or new.kind <> old.kind
        or new.quantity is distinct from old.quantity or new.amount is distinct from old.amount
        or new.value <> old.value or new.change <> old.change
        or new.operator_id is distinct from old.operator_id or new.created_at_ms <> old.created_at_ms
        or (old.number_round is not null and (new.number_round is distinct from old.number_round
            or new.begins_anew <> old.begins_anew
            or new.identifier is distinct from old.identifier or new.address is distinct from old.address
            or new.parameters is distinct from old.parameters
            or new.issued_for is distinct from old.issued_for)))
    execute function refuse('what makes the digits of a token never changes');
create trigger token_order_is_not_deleted before delete on token_order for each row
    execute function refuse('a token order is never deleted');
create trigger token_order_is_not_truncated before truncate on token_order for each statement
    execute function refuse('a token order is never deleted');
