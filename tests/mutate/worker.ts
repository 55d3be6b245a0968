// One of the processes that run tests on faulty source: a message names the test files, the reply says how they went.
// Its working directory is a copy of the project, in which the fault has been put already.
import { join } from 'node:path';
import { runCLI } from 'jest';

export interface TestRun {
  /** In the order in which they are run, within each tier. */
  readonly files: readonly string[];
}

export interface TestOutcome {
  readonly passed: boolean;
  /** How long each file took. */
  readonly tookMs: Readonly<Record<string, number>>;
}

// Nobody would ask for more.
process.on('disconnect', () => process.exit());
process.on('message', async ({ files }: TestRun) => {
  process.send?.(await run(files));
});

async function run(files: readonly string[]): Promise<TestOutcome> {
  const argv = {
    _: [...files],
    $0: 'mutate',
    runTestsByPath: true,
    runInBand: true,
    bail: 1,
    testSequencer: join(import.meta.dirname, 'asGiven.mjs'),
    silent: true,
    watchman: false,
    reporters: [],
  };
  const { results } = await runCLI(argv as unknown as Parameters<typeof runCLI>[0], [process.cwd()]);
  const tookMs = results.testResults.map(({ testFilePath, perfStats }) => [
    testFilePath.slice(process.cwd().length + 1),
    perfStats.runtime,
  ]);
  return { passed: results.success, tookMs: Object.fromEntries(tookMs) };
}
