-- What an image says of itself, and how its snapshot names it. Lists of texts are JSON.
ALTER TABLE snapshots ADD COLUMN reference TEXT NOT NULL DEFAULT '';
ALTER TABLE snapshots ADD COLUMN entrypoint TEXT NOT NULL DEFAULT '[]';
ALTER TABLE snapshots ADD COLUMN user TEXT;
UPDATE snapshots SET reference = image;

ALTER TABLE sandboxes ADD COLUMN entrypoint TEXT NOT NULL DEFAULT '[]';
