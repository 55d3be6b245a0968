import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { openEmbeddedStore } from '../../../lib/store/embedded.ts';
import { StoreUnavailableError } from '../../../lib/store/store.ts';
import { ManualClock } from '../../support/manualClock.ts';

const MINUTE_MS = 60_000;
// Real processes on a machine that may be busy.
jest.setTimeout(30_000);

describe('embedded store', () => {
  let parent: string;
  let dataDir: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'gateway-embedded-'));
    dataDir = join(parent, 'not', 'there', 'yet');
  });
  afterEach(() => rmSync(parent, { recursive: true }));

  test('creates its directory, for this user only', async () => {
    const stores = openEmbeddedStore({ dataDir });
    await stores.close();
    expect(existsSync(join(dataDir, 'tokens.db'))).toBe(true);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  });

  test('tokens outlive the process that closed it, responses do not', async () => {
    const first = openEmbeddedStore({ dataDir });
    await first.tokens.set('key', 'kept', MINUTE_MS);
    await first.responses.set('key', 'lost', MINUTE_MS);
    await first.close();
    const second = openEmbeddedStore({ dataDir });
    expect(String(await second.tokens.get('key'))).toBe('kept');
    expect(await second.responses.get('key')).toBeUndefined();
    await second.close();
  });

  test('a revocation outlives kill -9 the moment it was acknowledged', async () => {
    const module = new URL('../../../lib/store/embedded.ts', import.meta.url).href;
    const script = `
      import { openEmbeddedStore } from ${JSON.stringify(module)};
      const { tokens } = openEmbeddedStore({ dataDir: ${JSON.stringify(dataDir)} });
      await tokens.set('blacklist:1', 'revoked', ${MINUTE_MS});
      process.stdout.write('acknowledged');
      setInterval(() => {}, 1_000);`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const stores = openEmbeddedStore({ dataDir });
    expect(String(await stores.tokens.get('blacklist:1'))).toBe('revoked');
    await stores.close();
  });

  test('what is read before a write is committed is not remembered past it', async () => {
    const { tokens, close } = openEmbeddedStore({ dataDir });
    await tokens.set('key', 'old', MINUTE_MS);
    const writing = tokens.set('key', 'new', MINUTE_MS);
    expect(String(await tokens.get('key'))).toBe('old');
    await writing;
    expect(tokens.peek('key')).toBeUndefined();
    expect(String(await tokens.get('key'))).toBe('new');
    await close();
  });

  test('what is being written when the store is closed is kept', async () => {
    const first = openEmbeddedStore({ dataDir });
    const writing = first.tokens.set('key', 'kept', MINUTE_MS);
    await first.close();
    await writing;
    const second = openEmbeddedStore({ dataDir });
    expect(String(await second.tokens.get('key'))).toBe('kept');
    await second.close();
  });

  test('a write that fails is refused as every failure of the store is', async () => {
    const stores = openEmbeddedStore({ dataDir });
    const other = new DatabaseSync(join(dataDir, 'tokens.db'));
    other.exec('BEGIN IMMEDIATE');
    await expect(stores.tokens.set('key', 'value', MINUTE_MS)).rejects.toBeInstanceOf(StoreUnavailableError);
    other.close();
    await stores.tokens.set('key', 'value', MINUTE_MS);
    expect(String(await stores.tokens.get('key'))).toBe('value');
    await stores.close();
  });

  test('two processes may share the file: each sees what the other wrote', async () => {
    const [here, there] = [openEmbeddedStore({ dataDir }), openEmbeddedStore({ dataDir })];
    await here.tokens.set('key', 'value', MINUTE_MS);
    expect(String(await there.tokens.get('key'))).toBe('value');
    await there.tokens.delete('key');
    expect(await here.tokens.get('key')).toBeUndefined();
    await Promise.all([here.close(), there.close()]);
  });

  test('a time to live goes on while the process is down', async () => {
    const clock = new ManualClock();
    const first = openEmbeddedStore({ dataDir, clock });
    await first.tokens.set('key', 'value', MINUTE_MS);
    await first.close();
    clock.advance(MINUTE_MS);
    const second = openEmbeddedStore({ dataDir, clock });
    expect(await second.tokens.get('key')).toBeUndefined();
    await second.close();
  });

  test('expired rows are deleted in the background, a batch at a time, and no others', async () => {
    const clock = new ManualClock();
    const { tokens, close } = openEmbeddedStore({ dataDir, clock });
    for (let n = 0; n < 1_500; n += 1) await tokens.set(`short:${n}`, 'value', 1_000);
    await tokens.set('long', 'value', 10 * MINUTE_MS);
    clock.advance(MINUTE_MS);
    const reader = new DatabaseSync(join(dataDir, 'tokens.db'), { readOnly: true });
    expect(reader.prepare('SELECT key FROM entries').all()).toMatchObject([{ key: 'long' }]);
    reader.close();
    expect(clock.pending).toBe(1);
    await close();
    expect(clock.pending).toBe(0);
  });

  test('responses stay within their bound, the least recently used go first', async () => {
    const { responses, close } = openEmbeddedStore({ dataDir, maxResponseBytes: 100_000 });
    const body = Buffer.alloc(20_000);
    for (const key of ['a', 'b', 'c', 'd']) await responses.set(key, body, MINUTE_MS);
    await responses.get('a');
    await responses.set('e', body, MINUTE_MS);
    await responses.set('too large', Buffer.alloc(200_000), MINUTE_MS);
    const kept = await Promise.all(['a', 'b', 'c', 'd', 'e', 'too large'].map((key) => responses.get(key)));
    expect(kept.map((value) => value !== undefined)).toEqual([true, false, true, true, true, false]);
    await close();
  });

  test('a small value cut from a large buffer does not keep the large one', async () => {
    const { responses, close } = openEmbeddedStore({ dataDir });
    const chunk = Buffer.alloc(65_536, 'x');
    await responses.set('key', chunk.subarray(0, 10), MINUTE_MS);
    expect((await responses.get('key'))?.buffer.byteLength).toBe(10);
    await close();
  });

  test('messages published to tokens reach subscribers of responses, as with one Redis', async () => {
    const { tokens, responses, close } = openEmbeddedStore({ dataDir });
    const heard: string[] = [];
    await responses.subscribe('channel', (message) => heard.push(message));
    await tokens.publish('channel', 'message');
    expect(heard).toEqual(['message']);
    await close();
  });

  test('a directory that cannot be used is named, with what to do', () => {
    const file = join(parent, 'file');
    writeFileSync(file, '');
    const open = () => openEmbeddedStore({ dataDir: join(file, 'data') });
    expect(open).toThrow(StoreUnavailableError);
    expect(open).toThrow(`Cannot keep tokens.db in ${join(file, 'data')} (ENOTDIR`);
    expect(open).toThrow('Make the directory writable or set DATA_DIR to another one');
  });

  test('a file that is no database is named too', () => {
    writeFileSync(
      join(parent, 'tokens.db'),
      'this is not a database, and long enough to be recognised as such',
    );
    expect(() => openEmbeddedStore({ dataDir: parent })).toThrow(
      /tokens\.db in .* \(file is not a database\)/,
    );
  });

  test('a subscriber that throws is reported', async () => {
    const errors: string[] = [];
    const { tokens, close } = openEmbeddedStore({ dataDir, onError: (error) => errors.push(error.message) });
    await tokens.subscribe('channel', () => {
      throw new Error('broken');
    });
    await tokens.publish('channel', 'message');
    expect(errors).toEqual(['broken']);
    await close();
  });
});
