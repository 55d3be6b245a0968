import TestRunner from 'jest-runner';

/** Runs test files one after the other while no other file runs: for those that measure time under load. */
export default class OneByOne extends TestRunner {
  isSerial = true;
}
