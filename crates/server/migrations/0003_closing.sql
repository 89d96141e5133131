-- When a person closed an incident; what is newer opens it again.

ALTER TABLE incidents ADD COLUMN closed_ms INTEGER;

PRAGMA user_version = 3;
