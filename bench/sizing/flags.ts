import { parseBytes } from '../../config/kinds/bytes.ts';
import { FlagError, readArgs } from '../command/flags.ts';
import { SUBJECTS } from './points.ts';

export const HELP = `Measures the memory and CPU of a gateway with so many connections and so much in its cache.

Usage: npm run bench:sizing -- [flags]      or      node bench/sizing.ts [flags]

  --only idle,cache   measure just these: ${SUBJECTS.join(', ')}
  --limit 1GiB        memory limit of the gateway, where a control group can be made (as root)
  --help              this text

\`limited\` is the most that the group was charged with, the kernel's part for sockets and files included, \`own\` the process's own
memory at the end (RssAnon). CPU is user and system time for each request. It needs wrk and nginx, and redis-server for Redis.`;

const DEFAULT_LIMIT = '1GiB';

export interface SizingFlags {
  readonly help: boolean;
  readonly only: readonly string[];
  readonly limitBytes: number;
}

/** Throws `FlagError`. */
export function parseSizingFlags(args: readonly string[]): SizingFlags {
  const { help, only, limit } = readArgs(args, {
    help: { type: 'boolean', short: 'h', default: false },
    only: { type: 'string', default: SUBJECTS.join(',') },
    limit: { type: 'string', default: DEFAULT_LIMIT },
  });
  const names = only.split(',');
  const unknown = names.find((name) => !SUBJECTS.some((subject) => subject === name));
  if (unknown !== undefined) {
    throw new FlagError(
      `--only knows no subject ${JSON.stringify(unknown)}; the subjects are ${SUBJECTS.join(', ')}`,
    );
  }
  const limitBytes = parseBytes(limit);
  if (limitBytes === undefined) {
    throw new FlagError(`--limit must be a size such as 512MiB, got ${JSON.stringify(limit)}`);
  }
  return { help, only: names, limitBytes };
}
