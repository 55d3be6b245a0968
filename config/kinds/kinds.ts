import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { parseBytes } from './bytes.ts';
import { MAX_DURATION_MS, parseDuration } from './durations.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** More threads than any machine has cores for. */
const MAX_WORKERS = 256;

/** The largest number of anything in a setting. */
export const MAX_COUNT = 1_000_000;

/** A kind of value: how a text is parsed, and the description of what is accepted. */
export interface Kind<T> {
  /** Follows "expected" in error messages; also used in the table of the documentation. */
  readonly accepted: string;
  readonly schema: z.ZodType<T, string>;
}

/**
 * @param parse returns undefined for a text that is not accepted
 * @param explain returns a better ending of "expected ..." for common mistakes
 */
export function kind<T>(
  accepted: string,
  parse: (text: string) => T | undefined,
  explain: (text: string) => string | undefined = () => undefined,
): Kind<T> {
  const schema = z.string({ error: accepted }).transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: explain(text) ?? accepted });
    return z.NEVER;
  });
  return { accepted, schema };
}

/** Any text; `accepted` says what it means. */
export const text = (accepted: string): Kind<string> => kind(accepted, (given) => given);

export const flag: Kind<boolean> = kind('true or false', (given) => {
  if (/^(true|1)$/i.test(given)) return true;
  return /^(false|0)$/i.test(given) ? false : undefined;
});

/** NODE_ENV, in lower case. `prod` is refused: it would silently turn off the checks for production. */
export const environmentName: Kind<string> = kind(
  'production (written in full), development, test or another name',
  (given) => {
    const name = given.toLowerCase();
    return name.startsWith('prod') && name !== 'production' ? undefined : name;
  },
);

/** One of a few words, in any case. */
export function choice<const T extends string>(...words: readonly T[]): Kind<T> {
  return kind(words.join(' or '), (given) => find(words, given));
}

/** A comma-separated list of the same words, at least one. */
export function choices<const T extends string>(...words: readonly T[]): Kind<readonly T[]> {
  return kind(`a comma-separated list of ${words.join(', ')}`, (given) => {
    const found = splitList(given).map((item) => find(words, item));
    return found.every((word) => word !== undefined) ? found : undefined;
  });
}

/** A comma-separated list of any texts, at least one. */
export function list(accepted: string): Kind<readonly string[]> {
  return kind(accepted, (given) => {
    const items = splitList(given);
    return items.includes('') ? undefined : items;
  });
}

/** A comma-separated list of whole paths, as in requests: two segments or more, without percent-encoding. */
export const paths: Kind<readonly string[]> = kind(
  'a comma-separated list of paths such as /userManagement/auth/login, without a slash at the end',
  (given) => {
    const items = splitList(given);
    const plain = items.every((item) => /^(\/[a-z0-9_~-][a-z0-9._~-]*){2,}$/i.test(item));
    return plain ? items : undefined;
  },
);

/** A list of paths that include everything below them: one segment or more. `none` is an empty list. */
export const pathPrefixes: Kind<readonly string[]> = kind(
  'none or a comma-separated list of paths such as /communication/hubs, without a slash at the end',
  (given) => {
    if (given.toLowerCase() === 'none') return [];
    const items = splitList(given);
    return items.every((item) => /^(\/[a-z0-9_~-][a-z0-9._~-]*)+$/i.test(item)) ? items : undefined;
  },
);

/** A whole number in a range, both ends included. */
export function wholeNumber(min: number, max: number): Kind<number> {
  return kind(`a whole number from ${min} to ${max}`, (given) => digits(given, min, max));
}

/** A number of threads, or `auto`: as many as there are cores for this process. */
export const workers: Kind<number> = kind(`auto or a whole number from 1 to ${MAX_WORKERS}`, (given) =>
  given.toLowerCase() === 'auto'
    ? Math.min(availableParallelism(), MAX_WORKERS)
    : digits(given, 1, MAX_WORKERS),
);

