/** How many spellings are remembered. There must be a bound, since clients can make up any number. */
const MAX_REMEMBERED = 1000;
/** Longer names are not remembered. So the memory is bounded in bytes as well, to about 200 KiB. */
const LONGEST_REMEMBERED = 64;

/** A field name in one spelling. */
export interface FieldName<Role> {
  readonly lower: string;
  /** What is done with fields of this name. */
  readonly role: Role;
}

/**
 * Decides once what is done with fields of a name and remembers the decision by the name's spelling, since each message has
 * the same few names. When too many are remembered, all are forgotten.
 */
export function fieldNames<Role>(roleOf: (lowerCaseName: string) => Role): (name: string) => FieldName<Role> {
  const known = new Map<string, FieldName<Role>>();
  return (name) => {
    const found = known.get(name);
    if (found) return found;
    const lower = name.toLowerCase();
    const decided = { lower, role: roleOf(lower) };
    if (name.length > LONGEST_REMEMBERED) return decided;
    if (known.size >= MAX_REMEMBERED) known.clear();
    known.set(name, decided);
    return decided;
  };
}
