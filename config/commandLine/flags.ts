import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { suggest } from '../report/suggest.ts';

/** A flag that cannot be understood; the message says what is accepted. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** One flag of a command: how the help shows it, and how its value is read. */
export interface Flag<T> {
  /** What the help shows behind the name, such as `30` or `FILE`; empty for a flag that takes no value. */
  readonly shown: string;
  /** One letter for it: `H` is `-H`. Default: none. */
  readonly short?: string;
  readonly help: string;
  /** `given` has a value for each time that the flag was given. Throws `FlagError`. */
  readonly read: (name: string, given: readonly string[]) => T;
}

/** The flags of a command by their names in code: `warmUp` is `--warm-up`. Every command has `--help` besides. */
export type FlagTable = Readonly<Record<string, Flag<unknown>>>;

export type FlagValues<Table extends FlagTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Flag<infer T> ? T : never;
} & { readonly help: boolean };

export interface Command<Table extends FlagTable> {
  /** One sentence or more: what it does. */
  readonly about: string;
  /** Ways to call it, each without its flags. */
  readonly usage: readonly string[];
  readonly flags: Table;
  /** What the help says below the flags: exit codes, lists of names. */
  readonly notes?: string;
  /** Names for words that are no flags, such as `[COMMIT]`. Default: none are accepted. */
  readonly words?: string;
}

/** A number flag. Bounds belong to the range. */
export interface NumberRange {
  readonly min: number;
  readonly max: number;
  /** Whether fractions are refused. Default false. */
  readonly whole?: boolean;
}

/** A flag that is there or not. */
export function onOff(help: string): Flag<boolean> {
  return { shown: '', help, read: (_name, given) => given.length > 0 };
}

/** Any text; undefined when it was not given. */
export function text(shown: string, help: string): Flag<string | undefined> {
  return { shown, help, read: (_name, given) => given.at(-1) };
}

/** Any texts: the flag may be given several times. */
export function texts(shown: string, help: string, short?: string): Flag<readonly string[]> {
  return { shown, help, read: (_name, given) => given, ...(short !== undefined && { short }) };
}

/** A number in a range. */
export function number(standard: number, range: NumberRange, help: string): Flag<number> {
  const read = (name: string, given: readonly string[]) =>
    given.length === 0 ? standard : numberIn(name, given.at(-1) ?? '', range);
  return { shown: String(standard), help, read };
}

/** A number in a range; undefined when it was not given. */
export function optionalNumber(shown: string, range: NumberRange, help: string): Flag<number | undefined> {
  const read = (name: string, given: readonly string[]) =>
    given.length === 0 ? undefined : numberIn(name, given.at(-1) ?? '', range);
  return { shown, help, read };
}

/** Some of a set of names, repeated or separated by commas; none given: an empty list. `what` is `service`, for errors. */
export function names<Name extends string>(
  shown: string,
  known: readonly Name[],
  what: string,
  help: string,
): Flag<readonly Name[]> {
  return {
    shown,
    help,
    read: (name, given) =>
      given.flatMap((value) => value.split(',')).map((value) => nameAmong(name, value, known, what)),
  };
}

/** One of a set of names; `standard` when it was not given. */
export function choice<Name extends string, Standard extends Name | undefined>(
  standard: Standard,
  known: readonly Name[],
  help: string,
): Flag<Name | Standard> {
  const read = (name: string, given: readonly string[]) => {
    const value = given.at(-1);
    if (value === undefined) return standard;
    const found = known.find((one) => one === value);
    if (found !== undefined) return found;
    throw new FlagError(`--${name} must be ${known.join(' or ')}, got ${JSON.stringify(value)}`);
  };
  return { shown: standard ?? known.join('|'), help, read };
}

/** The name among those known. Throws `FlagError`, with the name that was probably meant. */
export function nameAmong<Name extends string>(
  flag: string,
  value: string,
  known: readonly Name[],
  what: string,
): Name {
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  const meant = suggest(value, known);
  const hint = meant ? ` (did you mean ${meant}?)` : '';
  throw new FlagError(
    `--${flag} knows no ${what} ${JSON.stringify(value)}${hint}; the ${what}s are ${known.join(', ')}`,
  );
}

/** What was given, flag by flag, and the words that belong to no flag. Throws `FlagError`. */
export function parseCommand<Table extends FlagTable>(
  { flags, words }: Pick<Command<Table>, 'flags' | 'words'>,
  args: readonly string[],
): { readonly values: FlagValues<Table>; readonly words: readonly string[] } {
  const parsed = parsedArgs(args, optionsOf(flags), words !== undefined);
  const given = (name: string) => ((parsed.values[name] ?? []) as readonly (string | boolean)[]).map(String);
  const values = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [name, flag.read(spelled(name), given(spelled(name)))]),
  );
  return {
    values: { ...values, help: given('help').length > 0 } as FlagValues<Table>,
    words: parsed.positionals,
  };
}

/** Whether `--help` is among them, whatever else is missing or wrong with a value. Throws `FlagError` for unknown flags. */
export function asksForHelp(
  command: Pick<Command<FlagTable>, 'flags' | 'words'>,
  args: readonly string[],
): boolean {
  return parsedArgs(args, optionsOf(command.flags), command.words !== undefined).values.help !== undefined;
}

/** As `parseCommand`, for a command that takes flags only. */
export function parseFlags<Table extends FlagTable>(
  command: Pick<Command<Table>, 'flags'>,
  args: readonly string[],
): FlagValues<Table> {
  return parseCommand({ flags: command.flags }, args).values;
}

/** What `--help` prints. */
export function helpOf({ about, usage, flags, notes, words }: Command<FlagTable>): string {
  const rows = Object.entries(flags).map(([name, { shown, short, help }]) => [
    `${short === undefined ? '' : `-${short}, `}--${spelled(name)} ${shown}`.trim(),
    help,
  ]);
  const all = [...rows, ['--help', 'this text']];
  const width = Math.max(...all.map(([left = '']) => left.length));
  const lines = all.map(
    ([left = '', help = '']) =>
      `  ${left.padEnd(width)}  ${help.replaceAll('\n', `\n${' '.repeat(width + 4)}`)}`,
  );
  const behind = words === undefined ? '[flags]' : `[flags] ${words}`;
  const ways = usage.map((way) => `${way} ${behind}`).join('      or      ');
  return [about, `Usage: ${ways}`, lines.join('\n'), ...(notes === undefined ? [] : [notes])].join('\n\n');
}

function optionsOf(flags: FlagTable): ParseArgsOptionsConfig {
  const options: ParseArgsOptionsConfig = { help: { type: 'boolean', short: 'h', multiple: true } };
  for (const [name, { shown, short }] of Object.entries(flags)) {
    const type = shown === '' ? 'boolean' : 'string';
    options[spelled(name)] = { type, multiple: true, ...(short !== undefined && { short }) };
  }
  return options;
}

function parsedArgs(args: readonly string[], options: ParseArgsOptionsConfig, allowPositionals: boolean) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals });
  } catch (error) {
    throw new FlagError(`${Error.isError(error) ? error.message : error}. See --help.`, { cause: error });
  }
}

/** `warmUp` as it is written on a command line. */
function spelled(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function numberIn(name: string, given: string, { min, max, whole = false }: NumberRange): number {
  const value = /^\d+(\.\d+)?$/.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  const kind = whole ? 'whole number' : 'number';
  throw new FlagError(`--${name} must be a ${kind} from ${min} to ${max}, got ${JSON.stringify(given)}`);
}
