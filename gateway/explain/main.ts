// `npm run explain` says what the gateway would do with a request, and why.
import { styleText } from 'node:util';
import { choice, onOff, text, texts } from '../../config/commandLine/flags.ts';
import { ExpectedError, print, runCommand } from '../../config/commandLine/run.ts';
import { SettingsError } from '../../config/config.ts';
import { readDotenv } from '../../config/environment.ts';
import { readRequest } from './asked.ts';
import { Explainer } from './explain.ts';
import { loadExplained } from './load.ts';
import { explanationText } from './text.ts';
import type { Explained } from './values.ts';

const COMMAND = {
  about: `Says what the gateway would do with a request: which route it matches and why that one, which stages it passes with which
settings and where each of them was said, and what the service would be asked. The settings are those that the gateway would
start with here, from the environment, the file .env and GATEWAY_FILE. No service, store or registry is asked, nothing is
written, and tokens are not checked.`,
  usage: ['npm run explain --'],
  flags: {
    header: texts("'Name: value'", 'a field of the request; may be given several times', 'H'),
    from: text('ADDRESS', 'the address of the client, for allow and deny; left out: they are not tried'),
    port: choice('external', ['external', 'internal'], 'the port that it comes to: external or internal'),
    json: onOff('prints the same as JSON'),
  },
  words: '[METHOD] URL',
  notes: `  npm run explain -- GET https://api.faf.example/budgeting/catalog/7 -H 'Authorization: Bearer x'
  npm run explain -- POST http://localhost:8001/internal/budgeting/api --port internal

Exit codes: 0 it is explained, whatever becomes of it; 1 the settings are wrong; 2 the command line is.`,
};

await runCommand(COMMAND, async ({ header, from, port, json }, words) => {
  const asked = readRequest(words, header, from);
  const explained = loadHere();
  const explainer = await Explainer.create(explained, port);
  try {
    const explanation = await explainer.explain(asked);
    const emphasis = (text: string) => styleText('bold', text, { stream: process.stdout });
    print(json ? JSON.stringify(explanation, null, 2) : explanationText(explanation, emphasis).trimEnd());
    return 0;
  } finally {
    explainer.dispose();
  }
});

/** @throws {ExpectedError} listing everything that is wrong with the settings */
function loadHere(): Explained {
  try {
    return loadExplained({ env: process.env, dotenv: readDotenv() });
  } catch (error) {
    if (error instanceof SettingsError) throw new ExpectedError(error.message);
    throw error;
  }
}
