import { quote, reasonOf } from '../report/problems.ts';
import { overriddenBy } from '../routes/serviceVariables.ts';
import { BUILT_IN_SERVICES } from '../sections/services.ts';
import type { ReadFile } from '../values.ts';
import { type Contents, FORMATS, readContents } from './contents.ts';
import { type EvaluateModule, evaluateModule } from './evaluate.ts';
import { describeIssue, type FileProblem, pathText } from './issues.ts';
import { fileSchema, type GatewayFileData } from './schema.ts';
import { type Definitions, definitionsOf, problemsBetween, rightDefinitions } from './services.ts';
import { substitute } from './substitute.ts';
import type { Unreadable } from './unreadable.ts';
import { unusableNames } from './unusableNames.ts';

/** Looked for in the working directory, where GATEWAY_FILE names none. */
export const DEFAULT_FILES = ['gateway.config.ts', 'gateway.yaml', 'gateway.json'] as const;

const BUILT_IN: Definitions = { services: BUILT_IN_SERVICES, routes: [], defaults: {} };
const NOTHING: Definitions = { services: [], routes: [], defaults: {} };

/** What a file says, and what is wrong with it. */
export interface GatewayFile {
  /** Undefined: there is none. */
  readonly path: string | undefined;
  readonly definitions: Definitions;
  /** The variables in whose place the file has a value for every service. */
  readonly overridden: readonly string[];
  /** Each with the file, and with line and column where they are known. */
  readonly problems: readonly string[];
  /** Undefined: there is none, or something is wrong with it. */
  readonly written?: WrittenFile | undefined;
}

/** A file as it is written, before anything in it inherits from anything. */
export interface WrittenFile {
  readonly data: GatewayFileData;
  /** `gateway.yaml:12:5`; the path alone where the place is not known. */
  readonly placeOf: (at: readonly PropertyKey[]) => string;
}

export interface GatewayFileSources {
  /** What GATEWAY_FILE names; undefined: one of the default files, if it is there. */
  readonly path: string | undefined;
  /** For `${NAME}`. */
  readonly env: NodeJS.ProcessEnv;
  readonly readFile: ReadFile;
  readonly evaluate?: EvaluateModule;
}

/** Reads the file that says which services there are. Without one they are the built-in ones. */
export function readGatewayFile({ path, env, readFile, evaluate }: GatewayFileSources): GatewayFile {
  const found = path === undefined ? findDefault(readFile) : readNamed(path, readFile);
  if (found === undefined) return { path: undefined, definitions: BUILT_IN, overridden: [], problems: [] };
  if ('problem' in found) return { path, ...unusable(found.problem) };
  const contents = readContents(found.path, found.text, evaluate ?? evaluateModule);
  return { path: found.path, ...check(found.path, contents, env, readFile) };
}

type Found = { readonly path: string; readonly text: string } | { readonly problem: string } | undefined;

function readNamed(path: string, readFile: ReadFile): Found {
  try {
    return { path, text: readFile(path) };
  } catch (error) {
    return { problem: `GATEWAY_FILE is ${quote(path)}: expected a readable file (${reasonOf(error)})` };
  }
}

function findDefault(readFile: ReadFile): Found {
  const there: Found[] = [];
  const names: string[] = [];
  for (const path of DEFAULT_FILES) {
    try {
      there.push({ path, text: readFile(path) });
      names.push(path);
    } catch (error) {
      if (reasonOf(error) === 'ENOENT') continue;
      return {
        problem: `${path} is in the working directory: expected a readable file (${reasonOf(error)})`,
      };
    }
  }
  if (there.length < 2) return there[0];
  return {
    problem: `${names.join(' and ')} are in the working directory: expected one of them, or GATEWAY_FILE to name one`,
  };
}

function check(
  path: string,
  contents: Contents | Unreadable | undefined,
  env: NodeJS.ProcessEnv,
  readFile: ReadFile,
): Omit<GatewayFile, 'path'> {
  if (contents === undefined) {
    const problem = `GATEWAY_FILE is ${quote(path)}: expected a name that ends in ${FORMATS.join(', ')}`;
    return unusable(problem);
  }
  if ('problem' in contents) {
    return unusable(`${path}${contents.place}: ${contents.problem}`);
  }
  const { data, missing } = substitute(contents.data, env);
  const unset = missing.map(({ path: at, name }) => ({
    path: at,
    text: `${pathText(at)} names \${${name}}, which is not set: expected the variable, or \${${name}:-a default}`,
  }));
  const parsed = fileSchema.safeParse(data, { reportInput: true });
  const definitions = parsed.success ? definitionsOf(parsed.data) : NOTHING;
  const wrong: FileProblem[] = parsed.success
    ? []
    : parsed.error.issues.flatMap((issue) => describeIssue(fileSchema, issue, contents.data));
  const between = problemsBetween(data, parsed.success ? definitions : rightDefinitions(data), readFile);
  const problems = unset.length > 0 ? unset : [...wrong, ...unusableNames(contents.data, wrong), ...between];
  const placeOf = (at: readonly PropertyKey[]) => `${path}${contents.placeOf(at)}`;
  return {
    definitions,
    written: parsed.success ? { data: parsed.data, placeOf } : undefined,
    overridden: parsed.success ? overriddenBy(parsed.data.defaults ?? {}) : [],
    problems: problems.map(({ path: at, text }) => `${placeOf(at)}: ${text}`),
  };
}

function unusable(problem: string): Omit<GatewayFile, 'path'> {
  return { definitions: NOTHING, overridden: [], problems: [problem] };
}
