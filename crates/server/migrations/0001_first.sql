-- The first form of the store. Times are Unix milliseconds. `bytes` is the length of `json`, placed before it so
-- that the retention sum does not read the documents themselves.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The newest word of each kind from each host: `host` and `load`.
CREATE TABLE host_facts (
    host  TEXT NOT NULL,
    kind  TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    json  TEXT NOT NULL,
    PRIMARY KEY (host, kind)
);

CREATE TABLE incidents (
    uid          TEXT NOT NULL UNIQUE,
    host         TEXT NOT NULL,
    state        TEXT NOT NULL,
    severity     INTEGER NOT NULL,
    probability  REAL NOT NULL,
    since_ms     INTEGER NOT NULL,
    opened_ms    INTEGER NOT NULL,
    changed_ms   INTEGER NOT NULL,
    processes    INTEGER NOT NULL,
    hash_rate_hs REAL,
    cpu_seconds  REAL NOT NULL,
    cpus_used    REAL NOT NULL,
    bytes        INTEGER NOT NULL,
    search       TEXT NOT NULL,
    summary      TEXT NOT NULL,
    json         TEXT NOT NULL
);
CREATE INDEX incidents_by_opening ON incidents (opened_ms, uid);
CREATE INDEX incidents_by_state ON incidents (state, opened_ms, uid);

CREATE TABLE detections (
    uid      TEXT NOT NULL UNIQUE,
    host     TEXT NOT NULL,
    rule     TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    incident TEXT,
    bytes    INTEGER NOT NULL,
    json     TEXT NOT NULL
);
CREATE INDEX detections_by_time ON detections (at_ms, uid, bytes, severity);
CREATE INDEX detections_by_rule ON detections (rule, at_ms, uid);

CREATE TABLE outcomes (
    host  TEXT NOT NULL,
    entry INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    cause TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    json  TEXT NOT NULL,
    PRIMARY KEY (host, entry)
);
CREATE INDEX outcomes_by_cause ON outcomes (cause, entry);

-- Load, averaged over slots of `step_ms`: 10 s for a day, 5 min for 30 days.
CREATE TABLE load_samples (
    host        TEXT NOT NULL,
    step_ms     INTEGER NOT NULL,
    slot_ms     INTEGER NOT NULL,
    cpu_percent REAL NOT NULL,
    samples     INTEGER NOT NULL,
    last_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (step_ms, slot_ms, host)
) WITHOUT ROWID;

CREATE TABLE logins (
    token_hash TEXT PRIMARY KEY,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- One row for each cookie; `family` joins the cookies that followed each other in one session.
CREATE TABLE sessions (
    id_hash     TEXT PRIMARY KEY,
    family      TEXT NOT NULL,
    issued_ms   INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    ends_ms     INTEGER NOT NULL,
    is_replaced INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

PRAGMA application_id = 1297307472;
PRAGMA user_version = 1;
