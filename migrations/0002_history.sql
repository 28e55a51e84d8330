-- History: projections of the event log as far back as its readings reach, primary data beyond.
-- One packed row per battery and stretch of time, keyed (boot, stretch, battery) in one integer, so that rows are
-- appended in order of time: a key that begins with the battery would cost five times as much flash.

CREATE TABLE battery (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE history_minute (
    key  INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE history_quarter (
    key  INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE history_day (
    key  INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

-- counted_to: events below this number are in the rows above. readings_from: raw readings below it were deleted.
-- history_minute, history_quarter, history_day: rows below this key were deleted.
CREATE TABLE history_mark (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
);

-- Rejected frames are raw material, too: a noisy link must not fill the disk for ever.
DROP TRIGGER only_readings_are_deleted;
CREATE TRIGGER only_readings_are_deleted BEFORE DELETE ON event
WHEN OLD.kind <> 1 AND OLD.kind <> (SELECT ifnull(max(id), -1) FROM kind WHERE name = 'FrameRejected')
BEGIN
    SELECT RAISE(ABORT, 'only raw readings may be deleted');
END;
