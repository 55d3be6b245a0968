import type { FieldLines } from '../http/fields.ts';
import { type FieldName, fieldNames } from '../proxy/fieldNames.ts';

/** What is changed about the fields of a message. Each list of lines is name, value, name, value. */
export interface FieldRules {
  /** Takes the place of all lines of its name. */
  readonly set: FieldLines;
  /** Stands beside others of its name. */
  readonly add: FieldLines;
  /** Names in lower case. */
  readonly remove: readonly string[];
}

export const NO_RULES: FieldRules = { set: [], add: [], remove: [] };

/** A line that stands in a message that has none of its name. */
interface Fallback {
  readonly name: string;
  readonly value: string;
  readonly bit: number;
}

/** What is done with a line that comes: whether it goes, and which fallback it makes needless. */
interface Role {
  readonly isDropped: boolean;
  readonly bit: number;
}

/** Changes field lines by rules that are made ready once, in one pass. */
export class FieldEdit {
  readonly #dropped: ReadonlySet<string>;
  readonly #lines: FieldLines;
  readonly #fallbacks: readonly Fallback[];
  readonly #nameOf: (name: string) => FieldName<Role>;

  /** @param fallbacks at most 31 lines that are added where the message has none of their name */
  constructor({ set, add, remove }: FieldRules, fallbacks: FieldLines = []) {
    this.#dropped = new Set([...namesOf(set), ...remove]);
    this.#lines = [...set, ...add];
    const given = new Set(namesOf(this.#lines));
    this.#fallbacks = pairs(fallbacks)
      .filter(([name]) => !given.has(name.toLowerCase()))
      .map(([name, value], index) => ({ name, value, bit: 1 << index }));
    this.#nameOf = fieldNames((lower) => this.#roleOf(lower));
  }

  /** Whether it changes nothing, whatever comes. */
  get isEmpty(): boolean {
    return this.#dropped.size === 0 && this.#lines.length === 0 && this.#fallbacks.length === 0;
  }

  /** Whether lines of this name do not stay. */
  drops(lowerCaseName: string): boolean {
    return this.#dropped.has(lowerCaseName);
  }

  /** @param lines are changed */
  apply(lines: string[]): string[] {
    let end = 0;
    let present = 0;
    for (let i = 0; i < lines.length; i += 2) {
      const name = lines[i] as string;
      const { isDropped, bit } = this.#nameOf(name).role;
      if (isDropped) continue;
      present |= bit;
      lines[end] = name;
      lines[end + 1] = lines[i + 1] as string;
      end += 2;
    }
    lines.length = end;
    for (const part of this.#lines) lines.push(part);
    for (const { name, value, bit } of this.#fallbacks) if ((present & bit) === 0) lines.push(name, value);
    return lines;
  }

  #roleOf(lower: string): Role {
    const fallback = this.#fallbacks.find(({ name }) => name.toLowerCase() === lower);
    return { isDropped: this.#dropped.has(lower), bit: fallback?.bit ?? 0 };
  }
}

function pairs(lines: FieldLines): [name: string, value: string][] {
  return lines.flatMap((name, i) => (i % 2 === 0 ? [[name, lines[i + 1] as string]] : []));
}

function namesOf(lines: FieldLines): string[] {
  return pairs(lines).map(([name]) => name.toLowerCase());
}
