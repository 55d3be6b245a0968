import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { openEmbeddedStore } from '../../../lib/store/embedded.ts';

const scratch = mkdtempSync(join(tmpdir(), 'gateway-data-dir-'));
afterAll(() => rmSync(scratch, { recursive: true }));

// Node 26 never comes back from a recursive mkdir below /proc: DATA_DIR=/proc/x kept the gateway busy for ever.
describe('the directory of the embedded store', () => {
  it.each(['/proc/x', '/proc/x/y', '/dev/null/x'])('is refused at once when it is %s', (dataDir) => {
    expect(() => openEmbeddedStore({ dataDir })).toThrow(`Cannot keep tokens.db in ${dataDir}`);
  });

  it('is made with all that is missing above it, for its owner only', async () => {
    const dataDir = join(scratch, 'a/b');
    const stores = openEmbeddedStore({ dataDir });
    await stores.close();
    expect(existsSync(join(dataDir, 'tokens.db'))).toBe(true);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  });
});
