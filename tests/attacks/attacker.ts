// One attacker, in a process of its own: node attacker.ts NAME attack|harmless ORIGIN TOKEN. It ends with its parent.
import { attacks } from './attacks.ts';

const [, , name = '', mode, external = '', token = ''] = process.argv;
const found = attacks[name];
if (!found) throw new Error(`there is no attack "${name}"`);

const ending = new AbortController();
process.once('disconnect', () => ending.abort());
const run = mode === 'attack' ? found.attack : found.harmless;
process.send?.('begun');
await run({ external, token, signal: ending.signal });
process.exit();
