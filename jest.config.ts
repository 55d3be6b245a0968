import type { Config } from 'jest';

/** They measure how long things take under load, which on two cores they can only do alone. */
const MEASURING = '<rootDir>/tests/faults/';

const common: Config = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/tests/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2024', parser: { syntax: 'typescript' } } }],
  },
  globalSetup: '<rootDir>/tests/support/jest/globalSetup.ts',
  globalTeardown: '<rootDir>/tests/support/jest/globalTeardown.ts',
  setupFilesAfterEnv: ['<rootDir>/tests/support/jest/nothingPrinted.ts'],
};

const config: Config = {
  projects: [
    { ...common, testPathIgnorePatterns: ['/node_modules/', MEASURING] },
    {
      ...common,
      testMatch: [`${MEASURING}**/*.test.ts`],
      runner: '<rootDir>/tests/support/jest/oneByOne.mjs',
    },
  ],
  // On two cores: while one file waits for a process that it has started, two others go on.
  maxWorkers: 3,
  // How long a test may take says nothing about the gateway: it is for those that hang.
  testTimeout: 20_000,
};

export default config;
