import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GroupCommit } from '../../../../lib/store/sqlite/groupCommit.ts';

describe('writes that are committed together', () => {
  let directory: string;
  let database: DatabaseSync;
  let other: DatabaseSync;
  let commits: number;
  let writes: GroupCommit;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'gateway-group-'));
    [database, other] = [open(), open()];
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE kept (name TEXT PRIMARY KEY)');
    commits = 0;
    writes = new GroupCommit(database, () => {
      commits += 1;
    });
  });
  afterEach(() => {
    database.close();
    other.close();
    rmSync(directory, { recursive: true });
  });

  const open = () => new DatabaseSync(join(directory, 'test.db'), { timeout: 0 });
  const insert = (name: string) => () => database.prepare('INSERT INTO kept VALUES (?)').run(name).changes;
  /** As another process sees it. */
  const kept = () =>
    other
      .prepare('SELECT name FROM kept ORDER BY name')
      .all()
      .map(({ name }) => name);

  test('in one turn are one transaction, and safe when they are acknowledged', async () => {
    const first = writes.run(insert('a')).then((changes) => ({ changes, kept: kept() }));
    const second = writes.run(insert('b'));
    expect(kept()).toEqual([]);
    expect(await first).toEqual({ changes: 1, kept: ['a', 'b'] });
    expect(await second).toBe(1);
    await writes.run(insert('c'));
    expect({ kept: kept(), commits }).toEqual({ kept: ['a', 'b', 'c'], commits: 2 });
  });

  test('are none of them done when one fails, and the next are', async () => {
    await writes.run(insert('a'));
    const settled = await Promise.allSettled([writes.run(insert('b')), writes.run(insert('a'))]);
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await writes.run(insert('c'));
    expect({ kept: kept(), commits }).toEqual({ kept: ['a', 'c'], commits: 2 });
  });

  test('are refused while another process writes, and done after it', async () => {
    other.exec('BEGIN IMMEDIATE');
    await expect(writes.run(insert('a'))).rejects.toThrow('locked');
    other.exec('COMMIT');
    await writes.run(insert('a'));
    expect(kept()).toEqual(['a']);
  });

  test('are done at once when nobody may wait for the turn to end', () => {
    void writes.run(insert('a'));
    writes.flush();
    expect(kept()).toEqual(['a']);
    writes.flush();
    expect(commits).toBe(1);
  });
});
