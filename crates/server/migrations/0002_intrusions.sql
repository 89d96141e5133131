-- Incidents that are an intrusion and not, or not only, mining. What was stored before was all mining, and has no steps
-- of another kind: for it the new words of the summary follow from the document.

ALTER TABLE incidents ADD COLUMN is_mining    INTEGER NOT NULL DEFAULT 1;
ALTER TABLE incidents ADD COLUMN is_intrusion INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN last_step_ms INTEGER NOT NULL DEFAULT 0;

UPDATE incidents SET summary = json_set(summary,
    '$.is_mining', json('true'),
    '$.is_intrusion', json('false'),
    '$.steps', json_array_length(json, '$.findings'),
    '$.stages', (
        SELECT json_group_array(tactic) FROM (
            SELECT DISTINCT json_extract(attack.value, '$.tactic') AS tactic
            FROM json_each(incidents.json, '$.findings') AS finding, json_each(finding.value, '$.attacks') AS attack
            ORDER BY instr('TA0043 TA0042 TA0001 TA0002 TA0003 TA0004 TA0005 TA0006 TA0007 TA0008 TA0009 TA0011 TA0010 '
                || 'TA0040', tactic)
        )
    ),
    '$.source', NULL,
    '$.worst_step', NULL,
    '$.last_step_ms', 0);

PRAGMA user_version = 2;
