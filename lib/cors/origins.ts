const HYPHEN = 0x2d;
const DOT = 0x2e;
const UNDERSCORE = 0x5f;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const LETTER_A = 0x61;
const LETTER_Z = 0x7a;

/** Stands for every origin. */
export const ANY_ORIGIN = '*';

/** Whether pages of this origin, as a browser writes it into `Origin`, are allowed. */
export type AllowsOrigin = (origin: string) => boolean;

/** What stands before and after the labels that a pattern leaves open. */
interface Pattern {
  readonly before: string;
  readonly after: string;
}

/**
 * Compares origins byte for byte with those in `allowed`: `https://app.faf.example`, or `https://*.faf.example` for one or more
 * labels in place of `*`. Scheme and port are part of an origin; browsers leave out the scheme's own port. `null`, which
 * every sandboxed frame has, is never allowed.
 */
export function allowsOrigin(allowed: readonly string[]): AllowsOrigin {
  if (allowed.includes(ANY_ORIGIN)) return () => true;
  const exact = new Set(allowed.filter((origin) => !origin.includes('*')));
  const patterns = allowed.filter((origin) => origin.includes('*')).map(patternOf);
  return (origin) => exact.has(origin) || patterns.some((pattern) => fits(pattern, origin));
}

function patternOf(origin: string): Pattern {
  const [before = '', after = ''] = origin.split('*');
  return { before, after };
}

function fits({ before, after }: Pattern, origin: string): boolean {
  if (!origin.startsWith(before) || !origin.endsWith(after)) return false;
  return areLabels(origin, before.length, origin.length - after.length);
}

/** Whether there are labels of a host name from `start` to `end`, with dots between them, and nothing else. */
function areLabels(text: string, start: number, end: number): boolean {
  let previous = DOT;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === DOT ? previous === DOT : !isLabelCharacter(code)) return false;
    previous = code;
  }
  return previous !== DOT;
}

function isLabelCharacter(code: number): boolean {
  if ((code >= LETTER_A && code <= LETTER_Z) || (code >= DIGIT_0 && code <= DIGIT_9)) return true;
  return code === HYPHEN || code === UNDERSCORE;
}
