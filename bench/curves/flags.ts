import { COMMON_OPTIONS, type CommonFlags, commonFlags, numberFlag, readArgs } from '../command/flags.ts';

const ALL_POINTS = '1000000000';

export interface CurveFlags extends CommonFlags {
  /** The last point. */
  readonly upTo: number;
  /** The directory where pictures are drawn. */
  readonly pictures: string | undefined;
}

/** Throws `FlagError`. `curves` are the names that `--only` accepts. */
export function parseCurveFlags(args: readonly string[], curves: readonly string[]): CurveFlags {
  const values = readArgs(args, {
    ...COMMON_OPTIONS,
    'up-to': { type: 'string', default: ALL_POINTS },
    pictures: { type: 'string' },
  });
  return {
    ...commonFlags(values, curves),
    upTo: numberFlag('up-to', values['up-to'], 1, Number(ALL_POINTS)),
    pictures: values.pictures,
  };
}
