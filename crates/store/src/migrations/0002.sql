ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;

-- A key that could do everything still can.
UPDATE api_keys SET permissions = permissions || ' manage:organizations'
WHERE permissions = 'write:sandboxes delete:sandboxes write:snapshots delete:snapshots'
                 || ' read:volumes write:volumes delete:volumes manage:keys';

-- With those by activity and by creation, one for every order in which sandboxes are listed.
CREATE INDEX sandboxes_by_name ON sandboxes (organization, name, id);
CREATE INDEX sandboxes_by_cpu ON sandboxes (organization, cpu_count, id);
CREATE INDEX sandboxes_by_memory ON sandboxes (organization, memory_gib, id);
CREATE INDEX sandboxes_by_disk ON sandboxes (organization, disk_gib, id);
