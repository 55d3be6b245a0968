import { parseDuration } from './durations.ts';
import { type Kind, kind, MAX_COUNT } from './kinds.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** A number of requests in a time. */
export interface Rate {
  /** 1 or more. */
  readonly requests: number;
  /** Whole seconds, in milliseconds. */
  readonly windowMs: number;
}

/** A rate such as `100/1m`. */
export const rate: Kind<Rate> = kind(
  `requests in whole seconds such as 100/1m or 5000/1h (from 1/1s to ${MAX_COUNT}/1d)`,
  (given) => {
    const [count = '', window = '', ...rest] = given.split('/');
    const requests = /^\d{1,7}$/.test(count) ? Number(count) : 0;
    const windowMs = parseDuration(window) ?? 0;
    const isWhole = windowMs > 0 && windowMs % 1000 === 0 && windowMs <= DAY_MS;
    return rest.length === 0 && requests > 0 && requests <= MAX_COUNT && isWhole
      ? { requests, windowMs }
      : undefined;
  },
);
