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

/** Reads as much of the language as this project's Dockerfile uses; throws at anything else. */
export function readDockerfile(path: string): Stage[] {
  const text = readFileSync(path, 'utf8')
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ');
  const stages: { name: string; from: string; instructions: Instruction[] }[] = [];
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const instruction = parse(line);
    const stage = stages.at(-1);
    if (instruction.name === 'FROM') {
      const [, from = '', name = ''] = /^(\S+) AS (\S+)$/.exec(instruction.text) ?? [];
      stages.push({ name, from, instructions: [] });
    } else if (stage) {
      stage.instructions.push(instruction);
    } else {
      throw new Error(`before the first FROM: ${line}`);
    }
  }
  return stages;
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
