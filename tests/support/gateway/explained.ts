import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRequest } from '../../../gateway/explain/asked.ts';
import { Explainer } from '../../../gateway/explain/explain.ts';
import type { Explanation } from '../../../gateway/explain/explanation.ts';
import { loadExplained } from '../../../gateway/explain/load.ts';
import type { Port } from '../../../gateway/port.ts';

export interface ExplainedOptions {
  readonly headers?: readonly string[];
  readonly port?: Port;
  readonly from?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** What `npm run explain` says of one request where `text` is the GATEWAY_FILE, with places in `gateway.yaml`. */
export async function explainedIn(
  text: string,
  words: readonly string[],
  { headers = [], port = 'external', from, env = {} }: ExplainedOptions = {},
): Promise<Explanation> {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-explained-'));
  const path = join(directory, 'gateway.yaml');
  writeFileSync(path, text);
  const settings = { JWT_SECRET: 'hunter2hunter2', ...env, GATEWAY_FILE: path };
  try {
    const explainer = await Explainer.create(loadExplained({ env: settings, dotenv: {} }), port);
    const explanation = await explainer.explain(readRequest(words, headers, from));
    explainer.dispose();
    return JSON.parse(JSON.stringify(explanation).replaceAll(`${directory}/`, ''));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
