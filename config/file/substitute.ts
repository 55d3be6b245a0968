const REFERENCE = /\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g;

/** What is left once each `${NAME}` stands for a variable, and the places of those for which there is none. */
export interface Substituted {
  readonly data: unknown;
  readonly missing: readonly { readonly path: readonly PropertyKey[]; readonly name: string }[];
}

/** Puts variables into the strings of `data`: `${NAME}`, or `${NAME:-default}` where it may be empty or not set. */
export function substitute(data: unknown, env: NodeJS.ProcessEnv): Substituted {
  const missing: { path: readonly PropertyKey[]; name: string }[] = [];

  function inText(text: string, path: readonly PropertyKey[]): string {
    return text.replace(REFERENCE, (_, name: string, fallback: string | undefined) => {
      const value = env[name] || fallback;
      if (value === undefined) missing.push({ path, name });
      return value ?? '';
    });
  }

  function within(value: unknown, path: readonly PropertyKey[]): unknown {
    if (typeof value === 'string') return inText(value, path);
    if (Array.isArray(value)) return value.map((each, index) => within(each, [...path, index]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, within(each, [...path, key])]),
    );
  }

  return { data: within(data, []), missing };
}
