import { type Command, type Flag, FlagError, names } from '../../config/commandLine/flags.ts';
import { parseBytes } from '../../config/kinds/bytes.ts';
import { SUBJECTS } from './points.ts';

const DEFAULT_LIMIT = '1GiB';

const limit: Flag<number> = {
  shown: DEFAULT_LIMIT,
  help: 'memory limit of the gateway, where a control group can be made (as root)',
  read(name, given) {
    const value = given.at(-1) ?? DEFAULT_LIMIT;
    const bytes = parseBytes(value);
    if (bytes !== undefined) return bytes;
    throw new FlagError(`--${name} must be a size such as 512MiB, got ${JSON.stringify(value)}`);
  },
};

const flags = {
  only: names('idle,cache', SUBJECTS, 'subject', `measure just these: ${SUBJECTS.join(', ')}`),
  limit,
};

/** `npm run bench:sizing`. */
export const SIZING_COMMAND: Command<typeof flags> = {
  about: 'Measures the memory and CPU of a gateway with so many connections and so much in its cache.',
  usage: ['npm run bench:sizing --', 'node bench/sizing.ts'],
  flags,
  notes: `\`limited\` is the most that the group was charged with, the kernel's part for sockets and files included, \`own\` the
process's own memory at the end (RssAnon). CPU is user and system time for each request. It needs wrk and nginx, and
redis-server for Redis.`,
};
