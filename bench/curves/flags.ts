import { COMMON_OPTIONS, type CommonFlags, commonFlags, numberFlag, readArgs } from '../flags.ts';

/** The JIT has compiled everything after 20,000 to 60,000 requests. */
const WARM_UP_REQUESTS = '60000';
const ALL_POINTS = '1000000000';

export interface CurveFlags extends CommonFlags {
  /** Requests that each point gets at the least before it is measured. */
  readonly warmUp: number;
  /** The last point. */
  readonly upTo: number;
  /** The directory where pictures are drawn. */
  readonly pictures: string | undefined;
}

/** Throws `FlagError`. `curves` are the names that `--only` accepts. */
export function parseCurveFlags(args: readonly string[], curves: readonly string[]): CurveFlags {
  const values = readArgs(args, {
    ...COMMON_OPTIONS,
    'warm-up': { type: 'string', default: WARM_UP_REQUESTS },
    'up-to': { type: 'string', default: ALL_POINTS },
    pictures: { type: 'string' },
  });
  return {
    ...commonFlags(values, curves),
    warmUp: numberFlag('warm-up', values['warm-up'], 0, 10_000_000),
    upTo: numberFlag('up-to', values['up-to'], 1, Number(ALL_POINTS)),
    pictures: values.pictures,
  };
}
