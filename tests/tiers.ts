import { globSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * How soon a test file is run:
 * - `unit`, by `npm test`: what shows within a minute that a change broke something. Most files load a part alone; a few
 *   (`composition`, `gateway/gateway.test.ts`) send requests through both ports of a whole gateway.
 * - `whole`, by `npm run test:all` after that: the same and other promises on whole gateways, real processes and stores.
 * - `long`, by `npm run test:long`: loads, restarts and outages that last, thousands of cases, whole walk-throughs.
 * - `alone`, by the same: what measures time under load, so nothing else runs beside it.
 */
export type Tier = 'unit' | 'whole' | 'long' | 'alone';

export const TIERS: readonly Tier[] = ['unit', 'whole', 'long', 'alone'];

/** The tier of each folder right below `tests` that has test files. */
export const FOLDERS: Readonly<Record<string, Tier>> = {
  composition: 'unit',
  config: 'unit',
  gateway: 'unit',
  lib: 'unit',
  mutate: 'unit',
  project: 'unit',

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
  rates: 'whole',
  regressions: 'whole',

  memory: 'long',

  faults: 'alone',
};

/** Files that take longer than others of their folder, by name, wherever they stand. */
export const FILES: Readonly<Record<string, Tier>> = {
  // They start processes, each of which costs as much as a hundred other tests.
  'configCheck.test.ts': 'whole',
  'explain.test.ts': 'whole',
  'explainAgrees.test.ts': 'whole',
  'healthcheck.test.ts': 'whole',
  'internalPeers.test.ts': 'whole',
  'printed.test.ts': 'whole',
  'ratesApart.test.ts': 'whole',
  'ratesExplained.test.ts': 'whole',
  'start.test.ts': 'whole',
  'tiers.test.ts': 'whole',
  // They try thousands of cases.
  'linearTime.test.ts': 'whole',
  'manyChains.test.ts': 'whole',
  'storeBounded.test.ts': 'whole',
  'storeRedisFaults.test.ts': 'whole',
  'storeRedisRefusals.test.ts': 'whole',

  // Each takes longer than a quarter of a minute, or tries thousands of cases.
  'benchCurves.test.ts': 'long',
  'cacheFairness.test.ts': 'long',
  'circuitbreakerModel.test.ts': 'long',
  'compiledCode.test.ts': 'long',
  'crowd.test.ts': 'long',
  'explainAgreesLong.test.ts': 'long',
  'help.test.ts': 'long',
  'hotTokens.test.ts': 'long',
  'image.test.ts': 'long',
  'large.test.ts': 'long',
  'load.test.ts': 'long',
  'monitoring.test.ts': 'long',
  'playgroundCtl.test.ts': 'long',
  'readiness.test.ts': 'long',
  'replicasProperties.test.ts': 'long',
  'rollingRestart.test.ts': 'long',
  'stickySessions.test.ts': 'long',
  'rollingUpdate.test.ts': 'long',
  'rulesTogether.test.ts': 'long',
  'soak.test.ts': 'long',
  'storeAdmission.test.ts': 'long',
  'storeSharded.test.ts': 'long',
  'trafficThreads.test.ts': 'long',
  'walkthrough.test.ts': 'long',
  'workers.test.ts': 'long',

  // It measures time.
  'mirrorLatency.test.ts': 'alone',
};

/**
 * Files of `whole` that take longest, though they may be short: they wait for processes. They begin first. Jest itself
 * knows how long a file took from the run before alone, and CI has none.
 */
export const LONGEST: readonly string[] = [
  'cache.test.ts',
  'cacheGateways.test.ts',
  'durability.test.ts',
  'fairShareWorkers.test.ts',
  'healthcheck.test.ts',
  'mainSignals.test.ts',
  'oneCallersFailures.test.ts',
  'processEnd.test.ts',
  'readinessPerPort.test.ts',
  'slowClients.test.ts',
  'startup.test.ts',
  'upstreamFaults.test.ts',
];

/** The tier of a file, given by its path below `tests`; undefined when neither it nor its folder is named above. */
export function tierOf(file: string): Tier | undefined {
  return FILES[basename(file)] ?? FOLDERS[file.split('/')[0] ?? ''];
}

/** Every test file there is, by its path below `tests`, in order. */
export function testFiles(): string[] {
  return globSync('**/*.test.ts', { cwd: import.meta.dirname }).sort();
}

/** The test files of a tier, by their paths below `tests`. */
export function filesOf(tier: Tier): string[] {
  return testFiles().filter((file) => tierOf(file) === tier);
}
