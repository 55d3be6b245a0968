import { basename } from 'node:path';
import Sequencer from '@jest/test-sequencer';
import { LONGEST } from '../../tiers.ts';

/** Every so many files, one of the longest: they start processes, and side by side they would wait for each other. */
const APART = 3;

/** Begins early with the files that take longest: one that begins last keeps a single core busy while the others wait. */
export default class LongestFirst extends Sequencer {
  async sort(tests) {
    const sorted = await super.sort(tests);
    const isLong = ({ path }) => LONGEST.includes(basename(path));
    const order = sorted.filter((test) => !isLong(test));
    for (const [n, test] of sorted.filter(isLong).entries()) order.splice(n * APART, 0, test);
    return order;
  }
}
