/** One command of a walk-through, with what the page says it prints. */
export interface Step {
  readonly commands: string;
  /** Lines of output; `…` stands for anything within a line, and for any number of lines when alone. */
  readonly expected: readonly string[];
}

/** A stretch of a walk-through that runs against one playground. */
export interface Act {
  /** What the reader types to start it. */
  readonly start: string;
  readonly steps: readonly Step[];
}

const EXPECTATION = '# → ';

/** Reads a page: each `sh` block starts a playground, the `bash` blocks behind it are typed against it. */
export function readWalkthrough(markdown: string): Act[] {
  const acts: { start: string; steps: Step[] }[] = [];
  for (const [, language, content] of markdown.matchAll(/^```(sh|bash)\n([\s\S]*?)^```$/gm)) {
    if (language === 'sh') acts.push({ start: (content as string).trim(), steps: [] });
    else acts.at(-1)?.steps.push(...readSteps(content as string));
  }
  return acts;
}

/** Whether `output` is what the page says. */
export function matches(output: string, expected: readonly string[]): boolean {
  const pattern = expected.map(linePattern).join('');
  return new RegExp(`^${pattern}$`).test(output.endsWith('\n') || output === '' ? output : `${output}\n`);
}

function readSteps(block: string): Step[] {
  const steps: { commands: string; expected: string[] }[] = [];
  let commands = '';
  for (const line of block.split('\n')) {
    if (!line.startsWith(EXPECTATION)) {
      commands += `${line}\n`;
      continue;
    }
    if (commands.trim()) steps.push({ commands, expected: [] });
    commands = '';
    steps.at(-1)?.expected.push(line.slice(EXPECTATION.length));
  }
  if (commands.trim()) steps.push({ commands, expected: ['…'] });
  return steps;
}

function linePattern(line: string): string {
  if (line === '…') return '(?:[^\\n]*\\n)*';
  return `${line.split('…').map(escapeRegExp).join('[^\\n]*')}\\r?\\n`;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
