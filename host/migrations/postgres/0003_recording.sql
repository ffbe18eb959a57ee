-- What was said on the line in calls that did not end well, as transcripts (docs/transcripts.md).
-- The last of every meter are in memory; only these must survive a restart, because somebody will
-- ask why a sale failed. Not money and not proof of any: the service deletes the oldest.

create table recording (
    -- The call's nonce in hex, which no other call has.
    recording_id text collate "C" not null,
    meter_id text collate "C" not null,
    at_ms bigint not null,
    ending text collate "C" not null,
    transcript text collate "C" not null,
    constraint recording_pk primary key (recording_id),
    constraint recording_meter_fk foreign key (meter_id) references meter (meter_id)
        on delete restrict on update restrict,
    constraint recording_ending_known
        check (ending in ('answered', 'refused', 'not-sent', 'unknown', 'failed'))
);

create index recording_of_meter on recording (meter_id, at_ms);
