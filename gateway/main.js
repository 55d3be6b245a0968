// What the gateway is started with. `main.ts` is another name for it: Node goes by the name of the file itself, and this
// one is plain JavaScript because of what Node would load to make it of TypeScript. That takes 85 ms and 17 MiB, which
// no other file needs once its compiled code is kept.
import './process/nodeVersion.js';
import './process/compiledCode.js';

// By default the one ends the process without a word and the other opens Node's inspector, through which secrets can be
// read. `signals.ts` logs them. Before this line `node --disable-sigusr1`, which every start of ours says, keeps it shut:
// that blocks SIGUSR1, so that nothing hears it and nothing is logged.
for (const signal of ['SIGHUP', 'SIGUSR1']) process.on(signal, () => {});

// Libraries, Express among them, print whole targets then, and with them the tokens and passwords of queries.
delete process.env.DEBUG;

await import('./process/process.ts');
