-- Campaigns that move meters to a later base date (TID翻转): one key change for each meter, all of one
-- campaign under its id. A campaign is nothing but its orders.
alter table token_order add column rollover_id text;
create index token_order_of_rollover on token_order (rollover_id, token_order_id)
    where rollover_id is not null;

create trigger token_order_rollover_is_fixed before update on token_order
    when new.rollover_id is not old.rollover_id
    begin select raise(abort, 'the campaign of a token never changes'); end;
create trigger token_order_rollover_changes_keys before insert on token_order
    when new.rollover_id is not null and new.kind <> 'key-change'
    begin select raise(abort, 'a roll-over is made of key changes'); end;
