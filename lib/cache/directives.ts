/** Cache directives by lower-case name (RFC 9111 section 5.2); true for one without an argument. */
export type Directives = ReadonlyMap<string, string | true>;

/** The largest number of seconds that a cache must be able to tell apart (RFC 9111 section 1.2.2). */
const MOST_SECONDS = 2 ** 31;

/** `name`, `name=token` or `name="quoted string"`, up to the comma that ends it. */
const DIRECTIVE = /([^\s=,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*)))?[^,]*/g;

/** One member of a structured dictionary (RFC 8941 section 3.2), as far as cache directives need it. */
const STRUCTURED = /^[a-z*][a-z0-9_.*-]*(?:=(?:"[^"\\]*"|[\w?.*:/-]+))?$/;

const NONE: Directives = new Map();

/** Of a directive that is given twice the first counts (RFC 9111 section 4.2.1). */
export function parseDirectives(field: string | undefined): Directives {
  if (!field) return NONE;
  const directives = new Map<string, string | true>();
  for (const [, name = '', quoted, token] of field.matchAll(DIRECTIVE)) {
    const lower = name.toLowerCase();
    if (!directives.has(lower)) directives.set(lower, quoted ?? token?.trim() ?? true);
  }
  return directives;
}

/** Whether a targeted field can be read at all; one that cannot is as good as absent (RFC 9213 section 2.1). */
export function isStructured(field: string | undefined): field is string {
  return field?.split(',').every((member) => STRUCTURED.test(member.trim())) ?? false;
}

/** The directive's seconds; `undefined` without the directive, 0 for what is no number of seconds. */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const value = directives.get(name);
  if (value === undefined) return undefined;
  return typeof value === 'string' && /^\d+$/.test(value) ? Math.min(Number(value), MOST_SECONDS) : 0;
}
