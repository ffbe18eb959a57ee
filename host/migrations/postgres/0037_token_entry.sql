-- Tokens that are entered over a line (远程写码): some keypad meters have one as well, under another
-- protocol and so as a meter of their own.

-- Of a keypad meter: the meter on a line that is the same device.
alter table meter add column entered_through text collate "C"
    constraint meter_entered_through_fk references meter (meter_id)
        on delete restrict on update restrict;
-- A device has one keypad.
create unique index meter_entered_through_once on meter (entered_through)
    where entered_through is not null;

create table token_entry (
    token_order_id text collate "C" not null,
    -- waiting: it is tried when it is due; asked: the meter may have heard of it; entered: it has taken
    -- all of the order's tokens; refused: it said no; withdrawn: nobody enters it over the line.
    state text collate "C" not null,
    -- How many of the order's tokens the meter has taken, from the first one on.
    taken bigint not null default 0,
    tries bigint not null default 0,
    -- Not tried again before; of what is asked: when nobody works on it any more.
    due_at_ms bigint not null,
    -- Why it is not entered yet, or was refused; of one that is entered, what was noticed.
    detail text not null default '',
    changed_at_ms bigint not null,
    constraint token_entry_pk primary key (token_order_id),
    constraint token_entry_order_fk foreign key (token_order_id)
        references token_order (token_order_id) on delete restrict on update restrict,
    constraint token_entry_state_known
        check (state in ('waiting', 'asked', 'entered', 'refused', 'withdrawn')),
    constraint token_entry_taken_is_count check (taken >= 0 and tries >= 0)
);
create index token_entry_due on token_entry (due_at_ms) where state in ('waiting', 'asked');

create trigger token_entry_is_final before update on token_entry for each row
    when (old.state = 'entered' or new.token_order_id <> old.token_order_id
        or new.taken < old.taken)
    execute function refuse('what a meter has taken stays taken');
create trigger token_entry_is_not_deleted before delete on token_entry for each row
    execute function refuse('the entry of a token is never deleted');
create trigger token_entry_is_not_truncated before truncate on token_entry for each statement
    execute function refuse('the entry of a token is never replaced');
