-- Charges of a customer's own, such as property fees and rent; bills for a period and their payments.

-- What may be charged beside energy and water (收费项目). Never changed: another price is another item.
create table charge_item (
    charge_item_id text not null,
    name text not null,
    -- 'fixed': the amount is for each due day. 'area': for each m² of the customer's area.
    basis text not null,
    amount_minor integer not null,
    currency text not null,
    every text not null,
    -- 'purse': taken from the purse, and owed where it is empty. 'bill': a bill of its own.
    paid_from text not null,
    -- 1: the supply is cut while it is overdue.
    cuts_supply integer not null,
    operator_id text,
    created_at_ms integer not null,
    constraint charge_item_pk primary key (charge_item_id),
    constraint charge_item_name_unique unique (name),
    constraint charge_item_basis_known check (basis in ('fixed', 'area')),
    constraint charge_item_amount_above_zero check (amount_minor > 0),
    constraint charge_item_every_known check (every in ('once', 'monthly', 'quarterly', 'yearly')),
    constraint charge_item_paid_from_known check (paid_from in ('purse', 'bill')),
    constraint charge_item_cuts_supply_is_flag check (cuts_supply in (0, 1))
) strict;

create trigger charge_item_is_not_updated before update on charge_item
    begin select raise(abort, 'a charge item never changes: add another'); end;
create trigger charge_item_is_not_deleted before delete on charge_item
    begin select raise(abort, 'a charge item is never deleted'); end;
create trigger charge_item_is_not_replaced before insert on charge_item
    when exists (select 1 from charge_item where charge_item_id = new.charge_item_id
                    or name = new.name)
    begin select raise(abort, 'a charge item is never replaced'); end;

-- What is charged by area is charged by this.
create table customer_area (
    customer_id text not null,
    -- Hundredths of a m².
    hundredths integer not null,
    constraint customer_area_pk primary key (customer_id),
    constraint customer_area_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint customer_area_above_zero check (hundredths > 0)
) strict;

create table charge_assignment (
    charge_assignment_id text not null,
    charge_item_id text not null,
    customer_id text not null,
    -- The first due day, and the first day on which nothing is due any more.
    from_day text not null,
    to_day text,
    operator_id text,
    created_at_ms integer not null,
    constraint charge_assignment_pk primary key (charge_assignment_id),
    constraint charge_assignment_item_fk foreign key (charge_item_id)
        references charge_item (charge_item_id) on delete restrict on update restrict,
    constraint charge_assignment_customer_fk foreign key (customer_id)
        references customer (customer_id) on delete restrict on update restrict,
    constraint charge_assignment_from_is_day check (length(from_day) = 10),
    constraint charge_assignment_to_is_day check (length(to_day) = 10)
) strict;

create unique index charge_assignment_one_open on charge_assignment (charge_item_id, customer_id)
    where to_day is null;
create index charge_assignment_customer on charge_assignment (customer_id, created_at_ms);

create trigger charge_assignment_is_not_deleted before delete on charge_assignment
    begin select raise(abort, 'an assignment is ended, never deleted'); end;

-- A bill (账单), or a contra bill that takes one back. Numbers are 1, 2, 3 ... without a gap.
create table bill (
    bill_id text not null,
    number integer not null,
    kind text not null,
    -- The bill that it takes back.
    contra_of text,
    billing_period_id text,
    customer_id text not null,
    -- Below zero for a contra bill.
    total_minor integer not null,
    currency text not null,
    -- The last day on which it can be paid in time.
    due_day text not null,
    reason text not null,
    operator_id text,
    created_at_ms integer not null,
    constraint bill_pk primary key (bill_id),
    constraint bill_number_unique unique (number),
    constraint bill_contra_of_unique unique (contra_of),
    -- One bill of a customer for a period, whoever asks and how often.
    constraint bill_period_unique unique (billing_period_id, customer_id),
    constraint bill_kind_known check (kind in ('bill', 'contra')),
    constraint bill_contra_has_bill check ((kind = 'contra') = (contra_of is not null)),
    constraint bill_sign_by_kind check ((kind = 'contra') = (total_minor < 0)),
    constraint bill_contra_of_fk foreign key (contra_of) references bill (bill_id)
        on delete restrict on update restrict,
    constraint bill_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint bill_due_is_day check (length(due_day) = 10)
) strict;

create index bill_customer on bill (customer_id, number);

create trigger bill_is_not_updated before update on bill
    begin select raise(abort, 'a bill never changes: take it back by a contra bill'); end;
create trigger bill_is_not_deleted before delete on bill
    begin select raise(abort, 'a bill is never deleted'); end;
create trigger bill_is_not_replaced before insert on bill
    when exists (select 1 from bill where bill_id = new.bill_id or number = new.number)
    begin select raise(abort, 'a bill is never replaced'); end;

