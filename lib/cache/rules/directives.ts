/** Cache directives by lower-case name (RFC 9111 section 5.2); true for one without an argument. */
export type Directives = ReadonlyMap<string, string | true>;

/** The largest number of seconds that a cache must be able to tell apart (RFC 9111 section 1.2.2). */
const MOST_SECONDS = 2 ** 31;

/** `name`, `name=token` or `name="quoted string"`, up to the comma that ends it. */
const DIRECTIVE = /([^\s=,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*)))?[^,]*/g;

/** One member of a structured dictionary (RFC 8941 section 3.2) with what parameters it has, and the comma behind it. */
const MEMBER =
  /[ \t]*([a-z*][a-z0-9_.*-]*)(?:=("(?:[^"\\]|\\["\\])*"|[\w?!#$%&'*+.^`|~:/-]+))?(?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[^"\\]|\\["\\])*"|[\w?!#$%&'*+.^`|~:/-]+))?)*[ \t]*(?:,(?!$)|$)/gy;

/** Directives whose value is a whole number of seconds. */
const IN_SECONDS: ReadonlySet<string> = new Set([
  'max-age',
  's-maxage',
  'stale-while-revalidate',
  'stale-if-error',
]);

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

/**
 * What a field for one kind of cache says (RFC 9213 section 2.1), as `Cache-Control` would spell it. `undefined` for a
 * field that is as good as absent: it cannot be read, or nothing is left of it without the directives whose value is of
 * another type than theirs.
 */
export function targetedControl(field: string | undefined): string | undefined {
  const said = new Map<string, string>();
  let read = 0;
  for (const [member, name = '', value] of field?.matchAll(MEMBER) ?? []) {
    read += member.length;
    // Of a member that is given twice the last counts, also where it is of no use.
    if (IN_SECONDS.has(name) && !/^\d+$/.test(value ?? '')) said.delete(name);
    else said.set(name, value === undefined ? name : `${name}=${value}`);
  }
  return read === field?.length && said.size > 0 ? [...said.values()].join(', ') : undefined;
}

/** The directive's seconds; `undefined` without the directive, 0 for what is no number of seconds. */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const value = directives.get(name);
  if (value === undefined) return undefined;
  return typeof value === 'string' ? (secondsOfText(value) ?? 0) : 0;
}

/** Delta-seconds (RFC 9111 section 1.2.2); `undefined` for what is no whole number. */
export function secondsOfText(text: string): number | undefined {
  return /^\d+$/.test(text) ? Math.min(Number(text), MOST_SECONDS) : undefined;
}