/** A share, from 0 to 1. */
export const share: Kind<number> = kind('a number from 0 to 1, such as 0.1', (given) => {
  const value = /^(?:\d+\.?\d*|\.\d+)$/.test(given) ? Number(given) : Number.NaN;
  return value <= 1 ? value : undefined;
});

/** A TCP port. `min` 0 lets the system choose a free one. */
export function port(min: 0 | 1): Kind<number> {
  const accepted = `a port from ${min} to 65535${min === 0 ? ' (0: any free one)' : ''}`;
  return kind(
    accepted,
    (given) => digits(given, min, 65535),
    (given) =>
      /^(tcp|udp):/.test(given)
        ? `${accepted}; Docker and Kubernetes set this variable for a container of that name, so set it yourself or leave it empty`
        : undefined,
  );
}

/** A duration above zero, in milliseconds. */
export const duration = durationFrom(1);

/** A duration for which no timer is set, in milliseconds. It may exceed 24 days. */
export const longDuration = durationFrom(1, 3650);

/** The same, or zero. */
export const longDurationOrZero = durationFrom(0, 3650);

/** A duration in milliseconds, where the setting's description says what zero means. */
export const durationOrZero = durationFrom(0);

/** How long a response is kept that does not say so itself, in milliseconds; `explicit` is 0: it is not kept at all. */
export const durationOrExplicit: Kind<number> = kind(`${durationOrZero.accepted} or explicit`, (given) =>
  given.toLowerCase() === 'explicit' ? 0 : durationOrZero.schema.safeParse(given).data,
);

/** The same, or `off`: no response is kept. */
export const cacheTtl: Kind<number | 'off'> = kind(`${durationOrZero.accepted}, explicit or off`, (given) =>
  given.toLowerCase() === 'off' ? 'off' : durationOrExplicit.schema.safeParse(given).data,
);

/** A size in bytes, of at least `min`. */
export function bytes(min: 0 | 1): Kind<number> {
  return kind(`a size in bytes such as 65536, 64KiB, 1MiB or 1GiB, from ${min}`, (given) => {
    const size = parseBytes(given);
    return size !== undefined && size >= min ? size : undefined;
  });
}

/** A size in bytes, from `min` to `max`, which are written as in settings. */
export function bytesBetween(min: string, max: string): Kind<number> {
  const [minBytes = 0, maxBytes = 0] = [parseBytes(min), parseBytes(max)];
  return kind(`a size in bytes such as 65536 or 64KiB, from ${min} to ${max}`, (given) => {
    const size = parseBytes(given);
    return size !== undefined && size >= minBytes && size <= maxBytes ? size : undefined;
  });
}

/** A path with a `{id}` or `{host}` in it. */
export const template: Kind<string> = kind('a path starting with / and holding {id} or {host}', (given) =>
  given.startsWith('/') && /\{(id|host)\}/.test(given) ? given : undefined,
);

/** A token (RFC 9110 section 5.6.2). */
export const token: Kind<string> = kind('a name of letters, digits, . _ and -', (given) =>
  /^[\w.-]+$/.test(given) ? given : undefined,
);

/** The items of a comma-separated list, trimmed. */
export function splitList(given: string): string[] {
  return given.split(',').map((item) => item.trim());
}

function durationFrom(minMs: 0 | 1, maxDays = MAX_DURATION_MS / DAY_MS): Kind<number> {
  const accepted = `a duration such as 500ms, 3s or 1m30s (from ${minMs === 0 ? '0' : '1ms'} to ${maxDays}d)`;
  return kind(accepted, (given) => {
    const ms = parseDuration(given);
    return ms !== undefined && ms >= minMs && ms <= maxDays * DAY_MS ? ms : undefined;
  });
}

function find<T extends string>(words: readonly T[], given: string): T | undefined {
  return words.find((word) => word.toLowerCase() === given.toLowerCase());
}

function digits(given: string, min: number, max: number): number | undefined {
  const value = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}
