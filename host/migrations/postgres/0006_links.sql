-- Transfers of one act that stand or fall together (a link), transfers that are posted at once (book),
-- and transfers that take a posted one back (contra).
--
-- A row names the row of its link that follows it at once (`next_id`). The database keeps the promise:
-- the next row must be that one, and a COMMIT before it is there is refused by a deferred foreign key.
-- A link of reservations is ended by a link of the same length, row for row.
-- The same history as in ../sqlite: a test holds the two to each other.

alter table transfer
    -- Of the text that the hash is taken over. 1: rows from before links, without the two columns below.
    add column form bigint not null default 1,
    -- The posted row that this row takes back, wholly. Unique: at most once.
    add column contra_id text collate "C" constraint transfer_is_taken_back_once unique,
    -- The row of the same link that follows at once.
    add column next_id text collate "C" constraint transfer_follows_one unique,
    drop constraint transfer_kind_known,
    drop constraint transfer_pending_id_by_kind;
alter table transfer
    alter column form drop default,
    add constraint transfer_kind_known
        check (kind in ('pending', 'post', 'void', 'book', 'contra')),
    add constraint transfer_pending_id_by_kind
        check ((kind in ('post', 'void')) = (pending_id is not null)),
    add constraint transfer_contra_id_by_kind check ((kind = 'contra') = (contra_id is not null)),
    add constraint transfer_form_known check (form = 2
        or form = 1 and next_id is null and kind in ('pending', 'post', 'void')),
    add constraint transfer_contra foreign key (contra_id) references transfer (transfer_id),
    add constraint transfer_next foreign key (next_id) references transfer (transfer_id)
        deferrable initially deferred;

create function transfer_takes_back_what_was_posted() returns trigger language plpgsql as $$
begin
    if new.contra_id is not null and not exists (
        select 1 from transfer as posted
        where posted.transfer_id = new.contra_id
          and posted.kind in ('post', 'book')
          and posted.debit_account_id = new.credit_account_id
          and posted.credit_account_id = new.debit_account_id
          and posted.amount_minor = new.amount_minor
          and posted.currency = new.currency)
    then
        raise exception 'transfer: a contra row takes back a whole posted row, accounts reversed';
    end if;
    return new;
end $$;

-- Rows posted at once may follow each other in one link; reservations, posts and voids go alone.
create function transfer_keeps_its_link() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from transfer as earlier
        where earlier.sequence = new.sequence - 1
          and earlier.next_id is not null
          and (earlier.next_id <> new.transfer_id
               or earlier.reference <> new.reference
               or replace(earlier.kind, 'contra', 'book') <> replace(new.kind, 'contra', 'book')))
    then
        raise exception 'transfer: the row before is linked to another row; a link is written whole';
    end if;
    return new;
end $$;

create function transfer_ends_its_link_whole() returns trigger language plpgsql as $$
begin
    if new.pending_id is not null
        and ((select next_id is null from transfer where transfer_id = new.pending_id)
                <> (new.next_id is null)
             or coalesce((select transfer_id from transfer where next_id = new.pending_id), '')
                <> coalesce((select pending_id from transfer
                             where sequence = new.sequence - 1 and next_id = new.transfer_id), ''))
    then
        raise exception 'transfer: the pending rows of one link are posted or voided together';
    end if;
    return new;
end $$;

create trigger transfer_takes_back_what_was_posted before insert on transfer
    for each row execute function transfer_takes_back_what_was_posted();
create trigger transfer_keeps_its_link before insert on transfer
    for each row execute function transfer_keeps_its_link();
create trigger transfer_ends_its_link_whole before insert on transfer
    for each row execute function transfer_ends_its_link_whole();
