import { createRequire } from 'node:module';
import type { Document, Node } from 'yaml';
import { type EvaluateModule, evaluateModule } from './evaluate.ts';
import type { Unreadable } from './unreadable.ts';

/** A file's data, and where in its text each part of it stands. */
export interface Contents {
  readonly data: unknown;
  /** `:12:5` of the value, or of its key where it has none; '' where the place is not known. */
  readonly placeOf: (path: readonly PropertyKey[]) => string;
}

/** How a file of each ending is read: what a file is, its name says. */
export const FORMATS = ['.ts', '.yaml', '.yml', '.json'] as const;

/** `undefined`: its name has none of the endings. */
export function readContents(
  path: string,
  text: string,
  evaluate: EvaluateModule = evaluateModule,
): Contents | Unreadable | undefined {
  const format = FORMATS.find((ending) => path.toLowerCase().endsWith(ending));
  if (format === undefined) return undefined;
  const content = text.replace(/^\ufeff/, '');
  if (content.trim() === '') return { problem: 'the file is empty: expected services', place: '' };
  if (format === '.json') return readJson(content);
  if (format !== '.ts') return readYaml(content);
  const evaluated = evaluate(path);
  return 'problem' in evaluated ? evaluated : { data: evaluated.value, placeOf: () => '' };
}

function readYaml(text: string): Contents | Unreadable {
  const document = parsed(text);
  const [error] = [...document.errors, ...document.warnings];
  if (error) {
    const what = error.code === 'TAB_AS_INDENT' ? 'a tab indents this line: expected blanks' : error.message;
    return { problem: `expected YAML: ${oneLine(what)}`, place: positionText(error.linePos?.[0]) };
  }
  try {
    return { data: document.toJS({ maxAliasCount: 100 }), placeOf: places(document, text) };
  } catch (cause) {
    return { problem: `expected YAML: ${oneLine((cause as Error).message)}`, place: '' };
  }
}

/** JSON is YAML, too: that says where things stand, and what is there twice. */
function readJson(text: string): Contents | Unreadable {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    return { problem: 'expected JSON; there is a mistake here', place: placeOfMistake(String(error), text) };
  }
  const document = parsed(text);
  const twice = document.errors.find(({ code }) => code === 'DUPLICATE_KEY');
  if (twice) return { problem: 'this name is there twice', place: positionText(twice.linePos?.[0]) };
  return { data, placeOf: places(document, text) };
}

function parsed(text: string): Document.Parsed {
  // Only a gateway that has such a file loads what reads it.
  const yaml = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  const lineCounter = new yaml.LineCounter();
  // Without the lines of the file in its messages: it may be the wrong one, and full of secrets.
  const document = yaml.parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    merge: true,
    logLevel: 'error',
  });
  for (const error of [...document.errors, ...document.warnings]) {
    error.linePos = [lineCounter.linePos(error.pos[0])];
  }
  return document;
}

/** V8 says where most mistakes are, or that the text ends too early; of the others YAML's parser knows most. */
function placeOfMistake(message: string, text: string): string {
  const [, line, column] = /line (\d+) column (\d+)/.exec(message) ?? [];
  if (line !== undefined) return `:${line}:${column}`;
  if (message.includes('end of JSON input')) return positionAt(text, text.trimEnd().length);
  return positionText(parsed(text).errors[0]?.linePos?.[0] ?? { line: 1, col: 1 });
}

function places(document: Document, text: string): Contents['placeOf'] {
  return (path) => {
    for (let length = path.length; length > 0; length -= 1) {
      const at = offsetOf(document, path.slice(0, length));
      if (at !== undefined) return positionAt(text, at);
    }
    return positionAt(text, document.contents?.range?.[0] ?? 0);
  };
}

/** Where the key stands, so that a problem is found at the beginning of its line; of what has none, the value. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  const key = path.at(-1);
  const parent = document.getIn(path.slice(0, -1) as unknown[], true) as Partial<Items> | Node | undefined;
  for (const item of (parent as Partial<Items> | undefined)?.items ?? []) {
    const own = 'key' in item ? item.key : undefined;
    if (own && String(own.value) === String(key)) return own.range?.[0];
  }
  const value = document.getIn(path as unknown[], true) as Node | undefined;
  return value?.range?.[0];
}

interface Items {
  readonly items: readonly {
    readonly key?: { readonly value: unknown; readonly range?: readonly number[] };
  }[];
}

function positionAt(text: string, offset: number): string {
  const lines = text.slice(0, offset).split('\n');
  return positionText({ line: lines.length, col: (lines.at(-1) ?? '').length + 1 });
}

function positionText(position: { readonly line: number; readonly col: number } | undefined): string {
  return position ? `:${position.line}:${position.col}` : '';
}

function oneLine(message: string): string {
  return (message.split('\n', 1)[0] ?? '').replaceAll(/\p{C}/gu, '');
}
