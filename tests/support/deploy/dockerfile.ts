import { readFileSync } from 'node:fs';

/** One line of a Dockerfile: `COPY --from=base /a ./b` is COPY, { from: 'base' }, '/a ./b'. */
export interface Instruction {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface Stage {
  readonly name: string;
  /** Another stage, or an image. */
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

/** Reads as much of the language as this project's Dockerfile uses, with arguments as by default; throws at anything else. */
export function readDockerfile(path: string): Stage[] {
  const stages: (Stage & { readonly instructions: Instruction[] })[] = [];
  const everywhere = new Map<string, string>();
  let args = everywhere;
  for (const line of linesOf(path)) {
    const { name, options, text } = parse(line);
    if (name === 'FROM') {
      const [, from = '', stage = ''] = /^(\S+) AS (\S+)$/.exec(expanded(text, everywhere)) ?? [];
      stages.push({ name: stage, from, instructions: [] });
      args = new Map();
    } else if (name === 'ARG') {
      const [arg = '', value = everywhere.get(arg) ?? ''] = text.split('=');
      args.set(arg, value);
    } else {
      const stage = stages.at(-1);
      if (!stage) throw new Error(`before the first FROM: ${line}`);
      // The shell of RUN has variables of its own.
      stage.instructions.push({ name, options, text: name === 'RUN' ? text : expanded(text, args) });
    }
  }
  return stages;
}

function linesOf(path: string): string[] {
  const text = readFileSync(path, 'utf8')
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ');
  return text.split('\n').filter((line) => line.trim() !== '');
}

/** `${NAME}` stands for what an ARG of the same stage says, or before the first stage one of all. */
function expanded(text: string, args: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name) => {
    const value = args.get(name);
    if (value === undefined) throw new Error(`no ARG ${name} where it is used: ${text}`);
    return value;
  });
}

/** `["a", "b"]` of ENTRYPOINT, CMD and HEALTHCHECK. */
export function execForm(text: string): string[] {
  return JSON.parse(text.slice(text.indexOf('[')));
}

/** `A=1 B="2 3"` of ENV, LABEL and ARG. */
export function assignments(text: string): Record<string, string> {
  const pairs = text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g);
  return Object.fromEntries(Array.from(pairs, ([, name, quoted, plain]) => [name, quoted ?? plain ?? '']));
}

function parse(line: string): Instruction {
  const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
  if (name === '') throw new Error(`not an instruction: ${line}`);
  const [flags = ''] = /^(--\S+\s+)*/.exec(rest) ?? [];
  const options = Object.fromEntries(
    Array.from(flags.matchAll(/--([\w-]+)=(\S+)/g), ([, key, value]) => [key, value]),
  );
  return { name, options, text: rest.slice(flags.length) };
}
