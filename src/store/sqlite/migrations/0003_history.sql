-- What was said in the earlier turns of conversations, each message once a day, as in Postgres:
-- its file says what the columns hold and how to erase a user's texts.
CREATE TABLE message_texts (
    hash TEXT NOT NULL,
    started_at TEXT NOT NULL,
    role TEXT NOT NULL,
    content TEXT,
    tool_calls TEXT,
    PRIMARY KEY (hash, started_at)
) WITHOUT ROWID;

-- The hashes of a call's messages that came in log events before it.
ALTER TABLE pending_content ADD COLUMN history TEXT;
