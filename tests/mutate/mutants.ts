import { parseSync } from '@swc/core';

/** One fault: what stands between two bytes of a source, and what is put in its place. */
export interface Mutant {
  /** Bytes of the UTF-8 source, `end` not among them. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  readonly line: number;
  /** What is replaced by what, on one line. */
  readonly change: string;
}

/** Another operator of the same types. */
const OPERATORS: Readonly<Record<string, string>> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '&&': '||',
  '||': '&&',
  '&': '|',
  '|': '&',
  '+=': '-=',
  '-=': '+=',
};
const METHODS = new Map([
  ['min', 'max'],
  ['max', 'min'],
  ['some', 'every'],
  ['every', 'some'],
]);
/** Types are erased, and of imports nothing remains to be changed. */
const SKIPPED = /^(Ts(?!AsExpression|NonNullExpression|SatisfiesExpression|ConstAssertion)|Import|ExportAll)/;
/** Positions of SWC count from here. */
const FIRST_BYTE = 1;
const SHOWN_CHARS = 60;

interface Node {
  readonly type: string;
  readonly span: { readonly start: number; readonly end: number };
  readonly [key: string]: unknown;
}

/** Every fault that can be put into this TypeScript source, in the order in which they stand there. */
export function mutantsOf(source: string): Mutant[] {
  const finder = new Finder(source);
  finder.walk(parseSync(source, { syntax: 'typescript', target: 'es2024' }));
  return finder.found.sort((a, b) => a.start - b.start || a.end - b.end);
}

/** The source with the fault in it. */
export function mutated(source: string, { start, end, replacement }: Mutant): string {
  const bytes = Buffer.from(source);
  return bytes.toString('utf8', 0, start) + replacement + bytes.toString('utf8', end);
}

class Finder {
  readonly found: Mutant[] = [];
  readonly #bytes: Buffer;

  constructor(source: string) {
    this.#bytes = Buffer.from(source);
  }

  walk(value: unknown): void {
    if (Array.isArray(value)) for (const each of value) this.walk(each);
    else if (typeof value === 'object' && value !== null) this.#walkObject(value as Partial<Node>);
  }

  #walkObject(node: Partial<Node>): void {
    if (node.type !== undefined && SKIPPED.test(node.type)) return;
    if (isNode(node)) this.#visit(node);
    for (const [key, child] of Object.entries(node)) {
      // The name of a property is no value.
      if (key === 'span' || (key === 'key' && (child as Node).type !== 'Computed')) continue;
      this.walk(child);
    }
  }

  #visit(node: Node): void {
    this.#byType[node.type]?.(node);
  }

  readonly #byType: Readonly<Record<string, (node: Node) => void>> = {
    BinaryExpression: (node) => this.#operator(node),
    AssignmentExpression: (node) => this.#operator(node),
    UnaryExpression: (node) => {
      if (node.operator === '!') this.#replace(node, this.#text(node.argument as Node));
    },
    UpdateExpression: (node) => {
      const text = this.#text(node);
      this.#replace(node, node.operator === '++' ? text.replace('++', '--') : text.replace('--', '++'));
    },
    IfStatement: ({ test }) => this.#negate(test as Node),
    ConditionalExpression: ({ test }) => this.#negate(test as Node),
    ExpressionStatement: (node) => this.#replace(node, ';'),
    ReturnStatement: ({ argument }) => {
      if (argument) this.#replace(argument as Node, 'undefined as never');
    },
    ArrowFunctionExpression: ({ body }) => {
      // A body in braces has return statements of its own.
      if (!('stmts' in (body as Node))) this.#replace(body as Node, '(undefined as never)');
    },
    NumericLiteral: (node) => this.#replace(node, String((node.value as number) + 1)),
    BooleanLiteral: (node) => this.#replace(node, String(!node.value)),
    StringLiteral: (node) => this.#replace(node, node.value === '' ? "'x'" : "''"),
    TemplateLiteral: (node) => this.#replace(node, "''"),
    MemberExpression: ({ property }) => this.#method(property as Node),
  };

  #negate(test: Node): void {
    this.#replace(test, `!(${this.#text(test)})`);
  }

  #method(name: Node): void {
    const other = name.type === 'Identifier' ? METHODS.get(name.value as string) : undefined;
    if (other !== undefined) this.#replace(name, other);
  }

  #operator(node: Node): void {
    const [left, right] = [node.left as Node, node.right as Node];
    const operator = node.operator as string;
    if (operator === '??') this.#replace(node, this.#text(left));
    const other = OPERATORS[operator];
    if (other === undefined) return;
    // Between the two stand blanks and comments besides.
    const from = left.span.end - FIRST_BYTE;
    const between = this.#bytes.toString('utf8', from, right.span.start - FIRST_BYTE);
    const start = from + Buffer.byteLength(between.slice(0, between.indexOf(operator)));
    this.#add(start, start + operator.length, other);
  }

  #replace(node: Node, replacement: string): void {
    this.#add(node.span.start - FIRST_BYTE, node.span.end - FIRST_BYTE, replacement);
  }

  #add(start: number, end: number, replacement: string): void {
    const old = this.#bytes.toString('utf8', start, end);
    const line = this.#bytes.toString('utf8', 0, start).split('\n').length;
    const change = replacement === ';' ? `without ${shown(old)}` : `${shown(old)} → ${shown(replacement)}`;
    this.found.push({ start, end, replacement, line, change });
  }

  #text({ span }: Node): string {
    return this.#bytes.toString('utf8', span.start - FIRST_BYTE, span.end - FIRST_BYTE);
  }
}

function isNode(node: Partial<Node>): node is Node {
  return node.type !== undefined && node.span !== undefined;
}

function shown(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > SHOWN_CHARS ? `${line.slice(0, SHOWN_CHARS)}…` : line;
}
