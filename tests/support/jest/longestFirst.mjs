import { basename } from 'node:path';
import Sequencer from '@jest/test-sequencer';
import { LONGEST } from '../../tiers.ts';

/** Begins with the files that take longest: one that begins last keeps a single core busy while the others wait. */
export default class LongestFirst extends Sequencer {
  async sort(tests) {
    const sorted = await super.sort(tests);
    const isLong = ({ path }) => LONGEST.includes(basename(path));
    return [...sorted.filter(isLong), ...sorted.filter((test) => !isLong(test))];
  }
}
