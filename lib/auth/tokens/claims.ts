import { type TokenError, tokenError } from '../errors.ts';

/** Longest excerpt of a token's claim in an error message, in characters. */
const MAX_SHOWN = 64;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The claims of a token, by name: as values, and as they are written. */
export interface Claims {
  /** The claim's value, or undefined when the token has no such claim. */
  value(name: string): unknown;
  /** The claim's JSON text, in which numbers differ that a double cannot hold exactly. */
  text(name: string): string | undefined;
}

/**
 * Reads the payload of a token in compact form (RFC 7519 section 3). Throws `TokenError` unless it is one JSON object in
 * UTF-8 without duplicate claims: of two, some parsers take the first and others the last (RFC 7519 section 4).
 */
export function readClaims(token: string): Claims {
  const encoded = token.slice(token.indexOf('.') + 1, token.lastIndexOf('.'));
  let json: string;
  let values: unknown;
  try {
    json = utf8.decode(Buffer.from(encoded, 'base64url'));
    values = JSON.parse(json);
  } catch {
    // The cause is left out: its message quotes the token.
    throw invalid('the payload is not JSON in UTF-8');
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw invalid('the payload is not a JSON object');
  }
  const byName = values as Readonly<Record<string, unknown>>;
  const texts = membersOf(json);
  return {
    // Checked, so that inherited properties such as `constructor` do not count as claims.
    value: (name) => (texts.has(name) ? byName[name] : undefined),
    text: (name) => texts.get(name),
  };
}

/** A claim as error messages show it: as it is written, shortened. */
export function shown(claims: Claims, name: string): string {
  const text = claims.text(name);
  return text === undefined ? `${name} is missing` : `${name} is ${excerpt(text)}`;
}

/** The beginning of a text that comes from outside, for a message. */
export function excerpt(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}... (${text.length} characters)`;
}

export function invalid(message: string, options?: ErrorOptions): TokenError {
  return tokenError('token_invalid', message, options);
}

/** The members of a JSON object that is known to be valid, with the text of each value. It takes one pass. */
function membersOf(json: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  let nameText = '';
  let name: string | undefined;
  let valueAt = 0;
  for (const [mark, index] of outermostMarks(json)) {
    if (mark === ':') {
      name = JSON.parse(nameText) as string;
      valueAt = index + 1;
      if (members.has(name)) throw invalid(`the claim ${excerpt(nameText)} is there more than once`);
    } else if (mark.startsWith('"')) {
      nameText = mark;
    } else if (name !== undefined) {
      members.set(name, json.slice(valueAt, index).trim());
    }
  }
  return members;
}

/** The strings, colons and commas of the outermost object and its end, each with its position. */
function* outermostMarks(json: string): Generator<readonly [mark: string, index: number]> {
  let depth = 0;
  for (const { 0: mark, index } of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]/g)) {
    const isOpening = mark === '{' || mark === '[';
    const isClosing = mark === '}' || mark === ']';
    if (depth === 1 && !isOpening) yield [mark, index];
    depth += Number(isOpening) - Number(isClosing);
  }
}
