import type { ServerResponse } from 'node:http';
import { isNamed } from '../http1/grammar.ts';
import type { MakeValue } from './hooks.ts';

interface AddedField {
  readonly name: string;
  readonly value: string | MakeValue;
  /** Whether no other field of that name goes with it. */
  readonly replaces: boolean;
}

/** Fields that go into the head of one response beside what its writer gives. */
export class AddedFields {
  readonly #fields: AddedField[] = [];

  add(name: string, value: string | MakeValue, replaces: boolean): void {
    this.#fields.push({ name, value, replaces });
  }

  has(name: string): boolean {
    return this.#fields.some((field) => field.name === name);
  }

  /** `lines` with them, which may be the same list. */
  into(lines: string[], status: number, res: ServerResponse): string[] {
    let all = lines;
    for (const { name, value: given, replaces } of this.#fields) {
      if (replaces) all = without(all, name.toLowerCase());
      const value = typeof given === 'string' ? given : given(status, res);
      if (value !== undefined) all.push(name, value);
    }
    return all;
  }

  /** Sets them on a response whose fields are set one by one. */
  setOn(res: ServerResponse, status: number): void {
    for (const { name, value: given, replaces } of this.#fields) {
      if (replaces) res.removeHeader(name);
      const value = typeof given === 'string' ? given : given(status, res);
      if (value !== undefined) res.appendHeader(name, value);
    }
  }
}

function without(lines: string[], lowerCaseName: string): string[] {
  const isGone = lines.some((line, i) => i % 2 === 0 && isNamed(line, lowerCaseName));
  return isGone ? lines.filter((_, i) => !isNamed(lines[i & ~1] as string, lowerCaseName)) : lines;
}
