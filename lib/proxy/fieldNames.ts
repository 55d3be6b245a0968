/** How many spellings are remembered: clients may make up any number. */
const MAX_REMEMBERED = 1000;
/** Longer names are decided each time: with those remembered the memory is bounded in bytes, to some 200 KiB. */
const LONGEST_REMEMBERED = 64;

/** A field name as somebody spelt it. */
export interface FieldName<Role> {
  readonly lower: string;
  /** What is done with fields of this name. */
  readonly role: Role;
}

/**
 * Decides once what is done with fields of a name, and remembers it by the name's spelling: the same few come with
 * each message. When there are too many, all are forgotten.
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
