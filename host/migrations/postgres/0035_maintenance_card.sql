-- Maintenance cards (维护卡) that were asked for: which, why and by whom, and what became of it.

create table maintenance_card (
    maintenance_card_id text collate "C" not null,
    vendor text collate "C" not null,
    purpose text collate "C" not null,
    -- The number of the device that it is for; null: any.
    device text collate "C",
    -- What it carries there, as json.
    parameters text not null,
    reason text not null,
    -- Who asked; null: the system itself.
    operator_id text collate "C",
    created_at_ms bigint not null,
    -- waiting: a second person has to agree; approved: waits for a blank card; begun: a card may have
    -- been written. The rest is how it ended.
    state text collate "C" not null,
    -- In which the card lay that was written last, and who had it written.
    reader text,
    made_by text collate "C",
    -- What the last try said; empty where it was made.
    detail text not null default '',
    ended_at_ms bigint,
    constraint maintenance_card_pk primary key (maintenance_card_id),
    constraint maintenance_card_purpose_known check (purpose in ('setting', 'check', 'clear', 'reset',
        'price', 'area', 'test', 'key-change')),
    constraint maintenance_card_state_known check (state in ('waiting', 'approved', 'begun', 'made',
        'not-made', 'unknown', 'withdrawn')),
    constraint maintenance_card_begun_has_reader
        check (state not in ('begun', 'made', 'unknown') or reader is not null),
    constraint maintenance_card_ended_has_time
        check ((state in ('waiting', 'approved', 'begun')) = (ended_at_ms is null))
);

create index maintenance_card_by_time on maintenance_card (created_at_ms, maintenance_card_id);
create index maintenance_card_open on maintenance_card (state) where ended_at_ms is null;

create trigger maintenance_card_end_is_final before update on maintenance_card for each row
    when (old.ended_at_ms is not null or new.maintenance_card_id <> old.maintenance_card_id
        or new.vendor <> old.vendor or new.purpose <> old.purpose
        or new.device is distinct from old.device
        or new.parameters <> old.parameters or new.reason <> old.reason
        or new.operator_id is distinct from old.operator_id
        or new.created_at_ms <> old.created_at_ms)
    execute function refuse('a maintenance card that ended never changes, nor what was asked');
create trigger maintenance_card_is_not_deleted before delete on maintenance_card for each row
    execute function refuse('a maintenance card is never deleted');
create trigger maintenance_card_is_not_truncated before truncate on maintenance_card
    for each statement execute function refuse('a maintenance card is never replaced');
