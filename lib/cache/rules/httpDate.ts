const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const MONTH = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
const TIME = '\\d\\d:\\d\\d:\\d\\d';

/** The three forms of RFC 9110 section 5.6.7. `Date.parse` alone takes `3000` for a year. */
const HTTP_DATE = new RegExp(
  `^(?:${DAY}, \\d\\d ${MONTH} \\d{4} ${TIME} GMT|${DAY}[a-z]{3,6}, \\d\\d-${MONTH}-\\d\\d ${TIME} GMT|${DAY} ${MONTH} [ \\d]\\d ${TIME} \\d{4})$`,
);
const YEAR = { digits: /-(\d\d) /, futureYears: 50 };

/** Milliseconds since the epoch; `undefined` for what is no HTTP date. */
export function parseHttpDate(field: string | undefined, nowMs: number): number | undefined {
  if (!field || !HTTP_DATE.test(field)) return undefined;
  const text = field.endsWith('GMT') ? withWholeYear(field, nowMs) : `${field} GMT`;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : atMs;
}

/** A year of two digits that seems more than 50 years ahead is one of the past. */
function withWholeYear(field: string, nowMs: number): string {
  const digits = YEAR.digits.exec(field)?.[1];
  if (digits === undefined) return field;
  const thisYear = new Date(nowMs).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + Number(digits);
  const whole = year > thisYear + YEAR.futureYears ? year - 100 : year;
  return field.replace(YEAR.digits, ` ${whole} `).replace('-', ' ');
}
