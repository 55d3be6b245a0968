import { isNamed } from '../http1/grammar.ts';

/** Field lines of a message in order: name, value, name, value. Each character is one byte (latin1). */
export type FieldLines = readonly string[];

/** The values of every field line called `lowerCaseName`, in order. */
export function fieldValues(fields: FieldLines, lowerCaseName: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (isNamed(fields[i] as string, lowerCaseName)) values.push(fields[i + 1] as string);
  }
  return values;
}

/** How many field lines are called `lowerCaseName`. */
export function fieldCount(fields: FieldLines, lowerCaseName: string): number {
  let count = 0;
  for (let i = 0; i < fields.length; i += 2) if (isNamed(fields[i] as string, lowerCaseName)) count += 1;
  return count;
}

/** The value of the first field line called `lowerCaseName`. */
export function fieldValue(fields: FieldLines, lowerCaseName: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    if (isNamed(fields[i] as string, lowerCaseName)) return fields[i + 1];
  }
  return undefined;
}

/**
 * Field lines as one object, names in lower case, values of the same name joined (RFC 9110 section 5.3).
 * The object has no prototype, so that `constructor` is a name like any other.
 */
export function fieldsByName(fields: FieldLines): Record<string, string> {
  const byName: Record<string, string> = Object.create(null);
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase();
    const value = fields[i + 1] as string;
    const separator = name === 'cookie' ? '; ' : ', ';
    byName[name] = name in byName ? byName[name] + separator + value : value;
  }
  return byName;
}
