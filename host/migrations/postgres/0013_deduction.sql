-- What of a payment does not buy credit, and what is given on top: linked transfers of the sale, and part
-- of its arithmetic.
-- The same history as in ../sqlite: a test holds the two to each other.

alter table sale add column arrears_minor bigint not null default 0
    constraint sale_arrears_not_negative check (arrears_minor >= 0);
alter table sale add column fee_minor bigint not null default 0
    constraint sale_fee_not_negative check (fee_minor >= 0);
-- The month (YYYY-MM) that the fee is for; null: none was due.
alter table sale add column fee_month text collate "C";
alter table sale add column gift_minor bigint not null default 0
    constraint sale_gift_not_negative check (gift_minor >= 0);

create trigger sale_deductions_are_fixed before update on sale for each row
    when (new.arrears_minor <> old.arrears_minor or new.fee_minor <> old.fee_minor
        or new.fee_month is distinct from old.fee_month or new.gift_minor <> old.gift_minor)
    execute function refuse('the terms of a sale never change');
