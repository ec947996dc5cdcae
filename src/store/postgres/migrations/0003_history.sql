-- What was said in the earlier turns of conversations. A call's row holds its newest prompt, its
-- system prompt and its answer; of the other messages that it was sent, metadata names the hashes,
-- in order: {"spanledger.history": {"before": [...], "after": [...], "left_out": 3}}, before and
-- after the newest prompt. A message is stored once for each day on which calls with it started,
-- however many calls that are, so that dropping a day never takes a text from a later call.
--
-- hash: the first 16 bytes, in hex, of the SHA-256 of role, NUL, content, NUL, tool calls (UTF-8;
-- what is NULL counts as empty). started_at: midnight UTC of the day.
--
-- To erase what a user said: collect the hashes that the metadata of their calls names, erase the
-- calls, and delete those hashes that no other call's metadata names: equal messages of two users
-- are one text.
CREATE TABLE message_texts (
    hash text NOT NULL,
    started_at timestamptz NOT NULL,
    role text NOT NULL,
    content text,
    tool_calls text,
    PRIMARY KEY (hash, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE message_texts_default PARTITION OF message_texts DEFAULT;

-- The hashes of a call's messages that came in log events before it.
ALTER TABLE pending_content ADD COLUMN history jsonb;
