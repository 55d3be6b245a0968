import parse from 'parse-duration';

/** The longest duration of a setting: Node's timers overflow at 24.8 days. */
export const MAX_DURATION_MS = 24 * 24 * 60 * 60 * 1000;

const LARGE_UNITS = [
  { name: 'd', ms: 24 * 60 * 60 * 1000 },
  { name: 'h', ms: 60 * 60 * 1000 },
  { name: 'm', ms: 60 * 1000 },
] as const;

// Each unit at most once, the largest first: parse-duration would guess at anything else.
const GRAMMAR = new RegExp(
  `^${['d', 'h', 'm', 's', 'ms'].map((unit) => `(?:\\d+(?:\\.\\d+)?${unit})?`).join('')}$`,
);

/**
 * Parses `500ms`, `3s`, `1m30s`, `1.5h` or `0` into milliseconds; undefined for anything else.
 *
 * Not accepted: a number without a unit, other spellings (`3 sec`), and parts of a millisecond.
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (text === '' || !GRAMMAR.test(text)) return undefined;
  const ms = parse(text) ?? 0;
  // In binary 2.3 x 1000 is 2299.9999999999995, which must count as a whole number. 0.4ms must not.
  const whole = Math.round(ms);
  return Math.abs(ms - whole) < 1e-6 ? whole : undefined;
}

/** A text that {@link parseDuration} reads as `ms`: 90000 gives `1m30s`, 10500 `10.5s`, and 0 `0`. */
export function formatDuration(ms: number): string {
  let restMs = ms;
  let text = '';
  for (const unit of LARGE_UNITS) {
    const count = Math.floor(restMs / unit.ms);
    if (count > 0) text += `${count}${unit.name}`;
    restMs -= count * unit.ms;
  }
  if (restMs >= 1000) text += `${restMs / 1000}s`;
  else if (restMs > 0) text += `${restMs}ms`;
  return text || '0';
}
