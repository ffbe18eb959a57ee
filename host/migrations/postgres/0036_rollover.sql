-- Campaigns that move meters to a later base date (TID翻转): one key change for each meter, all of one
-- campaign under its id. A campaign is nothing but its orders.
alter table token_order add column rollover_id text collate "C";
create index token_order_of_rollover on token_order (rollover_id, token_order_id)
    where rollover_id is not null;

create trigger token_order_rollover_is_fixed before update on token_order for each row
    when (new.rollover_id is distinct from old.rollover_id)
    execute function refuse('the campaign of a token never changes');
create trigger token_order_rollover_changes_keys before insert on token_order for each row
    when (new.rollover_id is not null and new.kind <> 'key-change')
    execute function refuse('a roll-over is made of key changes');
