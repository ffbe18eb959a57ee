-- What of energy or water was left in the purse of a swapped meter: it is carried over as it is, and
-- `remaining_minor` says what was paid for it. Null: a purse of money, or nobody knows.
-- The same history as in ../sqlite: a test holds the two to each other.

alter table swap add column left_quantity text collate "C"
    constraint swap_left_quantity_known check (left_quantity in ('energy', 'volume'));
-- Wh or litres.
alter table swap add column left_amount bigint
    constraint swap_left_is_whole check ((left_amount is null) = (left_quantity is null));

create trigger swap_left_is_fixed before update on swap for each row
    when (new.left_quantity is distinct from old.left_quantity
        or new.left_amount is distinct from old.left_amount)
    execute function refuse('the figures of a swap never change');
