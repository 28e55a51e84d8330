-- The event log. Rows of "event" are appended in order and never changed; the log has no
-- secondary index, because an index page written per commit costs more flash than the events.

CREATE TABLE boot (
    number  INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL
);

-- Wall time as it was believed: uptime + wall_offset_us, from event from_number on.
-- A new row whenever the clock was set. Histories map (boot, uptime) through this table.
CREATE TABLE clock (
    from_number    INTEGER PRIMARY KEY,
    boot           INTEGER NOT NULL,
    uptime_from_us INTEGER NOT NULL,
    wall_offset_us INTEGER NOT NULL
);

-- Names are written once; events refer to them by number.
CREATE TABLE kind (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
INSERT INTO kind (id, name) VALUES (1, 'ReadingTaken');

CREATE TABLE source (
    id       INTEGER PRIMARY KEY,
    battery  TEXT NOT NULL,
    protocol TEXT NOT NULL,
    UNIQUE (battery, protocol)
);

-- payload: a reading is the frame itself (BLOB) with its source; everything else is JSON (TEXT).
-- wall_drift_us: what the wall clock had slewed away from its row in "clock".
CREATE TABLE event (
    number        INTEGER PRIMARY KEY,
    boot          INTEGER NOT NULL,
    uptime_us     INTEGER NOT NULL,
    wall_drift_us INTEGER NOT NULL,
    kind          INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    source        INTEGER,
    payload       NOT NULL
);

CREATE TRIGGER event_is_immutable BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'events are immutable');
END;

-- "INSERT OR REPLACE" would pass both triggers by.
CREATE TRIGGER event_is_not_replaced BEFORE INSERT ON event WHEN EXISTS (SELECT 1 FROM event WHERE number = NEW.number)
BEGIN
    SELECT RAISE(ABORT, 'events are immutable');
END;

CREATE TRIGGER only_readings_are_deleted BEFORE DELETE ON event WHEN OLD.kind <> 1
BEGIN
    SELECT RAISE(ABORT, 'only raw readings may be deleted');
END;

-- Where sessions begin, so that an export finds the start in force without reading the log.
CREATE TABLE session_start (
    number INTEGER PRIMARY KEY
);

-- What must survive a restart, as of event "number".
CREATE TABLE snapshot (
    name    TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    state   TEXT NOT NULL
);
