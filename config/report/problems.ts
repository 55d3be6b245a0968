const QUOTE_LIMIT = 80;

/** The settings are wrong, so the gateway does not start. It lists all problems and contains no secret. */
export class SettingsError extends Error {
  readonly code = 'bad_settings';
  /** One sentence each, naming the variable, its value and what is accepted. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(['The settings cannot be used:', ...problems].join('\n  '));
    this.name = 'SettingsError';
    this.problems = Object.freeze([...problems]);
  }
}

/** Masks credentials: `redis://user:password@host` becomes `redis://***@host`, and `password@host` is masked too. */
export function maskCredentials(text: string): string {
  return text.replace(/^([a-z]+:\/\/)?.*@/is, '$1***@');
}

/** Says that a secret is set and how many bytes it has in UTF-8, and nothing else. */
export function maskAll(text: string): string {
  return `(set, ${Buffer.byteLength(text)} bytes)`;
}

/** A value as error messages show it: in quotes, on one line, shortened, without credentials. */
export function quote(value: unknown): string {
  const quoted = typeof value === 'string' ? JSON.stringify(maskCredentials(value)) : jsonOf(value);
  return quoted.length <= QUOTE_LIMIT ? quoted : `${quoted.slice(0, QUOTE_LIMIT)}...`;
}

function jsonOf(value: unknown): string {
  return maskCredentials(JSON.stringify(value) ?? String(value));
}

/** Why reading a file failed, such as `ENOENT`. The full message would repeat the path. */
export function reasonOf(error: unknown): string {
  const hasCode = typeof error === 'object' && error !== null && 'code' in error;
  return hasCode ? String(error.code) : 'unknown reason';
}
