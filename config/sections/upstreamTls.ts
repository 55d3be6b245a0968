import { ClientFileError, type ClientFiles, clientTerms } from '../../lib/tls/clientTerms.ts';
import type { FileProblem } from '../file/issues.ts';
import { pathText } from '../file/issues.ts';
import type { Said } from '../policies/policies.ts';
import { TLS_PARTS, type TlsPart, tls as tlsPolicy, type UpstreamTls } from '../policies/upstream/tls.ts';
import { quote, reasonOf } from '../report/problems.ts';
import type { ReadFile } from '../values.ts';
import type { ServiceDefinition } from './services.ts';

/** One service with `tls`, and where in the file its parts are said. */
interface Checked {
  readonly name: string;
  readonly tls: UpstreamTls;
  readonly upstreams: readonly string[];
  readonly index: number;
  /** Where a part of `tls` is said: at the service itself, or in `defaults`. */
  readonly placeOf: (part?: string) => readonly PropertyKey[];
}

/**
 * What is wrong with how services are asked over TLS: upstreams that do not speak it, a certificate without a key, and files
 * that cannot be used.
 *
 * @param data all of the file, which may be anything
 * @param nowMs what has expired by then cannot be used
 */
export function upstreamTlsProblems(
  data: unknown,
  services: readonly (ServiceDefinition | undefined)[],
  readFile: ReadFile,
  nowMs = Date.now(),
): FileProblem[] {
  const written = listed(data);
  const problems = services.flatMap((service, index) => {
    const tls = service && tlsPolicy.settings(service.says?.tls, {} as never).tls;
    if (!service || !tls) return [];
    const { name, upstreams = [] } = service;
    const placeOf = placesOf(written[index]?.tls, index);
    const checked = { name, tls, upstreams, index, placeOf };
    return [
      ...plainUpstreams(checked),
      ...incompletePair(checked),
      ...fileProblems(checked, readFile, nowMs),
    ];
  });
  // What `defaults` say is wrong for every service alike.
  return [...new Map(problems.map((problem) => [problem.text, problem])).values()];
}

function listed(data: unknown): readonly (Said | undefined)[] {
  const { services } = (data ?? {}) as { readonly services?: unknown };
  return Array.isArray(services) ? services : [];
}

function placesOf(own: Said['tls'], index: number): Checked['placeOf'] {
  return (part) => {
    const isOwn =
      own !== undefined && (part === undefined || (typeof own === 'object' && Object.hasOwn(own, part)));
    return [...(isOwn ? ['services', index] : ['defaults']), 'tls', ...(part === undefined ? [] : [part])];
  };
}

function plainUpstreams({ name, upstreams, index, placeOf }: Checked): FileProblem[] {
  const at = upstreams.findIndex((upstream) => !upstream.startsWith('https:'));
  if (at === -1) return [];
  const path = placeOf();
  const upstream = pathText(['services', index, 'upstreams', at]);
  const text =
    `${pathText(path)} is set for ${name}, and ${upstream} is ${quote(upstreams[at])}: ` +
    'expected https:// there, or tls: off at the service';
  return [{ path, text }];
}

function incompletePair({ name, tls: { files }, placeOf }: Checked): FileProblem[] {
  if ((files.cert === undefined) === (files.key === undefined)) return [];
  const [given, missing] = files.key === undefined ? (['cert', 'key'] as const) : (['key', 'cert'] as const);
  const path = placeOf(given);
  const text = `${pathText(path)} is ${quote(files[given])} and ${name} has no tls.${missing}: expected both or neither`;
  return [{ path, text }];
}

function fileProblems({ name, tls, placeOf }: Checked, readFile: ReadFile, nowMs: number): FileProblem[] {
  const { files, serverName, minVersion } = tls;
  const texts: Partial<Record<TlsPart, string>> = {};
  const problems: FileProblem[] = [];
  const complain = (part: TlsPart, reason: string) => {
    const path = placeOf(part);
    const text = `${pathText(path)} is ${quote(files[part])}: expected a file that ${name} can be asked with, ${reason}`;
    problems.push({ path, text });
  };
  for (const part of TLS_PARTS) {
    const path = files[part];
    if (path === undefined) continue;
    try {
      texts[part] = readFile(path);
    } catch (error) {
      complain(part, `and it cannot be read (${reasonOf(error)})`);
    }
  }
  // Each file by itself, so that one run tells everything.
  const { ca, ...pair } = texts;
  for (const given of [{ ca }, pair] satisfies ClientFiles[]) {
    try {
      clientTerms(given, { serverName, minVersion, nowMs });
    } catch (error) {
      const part = error instanceof ClientFileError ? error.part : 'cert';
      complain(part, `but ${(error as Error).message}`);
    }
  }
  return problems;
}
