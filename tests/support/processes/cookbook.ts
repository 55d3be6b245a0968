import { makeAuthority, type TestCertificate } from '../certificates.ts';

/** One file of the cookbook, and what its page says of it. */
export interface Recipe {
  readonly title: string;
  readonly yaml: string;
  readonly requests: readonly RecipeRequest[];
}

export interface RecipeRequest {
  /** Both as the page has them. */
  readonly given: string;
  readonly then: string;
  readonly request: {
    /** Of its token, if it has one. */
    readonly claims: Readonly<Record<string, string>>;
    /** As it goes to the gateway. */
    text(token: string): string;
  };
  readonly response: {
    readonly status: number;
    readonly code: string | undefined;
    /** With these values; undefined: it must not be there. */
    readonly fields: Readonly<Record<string, string | undefined>>;
    /** Who gets it and by which target; undefined: no service does. */
    readonly service: string | undefined;
    readonly target: string | undefined;
  };
}

const BYTES_PER_KIB = 1024;

/** Reads a page: each `yaml` block is a recipe, with the rows of the table below it, before the next heading. */
export function readCookbook(markdown: string): Recipe[] {
  return markdown.split(/^(?=##+ )/m).flatMap((section) => {
    const heading = /^#+ (.*)$/m.exec(section)?.[1] ?? '';
    const blocks = [...section.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)];
    return blocks.map(([, yaml = ''], index) => ({
      title: blocks.length > 1 ? `${heading}, ${index + 1}` : heading,
      yaml,
      requests: [...section.matchAll(/^\| (`[A-Z]+ \/.*?) \| (\d{3}.*?) \|$/gm)].map(
        ([, given = '', then = '']) => ({
          given,
          then,
          request: readRequest(given),
          response: readResponse(then),
        }),
      ),
    }));
  });
}

/** `GET /x` with `Host: y`, a token of `role: admin` and 2 KiB */
function readRequest(given: string): RecipeRequest['request'] {
  const [, line = '', extras = ''] = /^`([^`]+)`(?: with (.*))?$/.exec(given) ?? [];
  // What stands in backticks may have commas of its own.
  const parts = extras === '' ? [] : extras.split(/(?:, | and )(?=(?:[^`]*`[^`]*`)*[^`]*$)/);
  const known = parts.map((part) => readExtra(part));
  const contentBytes = known.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  const hasHost = known.some(({ field = '' }) => field.startsWith('Host:'));
  return {
    claims: Object.assign({}, ...known.map(({ claims }) => claims)),
    text: (token) =>
      [
        `${line} HTTP/1.1`,
        ...(hasHost ? [] : ['Host: localhost']),
        ...known.flatMap(({ field }) => (field ? [field.replace('<token>', token)] : [])),
        ...(known.some(({ claims }) => claims) ? [`Authorization: Bearer ${token}`] : []),
        `Content-Length: ${contentBytes}`,
        'Connection: close',
        '',
        'x'.repeat(contentBytes),
      ].join('\r\n'),
  };
}

interface Extra {
  readonly field?: string;
  readonly claims?: Readonly<Record<string, string>>;
  readonly bytes?: number;
}

function readExtra(part: string): Extra {
  if (part === 'a token') return { claims: {} };
  const [, claim, value = ''] = /^a token of `(\w+): (\w+)`$/.exec(part) ?? [];
  if (claim !== undefined) return { claims: { [claim]: value } };
  const [, field] = /^`([\w-]+: [^`]+)`$/.exec(part) ?? [];
  if (field !== undefined) return { field };
  const [, kib] = /^(\d+) KiB$/.exec(part) ?? [];
  if (kib !== undefined) return { bytes: Number(kib) * BYTES_PER_KIB };
  throw new Error(`a request with ${part} is nothing that the cookbook's test knows`);
}

/** 200, `shop` gets `/x`, `Retry-After: 600`, no `Location` */
function readResponse(then: string): RecipeRequest['response'] {
  const [first = '', ...rest] = then.split(', ');
  const [, status, code] = /^(\d{3})(?: `(\w+)`)?$/.exec(first) ?? [];
  const fields: Record<string, string | undefined> = {};
  let service: string | undefined;
  let target: string | undefined;
  for (const part of rest) {
    const [, name, seen] = /^`([\w-]+)` gets `([^`]+)`$/.exec(part) ?? [];
    const [, field, value, absent] = /^(?:`([\w-]+): ([^`]+)`|no `([\w-]+)`)$/.exec(part) ?? [];
    if (name) [service, target] = [name, seen];
    else if (field ?? absent) fields[field ?? absent ?? ''] = value;
    else throw new Error(`a response with ${part} is nothing that the cookbook's test knows`);
  }
  return { status: Number(status), code, fields, service, target };
}

/** The files of a company with a CA of its own. */
export function privateFiles(): {
  readonly files: Readonly<Record<string, string>>;
  readonly server: TestCertificate;
} {
  const authority = makeAuthority('CA of the cookbook');
  const client = authority.issue('gateway');
  return {
    files: { 'ca.pem': authority.cert, 'gateway.pem': client.cert, 'gateway.key': client.key },
    server: authority.issue('server', { names: 'IP:127.0.0.1,DNS:budgeting' }),
  };
}
