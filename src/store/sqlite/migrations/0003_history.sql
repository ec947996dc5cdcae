-- What was said in the earlier turns of conversations, each message once a day, as in Postgres:
-- its file says what the columns hold and how to erase a user's texts.
CREATE TABLE message_texts (
    hash TEXT NOT NULL,
    started_at TEXT NOT NULL,
    role TEXT NOT NULL,
    content TEXT,
    tool_calls TEXT,
    PRIMARY KEY (hash, started_at)
);
-- Texts are found by their day, to let them go.
CREATE INDEX message_texts_started_at ON message_texts (started_at);

-- The hashes of a call's messages that came in log events before it.
ALTER TABLE pending_content ADD COLUMN history TEXT;
