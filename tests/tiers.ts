import { globSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/**
 * How soon a test file is run: `unit` by `npm test`, `whole` by `npm run test:all` as well, `long` and `alone` by
 * `npm run test:long`. Files of `alone` measure time under load, so nothing else runs beside them.
 */
export type Tier = 'unit' | 'whole' | 'long' | 'alone';

export const TIERS: readonly Tier[] = ['unit', 'whole', 'long', 'alone'];

/** Folders and files below `tests` with their tier. The longest entry that holds a file decides. */
export const PLACES: Readonly<Record<string, Tier>> = {
  composition: 'unit',
  config: 'unit',
  gateway: 'unit',
  lib: 'unit',
  project: 'unit',

  // They start processes, each of which costs as much as a hundred other tests.
  'config/configCheck.test.ts': 'whole',
  'gateway/health/healthcheck.test.ts': 'whole',
  'gateway/http/internalPeers.test.ts': 'whole',
  'gateway/process/compiledCode.test.ts': 'whole',
  'gateway/process/start.test.ts': 'whole',
  'lib/store/storeSharded.test.ts': 'whole',
  'project/printed.test.ts': 'whole',
  'project/tiers.test.ts': 'whole',

  attacks: 'whole',
  bench: 'whole',
  clients: 'whole',
  deploy: 'whole',
  docs: 'whole',
  fuzz: 'whole',
  integration: 'whole',
  monitoring: 'whole',
  nothingLost: 'whole',
  original: 'whole',
  playground: 'whole',
  regressions: 'whole',

  // Each takes longer than a quarter of a minute on a quiet machine.
  'clients/crowd.test.ts': 'long',
  'clients/large.test.ts': 'long',
  'clients/load.test.ts': 'long',
  'docs/walkthrough.test.ts': 'long',
  'integration/cache/cacheFairness.test.ts': 'long',
  'integration/process/workers.test.ts': 'long',
  memory: 'long',
  'nothingLost/rollingRestart.test.ts': 'long',
  'nothingLost/soak.test.ts': 'long',

  faults: 'alone',
};

/** The entry of `PLACES` that decides about a file, given by its path below `tests`; undefined when none does. */
export function placeOf(file: string): string | undefined {
  for (let path = file; ; ) {
    if (Object.hasOwn(PLACES, path)) return path;
    const end = path.lastIndexOf('/');
    if (end === -1) return undefined;
    path = path.slice(0, end);
  }
}

/** Every test file there is, by its path below `tests`, in order. */
export function testFiles(): string[] {
  return globSync('**/*.test.ts', { cwd: join(ROOT, 'tests') }).sort();
}

/** The test files of a tier, by their paths below `tests`. */
export function filesOf(tier: Tier): string[] {
  return testFiles().filter((file) => PLACES[placeOf(file) ?? ''] === tier);
}
