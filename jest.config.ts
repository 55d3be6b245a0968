import type { Config } from 'jest';
import { filesOf, TIERS } from './tests/tiers.ts';

const common: Config = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2024', parser: { syntax: 'typescript' } } }],
  },
  globalSetup: '<rootDir>/tests/support/jest/globalSetup.ts',
  globalTeardown: '<rootDir>/tests/support/jest/globalTeardown.ts',
  setupFilesAfterEnv: ['<rootDir>/tests/support/jest/nothingPrinted.ts'],
};

const config: Config = {
  projects: TIERS.map((tier) => ({
    ...common,
    displayName: tier,
    testMatch: filesOf(tier).map((file) => `<rootDir>/tests/${file}`),
    ...(tier === 'alone' && { runner: '<rootDir>/tests/support/jest/oneByOne.mjs' }),
  })),
  testSequencer: '<rootDir>/tests/support/jest/longestFirst.mjs',
  // On two cores: while one file waits for a process that it has started, two others go on.
  maxWorkers: 3,
  // Jest keeps a part of each file that it has run: without a bound, 1.5 GB for each worker.
  workerIdleMemoryLimit: '500MB',
  // How long a test may take says nothing about the gateway: it is for those that hang.
  testTimeout: 20_000,
};

export default config;
