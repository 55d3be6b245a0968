import {
  type Command,
  type Flag,
  FlagError,
  type FlagValues,
  number,
  onOff,
  text,
} from '../../config/commandLine/flags.ts';
import { attacks } from './attacks.ts';

/** Names of the attacks to run. */
const only: Flag<readonly string[]> = {
  shown: 'WORDS',
  help: 'only attacks whose name or finding has these words',
  read(name, given) {
    const words = given.at(-1) ?? '';
    const chosen = Object.entries(attacks)
      .filter(([attack, { finding }]) => attack.includes(words) || finding === words)
      .map(([attack]) => attack);
    if (chosen.length > 0) return chosen;
    throw new FlagError(`--${name} is ${JSON.stringify(words)}: no attack has that in its name; see --list`);
  },
};

const flags = {
  seconds: number(10, { min: 1, max: 3_600 }, 'how long each run takes'),
  pairs: number(3, { min: 1, max: 100, whole: true }, 'how often attack and harmless requests take turns'),
  only,
  json: text('FILE', 'write every figure to FILE'),
  list: onOff('name the attacks'),
};

export type Flags = FlagValues<typeof flags>;

/** `npm run attacks`. */
export const ATTACKS_COMMAND: Command<typeof flags> = {
  about: `Lets one token attack a gateway while another user works, and compares what that user gets with what an equal rate
of harmless requests makes of it.`,
  usage: ['npm run attacks --', 'node tests/attacks/main.ts'],
  flags,
  notes: `Exit code 1 when a request of the other user fails, when its p99 is more than 1.5 times that beside harmless requests
(the median of all pairs, and at least 3 ms more), when its stored responses are lost, or when the gateway needs more
memory than its documented bounds and 64 MiB; 2 when a flag is wrong.`,
};