create table billing_period (
    billing_period_id text not null,
    -- The first day, and the first day after it.
    from_day text not null,
    to_day text not null,
    operator_id text,
    created_at_ms integer not null,
    constraint billing_period_pk primary key (billing_period_id),
    constraint billing_period_from_unique unique (from_day),
    constraint billing_period_to_unique unique (to_day),
    constraint billing_period_is_forward check (from_day < to_day)
) strict;

create trigger billing_period_is_not_updated before update on billing_period
    begin select raise(abort, 'a billing period never changes'); end;
create trigger billing_period_is_not_deleted before delete on billing_period
    begin select raise(abort, 'a billing period is never deleted'); end;
create trigger billing_period_is_not_replaced before insert on billing_period
    when exists (select 1 from billing_period
                 where billing_period_id = new.billing_period_id)
    begin select raise(abort, 'a billing period is never replaced'); end;

-- What an item came to on one due day.
create table claim (
    claim_id text not null,
    charge_assignment_id text not null,
    customer_id text not null,
    due_day text not null,
    title text not null,
    -- How the amount came about, in one line.
    arithmetic text not null,
    amount_minor integer not null,
    -- What of it is still owed; of a claim with a bill the bill says that.
    open_minor integer not null,
    currency text not null,
    bill_id text,
    cuts_supply integer not null,
    created_at_ms integer not null,
    constraint claim_pk primary key (claim_id),
    -- A due day is booked once.
    constraint claim_due_unique unique (charge_assignment_id, due_day),
    constraint claim_assignment_fk foreign key (charge_assignment_id)
        references charge_assignment (charge_assignment_id)
        on delete restrict on update restrict,
    constraint claim_customer_fk foreign key (customer_id) references customer (customer_id)
        on delete restrict on update restrict,
    constraint claim_bill_fk foreign key (bill_id) references bill (bill_id)
        on delete restrict on update restrict,
    constraint claim_amount_above_zero check (amount_minor > 0),
    constraint claim_open_within check (open_minor between 0 and amount_minor),
    constraint claim_cuts_supply_is_flag check (cuts_supply in (0, 1))
) strict;

create index claim_customer on claim (customer_id, due_day, claim_id);

create trigger claim_terms_are_fixed before update on claim
    when new.claim_id <> old.claim_id or new.charge_assignment_id <> old.charge_assignment_id
        or new.customer_id <> old.customer_id or new.due_day <> old.due_day
        or new.amount_minor <> old.amount_minor or new.open_minor > old.open_minor
    begin select raise(abort, 'what was claimed never changes'); end;
create trigger claim_is_not_deleted before delete on claim
    begin select raise(abort, 'a claim is never deleted'); end;

create table bill_line (
    bill_id text not null,
    position integer not null,
    title text not null,
    -- How the amount came about, in one line; the whole arithmetic is the charge's.
    arithmetic text not null,
    amount_minor integer not null,
    charge_id text,
    claim_id text,
    constraint bill_line_pk primary key (bill_id, position),
    constraint bill_line_bill_fk foreign key (bill_id) references bill (bill_id)
        on delete restrict on update restrict,
    constraint bill_line_charge_fk foreign key (charge_id) references charge (charge_id)
        on delete restrict on update restrict,
    constraint bill_line_claim_fk foreign key (claim_id) references claim (claim_id)
        on delete restrict on update restrict
) strict;

create trigger bill_line_is_not_updated before update on bill_line
    begin select raise(abort, 'a bill never changes: take it back by a contra bill'); end;
create trigger bill_line_is_not_deleted before delete on bill_line
    begin select raise(abort, 'a bill is never deleted'); end;
create trigger bill_line_is_not_replaced before insert on bill_line
    when exists (select 1 from bill_line
                 where bill_id = new.bill_id and position = new.position)
    begin select raise(abort, 'a bill is never replaced'); end;

create table bill_payment (
    -- Made by the client, so that asking twice is one payment.
    bill_payment_id text not null,
    bill_id text not null,
    channel text not null,
    amount_minor integer not null,
    currency text not null,
    operator_id text,
    created_at_ms integer not null,
    constraint bill_payment_pk primary key (bill_payment_id),
    constraint bill_payment_bill_fk foreign key (bill_id) references bill (bill_id)
        on delete restrict on update restrict,
    constraint bill_payment_amount_above_zero check (amount_minor > 0)
) strict;

create index bill_payment_bill on bill_payment (bill_id, created_at_ms);

create trigger bill_payment_is_not_updated before update on bill_payment
    begin select raise(abort, 'payments are append-only'); end;
create trigger bill_payment_is_not_deleted before delete on bill_payment
    begin select raise(abort, 'payments are append-only'); end;
create trigger bill_payment_is_not_replaced before insert on bill_payment
    when exists (select 1 from bill_payment where bill_payment_id = new.bill_payment_id)
    begin select raise(abort, 'payments are append-only'); end;
