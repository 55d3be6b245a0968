import type { Kind } from '../kinds/kinds.ts';
import * as kinds from '../kinds/kinds.ts';

/** One setting. A row in the file of its subject is all it takes: the type, the errors and the documents follow. */
export interface Variable {
  readonly name: string;
  readonly kind: Kind<unknown>;
  /** The value when the variable is unset or empty, as a person would type it. */
  readonly default?: string;
  /** Without a default: what happens then, for the documents. */
  readonly unset?: string;
  /** For people, in Markdown: what it does, and what zero means. */
  readonly description: string;
  /** How the value may be shown. Its presence marks a secret: errors then leave the value out. */
  readonly mask?: (text: string) => string;
  /** The variable that names a file to read the value from instead. */
  readonly file?: string;
}

/** Settings on one subject, which is a heading of docs/settings.md. */
export interface VariableGroup {
  readonly title: string;
  /** The page, in docs/, that says more. */
  readonly page: string;
  /** By the fields that they fill, in the order of the documents. */
  readonly rows: Readonly<Record<string, Variable>>;
}

export const count = kinds.wholeNumber(1, kinds.MAX_COUNT);
export const countOrZero = kinds.wholeNumber(0, kinds.MAX_COUNT);
export const filePath = kinds.text('the path of a file');
