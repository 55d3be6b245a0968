export const TEST_SECRET = 'a-secret-for-tests-that-is-long-enough';

/** Put it into queries, fields and bodies: a gateway that logs it fails its test. */
export const NEVER_LOGGED = 'this-must-not-be-in-any-log-line';

/** Everything that nothing may print. */
const secrets = new Set([TEST_SECRET, NEVER_LOGGED]);

/** Any token, whoever has signed it, and any API key. */
const TOKEN = /eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|fafkey_[0-9A-Za-z]{12}_[0-9A-Za-z]{20,}/g;

/** No log line may hold this either: a token that is none, for instance. */
export function keepSecret(text: string): string {
  secrets.add(text);
  return text;
}

/** The secrets in `text`, each once, and all tokens, those that nobody has told of too. */
export function secretsIn(text: string): string[] {
  const told = [...secrets].filter((secret) => text.includes(secret));
  return [...new Set([...told, ...(text.match(TOKEN) ?? [])])];
}
